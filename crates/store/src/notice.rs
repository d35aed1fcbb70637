//! `wabridge.notice`: what became a row of `whatsapp_event` without a row of its own in Odoo (alerts, templates,
//! preferences), so that a repetition becomes none.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::StoreError;

/// Days after which a notice may come again.
pub const KEPT_DAYS: i32 = 30;

/// Something that Odoo's code is told once.
#[derive(Debug, Clone)]
pub struct New {
    pub configuration_id: i32,
    /// `whatsapp_event.kind`.
    pub kind: &'static str,
    /// `whatsapp_event.payload`.
    pub payload: Value,
    /// What makes it another one though the payload is equal: its time.
    pub told_at: String,
}

impl New {
    fn digest(&self) -> Vec<u8> {
        let mut hash = Sha256::new();
        for part in [self.kind, &self.payload.to_string(), &self.told_at] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.finalize().to_vec()
    }
}

/// Makes events of what is new; how many.
///
/// # Errors
/// The database's.
pub async fn tell(client: &impl GenericClient, notices: &[New]) -> Result<u64, StoreError> {
    let unique: BTreeMap<(i32, Vec<u8>), &New> =
        notices.iter().map(|notice| ((notice.configuration_id, notice.digest()), notice)).collect();
    if unique.is_empty() {
        return Ok(0);
    }
    let sql = "-- notice::tell
        WITH input AS MATERIALIZED (
            SELECT i.configuration_id, i.digest, i.kind, i.payload
            FROM unnest($1::int4[], $2::bytea[], $3::text[], $4::text[]) AS i(configuration_id, digest, kind, payload)),
        fresh AS (
            INSERT INTO wabridge.notice (configuration_id, digest)
            SELECT i.configuration_id, i.digest FROM input i
            WHERE NOT EXISTS (SELECT 1 FROM wabridge.notice n WHERE n.configuration_id = i.configuration_id
                              AND n.digest = i.digest)
            ORDER BY i.configuration_id, i.digest
            ON CONFLICT (configuration_id, digest) DO NOTHING
            RETURNING configuration_id, digest)
        INSERT INTO public.whatsapp_event (kind, configuration_id, payload, phase, attempts,
               create_uid, create_date, write_uid, write_date)
        SELECT i.kind, i.configuration_id, i.payload, 'new', 0,
               1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
        FROM input i JOIN fresh f ON f.configuration_id = i.configuration_id AND f.digest = i.digest
        ORDER BY i.configuration_id, i.digest";
    let statement = client.prepare_cached(sql).await?;
    let written = client
        .execute(
            &statement,
            &[
                /* configuration_id */ &unique.keys().map(|k| k.0).collect::<Vec<_>>(),
                /* digest */ &unique.keys().map(|k| k.1.as_slice()).collect::<Vec<_>>(),
                /* kind */ &unique.values().map(|n| n.kind).collect::<Vec<_>>(),
                /* payload */
                &unique.values().map(|n| n.payload.to_string()).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(written)
}

/// Forgets notices of more than `days` days ago. Returns how many.
///
/// # Errors
/// The database's.
pub async fn expire(client: &impl GenericClient, days: i32) -> Result<u64, StoreError> {
    let sql = "-- notice::expire
        DELETE FROM wabridge.notice WHERE first_at < now() - make_interval(days => $1)";
    Ok(client.execute(sql, &[/* days */ &days]).await?)
}
