//! `whatsapp_audit_log` (operation, provider, success, response_time, error_message, timestamp, user_id,
//! configuration_id, request_id, address): who did what. Appended to; only the counter row of a minute of
//! refusals changes, see [`crate::refusal`].

use deadpool_postgres::GenericClient;

use crate::StoreError;

/// One row. Times are PostgreSQL's, so that rows of several daemons order well.
#[derive(Debug, Clone, Copy, Default)]
pub struct Entry<'a> {
    /// An RPC method's name, or a word of our own (`rpc.refused`, `credential.change`).
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
