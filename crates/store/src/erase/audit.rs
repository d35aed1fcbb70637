//! Audit rows stay, the fields that name him are emptied: their digests keep the proof whole.

use wabridge_domain::audit::{AuditKey, ERASED, Field};

use super::{Counts, Person, add};
use crate::advisory::{Job, lock_tx};
use crate::{StoreError, Tx};

pub(super) async fn erase(
    tx: &Tx<'_>,
    person: &Person,
    key: Option<(i32, &AuditKey)>,
    counts: &mut Counts,
) -> Result<(), StoreError> {
    // Whoever seals a row sees it before or after, not between.
    lock_tx(tx, Job::Audit).await?;
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [
        /* accounts */ &person.accounts,
        /* pattern */ &person.pattern,
        /* erased */ &ERASED,
    ];
    let sql = "-- erase::audit::messages
        UPDATE public.whatsapp_audit_log a SET error_message = $3
        WHERE (a.configuration_id = ANY($1) OR a.configuration_id IS NULL) AND a.error_message ~ $2
        RETURNING a.id";
    let messages = tx.query(sql, &params).await?;
    let sql = "-- erase::audit::addresses
        UPDATE public.whatsapp_audit_log a SET address = $3
        WHERE (a.configuration_id = ANY($1) OR a.configuration_id IS NULL) AND a.address ~ $2
        RETURNING a.id";
    let addresses = tx.query(sql, &params).await?;
    for (field, rows) in [(Field::ErrorMessage, messages), (Field::Address, addresses)] {
        add(counts, "whatsapp_audit_log", rows.len() as u64);
        let Some((key_id, key)) = key else { continue };
        for row in rows {
            let id: i32 = row.get(0);
            let mac = key.erasure(id, field).to_vec();
            let sql = "-- erase::audit::note
                INSERT INTO wabridge.audit_erasure (row_id, field, key_id, mac) VALUES ($1, $2, $3, $4)
                ON CONFLICT (row_id, field) DO NOTHING";
            let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] = [
                /* row_id */ &id,
                /* field */ &field.as_str(),
                /* key_id */ &key_id,
                /* mac */ &mac,
            ];
            tx.execute(sql, &params).await?;
        }
    }
    Ok(())
}
