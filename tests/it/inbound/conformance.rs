//! One suite for all providers: the simulator lets something happen, its webhook goes through the real daemon,
//! and Odoo's rows are as they shall be. What a provider has no word for is written in the table too.

mod cases;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep};
use wabridge_testkit::daemon::WHAPI_TOKEN;
use wabridge_testkit::{Daemon, Series, Simulator, TestDatabase};

use crate::support::Provider;
use crate::support::world::{ADMIN, USER, WEBHOOK_SECRET, WEBHOOK_TOKEN, World, credentials_of};
use cases::{Case, Step};

/// How long a row may take to be as it shall.
const PATIENCE: Duration = Duration::from_secs(80);
/// Cases of one provider under way at once.
const AT_ONCE: usize = 8;

/// A database with one account of the provider, in a daemon, beside a simulator that delivers to it.
async fn world(provider: Provider) -> World {
    let database = TestDatabase::new(Series::Odoo14).await;
    let simulator = Simulator::start().await;
    let mut daemon = Daemon::prepare(&[&database], "", &[]);
    if provider != Provider::Whapi {
        let settings = match provider {
            Provider::Meta => json!({"app_secret": WEBHOOK_SECRET}),
            _ => json!({
                "webhook_url": format!("{}/whatsapp/webhook/{}/{WEBHOOK_TOKEN}", daemon.public_url, provider.word()),
                "webhook_secret": WEBHOOK_SECRET,
            }),
        };
        let account = json!({
            "provider": provider.word(), "token": provider.token(), "channel_id": provider.channel(),
            "phone": "447700900999", "name": "Acme Support", "settings": settings,
        });
        simulator.control("state", json!({"accounts": [account]})).await;
    }
    database
        .execute(&format!(
            "UPDATE whatsapp_configuration SET provider = '{}', channel_id = '{}', auth_mode = NULL, pace_per_second = 0
             WHERE id = 1",
            provider.word(),
            provider.channel()
        ))
        .await;
    database
        .execute(&format!(
            "INSERT INTO ir_config_parameter (key, value) VALUES ('whatsapp_integration.public_url', '{}')
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            daemon.public_url
        ))
        .await;
    let base = match provider {
        Provider::Wassenger => format!("{}/v1", simulator.url),
        _ => simulator.url.clone(),
    };
    credentials_of(&database, &base, provider.token(), (WEBHOOK_TOKEN, WEBHOOK_SECRET)).await;
    prepare(provider, &database).await;
    daemon.run();
    daemon.wait_ready().await;
    let world = World { daemon, simulator, database };
    if provider != Provider::Custom {
        let params = json!({"uid": ADMIN, "configuration_id": 1});
        world.daemon.call("configuration.register_webhook", params).await;
    }
    world
}

/// What only accounts of this provider need.
async fn prepare(provider: Provider, database: &TestDatabase) {
    if provider == Provider::Meta {
        let seal_uuid = database
            .text("SELECT seal_uuid FROM whatsapp_configuration WHERE id = 1")
            .await
            .expect("the fixture has account 1");
        for column in ["app_secret", "verify_token"] {
            let sealed = Daemon::seal(database, &seal_uuid, column, WEBHOOK_SECRET).await;
            let sql =
                format!("UPDATE whatsapp_configuration SET {column} = '{sealed}' WHERE id = 1");
            database.execute(&sql).await;
        }
    }
}

/// Fills in what a case cannot know: `{from}` and `{group}` of its own, `$1`… what its steps made.
fn filled(text: &str, number: usize, made: &[String]) -> String {
    let mut text = text
        .replace("{from}", &format!("44770090{:04}", 1000 + number))
        .replace("{other}", &format!("44770090{:04}", 2000 + number))
        .replace("{third}", &format!("44770090{:04}", 3000 + number))
        .replace("{lid}", &format!("1838000000{number:05}@lid"))
        .replace("{group}", &format!("1203630255501{number:05}@g.us"))
        .replace("{newsletter}", &format!("1203630255502{number:05}@newsletter"));
    for (n, id) in made.iter().enumerate() {
        text = text.replace(&format!("${}", n + 1), id);
    }
    text
}

fn filled_json(value: &Value, number: usize, made: &[String]) -> Value {
    serde_json::from_str(&filled(&value.to_string(), number, made)).expect("still JSON")
}

