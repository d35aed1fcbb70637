//! Webhooks that name him go as a whole: what they brought is in Odoo's rows.

use super::{Counts, Person, add};
use crate::{StoreError, Tx};

pub(super) async fn erase(
    tx: &Tx<'_>,
    person: &Person,
    counts: &mut Counts,
) -> Result<(), StoreError> {
    // Bytes that are no text are shown as such: a body need not be UTF-8.
    let sql = "-- erase::journal::journal
        DELETE FROM wabridge.journal j
        WHERE j.configuration_id = ANY($1) AND encode(j.body, 'escape') ~ $2 RETURNING j.id";
    let rows =
        tx.query(sql, &[/* accounts */ &person.accounts, /* pattern */ &person.pattern]).await?;
    let mut ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    add(counts, "journal", rows.len() as u64);
    let sql = "-- erase::journal::kept
        DELETE FROM wabridge.journal_kept j
        WHERE j.configuration_id = ANY($1) AND encode(j.body, 'escape') ~ $2 RETURNING j.id";
    let rows =
        tx.query(sql, &[/* accounts */ &person.accounts, /* pattern */ &person.pattern]).await?;
    ids.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
    add(counts, "journal_kept", rows.len() as u64);
    let sql = "-- erase::journal::pending
        DELETE FROM wabridge.journal_pending p
        WHERE p.journal_id = ANY($1) OR (p.configuration_id = ANY($2) AND p.detail ~ $3)";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [
        /* ids */ &ids,
        /* accounts */ &person.accounts,
        /* pattern */ &person.pattern,
    ];
    add(counts, "journal_pending", tx.execute(sql, &params).await?);
    let sql = "-- erase::journal::quarantine
        DELETE FROM public.whatsapp_quarantine q
        WHERE q.journal_id = ANY($1::int8[]::text[]) OR (q.configuration_id = ANY($2) AND q.detail ~ $3)";
    add(counts, "whatsapp_quarantine", tx.execute(sql, &params).await?);
    Ok(())
}
