//! Does the addon's schema fit? Every table and column of Odoo that a statement of ours names is listed here.

use std::collections::{HashMap, HashSet};

use crate::{Database, StoreError};

/// Technical name of the addon.
pub const ADDON: &str = "whatsapp_integration";
/// Versions of the addon (without Odoo's series) that this program works with.
pub const SUPPORTED_ADDON_VERSIONS: &[&str] = &["5.0"];

/// (table, columns) that statements of ours read or write.
pub const COLUMNS: &[(&str, &[&str])] = &[
    (
        "whatsapp_configuration",
        &[
            "id",
            "name",
            "provider",
            "token",
            "channel_id",
            "supervisor_phone",
            "active",
            "sequence",
            "company_id",
            "webhook_token",
            "webhook_secret",
            "app_secret",
            "verify_token",
            "seal_uuid",
            "base_url",
            "webhook_header",
            "auth_mode",
            "country_id",
            "pace_per_second",
            "daily_limit",
            "conflict_policy",
            "uncertain_policy",
            "undo_s",
            "random_gap_min_s",
            "random_gap_max_s",
            "recipient_gap_s",
            "failure_burst",
            "stop_words",
            "stop_words_enabled",
            "window_policy",
            "custom_mapping",
        ],
    ),
    ("res_users_whatsapp_configuration_rel", &["whatsapp_configuration_id", "res_users_id"]),
    ("res_groups_whatsapp_configuration_rel", &["whatsapp_configuration_id", "res_groups_id"]),
    (
        "whatsapp_account_state",
        &[
            "id",
            "configuration_id",
            "state",
            "reason",
            "since",
            "waiting_reason",
            "waiting_until",
            "waiting_count",
        ],
    ),
    (
        "whatsapp_contact",
        &[
            "id",
            "contact_id",
            "phone",
            "name",
            "pushname",
            "provider",
            "is_wa_contact",
            "synced_at",
            "configuration_id",
            "partner_id",
            "opted_out",
            "opted_out_at",
            "opted_out_reason",
            "wa_checked_at",
            "lid",
            "username",
            "wa_user_id",
            "is_business",
            "is_blocked",
            "picture",
            "name_edited_at",
            "partner_chosen",
        ],
    ),
    (
        "whatsapp_group",
        &[
            "id",
            "group_id",
            "wid",
            "name",
            "description",
            "invite_link",
            "picture",
            "only_admins_send",
            "only_admins_edit",
            "join_approval",
            "provider",
            "is_active",
            "synced_at",
            "configuration_id",
            "name_edited_at",
        ],
    ),
    ("whatsapp_group_member", &["id", "group_id", "contact_id", "role", "state"]),
    (
        "whatsapp_chat",
        &[
            "id",
            "configuration_id",
            "chat_id",
            "name",
            "contact_id",
            "group_id",
            "last_message_id",
            "last_message_at",
            "last_inbound_at",
            "unread_count",
        ],
    ),
    (
        "whatsapp_message",
        &[
            "id",
            "message_id",
            "content",
            "message_type",
            "chat_id",
            "from_me",
            "status",
            "direction",
            "provider",
            "timestamp",
            "synced_at",
            "configuration_id",
            "contact_id",
            "group_id",
            "caption",
            "location",
            "forwarded",
            "edited_at",
            "media_id",
            "reply_to_id",
            "error_code",
            "error_message",
            "queued_at",
            "uncertain_at",
            "pending_at",
            "sent_at",
            "delivered_at",
            "read_at",
            "played_at",
            "failed_at",
            "deleted_at",
            "cancelled_at",
            "user_id",
            "res_model",
            "res_id",
            "origin",
            "category",
            "extra",
            "request_id",
        ],
    ),
    (
        "whatsapp_media",
        &[
            "id",
            "checksum",
            "filename",
            "mimetype",
            "size",
            "width",
            "height",
            "duration",
            "state",
            "reason",
            "thumbnail",
        ],
    ),
    (
        "whatsapp_message_revision",
        &["id", "message_id", "revision", "content", "caption", "edited_at"],
    ),
    (
        "whatsapp_message_receipt",
        &["id", "message_id", "contact_id", "delivered_at", "read_at", "played_at", "failed_at"],
    ),
    (
        "whatsapp_quarantine",
        &[
            "id",
            "configuration_id",
            "provider",
            "journal_id",
            "event_no",
            "received_at",
            "reason",
            "detail",
            "attempts",
        ],
    ),
    (
        "whatsapp_outbox_in",
        &[
            "id",
            "message_id",
            "configuration_id",
            "recipient",
            "schedule_at",
            "request",
            "idempotency_key",
        ],
    ),
    ("whatsapp_media_upload", &["id", "message_id", "filename", "mimetype", "size", "data"]),
    (
        "whatsapp_message_template",
        &[
            "id",
            "name",
            "language",
            "kind",
            "configuration_id",
            "category",
            "state",
            "provider_template_id",
            "components",
            "body",
            "header_text",
            "footer_text",
            "model_id",
            "model",
            "active",
            "company_id",
            "synced_at",
        ],
    ),
    (
        "whatsapp_event",
        &["id", "kind", "message_id", "configuration_id", "payload", "phase", "attempts"],
    ),
    (
        "whatsapp_sync_service",
        &[
            "id",
            "configuration_id",
            "sync_type",
            "mode",
            "is_active",
            "interval",
            "last_sync",
            "sync_count",
            "error_log",
            "requested_at",
            "requested_by",
        ],
    ),
    (
        "whatsapp_sync_run",
        &[
            "id",
            "service_id",
            "configuration_id",
            "kinds",
            "mode",
            "since",
            "state",
            "progress",
            "phase",
            "read_count",
            "created_count",
            "changed_count",
            "unchanged_count",
            "error_count",
            "late_count",
            "counts",
            "error_message",
            "started_at",
            "ended_at",
            "user_id",
        ],
    ),
    (
        "whatsapp_sync_run_item",
        &[
            "id",
            "run_id",
            "kind",
            "decision",
            "name",
            "field",
            "provider_value",
            "odoo_value",
            "reason",
            "res_id",
        ],
    ),
    ("whatsapp_partner_number", &["id", "partner_id", "e164", "company_id"]),
    (
        "whatsapp_audit_log",
        &[
            "id",
            "operation",
            "provider",
            "success",
            "response_time",
            "error_message",
            "timestamp",
            "user_id",
            "configuration_id",
            "request_id",
            "address",
        ],
    ),
    ("res_users", &["id", "active", "partner_id", "company_id"]),
    ("res_company_users_rel", &["cid", "user_id"]),
    ("res_groups_users_rel", &["gid", "uid"]),
    ("res_groups_implied_rel", &["gid", "hid"]),
    ("ir_model_data", &["module", "name", "model", "res_id"]),
    ("ir_config_parameter", &["key", "value"]),
    ("ir_module_module", &["name", "state", "latest_version"]),
    ("res_partner", &["id", "name", "phone", "country_id"]),
    ("res_country", &["id", "code"]),
    ("phone_blacklist", &["id", "number", "active"]),
    (
        "bus_bus",
        &["id", "channel", "message", "create_uid", "create_date", "write_uid", "write_date"],
    ),
];

