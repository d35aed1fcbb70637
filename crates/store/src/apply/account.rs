//! Account states that webhooks tell, into `whatsapp_account_state` (configuration_id, state, reason, since,
//! log columns). A held account stays held: only a person ends that.

use std::collections::BTreeMap;

use jiff::Timestamp;
use wabridge_domain::event::{AccountUpdate, What};

use super::Item;
use crate::odoo::text;
use crate::{StoreError, Tx};

/// Writes the latest state of each account where it is new, with an event for Odoo. Returns the accounts
/// whose state changed.
pub(super) async fn apply(tx: &Tx<'_>, items: &[&Item]) -> Result<Vec<i32>, StoreError> {
    let mut latest: BTreeMap<i32, (Timestamp, &AccountUpdate)> = BTreeMap::new();
    for item in items {
        let What::Account(update) = &item.what else { continue };
        let at = update.at.unwrap_or(item.received_at);
        let kept = latest.entry(item.configuration_id).or_insert((at, update));
        // Of equal times the later one in the body counts.
        if at >= kept.0 {
            *kept = (at, update);
        }
    }
    if latest.is_empty() {
        return Ok(vec![]);
    }
    let sql = "-- apply::account
        WITH input AS MATERIALIZED (
            SELECT i.configuration_id, i.state, i.reason, date_trunc('second', i.at AT TIME ZONE 'UTC') AS at
            FROM unnest($1::int4[], $2::text[], $3::text[], $4::timestamptz[])
                 AS i(configuration_id, state, reason, at)),
        target AS MATERIALIZED (
            SELECT s.id, s.state AS former, i.state, i.reason, i.at
            FROM input i JOIN public.whatsapp_account_state s ON s.configuration_id = i.configuration_id
            WHERE s.state IS DISTINCT FROM i.state AND s.state IS DISTINCT FROM 'held'
              AND coalesce(s.since <= i.at, true)
            ORDER BY s.id FOR NO KEY UPDATE OF s),
        changed AS (
            UPDATE public.whatsapp_account_state s SET state = t.state, reason = t.reason, since = t.at,
                   write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
            FROM target t WHERE s.id = t.id
            RETURNING s.configuration_id, t.former, s.state, s.reason),
        fresh AS (
            INSERT INTO public.whatsapp_account_state (configuration_id, state, reason, since,
                   create_uid, create_date, write_uid, write_date)
            SELECT i.configuration_id, i.state, i.reason, i.at,
                   1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
            FROM input i
            WHERE NOT EXISTS (SELECT 1 FROM public.whatsapp_account_state s
                              WHERE s.configuration_id = i.configuration_id)
            ORDER BY i.configuration_id
            ON CONFLICT (configuration_id) DO NOTHING
            RETURNING configuration_id, NULL::varchar AS former, state, reason),
        written AS (SELECT * FROM changed UNION ALL SELECT * FROM fresh),
        events AS (
            INSERT INTO public.whatsapp_event (kind, configuration_id, payload, phase, attempts,
                   create_uid, create_date, write_uid, write_date)
            SELECT 'account_state', w.configuration_id,
                   json_build_object('state', w.state, 'former', w.former, 'reason', w.reason)::text, 'new', 0,
                   1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
            FROM written w ORDER BY w.configuration_id)
        SELECT w.configuration_id FROM written w";
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx
        .query(
            &statement,
            &[
                /* configuration_id */ &latest.keys().copied().collect::<Vec<i32>>(),
                /* state */
                &latest.values().map(|(_, u)| u.state.as_str()).collect::<Vec<_>>(),
                /* reason */
                &latest
                    .values()
                    .map(|(_, u)| u.reason.as_deref().and_then(text))
                    .collect::<Vec<_>>(),
                /* at */ &latest.values().map(|(at, _)| *at).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
