//! Every recorded webhook of Wassenger, one after the other, and the rows each comes to.

use super::super::{comes_to, nothing_doubled, recorded, row};
use super::{PATH_TOKEN, post, vector, world};

/// Name, a query with one text, what it shall say. In this order: later ones build on earlier ones.
const ROWS: &[(&str, &str, &str)] = &[
    (
        "message_in",
        row!("3EB0A1B2C3D4E5F60718", "m.message_type, m.content, m.status, m.direction, m.origin, m.chat_id, m.timestamp"),
        "text|Hello, is the blue model in stock?|delivered|inbound|provider|447700900123@c.us|2025-12-15 12:00:01",
    ),
    (
        "message_update_edit",
        "SELECT concat_ws('|', m.content, m.edited_at IS NOT NULL, r.content) FROM whatsapp_message m
         JOIN whatsapp_message_revision r ON r.message_id = m.id WHERE m.message_id = '3EB0A1B2C3D4E5F60718'",
        "Hello, is the BLACK model in stock?|t|Hello, is the blue model in stock?",
    ),
    (
        "message_in_image",
        "SELECT concat_ws('|', m.message_type, m.caption, f.filename, f.mimetype) FROM whatsapp_message m
         JOIN whatsapp_media f ON f.id = m.media_id",
        "image|Photo of the broken part|image.jpeg|image/jpeg",
    ),
    (
        "message_in_location",
        row!("3EB0A1B2C3D4E5F6071B", "m.message_type, m.location, m.extra LIKE '%Depot 4%'"),
        "location|51.5033635,-0.1276248|t",
    ),
    (
        "message_in_poll",
        row!("3EB0A1B2C3D4E5F6071D", "m.message_type, m.content, m.extra LIKE '%Afternoon%'"),
        "poll|Which slot suits you?|t",
    ),
    (
        "message_in_group",
        "SELECT concat_ws('|', m.content, g.group_id, g.name, c.phone) FROM whatsapp_message m
         JOIN whatsapp_group g ON g.id = m.group_id JOIN whatsapp_contact c ON c.id = m.contact_id",
        "Gate is closed|120363025550100777@g.us|Ops Night Shift|+447700900123",
    ),
    (
        "group_update_add",
        "SELECT concat_ws(' ', c.phone, m.role, m.state) FROM whatsapp_group_member m
         JOIN whatsapp_contact c ON c.id = m.contact_id WHERE c.phone = '+447700900777'",
        "+447700900777 member joined",
    ),
    // It quotes a message that comes after it.
    ("message_in_quoted", row!("3EB0A1B2C3D4E5F6071C", "m.content, m.reply_to_id"), "Yes please"),
    (
        "message_out_new",
        row!("3EB0FFEEDDCCBBAA0011", "m.direction, m.status, m.content,
            (SELECT q.content FROM whatsapp_message q WHERE q.reply_to_id = m.id)"),
        "outbound|sent|Your order 118 has shipped.|Yes please",
    ),
    (
        "message_reaction",
        "SELECT concat_ws('|', r.content, q.message_id, c.phone) FROM whatsapp_message r
         JOIN whatsapp_message q ON q.id = r.reply_to_id JOIN whatsapp_contact c ON c.id = r.contact_id
         WHERE r.message_type = 'reaction'",
        "👍|3EB0FFEEDDCCBBAA0011|+447700900123",
    ),
    ("message_ack_delivered", row!("3EB0FFEEDDCCBBAA0011", "m.status"), "delivered"),
    ("message_ack", row!("3EB0FFEEDDCCBBAA0011", "m.status"), "read"),
    // Of a message that is not there: it is remembered for it, and stands nowhere yet.
    (
        "message_failed",
        "SELECT concat_ws('|', target_id, kind, failed_at IS NOT NULL) FROM wabridge.early_event",
        "6925aa11bb22cc33dd44ee55|status|t",
    ),
    (
        "contact_update",
        "SELECT concat_ws('|', name, contact_id, lid) FROM whatsapp_contact WHERE phone = '+447700900123'",
        "Amira (Acme)|447700900123@c.us|183800000000123@lid",
    ),
    (
        "chat_update",
        "SELECT concat_ws('|', c.chat_id, p.phone) FROM whatsapp_chat c JOIN whatsapp_contact p ON p.id = c.contact_id",
        "447700900123@c.us|+447700900123",
    ),
    ("number_session", "SELECT state FROM whatsapp_account_state", "disconnected"),
];

#[tokio::test]
async fn every_recorded_webhook_comes_to_its_rows() {
    assert_eq!(recorded("wassenger"), ROWS.len() + 1, "each is in the table, but the signatures");
    let world = world(None).await;
    // Twice each: nothing is doubled, and nothing goes back.
    for (name, sql, expected) in ROWS {
        for _ in 0..2 {
            assert_eq!(post(&world, PATH_TOKEN, None, &vector(name)).await, 200, "{name}");
        }
        comes_to(&world, name, sql, expected).await;
    }
    nothing_doubled(&world, "image 1, location 1, poll 1, reaction 1, text 4").await;
}
