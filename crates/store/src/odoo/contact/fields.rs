//! What people are called and the like: of two values the later one stays, whatever order they come in.
//!
//! `wabridge.contact_fact` keeps when a value was first told. A pushname comes with every message, so it also
//! counts as told by the latest inbound one, and repetitions write nothing. Where that one named nobody, a name that
//! comes late is passed over until the next message.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::GenericClient;
use jiff::civil::DateTime;

use super::Told;
use crate::StoreError;
use crate::odoo::{Text, second, text};

pub(crate) const NAME: &str = "name";
pub(crate) const PUSHNAME: &str = "pushname";
pub(crate) const USERNAME: &str = "username";
pub(crate) const PICTURE: &str = "picture";
pub(crate) const IS_BUSINESS: &str = "is_business";
pub(crate) const IS_BLOCKED: &str = "is_blocked";
pub(crate) const IS_WA_CONTACT: &str = "is_wa_contact";

/// Columns of `whatsapp_contact`, in the order of [`Values`].
pub(crate) const FIELDS: [&str; 7] =
    [NAME, PUSHNAME, USERNAME, PICTURE, IS_BUSINESS, IS_BLOCKED, IS_WA_CONTACT];
const TEXTS: usize = 4;

/// The columns of a row; `true` and `false` as words.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Values(pub [Option<String>; 7]);

impl Values {
    /// Reads [`FIELDS`] from column `from` on.
    pub fn read(row: &tokio_postgres::Row, from: usize) -> Self {
        Self(std::array::from_fn(|n| {
            if n < TEXTS {
                row.get(from + n)
            } else {
                row.get::<_, Option<bool>>(from + n).map(|yes| yes.to_string())
            }
        }))
    }
}

/// When a value was told, and the value; None takes it away.
type New<'a> = (DateTime, Option<Text<'a>>);

