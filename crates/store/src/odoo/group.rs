//! `whatsapp_group` (all columns but wid; synced_at is written by synchronisations only), owned by the daemon. Members are in
//! [`super::group_member`].
//!
//! Of two values of a field the later one stays, by (time, event id) in `wabridge.group_fact`, whatever order they
//! come in. Lock order: after contacts, before chats and messages; by account and group id on insert, by row id
//! on update.

pub(super) mod fields;

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use wabridge_domain::event::GroupUpdate;

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

/// The same, with what only an update of a group tells.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    pub seen: Seen<'a>,
    pub update: Option<&'a GroupUpdate>,
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

/// Finds the rows of groups that a send names, and makes the missing ones.
///
/// # Errors
/// The database's.
pub async fn ensure(client: &impl GenericClient, groups: &[Seen<'_>]) -> Result<Known, StoreError> {
    let told: Vec<Told<'_>> =
        groups.iter().map(|seen| Told { seen: *seen, update: None }).collect();
    learn(client, &told).await
}

/// Finds the rows of groups that events name, makes the missing ones, and writes what is new. What is known already
/// is only read.
///
/// # Errors
/// The database's.
pub async fn learn(client: &impl GenericClient, told: &[Told<'_>]) -> Result<Known, StoreError> {
    let mut known = Known::default();
    let mut by_key: BTreeMap<(i32, &str), Vec<Told<'_>>> = BTreeMap::new();
    for one in told {
        by_key.entry((one.seen.configuration_id, one.seen.group_id)).or_default().push(*one);
    }
    if by_key.is_empty() {
        return Ok(known);
    }
    let groups: Vec<Seen<'_>> =
        by_key.values().filter_map(|told| told.first()).map(|told| told.seen).collect();
    let mut rows = find(client, &groups).await?;
    let missing: Vec<Seen<'_>> =
        groups.iter().zip(&rows).filter(|(_, row)| row.is_none()).map(|(seen, _)| *seen).collect();
    insert(client, &missing, &mut known).await?;
    if !missing.is_empty() {
        // Also those that another session was faster with.
        rows = find(client, &groups).await?;
    }
    let made: BTreeSet<i32> = known.written.iter().map(|(_, id)| *id).collect();
    let mut news = Vec::with_capacity(rows.len());
    for ((key, told), row) in by_key.iter().zip(rows) {
        let Some((id, values)) = row else {
            // Deleted between two statements: another try makes it again.
            return Err(StoreError::Busy("a group vanished while it was written".into()));
        };
        known.ids.insert((key.0, key.1.to_owned()), id);
        news.push((id, values, fields::News::of(told)));
    }
    if told.iter().any(|one| one.update.is_some()) {
        // Members are written later, and two lists of one group must not pass each other by.
        fields::lock(client, &news.iter().map(|(id, _, _)| *id).collect::<Vec<_>>()).await?;
    }
    let written = fields::write(client, &news).await?;
    known.written.extend(written.into_iter().filter(|(_, id)| !made.contains(id)));
    Ok(known)
}

fn column<'a, T>(groups: &[Seen<'a>], get: impl Fn(&Seen<'a>) -> T) -> Vec<T> {
    groups.iter().map(get).collect()
}

async fn find(
    client: &impl GenericClient,
    groups: &[Seen<'_>],
) -> Result<Vec<Option<(i32, fields::Values)>>, StoreError> {
    let sql = "-- odoo::group::find
        SELECT g.id, g.name, g.description, g.picture, g.invite_link, g.only_admins_send, g.only_admins_edit,
               g.join_approval, g.is_active
        FROM unnest($1::int4[], $2::text[]) WITH ORDINALITY AS i(configuration_id, group_id, no)
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
            ],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Some((row.get::<_, Option<i32>>(0)?, fields::Values::read(row, 1))))
        .collect())
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
        INSERT INTO public.whatsapp_group (configuration_id, group_id, provider, is_active, synced_at,
               create_uid, create_date, write_uid, write_date)
        SELECT i.configuration_id, i.group_id, i.provider, true, wabridge.synced_at(),
               1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
        FROM unnest($1::int4[], $2::text[], $3::text[]) AS i(configuration_id, group_id, provider)
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
