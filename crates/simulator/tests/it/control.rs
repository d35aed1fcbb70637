//! The control routes: log of calls, state, who writes.

use crate::harness::{AMIRA, GROUP, Sim, TOKEN};
use serde_json::json;
use wabridge_simulator::Options;

#[tokio::test]
async fn the_log_shows_every_call_verbatim_and_never_restarts() {
    let sim = Sim::start_silent().await;
    sim.send(AMIRA, "hello").await;
    sim.call("GET", "/health?wakeup=false", None).await;
    sim.call("GET", "/no/such/route", None).await;
    sim.call_as("stranger", "GET", "/health", None).await.unwrap();
    let log = sim.control("GET", "/requests?since=0", None).await;
    let calls = log["requests"].as_array().unwrap();
    assert_eq!(calls.len(), 4, "control calls are not in it");
    let first = &calls[0];
    assert_eq!(
        (&first["n"], &first["provider"], &first["token"], &first["method"], &first["path"]),
        (&json!(1), &json!("whapi"), &json!(TOKEN), &json!("POST"), &json!("/messages/text"))
    );
    assert_eq!(first["body"], json!({"to": AMIRA, "body": "hello"}));
    assert_eq!(first["headers"]["authorization"], format!("Bearer {TOKEN}"));
    assert!(first["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(calls[1]["query"], json!({"wakeup": "false"}));
    assert_eq!(calls[2]["path"], "/no/such/route");
    assert_eq!(calls[3]["token"], "stranger");

    assert_eq!(sim.control("DELETE", "/requests", None).await["forgotten"], 4);
    sim.call("GET", "/health", None).await;
    let log = sim.control("GET", "/requests?since=3", None).await;
    assert_eq!(log["requests"][0]["n"], 5);
    assert_eq!(sim.call("GET", "/_control/requests?since=x", None).await.status, 400);
    assert_eq!(sim.call("GET", "/_control/nothing", None).await.status, 404);
    sim.stop().await;
}

#[tokio::test]
async fn conditions_change_health_sends_and_webhooks() {
    let sim = Sim::start().await;
    let set = |word: &str| json!({"accounts": [{"token": TOKEN, "state": word}]});
    for (word, text, hooks) in [
        ("qr_needed", "QR", vec!["users.delete", "channel:QR"]),
        ("connected", "AUTH", vec!["users.post", "channel:AUTH"]),
        ("disconnected", "ERROR", vec!["channel:ERROR"]),
        ("Banned", "QR", vec!["users.delete", "channel:QR"]),
        ("connected", "AUTH", vec!["users.post", "channel:AUTH"]),
    ] {
        sim.hooks.forget();
        sim.control("POST", "/state", Some(set(word))).await;
        sim.hooks.wait(hooks.len()).await;
        assert_eq!(sim.hooks.words(), hooks, "{word}");
        let health = sim.call("GET", "/health", None).await;
        assert_eq!(health.body["status"]["text"], text, "{word}");
        assert_eq!(health.body.get("user").is_some(), text == "AUTH");
        let expected = if text == "AUTH" { 200 } else { 401 };
        assert_eq!(sim.send(AMIRA, "x").await.status, expected, "{word}");
        if expected == 401 {
            let body = json!({"token": TOKEN, "from": AMIRA, "text": "x"});
            let answer = sim.call("POST", "/_control/inbound", Some(body)).await;
            assert_eq!(answer.status, 400, "nothing reaches an account that is {word}");
        } else {
            sim.hooks.wait(hooks.len() + 4).await;
        }
    }
    sim.control("POST", "/state", Some(json!({"token": TOKEN, "state": "dead token"}))).await;
    for path in ["/health", "/settings"] {
        let answer = sim.call("GET", path, None).await;
        assert_eq!(answer.body["error"]["message"], "Channel not found");
    }
    sim.control("POST", "/state", Some(set("asleep"))).await;
    let passive = sim.call("GET", "/health?wakeup=false", None).await;
    assert_eq!(passive.body["status"]["text"], "NOT_INIT");
    assert_eq!(sim.call("GET", "/health", None).await.body["status"]["text"], "AUTH");
    let wrong = sim.call("POST", "/_control/state", Some(set("happy"))).await;
    assert!(wrong.body["error"].as_str().unwrap().contains("qr_needed"));
    sim.stop().await;
}

#[tokio::test]
async fn people_groups_histories_and_accounts_in_bulk() {
    let sim = Sim::start().await;
    let before = sim.control("GET", "/state", None).await;
    assert_eq!(before["groups"][0]["id"], GROUP);
    let counts = sim
        .control("POST", "/state", Some(json!({"people": 500, "groups": 20, "histories": []})))
        .await;
    assert_eq!((&counts["people"], &counts["groups"]), (&json!(501), &json!(21)));
    let change = json!({
        "people": [{"phone": "+44 7700 900555", "name": "Slow Reader", "reads": false}],
        "groups": [{"name": "Drivers", "participants": ["447700900555"]}],
        "accounts": [{"provider": "whapi", "token": "third", "channel_id": "IBIS-1",
                      "phone": "447700900997", "name": "Acme Third"}],
        "histories": [
            {"token": TOKEN, "chat": AMIRA, "count": 250},
            {"token": TOKEN, "chat": GROUP, "from": AMIRA, "text": "old", "timestamp": 1700000000},
        ],
    });
    let counts = sim.control("POST", "/state", Some(change)).await;
    assert_eq!((&counts["accounts"], &counts["messages"]), (&json!(3), &json!(251)));
    assert!(sim.hooks.all().is_empty(), "the past sends no webhooks");
    let oldest = sim.call("GET", "/messages/list?sort=asc&count=1", None).await.body;
    assert_eq!(
        (&oldest["total"], &oldest["messages"][0]["timestamp"]),
        (&json!(251), &json!(1_700_000_000))
    );
    let third = sim.call_as("third", "GET", "/health", None).await.unwrap();
    assert_eq!(third.body["channel_id"], "IBIS-1");

    sim.send("447700900555", "hello").await;
    sim.hooks.wait(3).await;
    sim.inbound(json!({"from": "447700900555", "text": "on the road", "chat": "Drivers"})).await;
    let got = sim.hooks.wait(4).await;
    assert_eq!(sim.hooks.words(), ["message:hello", "sent", "delivered", "message:on the road"]);
    assert_eq!(got[3].body["messages"][0]["chat_name"], "Drivers");
    assert_eq!(got[3].body["messages"][0]["from_name"], "Slow Reader");

    for wrong in [
        json!({"peple": 1}),
        json!({"people": [{"phone": "none"}]}),
        json!({"accounts": [{"provider": "telegram", "token": "m", "channel_id": "1", "phone": "447700900996"}]}),
        json!({"accounts": [{"token": "unknown", "state": "banned"}]}),
    ] {
        let answer = sim.call("POST", "/_control/state", Some(wrong.clone())).await;
        assert_eq!(answer.status, 400, "{wrong}");
    }
    sim.stop().await;
}

#[tokio::test]
async fn a_crowd_with_its_past_is_made_when_somebody_looks() {
    let sim = Sim::start().await;
    let bulk = json!({"contacts": 100_000, "groups": 200, "members": 10_001, "messages": 200_000,
        "token": TOKEN});
    let counts = sim.control("POST", "/state", Some(bulk.clone())).await;
    assert_eq!(
        (&counts["contacts"], &counts["groups"], &counts["messages"]),
        (&json!(100_000), &json!(201), &json!(200_000))
    );
    let last = sim.call("GET", "/contacts?count=500&offset=99900", None).await.body;
    // Somebody is known beside them.
    assert_eq!(last["total"], 100_001);
    let contacts = last["contacts"].as_array().unwrap();
    assert_eq!((contacts.len(), &contacts[99]["id"]), (101, &json!("447700099999")));
    assert_eq!(contacts[99]["name"], "Saved 100000");
    let groups = sim.call("GET", "/groups?count=500", None).await.body;
    let groups = groups["groups"].as_array().unwrap();
    let sizes: Vec<usize> = groups
        .iter()
        .filter(|group| group["id"].as_str().unwrap().starts_with("120363900"))
        .map(|group| group["participants"].as_array().unwrap().len())
        .collect();
    // Each holds the accounts too.
    let accounts = groups.last().unwrap()["participants"].as_array().unwrap();
    let own = accounts.iter().filter(|one| !one["id"].as_str().unwrap().starts_with("4477000"));
    let own = own.count();
    assert_eq!((sizes.len(), sizes.iter().sum::<usize>()), (200, 10_001 + 200 * own));
    let page = sim.call("GET", "/messages/list?sort=asc&count=500&offset=199900", None).await.body;
    assert_eq!(
        (page["messages"].as_array().unwrap().len(), &page["total"]),
        (100, &json!(200_000))
    );
    let newest = sim.call("GET", "/messages/list?count=2", None).await.body;
    assert_eq!(newest["messages"][0], page["messages"][99]);
    assert_eq!(newest["messages"][1], page["messages"][98]);

    // Again it is the same, and what is written comes behind it.
    sim.control("POST", "/state", Some(bulk)).await;
    let again = sim.call("GET", "/contacts?count=500&offset=99900", None).await.body;
    assert_eq!(again, last);
    sim.inbound(json!({"token": TOKEN, "from": "447700000001", "text": "now"})).await;
    let newest = sim.call("GET", "/messages/list?count=2", None).await.body;
    assert_eq!(newest["total"], 200_001);
    assert_eq!(newest["messages"][0]["text"]["body"], "now");
    assert_eq!(newest["messages"][0]["from_name"], "Person 2");

    let blocked = async || sim.call("GET", "/blacklist", None).await.body;
    sim.call("PUT", "/blacklist/447700000001", None).await;
    assert_eq!(blocked().await, json!(["447700000001"]));
    sim.call("DELETE", "/blacklist/447700000001", None).await;
    assert_eq!(blocked().await, json!([]));
    assert_eq!(sim.call("PUT", "/blacklist/447700900801", None).await.status, 404);
    sim.stop().await;
}

#[tokio::test]
async fn who_writes_what_and_what_cannot_be() {
    let sim = Sim::start().await;
    sim.inbound(json!({"from": "+44 7700 900222", "from_name": "Ben", "text": {"body": "Hi"}}))
        .await;
    let got = sim.hooks.wait(1).await;
    assert_eq!(got[0].body["messages"][0]["from"], "447700900222");
    assert_eq!(got[0].body["messages"][0]["from_name"], "Ben");
    let id = got[0].body["messages"][0]["id"].as_str().unwrap().to_owned();
    sim.inbound(json!({"from": "447700900222", "text": "and?", "quoted": id})).await;
    let got = sim.hooks.wait(2).await;
    assert_eq!(
        got[1].body["messages"][0]["context"],
        json!({
            "quoted_id": id, "quoted_author": "447700900222", "quoted_type": "text",
            "quoted_content": {"body": "Hi"},
        })
    );
    sim.inbound(json!({"from_me": true, "chat": AMIRA, "text": "typed on the phone"})).await;
    let got = sim.hooks.wait(3).await;
    let typed = &got[2].body["messages"][0];
    assert_eq!((&typed["from_me"], &typed["source"]), (&json!(true), &json!("mobile")));
    assert_eq!(typed["from"], "447700900999");
    sim.inbound(json!({"from": AMIRA, "text": "x", "chat": "120363000000000001@g.us"})).await;
    let got = sim.hooks.wait(4).await;
    assert_eq!(got[3].body["messages"][0]["chat_id"], "120363000000000001@g.us");

    for (wrong, word) in [
        (json!({"from": AMIRA, "text": "two accounts fit"}), "several accounts"),
        (json!({"token": "nobody", "from": AMIRA, "text": "x"}), "no account"),
        (json!({"token": TOKEN, "text": "x"}), "from"),
        (json!({"token": TOKEN, "from": "me", "text": "x"}), "no number"),
        (json!({"token": TOKEN, "from": AMIRA}), "text is needed"),
        (json!({"token": TOKEN, "from": AMIRA, "text": "x", "chat": "Nobody's Group"}), "no group"),
        (json!({"token": TOKEN, "from": AMIRA, "type": "location"}), "location"),
        (json!({"token": TOKEN, "from": AMIRA, "type": "hologram"}), "content"),
        (json!({"token": TOKEN, "from": AMIRA, "text": "x", "id": id}), "already"),
        (json!({"token": TOKEN, "frm": AMIRA, "text": "x"}), "unknown field"),
    ] {
        let answer = sim.call("POST", "/_control/inbound", Some(wrong.clone())).await;
        assert_eq!(answer.status, 400, "{wrong}");
        let words = answer.body["error"].as_str().unwrap();
        assert!(words.contains(word), "{wrong}: {words}");
    }
    sim.stop().await;
}

#[test]
fn the_accounts_file() {
    let folder = std::env::temp_dir();
    let path = folder.join(format!("wabridge-simulator-{}.json", std::process::id()));
    let account = r#"{"provider":"whapi","token":"t","channel_id":"C-1","phone":"447700900999","name":"Acme"}"#;
    std::fs::write(&path, format!(r#"{{"accounts":[{account}]}}"#)).unwrap();
    assert_eq!(Options::from_file(&path).unwrap().accounts[0].channel_id, "C-1");
    for (text, word) in [
        ("{".to_owned(), "expected"),
        (r#"{"accounts":[],"acounts":[]}"#.to_owned(), "acounts"),
        (format!(r#"{{"accounts":[{account},{account}]}}"#), "already"),
        (format!(r#"{{"accounts":[{}]}}"#, account.replace("whapi", "telegram")), "telegram"),
    ] {
        std::fs::write(&path, text).unwrap();
        let words = Options::from_file(&path).unwrap_err().to_string();
        assert!(words.contains(word), "{words}");
    }
    std::fs::remove_file(&path).unwrap();
    let words = Options::from_file(&path).unwrap_err().to_string();
    assert!(words.contains("cannot read"), "{words}");
}
