//! Databases to measure on: the addon's tables with their keys and indexes, and what is stored there already.

use wabridge_testkit::daemon::WHAPI_CHANNEL;
use wabridge_testkit::{Daemon, OwnCluster, Series, TestDatabase};

use crate::events::{AT, CHATS, person, sent_id};
use crate::provider::TOKEN;

pub const WEBHOOK_TOKEN: &str = "bench-path-token-4711";
pub const WEBHOOK_SECRET: &str = "bench-webhook-secret-0815";

/// A server of its own that keeps what it was told, as in production.
pub fn server() -> OwnCluster {
    OwnCluster::durable()
}

/// A database with one account, its chats, `sent` messages of our own in them, which statuses are about, and
/// `older` ones that came in. Nobody served it yet.
pub async fn prepare(server: &OwnCluster, sent: u64, older: u64) -> TestDatabase {
    let database = TestDatabase::on(server.cluster, Series::Odoo14).await;
    account(&database).await;
    let log = "1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'";
    // Bulk rows are made without checks and triggers: they are right by construction.
    database.execute("SET session_replication_role = replica").await;
    database
        .execute(&format!(
            "INSERT INTO whatsapp_contact (configuration_id, contact_id, phone, name, pushname, provider, is_wa_contact,
                    opted_out, create_uid, create_date, write_uid, write_date)
             SELECT 1, p || '@s.whatsapp.net', '+' || p, 'Book ' || p, 'Person ' || p, 'whapi', true, false, {log}
             FROM (SELECT '4477009' || lpad(n::text, 5, '0') AS p FROM generate_series(0, {last}) n) i;
             INSERT INTO whatsapp_chat (configuration_id, chat_id, contact_id, unread_count, create_uid, create_date,
                    write_uid, write_date)
             SELECT 1, c.contact_id, c.id, 0, {log} FROM whatsapp_contact c;
             INSERT INTO wabridge.identity (configuration_id, kind, value, contact_id)
             SELECT 1, 'contact_id', c.contact_id, c.id FROM whatsapp_contact c
             UNION ALL SELECT 1, 'phone', c.phone, c.id FROM whatsapp_contact c",
            last = CHATS - 1,
        ))
        .await;
    messages(&database, 0, sent, "outbound").await;
    messages(&database, sent, older, "inbound").await;
    database.execute("SET session_replication_role = origin").await;
    assert_eq!(
        database.text("SELECT min(contact_id) FROM whatsapp_contact").await,
        Some(format!("{}@s.whatsapp.net", person(0))),
        "the people of the events are there"
    );
    assert_eq!(
        database.text("SELECT min(message_id) FROM whatsapp_message").await,
        Some(sent_id(0)),
        "the messages that statuses are about are there"
    );
    database.execute("VACUUM ANALYZE").await;
    database
}

async fn messages(database: &TestDatabase, from: u64, count: u64, direction: &str) {
    if count == 0 {
        return;
    }
    let sql = format!(
        "INSERT INTO whatsapp_message (configuration_id, message_id, provider, chat_id, direction, from_me, origin,
                message_type, content, contact_id, timestamp, sent_at, delivered_at, status,
                create_uid, create_date, write_uid, write_date)
         SELECT 1, 'Out' || lpad(n::text, 10, '0') || '-gLw8Ztq3HcA', 'whapi', c.contact_id, '{direction}', {own},
                '{origin}', 'text', 'Your order ' || n || ' left our house this morning and should be with you tomorrow.',
                c.id, to_timestamp({AT} - 86400 + n / 100) AT TIME ZONE 'UTC',
                CASE WHEN {own} THEN to_timestamp({AT}) AT TIME ZONE 'UTC' END,
                CASE WHEN NOT {own} THEN to_timestamp({AT}) AT TIME ZONE 'UTC' END, '{status}',
                1, to_timestamp({AT}) AT TIME ZONE 'UTC', 1, to_timestamp({AT}) AT TIME ZONE 'UTC'
         FROM generate_series({from}::int8, {last}) n
         JOIN (SELECT row_number() OVER (ORDER BY contact_id) - 1 AS p, id, contact_id FROM whatsapp_contact) c
              ON c.p = n % {CHATS}",
        own = direction == "outbound",
        origin = if direction == "outbound" { "rpc" } else { "provider" },
        status = if direction == "outbound" { "sent" } else { "delivered" },
        last = from + count - 1,
    );
    database.execute(&sql).await;
}

