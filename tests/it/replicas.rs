//! Two daemons on one database.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use wabridge_testkit::Daemon;
use wabridge_testkit::daemon::KEY_ID;

use crate::support::World;
use crate::support::world::{Accepted, client, message_id, text_event, text_params, webhook};

const PEER: &str = "447700900123";
/// A pause of a few seconds outlasts the lease.
const SHORT_LEASE: &str = "[limits]\nprovider_timeout_s = 2\nlease_s = 3";

/// What is wrong with what the provider took: texts `<chat> <n>`, each once, in each chat by growing n.
fn mistakes(accepted: &[Accepted], chats: usize, each: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut by_chat: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for one in accepted {
        let n = one.text.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
        by_chat.entry(&one.chat).or_default().push(n);
    }
    if by_chat.len() != chats {
        found.push(format!("{} chats and not {chats}", by_chat.len()));
    }
    for (chat, numbers) in &by_chat {
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        if sorted != *numbers {
            found.push(format!("{chat}: out of order: {numbers:?}"));
        }
        sorted.dedup();
        if sorted.len() != numbers.len() {
            found.push(format!("{chat}: sent twice: {numbers:?}"));
        }
        if sorted.len() != each {
            found.push(format!("{chat}: {} and not {each}", sorted.len()));
        }
    }
    found
}

#[test]
fn the_checker_finds_each_mistake() {
    let one = |chat: &str, n: usize| Accepted {
        chat: chat.into(),
        text: format!("{chat} {n}"),
        id: String::new(),
    };
    let good = vec![one("a", 0), one("b", 0), one("a", 1), one("b", 1)];
    assert!(mistakes(&good, 2, 2).is_empty());
    let twice = [good.clone(), vec![one("a", 1)]].concat();
    assert!(mistakes(&twice, 2, 2).iter().any(|m| m.contains("twice")));
    assert!(mistakes(&good[..3], 2, 2).iter().any(|m| m.contains("1 and not 2")));
    let swapped = vec![one("a", 1), one("b", 0), one("a", 0), one("b", 1)];
    assert!(mistakes(&swapped, 2, 2).iter().any(|m| m.contains("out of order")));
}

#[tokio::test]
async fn a_nonce_is_taken_once_by_all() {
    let world = World::start().await;
    let second = world.replica("", &[]).await;
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "message.send", "params": text_params(PEER, "once")}).to_string();
    let authorization = Daemon::authorization(KEY_ID, "POST", "/rpc", &body);
    let post = async |daemon: &Daemon| {
        let request = daemon
            .http
            .post(format!("{}/rpc", daemon.private_url))
            .header("content-type", "application/json");
        let answer =
            request.header("authorization", &authorization).body(body.clone()).send().await;
        answer.expect("the daemon answers").status().as_u16()
    };
    assert_eq!(post(&world.daemon).await, 200);
    assert_eq!(post(&second).await, 401);
    assert_eq!(post(&world.daemon).await, 401);
    world.until_status(1, &["read"], 15).await;
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 1);
    assert_eq!(world.calls().await, 1);
}

#[tokio::test]
async fn three_hundred_sends_over_twenty_chats() {
    let world = World::start().await;
    let second = world.replica("", &[]).await;
    let third = world.replica("", &[]).await;
    let daemons = [&world.daemon, &second, &third];
    for n in 0..15 {
        let sends = (0..20).map(|chat| {
            let params = text_params(&format!("4477009100{chat:02}"), &format!("chat {chat} {n}"));
            daemons[(chat + n) % 3].call("message.send", params)
        });
        for send in futures(sends).await {
            assert!(send["data"]["id"].is_i64(), "{send}");
        }
    }
    world
        .until_count("SELECT count(*) FROM whatsapp_message WHERE message_id IS NOT NULL", 300, 60)
        .await;
    assert_eq!(mistakes(&world.accepted().await, 20, 15), Vec::<String>::new());
    assert_eq!(world.calls().await, 300);
    world.until_count("SELECT count(*) FROM whatsapp_message WHERE status = 'read'", 300, 30).await;
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 300);
    // One of them had the account at a time, and the others waited for it.
    let owners = "SELECT count(DISTINCT owner) FROM wabridge.attempt";
    assert!(world.database.count(owners).await >= 1);
    world.until_quiet(5).await;
}

/// All at once.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut running {
            if output.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        if running.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}

