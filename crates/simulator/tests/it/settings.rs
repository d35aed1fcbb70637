//! WHAPI's settings: webhooks in their three modes, checks, tests, retries.

use crate::harness::{AMIRA, Sim};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test]
async fn three_modes_of_delivery() {
    let sim = Sim::start_silent().await;
    for (mode, calls) in [
        ("body", [("POST", "/h?k=1"), ("POST", "/h?k=1")]),
        ("path", [("POST", "/h/messages/post?k=1"), ("POST", "/h/users/delete?k=1")]),
        ("method", [("POST", "/h?k=1"), ("DELETE", "/h?k=1")]),
    ] {
        let hook = json!({"webhooks": [sim.hook(mode, "/h?k=1")]});
        assert_eq!(sim.call("PATCH", "/settings", Some(hook)).await.status, 200);
        sim.inbound(json!({"from": AMIRA, "text": mode})).await;
        sim.hooks.wait(1).await;
        sim.control(
            "POST",
            "/state",
            Some(json!({"token": "whapi-token-1", "state": "qr_needed"})),
        )
        .await;
        // Logout and channel state go without a chat, the message with one: lanes differ.
        let got = sim.hooks.wait(3).await;
        assert_eq!((got[0].method.as_str(), got[0].path.as_str()), calls[0], "{mode}");
        assert_eq!((got[1].method.as_str(), got[1].path.as_str()), calls[1], "{mode}");
        sim.control(
            "POST",
            "/state",
            Some(json!({"token": "whapi-token-1", "state": "connected"})),
        )
        .await;
        sim.hooks.wait(5).await;
        sim.hooks.forget();
    }
    sim.stop().await;
}

#[tokio::test]
async fn patch_keeps_what_is_left_out_and_delete_resets() {
    let sim = Sim::start_silent().await;
    let fresh = sim.call("GET", "/settings", None).await.body;
    assert_eq!(fresh["webhooks"], json!([]));
    assert_eq!(sim.call("DELETE", "/settings", None).await.status, 409);

    let change = json!({"callback_backoff_delay_ms": 5000, "webhooks": [sim.hook("body", "/a")]});
    let answer = sim.call("PATCH", "/settings", Some(change.clone())).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["before_update"], fresh);
    assert_eq!(answer.body["changes"], json!(["callback_backoff_delay_ms", "webhooks"]));
    let change = json!({"callback_persist": false});
    sim.call("PATCH", "/settings", Some(change)).await;
    let now = sim.call("GET", "/settings", None).await.body;
    assert_eq!(now["callback_backoff_delay_ms"], 5000);
    assert_eq!(now["webhooks"][0]["url"], format!("{}/a", sim.hooks.url));

    let events = sim.call("GET", "/settings/events", None).await.body;
    assert!(events.as_array().unwrap().contains(&json!({"type": "messages", "method": "post"})));
    assert_eq!(sim.call("DELETE", "/settings", None).await.body, json!({"success": true}));
    sim.inbound(json!({"from": AMIRA, "text": "nobody hears this"})).await;
    sleep(Duration::from_millis(200)).await;
    assert!(sim.hooks.all().is_empty());
    sim.stop().await;
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    let sim = Sim::start_silent().await;
    let six: serde_json::Map<_, _> = (0..6).map(|n| (format!("X-{n}"), json!("v"))).collect();
    for change in [
        json!({"webhooks": {}}),
        json!({"webhooks": [{"mode": "body"}]}),
        json!({"webhooks": [{"url": "ftp://example.net/x"}]}),
        json!({"webhooks": [{"url": "http://127.0.0.1/x", "mode": "pigeon"}]}),
        json!({"webhooks": [{"url": "http://127.0.0.1/x", "headers": six}]}),
        json!({"webhooks": [{"url": "http://127.0.0.1/x", "headers": {"X": "a\nb"}}]}),
        json!({"webhooks": [{"url": "http://127.0.0.1/x", "events": [{"type": "weather"}]}]}),
        json!({"webhooks": [{"url": "http://127.0.0.1/x", "secret": "there is none"}]}),
        json!({"callback_backoff_delay_ms": 10}),
        json!({"webhook": []}),
    ] {
        let answer = sim.call("PATCH", "/settings", Some(change.clone())).await;
        assert_eq!(answer.status, 400, "{change}");
        assert_eq!(answer.body["error"]["message"], "Wrong settings format");
        assert!(answer.body["error"]["details"].is_string(), "{change}");
    }
    sim.stop().await;
}