/// Lets a case happen and looks until its rows are as they shall be; what is wrong, in words.
async fn run(world: &World, provider: Provider, number: usize, case: &Case) -> Result<(), String> {
    let mut made: Vec<String> = Vec::new();
    for step in &case.steps {
        made.push(happen(world, provider, number, step, &made).await);
    }
    let sql = filled(case.look, number, &made);
    let expected = filled(case.expected, number, &made);
    let end = Instant::now() + PATIENCE;
    loop {
        let seen = world.database.text(&sql).await.unwrap_or_default();
        if seen == expected {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(format!("{}: expected\n    {expected}\n  seen\n    {seen}", case.name));
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// One step; the provider's id of what it made.
async fn happen(
    world: &World,
    provider: Provider,
    number: usize,
    step: &Step,
    made: &[String],
) -> String {
    let account = |mut body: Value| {
        body["provider"] = provider.word().into();
        body["token"] = provider.token().into();
        body
    };
    match step {
        Step::Written(body) => {
            let answer =
                world.simulator.control("inbound", account(filled_json(body, number, made))).await;
            answer["id"].as_str().unwrap_or_default().to_owned()
        }
        Step::Changed(key, body) => {
            let body = filled_json(body, number, made);
            // Groups and people belong to nobody's account; everything else happens at one.
            let body = if matches!(*key, "groups" | "people") { body } else { account(body) };
            world.simulator.control("state", json!({ *key: [body] })).await;
            String::new()
        }
        Step::Sent(to, text) => {
            let (to, text) = (filled(to, number, made), filled(text, number, made));
            let data = world
                .daemon
                .call(
                    "message.send",
                    json!({"uid": USER, "to": format!("+{to}"), "type": "text", "text": {"body": text}, "wait_ms": 20_000}),
                )
                .await["data"]
                .clone();
            data["message_id"].as_str().unwrap_or_default().to_owned()
        }
        Step::Later => {
            sleep(Duration::from_millis(1_050)).await;
            String::new()
        }
        Step::Seen(sql) => {
            let sql = filled(sql, number, made);
            world.until_count(&format!("SELECT count(*) FROM ({sql}) seen"), 1, 20).await;
            String::new()
        }
    }
}

/// All cases that a provider has, several at once; those about the account itself one by one at the end.
async fn conforms(provider: Provider) {
    let world = Arc::new(world(provider).await);
    let (account, others): (Vec<_>, Vec<_>) = cases::all()
        .into_iter()
        .enumerate()
        .filter(|(_, case)| case.has.contains(&provider))
        .partition(|(_, case)| case.alone);
    let mut failures: Vec<String> = Vec::new();
    let mut running = JoinSet::new();
    let mut others = others.into_iter();
    loop {
        while running.len() < AT_ONCE
            && let Some((number, case)) = others.next()
        {
            let world = Arc::clone(&world);
            running.spawn(async move { run(&world, provider, number, &case).await });
        }
        let Some(done) = running.join_next().await else { break };
        match done {
            Ok(outcome) => failures.extend(outcome.err()),
            Err(panic) => failures.push(panic.to_string()),
        }
    }
    for (number, case) in &account {
        failures.extend(run(&world, provider, *number, case).await.err());
    }
    let left = world
        .database
        .text("SELECT string_agg(concat_ws(' ', state, event_no, reason, detail), E'\\n') FROM wabridge.journal_pending")
        .await;
    assert!(
        failures.is_empty() && left.is_none(),
        "{} of {}:\n{}\nnot applied: {}\n",
        failures.len(),
        provider.word(),
        failures.join("\n"),
        left.unwrap_or_default(),
    );
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

/// WHAPI may put the kind of an event into the body, the path or the verb.
#[tokio::test]
async fn whapi_in_its_three_delivery_modes() {
    let world = world(Provider::Whapi).await;
    for (number, mode) in ["body", "path", "method"].into_iter().enumerate() {
        let events = ["messages", "groups", "contacts", "users"].map(|kind| json!({"type": kind}));
        let settings = json!({"webhooks": [{
            "url": format!("{}/whatsapp/webhook/whapi/{WEBHOOK_TOKEN}", world.daemon.public_url), "mode": mode,
            "headers": {"Authorization": format!("Bearer {WEBHOOK_SECRET}")}, "events": events,
        }]});
        let answer = crate::support::world::client()
            .patch(format!("{}/settings", world.simulator.url))
            .bearer_auth(WHAPI_TOKEN)
            .json(&settings)
            .send()
            .await
            .expect("the simulator answers");
        assert_eq!(answer.status(), 200);
        for case in cases::of_delivery_modes() {
            let done = run(&world, Provider::Whapi, 500 + number, &case).await;
            assert_eq!(done, Ok(()), "mode {mode}");
        }
    }
}
