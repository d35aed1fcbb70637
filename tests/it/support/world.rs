//! A database with one WHAPI account, the simulator as its provider, and a daemon between them.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_postgres::Client;
use wabridge_testkit::daemon::{WHAPI_CHANNEL, WHAPI_TOKEN};
use wabridge_testkit::{Daemon, Series, Simulator, TestDatabase, eventually};

/// Planted, so that they can be looked for where they must not be.
pub const WEBHOOK_TOKEN: &str = "path-token-canary-7719";
pub const WEBHOOK_SECRET: &str = "webhook-secret-canary-3307";

/// The user who may use the account, and the administrator.
pub const USER: i32 = 5;
pub const ADMIN: i32 = 2;

/// Everything that one test plays with. The daemon ends first, the database last.
pub struct World {
    pub daemon: Daemon,
    pub simulator: Simulator,
    pub database: TestDatabase,
}

impl World {
    /// Running and ready.
    pub async fn start() -> Self {
        Self::with("", &[]).await
    }

    /// With TOML in front of the settings and additions to the daemon's environment.
    pub async fn with(extra: &str, environment: &[(&str, &str)]) -> Self {
        let mut world = Self::prepared(extra, environment).await;
        world.daemon.run();
        world.daemon.wait_ready().await;
        world
    }

    /// As [`World::with`], but the daemon does not run yet.
    pub async fn prepared(extra: &str, environment: &[(&str, &str)]) -> Self {
        Self::around(TestDatabase::new(Series::Odoo14).await, extra, environment).await
    }

    /// As [`World::prepared`], around a database that is there.
    pub async fn around(database: TestDatabase, extra: &str, environment: &[(&str, &str)]) -> Self {
        let simulator = Simulator::start().await;
        credentials(&database, &simulator.url, WHAPI_TOKEN).await;
        let daemon = Daemon::prepare(&[&database], extra, environment);
        hook(&simulator, WHAPI_TOKEN, &daemon.public_url).await;
        Self { daemon, simulator, database }
    }

    /// Another daemon on the same database.
    pub async fn replica(&self, extra: &str, environment: &[(&str, &str)]) -> Daemon {
        let mut daemon = Daemon::prepare(&[&self.database], extra, environment);
        daemon.run();
        daemon.wait_ready().await;
        daemon
    }

    /// `message.send` of a text; the answer's data.
    pub async fn send(&self, to: &str, text: &str) -> Value {
        self.daemon.call("message.send", text_params(to, text)).await["data"].clone()
    }

    /// As [`World::send`]; the row id.
    pub async fn sent(&self, to: &str, text: &str) -> i64 {
        let data = self.send(to, text).await;
        data["id"].as_i64().unwrap_or_else(|| panic!("no row id: {data}"))
    }

    /// The row's status.
    pub async fn status(&self, id: i64) -> String {
        let sql = format!("SELECT status FROM whatsapp_message WHERE id = {id}");
        self.database.text(&sql).await.unwrap_or_default()
    }

    /// Waits until the row's status is one of `words`.
    pub async fn until_status(&self, id: i64, words: &[&str], seconds: u64) -> String {
        eventually(&format!("message {id} is {words:?}"), seconds, async || {
            let status = self.status(id).await;
            words.contains(&status.as_str()).then_some(status)
        })
        .await
    }

    /// Waits until a query that counts gives `count`.
    pub async fn until_count(&self, sql: &str, count: i64, seconds: u64) {
        until_count(&self.database, sql, count, seconds).await;
    }

    /// A webhook as the provider sends it; the answer's status.
    pub async fn webhook(&self, body: &Value) -> u16 {
        webhook(&self.daemon.http, &self.daemon.public_url, body).await
    }

    /// What the provider accepted, oldest first: (chat, text, provider's id).
    pub async fn accepted(&self) -> Vec<Accepted> {
        accepted(&self.simulator, WHAPI_TOKEN).await
    }

