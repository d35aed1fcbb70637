//! Our own reference, `wabridge:<database>:<message row>:<attempt>`, as providers echo it with a message or a status:
//! it names the row that the event is about. A row without the provider's id gets it by that, so that everything
//! else finds it; of a row with another id (the send was repeated) the events go on under the row's own.

use std::collections::{BTreeMap, BTreeSet};

use wabridge_domain::event::What;

use super::Item;
use crate::odoo::{Text, message_out, text};
use crate::{StoreError, Tx, outbox};

/// An event that names one of our rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Named<'a> {
    configuration_id: i32,
    row: i32,
    attempt: i32,
    /// The provider's id of the message.
    message_id: Text<'a>,
}

fn named<'a>(item: &'a Item) -> Option<Named<'a>> {
    let (reference, message_id) = match &item.what {
        What::Message(message) if message.from_me => (&message.reference, &message.message_id),
        What::Status(status) => (&status.reference, &status.message_id),
        _ => return None,
    };
    let (row, attempt) = numbers(reference.as_deref()?)?;
    let message_id = text(message_id)?;
    Some(Named { configuration_id: item.configuration_id, row, attempt, message_id })
}

/// Row and attempt of a reference of ours. Whose database it names is checked where events are routed.
pub fn numbers(reference: &str) -> Option<(i32, i32)> {
    let mut parts = reference.strip_prefix("wabridge:")?.rsplitn(3, ':');
    let attempt = parts.next()?.parse().ok()?;
    let row = parts.next()?.parse().ok()?;
    parts.next().filter(|database| !database.is_empty())?;
    Some((row, attempt))
}

/// What references came to.
#[derive(Debug, Default)]
pub(super) struct Claimed {
    /// (account, row id) of messages that were written.
    pub changed: Vec<(i32, i32)>,
    /// (account, the provider's id) of rows that have it from now on.
    pub fresh: Vec<(i32, String)>,
    /// (account, the id of an event) -> the id of the row it is about.
    aliases: BTreeMap<(i32, String), String>,
}

impl Claimed {
    /// The item under the id of its row, where that is another.
    pub fn renamed(&self, item: &Item) -> Option<Item> {
        if self.aliases.is_empty() {
            return None;
        }
        let mut item = item.clone();
        let id = match &mut item.what {
            What::Message(message) => &mut message.message_id,
            What::Status(status) => &mut status.message_id,
            _ => return None,
        };
        let own = self.aliases.get(&(item.configuration_id, id.clone()))?;
        id.clone_from(own);
        Some(item)
    }
}

/// True where [`claim`] has something to look at.
pub(super) fn any(items: &[&Item]) -> bool {
    items.iter().any(|item| named(item).is_some())
}

/// A row that events name: its id, and the provider's id that it has.
type Rows = BTreeMap<i32, (i32, Option<String>)>;

/// Gives rows the ids that events name them by. The caller holds the chats.
///
/// # Errors
/// The database's.
pub(super) async fn claim(tx: &Tx<'_>, items: &[&Item]) -> Result<Claimed, StoreError> {
    let mut claimed = Claimed::default();
    // The last attempt first: a repeated send is known by the id of its last call.
    let mut wanted: Vec<Named<'_>> = items.iter().filter_map(|item| named(item)).collect();
    wanted.sort_by(|a, b| b.cmp(a));
    wanted.dedup();
    let attempts: Vec<(i32, i32)> = wanted.iter().map(|named| (named.row, named.attempt)).collect();
    // Once a person had a message sent again, what is said of the calls before is not said of it any more.
    let former = outbox::of_former_series(tx, &attempts).await?;
    wanted.retain(|named| !former.contains(&(named.row, named.attempt)));
    let ids: BTreeSet<i32> = wanted.iter().map(|named| named.row).collect();
    let ids: Vec<i32> = ids.into_iter().collect();
    let mut rows = read(tx, &ids).await?;
    let nameless: Vec<i32> =
        rows.iter().filter(|(_, (_, id))| id.is_none()).map(|(row, _)| *row).collect();
    if !nameless.is_empty() {
        lock(tx, items, &nameless).await?;
        rows = read(tx, &ids).await?;
    }
    let mut calls = Vec::new();
    for one in &wanted {
        let Some((account, id)) = rows.get_mut(&one.row) else { continue };
        if *account != one.configuration_id {
            continue;
        }
        calls.push((one.row, one.attempt, &*one.message_id));
        match id {
            None => {
                inherit(tx, one).await?;
                *id = Some(one.message_id.to_string());
                claimed.changed.push((one.configuration_id, one.row));
                claimed.fresh.push((one.configuration_id, one.message_id.to_string()));
            }
            Some(id) if *id != one.message_id => {
                let key = (one.configuration_id, one.message_id.to_string());
                claimed.aliases.insert(key, id.clone());
            }
            Some(_) => {}
        }
    }
    note_calls(tx, &calls).await?;
    Ok(claimed)
}

