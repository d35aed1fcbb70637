//! Everything that the program says anywhere, at its most verbose: its commands, a panic, its end by abort, answers,
//! metrics, log, dump. Secrets stand nowhere; what people write stands in the tables that hold it and in the
//! journal's bodies, and nowhere else.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wabridge_testkit::daemon::{KEY_ID, WHAPI_TOKEN};
use wabridge_testkit::{Daemon, eventually};

use super::{PEER, dump, get, told};
use crate::support::world::{
    ADMIN, USER, WEBHOOK_SECRET, World, client, message_id, odoo_send, text_event, text_params,
};
use crate::support::{program, wabridge};

const OUT: &str = "text-canary-out-5501";
const IN: &str = "text-canary-in-5502";
const QUEUED: &str = "text-canary-queued-5503";
const CRASHED: &str = "text-canary-crashed-5504";
const TYPED: &str = "text-canary-typed-5505";
const TEXTS: [&str; 5] = [OUT, IN, QUEUED, CRASHED, TYPED];

/// Tables that hold what people write.
const HOLDERS: &[&str] = &["public.whatsapp_message", "wabridge.journal", "wabridge.outbox"];

/// The texts that stand in `text`, in clear, in hexadecimal digits, or in base64.
fn texts(text: &str) -> Vec<&'static str> {
    let lower = text.to_ascii_lowercase();
    let stands = |canary: &&str| {
        let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
        let encoded = super::base64(canary.as_bytes());
        lower.contains(*canary)
            || lower.contains(&hex)
            || text.contains(&encoded[..encoded.len() - 4])
    };
    TEXTS.into_iter().filter(stands).collect()
}

/// Tables of a dump in whose rows the texts stand; a partition counts as its table.
fn holders(dump: &str) -> BTreeSet<String> {
    let table = |line: &str| {
        let name = line.strip_prefix("INSERT INTO ")?.split(' ').next()?;
        Some(
            if name.starts_with("wabridge.journal_2") { "wabridge.journal" } else { name }
                .to_owned(),
        )
    };
    let rows = dump.lines().filter(|line| !texts(line).is_empty());
    rows.map(|line| table(line).unwrap_or_else(|| line.chars().take(80).collect())).collect()
}

fn clean(place: &str, text: &str) {
    assert_eq!(told(text), Vec::<String>::new(), "{place}");
    let found = texts(text);
    let line = text.lines().find(|line| !texts(line).is_empty());
    assert!(found.is_empty(), "{place}: {found:?}: {line:?}");
}

/// What a command printed, however it ended.
async fn said(daemon: &Daemon, arguments: &[&str]) -> String {
    let program::Finished { code, stdout, stderr } =
        wabridge(Some(&daemon.config_path()), arguments).await;
    format!("{code:?}\n{stdout}\n{stderr}")
}

