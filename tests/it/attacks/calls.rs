//! Against `/rpc` with a good key: signatures that were bent, JSON that means two things or nothing, values of every
//! kind that no method takes.

use serde_json::{Value, json};
use wabridge_testkit::daemon::{KEY_ID, KEY_SECRET};

use super::stage::KIOSK;
use super::{Http, Stage};
use crate::support::world::{ADMIN, USER, text_params};

const PEER: &str = "+447700900123";

fn call(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

/// A send with some parameters changed.
fn with(changes: Value) -> Value {
    let mut params = text_params(PEER, "attack");
    for (name, value) in changes.as_object().expect("an object") {
        params[name] = value.clone();
    }
    params
}

/// A call with this Authorization header, or none; `<status>`.
async fn authorized(stage: &Stage, headers: &[String], body: &str) -> String {
    let mut head = format!(
        "POST /rpc HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    for value in headers {
        head.push_str(&format!("Authorization: {value}\r\n"));
    }
    stage.private().say(&[format!("{head}\r\n{body}").as_bytes()]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures() {
    let mut stage = Stage::start("signatures", &[]).await;
    let send = call("message.send", &text_params(PEER, "attack").to_string());
    let good = || Http::signed(KEY_ID, "POST", "/rpc", send.as_bytes());
    let part = |name: &str, value: &str| {
        let good = good();
        let at = good.find(&format!("{name}=")).expect("it is there") + name.len() + 1;
        let end = good[at..].find(',').map_or(good.len(), |end| at + end);
        format!("{}{value}{}", &good[..at], &good[end..])
    };
    let cut = |left: usize| {
        let good = good();
        good[..good.len() - left].to_owned()
    };
    let upper = {
        let good = good();
        let at = good.find("sig=").expect("it is there") + 4;
        format!("{}{}", &good[..at], good[at..].to_uppercase())
    };
    let now = good();
    let ms = part("ts", &format!("{}000", &now[now.find("ts=").expect("it is there") + 3..][..10]));
    for (name, headers) in [
        ("no signature", vec![]),
        ("an empty one", vec![String::new()]),
        ("basic authentication", vec!["Basic YWRtaW46YWRtaW4=".to_owned()]),
        ("the secret itself", vec![format!("Bearer {KEY_SECRET}")]),
        ("a signature cut by one digit", vec![cut(1)]),
        ("a signature cut to nothing", vec![cut(64)]),
        ("a signature and a digit", vec![format!("{}0", good())]),
        ("a signature in capitals", vec![upper]),
        ("a signature of zeros", vec![part("sig", &"0".repeat(64))]),
        ("a signature of another body", vec![Http::signed(KEY_ID, "POST", "/rpc", b"{}")]),
        (
            "a signature of another path",
            vec![Http::signed(KEY_ID, "POST", "/media", send.as_bytes())],
        ),
        (
            "a signature of another method",
            vec![Http::signed(KEY_ID, "PUT", "/rpc", send.as_bytes())],
        ),
        ("an unknown key", vec![part("key", "nobody")]),
        ("a key with a path in it", vec![part("key", "../test")]),
        ("SQL for a key", vec![part("key", "'; DROP TABLE whatsapp_message; --")]),
        ("a time an hour ago", vec![part("ts", "1700000000")]),
        ("a time before all times", vec![part("ts", "-1")]),
        ("a time beyond 64 bits", vec![part("ts", "99999999999999999999")]),
        ("a time in milliseconds", vec![ms]),
        ("a nonce of one character", vec![part("nonce", "a")]),
        ("a nonce of 10 kB", vec![part("nonce", &"a".repeat(10_000))]),
        ("a nonce with quotes", vec![part("nonce", "aaaaaaaaaaaaaaaaaaaa'--")]),
        ("a part twice", vec![format!("{},ts=1", good())]),
        ("two headers, one good", vec![good(), "Bearer x".to_owned()]),
        ("the same header twice", vec![now.clone(), now]),
    ] {
        stage.case(name, &["401"], &[], async |s| authorized(s, &headers, &send).await).await;
    }
    stage
        .case("a call that was made before", &["401"], &[], async |s| {
            let body = call("rpc.discover", "{}");
            let header = Http::signed(KEY_ID, "POST", "/rpc", body.as_bytes());
            assert_eq!(authorized(s, std::slice::from_ref(&header), &body).await, "200");
            authorized(s, &[header], &body).await
        })
        .await;
    stage
        .case("a good signature over another type of content", &["415"], &[], async |s| {
            let body = call("rpc.discover", "{}");
            let header = Http::signed(KEY_ID, "POST", "/rpc", body.as_bytes());
            let head = format!(
                "POST /rpc HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\nAuthorization: {header}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            s.private().say(&[head.as_bytes()]).await
        })
        .await;
    stage.end(27);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_that_means_two_things() {
    let mut stage = Stage::start("json", &[]).await;
    let send = text_params(PEER, "attack").to_string();
    let inner = &send[1..];
    let nested =
        |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    let utf16: Vec<u8> =
        call("message.send", &send).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let gzip = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0; 40]].concat();
    let raw_value = json!({"$serde_json::private::RawValue": send}).to_string();
    let mut cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("two users in one call", call("message.send", &format!(r#"{{"uid":{ADMIN},{inner}"#)).into(), &["200 -32602"]),
        ("two users, one of them spelled otherwise", call("message.send", &format!(r#"{{"\u0075id":{ADMIN},{inner}"#)).into(), &["200 -32602"]),
        ("two texts in one message", call("message.send", r#"{"uid":5,"to":"+447700900123","type":"text","text":{"body":"a","body":"b"}}"#).into(), &["200 -32602"]),
        ("two methods", format!(r#"{{"jsonrpc":"2.0","id":1,"method":"rpc.discover","method":"message.send","params":{send}}}"#).into(), &["400 -32600", "400 -32700"]),
        ("two parameters", format!(r#"{{"jsonrpc":"2.0","id":1,"method":"message.send","params":{{}},"params":{send}}}"#).into(), &["400 -32600", "400 -32700"]),
        ("two ids", format!(r#"{{"jsonrpc":"2.0","id":1,"id":2,"method":"message.send","params":{send}}}"#).into(), &["400 -32600", "400 -32700"]),
        ("serde's own word for raw JSON", call("message.send", &raw_value).into(), &["200 -32602"]),
        ("a batch", format!("[{}]", call("message.send", &send)).into(), &["400 -32600"]),
        ("an empty batch", b"[]".to_vec(), &["400 -32600"]),
        ("a batch after white space", format!(" \n\t[{}]", call("message.send", &send)).into(), &["400 -32600"]),
        ("a notification", format!(r#"{{"jsonrpc":"2.0","method":"message.send","params":{send}}}"#).into(), &["400 -32600"]),
        ("another version", format!(r#"{{"jsonrpc":"1.0","id":1,"method":"message.send","params":{send}}}"#).into(), &["400 -32600"]),
        ("parameters as a list", call("message.send", &format!("[{send}]")).into(), &["200 -32602"]),
        ("parameters as a text", call("message.send", &Value::from(send.clone()).to_string()).into(), &["200 -32602", "400 -32600"]),
        ("33 levels", call("message.send", &format!(r#"{{"text":{},{inner}"#, nested("[", "]", 33))).into(), &["200 -32602"]),
        ("100,000 levels", call("message.send", &nested("[", "]", 100_000)).into(), &["400 -32700", "200 -32602"]),
        ("100,000 objects", call("message.send", &nested(r#"{"a":"#, "}", 100_000)).into(), &["400 -32700", "200 -32602"]),
        ("100,000 levels beside the parameters", format!(r#"{{"jsonrpc":"2.0","id":1,"x":{},"method":"message.nothing"}}"#, nested("[", "]", 100_000)).into(), &["400 -32700", "400 -32600", "200 -32601"]),
        ("a byte order mark", [b"\xef\xbb\xbf", call("message.send", &send).as_bytes()].concat(), &["400 -32700"]),
        ("UTF-16", utf16, &["400 -32700"]),
        ("bytes that are no UTF-8", [call("message.send", &send).as_bytes(), b"\xff"].concat(), &["400 -32700"]),
        ("no UTF-8 in a text", call("message.send", &send).replace("attack", "\u{1}").into_bytes().into_iter().map(|b| if b == 1 { 0xff } else { b }).collect(), &["400 -32700", "200 -32602"]),
        ("something behind it", format!("{} {{}}", call("message.send", &send)).into(), &["400 -32700"]),
        ("half of it", call("message.send", &send).as_bytes()[..60].to_vec(), &["400 -32700"]),
        ("nothing", vec![], &["400 -32700"]),
        ("compressed", gzip, &["400 -32700"]),
        ("a comment", call("message.send", &format!("/* */{send}")).into(), &["400 -32700"]),
        ("NaN", call("message.send", &format!(r#"{{"res_id":NaN,{inner}"#)).into(), &["400 -32700"]),
        ("a number of 10^999", call("message.send", &format!(r#"{{"res_id":1e999,{inner}"#)).into(), &["400 -32700", "200 -32602"]),
        ("a number of 100,000 digits", call("message.send", &format!(r#"{{"res_id":{},{inner}"#, "9".repeat(100_000))).into(), &["400 -32700", "200 -32602"]),
        ("half a surrogate pair", call("message.send", &send.replace("attack", "\\ud83d")).into(), &["400 -32700", "200 -32602"]),
        ("surrogates the wrong way round", call("message.send", &send.replace("attack", "\\udc4d\\ud83d")).into(), &["400 -32700", "200 -32602"]),
        ("a line break within a text", call("message.send", &send.replace("attack", "a\nb")).into(), &["400 -32700", "200 -32602"]),
        ("a method with a line break", call("message.send\\nFORGED", &send).into(), &["200 -32601"]),
        ("a method of 500 kB", call(&"m".repeat(500_000), &send).into(), &["200 -32601"]),
        ("a method of jsonrpsee's own", call("rpc.methods", "{}").into(), &["200 -32601"]),
        ("an id of 500 kB", format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"message.nothing"}}"#, "x".repeat(500_000)).into(), &["200 -32601"]),
        ("an object for an id", r#"{"jsonrpc":"2.0","id":{},"method":"rpc.discover"}"#.into(), &["400 -32600"]),
    ];
    let fields: String = (0..50_000).map(|n| format!(r#""f{n}":1,"#)).collect();
    cases.push((
        "50,000 parameters",
        call("message.send", &format!("{{{fields}{inner}")).into(),
        &["200 -32602"],
    ));
    for (name, body, wanted) in &cases {
        stage.case(name, wanted, &[], async |s| s.raw(body).await).await;
    }
    stage.end(39);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_no_method_takes() {
    let mut stage = Stage::start("values", &[]).await;
    let huge = "9".repeat(10_000);
    let sql = "'; DROP TABLE whatsapp_message; --";
    let sends: Vec<(&str, Value, &[&str])> = vec![
        ("user 0", json!({"uid": 0}), &["1001"]),
        ("user -1", json!({"uid": -1}), &["1001"]),
        ("user 2^31", json!({"uid": 2_147_483_648_i64}), &["-32602"]),
        ("user 2^63", json!({"uid": 9_223_372_036_854_775_808_u64}), &["-32602"]),
        ("user 5.5", json!({"uid": 5.5}), &["-32602"]),
        ("user as a text", json!({"uid": "5"}), &["-32602"]),
        ("user as true", json!({"uid": true}), &["-32602"]),
        ("no user", json!({"uid": null}), &["-32602"]),
        ("impersonation by user_id", json!({"user_id": ADMIN}), &["-32602"]),
        ("impersonation by act_as", json!({"act_as": "any"}), &["-32602"]),
        ("a status of one's own", json!({"status": "sent"}), &["-32602"]),
        ("a prototype", json!({"__proto__": {"uid": 1}}), &["-32602"]),
        ("account 2^31", json!({"configuration_id": 2_147_483_648_i64}), &["-32602"]),
        ("account 0", json!({"configuration_id": 0}), &["1001"]),
        ("account -1", json!({"configuration_id": -1}), &["1001"]),
        ("a number of 10,000 digits", json!({"to": huge}), &["1101"]),
        ("a person as an emoji", json!({"to": "👍"}), &["1101"]),
        ("a person with a NUL", json!({"to": "+4477009\u{0}00123"}), &["1101"]),
        ("a person in SQL", json!({"to": sql}), &["1101"]),
        ("a person by LIKE", json!({"to": "%"}), &["1101"]),
        ("a person of two lines", json!({"to": "+447700900123\r\nX-Evil: 1"}), &["1101"]),
        ("a person with a path", json!({"to": "../../settings"}), &["1101"]),
        ("a chat with a path", json!({"to": "120363025550100701/../../settings@g.us"}), &["1101"]),
        ("a chat with a query", json!({"to": "120363025550100701@g.us?admin=1"}), &["1101"]),
        (
            "a chat with a line break",
            json!({"to": "447700900123@s.whatsapp.net\r\nX: 1"}),
            &["1101"],
        ),
        ("nobody", json!({"to": ""}), &["1101"]),
        ("a person and a group", json!({"to": {"contact_id": 1, "group_id": 1}}), &["-32602"]),
        ("contact 2^31", json!({"to": {"contact_id": 2_147_483_648_i64}}), &["-32602"]),
        ("a list of people", json!({"to": [PEER, PEER]}), &["-32602"]),
        ("a text with a NUL", json!({"text": {"body": "a\u{0}b"}}), &["1102"]),
        ("a text of 900 kB", json!({"text": {"body": "x".repeat(900_000)}}), &["1102"]),
        (
            "10,000 mentions",
            json!({"text": {"body": "x", "mentions": vec!["447700900123"; 10_000]}}),
            &["1102"],
        ),
        ("a mention with a NUL", json!({"text": {"body": "x", "mentions": ["\u{0}"]}}), &["1102"]),
        (
            "a mention of 100 kB",
            json!({"text": {"body": "x", "mentions": ["9".repeat(100_000)]}}),
            &["1102"],
        ),
        ("a type of two", json!({"type": "text,image"}), &["1102"]),
        ("a type with a line break", json!({"type": "text\nFORGED"}), &["1102"]),
        ("a wait of -1 ms", json!({"wait_ms": -1}), &["-32602"]),
        ("a wait of a day", json!({"wait_ms": 86_400_000}), &["-32602"]),
        ("a wait of 2^63 ms", json!({"wait_ms": 9_223_372_036_854_775_807_i64}), &["-32602"]),
        ("the year -1", json!({"schedule_at": -1}), &["-32602"]),
        ("the year -9999", json!({"schedule_at": "-009999-01-02T00:00:00Z"}), &["1102", "-32602"]),
        ("the year 10000", json!({"schedule_at": "10000-01-01T00:00:00Z"}), &["-32602"]),
        ("never", json!({"schedule_at": "infinity"}), &["-32602"]),
        ("a time in SQL", json!({"schedule_at": sql}), &["-32602"]),
        ("a key with a NUL", json!({"idempotency_key": "a\u{0}b"}), &["1102"]),
        ("a key of 10 kB", json!({"idempotency_key": "k".repeat(10_000)}), &["1102"]),
        ("a model with a NUL", json!({"res_model": "res.partner\u{0}", "res_id": 1}), &["1102"]),
        ("a model of 100 kB", json!({"res_model": "x".repeat(100_000), "res_id": 1}), &["1102"]),
        ("a model without a row", json!({"res_model": "res.partner"}), &["1102"]),
        ("row -1 of a model", json!({"res_model": "res.partner", "res_id": -1}), &["1102"]),
        ("a category of one's own", json!({"category": "utility; marketing"}), &["-32602"]),
        (
            "90.1 degrees north",
            json!({"type": "location", "text": null, "location": {"latitude": 90.1, "longitude": 0}}),
            &["1102"],
        ),
        (
            "a place with a NUL",
            json!({"type": "location", "text": null, "location": {"latitude": 0, "longitude": 0, "name": "\u{0}"}}),
            &["1102"],
        ),
        (
            "a card without a number",
            json!({"type": "contact", "text": null, "contact": {"name": "x", "phone": "٤٤٧٧٠٠٩٠٠١٢٣"}}),
            &["1102"],
        ),
        (
            "a card of 100 kB",
            json!({"type": "contact", "text": null, "contact": {"name": "x".repeat(100_000), "phone": PEER}}),
            &["1102"],
        ),
        (
            "a card's number of 100 kB",
            json!({"type": "contact", "text": null, "contact": {"name": "x", "phone": format!("{}447700900123", " ".repeat(100_000))}}),
            &["1102"],
        ),
        (
            "a poll of 13",
            json!({"type": "poll", "text": null, "poll": {"title": "x", "options": (0..13).map(|n| n.to_string()).collect::<Vec<_>>()}}),
            &["1102"],
        ),
        (
            "a poll of one twice",
            json!({"type": "poll", "text": null, "poll": {"title": "x", "options": ["a", "a"]}}),
            &["1102"],
        ),
        (
            "a poll that lets choose 2^32",
            json!({"type": "poll", "text": null, "poll": {"title": "x", "options": ["a", "b"], "count": 4_294_967_296_i64}}),
            &["-32602"],
        ),
    ];
    for (name, changes, wanted) in &sends {
        stage
            .case(name, wanted, &[], async |s| s.call("message.send", with(changes.clone())).await)
            .await;
    }
    let own = stage.own_message().await;
    let calls: Vec<(&str, &str, Value, &[&str])> = vec![
        (
            "an emoji that is HTML",
            "message.react",
            json!({"uid": USER, "id": own, "emoji": "<b>"}),
            &["1102"],
        ),
        (
            "an emoji of 100 kB",
            "message.react",
            json!({"uid": USER, "id": own, "emoji": "👍".repeat(25_000)}),
            &["1102"],
        ),
        (
            "an edit with a NUL",
            "message.edit",
            json!({"uid": USER, "id": own, "text": "a\u{0}"}),
            &["1102"],
        ),
        (
            "message 2^31",
            "message.status",
            json!({"uid": USER, "id": 2_147_483_648_i64}),
            &["-32602"],
        ),
        ("message -1", "message.delete", json!({"uid": USER, "id": -1}), &["1504"]),
        (
            "1,001 messages",
            "message.retry",
            json!({"uid": USER, "ids": vec![own; 1001]}),
            &["1102"],
        ),
        ("no messages", "message.cancel", json!({"uid": USER, "ids": []}), &["1102"]),
        (
            "1,001 sends",
            "message.send_bulk",
            json!({"uid": USER, "messages": vec![with(json!({"uid": USER})); 1001]}),
            &["1102", "-32602"],
        ),
        (
            "a send within many for somebody else",
            "message.send_bulk",
            json!({"uid": USER, "messages": [with(json!({"uid": ADMIN}))]}),
            &["1001", "1102", "-32602"],
        ),
        (
            "a chat of marks in SQL",
            "message.mark_read",
            json!({"uid": USER, "configuration_id": 1, "chat_id": sql}),
            &["1504"],
        ),
        (
            "a chat of marks with a NUL",
            "message.mark_read",
            json!({"uid": USER, "configuration_id": 1, "chat_id": "\u{0}"}),
            &["1504", "1102", "1505"],
        ),
        (
            "a group with a path",
            "group.info",
            json!({"uid": USER, "group_id": "../../messages/list"}),
            &["1101"],
        ),
        (
            "a group with a line break",
            "group.info",
            json!({"uid": USER, "group_id": "120363025550100701@g.us\r\nX: 1"}),
            &["1101"],
        ),
        ("a group in SQL", "group.leave", json!({"uid": USER, "group_id": sql}), &["1101"]),
        (
            "a group's name of 100 kB",
            "group.create",
            json!({"uid": USER, "name": "x".repeat(100_000), "participants": [PEER]}),
            &["1102"],
        ),
        (
            "a group's name with a NUL",
            "group.create",
            json!({"uid": USER, "name": "\u{0}", "participants": [PEER]}),
            &["1102"],
        ),
        (
            "1,025 members",
            "group.create",
            json!({"uid": USER, "name": "x", "participants": vec![PEER; 1025]}),
            &["1102"],
        ),
        (
            "an invitation elsewhere",
            "group.join",
            json!({"uid": USER, "invite_link": "https://evil.example/AbCdEfGhIjKlMnOpQrStUv"}),
            &["1102"],
        ),
        (
            "an invitation with a path",
            "group.join",
            json!({"uid": USER, "invite_link": "https://chat.whatsapp.com/../../settings"}),
            &["1102"],
        ),
        (
            "an invitation with a line break",
            "group.join",
            json!({"uid": USER, "invite_link": "https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv\r\nX: 1"}),
            &["1102"],
        ),
        (
            "10,000 numbers",
            "contact.check",
            json!({"uid": USER, "numbers": vec![PEER; 10_000]}),
            &["1102"],
        ),
        (
            "101 people",
            "contact.refresh",
            json!({"uid": USER, "contact_ids": (0..101).collect::<Vec<_>>()}),
            &["1102"],
        ),
        (
            "a reason of 100 kB",
            "contact.opt_out",
            json!({"uid": USER, "to": PEER, "reason": "x".repeat(100_000)}),
            &["1102"],
        ),
        (
            "a reason with a NUL",
            "contact.opt_out",
            json!({"uid": USER, "to": PEER, "reason": "\u{0}"}),
            &["1102"],
        ),
        (
            "blocking a group",
            "contact.block",
            json!({"uid": USER, "to": "120363025550100701@g.us", "blocked": true}),
            &["1101"],
        ),
        (
            "a column that is none",
            "configuration.seal",
            json!({"uid": ADMIN, "seal_uuid": "u", "column": "name", "value": "x"}),
            &["1102"],
        ),
        (
            "a place in SQL",
            "configuration.seal",
            json!({"uid": ADMIN, "seal_uuid": sql, "column": "token", "value": "x"}),
            &["1102"],
        ),
        (
            "a credential of two lines",
            "configuration.seal",
            json!({"uid": ADMIN, "seal_uuid": "u", "column": "token", "value": "x\r\nX: 1"}),
            &["1102"],
        ),
        (
            "a credential of 100 kB",
            "configuration.seal",
            json!({"uid": ADMIN, "seal_uuid": "u", "column": "token", "value": "x".repeat(100_000)}),
            &["1102"],
        ),
        (
            "1,000,000 webhooks",
            "journal.replay",
            json!({"uid": ADMIN, "ids": (0..100_000).collect::<Vec<_>>()}),
            &["1102"],
        ),
        ("webhook -2^63", "journal.show", json!({"uid": ADMIN, "id": i64::MIN}), &["1504"]),
        (
            "a synchronisation of the year 9999",
            "sync.start",
            json!({"uid": ADMIN, "configuration_id": 1, "kinds": ["contacts"], "mode": "since", "since": "9999-01-01T00:00:00Z"}),
            &["1102"],
        ),
        (
            "the same kind 1,000 times",
            "sync.start",
            json!({"uid": ADMIN, "configuration_id": 1, "kinds": vec!["contacts"; 1000], "mode": "full"}),
            &["1102"],
        ),
        ("run 2^31", "sync.status", json!({"uid": USER, "job_id": 2_147_483_648_i64}), &["-32602"]),
        ("file -1", "media.fetch_again", json!({"uid": USER, "media_id": -1}), &["1504"]),
    ];
    for (name, method, params, wanted) in &calls {
        stage.case(name, wanted, &[], async |s| s.call(method, params.clone()).await).await;
    }
    stage
        .case("the kiosk's key for somebody else", &["1001"], &[], async |s| {
            super::stage::code(
                &s.world.daemon.rpc_with(KIOSK, "message.send", with(json!({}))).await,
            )
        })
        .await;
    assert!(stage.world.simulator.requests("/settings").await.len() <= 1, "no path led elsewhere");
    stage.end(90);
}
