//! What `wabridge export` reads: rows of Odoo's tables as JSON, page by page, so that memory does not grow with them.
//! No credential and no invite link is among the columns: who holds an export can read, and do nothing.

use crate::media::Blob;
use crate::{StoreError, Tx};

/// A kind of rows, in the order in which they are written: what others refer to comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Accounts,
    Contacts,
    Groups,
    Members,
    Chats,
    Messages,
    Receipts,
    Revisions,
    Audit,
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::Accounts,
        Self::Contacts,
        Self::Groups,
        Self::Members,
        Self::Chats,
        Self::Messages,
        Self::Receipts,
        Self::Revisions,
        Self::Audit,
    ];

    /// The name of its file.
    pub fn file(self) -> &'static str {
        match self {
            Self::Accounts => "accounts.jsonl",
            Self::Contacts => "contacts.jsonl",
            Self::Groups => "groups.jsonl",
            Self::Members => "members.jsonl",
            Self::Chats => "chats.jsonl",
            Self::Messages => "messages.jsonl",
            Self::Receipts => "receipts.jsonl",
            Self::Revisions => "revisions.jsonl",
            Self::Audit => "audit.jsonl",
        }
    }

    /// One page: those after an id, oldest first. Times of Odoo's are UTC without zone; they leave with theirs.
    fn sql(self) -> &'static str {
        match self {
            Self::Accounts => {
                "-- export::accounts
                SELECT t.id, row_to_json(t)::text FROM (
                    SELECT c.id, c.name, c.provider, c.channel_id, c.active, c.sequence, c.company_id
                    FROM public.whatsapp_configuration c WHERE c.id > $1 ORDER BY c.id LIMIT $2) t"
            }
            Self::Contacts => {
                "-- export::contacts
                SELECT t.id, row_to_json(t)::text FROM (
                    SELECT c.id, c.configuration_id AS account_id, c.contact_id, c.phone, c.lid, c.username, c.wa_user_id,
                           c.name, c.pushname, c.is_wa_contact, c.is_business, c.is_blocked, c.opted_out,
                           c.opted_out_at AT TIME ZONE 'UTC' AS opted_out_at, c.opted_out_reason, c.partner_id,
                           c.synced_at AT TIME ZONE 'UTC' AS synced_at
                    FROM public.whatsapp_contact c WHERE c.id > $1 ORDER BY c.id LIMIT $2) t"
            }
            Self::Groups => {
                "-- export::groups
                SELECT t.id, row_to_json(t)::text FROM (
                    SELECT g.id, g.configuration_id AS account_id, g.group_id, g.name, g.description, g.is_active,
                           g.only_admins_send, g.only_admins_edit, g.join_approval, g.synced_at AT TIME ZONE 'UTC' AS synced_at
                    FROM public.whatsapp_group g WHERE g.id > $1 ORDER BY g.id LIMIT $2) t"
            }
            Self::Members => {
                "-- export::members
                SELECT t.id, row_to_json(t)::text FROM (
                    SELECT m.id, m.group_id, m.contact_id, m.role, m.state
                    FROM public.whatsapp_group_member m WHERE m.id > $1 ORDER BY m.id LIMIT $2) t"
            }
            Self::Chats => {
                "-- export::chats
                SELECT t.id, row_to_json(t)::text FROM (
                    SELECT c.id, c.configuration_id AS account_id, c.chat_id, c.name, c.contact_id, c.group_id,
                           c.last_message_id, c.last_message_at AT TIME ZONE 'UTC' AS last_message_at,
                           c.last_inbound_at AT TIME ZONE 'UTC' AS last_inbound_at, c.unread_count
                    FROM public.whatsapp_chat c WHERE c.id > $1 ORDER BY c.id LIMIT $2) t"
            }
            Self::Messages => {
                "-- export::messages
                SELECT t.id, row_to_json(t)::text FROM (
                    SELECT m.id, m.configuration_id AS account_id, m.message_id, m.chat_id, m.contact_id, m.group_id,
                           m.direction, m.from_me, m.origin, m.message_type, m.status,
                           m.timestamp AT TIME ZONE 'UTC' AS \"timestamp\", m.content, m.caption, m.media_id, m.reply_to_id,
                           m.location, m.extra, m.category, m.forwarded, m.error_code, m.error_message,
                           m.queued_at AT TIME ZONE 'UTC' AS queued_at, m.pending_at AT TIME ZONE 'UTC' AS pending_at,
                           m.uncertain_at AT TIME ZONE 'UTC' AS uncertain_at, m.sent_at AT TIME ZONE 'UTC' AS sent_at,
                           m.delivered_at AT TIME ZONE 'UTC' AS delivered_at, m.read_at AT TIME ZONE 'UTC' AS read_at,
                           m.played_at AT TIME ZONE 'UTC' AS played_at, m.failed_at AT TIME ZONE 'UTC' AS failed_at,
                           m.deleted_at AT TIME ZONE 'UTC' AS deleted_at, m.cancelled_at AT TIME ZONE 'UTC' AS cancelled_at,
                           m.edited_at AT TIME ZONE 'UTC' AS edited_at, m.user_id, m.res_model, m.res_id
                    FROM public.whatsapp_message m WHERE m.id > $1 ORDER BY m.id LIMIT $2) t"
            }
            Self::Receipts => {
                "-- export::receipts
                SELECT t.id, row_to_json(t)::text FROM (
                    SELECT r.id, r.message_id, r.contact_id, r.delivered_at AT TIME ZONE 'UTC' AS delivered_at,
                           r.read_at AT TIME ZONE 'UTC' AS read_at, r.played_at AT TIME ZONE 'UTC' AS played_at,
                           r.failed_at AT TIME ZONE 'UTC' AS failed_at
                    FROM public.whatsapp_message_receipt r WHERE r.id > $1 ORDER BY r.id LIMIT $2) t"
            }
            Self::Revisions => {
                "-- export::revisions
                SELECT t.id, row_to_json(t)::text FROM (
                    SELECT r.id, r.message_id, r.revision, r.content, r.caption, r.edited_at AT TIME ZONE 'UTC' AS edited_at
                    FROM public.whatsapp_message_revision r WHERE r.id > $1 ORDER BY r.id LIMIT $2) t"
            }
            Self::Audit => {
                "-- export::audit
                SELECT t.id, row_to_json(t)::text FROM (
                    SELECT a.id, a.timestamp AT TIME ZONE 'UTC' AS \"timestamp\", a.operation, a.success, a.error_message,
                           a.response_time AS response_time_ms, a.provider, a.configuration_id AS account_id, a.user_id,
                           a.request_id, a.address
                    FROM public.whatsapp_audit_log a WHERE a.id > $1 ORDER BY a.id LIMIT $2) t"
            }
        }
    }
}