/// The outcome of the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// The addon's version, as Odoo writes it (`14.0.5.0.0`).
    Fits { addon: String },
    /// One line for each difference, naming cause and cure.
    Differs(Vec<String>),
}

/// Compares the database with [`COLUMNS`] and the supported versions.
///
/// # Errors
/// The database's; a missing table is an answer, not an error.
pub async fn verify(database: &Database) -> Result<Fit, StoreError> {
    let client = database.client().await?;
    let tables: Vec<&str> = COLUMNS.iter().map(|(table, _)| *table).collect();
    let sql = "-- schema::columns
        SELECT c.relname::text, a.attname::text
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = to_regnamespace('public') AND c.relname = ANY($1)";
    let mut found: HashMap<String, HashSet<String>> = HashMap::new();
    for row in client.query(sql, &[/* tables */ &tables]).await? {
        found.entry(row.get(0)).or_default().insert(row.get(1));
    }
    if !found.contains_key("ir_module_module") {
        return Ok(Fit::Differs(vec![format!(
            "database {} holds no Odoo: name the Odoo database in the url",
            database.dbname()
        )]));
    }
    let sql = "-- schema::addon
        SELECT state, latest_version FROM public.ir_module_module WHERE name = $1";
    let addon = match client.query_opt(sql, &[/* addon */ &ADDON]).await {
        Ok(row) => {
            row.map(|row| (row.get::<_, Option<String>>(0), row.get::<_, Option<String>>(1)))
        }
        Err(error)
            if error.code() == Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE) =>
        {
            return Ok(Fit::Differs(vec![
                "the daemon's role may not read ir_module_module: apply what `wabridge grants` prints".into(),
            ]));
        }
        Err(error) => return Err(error.into()),
    };
    let mut differences = Vec::new();
    let version = match addon {
        Some((Some(state), Some(version))) if state == "installed" || state == "to upgrade" => {
            version
        }
        Some((state, _)) => {
            return Ok(Fit::Differs(vec![format!(
                "addon {ADDON} is {}: install it in Odoo",
                state.as_deref().unwrap_or("not installed")
            )]));
        }
        None => {
            return Ok(Fit::Differs(vec![format!(
                "addon {ADDON} is unknown to this Odoo: put it into the addons path, update the apps list, install it"
            )]));
        }
    };
    if !supported(&version) {
        differences.push(format!(
            "addon {ADDON} has version {version}; this wabridge works with {}: upgrade the older of the two",
            SUPPORTED_ADDON_VERSIONS.join(", ")
        ));
    }
    for (table, columns) in COLUMNS {
        match found.get(*table) {
            None => differences
                .push(format!("table {table} is missing: upgrade the addon (-u {ADDON})")),
            Some(have) => differences.extend(
                columns.iter().filter(|column| !have.contains(**column)).map(|column| {
                    format!("column {table}.{column} is missing: upgrade the addon (-u {ADDON})")
                }),
            ),
        }
    }
    Ok(if differences.is_empty() {
        Fit::Fits { addon: version }
    } else {
        Fit::Differs(differences)
    })
}

/// `14.0.5.0.0` and `19.0.5.0.0` are version 5.0 of the addon.
fn supported(version: &str) -> bool {
    let own = version.splitn(3, '.').nth(2).unwrap_or_default();
    SUPPORTED_ADDON_VERSIONS
        .iter()
        .any(|v| own == *v || own.strip_prefix(v).is_some_and(|rest| rest.starts_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert!(supported("14.0.5.0.0"));
        assert!(supported("19.0.5.0.3"));
        assert!(!supported("14.0.4.2.0"));
        assert!(!supported("14.0.5.01.0"));
        assert!(!supported("5.0"));
    }
}