/// What is told of each field, and whether only a message told it, in passing.
#[derive(Debug, Default)]
pub(super) struct News<'a>(BTreeMap<&'static str, (New<'a>, bool)>);

impl<'a> News<'a> {
    pub fn of(told: &[Told<'a>]) -> Self {
        let mut news = Self::default();
        for told in told {
            let at = second(told.seen.at);
            let person = told.seen.person;
            for (field, value) in
                [(NAME, &person.name), (PUSHNAME, &person.pushname), (USERNAME, &person.username)]
            {
                if let Some(value) = value.as_deref().and_then(text) {
                    news.take(field, (at, Some(value)), told.update.is_none());
                }
            }
            let Some(update) = told.update else { continue };
            if let Some(picture) = update.picture.as_deref() {
                news.take(PICTURE, (at, text(picture)), false);
            }
            for (field, yes) in [
                (IS_BUSINESS, update.is_business),
                (IS_BLOCKED, update.is_blocked),
                (IS_WA_CONTACT, update.is_wa_contact),
            ] {
                if let Some(yes) = yes {
                    let word = Text::Borrowed(if yes { "true" } else { "false" });
                    news.take(field, (at, Some(word)), false);
                }
            }
        }
        news
    }

    fn take(&mut self, field: &'static str, new: New<'a>, in_passing: bool) {
        let kept = self.0.entry(field).or_insert_with(|| (new.clone(), in_passing));
        if kept.0 < new {
            *kept = (new, in_passing);
        }
    }

    pub fn value(&self, field: &str) -> Option<&str> {
        self.0.get(field).and_then(|((_, value), _)| value.as_deref())
    }
}

/// A row with what is known of its fields.
#[derive(Debug, Clone)]
pub(in crate::odoo) struct State {
    pub configuration_id: i32,
    pub values: Values,
    /// Of the latest inbound message.
    pub heard_at: Option<DateTime>,
    pub facts: BTreeMap<String, (DateTime, Option<String>)>,
}

impl State {
    /// Places of the fields that are to be taken over, with what.
    fn to_take<'n>(&self, news: &'n News<'_>) -> Vec<(usize, New<'n>)> {
        let takes = |n: usize, field: &str| {
            let ((at, value), in_passing) = news.0.get(field)?;
            let current = self.values.0[n].as_deref();
            let new = (*at, value.as_deref());
            let wanted = match self.facts.get(field) {
                _ if *in_passing && current == new.1 => false,
                // Nobody told it: a user typed it.
                Some((_, told))
                    if field == NAME && current.is_some() && told.as_deref() != current =>
                {
                    false
                }
                None if field == NAME && current.is_some() => false,
                Some((known_at, known)) => {
                    new > (*known_at, known.as_deref()) && self.not_since(field, *at)
                }
                None => current.is_none() || self.not_since(field, *at),
            };
            wanted.then(|| (n, (*at, value.clone())))
        };
        FIELDS.iter().enumerate().filter_map(|(n, field)| takes(n, field)).collect()
    }

    /// True where no message of that person came after `at`, or none would have told.
    fn not_since(&self, field: &str, at: DateTime) -> bool {
        field != PUSHNAME || self.heard_at.is_none_or(|heard| heard <= at)
    }
}

/// Rows of which something is new, as far as that can be seen without a lock. Those that would stay as they are, as
/// read before, are not even looked at.
pub(super) async fn stale(
    client: &impl GenericClient,
    rows: &[(i32, &Values, News<'_>)],
) -> Result<BTreeSet<i32>, StoreError> {
    let differs = |values: &Values, news: &News<'_>| {
        FIELDS.iter().zip(&values.0).any(|(field, current)| {
            news.0.get(field).is_some_and(|((_, value), in_passing)| {
                // An update decides over later ones even where it changes nothing now.
                !in_passing || value.as_deref() != current.as_deref()
            })
        })
    };
    let wanted: BTreeMap<i32, &News<'_>> = rows
        .iter()
        .filter(|(_, values, news)| differs(values, news))
        .map(|(id, _, news)| (*id, news))
        .collect();
    if wanted.is_empty() {
        return Ok(BTreeSet::new());
    }
    let states = read(client, &wanted.keys().copied().collect::<Vec<_>>()).await?;
    Ok(states
        .iter()
        .filter(|(id, state)| wanted.get(id).is_some_and(|news| !state.to_take(news).is_empty()))
        .map(|(id, _)| *id)
        .collect())
}

/// Writes what is new of rows that the caller has locked: (account, row id) of those that changed.
pub(super) async fn write(
    client: &impl GenericClient,
    rows: &[(i32, &Values, News<'_>)],
    stale: &BTreeSet<i32>,
) -> Result<Vec<(i32, i32)>, StoreError> {
    if stale.is_empty() {
        return Ok(vec![]);
    }
    let wanted: BTreeMap<i32, &News<'_>> = rows
        .iter()
        .filter(|(id, _, _)| stale.contains(id))
        .map(|(id, _, news)| (*id, news))
        .collect();
    // Only a statement of its own sees what the former holders of the locks wrote.
    let states = &mut read(client, &stale.iter().copied().collect::<Vec<_>>()).await?;
    let mut facts = Vec::new();
    let mut changed = Vec::new();
    for (id, state) in &mut *states {
        let Some(news) = wanted.get(id) else { continue };
        let before = state.values.clone();
        for (n, (at, value)) in state.to_take(news) {
            state.values.0[n] = value.as_deref().map(str::to_owned);
            facts.push((*id, FIELDS[n], at, value.as_deref().map(str::to_owned)));
        }
        if state.values != before {
            changed.push((*id, state.values.clone()));
        }
    }
    note_facts(client, &facts).await?;
    put(client, &changed).await?;
    Ok(changed.iter().filter_map(|(id, _)| Some((states.get(id)?.configuration_id, *id))).collect())
}

/// Notes when the fields of new rows were told.
pub(super) async fn note(
    client: &impl GenericClient,
    rows: &[(i32, &News<'_>)],
) -> Result<(), StoreError> {
    let facts: Vec<Fact> = rows
        .iter()
        .flat_map(|(id, news)| {
            news.0.iter().map(|(field, ((at, value), _))| {
                (*id, *field, *at, value.as_deref().map(str::to_owned))
            })
        })
        .collect();
    note_facts(client, &facts).await
}

/// (contact, field, when, value)
pub(in crate::odoo) type Fact = (i32, &'static str, DateTime, Option<String>);

pub(in crate::odoo) async fn lock(
    client: &impl GenericClient,
    ids: &[i32],
) -> Result<(), StoreError> {
    let sql = "-- odoo::contact::lock
        SELECT c.id FROM public.whatsapp_contact c WHERE c.id = ANY($1) ORDER BY c.id FOR NO KEY UPDATE OF c";
    let statement = client.prepare_cached(sql).await?;
    client.query(&statement, &[/* ids */ &ids]).await?;
    Ok(())
}

/// The rows with what is known of their fields, in one statement: of a row from before somebody's commit and facts from
/// after it, the name would look like one that a user typed.
pub(in crate::odoo) async fn read(
    client: &impl GenericClient,
    ids: &[i32],
) -> Result<BTreeMap<i32, State>, StoreError> {
    let sql = "-- odoo::contact::read
        SELECT c.id, c.configuration_id, c.name, c.pushname, c.username, c.picture, c.is_business, c.is_blocked,
               c.is_wa_contact, (SELECT max(m.timestamp) FROM public.whatsapp_message m
                                 WHERE m.contact_id = c.id AND m.direction = 'inbound'),
               f.fields, f.times, f.told
        FROM public.whatsapp_contact c
        CROSS JOIN LATERAL (
            SELECT coalesce(array_agg(f.field), '{}') AS fields, coalesce(array_agg(f.at), '{}') AS times,
                   coalesce(array_agg(f.value), '{}') AS told
            FROM wabridge.contact_fact f WHERE f.contact_id = c.id) f
        WHERE c.id = ANY($1)";
    let statement = client.prepare_cached(sql).await?;
    let state = |row: &tokio_postgres::Row| {
        let (fields, times, told): (Vec<String>, Vec<DateTime>, Vec<Option<String>>) =
            (row.get(10), row.get(11), row.get(12));
        let state = State {
            configuration_id: row.get(1),
            values: Values::read(row, 2),
            heard_at: row.get(9),
            facts: fields.into_iter().zip(times.into_iter().zip(told)).collect(),
        };
        (row.get(0), state)
    };
    Ok(client.query(&statement, &[/* ids */ &ids]).await?.iter().map(state).collect())
}

/// Writes whole sets of fields.
pub(in crate::odoo) async fn put(
    client: &impl GenericClient,
    rows: &[(i32, Values)],
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql = "-- odoo::contact::put
        UPDATE public.whatsapp_contact c
        SET name = i.name, pushname = i.pushname, username = i.username, picture = i.picture,
            is_business = i.is_business::boolean, is_blocked = i.is_blocked::boolean,
            is_wa_contact = i.is_wa_contact::boolean, synced_at = coalesce(wabridge.synced_at(), c.synced_at), write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        FROM unnest($1::int4[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
             AS i(id, name, pushname, username, picture, is_business, is_blocked, is_wa_contact)
        WHERE c.id = i.id";
    let column = |n: usize| rows.iter().map(|(_, v)| v.0[n].as_deref()).collect::<Vec<_>>();
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(
            &statement,
            &[
                /* id */ &rows.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
                /* name */ &column(0),
                /* pushname */ &column(1),
                /* username */ &column(2),
                /* picture */ &column(3),
                /* is_business */ &column(4),
                /* is_blocked */ &column(5),
                /* is_wa_contact */ &column(6),
            ],
        )
        .await?;
    Ok(())
}

pub(in crate::odoo) async fn note_facts(
    client: &impl GenericClient,
    facts: &[Fact],
) -> Result<(), StoreError> {
    if facts.is_empty() {
        return Ok(());
    }
    let sql = "-- odoo::contact::note_facts
        INSERT INTO wabridge.contact_fact (contact_id, field, at, value)
        SELECT i.contact_id, i.field, i.at, i.value
        FROM unnest($1::int4[], $2::text[], $3::timestamp[], $4::text[]) AS i(contact_id, field, at, value)
        ORDER BY i.contact_id, i.field
        ON CONFLICT (contact_id, field) DO UPDATE SET at = EXCLUDED.at, value = EXCLUDED.value";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(
            &statement,
            &[
                /* contact_id */ &facts.iter().map(|f| f.0).collect::<Vec<_>>(),
                /* field */ &facts.iter().map(|f| f.1).collect::<Vec<_>>(),
                /* at */ &facts.iter().map(|f| f.2).collect::<Vec<_>>(),
                /* value */ &facts.iter().map(|f| f.3.as_deref()).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(())
}
