//! With what belongs to somebody else: another account, company, user, database.

use serde_json::{Value, json};

use super::Stage;
use super::stage::{ELSEWHERE, code};
use crate::support::world::{ADMIN, USER, text_params};

const PEER: &str = "+447700900123";

fn with(changes: Value) -> Value {
    let mut params = text_params(PEER, "attack");
    for (name, value) in changes.as_object().expect("an object") {
        params[name] = value.clone();
    }
    params
}

/// What stands in the row of the other account, as one text.
const THEIRS: i32 = 9001;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn things_of_others() {
    let mut stage = Stage::start("foreign", &[]).await;
    let image = json!({"type": "document", "text": null, "media": {"id": THEIRS}});
    let sends: Vec<(&str, Value, &[&str])> = vec![
        ("the account of another company", json!({"configuration_id": 2}), &["1001"]),
        ("a contact of another company", json!({"to": {"contact_id": THEIRS}}), &["1001"]),
        (
            "their contact through our account",
            json!({"configuration_id": 1, "to": {"contact_id": THEIRS}}),
            &["1001"],
        ),
        ("a group of another company", json!({"to": {"group_id": THEIRS}}), &["1001", "1101"]),
        (
            "their group through our account",
            json!({"configuration_id": 1, "to": {"group_id": THEIRS}}),
            &["1001", "1101"],
        ),
        (
            "an answer to their message",
            json!({"configuration_id": 1, "reply_to": THEIRS}),
            &["1504"],
        ),
        ("their file", image, &["1001"]),
        (
            "their file as an administrator",
            json!({"uid": ADMIN, "type": "document", "text": null, "media": {"id": THEIRS}}),
            &["1001"],
        ),
    ];
    for (name, changes, wanted) in &sends {
        stage
            .case(name, wanted, &[], async |s| s.call("message.send", with(changes.clone())).await)
            .await;
    }
    let calls: Vec<(&str, &str, Value, &[&str])> = vec![
        ("their message's status", "message.status", json!({"uid": USER, "id": THEIRS}), &["1001"]),
        (
            "the life of their message",
            "message.explain",
            json!({"uid": ADMIN, "id": THEIRS}),
            &["1001"],
        ),
        ("their message again", "message.retry", json!({"uid": USER, "id": THEIRS}), &["1001"]),
        (
            "their message among ours",
            "message.retry",
            json!({"uid": ADMIN, "ids": [THEIRS]}),
            &["1001"],
        ),
        (
            "their message taken back",
            "message.cancel",
            json!({"uid": USER, "id": THEIRS}),
            &["1001"],
        ),
        (
            "their message changed",
            "message.edit",
            json!({"uid": USER, "id": THEIRS, "text": "x"}),
            &["1001"],
        ),
        ("their message deleted", "message.delete", json!({"uid": ADMIN, "id": THEIRS}), &["1001"]),
        (
            "a reaction to their message",
            "message.react",
            json!({"uid": USER, "id": THEIRS, "emoji": "👍"}),
            &["1001"],
        ),
        (
            "their message read",
            "message.mark_read",
            json!({"uid": USER, "ids": [THEIRS]}),
            &["1001"],
        ),
        (
            "their chat read",
            "message.mark_read",
            json!({"uid": USER, "configuration_id": 2, "chat_id": "447700900301@s.whatsapp.net"}),
            &["1001"],
        ),
        (
            "their contact read anew through our account",
            "contact.refresh",
            json!({"uid": USER, "configuration_id": 1, "contact_ids": [THEIRS]}),
            &["1504"],
        ),
        (
            "their contact's wish",
            "contact.opt_out",
            json!({"uid": USER, "configuration_id": 2, "to": {"contact_id": THEIRS}}),
            &["1001"],
        ),
        (
            "their contact's wish through our account",
            "contact.opt_out",
            json!({"uid": USER, "configuration_id": 1, "to": {"contact_id": THEIRS}}),
            &["1001", "1101"],
        ),
        (
            "their contact blocked through our account",
            "contact.block",
            json!({"uid": USER, "configuration_id": 1, "to": {"contact_id": THEIRS}, "blocked": true}),
            &["1001", "1101"],
        ),
        ("their run", "sync.status", json!({"uid": USER, "job_id": THEIRS}), &["1001"]),
        (
            "their run as an administrator",
            "sync.cancel",
            json!({"uid": ADMIN, "job_id": THEIRS}),
            &["1001"],
        ),
        (
            "their file again",
            "media.fetch_again",
            json!({"uid": ADMIN, "media_id": THEIRS}),
            &["1504"],
        ),
        (
            "a credential in their place",
            "configuration.seal",
            json!({"uid": ADMIN, "seal_uuid": "4f3c2b1a-0000-4000-8000-0000000000b2", "column": "token", "value": "x"}),
            &["1001"],
        ),
        (
            "their group by our account",
            "group.update",
            json!({"uid": USER, "configuration_id": 2, "group_id": "120363025550109001@g.us", "name": "Ours"}),
            &["1001"],
        ),
        (
            "their picture for our group",
            "group.update",
            json!({"uid": USER, "configuration_id": 1, "group_id": "120363025550100701@g.us", "icon": {"id": THEIRS}}),
            &["1001", "1504"],
        ),
        (
            "their template",
            "template.sync",
            json!({"uid": ADMIN, "configuration_id": 2}),
            &["1001"],
        ),
    ];
    for (name, method, params, wanted) in &calls {
        stage.case(name, wanted, &[], async |s| s.call(method, params.clone()).await).await;
    }
    for (name, path, wanted) in [
        ("their file's bytes", "/media/9001?uid=5", "404"),
        ("their file's bytes as our administrator", "/media/9001?uid=2", "404"),
    ] {
        stage
            .case(name, &[wanted], &[], async |s| {
                let header = super::Http::signed("test", "GET", path, b"");
                let url = format!("{}{path}", s.world.daemon.private_url);
                let answer =
                    s.world.daemon.http.get(url).header("authorization", header).send().await;
                answer.expect("the daemon answers").status().as_u16().to_string()
            })
            .await;
    }
    stage.end(31);
}

