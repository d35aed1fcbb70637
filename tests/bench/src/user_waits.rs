//! A user's request to a real Odoo while the provider takes half a minute for every send: beside the same request
//! with sending switched off.
//!
//! The request is a button on a partner (a server action): a note in its chatter and a changed field, and then the
//! send, the last line of its code. Switched off is the same button without that line. By the transaction door it
//! is `whatsapp.core.service`, by a call the Inbox's reply, which asks the daemon with `wait_ms` 0.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ingest::title;
use crate::load::percentile;
use crate::options::Options;

/// Partners whose buttons are pressed in turn.
const PARTNERS: usize = PRESSES;
/// Of each kind, in a round.
const PRESSES: usize = 12;
const PROVIDER_TAKES: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    Off,
    Transaction,
    Call,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Off, Self::Transaction, Self::Call];

    /// The last line of the button.
    fn send(self) -> &'static str {
        match self {
            Self::Off => "",
            Self::Transaction => {
                "env['whatsapp.core.service'].send_text_message(record.phone, env.context['bench_text'], \
                 configuration_id=env.context['bench_account'], raise_on_error=True)"
            }
            Self::Call => {
                "env['whatsapp.chat'].inbox_send(env.context['bench_chat'], env.context['bench_text'], \
                 env.context['bench_text'])"
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Off => "sending switched off",
            Self::Transaction => "the transaction door",
            Self::Call => "the call, wait_ms 0",
        }
    }
}

/// Measures on the demo that `options.env` names and adds its section to the report.
pub async fn run(options: &Options) {
    let file = options.env.as_deref().expect("--env names the env file of a demo");
    let env = environment(file);
    let odoo = Odoo::log_in(&env).await;
    let simulator = &env["SIMULATOR_URL"];
    let account: i64 = env["WHAPI_CONFIGURATION_ID"].parse().expect("it is an id");
    let version = odoo.version().await;
    let place = Place::prepare(&odoo, account).await;
    // What is slow the first time is not what a provider can help.
    for (n, kind) in Kind::ALL.into_iter().enumerate() {
        place.press(&odoo, kind, n, "first").await;
    }
    let [mut slow, mut instant] = [(); 2].map(|()| BTreeMap::<Kind, Vec<u32>>::new());
    let mut hits = 0;
    for round in 1..=options.rounds {
        odoo.control(simulator, "faults", Some(&json!({
            "operation": "message.send", "probability": 1, "delay_ms": PROVIDER_TAKES.as_millis(),
        })))
        .await;
        place.presses(&odoo, &format!("slow {round}"), &mut slow).await;
        let faults = odoo.control(simulator, "faults", None).await;
        hits += faults["faults"][0]["hits"].as_u64().expect("it counts");
        odoo.forget_faults(simulator).await;
        place.presses(&odoo, &format!("instant {round}"), &mut instant).await;
    }
    assert!(hits > 0, "the provider was asked while it was slow");
    for took in slow.values_mut().chain(instant.values_mut()) {
        took.sort_unstable();
    }
    let sent = place.check(&odoo, simulator, &env["WHAPI_TOKEN"], options.rounds).await;
    let text = section(options, &version, &slow, &instant, hits, sent);
    println!("{text}");
    if let Some(path) = &options.report {
        let mut whole = std::fs::read_to_string(path).unwrap_or_else(|_| heading(options));
        whole.push_str(&text);
        std::fs::write(path, whole).expect("the report can be written");
    }
}

fn heading(options: &Options) -> String {
    let title = title("How long a user waits", options);
    let head = title.split(" of its own with fsync").next().unwrap_or_default();
    format!(
        "{head}; {} rounds. Medians and percentiles of all presses.\n\n\
         A button on a partner: a note in its chatter, a changed field, a WhatsApp message as the last line of its code. \"Switched off\" is the same \
         button without that line, so the ratio holds the whole price of sending, not only what a slow provider adds. One user after the other; \
         Odoo, daemon, simulator and PostgreSQL share the cores.\n",
        options.rounds
    )
}

