//! The recorded webhooks of WHAPI, one after the other, and the rows each comes to.

use super::{comes_to, nothing_doubled, recorded, row, take, vector};
use crate::support::world::World;
/// Name, a query with one text, what it shall say. In this order: later ones build on earlier ones.
const ROWS: &[(&str, &str, &str)] = &[
    (
        "group_created",
        "SELECT concat_ws('|', g.name, g.is_active, string_agg(c.phone || ' ' || m.role || ' ' || m.state, ',' ORDER BY c.phone))
         FROM whatsapp_group g JOIN whatsapp_group_member m ON m.group_id = g.id JOIN whatsapp_contact c ON c.id = m.contact_id
         GROUP BY g.id",
        "Ops Night Shift|t|+447700900123 member joined,+447700900999 superadmin joined",
    ),
    ("group_participants_add", MEMBER, "member joined"),
    ("group_participants_promote", MEMBER, "admin joined"),
    ("group_participants_demote", MEMBER, "member joined"),
    ("group_participants_remove", MEMBER, "member removed"),
    ("group_update_subject", "SELECT name FROM whatsapp_group", "Ops Night Shift B"),
    (
        "message_text",
        row!("Qk2vT9aXe4LmR0sYbN7c1g-gLw8Ztq3HcA", "message_type, content, status, direction, timestamp"),
        "text|Hello, is the blue model in stock?|delivered|inbound|2025-12-15 12:00:01",
    ),
    (
        "message_edit_patch",
        "SELECT concat_ws('|', m.content, m.edited_at, r.content) FROM whatsapp_message m
         JOIN whatsapp_message_revision r ON r.message_id = m.id WHERE m.message_id = 'Qk2vT9aXe4LmR0sYbN7c1g-gLw8Ztq3HcA'",
        "Hello, is the BLACK model in stock?|2025-12-15 12:06:20|Hello, is the blue model in stock?",
    ),
    (
        "message_image",
        "SELECT concat_ws('|', m.message_type, m.caption, f.mimetype) FROM whatsapp_message m
         JOIN whatsapp_media f ON f.id = m.media_id WHERE m.message_id = 'Qm5dB2cHj8NpV1uZkE6x4A-gPz2Rfy7KbQ'",
        "image|Photo of the broken part|image/jpeg",
    ),
    (
        "message_deleted",
        row!("Qm5dB2cHj8NpV1uZkE6x4A-gPz2Rfy7KbQ", "status, deleted_at IS NOT NULL"),
        "deleted|t",
    ),
    (
        "message_document",
        "SELECT concat_ws('|', m.caption, f.filename, f.mimetype) FROM whatsapp_message m
         JOIN whatsapp_media f ON f.id = m.media_id WHERE m.message_type = 'document'",
        "Purchase order attached|PO-2025-118.pdf|application/pdf",
    ),
    (
        "message_voice",
        "SELECT concat_ws('|', split_part(f.mimetype, ';', 1), m.content IS NULL) FROM whatsapp_message m
         JOIN whatsapp_media f ON f.id = m.media_id WHERE m.message_type = 'voice'",
        "audio/ogg|t",
    ),
    (
        "message_location",
        "SELECT concat_ws('|', location IS NOT NULL, extra LIKE '%Depot 4%') FROM whatsapp_message WHERE message_type = 'location'",
        "t|t",
    ),
    (
        "message_contact",
        "SELECT concat_ws('|', content, extra LIKE '%447700900456%') FROM whatsapp_message WHERE message_type = 'contact'",
        "Warehouse Desk|t",
    ),
    (
        "message_group_text",
        "SELECT concat_ws('|', m.content, g.group_id, c.phone, m.extra LIKE '%447700900999%') FROM whatsapp_message m
         JOIN whatsapp_group g ON g.id = m.group_id JOIN whatsapp_contact c ON c.id = m.contact_id",
        "@447700900999 gate is closed|120363025550100777@g.us|+447700900123|t",
    ),
    ("message_from_me_api_echo", ECHO, "outbound|provider|pending"),
    ("status_sent", ECHO, "outbound|provider|sent"),
    ("status_failed", ECHO, "outbound|provider|failed|provider_rejected|send failed (500)"),
    ("status_delivered", ECHO, "outbound|provider|delivered|provider_rejected|send failed (500)"),
    ("status_read", ECHO, "outbound|provider|read|provider_rejected|send failed (500)"),
    (
        "message_reaction",
        "SELECT concat_ws('|', r.content, q.message_id) FROM whatsapp_message r JOIN whatsapp_message q ON q.id = r.reply_to_id
         WHERE r.message_type = 'reaction'",
        "👍|Pw7pM3oUx1AcG4hLwR9j6N-wZk5Fth9WlO",
    ),
    (
        "contact_update",
        "SELECT concat_ws('|', name, pushname) FROM whatsapp_contact WHERE phone = '+447700900123'",
        "Amira (Acme)|Amira Osei",
    ),
    (
        "chat_created",
        "SELECT unread_count::text FROM whatsapp_chat WHERE chat_id = '447700900123@s.whatsapp.net'",
        "1",
    ),
    ("channel_qr", STATE, "qr_needed"),
    ("channel_auth", STATE, "connected"),
    ("user_logout", STATE, "qr_needed"),
    ("user_login", STATE, "connected"),
];

const MEMBER: &str = "SELECT m.role || ' ' || m.state FROM whatsapp_group_member m JOIN whatsapp_contact c ON c.id = m.contact_id
    WHERE c.phone = '+447700900777'";
const ECHO: &str = "SELECT concat_ws('|', direction, origin, status, error_code, error_message) FROM whatsapp_message
    WHERE message_id = 'Pw7pM3oUx1AcG4hLwR9j6N-wZk5Fth9WlO'";
const STATE: &str = "SELECT state FROM whatsapp_account_state";

#[tokio::test]
async fn every_recorded_webhook_comes_to_its_rows() {
    assert_eq!(recorded("whapi"), ROWS.len(), "each is in the table");
    let world = World::start().await;
    // Twice each: nothing is doubled, and nothing goes back.
    for (name, sql, expected) in ROWS {
        for _ in 0..2 {
            assert_eq!(take(&world, &vector(name)).await, 1, "{name}");
        }
        comes_to(&world, name, sql, expected).await;
    }
    nothing_doubled(
        &world,
        "contact 1, document 1, image 1, location 1, reaction 1, text 3, voice 1",
    )
    .await;
}
