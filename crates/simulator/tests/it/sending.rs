//! Texts out: checks, answer, echo, statuses, people.

use crate::harness::{AMIRA, GROUP, OTHER_TOKEN, Sim, TOKEN};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep;

#[tokio::test]
async fn a_text_is_answered_echoed_delivered_and_read_in_order() {
    let sim = Sim::start().await;
    let began = Instant::now();
    let answer = sim.send(AMIRA, "Your order has shipped.").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["sent"], true);
    let message = &answer.body["message"];
    assert_eq!(message["status"], "pending");
    assert_eq!(message["chat_id"], format!("{AMIRA}@s.whatsapp.net"));

    let got = sim.hooks.wait(4).await;
    assert_eq!(sim.hooks.words(), ["message:Your order has shipped.", "sent", "delivered", "read"]);
    assert_eq!(got[0].body["messages"][0], *message);
    assert!(got.iter().all(|got| got.headers["authorization"] == "Bearer hook-secret"));
    let id = message["id"].as_str().unwrap();
    for (got, code) in got[1..].iter().zip([2, 3, 4]) {
        assert_eq!(got.body["statuses"][0]["id"], id);
        assert_eq!(got.body["statuses"][0]["code"], code);
    }
    assert!(got[2].at - began < Duration::from_millis(500), "delivered within 0.5 s");
    assert!(got[3].at - began < Duration::from_secs(2), "read within 2 s");

    let found = sim.call("GET", &format!("/messages/{id}"), None).await;
    assert_eq!((found.status, &found.body["status"]), (200, &json!("read")));
    sim.stop().await;
}

#[tokio::test]
async fn special_people_behave_as_they_do() {
    let sim = Sim::start().await;
    for last in 801..=805 {
        assert_eq!(sim.send(&format!("447700900{last}"), &format!("to {last}")).await.status, 200);
    }
    // echo + failed; echo + sent + delivered + read; the same + answer; echo + sent; + delivered.
    sim.hooks.wait(2 + 4 + 5 + 2 + 3).await;
    sleep(Duration::from_millis(300)).await;
    let seen = |last: u16| -> Vec<String> {
        let chat = format!("447700900{last}@s.whatsapp.net");
        let of_chat = |body: &Value| {
            body["messages"][0]["chat_id"] == *chat || body["statuses"][0]["recipient_id"] == *chat
        };
        let all = sim.hooks.all();
        let words = sim.hooks.words();
        all.iter().zip(words).filter(|(got, _)| of_chat(&got.body)).map(|(_, word)| word).collect()
    };
    assert_eq!(seen(801), ["message:to 801", "failed"]);
    assert_eq!(seen(802), ["message:to 802", "sent", "delivered", "read"]);
    assert_eq!(seen(803), ["message:to 803", "sent", "delivered", "read", "message:Echo: to 803"]);
    assert_eq!(seen(804), ["message:to 804", "sent"]);
    assert_eq!(seen(805), ["message:to 805", "sent", "delivered"]);
    sim.stop().await;
}

#[tokio::test]
async fn what_whapi_refuses_is_refused() {
    let sim = Sim::start().await;
    let to = format!("{AMIRA}@s.whatsapp.net");
    for (body, status) in [
        (json!({"to": to, "body": "fine"}), 200),
        (
            json!({"to": to, "body": "answer", "quoted": "Qk2vT9aXe4LmR0sYbN7c1g-gLw8Ztq3HcA",
                "mentions": [AMIRA], "typing_time": 5}),
            200,
        ),
        (json!({"to": format!("{AMIRA}@c.us"), "body": "x"}), 400),
        (json!({"to": "+447700900123", "body": "x"}), 400),
        (json!({"to": to}), 400),
        (json!({"to": to, "body": ""}), 400),
        (json!({"to": to, "body": 7}), 400),
        (json!({"body": "x"}), 400),
        (json!({"to": to, "body": "x", "typing_time": 61}), 400),
        (json!({"to": to, "body": "x", "quoted": "no id"}), 400),
        (json!([]), 400),
        (json!({"to": "120363025550100000@g.us", "body": "unknown group"}), 404),
        (json!({"to": GROUP, "body": "ours"}), 200),
    ] {
        let answer = sim.call("POST", "/messages/text", Some(body.clone())).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        if status != 200 {
            assert_eq!(answer.body["error"]["code"], status, "{}", answer.body);
            assert!(answer.body["error"]["message"].is_string());
        }
    }
    let body = json!({"to": GROUP, "body": "not a member"});
    let answer = sim.call_as(OTHER_TOKEN, "POST", "/messages/text", Some(body)).await.unwrap();
    assert_eq!(answer.status, 403);

    let body = json!({"to": to, "body": "x"});
    let answer = sim.call_as("nobody's", "POST", "/messages/text", Some(body)).await.unwrap();
    assert_eq!(answer.status, 404);
    assert_eq!(answer.body["error"]["message"], "Channel not found");
    let answer = sim.call("POST", "/messages/newspaper", Some(json!({}))).await;
    assert_eq!((answer.status, &answer.body["error"]["code"]), (404, &json!(404)));
    sim.stop().await;
}

