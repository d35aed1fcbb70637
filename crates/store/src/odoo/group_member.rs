//! `whatsapp_group_member` (group_id, contact_id, role, state, log columns), owned by the daemon.
//!
//! Per member the highest (time, event id) wins, for state and role apart (`wabridge.member_fact`); a later full list
//! without somebody who had joined says that he left (`wabridge.group_fact`, field `members`). The rows follow from
//! these, so the order of events does not matter. Lock order: after groups, before chats; by group and contact.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use jiff::civil::DateTime;
use wabridge_domain::event::{MemberState, Role};

use super::group::fields::{Fact, note_facts};
use super::second;
use crate::StoreError;

/// The field of `wabridge.group_fact` that says when a full list was told last.
const LIST: &str = "members";

/// What is told of one member.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Row ids.
    pub group_id: i32,
    pub contact_id: i32,
    pub state: MemberState,
    /// None leaves it.
    pub role: Option<Role>,
    pub at: Timestamp,
    pub event_id: &'a str,
}

/// Everybody who is in a group was told.
#[derive(Debug, Clone, Copy)]
pub struct List<'a> {
    pub group_id: i32,
    pub at: Timestamp,
    pub event_id: &'a str,
}

type StateKey<'a> = (DateTime, &'a str, &'static str);

/// Takes changes in; the groups (row ids) in which a member row was written.
///
/// # Errors
/// The database's.
pub async fn apply(
    client: &impl GenericClient,
    changes: &[Change<'_>],
    lists: &[List<'_>],
) -> Result<Vec<i32>, StoreError> {
    if changes.is_empty() && lists.is_empty() {
        return Ok(vec![]);
    }
    let mut told: BTreeMap<(i32, i32), (StateKey<'_>, Option<StateKey<'_>>)> = BTreeMap::new();
    for change in changes {
        let at = second(change.at);
        let state = (at, change.event_id, change.state.as_str());
        let role = change.role.map(|role| (at, change.event_id, role.as_str()));
        let kept = told.entry((change.group_id, change.contact_id)).or_insert((state, role));
        kept.0 = kept.0.max(state);
        kept.1 = kept.1.max(role);
    }
    let mut touched = note(client, &told).await?;
    let mut latest: BTreeMap<i32, (DateTime, &str)> = BTreeMap::new();
    for list in lists {
        let key = (second(list.at), list.event_id);
        let kept = latest.entry(list.group_id).or_insert(key);
        *kept = (*kept).max(key);
    }
    let listed = unknown(client, &latest).await?;
    let facts: Vec<Fact<'_>> = latest
        .iter()
        .filter(|(group, _)| listed.contains(group))
        .map(|(group, (at, event))| (*group, LIST, *at, *event, None))
        .collect();
    note_facts(client, &facts).await?;
    let mut written: BTreeSet<i32> = refresh(client, &listed, None).await?.into_iter().collect();
    touched.retain(|(group, _)| !listed.contains(group));
    let (groups, contacts): (Vec<i32>, Vec<i32>) = touched.into_iter().unzip();
    written.extend(refresh(client, &groups, Some(&contacts)).await?);
    Ok(written.into_iter().collect())
}

/// Those groups of which a later list is told than the one that is known.
async fn unknown(
    client: &impl GenericClient,
    lists: &BTreeMap<i32, (DateTime, &str)>,
) -> Result<Vec<i32>, StoreError> {
    if lists.is_empty() {
        return Ok(vec![]);
    }
    let sql = "-- odoo::group_member::unknown_lists
        SELECT i.group_id FROM unnest($1::int4[], $2::timestamp[], $3::text[]) AS i(group_id, at, event_id)
        WHERE NOT EXISTS (SELECT 1 FROM wabridge.group_fact f WHERE f.group_id = i.group_id AND f.field = 'members'
                          AND (f.at, f.event_id) >= (i.at, i.event_id))
        ORDER BY i.group_id";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* group_id */ &lists.keys().copied().collect::<Vec<_>>(),
                /* at */ &lists.values().map(|(at, _)| *at).collect::<Vec<_>>(),
                /* event_id */ &lists.values().map(|(_, event)| *event).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Notes what is later than what is known: (group, contact) of those.
async fn note(
    client: &impl GenericClient,
    told: &BTreeMap<(i32, i32), (StateKey<'_>, Option<StateKey<'_>>)>,
) -> Result<Vec<(i32, i32)>, StoreError> {
    if told.is_empty() {
        return Ok(vec![]);
    }
    let sql = "-- odoo::group_member::note
        INSERT INTO wabridge.member_fact AS f (group_id, contact_id, state, state_at, state_event, role, role_at,
               role_event)
        SELECT i.group_id, i.contact_id, i.state, i.state_at, i.state_event, i.role, i.role_at, i.role_event
        FROM unnest($1::int4[], $2::int4[], $3::text[], $4::timestamp[], $5::text[], $6::text[], $7::timestamp[],
                    $8::text[])
             AS i(group_id, contact_id, state, state_at, state_event, role, role_at, role_event)
        WHERE NOT EXISTS (
            SELECT 1 FROM wabridge.member_fact f
            WHERE f.group_id = i.group_id AND f.contact_id = i.contact_id
              AND (f.state_at, f.state_event, f.state) >= (i.state_at, i.state_event, i.state)
              AND (i.role IS NULL OR (f.role_at, f.role_event, f.role) >= (i.role_at, i.role_event, i.role)))
        ORDER BY i.group_id, i.contact_id
        ON CONFLICT (group_id, contact_id) DO UPDATE
        SET (state, state_at, state_event) = (SELECT x.state, x.state_at, x.state_event FROM (VALUES
                (f.state, f.state_at, f.state_event),
                (EXCLUDED.state, EXCLUDED.state_at, EXCLUDED.state_event)) x(state, state_at, state_event)
                ORDER BY x.state_at DESC, x.state_event DESC, x.state DESC LIMIT 1),
            (role, role_at, role_event) = (SELECT x.role, x.role_at, x.role_event FROM (VALUES
                (f.role, f.role_at, f.role_event),
                (EXCLUDED.role, EXCLUDED.role_at, EXCLUDED.role_event)) x(role, role_at, role_event)
                ORDER BY x.role_at DESC NULLS LAST, x.role_event DESC, x.role DESC LIMIT 1)
        RETURNING f.group_id, f.contact_id";
    let states = || told.values().map(|(state, _)| state);
    let roles = || told.values().map(|(_, role)| role.as_ref());
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* group_id */ &told.keys().map(|(group, _)| *group).collect::<Vec<_>>(),
                /* contact_id */
                &told.keys().map(|(_, contact)| *contact).collect::<Vec<_>>(),
                /* state */ &states().map(|s| s.2).collect::<Vec<_>>(),
                /* state_at */ &states().map(|s| s.0).collect::<Vec<_>>(),
                /* state_event */ &states().map(|s| s.1).collect::<Vec<_>>(),
                /* role */ &roles().map(|r| r.map(|r| r.2)).collect::<Vec<_>>(),
                /* role_at */ &roles().map(|r| r.map(|r| r.0)).collect::<Vec<_>>(),
                /* role_event */ &roles().map(|r| r.map(|r| r.1)).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Moves what is known of contact $2 as a member to contact $1.
pub(super) const ABSORB_FACTS: &str = "-- odoo::group_member::absorb_facts
    WITH gone AS (
        DELETE FROM wabridge.member_fact WHERE contact_id = $2
        RETURNING group_id, state, state_at, state_event, role, role_at, role_event)
    INSERT INTO wabridge.member_fact AS f (group_id, contact_id, state, state_at, state_event, role, role_at,
           role_event)
    SELECT g.group_id, $1, g.state, g.state_at, g.state_event, g.role, g.role_at, g.role_event
    FROM gone g ORDER BY g.group_id
    ON CONFLICT (group_id, contact_id) DO UPDATE
    SET (state, state_at, state_event) = (SELECT x.state, x.state_at, x.state_event FROM (VALUES
            (f.state, f.state_at, f.state_event),
            (EXCLUDED.state, EXCLUDED.state_at, EXCLUDED.state_event)) x(state, state_at, state_event)
            ORDER BY x.state_at DESC, x.state_event DESC, x.state DESC LIMIT 1),
        (role, role_at, role_event) = (SELECT x.role, x.role_at, x.role_event FROM (VALUES
            (f.role, f.role_at, f.role_event),
            (EXCLUDED.role, EXCLUDED.role_at, EXCLUDED.role_event)) x(role, role_at, role_event)
            ORDER BY x.role_at DESC NULLS LAST, x.role_event DESC, x.role DESC LIMIT 1)";

/// Writes the member rows of these contacts as they follow from what is known.
///
/// # Errors
/// The database's.
pub async fn refresh_of(client: &impl GenericClient, contacts: &[i32]) -> Result<(), StoreError> {
    let sql = "-- odoo::group_member::groups_of
        SELECT f.group_id, f.contact_id FROM wabridge.member_fact f WHERE f.contact_id = ANY($1) ORDER BY 1, 2";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[/* contacts */ &contacts]).await?;
    let (groups, contacts): (Vec<i32>, Vec<i32>) =
        rows.iter().map(|row| (row.get::<_, i32>(0), row.get::<_, i32>(1))).unzip();
    refresh(client, &groups, Some(&contacts)).await?;
    Ok(())
}

/// Writes the member rows of these groups, or of these members of them, as they follow from what is known; the
/// groups in which something was written.
async fn refresh(
    client: &impl GenericClient,
    groups: &[i32],
    contacts: Option<&[i32]>,
) -> Result<Vec<i32>, StoreError> {
    if groups.is_empty() {
        return Ok(vec![]);
    }
    let sql = "-- odoo::group_member::refresh
        WITH wanted AS MATERIALIZED (
            SELECT f.group_id, f.contact_id, coalesce(f.role, 'member') AS role,
                   CASE WHEN f.state = 'joined' AND (l.at, l.event_id) > (f.state_at, f.state_event)
                        THEN 'left' ELSE f.state END AS state
            FROM wabridge.member_fact f
            LEFT JOIN wabridge.group_fact l ON l.group_id = f.group_id AND l.field = 'members'
            WHERE CASE WHEN $2::int4[] IS NULL THEN f.group_id = ANY($1)
                  ELSE (f.group_id, f.contact_id) IN (SELECT i.g, i.c FROM unnest($1::int4[], $2::int4[]) AS i(g, c)) END),
        target AS MATERIALIZED (
            SELECT m.id, w.role, w.state FROM wanted w JOIN public.whatsapp_group_member m
                 ON m.group_id = w.group_id AND m.contact_id = w.contact_id
            WHERE m.role IS DISTINCT FROM w.role OR m.state IS DISTINCT FROM w.state
            ORDER BY m.group_id, m.contact_id FOR NO KEY UPDATE OF m),
        changed AS (
            UPDATE public.whatsapp_group_member m SET role = t.role, state = t.state, write_uid = 1,
                   write_date = now() AT TIME ZONE 'UTC'
            FROM target t WHERE m.id = t.id
            RETURNING m.group_id),
        fresh AS (
            INSERT INTO public.whatsapp_group_member (group_id, contact_id, role, state,
                   create_uid, create_date, write_uid, write_date)
            SELECT w.group_id, w.contact_id, w.role, w.state, 1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
            FROM wanted w
            WHERE NOT EXISTS (SELECT 1 FROM public.whatsapp_group_member m
                              WHERE m.group_id = w.group_id AND m.contact_id = w.contact_id)
            ORDER BY w.group_id, w.contact_id
            ON CONFLICT (group_id, contact_id) DO NOTHING
            RETURNING group_id)
        SELECT c.group_id FROM changed c UNION SELECT f.group_id FROM fresh f";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[/* groups */ &groups, /* contacts */ &contacts]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