#[tokio::test]
async fn events_that_were_not_asked_for_do_not_come() {
    let sim = Sim::start_silent().await;
    let hook = json!({"url": format!("{}/h", sim.hooks.url), "mode": "body",
        "events": [{"type": "statuses", "method": "post"}, {"type": "messages", "method": "delete"}]});
    sim.call("PATCH", "/settings", Some(json!({"webhooks": [hook]}))).await;
    sim.send(AMIRA, "hello").await;
    sim.hooks.wait(3).await;
    assert_eq!(sim.hooks.words(), ["sent", "delivered", "read"]);
    sim.stop().await;
}

#[tokio::test]
async fn only_200_counts_and_order_holds_over_retries() {
    let sim = Sim::start().await;
    sim.hooks.answers.lock().unwrap().extend([500, 204, 202]);
    sim.send(AMIRA, "hello").await;
    sim.hooks.wait(7).await;
    let echo = "message:hello";
    assert_eq!(sim.hooks.words(), [echo, echo, echo, echo, "sent", "delivered", "read"]);
    let state = sim.control("GET", "/state", None).await;
    assert_eq!(state["webhooks"]["failed_attempts"], 3);
    assert_eq!(state["webhooks"]["pending"], 0);
    sim.stop().await;
}

#[tokio::test]
async fn a_dead_address_is_forgotten_when_the_settings_change() {
    let sim = Sim::start_silent().await;
    let dead =
        json!({"webhooks": [{"url": "http://127.0.0.1:9/h", "events": [{"type": "messages"}]}]});
    sim.call("PATCH", "/settings", Some(dead)).await;
    sim.inbound(json!({"from": AMIRA, "text": "lost"})).await;
    let state = sim.control("GET", "/state", None).await;
    assert_eq!(state["webhooks"]["pending"], 1);
    let hook = json!({"webhooks": [sim.hook("body", "/hook")]});
    sim.call("PATCH", "/settings", Some(hook)).await;
    sim.inbound(json!({"from": AMIRA, "text": "heard"})).await;
    sim.hooks.wait(1).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(sim.hooks.words(), ["message:heard"]);
    let state = sim.control("GET", "/state", None).await;
    assert_eq!(state["webhooks"]["pending"], 0);
    sim.stop().await;
}

#[tokio::test]
async fn webhook_test_calls_once() {
    let sim = Sim::start_silent().await;
    sim.hooks.answers.lock().unwrap().push_back(500);
    let test = json!({"type": "messages", "url": format!("{}/t", sim.hooks.url), "mode": "path",
        "headers": {"X-Secret": "s"}});
    let answer = sim.call("POST", "/settings/webhook_test", Some(test)).await;
    assert_eq!(answer.body, json!({"success": true}));
    let got = sim.hooks.wait(1).await;
    assert_eq!(got[0].path, "/t/messages/post");
    assert_eq!(got[0].headers["x-secret"], "s");
    assert_eq!(got[0].body["channel_id"], "HERON-K42QX");
    sleep(Duration::from_millis(500)).await;
    assert_eq!(sim.hooks.all().len(), 1);
    let test = json!({"type": "messages", "url": "nowhere", "mode": "body"});
    assert_eq!(sim.call("POST", "/settings/webhook_test", Some(test)).await.status, 400);
    sim.stop().await;
}
