//! Who may use which account, on the tables of both series.

use serde_json::{Value, json};
use wabridge_testkit::{Daemon, Series, Simulator, TestDatabase};

use crate::support::world::{credentials, text_params};

const SYSTEM: i32 = 1;
const ADMIN: i32 = 2;
const USER: i32 = 5;
const OUTSIDER: i32 = 6;
const BY_GROUP: i32 = 11;
const BY_IMPLIED_GROUP: i32 = 12;
const INACTIVE: i32 = 13;
const OTHER_COMPANY: i32 = 14;
const UNASSIGNED: i32 = 15;
const NOBODY: i32 = 987_654_321;

/// Accounts: 1 of the first company, USER's; 2 by user group 20; 3 of the second company; 4 without company, not
/// assigned; 5 archived, USER's; 6 of the second company, assigned to USER who is not in it.
const PEOPLE: &str = "
    INSERT INTO res_partner (id, name, active) SELECT n, 'Person ' || n, true FROM generate_series(21, 26) n;
    INSERT INTO res_company (id, name, partner_id, currency_id) SELECT 2, 'Second', 26, currency_id FROM res_company WHERE id = 1;
    INSERT INTO res_users (id, login, active, share, partner_id, company_id, notification_type) VALUES
        (11, 'bygroup', true, false, 21, 1, 'email'), (12, 'implied', true, false, 22, 1, 'email'),
        (13, 'inactive', false, false, 23, 1, 'email'), (14, 'second', true, false, 24, 2, 'email'),
        (15, 'unassigned', true, false, 25, 1, 'email');
    INSERT INTO res_company_users_rel (cid, user_id) VALUES (1, 11), (1, 12), (1, 13), (2, 14), (1, 15);
    INSERT INTO res_groups (id, name) SELECT n, name FROM res_groups, (VALUES (20), (21)) v(n) WHERE id = 1;
    INSERT INTO res_groups_implied_rel (gid, hid) VALUES (21, 20), (21, 2);
    INSERT INTO res_groups_users_rel (gid, uid) VALUES (2, 11), (20, 11), (21, 12), (2, 13), (2, 14), (2, 15);
    INSERT INTO whatsapp_configuration (id, name, provider, channel_id, active, sequence, company_id, seal_uuid, pace_per_second) VALUES
        (2, 'Sales', 'whapi', 'C-2', true, 5, 1, 'u-2', 0), (3, 'Second', 'whapi', 'C-3', true, 1, 2, 'u-3', 0),
        (4, 'Shared', 'whapi', 'C-4', true, 20, NULL, 'u-4', 0), (5, 'Old', 'whapi', 'C-5', false, 1, 1, 'u-5', 0),
        (6, 'Far', 'whapi', 'C-6', true, 1, 2, 'u-6', 0);
    INSERT INTO res_groups_whatsapp_configuration_rel (whatsapp_configuration_id, res_groups_id) VALUES (2, 20);
    INSERT INTO res_users_whatsapp_configuration_rel (whatsapp_configuration_id, res_users_id) VALUES
        (5, 5), (6, 5), (3, 14), (4, 14);
";

async fn daemon(series: Series) -> (Daemon, TestDatabase) {
    let database = TestDatabase::new(series).await;
    database.execute(PEOPLE).await;
    let daemon = Daemon::start(&[&database], &[]).await;
    (daemon, database)
}

/// The code of the refusal, 0 where the call was answered.
fn code(answer: &Value) -> i64 {
    answer["error"]["code"].as_i64().unwrap_or_default()
}

async fn matrix(series: Series) {
    let (daemon, database) = daemon(series).await;
    let health = async |uid: i32, account: i32| {
        code(
            &daemon
                .rpc("configuration.health", json!({"uid": uid, "configuration_id": account}))
                .await,
        )
    };
    // For accounts 1 to 6 and one that does not exist.
    for (uid, expected) in [
        (SYSTEM, [0, 0, 0, 0, 1004, 0, 1002]),
        (ADMIN, [0, 0, 1001, 0, 1004, 1001, 1002]),
        (USER, [0, 1001, 1001, 1001, 1004, 1001, 1001]),
        (OUTSIDER, [1001; 7]),
        (BY_GROUP, [1001, 0, 1001, 1001, 1001, 1001, 1001]),
        (BY_IMPLIED_GROUP, [1001, 0, 1001, 1001, 1001, 1001, 1001]),
        (INACTIVE, [1001; 7]),
        (OTHER_COMPANY, [1001, 1001, 0, 0, 1001, 1001, 1001]),
        (UNASSIGNED, [1001; 7]),
        (NOBODY, [1001; 7]),
        (0, [1001; 7]),
        (-1, [1001; 7]),
    ] {
        for (account, expected) in (1..=6).chain([NOBODY]).zip(expected) {
            assert_eq!(health(uid, account).await, expected, "uid {uid}, account {account}");
        }
    }
    // A right that is taken away is gone with the next call.
    database
        .execute("DELETE FROM res_users_whatsapp_configuration_rel WHERE res_users_id = 5")
        .await;
    assert_eq!(health(USER, 1).await, 1001);
    database.execute("DELETE FROM res_groups_users_rel WHERE uid = 2 AND gid IN (2, 3)").await;
    assert_eq!(health(ADMIN, 1).await, 1001);
    // Each refusal left a row, for the user where there is one.
    let refused = "SELECT count(*) FROM whatsapp_audit_log WHERE operation = 'rpc.refused' AND user_id = 6 AND NOT success
                   AND error_message LIKE 'configuration.health: access_denied%' AND address = '127.0.0.1' AND request_id <> ''";
    assert_eq!(database.count(refused).await, 7);
    let nobody = "SELECT count(*) FROM whatsapp_audit_log WHERE operation = 'rpc.refused' AND user_id IS NULL";
    assert!(database.count(nobody).await >= 21);
}