fn section(
    options: &Options,
    version: &str,
    slow: &BTreeMap<Kind, Vec<u32>>,
    instant: &BTreeMap<Kind, Vec<u32>>,
    hits: u64,
    sent: u64,
) -> String {
    let ms = |took: &[u32], share| percentile(took, share) / 1000.0;
    let ratio = |kind: Kind, share| ms(&slow[&kind], share) / ms(&slow[&Kind::Off], share);
    let mut text = format!(
        "\n## Odoo {version}\n\n| what | measured | required | aim |\n| --- | --- | --- | --- |\n"
    );
    for kind in [Kind::Transaction, Kind::Call] {
        writeln!(
            text,
            "| p95 while the provider takes {} s ÷ switched off, {} | {:.2} | ≤ 2 | ≤ 1.2 |",
            PROVIDER_TAKES.as_secs(),
            kind.name(),
            ratio(kind, 0.95)
        )
        .expect("text grows");
    }
    text.push_str("\n| button | provider | p50, ms | p95, ms | longest, ms |\n| --- | --- | --- | --- | --- |\n");
    for (provider, all) in [("takes 30 s", slow), ("answers at once", instant)] {
        for (kind, took) in all {
            writeln!(
                text,
                "| {} | {provider} | {:.1} | {:.1} | {:.1} |",
                kind.name(),
                ms(took, 0.5),
                ms(took, 0.95),
                ms(took, 1.0)
            )
            .expect("text grows");
        }
    }
    let presses = options.rounds * PRESSES;
    writeln!(
        text,
        "\n{presses} presses of each. p50 ÷ p50: {:.2} by the transaction, {:.2} by the call. {hits} sends were held by the provider; \
         {sent} messages were sent in all, each once.",
        ratio(Kind::Transaction, 0.5),
        ratio(Kind::Call, 0.5)
    )
    .expect("text grows");
    text
}