#[tokio::test]
async fn webhooks_at_both() {
    let world = World::start().await;
    let second = world.replica("", &[]).await;
    let http = client();
    // The same event at both at once, and others in between.
    for n in 0..60 {
        let event = text_event(&message_id(n), &format!("4477009100{:02}", n % 7), "hello");
        let (a, b) = tokio::join!(
            webhook(&http, &world.daemon.public_url, &event),
            webhook(&http, &second.public_url, &event)
        );
        assert_eq!((a, b), (200, 200));
    }
    world.until_count("SELECT count(*) FROM wabridge.journal_pending", 0, 10).await;
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_message").await, 60);
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_contact").await, 7);
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_chat").await, 7);
    assert_eq!(world.database.count("SELECT sum(unread_count) FROM whatsapp_chat").await, 60);
}

#[tokio::test]
async fn a_daemon_that_is_gone_is_followed_by_the_other() {
    let mut world = World::with(SHORT_LEASE, &[]).await;
    let first = world.sent(PEER, "chat 0").await;
    world.until_status(first, &["read"], 15).await;
    let second = world.replica(SHORT_LEASE, &[]).await;
    world.daemon.kill();
    let answer = second.call("message.send", text_params(PEER, "chat 1")).await;
    // Its webhooks still go to the first; what the provider answered is enough.
    let id = answer["data"]["id"].as_i64().expect("a row id");
    world.until_status(id, &["pending", "sent"], 15).await;
    assert_eq!(mistakes(&world.accepted().await, 1, 2), Vec::<String>::new());
}

#[tokio::test]
async fn a_daemon_that_is_paused_beyond_its_lease() {
    let limits = format!("{SHORT_LEASE}\nsettle_s = 8");
    let world = World::with(&limits, &[]).await;
    let second = world.replica(&limits, &[]).await;
    let warm = world.sent(PEER, "chat 0").await;
    world.until_status(warm, &["read"], 15).await;
    // Slow enough that calls are in flight whenever it is stopped.
    world.fault(json!({"operation": "message.send", "delay_ms": 150})).await;
    let chats: Vec<String> = (0..5).map(|chat| format!("4477009100{chat:02}")).collect();
    for n in 0..16 {
        for chat in &chats {
            second.call("message.send", text_params(chat, &format!("chat {n}"))).await;
        }
        if n == 5 || n == 11 {
            // Whoever has the lease is stopped in the middle of its calls, and goes on with a stale one.
            let owner = owner_of_the_lease(&world, &second).await;
            owner.pause();
            tokio::time::sleep(Duration::from_secs(5)).await;
            owner.resume();
        }
    }
    let open = "SELECT count(*) FROM whatsapp_message WHERE direction = 'outbound' AND message_id IS NULL AND status <> 'uncertain'";
    world.until_count(open, 0, 60).await;
    world.until_quiet(30).await;
    let accepted = world.accepted().await;
    for chat in &chats {
        let own: Vec<Accepted> =
            accepted.iter().filter(|one| one.chat.starts_with(chat.as_str())).cloned().collect();
        // What was about to be sent when its daemon was stopped: nobody else may know, and nobody repeats it.
        let unknown = format!(
            "SELECT count(*) FROM whatsapp_message WHERE chat_id LIKE '{chat}%' AND status = 'uncertain'"
        );
        let unknown = usize::try_from(world.database.count(&unknown).await).expect("a count");
        assert!(unknown <= 2, "{chat}: {unknown} for two pauses");
        assert_eq!(mistakes(&own, 1, 16 - unknown), Vec::<String>::new());
    }
    assert_eq!(
        world.database.count("SELECT count(*) FROM whatsapp_message").await,
        81,
        "an echo made a row"
    );
    // No message was completed twice.
    let twice = "SELECT count(*) FROM (SELECT message_id FROM wabridge.attempt WHERE outcome = 'accepted' GROUP BY 1 HAVING count(*) > 1) t";
    assert_eq!(world.database.count(twice).await, 0);
}

/// Of the two daemons, the one that holds the account's lease: the one that its log says took it last.
async fn owner_of_the_lease<'a>(world: &'a World, second: &'a Daemon) -> &'a Daemon {
    let epoch = world
        .database
        .count("SELECT epoch FROM wabridge.account_pace WHERE configuration_id = 1")
        .await;
    let mark = format!("lease.epoch={epoch}");
    let took = |daemon: &Daemon| {
        daemon.log().lines().any(|line| line.contains("is leased") && line.ends_with(&mark))
    };
    if took(second) { second } else { &world.daemon }
}
