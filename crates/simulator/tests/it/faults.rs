//! Each fault, seen from the caller's and from the receiver's side.

use crate::harness::{AMIRA, OTHER_TOKEN, Sim, TOKEN};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

#[tokio::test]
async fn too_many_requests_with_and_without_retry_after() {
    let sim = Sim::start().await;
    sim.fault(
        json!({"provider": "whapi", "operation": "message.send", "retry_after": 7, "times": 1}),
    )
    .await;
    sim.fault(json!({"operation": "message.send", "status": 429, "times": 1})).await;
    let first = sim.send(AMIRA, "one").await;
    assert_eq!((first.status, &first.headers["retry-after"]), (429, &"7".parse().unwrap()));
    assert_eq!(first.body["error"]["code"], 429);
    let second = sim.send(AMIRA, "two").await;
    assert_eq!((second.status, second.headers.get("retry-after")), (429, None));
    assert_eq!(sim.send(AMIRA, "three").await.status, 200);
    sim.hooks.wait(4).await;
    assert_eq!(sim.hooks.words()[0], "message:three", "refused sends did nothing");
    sim.stop().await;
}

#[tokio::test]
async fn server_errors_for_one_account_only() {
    let sim = Sim::start().await;
    let body = json!({"error": {"code": 500, "message": "made to fail"}});
    let id = sim.fault(json!({"token": TOKEN, "status": 500, "body": body})).await;
    let answer = sim.send(AMIRA, "x").await;
    assert_eq!((answer.status, answer.body), (500, body));
    let text = Some(json!({"to": AMIRA, "body": "y"}));
    let other = sim.call_as(OTHER_TOKEN, "POST", "/messages/text", text).await.unwrap();
    assert_eq!(other.status, 200);
    sim.control("DELETE", &format!("/faults/{id}"), None).await;
    assert_eq!(sim.send(AMIRA, "z").await.status, 200);

    sim.fault(json!({"status": 502, "accepted": true, "times": 1, "operation": "send_text"})).await;
    sim.hooks.wait(4).await;
    sim.hooks.forget();
    assert_eq!(sim.send(AMIRA, "accepted all the same").await.status, 502);
    sim.hooks.wait(4).await;
    sim.stop().await;
}

#[tokio::test]
async fn unreadable_answer_after_acceptance() {
    let sim = Sim::start().await;
    sim.fault(json!({"operation": "send", "body": "<html>oops", "times": 1})).await;
    let answer = sim.send(AMIRA, "hello").await;
    assert_eq!((answer.status, answer.body), (200, json!("<html>oops")));
    sim.hooks.wait(4).await;
    sim.stop().await;
}

#[tokio::test]
async fn a_slow_answer_is_overtaken_by_its_webhooks() {
    let sim = Sim::start().await;
    sim.fault(json!({"operation": "message.send", "delay_ms": 1500, "times": 1})).await;
    let began = Instant::now();
    let answer = sim.send(AMIRA, "slow").await;
    let answered = Instant::now();
    assert_eq!(answer.status, 200);
    assert!(answered - began >= Duration::from_millis(1500));
    let got = sim.hooks.wait(4).await;
    assert!(got[3].at < answered, "the message was read before the answer came");
    sim.stop().await;
}

