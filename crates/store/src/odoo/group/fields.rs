//! What a group is called and how it is set: of two values the one of the highest (time, event id) stays.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;
use jiff::civil::DateTime;

use super::Told;
use crate::StoreError;
use crate::odoo::{Text, second, text};

/// Columns of `whatsapp_group`, in the order of [`Values`].
const FIELDS: [&str; 8] = [
    "name",
    "description",
    "picture",
    "invite_link",
    "only_admins_send",
    "only_admins_edit",
    "join_approval",
    "is_active",
];
const NAME: &str = FIELDS[0];
const TEXTS: usize = 4;

/// The columns of a row; `true` and `false` as words.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Values([Option<String>; 8]);

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

/// When a value was told, by which event, and the value; None takes it away.
type New<'a> = (DateTime, &'a str, Option<Text<'a>>);

/// What is told of each field, and whether only a message told it, in passing.
#[derive(Debug, Default)]
pub(super) struct News<'a>(BTreeMap<&'static str, (New<'a>, bool)>);

impl<'a> News<'a> {
    pub fn of(told: &[Told<'a>]) -> Self {
        let mut news = Self::default();
        for told in told {
            let at = second(told.seen.at);
            if let Some(name) = told.seen.name.and_then(text) {
                news.take(NAME, (at, "", Some(name)), true);
            }
            let Some(update) = told.update else { continue };
            let texts = [&update.name, &update.description, &update.picture, &update.invite_link];
            for (field, value) in FIELDS.into_iter().zip(texts) {
                // A group always has a name: an empty one says nothing.
                if let Some(value) = value.as_deref().filter(|v| field != NAME || !v.is_empty()) {
                    news.take(field, (at, &update.event_id, text(value)), false);
                }
            }
            let flags = [
                update.only_admins_send,
                update.only_admins_edit,
                update.join_approval,
                update.is_active,
            ];
            for (field, yes) in FIELDS.into_iter().skip(TEXTS).zip(flags) {
                if let Some(yes) = yes {
                    let word = Text::Borrowed(if yes { "true" } else { "false" });
                    news.take(field, (at, &update.event_id, Some(word)), false);
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
}

/// Writes what is new: (account, row id) of the rows that changed. Rows that would stay as they are, as read before,
/// are not touched.
pub(super) async fn write(
    client: &impl GenericClient,
    rows: &[(i32, Values, News<'_>)],
) -> Result<Vec<(i32, i32)>, StoreError> {
    let differs = |values: &Values, news: &News<'_>| {
        FIELDS.iter().zip(&values.0).any(|(field, current)| {
            news.0.get(field).is_some_and(|((_, _, value), in_passing)| {
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
        return Ok(vec![]);
    }
    let mut states = read(client, &wanted.keys().copied().collect::<Vec<_>>()).await?;
    let stale: Vec<i32> = states
        .iter()
        .filter(|(id, state)| wanted.get(id).is_some_and(|news| !state.to_take(news).is_empty()))
        .map(|(id, _)| *id)
        .collect();
    if stale.is_empty() {
        return Ok(vec![]);
    }
    lock(client, &stale).await?;
    // Only a statement of its own sees what the former holders of the locks wrote.
    states = read(client, &stale).await?;
    let mut facts = Vec::new();
    let mut changed = Vec::new();
    for (id, state) in &mut states {
        let Some(news) = wanted.get(id) else { continue };
        let before = state.values.clone();
        for (n, (at, event, value)) in state.to_take(news) {
            state.values.0[n] = value.as_deref().map(str::to_owned);
            let told = value.as_deref().filter(|_| FIELDS[n] == NAME).map(str::to_owned);
            facts.push((*id, FIELDS[n], at, event, told));
        }
        if state.values != before {
            changed.push((state.configuration_id, *id, state.values.clone()));
        }
    }
    note_facts(client, &facts).await?;
    put(client, &changed).await?;
    Ok(changed.iter().map(|(account, id, _)| (*account, *id)).collect())
}

/// Locks groups in the order of their ids.
pub(super) async fn lock(client: &impl GenericClient, ids: &[i32]) -> Result<(), StoreError> {
    let sql = "-- odoo::group::lock
        SELECT g.id FROM public.whatsapp_group g WHERE g.id = ANY($1) ORDER BY g.id FOR NO KEY UPDATE OF g";
    let statement = client.prepare_cached(sql).await?;
    client.query(&statement, &[/* ids */ &ids]).await?;
    Ok(())
}

struct State {
    configuration_id: i32,
    values: Values,
    /// Of the latest message in the group.
    spoken_at: Option<DateTime>,
    facts: BTreeMap<String, (DateTime, String)>,
    /// The last name that the provider told.
    told_name: Option<String>,
}

impl State {
    /// Places of the fields that are to be taken over, with what.
    fn to_take<'n>(&self, news: &'n News<'_>) -> Vec<(usize, New<'n>)> {
        let takes = |n: usize, field: &str| {
            let ((at, event, value), in_passing) = news.0.get(field)?;
            let current = self.values.0[n].as_deref();
            if field == NAME
                && current.is_some()
                && self.told_name.is_some()
                && self.told_name.as_deref() != current
            {
                // Nobody told it: a user typed it. A synchronisation decides between the two.
                return None;
            }
            let known = self.facts.get(field).map(|(at, event)| (*at, event.as_str(), current));
            let later = known.is_none_or(|known| known < (*at, *event, value.as_deref()));
            // Every message brings the name along: a later one would have brought another.
            let latest = current.is_none() || self.spoken_at.is_none_or(|spoken| spoken <= *at);
            let wanted =
                if *in_passing { later && latest && value.as_deref() != current } else { later };
            wanted.then(|| (n, (*at, *event, value.clone())))
        };
        FIELDS.iter().enumerate().filter_map(|(n, field)| takes(n, field)).collect()
    }
}

async fn read(
    client: &impl GenericClient,
    ids: &[i32],
) -> Result<BTreeMap<i32, State>, StoreError> {
    let sql = "-- odoo::group::read
        SELECT g.id, g.configuration_id, g.name, g.description, g.picture, g.invite_link, g.only_admins_send,
               g.only_admins_edit, g.join_approval, g.is_active,
               (SELECT max(c.last_message_at) FROM public.whatsapp_chat c WHERE c.group_id = g.id),
               f.fields, f.times, f.events, f.told
        FROM public.whatsapp_group g
        CROSS JOIN LATERAL (
            SELECT coalesce(array_agg(f.field), '{}') AS fields, coalesce(array_agg(f.at), '{}') AS times,
                   coalesce(array_agg(f.event_id), '{}') AS events, coalesce(array_agg(f.value), '{}') AS told
            FROM wabridge.group_fact f WHERE f.group_id = g.id) f
        WHERE g.id = ANY($1)";
    let statement = client.prepare_cached(sql).await?;
    let state = |row: &tokio_postgres::Row| {
        let (fields, times, events, told): (
            Vec<String>,
            Vec<DateTime>,
            Vec<String>,
            Vec<Option<String>>,
        ) = (row.get(11), row.get(12), row.get(13), row.get(14));
        let told_name =
            fields.iter().zip(told).find(|(field, _)| *field == NAME).and_then(|(_, told)| told);
        let state = State {
            configuration_id: row.get(1),
            values: Values::read(row, 2),
            spoken_at: row.get(10),
            facts: fields.into_iter().zip(times.into_iter().zip(events)).collect(),
            told_name,
        };
        (row.get(0), state)
    };
    Ok(client.query(&statement, &[/* ids */ &ids]).await?.iter().map(state).collect())
}

async fn put(client: &impl GenericClient, rows: &[(i32, i32, Values)]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql = "-- odoo::group::put
        UPDATE public.whatsapp_group g
        SET name = i.name, description = i.description, picture = i.picture, invite_link = i.invite_link,
            only_admins_send = i.only_admins_send::boolean, only_admins_edit = i.only_admins_edit::boolean,
            join_approval = i.join_approval::boolean, is_active = i.is_active::boolean,
            synced_at = coalesce(wabridge.synced_at(), g.synced_at),
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        FROM unnest($1::int4[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                    $9::text[])
             AS i(id, name, description, picture, invite_link, only_admins_send, only_admins_edit, join_approval,
                  is_active)
        WHERE g.id = i.id";
    let column = |n: usize| rows.iter().map(|(_, _, v)| v.0[n].as_deref()).collect::<Vec<_>>();
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(
            &statement,
            &[
                /* id */ &rows.iter().map(|(_, id, _)| *id).collect::<Vec<_>>(),
                /* name */ &column(0),
                /* description */ &column(1),
                /* picture */ &column(2),
                /* invite_link */ &column(3),
                /* only_admins_send */ &column(4),
                /* only_admins_edit */ &column(5),
                /* join_approval */ &column(6),
                /* is_active */ &column(7),
            ],
        )
        .await?;
    Ok(())
}

/// (group, field, when, by which event, and of a name: what)
pub(in crate::odoo) type Fact<'a> = (i32, &'static str, DateTime, &'a str, Option<String>);

pub(in crate::odoo) async fn note_facts(
    client: &impl GenericClient,
    facts: &[Fact<'_>],
) -> Result<(), StoreError> {
    if facts.is_empty() {
        return Ok(());
    }
    let sql = "-- odoo::group::note_facts
        INSERT INTO wabridge.group_fact AS f (group_id, field, at, event_id, value)
        SELECT i.group_id, i.field, i.at, i.event_id, i.value
        FROM unnest($1::int4[], $2::text[], $3::timestamp[], $4::text[], $5::text[])
             AS i(group_id, field, at, event_id, value)
        ORDER BY i.group_id, i.field
        ON CONFLICT (group_id, field) DO UPDATE SET at = EXCLUDED.at, event_id = EXCLUDED.event_id, value = EXCLUDED.value
        WHERE (f.at, f.event_id) < (EXCLUDED.at, EXCLUDED.event_id)";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(
            &statement,
            &[
                /* group_id */ &facts.iter().map(|f| f.0).collect::<Vec<_>>(),
                /* field */ &facts.iter().map(|f| f.1).collect::<Vec<_>>(),
                /* at */ &facts.iter().map(|f| f.2).collect::<Vec<_>>(),
                /* event_id */ &facts.iter().map(|f| f.3).collect::<Vec<_>>(),
                /* value */ &facts.iter().map(|f| f.4.as_deref()).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(())
}
