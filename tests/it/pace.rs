//! How fast an account may send: gaps, bursts of failures, accounts that are down, many daemons.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wabridge_testkit::{Daemon, eventually};

use crate::sending::{META_NUMBER, meta_prepared};
use crate::support::World;
use crate::support::world::{USER, text_params};

/// A daemon that is gone is missed soon, and what it left open is settled soon.
const SHORT: &str = "[limits]\nlease_s = 4\nprovider_timeout_s = 2\nsettle_s = 3";

/// A world whose account is so from the start.
async fn configured(set: &str) -> World {
    configured_with("", set).await
}

async fn configured_with(extra: &str, set: &str) -> World {
    let mut world = World::prepared(extra, &[]).await;
    world.database.execute(&format!("UPDATE whatsapp_configuration SET {set} WHERE id = 1")).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    world
}

/// Times at which the provider was asked to send, milliseconds, by recipient.
async fn asked(world: &World) -> (Vec<i64>, BTreeMap<String, Vec<i64>>) {
    let (mut all, mut by_chat) = (Vec::new(), BTreeMap::<String, Vec<i64>>::new());
    for call in world.simulator.requests("/messages/text").await {
        let at = call["at"].as_str().expect("a time");
        let ms = format!("SELECT (extract(epoch FROM '{at}'::timestamptz) * 1000)::int8");
        let at = world.database.count(&ms).await;
        all.push(at);
        let to = call["body"]["to"].as_str().expect("a recipient").to_owned();
        by_chat.entry(to).or_default().push(at);
    }
    (all, by_chat)
}

/// No window of `seconds` holds more than `most` calls.
fn within(times: &[i64], seconds: i64, most: usize) -> bool {
    times.iter().enumerate().all(|(n, from)| {
        times[n..].iter().take_while(|at| **at < from + seconds * 1000).count() <= most
    })
}

/// Everything that goes wrong with a call: asked to slow down, failed, cut, slow.
async fn faults(world: &World) {
    let of = |what: Value| {
        let mut fault = json!({"operation": "message.send"});
        fault.as_object_mut().expect("an object").extend(what.as_object().expect("one").clone());
        fault
    };
    for what in [
        json!({"status": 429, "retry_after": 1, "times": 2}),
        json!({"status": 500, "times": 2}),
        json!({"drop_answer": true, "times": 2}),
        json!({"delay_ms": 600, "probability": 0.2}),
    ] {
        world.fault(of(what)).await;
    }
}

/// `count` sends to eight people through this many daemons; the first daemon is killed while they go, and started
/// again where it is the only one.
async fn sent_and_killed(world: &mut World, count: usize, daemons: usize) -> Vec<Daemon> {
    let mut replicas: Vec<Daemon> = Vec::new();
    for _ in 1..daemons {
        replicas.push(world.replica(SHORT, &[]).await);
    }
    faults(world).await;
    for n in 0..count {
        let params = text_params(&format!("4477009300{:02}", n % 8), &format!("paced {n}"));
        let daemon = replicas.get(n % daemons).unwrap_or(&world.daemon);
        daemon.call("message.send", params).await;
    }
    eventually("some of them go", 30, async || (world.calls().await >= 5).then_some(())).await;
    world.daemon.kill();
    if replicas.is_empty() {
        world.daemon.run();
        world.daemon.wait_ready().await;
    }
    replicas
}

/// Under faults no account exceeds its pace, however many daemons there are; all of it goes or is known to be
/// uncertain.
async fn kept_by(daemons: usize) {
    let mut world = configured_with(SHORT, "pace_per_second = 5, recipient_gap_s = 2").await;
    let _replicas = sent_and_killed(&mut world, 24, daemons).await;
    world.until_quiet(120).await;
    let settled = "SELECT count(*) FROM whatsapp_message WHERE message_id IS NOT NULL OR status = 'uncertain'";
    assert_eq!(world.database.count(settled).await, 24);
    let (all, by_chat) = asked(&world).await;
    // A call may be seen late by the simulator, never early: what was begun at its pace may arrive a little denser.
    assert!(within(&all, 3, 15 + 6), "{all:?}");
    for (chat, times) in by_chat {
        let least = 2000 * (i64::try_from(times.len()).expect("a few") - 1) - 1500;
        let took = times.last().zip(times.first()).map(|(last, first)| last - first);
        assert!(took.is_some_and(|took| took >= least), "{chat}: {times:?}");
    }
}

#[tokio::test]
async fn one_daemon_keeps_the_pace() {
    kept_by(1).await;
}

#[tokio::test]
async fn two_daemons_keep_the_pace() {
    kept_by(2).await;
}

#[tokio::test]
async fn three_daemons_keep_the_pace() {
    kept_by(3).await;
}