#[tokio::test]
async fn a_group_text_is_read_by_each_member() {
    let sim = Sim::start().await;
    assert_eq!(sim.send(GROUP, "Gate closed").await.status, 200);
    let got = sim.hooks.wait(4).await;
    assert_eq!(sim.hooks.words(), ["message:Gate closed", "sent", "delivered", "read"]);
    assert_eq!(got[0].body["messages"][0]["chat_name"], "Ops Night Shift");
    assert_eq!(got[1].body["statuses"][0]["viewer_id"], Value::Null);
    let readers: Vec<&Value> = got[3].body["statuses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|status| &status["viewer_id"])
        .collect();
    assert_eq!(readers, [AMIRA, "447700900777"]);
    sim.stop().await;
}

#[tokio::test]
async fn many_chats_at_once_keep_their_order() {
    let sim = Sim::start().await;
    let chats: Vec<String> = (0..40).map(|n| format!("4477009001{n:02}")).collect();
    for chat in &chats {
        assert_eq!(sim.send(chat, chat).await.status, 200);
    }
    let got = sim.hooks.wait(4 * chats.len()).await;
    for chat in &chats {
        let id = format!("{chat}@s.whatsapp.net");
        let words: Vec<String> = got
            .iter()
            .zip(sim.hooks.words())
            .filter(|(got, _)| {
                got.body["messages"][0]["chat_id"] == *id
                    || got.body["statuses"][0]["recipient_id"] == *id
            })
            .map(|(_, word)| word)
            .collect();
        assert_eq!(words, [&format!("message:{chat}"), "sent", "delivered", "read"]);
    }
    sim.stop().await;
}

#[tokio::test]
async fn health_contacts_limits_and_history() {
    let sim = Sim::start().await;
    let health = sim.call("GET", "/health?wakeup=false", None).await;
    assert_eq!(health.body["status"], json!({"code": 4, "text": "AUTH"}));
    assert_eq!(health.body["channel_id"], "HERON-K42QX");
    assert_eq!(health.body["user"], json!({"id": "447700900999", "name": "Acme Support"}));
    assert_eq!(sim.call("GET", "/health?wakeup=0", None).await.status, 400);
    assert_eq!(sim.call("GET", "/limits", None).await.status, 204);

    let contacts = sim.call("GET", "/contacts?count=10", None).await;
    assert_eq!(contacts.body["contacts"][0]["pushname"], "Amira Osei");
    assert_eq!(sim.call("GET", "/contacts?count=501", None).await.status, 400);
    assert_eq!(sim.call("GET", &format!("/contacts/{AMIRA}"), None).await.status, 200);
    assert_eq!(sim.call("GET", "/contacts/447700900124", None).await.status, 404);
    assert_eq!(sim.call("HEAD", "/contacts/447700900124", None).await.status, 200);
    assert_eq!(sim.call("HEAD", "/contacts/447700900801", None).await.status, 404);
    let numbers = json!({"contacts": ["+447700900124", "447700900801"]});
    let checked = sim.call("POST", "/contacts", Some(numbers)).await;
    assert_eq!(
        checked.body["contacts"],
        json!([
            {"input": "+447700900124", "status": "valid", "wa_id": "447700900124"},
            {"input": "447700900801", "status": "invalid"},
        ])
    );

    for n in 0..5 {
        sim.send(AMIRA, &format!("text {n}")).await;
    }
    sim.inbound(json!({"from": "447700900777", "text": "hello"})).await;
    let list = sim.call("GET", "/messages/list?count=2&offset=1&sort=asc", None).await.body;
    assert_eq!(
        (&list["total"], &list["count"], &list["offset"]),
        (&json!(6), &json!(2), &json!(1))
    );
    assert_eq!(list["messages"][0]["text"]["body"], "text 1");
    let path = "/messages/list/447700900777@s.whatsapp.net?from_me=false";
    assert_eq!(sim.call("GET", path, None).await.body["total"], 1);
    let later = "/messages/list?time_from=9999999999";
    assert_eq!(sim.call("GET", later, None).await.body["total"], 0);
    assert_eq!(sim.call("GET", "/messages/Qk2vT9aXe4-gLw8Ztq3HcA", None).await.status, 404);
    assert_eq!(sim.call_as(TOKEN, "GET", "/messages/xyz", None).await.unwrap().status, 400);
    sim.stop().await;
}

#[tokio::test]
async fn every_kind_goes_out_and_comes_back_as_an_echo() {
    let sim = Sim::start().await;
    let to = format!("{AMIRA}@s.whatsapp.net");
    let kept = sim.call("POST", "/media", Some(json!({"media": "aGVsbG8gd29ybGQ="}))).await;
    let file = kept.body["media"][0]["id"].as_str().unwrap().to_owned();
    let vcard = "BEGIN:VCARD\nVERSION:3.0\nFN:A\nTEL;waid=447700900801:+447700900801\nEND:VCARD";
    let buttons = json!({"buttons": [{"type": "quick_reply", "title": "Yes", "id": "y"}]});
    for (kind, mut body) in [
        ("image", json!({"media": file, "mime_type": "image/jpeg", "caption": "c"})),
        ("video", json!({"media": file})),
        ("audio", json!({"media": file})),
        ("voice", json!({"media": file})),
        ("document", json!({"media": file, "filename": "a.pdf"})),
        ("gif", json!({"media": file})),
        ("sticker", json!({"media": file})),
        ("location", json!({"latitude": 1.5, "longitude": -2})),
        ("contact", json!({"name": "A", "vcard": vcard})),
        ("poll", json!({"title": "t", "options": ["a", "b"], "count": 0})),
        ("interactive", json!({"type": "button", "body": {"text": "b"}, "action": buttons})),
    ] {
        body["to"] = json!(to);
        let answer = sim.call("POST", &format!("/messages/{kind}"), Some(body.clone())).await;
        assert_eq!(answer.status, 200, "{kind}: {}", answer.body);
        assert_eq!(answer.body["message"]["type"], kind);
        assert!(answer.body["message"][kind].is_object(), "{}", answer.body);
        body["to"] = json!("x");
        let answer = sim.call("POST", &format!("/messages/{kind}"), Some(body)).await;
        assert_eq!(answer.status, 400, "{kind}: {}", answer.body);
    }
    for (kind, body, status) in [
        ("image", json!({"to": to, "media": "png-0000"}), 404),
        ("image", json!({"to": to}), 400),
        ("location", json!({"to": to, "latitude": "1.5", "longitude": 2}), 400),
        ("contact", json!({"to": to, "name": "A"}), 400),
        ("poll", json!({"to": to, "title": "t", "options": ["a"]}), 400),
        ("poll", json!({"to": to, "title": "t", "options": ["a", "b"], "count": 2}), 400),
        ("interactive", json!({"to": to, "body": {"text": "b"}}), 400),
    ] {
        let answer = sim.call("POST", &format!("/messages/{kind}"), Some(body.clone())).await;
        assert_eq!(answer.status, status, "{kind} {body}: {}", answer.body);
    }
    sim.stop().await;
}

#[tokio::test]
async fn own_messages_are_edited_reacted_to_and_deleted() {
    let sim = Sim::start().await;
    let to = format!("{AMIRA}@s.whatsapp.net");
    let sent = sim.send(AMIRA, "helo").await;
    let id = sent.body["message"]["id"].as_str().unwrap().to_owned();
    let edit = json!({"to": to, "body": "hello", "edit": id});
    assert_eq!(sim.call("POST", "/messages/text", Some(edit.clone())).await.status, 200);
    let found = sim.call("GET", &format!("/messages/{id}"), None).await;
    assert_eq!(found.body["text"]["body"], "hello");

    let path = format!("/messages/{id}/reaction");
    let answer = sim.call("PUT", &path, Some(json!({"emoji": "👍"}))).await;
    assert_eq!((answer.status, &answer.body), (200, &json!({"success": true})));
    assert_eq!(sim.call("DELETE", &path, None).await.status, 200);

    let path = format!("/messages/{id}");
    assert_eq!(sim.call("DELETE", &path, None).await.body, json!({"success": true}));
    assert_eq!(sim.call("DELETE", &path, None).await.status, 404);
    assert_eq!(sim.call("POST", "/messages/text", Some(edit)).await.status, 404);
    sim.stop().await;
}