fn environment(file: &Path) -> HashMap<String, String> {
    let text = std::fs::read_to_string(file).expect("the demo's env file can be read");
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What is pressed.
struct Place {
    account: i64,
    actions: HashMap<Kind, i64>,
    /// (partner, chat)
    people: Vec<(i64, i64)>,
}

impl Place {
    async fn prepare(odoo: &Odoo, account: i64) -> Self {
        let without_pace = json!([[account], {"pace_per_second": 0, "random_gap_min_s": 0, "random_gap_max_s": 0, "recipient_gap_s": 0}]);
        odoo.call("whatsapp.configuration", "write", without_pace, json!({})).await;
        let model = odoo.ids("ir.model", json!([["model", "=", "res.partner"]])).await[0];
        let mut actions = HashMap::new();
        for kind in Kind::ALL {
            let code = format!(
                "record.message_post(body='Packed: %s' % env.context['bench_text'])\n\
                 record.write({{'comment': env.context['bench_text']}})\n{}\n",
                kind.send()
            );
            let values =
                json!({"name": kind.name(), "model_id": model, "state": "code", "code": code});
            let id = odoo.create("ir.actions.server", values).await;
            actions.insert(kind, id);
        }
        let mut people = Vec::new();
        for n in 0..PARTNERS {
            let phone = format!("+447700905{n:03}");
            let values = json!({"name": format!("Customer {n}"), "phone": phone});
            let partner = odoo.create("res.partner", values).await;
            let params =
                json!({"to": phone, "message": format!("hello {n}"), "configuration_id": account});
            let answer = odoo.post("/whatsapp/send/text", params).await;
            assert_eq!(answer["success"], true, "{answer}");
            let chat =
                json!([["configuration_id", "=", account], ["chat_id", "like", &phone[1..]]]);
            people.push((partner, odoo.ids("whatsapp.chat", chat).await[0]));
        }
        Self { account, actions, people }
    }

    /// Presses the buttons in turn; how long each took, microseconds.
    async fn presses(&self, odoo: &Odoo, what: &str, took: &mut BTreeMap<Kind, Vec<u32>>) {
        for n in 0..PRESSES {
            for kind in Kind::ALL {
                let one = self.press(odoo, kind, n, what).await;
                took.entry(kind).or_default().push(one);
            }
        }
    }

    async fn press(&self, odoo: &Odoo, kind: Kind, n: usize, what: &str) -> u32 {
        let (partner, chat) = self.people[n % self.people.len()];
        let context = json!({
            "active_model": "res.partner", "active_id": partner, "active_ids": [partner],
            "bench_text": format!("bench {what} {n} {kind:?}"), "bench_chat": chat, "bench_account": self.account,
        });
        let begin = Instant::now();
        let args = json!([[self.actions[&kind]]]);
        odoo.call("ir.actions.server", "run", args, json!({"context": context})).await;
        u32::try_from(begin.elapsed().as_micros()).unwrap_or(u32::MAX)
    }

    /// Every press that sends is a message, and each leaves once; how many there were.
    async fn check(&self, odoo: &Odoo, simulator: &str, token: &str, rounds: usize) -> u64 {
        let wanted = u64::try_from((rounds * PRESSES * 2 + 1) * 2).expect("they are few");
        let mine = |more: Value| {
            let mut domain =
                vec![json!(["direction", "=", "outbound"]), json!(["content", "=like", "bench %"])];
            domain.extend(more.as_array().cloned().unwrap_or_default());
            json!([domain])
        };
        let count = async |more: Value| {
            let n = odoo.call("whatsapp.message", "search_count", mine(more), json!({})).await;
            n.as_u64().expect("it counts")
        };
        assert_eq!(count(json!([])).await, wanted, "each press is a message");
        let end = Instant::now() + Duration::from_secs(180);
        let waits = json!([["status", "not in", ["pending", "sent", "delivered", "read"]]]);
        while count(waits.clone()).await > 0 {
            assert!(Instant::now() < end, "messages still wait to be sent or settled");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let mut texts = HashSet::new();
        let mut offset = 0;
        loop {
            let url = format!(
                "{simulator}/messages/list?from_me=true&sort=asc&count=100&offset={offset}"
            );
            let page = odoo.http.get(url).bearer_auth(token).send().await.expect("it answers");
            let page: Value = page.json().await.expect("it answers JSON");
            let messages = page["messages"].as_array().expect("it lists messages").clone();
            offset += messages.len();
            for message in &messages {
                let text = message["text"]["body"].as_str().unwrap_or_default();
                let new = !text.starts_with("bench ") || texts.insert(text.to_owned());
                assert!(new, "{text:?} was sent twice");
            }
            if messages.len() < 100 {
                break;
            }
        }
        assert_eq!(u64::try_from(texts.len()).ok(), Some(wanted), "each was sent");
        wanted
    }
}

/// A session of a browser.
struct Odoo {
    url: String,
    session: String,
    http: reqwest::Client,
}

impl Odoo {
    async fn log_in(env: &HashMap<String, String>) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
        let url = env["ODOO_URL"].clone();
        let params = json!({"db": env["ODOO_DB"], "login": env["ODOO_LOGIN"], "password": env["ODOO_PASSWORD"]});
        let body = json!({"jsonrpc": "2.0", "method": "call", "params": params});
        let answer = http.post(format!("{url}/web/session/authenticate")).json(&body);
        let answer = answer.send().await.expect("Odoo answers");
        let session = answer
            .headers()
            .get_all("set-cookie")
            .iter()
            .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
            .find(|cookie| cookie.starts_with("session_id="))
            .expect("Odoo gives a session")
            .to_owned();
        let answer: Value = answer.json().await.expect("it answers JSON");
        assert!(answer["result"]["uid"].is_i64(), "the login is refused: {answer}");
        Self { url, session, http }
    }

    async fn post(&self, path: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "method": "call", "params": params});
        let request = self.http.post(format!("{}{path}", self.url)).header("cookie", &self.session);
        let answer = request.json(&body).send().await.expect("Odoo answers");
        let answer: Value = answer.json().await.expect("it answers JSON");
        assert!(answer.get("error").is_none(), "{path}: {}", answer["error"]);
        answer["result"].clone()
    }

    async fn call(&self, model: &str, method: &str, args: Value, kwargs: Value) -> Value {
        let params = json!({"model": model, "method": method, "args": args, "kwargs": kwargs});
        self.post("/web/dataset/call_kw", params).await
    }

    async fn create(&self, model: &str, values: Value) -> i64 {
        let made = self.call(model, "create", json!([values]), json!({})).await;
        made.as_i64().expect("a record has an id")
    }

    async fn ids(&self, model: &str, domain: Value) -> Vec<i64> {
        let found = self.call(model, "search", json!([domain]), json!({})).await;
        let found = found.as_array().cloned().unwrap_or_default();
        let ids: Vec<i64> = found.iter().filter_map(Value::as_i64).collect();
        assert!(!ids.is_empty(), "there is no {model} of {domain}");
        ids
    }

    async fn version(&self) -> String {
        let info = self.post("/web/webclient/version_info", json!({})).await;
        info["server_serie"].as_str().unwrap_or("of an unknown series").to_owned()
    }

    /// Tells the simulator something, or asks it.
    async fn control(&self, simulator: &str, what: &str, body: Option<&Value>) -> Value {
        let url = format!("{simulator}/_control/{what}");
        let request = match body {
            Some(body) => self.http.post(url).json(body),
            None => self.http.get(url),
        };
        let answer = request.send().await.expect("the simulator answers");
        assert!(answer.status().is_success(), "{what}: {}", answer.status());
        answer.json().await.expect("it answers JSON")
    }

    async fn forget_faults(&self, simulator: &str) {
        let request = self.http.delete(format!("{simulator}/_control/faults"));
        let answer = request.send().await.expect("the simulator answers");
        assert!(answer.status().is_success(), "{}", answer.status());
    }
}
