//! `whatsapp_audit_log` (operation, provider, success, response_time, error_message, timestamp, user_id,
//! configuration_id, request_id, address): who did what. Appended to, unchained: [`crate::audit`] proves them
//! later. Only the counter row of a minute of refusals changes, see [`crate::refusal`], and what is erased.

use deadpool_postgres::GenericClient;

use crate::StoreError;

/// One row. Times are PostgreSQL's, so that rows of several daemons order well.
#[derive(Debug, Clone, Copy, Default)]
pub struct Entry<'a> {
    /// A word of the list in docs/PROTOCOL.md: an RPC method's name, or one of our own.
    pub operation: &'a str,
    pub provider: Option<&'a str>,
    pub success: bool,
    pub response_time_ms: f64,
    /// Names no secret, text or whole number: administrators read it.
    pub error_message: Option<&'a str>,
    /// None for the system (uid 1); an id that is no user is stored as none.
    pub user_id: Option<i32>,
    /// An id that is no account is stored as none.
    pub configuration_id: Option<i32>,
    pub request_id: Option<&'a str>,
    pub address: Option<&'a str>,
}

/// Inserts a row and returns its id.
///
/// # Errors
/// The database's.
pub async fn insert(client: &impl GenericClient, entry: &Entry<'_>) -> Result<i32, StoreError> {
    let sql = "-- odoo::audit_log::insert
        INSERT INTO public.whatsapp_audit_log (operation, provider, success, response_time, error_message,
               timestamp, user_id, configuration_id, request_id, address)
        VALUES ($1, $2, $3, $4::float8, $5, date_trunc('second', now() AT TIME ZONE 'UTC'),
                (SELECT u.id FROM public.res_users u WHERE u.id = $6 AND u.id <> 1),
                (SELECT c.id FROM public.whatsapp_configuration c WHERE c.id = $7), $8, $9)
        RETURNING id";
    let statement = client.prepare_cached(sql).await?;
    let row = client
        .query_one(
            &statement,
            &[
                /* operation */ &entry.operation,
                /* provider */ &entry.provider,
                /* success */ &entry.success,
                /* response_time */ &entry.response_time_ms,
                /* error_message */ &entry.error_message,
                /* user_id */ &entry.user_id,
                /* configuration_id */ &entry.configuration_id,
                /* request_id */ &entry.request_id,
                /* address */ &entry.address,
            ],
        )
        .await?;
    Ok(row.get(0))
}

/// Inserts rows with one statement, in their order.
///
/// # Errors
/// The database's.
pub async fn insert_all(
    client: &impl GenericClient,
    entries: &[Entry<'_>],
) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let sql = "-- odoo::audit_log::insert_all
        INSERT INTO public.whatsapp_audit_log (operation, provider, success, response_time, error_message,
               timestamp, user_id, configuration_id, request_id, address)
        SELECT e.operation, e.provider, e.success, e.response_time, e.error_message,
               date_trunc('second', now() AT TIME ZONE 'UTC'), u.id, c.id, e.request_id, e.address
        FROM unnest($1::text[], $2::text[], $3::boolean[], $4::float8[], $5::text[], $6::int4[], $7::int4[],
                    $8::text[], $9::text[]) WITH ORDINALITY
             AS e(operation, provider, success, response_time, error_message, user_id, configuration_id,
                  request_id, address, n)
        LEFT JOIN public.res_users u ON u.id = e.user_id AND u.id <> 1
        LEFT JOIN public.whatsapp_configuration c ON c.id = e.configuration_id
        ORDER BY e.n";
    let operation: Vec<&str> = entries.iter().map(|entry| entry.operation).collect();
    let provider: Vec<Option<&str>> = entries.iter().map(|entry| entry.provider).collect();
    let success: Vec<bool> = entries.iter().map(|entry| entry.success).collect();
    let response_time: Vec<f64> = entries.iter().map(|entry| entry.response_time_ms).collect();
    let error_message: Vec<Option<&str>> =
        entries.iter().map(|entry| entry.error_message).collect();
    let user_id: Vec<Option<i32>> = entries.iter().map(|entry| entry.user_id).collect();
    let configuration_id: Vec<Option<i32>> =
        entries.iter().map(|entry| entry.configuration_id).collect();
    let request_id: Vec<Option<&str>> = entries.iter().map(|entry| entry.request_id).collect();
    let address: Vec<Option<&str>> = entries.iter().map(|entry| entry.address).collect();
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(
            &statement,
            &[
                /* operation */ &operation,
                /* provider */ &provider,
                /* success */ &success,
                /* response_time */ &response_time,
                /* error_message */ &error_message,
                /* user_id */ &user_id,
                /* configuration_id */ &configuration_id,
                /* request_id */ &request_id,
                /* address */ &address,
            ],
        )
        .await?;
    Ok(())
}

/// A row for a synchronisation that has ended: in whose name, how long it took, and whether it was complete. Its
/// problems stand in the run itself.
///
/// # Errors
/// The database's.
pub async fn insert_run(client: &impl GenericClient, run_id: i32) -> Result<(), StoreError> {
    let sql = "-- odoo::audit_log::insert_run
        INSERT INTO public.whatsapp_audit_log (operation, provider, success, response_time, error_message,
               timestamp, user_id, configuration_id)
        SELECT 'sync.run', c.provider, r.state = 'done',
               greatest(extract(epoch FROM (now() AT TIME ZONE 'UTC') - r.started_at) * 1000, 0)::float8,
               CASE WHEN r.state <> 'done' THEN concat('run ', r.id, ': ', r.state) END,
               date_trunc('second', now() AT TIME ZONE 'UTC'), u.id, r.configuration_id
        FROM public.whatsapp_sync_run r
        JOIN public.whatsapp_configuration c ON c.id = r.configuration_id
        LEFT JOIN public.res_users u ON u.id = r.user_id AND u.id <> 1
        WHERE r.id = $1";
    client.execute(sql, &[/* run */ &run_id]).await?;
    Ok(())
}