async fn read(tx: &Tx<'_>, ids: &[i32]) -> Result<Rows, StoreError> {
    let sql = "-- apply::reference::read
        SELECT m.id, m.configuration_id, m.message_id FROM public.whatsapp_message m
        WHERE m.id = ANY($1) AND m.direction = 'outbound'";
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx.query(&statement, &[/* ids */ &ids]).await?;
    Ok(rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect())
}

/// Locks the rows together with all messages that this batch may change later: in one order, once.
async fn lock(tx: &Tx<'_>, items: &[&Item], rows: &[i32]) -> Result<(), StoreError> {
    let (accounts, ids): (Vec<i32>, Vec<&str>) = items
        .iter()
        .filter_map(|item| {
            let id = match &item.what {
                What::Message(message) => &message.message_id,
                What::Status(status) => &status.message_id,
                What::Edit(edit) => &edit.message_id,
                _ => return None,
            };
            Some((item.configuration_id, id.as_str()))
        })
        .unzip();
    let sql = "-- apply::reference::lock
        SELECT m.id FROM public.whatsapp_message m
        WHERE m.id IN (
            SELECT unnest($1::int4[])
            UNION
            SELECT t.id FROM unnest($2::int4[], $3::text[]) AS i(configuration_id, message_id)
            JOIN public.whatsapp_message t
                 ON t.configuration_id = i.configuration_id AND t.message_id = i.message_id)
        ORDER BY m.id FOR NO KEY UPDATE OF m";
    let statement = tx.prepare_cached(sql).await?;
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [/* rows */ &rows, /* configuration_id */ &accounts, /* message_id */ &ids];
    tx.query(&statement, &params).await?;
    Ok(())
}

/// Gives one row its id. Where an echo without a reference became a row before, that row goes into this one.
async fn inherit(tx: &Tx<'_>, one: &Named<'_>) -> Result<(), StoreError> {
    let sql = "-- apply::reference::inherit
        UPDATE public.whatsapp_message o
        SET pending_at = least(o.pending_at, t.pending_at), sent_at = least(o.sent_at, t.sent_at),
            delivered_at = least(o.delivered_at, t.delivered_at), read_at = least(o.read_at, t.read_at),
            played_at = least(o.played_at, t.played_at), failed_at = least(o.failed_at, t.failed_at),
            deleted_at = least(o.deleted_at, t.deleted_at),
            status = wabridge.message_status(least(o.deleted_at, t.deleted_at), least(o.played_at, t.played_at),
                least(o.read_at, t.read_at), least(o.delivered_at, t.delivered_at),
                least(o.failed_at, t.failed_at), least(o.sent_at, t.sent_at), least(o.pending_at, t.pending_at),
                o.uncertain_at, o.cancelled_at, o.queued_at),
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        FROM public.whatsapp_message t
        WHERE o.id = $1 AND t.configuration_id = $2 AND t.message_id = $3 AND t.id <> o.id
        RETURNING t.id";
    let message_id = &*one.message_id;
    let statement = tx.prepare_cached(sql).await?;
    let twin = tx
        .query_opt(
            &statement,
            &[
                /* id */ &one.row,
                /* configuration_id */ &one.configuration_id,
                /* message_id */ &message_id,
            ],
        )
        .await?;
    if let Some(twin) = twin {
        message_out::absorb(tx, twin.get(0), one.row).await?;
    }
    let sql = "-- apply::reference::name
        UPDATE public.whatsapp_message m SET message_id = $2, write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        WHERE m.id = $1 AND m.message_id IS NULL";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(&statement, &[/* id */ &one.row, /* message_id */ &message_id]).await?;
    Ok(())
}

/// Notes the ids with the calls that made them: what settles an unknown outcome finds them there.
async fn note_calls(tx: &Tx<'_>, calls: &[(i32, i32, &str)]) -> Result<(), StoreError> {
    if calls.is_empty() {
        return Ok(());
    }
    let sql = "-- apply::reference::note_calls
        WITH target AS MATERIALIZED (
            SELECT t.id, i.message_id
            FROM unnest($1::int4[], $2::int4[], $3::text[]) AS i(row, number, message_id)
            JOIN wabridge.attempt t ON t.message_id = i.row AND t.number = i.number
            WHERE t.provider_message_id IS NULL AND coalesce(t.outcome, 'uncertain') IN ('uncertain', 'accepted')
            ORDER BY t.id FOR NO KEY UPDATE OF t)
        UPDATE wabridge.attempt t SET provider_message_id = g.message_id FROM target g WHERE t.id = g.id";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(
        &statement,
        &[
            /* row */ &calls.iter().map(|c| c.0).collect::<Vec<_>>(),
            /* number */ &calls.iter().map(|c| c.1).collect::<Vec<_>>(),
            /* message_id */ &calls.iter().map(|c| c.2).collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        assert_eq!(numbers("wabridge:demo:17:2"), Some((17, 2)));
        assert_eq!(numbers("wabridge:a:b:17:2"), Some((17, 2)), "a name with a colon");
        for other in
            ["wabridge:17:2", "wabridge::17:2", "bridge:demo:17:2", "wabridge:demo:x:2", ""]
        {
            assert_eq!(numbers(other), None, "{other}");
        }
    }
}
