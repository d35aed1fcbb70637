//! The world that attacks are tried on, and what is looked at after each.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wabridge_testkit::daemon::{KEY_ID, KEY_SECRET, WHAPI_TOKEN};
use wabridge_testkit::{Daemon, Series, Simulator, TestDatabase};

use crate::media::server::Files;
use crate::support::World;
use crate::support::tables::{Tables, changed, settled, tables};
use crate::support::world::{USER, credentials, credentials_of, hook};

/// Of account 2, which belongs to the second company; of the second database's account.
pub const SECOND_TOKEN: &str = "second-path-token";
pub const SECOND_SECRET: &str = "second-webhook-secret";
pub const OTHER_TOKEN: &str = "other-path-token";
pub const OTHER_SECRET: &str = "other-webhook-secret";
/// Of account 3, a number at Meta.
pub const APP_SECRET: &str = "attacked-app-secret";
pub const VERIFY_TOKEN: &str = "attacked-verify-token";
pub const META_NUMBER: &str = "206543210987654";
/// The user of account 2, and the key that acts for him alone.
pub const ELSEWHERE: i32 = 25;
pub const KIOSK: &str = "kiosk";

/// Account 2 has one of everything, with ids that nothing else has.
const OTHERS: &str = "
    INSERT INTO res_partner (id, name, active) SELECT n, 'Person ' || n, true FROM generate_series(20, 25) n;
    INSERT INTO res_company (id, name, partner_id, currency_id) SELECT 2, 'Second', 20, currency_id FROM res_company WHERE id = 1;
    INSERT INTO res_users (id, login, active, share, partner_id, company_id, notification_type)
        VALUES (25, 'elsewhere', true, false, 25, 2, 'email');
    INSERT INTO res_company_users_rel (cid, user_id) VALUES (2, 25);
    INSERT INTO res_groups_users_rel (gid, uid) VALUES (2, 25);
    UPDATE whatsapp_configuration SET company_id = 1 WHERE id = 1;
    INSERT INTO whatsapp_configuration (id, name, provider, channel_id, active, sequence, company_id, seal_uuid, base_url) VALUES
        (2, 'Second', 'whapi', 'SECOND-1', true, 20, 2, '4f3c2b1a-0000-4000-8000-0000000000b2', 'http://127.0.0.1:9'),
        (3, 'Meta', 'meta', '206543210987654', true, 30, 1, '4f3c2b1a-0000-4000-8000-0000000000c3', 'http://127.0.0.1:9');
    INSERT INTO res_users_whatsapp_configuration_rel (whatsapp_configuration_id, res_users_id) VALUES (2, 25), (3, 5);
    INSERT INTO whatsapp_contact (id, configuration_id, provider, contact_id, phone, name)
        VALUES (9001, 2, 'whapi', '447700900301@s.whatsapp.net', '+447700900301', 'Theirs');
    INSERT INTO whatsapp_group (id, configuration_id, provider, group_id, name, is_active)
        VALUES (9001, 2, 'whapi', '120363025550109001@g.us', 'Theirs', true);
    INSERT INTO whatsapp_media (id, state, filename, mimetype) VALUES (9001, 'failed', 'theirs.pdf', 'application/pdf');
    INSERT INTO whatsapp_message (id, configuration_id, provider, message_id, chat_id, direction, from_me, message_type, status,
            content, contact_id, media_id, origin, timestamp)
        VALUES (9001, 2, 'whapi', 'theirs-1', '447700900301@s.whatsapp.net', 'outbound', true, 'text', 'failed', 'secret of theirs',
            9001, 9001, 'rpc', '2026-01-01 10:00:00');
    INSERT INTO whatsapp_chat (id, configuration_id, chat_id, contact_id, unread_count)
        VALUES (9001, 2, '447700900301@s.whatsapp.net', 9001, 1);
    INSERT INTO whatsapp_sync_run (id, configuration_id, state) VALUES (9001, 2, 'queued');
    UPDATE whatsapp_sync_run SET state = 'done' WHERE id = 9001;
";

/// What is attacked.
pub struct Stage {
    pub world: World,
    /// The other database of the same daemon.
    pub other: TestDatabase,
    pub files: Files,
    name: &'static str,
    cases: usize,
    /// What went wrong, by name.
    wrong: Vec<String>,
    /// The tables as the last case left them.
    left: Option<(Tables, Tables)>,
    /// Bytes of the log that were looked at.
    looked: usize,
}

