//! One suite for all providers: every content goes through the real daemon to the simulator as the very HTTP request
//! that the provider documents, or is refused before anything is stored; every error ends as documented.
//!
//! With `WABRIDGE_RECORD_REQUESTS=<folder>` the requests of each provider are kept there as `<provider>.json`, for
//! `tests/tools/validate_requests.py`.

mod cases;
mod changes;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wabridge_testkit::{Daemon, Series, Simulator, TestDatabase};

use crate::support::Provider;
use crate::support::world::{USER, WEBHOOK_SECRET, WEBHOOK_TOKEN, World, credentials_of};
use cases::{Case, Want};

const PEER: &str = "+447700900123";
/// Whatever came of a send that the provider took.
const TAKEN: [&str; 5] = ["pending", "sent", "delivered", "read", "played"];

impl Provider {
    /// Header and value that carry the credential.
    fn credential(self) -> (&'static str, String) {
        match self {
            Self::Wassenger => ("token", self.token().to_owned()),
            _ => ("authorization", format!("Bearer {}", self.token())),
        }
    }

    /// Where texts are sent.
    fn send_path(self) -> &'static str {
        match self {
            Self::Whapi => "/messages/text",
            Self::Wassenger => "/v1/messages",
            Self::Meta => "/v23.0/206543210987654/messages",
            Self::Custom => "/messages",
        }
    }

    /// Where files are handed over, and what the form's or the body's type is; None where they are not.
    fn upload(self) -> Option<(&'static str, bool)> {
        match self {
            Self::Whapi => Some(("/media", false)),
            Self::Wassenger => Some(("/v1/files", true)),
            Self::Meta => Some(("/v23.0/206543210987654/media", true)),
            Self::Custom => Some(("/files", true)),
        }
    }
}

/// The mapping of a custom provider that takes everything, as the document has it.
fn mapping() -> String {
    let page = include_str!("../../docs/CUSTOM_PROVIDER.md");
    let (_, section) = page.split_once("## A service that takes everything").expect("the section");
    let (_, block) = section.split_once("```json\n").expect("the mapping");
    block.split("```").next().unwrap_or_default().to_owned()
}

/// A database with one account of the provider in a daemon, beside a simulator.
async fn world(provider: Provider) -> World {
    let database = TestDatabase::new(Series::Odoo14).await;
    let simulator = Simulator::start().await;
    if provider != Provider::Whapi {
        let account = json!({
            "provider": provider.word(), "token": provider.token(), "channel_id": provider.channel(),
            "phone": "447700900999", "name": "Acme Support", "settings": {"templates": cases::templates()},
        });
        simulator.control("state", json!({"accounts": [account]})).await;
    }
    let sql = format!(
        "UPDATE whatsapp_configuration SET provider = '{}', channel_id = '{}', auth_mode = NULL, pace_per_second = 0,
             failure_burst = 0, custom_mapping = {}
         WHERE id = 1",
        provider.word(),
        provider.channel(),
        if provider == Provider::Custom { format!("$mapping${}$mapping$", mapping()) } else { "NULL".into() }
    );
    database.execute(&sql).await;
    let base = match provider {
        Provider::Wassenger => format!("{}/v1", simulator.url),
        _ => simulator.url.clone(),
    };
    credentials_of(&database, &base, provider.token(), (WEBHOOK_TOKEN, WEBHOOK_SECRET)).await;
    let mut daemon = Daemon::prepare(&[&database], "", &[]);
    daemon.run();
    daemon.wait_ready().await;
    World { daemon, simulator, database }
}

/// All calls to the provider so far, oldest first.
async fn recorded(world: &World) -> Vec<Value> {
    let mut all = world.simulator.requests("/").await;
    all.retain(|one| one["path"].as_str().is_some_and(|path| !path.starts_with("/_control")));
    all
}

/// The row of a message that was sent before, to be answered: its row id and the provider's id.
async fn quoted(world: &World) -> (i64, String) {
    let params = json!({"uid": USER, "to": PEER, "type": "text", "text": {"body": "first"}, "wait_ms": 20_000});
    let data = world.daemon.call("message.send", params).await["data"].clone();
    let id = data["id"].as_i64().unwrap_or_else(|| panic!("no row id: {data}"));
    world.until_status(id, &TAKEN, 20).await;
    let sql = format!("SELECT message_id FROM whatsapp_message WHERE id = {id}");
    (id, world.database.text(&sql).await.expect("the provider named it"))
}

