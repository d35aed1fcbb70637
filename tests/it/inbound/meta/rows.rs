//! Every recorded webhook of Meta, one after the other, and the rows each comes to.

use super::super::{comes_to, nothing_doubled, recorded, row};
use super::{signed, vector, world};

/// Name, a query with one text, what it shall say. In this order: later ones build on earlier ones.
const ROWS: &[(&str, &str, &str)] = &[
    (
        "message_text",
        row!("wamid.SEItaW4tdGV4dC0wMDAx", "m.message_type, m.content, m.status, m.direction, m.origin, m.timestamp,
            (SELECT c.phone || ' ' || c.pushname || ' ' || c.wa_user_id FROM whatsapp_contact c WHERE c.id = m.contact_id)"),
        "text|Hello, is the blue model in stock?|delivered|inbound|provider|2025-12-15 12:00:01|+447700900123 Amira Osei GB.10293847561029384756",
    ),
    ("message_text_reply", QUOTES, "Yes please"),
    ("message_button", QUOTES, "Confirm,Yes please"),
    ("message_interactive_list", QUOTES, "Confirm,Morning,Yes please"),
    (
        "message_image",
        FILE,
        "image|Photo of the broken part|image/jpeg",
    ),
    (
        "message_document",
        FILE,
        "document|Purchase order attached|PO-2025-118.pdf|application/pdf",
    ),
    ("message_voice", FILE, "voice|audio/ogg"),
    ("message_sticker", FILE, "sticker|image/webp"),
    (
        "message_location",
        row!("wamid.SEItaW4tbG9jLTAwMDE=", "m.message_type, m.location, m.extra LIKE '%Depot 4%1 Sample Street%' OR m.extra LIKE '%1 Sample Street%Depot 4%'"),
        "location|51.5033635,-0.1276248|t",
    ),
    (
        "message_contacts",
        row!("wamid.SEItaW4tY29uLTAwMDE=", "m.message_type, m.content, m.extra LIKE '%447700900456%'"),
        "contact|Warehouse Desk|t",
    ),
    (
        "message_reaction",
        "SELECT concat_ws('|', r.content, q.message_id) FROM whatsapp_message r JOIN whatsapp_message q ON q.id = r.reply_to_id
         WHERE r.message_type = 'reaction'",
        "👍|wamid.SEItb3V0LTAwMDE=",
    ),
    (
        "message_echo_business_app",
        row!("wamid.SEItZWNoby0wMDAx", "m.direction, m.origin, m.status, m.content, m.chat_id"),
        "outbound|phone|sent|Sent by hand from the phone|447700900123",
    ),
    ("status_sent", SENT, "sent"),
    ("status_failed", SENT, "failed"),
    ("status_delivered", SENT, "delivered"),
    ("status_read", SENT, "read"),
    (
        "group_lifecycle_create",
        "SELECT concat_ws('|', name, description, invite_link, is_active) FROM whatsapp_group",
        "Ops Night Shift|Night crew|https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv|t",
    ),
    ("group_participants_add", MEMBER, "+447700900123 member joined"),
    (
        "message_group_text",
        "SELECT concat_ws('|', m.content, g.name, c.phone) FROM whatsapp_message m
         JOIN whatsapp_group g ON g.id = m.group_id JOIN whatsapp_contact c ON c.id = m.contact_id
         WHERE m.message_type = 'text'",
        "Gate is closed|Ops Night Shift|+447700900123",
    ),
    (
        "status_group_read",
        "SELECT concat_ws('|', c.phone, r.read_at) FROM whatsapp_message_receipt r JOIN whatsapp_contact c ON c.id = r.contact_id",
        "+447700900123|2025-12-15 12:05:40",
    ),
    ("group_participants_remove", MEMBER, "+447700900123 member removed"),
    ("group_settings_update", "SELECT name FROM whatsapp_group", "Ops Night Shift B"),
    ("template_status_update", ALERTS, "template_status"),
    ("phone_number_quality_update", ALERTS, "alert"),
];

/// What quotes our own message.
const QUOTES: &str = "SELECT string_agg(m.content, ',' ORDER BY m.content) FROM whatsapp_message m
    JOIN whatsapp_message q ON q.id = m.reply_to_id
    WHERE q.message_id = 'wamid.SEItb3V0LTAwMDE=' AND m.message_type <> 'reaction'";
/// The newest message with a file.
const FILE: &str =
    "SELECT concat_ws('|', m.message_type, m.caption, f.filename, split_part(f.mimetype, ';', 1))
    FROM whatsapp_message m JOIN whatsapp_media f ON f.id = m.media_id ORDER BY m.id DESC LIMIT 1";
const SENT: &str =
    "SELECT status FROM whatsapp_message WHERE message_id = 'wamid.SEItb3V0LTAwMDE='";
const MEMBER: &str = "SELECT concat_ws(' ', c.phone, m.role, m.state) FROM whatsapp_group_member m
    JOIN whatsapp_contact c ON c.id = m.contact_id";
const ALERTS: &str = "SELECT kind FROM whatsapp_event ORDER BY id DESC LIMIT 1";

#[tokio::test]
async fn every_recorded_webhook_comes_to_its_rows() {
    assert_eq!(
        recorded("meta"),
        ROWS.len() + 2,
        "each is in the table, but signatures and handshakes"
    );
    let world = world().await;
    // What the recorded ones quote, react to and tell the status of.
    world
        .database
        .execute(
            "INSERT INTO whatsapp_message (configuration_id, provider, message_id, chat_id, direction, from_me, origin,
                    message_type, content, status, timestamp, queued_at, pending_at, create_uid, write_uid, create_date, write_date)
             SELECT 1, 'meta', 'wamid.SEItb3V0LTAwMDE=', '447700900123', 'outbound', true, 'odoo', 'text', 'Shall we?',
                    'pending', t, t, t, 1, 1, t, t FROM (VALUES (timestamp '2025-12-15 11:59:00')) AS one(t)",
        )
        .await;
    // Twice each: nothing is doubled, and nothing goes back.
    for (name, sql, expected) in ROWS {
        for _ in 0..2 {
            assert_eq!(signed(&world, &vector(name)).await, 200, "{name}");
        }
        comes_to(&world, name, sql, expected).await;
    }
    nothing_doubled(&world, "contact 1, document 1, image 1, interactive 2, location 1, reaction 1, sticker 1, text 5, voice 1").await;
}
