//! Against the webhooks: secrets and signatures of others, and what an authentic provider could carry in.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use wabridge_testkit::daemon::WHAPI_CHANNEL;

use super::Stage;
use super::stage::{
    APP_SECRET, META_NUMBER, OTHER_SECRET, OTHER_TOKEN, SECOND_SECRET, SECOND_TOKEN, VERIFY_TOKEN,
};
use crate::support::world::{WEBHOOK_SECRET, WEBHOOK_TOKEN, message_id, status_event, text_event};

const PEER: &str = "447700900123";
/// What an authentic body may leave that is put aside.
const ASIDE: &[&str] =
    &["wabridge.journal", "wabridge.journal_pending", "public.whatsapp_quarantine"];
/// What a message may leave.
const TAKEN: &[&str] = &[
    "wabridge.journal",
    "wabridge.journal_pending",
    "public.whatsapp_quarantine",
    "public.whatsapp_message",
    "public.whatsapp_contact",
    "public.whatsapp_chat",
    "public.whatsapp_event",
    "public.whatsapp_media",
    "public.bus_bus",
    "wabridge.identity",
    "wabridge.contact_fact",
    "wabridge.chat_fact",
    "wabridge.notice",
    "wabridge.media_fetch",
    "wabridge.early_event",
];

/// A webhook with these headers; its status.
async fn post(stage: &Stage, path: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
    let url = format!("{}/whatsapp/webhook/{path}", stage.world.daemon.public_url);
    let mut request = stage.world.daemon.http.post(url).body(body.to_vec());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("the daemon answers").status().as_u16().to_string()
}

fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_of_others() {
    let mut stage = Stage::start("secrets", &[]).await;
    let body = text_event(&message_id(1), PEER, "attack").to_string();
    let own = format!("whapi/{WEBHOOK_TOKEN}");
    for (name, path, secret) in [
        ("no secret", own.as_str(), ""),
        ("a wrong secret", &own, "Bearer wrong"),
        ("the beginning of the secret", &own, &format!("Bearer {}", &WEBHOOK_SECRET[..10])),
        ("the secret and more", &own, &format!("Bearer {WEBHOOK_SECRET}x")),
        ("the secret in capitals", &own, &format!("Bearer {}", WEBHOOK_SECRET.to_uppercase())),
        ("the secret without its scheme", &own, WEBHOOK_SECRET),
        ("the secret in a list", &own, &format!("Bearer wrong, Bearer {WEBHOOK_SECRET}")),
        ("another account's secret", &own, &format!("Bearer {SECOND_SECRET}")),
        ("the other database's secret", &own, &format!("Bearer {OTHER_SECRET}")),
        (
            "our secret at another account's address",
            &format!("whapi/{SECOND_TOKEN}"),
            &format!("Bearer {WEBHOOK_SECRET}"),
        ),
        (
            "our secret at the other database's address",
            &format!("whapi/{OTHER_TOKEN}"),
            &format!("Bearer {WEBHOOK_SECRET}"),
        ),
        ("our secret at another provider", "wassenger", &format!("Bearer {WEBHOOK_SECRET}")),
        (
            "our address at another provider",
            &format!("custom/{WEBHOOK_TOKEN}"),
            &format!("Bearer {WEBHOOK_SECRET}"),
        ),
        ("Meta's address without a signature", "meta", ""),
    ] {
        stage
            .case(name, &["401"], &[], async |s| {
                let headers = [("authorization", secret)];
                let headers = if secret.is_empty() { &headers[..0] } else { &headers[..] };
                post(s, path, headers, body.as_bytes()).await
            })
            .await;
    }
    stage
        .case("the secret twice", &["401"], &[], async |s| {
            let bearer = format!("Bearer {WEBHOOK_SECRET}");
            post(
                s,
                &own,
                &[("authorization", &bearer), ("authorization", &bearer)],
                body.as_bytes(),
            )
            .await
        })
        .await;
    // Authentic, and about channels that are not the sender's: put aside, nowhere else to be seen.
    for (name, channel) in [
        ("another account's channel", "SECOND-1"),
        ("the other database's channel", "OTHER-1"),
        ("a channel in SQL", "'; DROP TABLE whatsapp_message; --"),
    ] {
        let mut foreign = text_event(&message_id(2), PEER, "attack");
        foreign["channel_id"] = json!(channel);
        stage
            .case(name, &["200"], ASIDE, async |s| {
                let bearer = format!("Bearer {WEBHOOK_SECRET}");
                post(s, &own, &[("authorization", &bearer)], foreign.to_string().as_bytes()).await
            })
            .await;
    }
    // The same provider's id in another account is another message.
    let mut news = status_event("theirs-1", &format!("{PEER}@s.whatsapp.net"), "read");
    news["channel_id"] = json!(WHAPI_CHANNEL);
    stage
        .case("news of another account's message", &["200"], TAKEN, async |s| {
            let bearer = format!("Bearer {WEBHOOK_SECRET}");
            post(s, &own, &[("authorization", &bearer)], news.to_string().as_bytes()).await
        })
        .await;
    let theirs = "SELECT status FROM whatsapp_message WHERE id = 9001";
    assert_eq!(stage.world.database.text(theirs).await.as_deref(), Some("failed"));
    stage.end(19);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_of_meta() {
    let mut stage = Stage::start("meta", &[]).await;
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": {
        "messaging_product": "whatsapp", "metadata": {"display_phone_number": "447700900998", "phone_number_id": META_NUMBER},
        "contacts": [{"profile": {"name": "Amira Osei"}, "wa_id": PEER}],
        "messages": [{"from": PEER, "id": "wamid.attack1", "timestamp": "1765800001", "type": "text", "text": {"body": "hi"}}],
    }}]}]})
    .to_string()
    .into_bytes();
    let good = signature(APP_SECRET, &body);
    let changed = String::from_utf8_lossy(&body).replace("hi", "ho").into_bytes();
    let sha1_alone = "a9993e364706816aba3e25717850c26c9cd0d89d";
    for (name, header, value, bytes) in [
        ("no signature", "x-other", String::new(), &body),
        (
            "a signature by another secret",
            "x-hub-signature-256",
            format!("sha256={}", signature("wrong", &body)),
            &body,
        ),
        (
            "a signature by no secret",
            "x-hub-signature-256",
            format!("sha256={}", signature("", &body)),
            &body,
        ),
        (
            "a signature by the verify token",
            "x-hub-signature-256",
            format!("sha256={}", signature(VERIFY_TOKEN, &body)),
            &body,
        ),
        (
            "a signature by another account's secret",
            "x-hub-signature-256",
            format!("sha256={}", signature(WEBHOOK_SECRET, &body)),
            &body,
        ),
        (
            "a signature over another body",
            "x-hub-signature-256",
            format!("sha256={good}"),
            &changed,
        ),
        (
            "a signature over the body and a space",
            "x-hub-signature-256",
            format!("sha256={good}"),
            &[&body[..], b" "].concat(),
        ),
        ("a signature cut", "x-hub-signature-256", format!("sha256={}", &good[..62]), &body),
        ("a signature cut to nothing", "x-hub-signature-256", "sha256=".to_owned(), &body),
        ("a signature and more", "x-hub-signature-256", format!("sha256={good}00"), &body),
        ("a signature without its name", "x-hub-signature-256", good.clone(), &body),
        ("a signature of the old kind", "x-hub-signature", format!("sha1={sha1_alone}"), &body),
        ("a good signature under the old name", "x-hub-signature", format!("sha256={good}"), &body),
    ] {
        stage
            .case(name, &["401"], &[], async |s| post(s, "meta", &[(header, &value)], bytes).await)
            .await;
    }
    stage
        .case("a good and a bad signature", &["401"], &[], async |s| {
            let (good, bad) =
                (format!("sha256={good}"), format!("sha256={}", signature("wrong", &body)));
            post(s, "meta", &[("x-hub-signature-256", &bad), ("x-hub-signature-256", &good)], &body)
                .await
        })
        .await;
    // The control, then its replay: nothing but the journal moves.
    let authentic = [("x-hub-signature-256", format!("sha256={good}"))];
    let authentic: Vec<(&str, &str)> =
        authentic.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(post(&stage, "meta", &authentic, &body).await, "200");
    stage
        .world
        .until_count(
            "SELECT count(*) FROM whatsapp_message WHERE message_id = 'wamid.attack1'",
            1,
            20,
        )
        .await;
    stage.settle().await;
    for n in 0..3 {
        let name = format!("the same webhook again, {n}");
        stage
            .case(&name, &["200"], &["wabridge.journal"], async |s| {
                post(s, "meta", &authentic, &body).await
            })
            .await;
    }
    let ask = async |s: &Stage, query: &str| {
        let url = format!("{}/whatsapp/webhook/meta?{query}", s.world.daemon.public_url);
        let answer = s.world.daemon.http.get(url).send().await.expect("the daemon answers");
        let plain = answer
            .headers()
            .get("content-type")
            .is_some_and(|kind| kind == "text/plain; charset=utf-8");
        let status = answer.status().as_u16();
        if status == 200 {
            format!("200 {}", if plain { "plain" } else { "shown" })
        } else {
            status.to_string()
        }
    };
    for (name, query, wanted) in [
        (
            "a handshake with a wrong token",
            "hub.mode=subscribe&hub.challenge=1&hub.verify_token=wrong".to_owned(),
            "401",
        ),
        (
            "a handshake with an empty token",
            "hub.mode=subscribe&hub.challenge=1&hub.verify_token=".to_owned(),
            "401",
        ),
        ("a handshake without a token", "hub.mode=subscribe&hub.challenge=1".to_owned(), "401"),
        (
            "a handshake with the app's secret",
            format!("hub.mode=subscribe&hub.challenge=1&hub.verify_token={APP_SECRET}"),
            "401",
        ),
        (
            "a handshake with two tokens, the first wrong",
            format!(
                "hub.mode=subscribe&hub.challenge=1&hub.verify_token=x&hub.verify_token={VERIFY_TOKEN}"
            ),
            "401",
        ),
        (
            "a handshake that is none",
            format!("hub.mode=unsubscribe&hub.challenge=1&hub.verify_token={VERIFY_TOKEN}"),
            "401",
        ),
        (
            "a challenge with a script",
            format!(
                "hub.mode=subscribe&hub.challenge=%3Cscript%3E&hub.verify_token={VERIFY_TOKEN}"
            ),
            "200 plain",
        ),
    ] {
        stage.case(name, &[wanted, "401"], &[], async |s| ask(s, &query).await).await;
    }
    stage.end(24);
}