#[tokio::test]
async fn the_days_limit_holds_whatever_goes_wrong() {
    let mut world = configured_with(SHORT, "pace_per_second = 0, daily_limit = 14").await;
    let _replicas = sent_and_killed(&mut world, 32, 2).await;
    // Over midnight there is another day's limit.
    let limited = "SELECT count(*) FROM (SELECT) one WHERE NOT EXISTS (SELECT 1 FROM wabridge.outbox WHERE uncertain_since IS NULL)
        OR EXISTS (SELECT 1 FROM whatsapp_account_state WHERE waiting_reason = 'daily_limit' AND waiting_count > 0
                   AND waiting_until > now() AT TIME ZONE 'UTC')";
    world.until_count(limited, 1, 90).await;
    let under_way = "SELECT count(*) FROM wabridge.attempt WHERE outcome IS NULL";
    world.until_count(under_way, 0, 60).await;
    let mut days: BTreeMap<String, usize> = BTreeMap::new();
    for call in world.simulator.requests("/messages/text").await {
        let at = call["at"].as_str().expect("a time");
        *days.entry(at[..10].to_owned()).or_default() += 1;
    }
    assert!(days.values().all(|calls| *calls <= 14), "{days:?}");
}

/// More accounts like account 1: the second, which has a provider that takes everything, and the third.
async fn two_more(world: &World) {
    const TOKEN: &str = "whapi-token-of-another";
    let account = json!({"accounts": [{"provider": "whapi", "token": TOKEN, "channel_id": "ROBIN-7Q2ZM",
        "phone": "447700900998", "name": "Birch Support"}]});
    world.simulator.control("state", account).await;
    let seal = "5e0a5a1c-6a3f-4f7e-9a44-0f4d1c8d2b11";
    let token = Daemon::seal(&world.database, seal, "token", TOKEN).await;
    world
        .database
        .execute(&format!(
            "INSERT INTO whatsapp_configuration (id, name, provider, channel_id, active, sequence, company_id, seal_uuid,
                    token, base_url, pace_per_second)
             SELECT v.id, 'Another', c.provider, v.channel, true, 20, c.company_id, v.seal, v.token, c.base_url, 0
             FROM whatsapp_configuration c, (VALUES (2, 'ROBIN-7Q2ZM', '{seal}', '{token}'),
                  (3, 'WREN-99XYZ', '5e0a5a1c-6a3f-4f7e-9a44-0f4d1c8d2b12', NULL)) v(id, channel, seal, token)
             WHERE c.id = 1;
             INSERT INTO res_users_whatsapp_configuration_rel (whatsapp_configuration_id, res_users_id) VALUES (2, {USER})"
        ))
        .await;
}

/// What waits at an account, each in a chat of its own; `place` and `due` are of the outbox and of the lane.
async fn backlog(world: &World, account: i64, count: i64, place: &str, due: &str) {
    let rows =
        format!("FROM whatsapp_message WHERE configuration_id = {account} AND content = 'waits'");
    world
        .database
        .execute(&format!(
            "INSERT INTO whatsapp_message (configuration_id, provider, direction, from_me, origin, message_type, content,
                    timestamp, queued_at, status, chat_id)
             SELECT {account}, 'whapi', 'outbound', true, 'odoo', 'text', 'waits', now(), now(), 'queued',
                    '4478' || lpad(n::text, 8, '0') || '@s.whatsapp.net' FROM generate_series(1, {count}) n;
             INSERT INTO wabridge.lane (configuration_id, chat_key, ready_at) SELECT {account}, chat_id, {due} {rows};
             INSERT INTO wabridge.outbox (configuration_id, chat_key, message_id, uid, request, position, not_before)
             SELECT {account}, chat_id, id, 5, '{{\"type\": \"text\", \"text\": {{\"body\": \"waits\"}}}}', {place} {rows}"
        ))
        .await;
}

#[tokio::test]
async fn fifty_thousand_that_wait_slow_no_other_account() {
    const WAITING: i64 = 50_000;
    const SENDS: i64 = 40;
    let mut world = World::prepared("", &[]).await;
    two_more(&world).await;
    backlog(&world, 1, WAITING, "nextval('wabridge.outbox_position_seq'), NULL", "now()").await;
    // A campaign for tomorrow.
    backlog(&world, 3, WAITING, "NULL, now() + interval '1 day'", "NULL").await;
    world
        .database
        .execute(
            "INSERT INTO wabridge.account_pace (configuration_id, paused_until, pause_kind, pauses)
             VALUES (1, now() + interval '1 hour', 'rate_limited', 1)",
        )
        .await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    let shown = format!(
        "SELECT count(*) FROM whatsapp_account_state WHERE configuration_id = 1 AND waiting_reason = 'paused'
         AND waiting_count = {WAITING}"
    );
    world.until_count(&shown, 1, 60).await;
    let messages: Vec<Value> = (0..SENDS)
        .map(|n| json!({"configuration_id": 2, "to": "447700900804", "type": "text", "text": {"body": n.to_string()}}))
        .collect();
    world.daemon.call("message.send_bulk", json!({"uid": USER, "messages": messages})).await;
    let gone = "SELECT count(*) FROM whatsapp_message WHERE configuration_id = 2 AND message_id IS NOT NULL";
    world.until_count(gone, SENDS, 120).await;
    // That a claim reads nothing of what waits is counted in `crates/store/tests/backlog.rs`.
    let untouched = "SELECT count(*) FROM wabridge.outbox WHERE configuration_id IN (1, 3)";
    assert_eq!(world.database.count(untouched).await, 2 * WAITING);
}