    /// How many sends the provider was asked for, refused ones included.
    pub async fn calls(&self) -> usize {
        self.simulator.requests("/messages/text").await.len()
    }

    /// Sets a fault at the simulator; its id.
    pub async fn fault(&self, fault: Value) -> i64 {
        self.simulator.control("faults", fault).await["id"].as_i64().expect("a fault has an id")
    }

    /// Waits until nothing is waiting to be sent or settled.
    pub async fn until_quiet(&self, seconds: u64) {
        self.until_count(
            "SELECT (SELECT count(*) FROM wabridge.outbox) + (SELECT count(*) FROM whatsapp_outbox_in)",
            0,
            seconds,
        )
        .await;
    }
}

/// Waits until a query that counts gives `count`; four times `seconds` on a slow machine, as [`eventually`] does.
pub async fn until_count(database: &TestDatabase, sql: &str, count: i64, seconds: u64) {
    let mut last = -1;
    let seconds = 4 * seconds;
    let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
    while tokio::time::Instant::now() < end {
        last = database.count(sql).await;
        if last == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{sql}: {last} and not {count} after {seconds} s");
}

/// A message that the provider took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub chat: String,
    pub text: String,
    pub id: String,
}

/// What an account of the simulator sent by API, oldest first.
pub async fn accepted(simulator: &Simulator, token: &str) -> Vec<Accepted> {
    let http = client();
    let mut all: Vec<Accepted> = Vec::new();
    loop {
        let url = format!(
            "{}/messages/list?sort=asc&from_me=true&count=100&offset={}",
            simulator.url,
            all.len()
        );
        let answer = http.get(url).bearer_auth(token).send().await.expect("the simulator answers");
        let page: Value = answer.json().await.expect("it answers JSON");
        let messages = page["messages"].as_array().unwrap_or_else(|| panic!("no list: {page}"));
        all.extend(messages.iter().filter(|m| m["source"] == "api").map(|m| Accepted {
            chat: m["chat_id"].as_str().unwrap_or_default().to_owned(),
            text: m["text"]["body"].as_str().unwrap_or_default().to_owned(),
            id: m["id"].as_str().unwrap_or_default().to_owned(),
        }));
        if messages.len() < 100 {
            return all;
        }
    }
}

/// Gives account 1 its sealed credentials and the simulator as its provider.
pub async fn credentials(database: &TestDatabase, base_url: &str, token: &str) {
    let webhook = (WEBHOOK_TOKEN, WEBHOOK_SECRET);
    credentials_of(database, base_url, token, webhook).await;
}

/// As [`credentials`], with a path token and a webhook secret of its own.
pub async fn credentials_of(
    database: &TestDatabase,
    base_url: &str,
    token: &str,
    webhook: (&str, &str),
) {
    let seal_uuid = database
        .text("SELECT seal_uuid FROM whatsapp_configuration WHERE id = 1")
        .await
        .expect("the fixture has account 1");
    let mut sets = format!("base_url = '{base_url}'");
    for (column, clear) in
        [("token", token), ("webhook_token", webhook.0), ("webhook_secret", webhook.1)]
    {
        let sealed = Daemon::seal(database, &seal_uuid, column, clear).await;
        sets.push_str(&format!(", {column} = '{sealed}'"));
    }
    database.execute(&format!("UPDATE whatsapp_configuration SET {sets} WHERE id = 1")).await;
}

/// Where the simulator delivers the account's webhooks.
pub fn webhook_url(public_url: &str) -> String {
    format!("{public_url}/whatsapp/webhook/whapi/{WEBHOOK_TOKEN}")
}

/// Tells the simulator where the account's webhooks go.
pub async fn hook(simulator: &Simulator, token: &str, public_url: &str) {
    hook_url(simulator, token, &webhook_url(public_url), WEBHOOK_SECRET).await;
}