#[tokio::test]
async fn a_dropped_answer_is_a_cut_connection_and_a_sent_message() {
    let sim = Sim::start().await;
    sim.fault(json!({"operation": "message.send", "drop_answer": true, "times": 2})).await;
    let body = json!({"to": AMIRA, "body": "did it go?"});
    let error = sim.call_as(TOKEN, "POST", "/messages/text", Some(body.clone())).await.unwrap_err();
    assert!(error.is_request() && !error.is_timeout() && !error.is_connect(), "{error:?}");
    sim.hooks.wait(4).await;
    assert_eq!(sim.hooks.words()[0], "message:did it go?");

    // Not one byte of an answer.
    let address = sim.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = body.to_string();
    let request = format!(
        "POST /messages/text HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"");

    let answer = sim.send(AMIRA, "the fault is used up").await;
    assert_eq!(answer.status, 200);
    let calls = sim.control("GET", "/requests?since=0", None).await;
    let sends = calls["requests"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|call| call["path"] == "/messages/text")
        .count();
    assert_eq!(sends, 3, "nobody repeated a send by himself");
    sim.stop().await;
}

#[tokio::test]
async fn webhooks_twice_backwards_late_or_never() {
    let sim = Sim::start().await;
    sim.fault(json!({"operation": "message.send", "duplicate_webhook": true, "times": 1})).await;
    sim.send(AMIRA, "twice").await;
    sim.hooks.wait(8).await;
    let twice = "message:twice";
    assert_eq!(
        sim.hooks.words(),
        [twice, twice, "sent", "sent", "delivered", "delivered", "read", "read"]
    );
    sim.hooks.forget();

    sim.fault(json!({"operation": "message.send", "reorder_webhooks": true, "times": 1})).await;
    sim.send(AMIRA, "backwards").await;
    sim.hooks.wait(4).await;
    assert_eq!(sim.hooks.words(), ["read", "delivered", "sent", "message:backwards"]);
    sim.hooks.forget();

    sim.fault(json!({"operation": "inbound", "webhook_delay_ms": 700, "times": 1})).await;
    let began = Instant::now();
    sim.inbound(json!({"from": AMIRA, "text": "late"})).await;
    let got = sim.hooks.wait(1).await;
    assert!(got[0].at - began >= Duration::from_millis(700));
    sim.hooks.forget();

    sim.fault(json!({"drop_webhooks": true, "times": 1})).await;
    // A call that sends no webhooks does not use the fault up.
    sim.call("GET", "/health", None).await;
    sim.inbound(json!({"from": AMIRA, "text": "never"})).await;
    sim.inbound(json!({"from": AMIRA, "text": "after"})).await;
    sim.hooks.wait(1).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(sim.hooks.words(), ["message:after"]);
    sim.stop().await;
}

#[tokio::test]
async fn inbound_messages_of_one_chat_backwards() {
    let sim = Sim::start().await;
    let id = sim.fault(json!({"operation": "inbound", "reorder_webhooks": true})).await;
    for text in ["one", "two", "three"] {
        sim.inbound(json!({"from": AMIRA, "text": text})).await;
    }
    sim.hooks.wait(3).await;
    assert_eq!(sim.hooks.words(), ["message:three", "message:two", "message:one"]);
    sim.control("DELETE", &format!("/faults/{id}"), None).await;
    sim.stop().await;
}

#[tokio::test]
async fn stopping_does_not_wait_for_slow_answers() {
    let sim = Sim::start().await;
    sim.fault(json!({"operation": "health", "delay_ms": 60_000})).await;
    let mut stream = TcpStream::connect(sim.url.trim_start_matches("http://")).await.unwrap();
    let request =
        format!("GET /health HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    sim.stop().await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"", "the connection is closed, not left open");
}

#[tokio::test]
async fn faults_are_listed_counted_and_deleted() {
    let sim = Sim::start_silent().await;
    sim.fault(json!({"status": 503, "times": 2, "operation": "health"})).await;
    sim.fault(json!({"status": 500, "probability": 0.0})).await;
    assert_eq!(sim.call("GET", "/health", None).await.status, 503);
    let faults = sim.control("GET", "/faults", None).await;
    assert_eq!(
        (&faults["faults"][0]["left"], &faults["faults"][0]["hits"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(faults["faults"][1]["left"], Value::Null);
    assert_eq!(sim.control("DELETE", "/faults", None).await["removed"], 2);
    assert_eq!(sim.call("GET", "/health", None).await.status, 200);
    let gone = sim.call("DELETE", "/_control/faults/1", None).await;
    assert_eq!(gone.status, 404);
    for wrong in [json!({"statos": 500}), json!({}), json!({"operation": "sendd", "status": 500})] {
        let answer = sim.call("POST", "/_control/faults", Some(wrong)).await;
        assert_eq!(answer.status, 400);
        assert!(answer.body["error"].is_string());
    }
    sim.stop().await;
}