impl Stage {
    pub async fn start(name: &'static str, environment: &[(&str, &str)]) -> Self {
        let database = TestDatabase::new(Series::Odoo14).await;
        let other = TestDatabase::new(Series::Odoo19).await;
        database.execute(OTHERS).await;
        let simulator = Simulator::start().await;
        credentials(&database, &simulator.url, WHAPI_TOKEN).await;
        for (id, secrets) in [
            (2, [("webhook_token", SECOND_TOKEN), ("webhook_secret", SECOND_SECRET)]),
            (3, [("app_secret", APP_SECRET), ("verify_token", VERIFY_TOKEN)]),
        ] {
            let uuid = format!("SELECT seal_uuid FROM whatsapp_configuration WHERE id = {id}");
            let uuid = database.text(&uuid).await.expect("it has one");
            for (column, clear) in secrets {
                let sealed = Daemon::seal(&database, &uuid, column, clear).await;
                let sql = format!(
                    "UPDATE whatsapp_configuration SET {column} = '{sealed}' WHERE id = {id}"
                );
                database.execute(&sql).await;
            }
        }
        other.execute("UPDATE whatsapp_configuration SET channel_id = 'OTHER-1'").await;
        credentials_of(&other, "http://127.0.0.1:9", "token", (OTHER_TOKEN, OTHER_SECRET)).await;
        let kiosk =
            format!("WABRIDGE__DATABASES__{}__RPC_KEYS__KIOSK", database.name.to_uppercase());
        let settings = [
            (format!("{kiosk}__SECRET"), KEY_SECRET.to_owned()),
            (format!("{kiosk}__ACT_AS"), ELSEWHERE.to_string()),
            ("WABRIDGE__PUBLIC__READ_TIMEOUT_S".to_owned(), "3".to_owned()),
            ("WABRIDGE__PRIVATE__READ_TIMEOUT_S".to_owned(), "3".to_owned()),
            ("WABRIDGE__LOG__FILTER".to_owned(), "info,wabridge=trace".to_owned()),
        ];
        let settings = settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let settings: Vec<(&str, &str)> = settings.chain(environment.iter().copied()).collect();
        let mut daemon = Daemon::prepare(&[&database, &other], "", &settings);
        hook(&simulator, WHAPI_TOKEN, &daemon.public_url).await;
        daemon.run();
        daemon.wait_ready_each(&[&database, &other]).await;
        let world = World { daemon, simulator, database };
        let stage = Self {
            world,
            other,
            files: Files::start().await,
            name,
            cases: 0,
            wrong: vec![],
            left: None,
            looked: 0,
        };
        assert_eq!(stage.good().await, ["0", "0", "200"]);
        // A send and what comes back of it, so that everything that is made once is made.
        let id = stage.world.sent("+447700900123", "hello").await;
        stage.world.until_status(id, &["read"], 30).await;
        settled(&stage.world.database).await;
        stage
    }

    /// The row id of the message that was sent first.
    pub async fn own_message(&self) -> i64 {
        self.world
            .database
            .count("SELECT min(id)::int8 FROM whatsapp_message WHERE configuration_id = 1")
            .await
    }

    async fn snapshot(&self) -> (Tables, Tables) {
        (tables(&self.world.database).await, tables(&self.other).await)
    }

    /// What good callers are told: of both databases, and at the public listener.
    async fn good(&self) -> [String; 3] {
        let daemon = &self.world.daemon;
        let health = json!({"uid": USER, "configuration_id": 1});
        let first = daemon.rpc_with(KEY_ID, "configuration.health", health.clone()).await;
        let second = daemon.rpc_with("test1", "configuration.health", health).await;
        let url = format!("{}/whatsapp/health", daemon.public_url);
        let public = daemon.http.get(url).send().await.expect("the daemon answers");
        [code(&first), code(&second), public.status().as_u16().to_string()]
    }

    /// One attack: what it must come to (one of `wanted`), and the tables that may change.
    pub async fn case(
        &mut self,
        name: &str,
        wanted: &[&str],
        keeps: &[&str],
        attack: impl AsyncFnOnce(&Self) -> String,
    ) {
        let before = match self.left.take() {
            Some(left) => left,
            None => self.snapshot().await,
        };
        let came_to = attack(self).await;
        println!("{}: {name}: {came_to}", self.name);
        if !wanted.contains(&came_to.as_str()) {
            self.wrong.push(format!("{name}: {came_to:?} and not {wanted:?}"));
        }
        let after = self.snapshot().await;
        let first = changed(&before.0, &after.0).into_iter();
        let first = first.filter(|table| !keeps.contains(&table.as_str()));
        let changed: Vec<String> = first.chain(changed(&before.1, &after.1)).collect();
        if !changed.is_empty() {
            self.wrong.push(format!("{name}: {changed:?} changed"));
        }
        let good = self.good().await;
        assert_eq!(good, ["0", "0", "200"], "{name}: the service is not what it was");
        let log = self.world.daemon.log();
        let new = log.get(self.looked..).unwrap_or_default();
        let strange = new.lines().find(|line| {
            let controls = line.chars().any(|c| c.is_control() && c != '\t');
            controls || !begins_with_a_time(line) || line.contains("FORGED")
        });
        if let Some(line) = strange {
            self.wrong.push(format!("{name}: in the log: {line:?}"));
        }
        self.looked = log.len();
        self.left = Some(after);
        self.cases += 1;
    }