/// What a case may not know stands in braces: the file's id at the provider, our reference, the quoted message.
fn masked(body: &Value, files: &[String], reference: &str, quoted: &str) -> Value {
    match body {
        Value::String(text) if files.contains(text) => json!("{file}"),
        Value::String(text) if text.starts_with(reference) => json!("{reference}"),
        Value::String(text) if text == quoted => json!("{quoted}"),
        Value::Array(items) => {
            items.iter().map(|item| masked(item, files, reference, quoted)).collect()
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), masked(value, files, reference, quoted)))
            .collect(),
        other => other.clone(),
    }
}

/// Sends a case and looks at what the provider was asked for; what is wrong, in words.
async fn run(
    world: &World,
    provider: Provider,
    case: &Case,
    quoted: &(i64, String),
) -> Result<(), String> {
    let rows = "SELECT count(*) FROM whatsapp_message";
    let (before, stored) = (recorded(world).await.len(), world.database.count(rows).await);
    let mut params = json!({"uid": USER, "to": PEER, "type": case.kind, "wait_ms": 20_000});
    params[case.named()] = case.part.clone();
    if let Some((bytes, filename)) = &case.file {
        params["media"]["base64"] = json!(STANDARD.encode(bytes));
        params["media"]["filename"] = json!(filename);
    }
    if case.reply {
        params["reply_to"] = json!(quoted.0);
    }
    let answer = world.daemon.rpc("message.send", params).await;
    let wrong = |what: &str, seen: &Value| Err(format!("{}: {what}: {seen}", case.name));
    let want = case.wants.iter().find(|(of, _)| *of == provider).map(|(_, want)| want);
    let Some(Want { method, path, body }) = want else {
        if answer["error"]["data"]["kind"] != "unsupported_by_provider" {
            return wrong("not refused as unsupported", &answer);
        }
        if world.database.count(rows).await != stored || recorded(world).await.len() != before {
            return wrong("something was stored or sent", &answer);
        }
        return Ok(());
    };
    let Some(id) = answer["result"]["data"]["id"].as_i64() else {
        return wrong("not taken", &answer);
    };
    world.until_status(id, &[&TAKEN[..], &["failed", "uncertain"]].concat(), 30).await;
    let status = world.status(id).await;
    let calls = recorded(world).await.split_off(before);
    if !TAKEN.contains(&status.as_str()) {
        let sql = format!(
            "SELECT error_code || ': ' || error_message FROM whatsapp_message WHERE id = {id}"
        );
        let why = world.database.text(&sql).await.unwrap_or_default();
        return wrong(&format!("{status} ({why})"), &json!(calls));
    }
    let (header, credential) = provider.credential();
    if let Some(call) = calls.iter().find(|call| call["headers"][header] != credential.as_str()) {
        return wrong("a call without the credential", call);
    }
    let request_id = &answer["result"]["meta"]["request_id"];
    // A file is handed over once, for whoever comes with it first.
    let uploads = provider.upload().map(|(path, _)| path);
    if let Some(call) = calls.iter().find(|call| {
        call["headers"]["x-request-id"] != *request_id && call["path"].as_str() != uploads
    }) {
        return wrong("a call without the request's id", call);
    }
    let (uploads, sends): (Vec<Value>, Vec<Value>) = calls
        .into_iter()
        .partition(|call| provider.upload().is_some_and(|(path, _)| call["path"] == path));
    if let Some(problem) = upload_problem(provider, case, &uploads) {
        return wrong(problem, &json!(uploads));
    }
    let [call] = &sends[..] else {
        return wrong("not exactly one send", &json!(sends));
    };
    let (path, method) = (provider.path(path), *method);
    if call["path"] != path.as_str() || call["method"] != method {
        return wrong(&format!("not {method} {path}"), call);
    }
    if call["headers"]["content-type"] != "application/json" {
        return wrong("not JSON", call);
    }
    let files = world
        .database
        .text("SELECT string_agg(provider_id, ' ') FROM wabridge.media_at_provider")
        .await;
    let files: Vec<String> = files.unwrap_or_default().split(' ').map(str::to_owned).collect();
    let seen = masked(&call["body"], &files, "wabridge:", &quoted.1);
    if seen != *body {
        return Err(format!("{}: expected\n    {body}\n  sent\n    {seen}", case.name));
    }
    Ok(())
}