/// The key of the one database, the rows of the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_database() {
    let mut stage = Stage::start("databases", &[]).await;
    let own = stage.own_message().await;
    for (name, method, params, wanted) in [
        (
            "its message by the other's key",
            "message.status",
            json!({"uid": USER, "id": own}),
            "1504",
        ),
        (
            "its account by the other's key",
            "configuration.health",
            json!({"uid": ADMIN, "configuration_id": 3}),
            "1002",
        ),
        (
            "its user by the other's key",
            "configuration.health",
            json!({"uid": ELSEWHERE, "configuration_id": 2}),
            "1001",
        ),
        ("its webhook by the other's key", "journal.show", json!({"uid": ADMIN, "id": 1}), "1504"),
    ] {
        stage
            .case(name, &[wanted], &[], async |s| {
                code(&s.world.daemon.rpc_with("test1", method, params.clone()).await)
            })
            .await;
    }
    stage
        .case("its metrics by the other's key", &["nothing"], &[], async |s| {
            let header = super::Http::signed("test1", "GET", "/metrics", b"");
            let url = format!("{}/metrics", s.world.daemon.private_url);
            let answer = s.world.daemon.http.get(url).header("authorization", header).send().await;
            let text = answer.expect("the daemon answers").text().await.expect("a text");
            assert!(text.contains(&s.other.name), "{text}");
            if text.contains(&s.world.database.name) { text } else { "nothing".to_owned() }
        })
        .await;
    stage.end(5);
}

/// Two users with one key have a message each; one user gets his own again, and no other content under it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_of_another_user() {
    let mut stage = Stage::start("keys", &[]).await;
    let key = json!({"idempotency_key": "one-key", "configuration_id": 1});
    let first =
        stage.world.daemon.call("message.send", with(key.clone())).await["data"]["id"].clone();
    stage.world.until_status(first.as_i64().expect("a row id"), &["read"], 30).await;
    stage.settle().await;
    stage
        .case("other content under a key", &["1108"], &["wabridge.lane"], async |s| {
            let mut params = with(key.clone());
            params["text"]["body"] = json!("something else");
            s.call("message.send", params).await
        })
        .await;
    stage
        .case("the key of another user, with the kiosk's rights", &["1001"], &[], async |s| {
            let mut params = with(key.clone());
            params["uid"] = json!(ELSEWHERE);
            s.call("message.send", params).await
        })
        .await;
    let mut params = with(key);
    params["uid"] = json!(ADMIN);
    let second = stage.world.daemon.call("message.send", params).await["data"]["id"].clone();
    assert_ne!(first, second, "the administrator's message is his own");
    stage.end(2);
}
