//! `ir_config_parameter` (key, value): settings that live in Odoo. Read only.

use crate::{Database, StoreError};

/// Public base URL of the webhooks, as providers reach it.
pub const PUBLIC_URL: &str = "whatsapp_integration.public_url";

/// The value of a system parameter; None when it is missing or empty.
///
/// # Errors
/// The database's.
pub async fn get(database: &Database, key: &str) -> Result<Option<String>, StoreError> {
    let sql = "-- odoo::parameter::get
        SELECT value FROM public.ir_config_parameter WHERE key = $1";
    let row = database.client().await?.query_opt(sql, &[/* key */ &key]).await?;
    let value = row.and_then(|row| row.get::<_, Option<String>>(0));
    Ok(value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()))
}