/// A file is handed over once, in the provider's form.
fn upload_problem(provider: Provider, case: &Case, uploads: &[Value]) -> Option<&'static str> {
    let ([upload], Some((bytes, filename))) = (uploads, &case.file) else {
        return (uploads.is_empty() != case.file.is_none()).then_some("uploads and files disagree");
    };
    let (_, form) = provider.upload()?;
    let kind = upload["headers"]["content-type"].as_str().unwrap_or_default();
    if upload["method"] != "POST" {
        return Some("an upload is a POST");
    }
    if !form {
        let length = upload["headers"]["content-length"].as_str().and_then(|n| n.parse().ok());
        let right = kind == case.mimetype && length == Some(bytes.len());
        return (!right).then_some("the body is the file, with its media type and length");
    }
    let body = upload["body"].as_str().unwrap_or_default();
    let has = |text: &str| body.contains(text);
    let mut right = kind.starts_with("multipart/form-data; boundary=")
        && has(&format!("name=\"file\"; filename=\"{filename}\""))
        && has(&format!("Content-Type: {}", case.mimetype));
    if provider == Provider::Meta {
        right &= has("name=\"messaging_product\"\r\n\r\nwhatsapp\r\n")
            && has(&format!("name=\"type\"\r\n\r\n{}\r\n", case.mimetype));
    }
    (!right).then_some("the form lacks a part")
}

impl Provider {
    fn path(self, tail: &str) -> String {
        match self {
            Self::Whapi | Self::Custom => tail.to_owned(),
            Self::Wassenger => format!("/v1{tail}"),
            Self::Meta => format!("/v23.0/{}{tail}", self.channel()),
        }
    }
}

/// Every content, in turn.
async fn conforms(provider: Provider) {
    let world = world(provider).await;
    let quoted = quoted(&world).await;
    let mut failures = Vec::new();
    for case in cases::all() {
        failures.extend(run(&world, provider, &case, &quoted).await.err());
    }
    failures.extend(changes::run(&world, provider, &quoted).await);
    if let Some(folder) = std::env::var_os("WABRIDGE_RECORD_REQUESTS") {
        let file = std::path::Path::new(&folder).join(format!("{}.json", provider.word()));
        let all = json!({"requests": recorded(&world).await});
        std::fs::write(&file, all.to_string()).expect("the recording can be written");
    }
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}\n",
        failures.len(),
        provider.word(),
        failures.join("\n")
    );
}

/// An answer and what comes of the message: its status at the end, the code, and how often the provider was asked.
struct Answered {
    fault: Value,
    status: &'static str,
    code: Option<&'static str>,
    calls: usize,
}

fn answered(
    fault: Value,
    status: &'static str,
    code: impl Into<Option<&'static str>>,
    calls: usize,
) -> Answered {
    Answered { fault, status, code: code.into(), calls }
}

/// The answers of the sheets' tables that matter most, each for one send. `delivered` stands for taken.
async fn errors(provider: Provider, special: Vec<Answered>) {
    let world = world(provider).await;
    let mut all = vec![
        answered(json!({"status": 429, "retry_after": 1}), "delivered", None, 2),
        answered(json!({"status": 429}), "delivered", None, 2),
        answered(json!({"status": 500}), "uncertain", "provider_timeout", 1),
        answered(json!({"status": 504, "body": "<html>"}), "uncertain", "provider_timeout", 1),
        answered(json!({"drop_answer": true}), "uncertain", "provider_timeout", 1),
        answered(json!({"status": 413}), "failed", "invalid_content", 1),
    ];
    if provider == Provider::Meta {
        // Its errors have codes: 413 comes with that of a wrong parameter.
        all[5].code = Some("invalid_content");
    }
    all.extend(special);
    let mut failures = Vec::new();
    for (n, Answered { mut fault, status, code, calls }) in all.into_iter().enumerate() {
        let told = fault.to_string();
        fault["operation"] = json!("message.send");
        fault["times"] = json!(1);
        let before = world.simulator.requests(provider.send_path()).await.len();
        world.fault(fault).await;
        // Each to somebody else: an uncertain message holds up its own chat only.
        let id = world.sent(&format!("+44770090{:04}", 1_000 + n), "hello").await;
        let ends: Vec<&str> = match status {
            "delivered" => TAKEN.to_vec(),
            other => vec![other],
        };
        let end = tokio::time::Instant::now() + std::time::Duration::from_secs(120);
        let mut seen = world.status(id).await;
        while !ends.contains(&seen.as_str()) && tokio::time::Instant::now() < end {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            seen = world.status(id).await;
        }
        let sql = format!("SELECT error_code FROM whatsapp_message WHERE id = {id}");
        let error = world.database.text(&sql).await;
        let made = world.simulator.requests(provider.send_path()).await.len() - before;
        if !ends.contains(&seen.as_str()) || error.as_deref() != code || made != calls {
            failures.push(format!(
                "{told}: {seen} with {error:?} after {made} calls, not {status} with {code:?} after {calls}"
            ));
        }
    }
    assert!(failures.is_empty(), "{}:\n{}\n", provider.word(), failures.join("\n"));
}

