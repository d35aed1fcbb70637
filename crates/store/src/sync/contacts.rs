//! Pages of an account's contacts, compared with `whatsapp_contact` and `wabridge.identity`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use wabridge_domain::event::{ContactUpdate, What};
use wabridge_domain::sync::SyncKind;

use super::names::{Left, Names, Standing};
use super::{Of, Page, count};
use crate::apply::{self, Echoes, Item};
use crate::odoo::contact::fields::{self, Values};
use crate::odoo::text;
use crate::{StoreError, Tx, identity};

/// A contact as it stands.
#[derive(Debug)]
struct Row {
    id: i32,
    /// False where a name of the person is not noted, or stands for another row.
    noted: bool,
    values: Values,
    edited_at: Option<Timestamp>,
    told: Option<(Option<String>, Timestamp)>,
}

/// Brings a page of contacts in.
///
/// # Errors
/// The database's; [`StoreError::Refused`] where it refuses one of them.
pub async fn write(tx: &Tx<'_>, of: &Of, updates: &[ContactUpdate]) -> Result<Page, StoreError> {
    let mut page = Page::default();
    page.counts.read = count(updates.len());
    let mut by_id: BTreeMap<&str, &ContactUpdate> = BTreeMap::new();
    for update in updates {
        by_id.insert(&update.person.contact_id, update);
    }
    let updates: Vec<&ContactUpdate> = by_id.into_values().collect();
    let rows = look(tx, of, &updates).await?;
    let mut names = Names::default();
    let mut news: Vec<ContactUpdate> = Vec::new();
    let mut touched = 0;
    for (update, row) in updates.iter().zip(&rows) {
        let Some(row) = row else {
            news.push((*update).clone());
            continue;
        };
        let told = row.told.as_ref().map(|(value, at)| (value.as_deref(), *at));
        let standing = Standing {
            id: row.id,
            odoo: value(&row.values, fields::NAME),
            edited_at: row.edited_at,
            told,
        };
        let provider = update.person.name.as_deref().and_then(plain);
        let provider_at = (update.at < of.at).then_some(update.at);
        let left = names.decide(of, SyncKind::Contacts, standing, provider, provider_at);
        let mut new = (*update).clone();
        if left != Left::News {
            new.person.name = None;
        }
        if trim(&mut new, &row.values) || !row.noted {
            news.push(new);
        } else if left == Left::Decided {
            touched += 1;
        }
    }
    let created = rows.iter().filter(|row| row.is_none()).count();
    page.counts.created = count(created);
    page.counts.changed = count(news.len() - created + touched);
    page.counts.unchanged = page.counts.read - page.counts.created - page.counts.changed;
    if !news.is_empty() {
        let items: Vec<Item> = news
            .into_iter()
            .map(|update| Item {
                configuration_id: of.configuration_id,
                provider: of.provider,
                what: What::Contact(Box::new(update)),
                person: None,
                received_at: of.at,
            })
            .collect();
        page.changes = apply::apply(tx, &items.iter().collect::<Vec<_>>(), Echoes::MayWait).await?;
    }
    page.changes.contacts.extend(names.write(tx, of, SyncKind::Contacts).await?);
    page.items = names.items;
    Ok(page)
}

/// A text that a row can hold.
fn plain(words: &str) -> Option<&str> {
    text(words).map(|_| words)
}

fn value<'a>(values: &'a Values, field: &str) -> Option<&'a str> {
    let place = fields::FIELDS.iter().position(|known| *known == field)?;
    values.0[place].as_deref()
}

/// Takes away what stands in the row already; true where something is left.
fn trim(update: &mut ContactUpdate, values: &Values) -> bool {
    fn same(told: &mut Option<String>, current: Option<&str>, empty_takes_away: bool) {
        if let Some(words) = told.as_deref() {
            let words = text(words);
            if words.is_none() && !empty_takes_away || words.as_deref() == current {
                *told = None;
            }
        }
    }
    fn same_flag(told: &mut Option<bool>, current: Option<&str>) {
        if told.is_some_and(|yes| current == Some(if yes { "true" } else { "false" })) {
            *told = None;
        }
    }
    let person = &mut update.person;
    same(&mut person.name, value(values, fields::NAME), false);
    same(&mut person.pushname, value(values, fields::PUSHNAME), false);
    let username = person.username.clone();
    let mut left = username;
    same(&mut left, value(values, fields::USERNAME), false);
    same(&mut update.picture, value(values, fields::PICTURE), true);
    same_flag(&mut update.is_business, value(values, fields::IS_BUSINESS));
    same_flag(&mut update.is_blocked, value(values, fields::IS_BLOCKED));
    same_flag(&mut update.is_wa_contact, value(values, fields::IS_WA_CONTACT));
    person.name.is_some()
        || person.pushname.is_some()
        || left.is_some()
        || update.picture.is_some()
        || update.is_business.is_some()
        || update.is_blocked.is_some()
        || update.is_wa_contact.is_some()
        || update.formerly.is_some()
}

/// The row of each of them, None where there is none.
async fn look(
    tx: &Tx<'_>,
    of: &Of,
    updates: &[&ContactUpdate],
) -> Result<Vec<Option<Row>>, StoreError> {
    let sql = "-- sync::contacts::look
        WITH k AS MATERIALIZED (
            SELECT i.no, i.kind, i.value FROM unnest($2::int4[], $3::text[], $4::text[]) AS i(no, kind, value)),
        found AS MATERIALIZED (
            SELECT k.no, min(d.contact_id) AS id,
                   count(d.contact_id) = count(*) AND min(d.contact_id) = max(d.contact_id) AS noted
            FROM k LEFT JOIN wabridge.identity d
                 ON d.configuration_id = $1 AND d.kind = k.kind AND d.value = k.value
            GROUP BY k.no)
        SELECT f.no, c.id, f.noted, c.name_edited_at AT TIME ZONE 'UTC', n.contact_id IS NOT NULL, n.value,
               n.at AT TIME ZONE 'UTC', c.name, c.pushname, c.username, c.picture, c.is_business, c.is_blocked,
               c.is_wa_contact
        FROM found f JOIN public.whatsapp_contact c ON c.id = f.id
        LEFT JOIN wabridge.contact_fact n ON n.contact_id = c.id AND n.field = 'name'";
    let mut places = Vec::new();
    let mut kinds = Vec::new();
    let mut values = Vec::new();
    for (no, update) in updates.iter().enumerate() {
        for (_, kind, value) in identity::names(of.configuration_id, &update.person) {
            places.push(count(no));
            kinds.push(kind);
            values.push(value);
        }
    }
    let statement = tx.prepare_cached(sql).await?;
    let found = tx
        .query(
            &statement,
            &[
                /* account */ &of.configuration_id,
                /* no */ &places,
                /* kind */ &kinds,
                /* value */ &values,
            ],
        )
        .await?;
    let mut rows: Vec<Option<Row>> = updates.iter().map(|_| None).collect();
    for row in &found {
        let place = usize::try_from(row.get::<_, i32>(0)).unwrap_or(usize::MAX);
        let Some(slot) = rows.get_mut(place) else { continue };
        *slot = Some(Row {
            id: row.get(1),
            noted: row.get(2),
            edited_at: row.get(3),
            told: row
                .get::<_, bool>(4)
                .then(|| Some((row.get(5), row.get::<_, Option<Timestamp>>(6)?)))
                .flatten(),
            values: Values::read(row, 7),
        });
    }
    Ok(rows)
}