/// Sends into a daemon that does not survive it, or whose task does not; what came back.
async fn fatal(daemon: &Daemon, text: &str) -> String {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "message.send", "params": text_params(PEER, text)});
    let body = body.to_string();
    let answer = client()
        .post(format!("{}/rpc", daemon.private_url))
        .header("content-type", "application/json")
        .header("authorization", Daemon::authorization(KEY_ID, "POST", "/rpc", &body))
        .body(body)
        .send()
        .await;
    match answer {
        Ok(answer) => format!("{} {}", answer.status(), answer.text().await.unwrap_or_default()),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_canary_in_commands_crashes_and_answers() {
    let trace = (
        "WABRIDGE__LOG__FILTER",
        "info,wabridge=trace,wabridge_store=trace,wabridge_providers=trace",
    );
    let mut world = World::with("", &[trace]).await;
    let mut answers = String::new();
    let id = world.sent(PEER, OUT).await;
    world.until_status(id, &["read"], 30).await;
    assert_eq!(world.webhook(&text_event(&message_id(1), PEER, IN)).await, 200);
    // One that cannot be read, one that waits, and what an authentic stranger could say.
    let mut foreign = text_event(&message_id(2), PEER, IN);
    foreign["channel_id"] = json!("NOBODYS");
    assert_eq!(world.webhook(&foreign).await, 200);
    let url = format!("{}/whatsapp/webhook/whapi", world.daemon.public_url);
    let odd = client().post(url).bearer_auth(WEBHOOK_SECRET).body(format!("{{{IN}")).send().await;
    assert_eq!(odd.expect("an answer").status(), 200);
    let mut scheduled = text_params(PEER, QUEUED);
    scheduled["schedule_at"] = json!("2099-01-01T00:00:00Z");
    world.daemon.call("message.send", scheduled).await;
    let odoo = world.database.odoo().await;
    odoo_send(&odoo, "nobody at all", QUEUED, None).await;
    world.until_count("SELECT count(*) FROM whatsapp_outbox_in", 0, 20).await;
    for (method, params) in [
        ("message.status", json!({"uid": USER, "id": id})),
        ("message.explain", json!({"uid": USER, "id": id})),
        ("message.send", json!({"uid": USER, "to": {"name": TYPED}, "type": "text"})),
        ("message.send", json!({"uid": USER, "to": PEER, "type": TYPED, "text": {"body": TYPED}})),
        ("message.edit", json!({"uid": USER, "id": 987_654, "text": TYPED})),
        ("contact.check", json!({"uid": USER, "numbers": [PEER]})),
        ("configuration.test", json!({"uid": ADMIN, "configuration_id": 1})),
        (
            "configuration.seal",
            json!({"uid": ADMIN, "seal_uuid": "u", "column": "token", "value": {"a": WHAPI_TOKEN}}),
        ),
        (
            "configuration.seal",
            json!({"uid": ADMIN, "seal_uuid": "u", "column": "token", "value": format!("{WHAPI_TOKEN}\n")}),
        ),
        ("audit.verify", json!({"uid": ADMIN})),
    ] {
        let answer: Value = world.daemon.rpc(method, params).await;
        // A word of the caller's own, cut, may be told to him; in his log it is nothing's.
        answers.push_str(&answer.to_string().replace(&format!("\\\"{TYPED}"), "\\\""));
        answers.push('\n');
    }
    for path in ["/metrics", "/health/ready", "/health/live"] {
        answers.push_str(&get(&world.daemon, &world.daemon.private_url, path).await);
    }
    clean("answers", &answers);

    // The task of a call ends in a panic, then the whole process.
    let panics =
        world.replica("", &[trace, ("WABRIDGE_FAILPOINTS", "enqueue.before_commit=panic")]).await;
    let answer = fatal(&panics, CRASHED).await;
    assert!(answer.contains("\"kind\":\"locked\""), "it may be tried again: {answer}");
    let log = panics.log();
    assert!(log.contains("panicked at"), "it was one");
    clean("a panic", &format!("{answer}{log}"));
    drop(panics);
    let mut aborts =
        world.replica("", &[trace, ("WABRIDGE_FAILPOINTS", "enqueue.before_commit=abort")]).await;
    let answer = fatal(&aborts, CRASHED).await;
    eventually("its end", 20, async || (!aborts.runs()).then_some(())).await;
    clean("its end", &format!("{answer}{}", aborts.log()));

    let commands: [&[&str]; 8] = [
        &["config", "check"],
        &["doctor"],
        &["explain", &id.to_string()],
        &["journal", "list"],
        &["audit", "verify"],
        &["keys", "list"],
        &["rpc", "message.status", &format!("{{\"uid\":5,\"id\":{id}}}")],
        &["rpc", "no.such.method", "{}"],
    ];
    for arguments in commands {
        let said = said(&world.daemon, arguments).await;
        assert!(said.len() > 20, "{arguments:?} says something");
        clean(&format!("{arguments:?}"), &said);
    }
    // This one is there to show what came in.
    let shown = said(&world.daemon, &["journal", "show", "1", "--body"]).await;
    assert_eq!((told(&shown), texts(&shown)), (vec![], vec![OUT]));
    clean("log", &world.daemon.log());
    world.daemon.terminate().await;
    clean("log, at its end", &world.daemon.log());

    let dump = dump(&world.database);
    assert_eq!(told(&dump), Vec::<String>::new());
    let holders = holders(&dump);
    let allowed: BTreeSet<String> = HOLDERS.iter().map(|name| (*name).to_owned()).collect();
    assert!(holders.is_subset(&allowed), "texts stand in {holders:?}");
    // The control: they are found where they must be, and what was undone stands nowhere.
    assert_eq!(holders, allowed);
    assert_eq!(texts(&dump), [OUT, IN, QUEUED]);
}