/// A row: its id, and what is written of it, one JSON object.
#[derive(Debug, Clone)]
pub struct Row {
    pub id: i32,
    pub json: String,
}

/// The next page of a kind, by id.
///
/// # Errors
/// The database's.
pub async fn page(tx: &Tx<'_>, kind: Kind, after: i32, limit: i64) -> Result<Vec<Row>, StoreError> {
    let statement = tx.prepare_cached(kind.sql()).await?;
    let rows = tx.query(&statement, &[/* after */ &after, /* limit */ &limit]).await?;
    Ok(rows.iter().map(|row| Row { id: row.get(0), json: row.get(1) }).collect())
}

/// A file of messages.
#[derive(Debug, Clone)]
pub struct File {
    pub id: i32,
    pub json: String,
    /// Where its bytes are; None where there are none (not fetched, given up).
    pub blob: Option<Blob>,
    /// It says that it is here.
    pub ready: bool,
    pub filename: Option<String>,
}

/// The next page of files, by id.
///
/// # Errors
/// The database's.
pub async fn files(tx: &Tx<'_>, after: i32, limit: i64) -> Result<Vec<File>, StoreError> {
    let sql = "-- export::files
        SELECT t.id, row_to_json(t)::text, t.state = 'ready', t.filename,
               b.checksum, b.location, b.size, b.sealed_by, b.sealed_key
        FROM (SELECT m.id, m.filename, m.mimetype, m.size, m.width, m.height, m.duration, m.state, m.reason, m.checksum
              FROM public.whatsapp_media m WHERE m.id > $1 ORDER BY m.id LIMIT $2) t
        LEFT JOIN wabridge.media_blob b ON b.checksum = t.checksum AND t.state = 'ready'
        ORDER BY t.id";
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx.query(&statement, &[/* after */ &after, /* limit */ &limit]).await?;
    Ok(rows
        .iter()
        .map(|row| File {
            id: row.get(0),
            json: row.get(1),
            ready: row.get::<_, Option<bool>>(2).unwrap_or_default(),
            filename: row.get(3),
            blob: row.get::<_, Option<String>>(4).map(|checksum| Blob {
                checksum,
                location: row.get(5),
                size: row.get(6),
                sealed_by: row.get(7),
                sealed_key: row.get(8),
            }),
        })
        .collect())
}

/// How many rows there are, in the order of [`Kind::ALL`], then of files: what an export is held against.
///
/// # Errors
/// The database's.
pub async fn counts(tx: &Tx<'_>) -> Result<Vec<i64>, StoreError> {
    let sql = "-- export::counts
        SELECT (SELECT count(*) FROM public.whatsapp_configuration), (SELECT count(*) FROM public.whatsapp_contact),
               (SELECT count(*) FROM public.whatsapp_group), (SELECT count(*) FROM public.whatsapp_group_member),
               (SELECT count(*) FROM public.whatsapp_chat), (SELECT count(*) FROM public.whatsapp_message),
               (SELECT count(*) FROM public.whatsapp_message_receipt),
               (SELECT count(*) FROM public.whatsapp_message_revision),
               (SELECT count(*) FROM public.whatsapp_audit_log), (SELECT count(*) FROM public.whatsapp_media)";
    let row = tx.query_one(sql, &[]).await?;
    Ok((0..row.len()).map(|n| row.get(n)).collect())
}
