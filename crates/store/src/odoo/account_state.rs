//! `whatsapp_account_state` (configuration_id, state, reason, since; waiting_reason, waiting_until, waiting_count):
//! the state of an account as last seen, and why its messages wait.

use deadpool_postgres::GenericClient;
use wabridge_domain::account::AccountState;

use crate::StoreError;

/// Writes the state where it changed; true when it did. `since` is the time of the change.
///
/// # Errors
/// The database's; `Refused` where the account is gone.
pub async fn set(
    client: &impl GenericClient,
    configuration_id: i32,
    state: AccountState,
    reason: Option<&str>,
) -> Result<bool, StoreError> {
    // An update first: an insert that meets the row burns an id.
    let sql = "-- odoo::account_state::update
        UPDATE public.whatsapp_account_state
        SET since = CASE WHEN state IS DISTINCT FROM $2 THEN date_trunc('second', now() AT TIME ZONE 'UTC') ELSE since END,
            state = $2, reason = $3, write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        WHERE configuration_id = $1 AND (state IS DISTINCT FROM $2 OR reason IS DISTINCT FROM $3)";
    let reason = reason.filter(|text| !text.is_empty());
    let word = state.as_str();
    let changed = client
        .execute(
            sql,
            &[
                /* configuration_id */ &configuration_id,
                /* state */ &word,
                /* reason */ &reason,
            ],
        )
        .await?;
    if changed > 0 || get(client, configuration_id).await?.is_some() {
        return Ok(changed > 0);
    }
    let sql = "-- odoo::account_state::insert
        INSERT INTO public.whatsapp_account_state
               (configuration_id, state, reason, since, create_uid, create_date, write_uid, write_date)
        VALUES ($1, $2, $3, date_trunc('second', now() AT TIME ZONE 'UTC'),
                1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC')
        ON CONFLICT (configuration_id) DO NOTHING";
    let fresh = client
        .execute(
            sql,
            &[
                /* configuration_id */ &configuration_id,
                /* state */ &word,
                /* reason */ &reason,
            ],
        )
        .await?;
    Ok(fresh == 1)
}

/// What is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub state: AccountState,
    pub reason: Option<String>,
    pub since: Option<jiff::Timestamp>,
}

/// The stored state; None while nothing was seen yet.
///
/// # Errors
/// The database's.
pub async fn get(
    client: &impl GenericClient,
    configuration_id: i32,
) -> Result<Option<Stored>, StoreError> {
    let sql = "-- odoo::account_state::get
        SELECT state, reason, since AT TIME ZONE 'UTC' FROM public.whatsapp_account_state
        WHERE configuration_id = $1";
    let row = client.query_opt(sql, &[/* configuration_id */ &configuration_id]).await?;
    Ok(row.map(|row| Stored {
        state: row
            .get::<_, Option<String>>(0)
            .and_then(|word| AccountState::parse(&word))
            .unwrap_or(AccountState::New),
        reason: row.get(1),
        since: row.get(2),
    }))
}

/// Shows why messages wait, also of accounts of which nothing was seen yet; the accounts whose row was free.
///
/// # Errors
/// The database's.
pub async fn show_waiting(
    client: &impl GenericClient,
    waiting: &[crate::account_pace::Waiting],
) -> Result<Vec<i32>, StoreError> {
    // Looked for first: an insert that meets the row burns an id.
    let sql = "-- odoo::account_state::show_waiting
        WITH w AS (
            SELECT configuration_id, reason, until AT TIME ZONE 'UTC' AS until, count
            FROM unnest($1::int4[], $2::text[], $3::timestamptz[], $4::int4[]) AS w(configuration_id, reason, until, count)),
        free AS MATERIALIZED (
            SELECT id FROM public.whatsapp_account_state WHERE configuration_id = ANY($1)
            ORDER BY id FOR NO KEY UPDATE SKIP LOCKED),
        shown AS (
            UPDATE public.whatsapp_account_state t
            SET waiting_reason = w.reason, waiting_until = w.until, waiting_count = w.count,
                write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
            FROM w, free WHERE t.id = free.id AND t.configuration_id = w.configuration_id
            RETURNING t.configuration_id),
        made AS (
            INSERT INTO public.whatsapp_account_state
                   (configuration_id, state, since, waiting_reason, waiting_until, waiting_count,
                    create_uid, create_date, write_uid, write_date)
            SELECT w.configuration_id, 'new', date_trunc('second', now() AT TIME ZONE 'UTC'), w.reason, w.until, w.count,
                   1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
            FROM w WHERE w.reason IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM public.whatsapp_account_state t WHERE t.configuration_id = w.configuration_id)
            ORDER BY w.configuration_id
            ON CONFLICT (configuration_id) DO NOTHING
            RETURNING configuration_id)
        SELECT configuration_id FROM shown UNION ALL SELECT configuration_id FROM made";
    let rows = client
        .query(
            sql,
            &[
                /* accounts */
                &waiting.iter().map(|w| w.configuration_id).collect::<Vec<_>>(),
                /* reasons */
                &waiting.iter().map(|w| w.reason.as_deref()).collect::<Vec<_>>(),
                /* until */ &waiting.iter().map(|w| w.until).collect::<Vec<_>>(),
                /* count */ &waiting.iter().map(|w| w.count).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