/// As [`hook`], to an address as it is.
pub async fn hook_url(simulator: &Simulator, token: &str, url: &str, secret: &str) {
    let settings = json!({"webhooks": [{
        "url": url,
        "mode": "body",
        "headers": {"Authorization": format!("Bearer {secret}")},
        "events": [{"type": "messages"}, {"type": "statuses"}, {"type": "channel"}],
    }]});
    let answer = client()
        .patch(format!("{}/settings", simulator.url))
        .bearer_auth(token)
        .json(&settings)
        .send()
        .await
        .expect("the simulator answers");
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
}

/// A number from the environment, or `default`.
pub fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(120))
        .build()
        .expect("an HTTP client can be made")
}

/// A webhook with the right secret; 0 when there was no answer.
pub async fn webhook(http: &reqwest::Client, public_url: &str, body: &Value) -> u16 {
    let answer =
        http.post(webhook_url(public_url)).bearer_auth(WEBHOOK_SECRET).json(body).send().await;
    answer.map_or(0, |answer| answer.status().as_u16())
}

/// An id in the provider's form.
pub fn message_id(n: u64) -> String {
    format!("Qk2vT9aXe4L{n:011}-gLw8Ztq3HcA")
}

/// The webhook of a text that somebody wrote.
pub fn text_event(id: &str, from: &str, text: &str) -> Value {
    json!({
        "messages": [{
            "id": id, "from_me": false, "type": "text", "chat_id": format!("{from}@s.whatsapp.net"),
            "timestamp": 1_765_800_001, "source": "mobile", "text": {"body": text},
            "from": from, "from_name": "Amira Osei",
        }],
        "event": {"type": "messages", "event": "post"},
        "channel_id": WHAPI_CHANNEL,
    })
}

/// The webhook of a status.
pub fn status_event(id: &str, chat: &str, word: &str) -> Value {
    let code = match word {
        "failed" => 0,
        "pending" => 1,
        "sent" => 2,
        "delivered" => 3,
        _ => 4,
    };
    json!({
        "statuses": [{
            "id": id, "code": code, "status": word, "recipient_id": chat, "timestamp": "1765800301",
        }],
        "event": {"type": "statuses", "event": "post"},
        "channel_id": WHAPI_CHANNEL,
    })
}

/// The parameters of a text that the user sends.
pub fn text_params(to: &str, text: &str) -> Value {
    json!({"uid": USER, "to": to, "type": "text", "text": {"body": text}})
}

/// What a committed (or rolled back) transaction of Odoo does to send (the transaction door).
pub async fn odoo_send(odoo: &Client, to: &str, text: &str, key: Option<&str>) -> i64 {
    let message = "INSERT INTO whatsapp_message (configuration_id, provider, direction, from_me, origin, message_type,
            content, timestamp, queued_at, user_id, request_id, status, create_uid, create_date, write_uid, write_date)
        VALUES (1, 'whapi', 'outbound', true, 'odoo', 'text', $1, date_trunc('second', now() AT TIME ZONE 'UTC'),
            date_trunc('second', now() AT TIME ZONE 'UTC'), 5, gen_random_uuid()::text, 'queued', 5,
            now() AT TIME ZONE 'UTC', 5, now() AT TIME ZONE 'UTC')
        RETURNING id";
    let row = odoo.query_one(message, &[&text]).await.expect("Odoo's role may insert messages");
    let id: i32 = row.get(0);
    let request = json!({"type": "text", "text": {"body": text}}).to_string();
    let outbox = "INSERT INTO whatsapp_outbox_in (message_id, configuration_id, recipient, request, idempotency_key,
            create_uid, create_date, write_uid, write_date)
        VALUES ($1, 1, $2, $3, $4, 5, now() AT TIME ZONE 'UTC', 5, now() AT TIME ZONE 'UTC')";
    odoo.execute(outbox, &[&id, &to, &request, &key]).await.expect("Odoo's role may queue");
    odoo.batch_execute("NOTIFY wabridge").await.expect("anybody may notify");
    i64::from(id)
}