/// Milliseconds between two messages to one person at Meta, after 44 went to him; the account's own gap is `gap`.
async fn apart_at_meta(gap: &str) -> i64 {
    const PEER: &str = "447700900123";
    let mut world = meta_prepared(&[]).await;
    // Each of them was borrowed from the next 264 s; one second of that is over.
    world
        .database
        .execute(&format!(
            "UPDATE whatsapp_configuration SET recipient_gap_s = {gap} WHERE id = 1;
             INSERT INTO wabridge.lane (configuration_id, chat_key, gap_tat) VALUES (1, '{PEER}', now() + interval '263 s')"
        ))
        .await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    for n in 0..2 {
        world.send(PEER, &format!("borrowed {n}")).await;
    }
    world.until_count("SELECT count(*) FROM wabridge.outbox", 0, 30).await;
    let path = format!("/v23.0/{META_NUMBER}/messages");
    let mut times = Vec::new();
    for call in world.simulator.requests(&path).await {
        let at = call["at"].as_str().expect("a time");
        let ms = format!("SELECT (extract(epoch FROM '{at}'::timestamptz) * 1000)::int8");
        times.push(world.database.count(&ms).await);
    }
    let [first, second] = times.as_slice() else { panic!("two were sent: {times:?}") };
    second - first
}

#[tokio::test]
async fn metas_pair_rule() {
    let apart = apart_at_meta("NULL").await;
    assert!(apart >= 4000, "{apart} ms: one in 6 s, once 45 went at once");
}

#[tokio::test]
async fn an_accounts_own_gap_takes_the_place_of_the_pair_rule() {
    let apart = apart_at_meta("2").await;
    assert!(apart >= 1500, "{apart} ms");
}

#[tokio::test]
async fn random_gaps() {
    let world =
        configured("pace_per_second = 0, random_gap_min_s = 0.3, random_gap_max_s = 0.9").await;
    for n in 0..12 {
        world.send(&format!("4477009400{n:02}"), "gap").await;
    }
    world
        .until_count("SELECT count(*) FROM whatsapp_message WHERE message_id IS NOT NULL", 12, 60)
        .await;
    let (all, _) = asked(&world).await;
    let gaps: Vec<i64> = all.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(all[11] - all[0] >= 11 * 300 - 1500, "{gaps:?}");
    assert!(gaps.iter().max() != gaps.iter().min(), "{gaps:?}");
}

#[tokio::test]
async fn so_many_failures_pause_the_account() {
    let world = configured("failure_burst = 3").await;
    world.fault(json!({"operation": "message.send", "status": 400, "times": 3})).await;
    // One after the other: of a group of outcomes with a success after its failures none would be in a row.
    for n in 0..3 {
        let id = world.sent(&format!("4477009500{n:02}"), "fails").await;
        world.until_status(id, &["failed"], 20).await;
    }
    let paused = "SELECT count(*) FROM wabridge.account_pace WHERE pause_kind = 'failures' AND paused_until > now()";
    world.until_count(paused, 1, 20).await;
    let shown = "SELECT count(*) FROM whatsapp_account_state WHERE waiting_reason IN ('paused') AND waiting_until IS NOT NULL";
    world.send("447700950099", "waits").await;
    world.until_count(shown, 1, 20).await;
    world.database.execute("UPDATE wabridge.account_pace SET paused_until = now()").await;
    world.until_count("SELECT count(*) FROM wabridge.outbox", 0, 30).await;
}

#[tokio::test]
async fn an_account_that_is_down_keeps_its_messages() {
    let world = World::start().await;
    world.database.execute("INSERT INTO whatsapp_account_state (configuration_id, state) VALUES (1, 'disconnected')
        ON CONFLICT (configuration_id) DO UPDATE SET state = 'disconnected'").await;
    let id = world.sent("447700900804", "waits").await;
    let shown = "SELECT count(*) FROM whatsapp_account_state WHERE waiting_reason = 'disconnected' AND waiting_count = 1";
    world.until_count(shown, 1, 20).await;
    assert_eq!((world.calls().await, world.status(id).await), (0, "queued".to_owned()));
    world.database.execute("UPDATE whatsapp_account_state SET state = 'connected'").await;
    world.until_status(id, &["pending", "sent"], 30).await;
    let clear = "SELECT count(*) FROM whatsapp_account_state WHERE waiting_reason IS NULL AND waiting_count = 0";
    world.until_count(clear, 1, 20).await;
    eventually("it was sent once", 5, async || (world.calls().await == 1).then_some(())).await;
}