    /// What was done meanwhile was no attack: waits for its end.
    pub async fn settle(&mut self) {
        settled(&self.world.database).await;
        self.left = None;
    }

    /// Says how many there were.
    pub fn end(self, at_least: usize) {
        println!("{}: {} attacks", self.name, self.cases);
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
        assert!(self.cases >= at_least, "{} attacks only", self.cases);
    }

    /// A signed call; the code of its refusal.
    pub async fn call(&self, method: &str, params: Value) -> String {
        code(&self.world.daemon.rpc(method, params).await)
    }

    /// A body that is signed as it is; `<status> <code>`.
    pub async fn raw(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body).into_owned();
        // The signature is over the bytes.
        let authorization = Http::signed(KEY_ID, "POST", "/rpc", body);
        let answer = self.world.daemon.http.post(format!("{}/rpc", self.world.daemon.private_url));
        let answer = answer
            .header("content-type", "application/json")
            .header("authorization", authorization)
            .body(body.to_vec())
            .send()
            .await
            .unwrap_or_else(|error| {
                panic!("{error}: {}", text.chars().take(80).collect::<String>())
            });
        let status = answer.status().as_u16();
        let answer: Value = answer.json().await.unwrap_or_default();
        format!("{status} {}", code(&answer))
    }

    pub fn public(&self) -> Http {
        Http::of(&self.world.daemon.public_url)
    }

    pub fn private(&self) -> Http {
        Http::of(&self.world.daemon.private_url)
    }
}

/// The code of a refusal, of the call or of its only item; 0 where it was done.
pub fn code(answer: &Value) -> String {
    let of = |error: &Value| error["code"].as_i64();
    let item = &answer["result"]["data"]["results"][0]["error"];
    match of(&answer["error"]).or_else(|| of(item)) {
        Some(code) => code.to_string(),
        None if answer["result"].is_null() => answer.to_string(),
        None => "0".to_owned(),
    }
}

/// As `2026-01-02T03:04:05`.
fn begins_with_a_time(line: &str) -> bool {
    let bytes = line.as_bytes();
    bytes.len() > 20 && bytes[4] == b'-' && bytes[10] == b'T' && bytes[13] == b':'
}

/// HTTP as bytes.
pub struct Http {
    address: String,
}

impl Http {
    pub fn of(url: &str) -> Self {
        Self { address: url.trim_start_matches("http://").to_owned() }
    }

    /// The Authorization header of a private call.
    pub fn signed(key: &str, method: &str, path: &str, body: &[u8]) -> String {
        use wabridge_domain::{Clock, Secret, clock::SystemClock};
        use wabridge_rpc::sign;
        let request = sign::Request { method, path, body };
        let now = SystemClock.now().as_second();
        sign::sign(key, &Secret::new(KEY_SECRET), now, &sign::nonce(), request)
    }

    /// Writes the parts with a pause between them, and reads to the end, or until nothing comes any more: the statuses of
    /// all answers, `closed` without any.
    pub async fn say(&self, parts: &[&[u8]]) -> String {
        statuses(&self.said(parts).await)
    }

    /// As [`Http::say`]; all that was answered.
    pub async fn said(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).await.expect("the listener is open");
        let mut answer = Vec::new();
        for (n, part) in parts.iter().enumerate() {
            if n > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            // It may have been closed already: then what was answered counts.
            if stream.write_all(part).await.is_err() {
                break;
            }
        }
        let mut some = vec![0; 65536];
        // Longer than the daemon's own patience.
        while let Ok(Ok(read @ 1..)) =
            tokio::time::timeout(Duration::from_secs(12), stream.read(&mut some)).await
        {
            answer.extend_from_slice(&some[..read]);
        }
        answer
    }
}

fn statuses(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let all: Vec<&str> = text.split("HTTP/1.1 ").skip(1).filter_map(|one| one.get(..3)).collect();
    if all.is_empty() { "closed".to_owned() } else { all.join(",") }
}