/// An authentic message with this in it.
fn message(n: u64, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut event = text_event(&message_id(n), PEER, "x");
    change(&mut event["messages"][0]);
    event.to_string().into_bytes()
}

/// Bodies by who has the secret: whatever is in them, it is data.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_provider_could_carry_in() {
    let mut stage = Stage::start("authentic", &[]).await;
    let sql = "'); DROP TABLE whatsapp_message; --";
    let nested = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
    let named = |n: u64, name: &str| message(n, |m| m["from_name"] = json!(name));
    let text = |n: u64, text: &str| message(n, |m| m["text"]["body"] = json!(text));
    // serde_json reads a text under this name as JSON of its own, each time from level 0.
    let mut raw = nested(120);
    for _ in 0..14 {
        let inner = json!({"$serde_json::private::RawValue": raw}).to_string();
        raw = format!("{}{inner}{}", "[".repeat(100), "]".repeat(100));
        if raw.len() > 1_500_000 {
            break;
        }
    }
    let odd = String::from_utf8(message(30, |_| ()))
        .expect("JSON")
        .replace("\"source\"", "\"\\ud83d\\u0000\":\"\\udc00\",\"source\"");
    let deep = |levels: &str| {
        String::from_utf8(message(31, |_| ())).expect("JSON").replace("\"mobile\"", levels)
    };
    let twice = String::from_utf8(message(32, |_| ()))
        .expect("JSON")
        .replace("\"source\"", "\"from_me\":true,\"source\"");
    let utf16: Vec<u8> = String::from_utf8(message(33, |_| ()))
        .expect("JSON")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a name in HTML", named(1, "<img src=x onerror=alert(1)>")),
        ("a name that turns the text round", named(2, "Amira \u{202e}gpj.exe\u{200b}")),
        ("a name that is a formula", named(3, "=HYPERLINK(\"http://evil.example\",\"Amira\")")),
        ("a name of two log lines", named(4, "Amira\n2026-01-01T00:00:00.000000Z ERROR FORGED")),
        ("a name with terminal codes", named(5, "\u{1b}[31mFORGED\u{1b}[0m\u{7}\u{8}\r")),
        ("a name in SQL", named(6, sql)),
        ("a name of 1 MB", named(7, &"n".repeat(1_000_000))),
        ("a name with a NUL", named(8, "A\u{0}B")),
        ("a name of nothing but marks", named(9, &"\u{0301}".repeat(5000))),
        ("a text in HTML", text(10, "<script>alert(1)</script>")),
        ("a text in SQL", text(11, sql)),
        ("a text of 3 MB", text(12, &"t".repeat(3_000_000))),
        ("a text with every control character", text(13, &(0..32u8).map(char::from).collect::<String>())),
        ("an id in SQL", message(14, |m| m["id"] = json!(sql))),
        ("an id of emojis", message(15, |m| m["id"] = json!("👍👍👍"))),
        ("an id of 100 kB", message(16, |m| m["id"] = json!("i".repeat(100_000)))),
        ("an id of two log lines", message(17, |m| m["id"] = json!("x\nFORGED"))),
        ("an id that is a path", message(18, |m| m["id"] = json!("../../etc/passwd"))),
        ("a number for an id", message(19, |m| m["id"] = json!(1e300))),
        ("a chat in SQL", message(20, |m| m["chat_id"] = json!(sql))),
        ("a chat of 100 kB", message(21, |m| m["chat_id"] = json!("9".repeat(100_000)))),
        ("a chat of two log lines", message(22, |m| m["chat_id"] = json!("447700900123@s.whatsapp.net\nFORGED"))),
        ("a time of 10^300", message(23, |m| m["timestamp"] = json!(1e300))),
        ("a time of -2^63", message(24, |m| m["timestamp"] = json!(i64::MIN))),
        ("a type of two log lines", message(25, |m| m["type"] = json!("x\nFORGED"))),
        ("a type that is an object", message(26, |m| m["type"] = json!({"a": [1]}))),
        ("a place beyond the earth", message(27, |m| { m["type"] = json!("location"); m["location"] = json!({"latitude": 1e300, "longitude": "x"}); })),
        ("a card of 1 MB", message(28, |m| { m["type"] = json!("contact"); m["contact"] = json!({"name": "x", "vcard": "V".repeat(1_000_000)}); })),
        ("a poll of 10,000", message(29, |m| { m["type"] = json!("poll"); m["poll"] = json!({"title": "x", "options": vec!["o"; 10_000]}); })),
        ("half surrogates and a NUL in a name", odd.into_bytes()),
        ("120 levels", deep(&nested(120)).into_bytes()),
        ("100,000 levels", deep(&nested(100_000)).into_bytes()),
        ("JSON in JSON in JSON", deep(&raw).into_bytes()),
        ("one name twice", twice.into_bytes()),
        ("UTF-16", utf16),
        ("a byte order mark", [b"\xef\xbb\xbf", &message(34, |_| ())[..]].concat()),
        ("no UTF-8", [&message(35, |_| ())[..20], b"\xff\xfe\xfd"].concat()),
        ("compressed", [&[0x1f, 0x8b, 8, 0][..], &[0; 60]].concat()),
        ("nothing", vec![]),
        ("a text alone", b"\"x\"".to_vec()),
        ("a list of lists", nested(1000).into_bytes()),
        ("3 MB of brackets", b"[".repeat(3_000_000)),
        ("10,000 messages that are none", json!({"messages": vec![Value::Null; 10_000], "event": {"type": "messages", "event": "post"}, "channel_id": WHAPI_CHANNEL}).to_string().into_bytes()),
        ("an event of nobody", json!({"event": {"type": "'; --", "event": "FORGED\n"}, "channel_id": WHAPI_CHANNEL}).to_string().into_bytes()),
    ];
    for (name, body) in &cases {
        stage
            .case(name, &["200"], TAKEN, async |s| {
                let bearer = format!("Bearer {WEBHOOK_SECRET}");
                let headers =
                    [("authorization", bearer.as_str()), ("content-type", "application/json")];
                // What is done aside may still move the same tables in the next one.
                post(s, &format!("whapi/{WEBHOOK_TOKEN}"), &headers, body).await
            })
            .await;
    }
    stage.settle().await;
    let database = &stage.world.database;
    let stored =
        async |sql: &str| database.text(&format!("SELECT ({sql})::text")).await.unwrap_or_default();
    // As it was written, for those who show it to escape it.
    assert_eq!(
        stored("SELECT content FROM whatsapp_message WHERE content LIKE '<script>%'").await,
        "<script>alert(1)</script>"
    );
    assert_eq!(
        stored("SELECT content FROM whatsapp_message WHERE content LIKE '%DROP TABLE%'").await,
        sql
    );
    assert_eq!(stored("SELECT count(*) FROM whatsapp_message WHERE id = 9001").await, "1");
    let endless = "SELECT count(*) FROM whatsapp_contact WHERE length(coalesce(name, '')) > 10000 OR length(contact_id) > 300";
    assert_eq!(stored(endless).await, "0", "names and ids have bounds");
    stage.end(44);
}
