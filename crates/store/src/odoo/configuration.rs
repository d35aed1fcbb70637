//! `whatsapp_configuration`, owned by Odoo: read here, never written.
//!
//! Columns: see [`crate::schema::COLUMNS`].

use crate::{Database, StoreError};

/// One account as Odoo stores it; secrets are sealed.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub id: i32,
    pub name: Option<String>,
    pub provider: String,
    pub channel_id: Option<String>,
    pub active: bool,
    pub sequence: i32,
    pub company_id: Option<i32>,
    pub seal_uuid: Option<String>,
    pub token: Option<String>,
    pub webhook_token: Option<String>,
    pub webhook_secret: Option<String>,
    pub app_secret: Option<String>,
    pub verify_token: Option<String>,
    /// What these three replaced, sealed for their columns; None once it is not accepted any more.
    pub webhook_token_former: Option<String>,
    pub webhook_secret_former: Option<String>,
    pub app_secret_former: Option<String>,
    pub base_url: Option<String>,
    pub webhook_header: Option<String>,
    pub auth_mode: Option<String>,
    /// ISO code of the account's country, for numbers typed the national way.
    pub country: Option<String>,
    /// 0 = no limit; None = the provider's default.
    pub pace_per_second: Option<f64>,
    pub daily_limit: i32,
    pub uncertain_policy: Option<String>,
    pub undo_s: i32,
    /// Seconds, 0 = none.
    pub random_gap_min_s: f64,
    pub random_gap_max_s: f64,
    pub recipient_gap_s: f64,
    /// 0 = never.
    pub failure_burst: i32,
    pub window_policy: Option<String>,
    /// JSON, of custom providers.
    pub custom_mapping: Option<String>,
}

/// All accounts, archived ones included (their webhooks are still theirs).
///
/// # Errors
/// The database's.
pub async fn all(database: &Database) -> Result<Vec<Row>, StoreError> {
    let sql = "-- odoo::configuration::all
        SELECT c.id, c.name, c.provider, c.channel_id, coalesce(c.active, false), coalesce(c.sequence, 10),
               c.company_id, c.seal_uuid, c.token, c.webhook_token, c.webhook_secret, c.app_secret,
               c.verify_token, c.base_url, c.webhook_header, c.auth_mode, k.code,
               c.pace_per_second::float8, coalesce(c.daily_limit, 0), c.uncertain_policy, coalesce(c.undo_s, 0),
               c.custom_mapping, coalesce(c.random_gap_min_s, 0)::float8, coalesce(c.random_gap_max_s, 0)::float8,
               coalesce(c.recipient_gap_s, 0)::float8, coalesce(c.failure_burst, 0), c.window_policy,
               CASE WHEN c.former_until > now() AT TIME ZONE 'UTC' THEN c.webhook_token_former END,
               CASE WHEN c.former_until > now() AT TIME ZONE 'UTC' THEN c.webhook_secret_former END,
               CASE WHEN c.former_until > now() AT TIME ZONE 'UTC' THEN c.app_secret_former END
        FROM public.whatsapp_configuration c LEFT JOIN public.res_country k ON k.id = c.country_id
        ORDER BY coalesce(c.sequence, 10), c.id";
    let rows = database.client().await?.query(sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| Row {
            id: row.get(0),
            name: row.get(1),
            provider: row.get::<_, Option<String>>(2).unwrap_or_default(),
            channel_id: row.get(3),
            active: row.get(4),
            sequence: row.get(5),
            company_id: row.get(6),
            seal_uuid: row.get(7),
            token: row.get(8),
            webhook_token: row.get(9),
            webhook_secret: row.get(10),
            app_secret: row.get(11),
            verify_token: row.get(12),
            base_url: row.get(13),
            webhook_header: row.get(14),
            auth_mode: row.get(15),
            country: row.get(16),
            pace_per_second: row.get(17),
            daily_limit: row.get(18),
            uncertain_policy: row.get(19),
            undo_s: row.get(20),
            custom_mapping: row.get(21),
            random_gap_min_s: row.get(22),
            random_gap_max_s: row.get(23),
            recipient_gap_s: row.get(24),
            failure_burst: row.get(25),
            window_policy: row.get(26),
            webhook_token_former: row.get(27),
            webhook_secret_former: row.get(28),
            app_secret_former: row.get(29),
        })
        .collect())
}

/// The account whose row has this `seal_uuid`, with its provider's word; None while the row is not committed.
///
/// # Errors
/// The database's.
pub async fn of_seal_uuid(
    database: &Database,
    seal_uuid: &str,
) -> Result<Option<(i32, String)>, StoreError> {
    let sql = "-- odoo::configuration::of_seal_uuid
        SELECT c.id, c.provider FROM public.whatsapp_configuration c WHERE c.seal_uuid = $1 ORDER BY c.id LIMIT 1";
    let row = database.client().await?.query_opt(sql, &[/* seal_uuid */ &seal_uuid]).await?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}
