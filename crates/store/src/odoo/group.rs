//! `whatsapp_group` (group_id, name, provider, is_active, configuration_id, log columns): WhatsApp groups as
//! far as messages tell of them, owned by the daemon.
//!
//! Lock order: after contacts, before chats and messages; by account and group id on insert, by row id on update.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;

use super::text;
use crate::StoreError;

/// What an event tells of a group.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub configuration_id: i32,
    pub provider: &'static str,
    /// The provider's id.
    pub group_id: &'a str,
    pub name: Option<&'a str>,
    /// When it was told, at the provider: of two names the later one stays.
    pub at: Timestamp,
}

/// The row of each group, and which of them were written.
#[derive(Debug, Default)]
pub struct Known {
    /// (account, provider's id) -> row id.
    pub ids: BTreeMap<(i32, String), i32>,
    /// (account, row id).
    pub written: Vec<(i32, i32)>,
}

impl Known {
    pub fn id(&self, configuration_id: i32, group_id: &str) -> Option<i32> {
        self.ids.get(&(configuration_id, group_id.to_owned())).copied()
    }
}

/// Finds the rows of `groups`, makes the missing ones, and writes a new name. What is known already is only read.
///
/// # Errors
/// The database's.
pub async fn ensure(client: &impl GenericClient, groups: &[Seen<'_>]) -> Result<Known, StoreError> {
    let mut known = Known::default();
    let mut wanted = newest(groups);
    let mut stale = Vec::new();
    for round in 0..2 {
        if wanted.is_empty() {
            break;
        }
        let mut missing = Vec::new();
        for (seen, found) in wanted.iter().zip(find(client, &wanted).await?) {
            match found {
                Some((id, changed)) => {
                    known.ids.insert((seen.configuration_id, seen.group_id.to_owned()), id);
                    if changed {
                        stale.push((id, *seen));
                    }
                }
                None => missing.push(*seen),
            }
        }
        if round == 0 {
            insert(client, &missing, &mut known).await?;
        }
        missing.retain(|seen| known.id(seen.configuration_id, seen.group_id).is_none());
        wanted = missing;
    }
    if !wanted.is_empty() {
        // Deleted between the rounds: another try makes them again.
        return Err(StoreError::Busy(format!(
            "{} groups vanished while they were written",
            wanted.len()
        )));
    }
    // After the inserts: whoever waits for another's new group holds no row that the other may want.
    rename(client, &stale, &mut known).await?;
    Ok(known)
}

/// One entry a group, sorted by key: the latest that has a name, else the latest.
fn newest<'a>(groups: &[Seen<'a>]) -> Vec<Seen<'a>> {
    let mut by_key: BTreeMap<(i32, &str), Seen<'a>> = BTreeMap::new();
    for seen in groups {
        let rank = |seen: &Seen<'_>| (seen.name.is_some(), seen.at);
        by_key
            .entry((seen.configuration_id, seen.group_id))
            .and_modify(|kept| {
                if rank(seen) > rank(kept) {
                    *kept = *seen;
                }
            })
            .or_insert(*seen);
    }
    by_key.into_values().collect()
}

fn column<'a, T>(groups: &[Seen<'a>], get: impl Fn(&Seen<'a>) -> T) -> Vec<T> {
    groups.iter().map(get).collect()
}

async fn find(
    client: &impl GenericClient,
    groups: &[Seen<'_>],
) -> Result<Vec<Option<(i32, bool)>>, StoreError> {
    let sql = "-- odoo::group::find
        SELECT g.id, coalesce(g.name IS DISTINCT FROM i.name AND i.name IS NOT NULL, false)
        FROM unnest($1::int4[], $2::text[], $3::text[]) WITH ORDINALITY AS i(configuration_id, group_id, name, no)
        LEFT JOIN public.whatsapp_group g
             ON g.configuration_id = i.configuration_id AND g.group_id = i.group_id
        ORDER BY i.no";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* configuration_id */ &column(groups, |g| g.configuration_id),
                /* group_id */ &column(groups, |g| text(g.group_id)),
                /* name */ &column(groups, |g| g.name.and_then(text)),
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get::<_, Option<i32>>(0).map(|id| (id, row.get(1)))).collect())
}

async fn insert(
    client: &impl GenericClient,
    groups: &[Seen<'_>],
    known: &mut Known,
) -> Result<(), StoreError> {
    if groups.is_empty() {
        return Ok(());
    }
    let sql = "-- odoo::group::insert
        INSERT INTO public.whatsapp_group (configuration_id, group_id, name, provider, is_active,
               create_uid, create_date, write_uid, write_date)
        SELECT i.configuration_id, i.group_id, i.name, i.provider, true,
               1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
        FROM unnest($1::int4[], $2::text[], $3::text[], $4::text[]) AS i(configuration_id, group_id, name, provider)
        ORDER BY i.configuration_id, i.group_id
        ON CONFLICT (configuration_id, group_id) DO NOTHING
        RETURNING configuration_id, group_id, id";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* configuration_id */ &column(groups, |g| g.configuration_id),
                /* group_id */ &column(groups, |g| text(g.group_id)),
                /* name */ &column(groups, |g| g.name.and_then(text)),
                /* provider */ &column(groups, |g| g.provider),
            ],
        )
        .await?;
    for row in &rows {
        let (configuration_id, group_id, id): (i32, String, i32) =
            (row.get(0), row.get(1), row.get(2));
        known.ids.insert((configuration_id, group_id), id);
        known.written.push((configuration_id, id));
    }
    Ok(())
}

async fn rename(
    client: &impl GenericClient,
    groups: &[(i32, Seen<'_>)],
    known: &mut Known,
) -> Result<(), StoreError> {
    if groups.is_empty() {
        return Ok(());
    }
    let ids: Vec<i32> = groups.iter().map(|(id, _)| *id).collect();
    // Locked by a statement of its own: the next one sees the messages of those we waited for.
    let lock = "-- odoo::group::lock
        SELECT g.id FROM public.whatsapp_group g WHERE g.id = ANY($1) ORDER BY g.id FOR NO KEY UPDATE";
    client.execute(&client.prepare_cached(lock).await?, &[/* id */ &ids]).await?;
    // A name is taken when no later message of the group is there: every order of arrival ends the same.
    let sql = "-- odoo::group::rename
        WITH target AS MATERIALIZED (
            SELECT g.id, i.name
            FROM unnest($1::int4[], $2::text[], $3::timestamptz[]) AS i(id, name, at)
            JOIN public.whatsapp_group g ON g.id = i.id
            WHERE g.name IS NULL OR g.name <> i.name AND NOT EXISTS (
                SELECT 1 FROM public.whatsapp_chat c WHERE c.group_id = g.id
                AND c.last_message_at > date_trunc('second', i.at AT TIME ZONE 'UTC'))
            ORDER BY g.id FOR NO KEY UPDATE OF g)
        UPDATE public.whatsapp_group g SET name = t.name, write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        FROM target t WHERE g.id = t.id
        RETURNING g.configuration_id, g.id";
    let statement = client.prepare_cached(sql).await?;
    let names: Vec<_> = groups.iter().map(|(_, seen)| seen.name.and_then(text)).collect();
    let times: Vec<Timestamp> = groups.iter().map(|(_, seen)| seen.at).collect();
    let rows =
        client.query(&statement, &[/* id */ &ids, /* name */ &names, /* at */ &times]).await?;
    known.written.extend(rows.iter().map(|row| (row.get::<_, i32>(0), row.get::<_, i32>(1))));
    Ok(())
}