fn whapi_error(message: &str) -> Value {
    json!({"error": {"code": 400, "message": message}})
}

fn meta_error(code: i64) -> Value {
    json!({"error": {"message": format!("(#{code}) as the test says"), "type": "OAuthException", "code": code}})
}

#[tokio::test]
async fn whapi() {
    conforms(Provider::Whapi).await;
}

#[tokio::test]
async fn wassenger() {
    conforms(Provider::Wassenger).await;
}

#[tokio::test]
async fn meta() {
    conforms(Provider::Meta).await;
}

#[tokio::test]
async fn custom() {
    conforms(Provider::Custom).await;
}

#[tokio::test]
async fn whapi_errors() {
    let not_there = whapi_error("Specified chat not found");
    errors(
        Provider::Whapi,
        vec![
            answered(json!({"status": 400}), "failed", "provider_rejected", 1),
            answered(json!({"status": 403}), "failed", "provider_rejected", 1),
            answered(json!({"status": 404, "body": not_there}), "failed", "invalid_recipient", 1),
            answered(json!({"status": 415}), "failed", "media_type_unsupported", 1),
            answered(json!({"status": 409}), "uncertain", "provider_timeout", 1),
        ],
    )
    .await;
}

#[tokio::test]
async fn wassenger_errors() {
    let wrong_number = json!({"status": 400, "message": "phone is not a valid number"});
    errors(
        Provider::Wassenger,
        vec![
            answered(
                json!({"status": 400, "body": wrong_number}),
                "failed",
                "invalid_recipient",
                1,
            ),
            answered(json!({"status": 403}), "failed", "provider_rejected", 1),
            answered(json!({"status": 409}), "uncertain", "provider_timeout", 1),
            answered(json!({"status": 502, "body": "<html>"}), "uncertain", "provider_timeout", 1),
        ],
    )
    .await;
}

#[tokio::test]
async fn meta_errors() {
    let coded = |code: i64| json!({"status": 400, "body": meta_error(code)});
    // The sheet's table, without what makes the account wait or says to try again.
    let final_codes: [(&'static str, &[i64]); 8] = [
        ("outside_service_window", &[131_047]),
        ("recipient_opted_out", &[131_050]),
        ("invalid_recipient", &[131_021, 131_026, 131_030, 131_062]),
        ("unsupported_by_provider", &[131_051]),
        ("media_type_unsupported", &[131_053]),
        ("provider_auth_failed", &[3, 10, 200, 131_005]),
        (
            "invalid_content",
            &[100, 131_008, 131_009, 132_000, 132_001, 132_005, 132_007, 132_008, 132_012],
        ),
        (
            "provider_rejected",
            &[
                33, 130_472, 130_497, 131_037, 131_045, 131_049, 131_052, 131_063, 132_015,
                132_016, 132_068, 133_016, 135_000, 137_000,
            ],
        ),
    ];
    errors(
        Provider::Meta,
        vec![
            answered(coded(1), "delivered", None, 2),
            answered(coded(131_000), "delivered", None, 2),
            answered(coded(130_429), "delivered", None, 2),
        ]
        .into_iter()
        .chain(final_codes.iter().flat_map(|(kind, codes)| {
            codes.iter().map(move |code| answered(coded(*code), "failed", *kind, 1))
        }))
        .collect(),
    )
    .await;
}

#[tokio::test]
async fn custom_errors() {
    errors(
        Provider::Custom,
        vec![
            answered(json!({"status": 400}), "failed", "provider_rejected", 1),
            answered(json!({"status": 404}), "failed", "provider_rejected", 1),
            answered(json!({"status": 409}), "uncertain", "provider_timeout", 1),
        ],
    )
    .await;
}

/// A credential that is dead holds the messages of its account; they do not fail.
#[tokio::test]
async fn dead_credentials_hold_the_messages() {
    for provider in [Provider::Whapi, Provider::Wassenger, Provider::Meta, Provider::Custom] {
        let world = world(provider).await;
        let account =
            json!({"provider": provider.word(), "token": provider.token(), "state": "token_dead"});
        world.simulator.control("state", json!({"accounts": [account]})).await;
        let id = world.sent(PEER, "waits").await;
        let state = "SELECT count(*) FROM whatsapp_account_state WHERE configuration_id = 1 AND state = 'token_dead'";
        world.until_count(state, 1, 30).await;
        assert_eq!(world.status(id).await, "queued", "{provider:?}");
    }
}