/// Account 1 gets its credentials; its provider answers nothing.
async fn account(database: &TestDatabase) {
    let seal_uuid = database
        .text("SELECT seal_uuid FROM whatsapp_configuration WHERE id = 1")
        .await
        .expect("the fixture has account 1");
    let mut sets = format!("base_url = 'http://127.0.0.1:9', channel_id = '{WHAPI_CHANNEL}'");
    for (column, clear) in
        [("token", TOKEN), ("webhook_token", WEBHOOK_TOKEN), ("webhook_secret", WEBHOOK_SECRET)]
    {
        let sealed = Daemon::seal(database, &seal_uuid, column, clear).await;
        sets.push_str(&format!(", {column} = '{sealed}'"));
    }
    database.execute(&format!("UPDATE whatsapp_configuration SET {sets} WHERE id = 1")).await;
}

/// Puts `sends` texts to `chats` chats behind their lanes, as both doors leave them; only that they wait until [`wake`].
pub async fn queue(database: &TestDatabase, sends: u64, chats: u64) {
    assert!(chats <= CHATS, "there are {CHATS} chats");
    let log = "5, now() AT TIME ZONE 'UTC', 5, now() AT TIME ZONE 'UTC'";
    let second = "date_trunc('second', now() AT TIME ZONE 'UTC')";
    database
        .execute(&format!(
            "SET session_replication_role = replica;
             INSERT INTO whatsapp_message (configuration_id, provider, chat_id, contact_id, message_type, content, user_id,
                    origin, request_id, from_me, direction, status, queued_at, timestamp,
                    create_uid, create_date, write_uid, write_date)
             SELECT 1, 'whapi', c.contact_id, c.id, 'text', 'chat ' || c.p || ' ' || n / {chats}, 5, 'rpc',
                    gen_random_uuid()::text, true, 'outbound', 'queued', {second}, {second}, {log}
             FROM generate_series(0::int8, {last}) n
             JOIN (SELECT row_number() OVER (ORDER BY contact_id) - 1 AS p, id, contact_id FROM whatsapp_contact) c
                  ON c.p = n % {chats}
             ORDER BY n;
             INSERT INTO wabridge.outbox (configuration_id, chat_key, message_id, uid, request, position, request_id)
             SELECT 1, m.chat_id, m.id, 5, jsonb_build_object('type', 'text', 'text', jsonb_build_object('body', m.content)),
                    nextval('wabridge.outbox_position_seq'), m.request_id
             FROM (SELECT * FROM whatsapp_message WHERE status = 'queued' ORDER BY id) m;
             INSERT INTO wabridge.lane (configuration_id, chat_key, ready_at)
             SELECT DISTINCT configuration_id, chat_key, now() + interval '1 day' FROM wabridge.outbox;
             SET session_replication_role = origin",
            last = sends - 1,
        ))
        .await;
    database.execute("VACUUM ANALYZE").await;
}

/// Lets the lanes go.
pub async fn wake(database: &TestDatabase) {
    database.execute("UPDATE wabridge.lane SET ready_at = clock_timestamp()").await;
}

/// A daemon on it, as it is run in production.
pub async fn daemon(database: &TestDatabase, environment: &[(&str, &str)]) -> Daemon {
    let mut all = vec![("WABRIDGE__LOG__FILTER", "info")];
    all.extend_from_slice(environment);
    Daemon::start(&[database], &all).await
}