#[tokio::test]
async fn matrix_on_odoo_14() {
    matrix(Series::Odoo14).await;
}

#[tokio::test]
async fn matrix_on_odoo_19() {
    matrix(Series::Odoo19).await;
}

#[tokio::test]
async fn default_account() {
    let (daemon, database) = daemon(Series::Odoo14).await;
    // Told apart by their states.
    database
        .execute(
            "INSERT INTO whatsapp_account_state (configuration_id, state) VALUES
                (1, 'connected'), (2, 'qr_needed'), (3, 'banned'), (4, 'disconnected')",
        )
        .await;
    let default = async |uid: i32| {
        let answer = daemon.rpc("configuration.health", json!({"uid": uid})).await;
        match answer["result"]["data"]["state"].as_str() {
            Some(state) => state.to_owned(),
            None => code(&answer).to_string(),
        }
    };
    assert_eq!(default(USER).await, "connected");
    assert_eq!(default(ADMIN).await, "qr_needed", "the first by sequence in his company");
    assert_eq!(default(BY_GROUP).await, "qr_needed");
    assert_eq!(default(OTHER_COMPANY).await, "banned");
    assert_eq!(default(UNASSIGNED).await, "1003");
    database.execute("UPDATE whatsapp_configuration SET active = false WHERE id = 2").await;
    assert_eq!(default(BY_GROUP).await, "1003");
    assert_eq!(default(ADMIN).await, "connected");
    database.execute("UPDATE whatsapp_configuration SET active = false WHERE id IN (3, 6)").await;
    assert_eq!(default(OTHER_COMPANY).await, "disconnected", "one without company belongs to all");
}

#[tokio::test]
async fn default_account_of_a_chat() {
    let database = TestDatabase::new(Series::Odoo14).await;
    database.execute(PEOPLE).await;
    let simulator = Simulator::start().await;
    credentials(&database, &simulator.url, wabridge_testkit::daemon::WHAPI_TOKEN).await;
    // The administrator's first account is 2; account 1 wrote last in this chat, 3 later but it is not his.
    database
        .execute(
            "INSERT INTO whatsapp_message (configuration_id, chat_id, from_me, direction, message_type, status, timestamp, origin) VALUES
                (4, '447700900801@s.whatsapp.net', true, 'outbound', 'text', 'sent', '2026-01-01 10:00:00', 'rpc'),
                (1, '447700900801@s.whatsapp.net', true, 'outbound', 'text', 'sent', '2026-01-01 11:00:00', 'rpc'),
                (4, '447700900801@s.whatsapp.net', false, 'inbound', 'text', 'delivered', '2026-01-01 12:00:00', 'provider'),
                (3, '447700900801@s.whatsapp.net', true, 'outbound', 'text', 'sent', '2026-01-01 13:00:00', 'rpc')",
        )
        .await;
    let daemon = Daemon::start(&[&database], &[]).await;
    for (to, account) in
        [("+44 7700 900801", "1"), ("447700900801@s.whatsapp.net", "1"), ("+447700900802", "2")]
    {
        let mut params = text_params(to, "whose is it?");
        params["uid"] = ADMIN.into();
        let id = daemon.call("message.send", params).await["data"]["id"].clone();
        let sql = format!("SELECT configuration_id FROM whatsapp_message WHERE id = {id}");
        assert_eq!(database.text(&sql).await.as_deref(), Some(account), "{to}");
    }
}

#[tokio::test]
async fn a_key_for_one_user() {
    let database = TestDatabase::new(Series::Odoo14).await;
    // Environment variables are always text.
    let key = format!("WABRIDGE__DATABASES__{}__RPC_KEYS__KIOSK", database.name.to_uppercase());
    let settings = [
        (format!("{key}__SECRET"), "kiosk-secret-0123456789".to_owned()),
        (format!("{key}__ACT_AS"), USER.to_string()),
    ];
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let daemon = Daemon::start(&[&database], &settings).await;
    for (uid, expected) in [(USER, 0), (ADMIN, 1001), (SYSTEM, 1001)] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "configuration.health",
            "params": {"uid": uid, "configuration_id": 1}});
        let raw = super::Raw {
            key: "kiosk".into(),
            secret: "kiosk-secret-0123456789".into(),
            ..super::Raw::new(body.to_string())
        };
        let (_, text) = super::post(&daemon.private_url, Some(&raw.header()), &raw.body).await;
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(code(&answer), expected, "uid {uid}: {answer}");
    }
}
