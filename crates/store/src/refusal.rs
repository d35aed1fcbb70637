//! `wabridge.refusal_minute`: unauthenticated requests, counted by minute and zone over all daemons. Each has
//! one row in `whatsapp_audit_log`, whose text holds the count and changes until the minute is over.

use crate::odoo::audit_log::{self, Entry};
use crate::{StoreError, Tx};

/// Adds `count` refusals to the minute that began at `minute` (unix seconds) and brings its audit row up to date.
///
/// # Errors
/// The database's.
pub async fn add(tx: &Tx<'_>, minute: i64, zone: &str, count: i64) -> Result<(), StoreError> {
    let sql = "-- refusal::add
        INSERT INTO wabridge.refusal_minute AS r (minute, zone, count) VALUES (to_timestamp($1::float8), $2, $3)
        ON CONFLICT (minute, zone) DO UPDATE SET count = r.count + EXCLUDED.count
        RETURNING r.count, r.audit_id";
    #[expect(clippy::cast_precision_loss, reason = "unix seconds fit a double exactly")]
    let minute = minute as f64;
    let row =
        tx.query_one(sql, &[/* minute */ &minute, /* zone */ &zone, /* count */ &count]).await?;
    let (total, audit_id): (i64, Option<i32>) = (row.get(0), row.get(1));
    let message = format!("{total} unauthenticated requests refused in this minute");
    match audit_id {
        Some(id) => {
            let sql = "-- refusal::update_audit
                UPDATE public.whatsapp_audit_log SET error_message = $2 WHERE id = $1";
            tx.execute(sql, &[/* id */ &id, /* error_message */ &message]).await?;
        }
        None => {
            let operation = format!("{zone}.unauthenticated");
            let entry =
                Entry { operation: &operation, error_message: Some(&message), ..Entry::default() };
            let id = audit_log::insert(tx, &entry).await?;
            let sql = "-- refusal::set_audit
                UPDATE wabridge.refusal_minute SET audit_id = $3
                WHERE minute = to_timestamp($1::float8) AND zone = $2";
            tx.execute(sql, &[/* minute */ &minute, /* zone */ &zone, /* audit_id */ &id]).await?;
        }
    }
    Ok(())
}

/// Forgets counters older than a day; their audit rows stay.
///
/// # Errors
/// The database's.
pub async fn collect(tx: &Tx<'_>) -> Result<u64, StoreError> {
    let sql = "-- refusal::collect
        DELETE FROM wabridge.refusal_minute WHERE minute < now() - interval '1 day'";
    Ok(tx.execute(sql, &[]).await?)
}
