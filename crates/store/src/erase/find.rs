//! Who a person is: his rows at the accounts, and every name that stands for him.

use std::collections::BTreeSet;

use crate::{StoreError, Tx};

/// Shortest run of digits that is looked for inside texts: fewer stand in prices and dates.
const DIGITS_MIN: usize = 7;
/// Shortest other id that is looked for inside texts.
const ID_MIN: usize = 10;
/// Matches nothing.
const NOTHING: &str = r"[^\s\S]";

/// A person, at some accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub accounts: Vec<i32>,
    /// His rows of `whatsapp_contact`.
    pub contacts: Vec<i32>,
    /// Numbers and ids, as providers and we write them.
    pub names: Vec<String>,
    /// What he is called.
    pub labels: Vec<String>,
    /// A regular expression that finds him in texts.
    pub pattern: String,
}

impl Person {
    /// True where nothing is known of him.
    pub fn is_nobody(&self) -> bool {
        self.contacts.is_empty() && self.pattern == NOTHING
    }
}

/// The person of a contact row.
///
/// # Errors
/// The database's.
pub async fn find_contact(
    tx: &Tx<'_>,
    accounts: &[i32],
    contact_id: i32,
) -> Result<Person, StoreError> {
    find(tx, accounts, BTreeSet::from([contact_id]), BTreeSet::new()).await
}

/// The person who has these numbers or ids.
///
/// # Errors
/// The database's.
pub async fn find_names(
    tx: &Tx<'_>,
    accounts: &[i32],
    names: &[String],
) -> Result<Person, StoreError> {
    find(tx, accounts, BTreeSet::new(), names.iter().cloned().collect()).await
}

async fn find(
    tx: &Tx<'_>,
    accounts: &[i32],
    mut contacts: BTreeSet<i32>,
    mut names: BTreeSet<String>,
) -> Result<Person, StoreError> {
    loop {
        // Both as providers and as Odoo write a number.
        let numbers: Vec<String> =
            names.iter().filter_map(|n| digits(n).map(str::to_owned)).collect();
        names.extend(numbers.iter().map(|number| format!("+{number}")));
        names.extend(numbers);
        let known = (contacts.len(), names.len());
        let (ids, texts): (Vec<i32>, Vec<&String>) =
            (contacts.iter().copied().collect(), names.iter().collect());
        // A user name is one at its provider only, and changes hands: it leads to nobody.
        let sql = "-- erase::find::rows
            SELECT c.id, c.contact_id, c.phone, c.lid, c.wa_user_id, i.value
            FROM public.whatsapp_contact c
            LEFT JOIN wabridge.identity i ON i.contact_id = c.id AND i.kind <> 'username'
            WHERE c.configuration_id = ANY($1)
              AND (c.id = ANY($2) OR c.contact_id = ANY($3) OR c.phone = ANY($3) OR c.lid = ANY($3)
                   OR c.wa_user_id = ANY($3)
                   OR c.id IN (SELECT n.contact_id FROM wabridge.identity n
                               WHERE n.value = ANY($3) AND n.kind <> 'username'))";
        let rows =
            tx.query(sql, &[/* accounts */ &accounts, /* ids */ &ids, /* names */ &texts]).await?;
        for row in rows {
            contacts.insert(row.get(0));
            for column in 1..6 {
                names.extend(row.get::<_, Option<String>>(column));
            }
        }
        if known == (contacts.len(), names.len()) {
            break;
        }
    }
    let contacts: Vec<i32> = contacts.into_iter().collect();
    let sql = "-- erase::find::labels
        SELECT DISTINCT l.label FROM public.whatsapp_contact c
        CROSS JOIN LATERAL (VALUES (c.name), (c.pushname), (c.username)) AS l(label)
        WHERE c.id = ANY($1) AND l.label IS NOT NULL";
    let labels = tx.query(sql, &[/* contacts */ &contacts]).await?;
    let names: Vec<String> = names.into_iter().collect();
    Ok(Person {
        accounts: accounts.to_vec(),
        contacts,
        pattern: pattern(&names),
        names,
        labels: labels.iter().map(|row| row.get(0)).collect(),
    })
}

/// The number in a name: `447700900123` of `447700900123@s.whatsapp.net`.
fn digits(name: &str) -> Option<&str> {
    let local = name.split('@').next()?.trim_start_matches('+');
    (local.len() >= DIGITS_MIN && local.bytes().all(|b| b.is_ascii_digit())).then_some(local)
}

/// Numbers and long ids, not inside longer numbers.
fn pattern(names: &[String]) -> String {
    let mut parts = BTreeSet::new();
    for name in names {
        match digits(name) {
            Some(digits) => parts.insert(digits.to_owned()),
            None if name.len() >= ID_MIN => parts.insert(escaped(name)),
            None => false,
        };
    }
    if parts.is_empty() {
        return NOTHING.to_owned();
    }
    let parts: Vec<String> = parts.into_iter().collect();
    format!("(?<![0-9])(?:{})(?![0-9])", parts.join("|"))
}

fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let plain = c.is_alphanumeric() || c == '_' || c == '@';
            (!plain).then_some('\\').into_iter().chain([c])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for() {
        let names =
            |names: &[&str]| pattern(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            names(&["447700900123", "447700900123@s.whatsapp.net", "+447700900123", "amira"]),
            "(?<![0-9])(?:447700900123)(?![0-9])"
        );
        assert_eq!(
            names(&["GB.10293847561029384756"]),
            r"(?<![0-9])(?:GB\.10293847561029384756)(?![0-9])"
        );
        assert_eq!(names(&["12345", "amira"]), NOTHING);
    }
}
