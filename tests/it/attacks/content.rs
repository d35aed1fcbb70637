//! Files and links, and what a provider answers: types are told by the bytes, names are names, links lead to public
//! places, words of others stay words.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wabridge_testkit::daemon::KEY_ID;

use super::{Http, Stage};
use crate::media::server::Reply;
use crate::support::world::{USER, text_params};

const PEER: &str = "+447700900123";

fn file(kind: &str, media: Value) -> Value {
    json!({"uid": USER, "configuration_id": 1, "to": PEER, "type": kind, "media": media})
}

fn bytes(bytes: &[u8]) -> Value {
    json!({"base64": STANDARD.encode(bytes)})
}

fn named(name: &str) -> Value {
    json!({"base64": STANDARD.encode(b"%PDF-1.7"), "filename": name})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_to_be_sent() {
    let mut stage = Stage::start("files", &[]).await;
    stage.files.bytes("/secret", b"%PDF-1.7 internal");
    let port = stage.files.port;
    let away = stage.files.set("/away", Reply::Redirect(format!("http://127.0.0.2:{port}/secret")));
    let relay = stage.files.set("/relay", Reply::Redirect("/away".to_owned()));
    let elsewhere = stage.files.set("/file", Reply::Redirect("file:///etc/passwd".to_owned()));
    let circle = stage.files.set("/circle", Reply::Redirect("/circle".to_owned()));
    let link = |url: &str| json!({"url": url});
    // A PNG that says it has 2^31 by 2^31 pixels.
    let huge = [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        &[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 8, 6, 0, 0, 0][..],
        &[0; 32],
    ]
    .concat();
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    let cases: Vec<(&str, Value, &[&str])> = vec![
        ("an SVG with a script as a picture", file("image", bytes(svg)), &["1104"]),
        (
            "an SVG that says it is a PNG",
            file(
                "image",
                json!({"base64": STANDARD.encode(svg), "mimetype": "image/png", "filename": "a.png"}),
            ),
            &["1104"],
        ),
        (
            "HTML as a picture",
            file("image", bytes(b"<html><script>alert(1)</script></html>")),
            &["1104"],
        ),
        (
            "a PDF that is a page as well, as a picture",
            file("image", bytes(b"%PDF-1.7 <script>alert(1)</script>")),
            &["1104"],
        ),
        ("a ZIP as a picture", file("image", bytes(b"PK\x03\x04 not a picture")), &["1104"]),
        ("a program as a film", file("video", bytes(b"MZ\x90\0 this program")), &["1104"]),
        (
            "a picture of 2^31 pixels each way",
            file("sticker", bytes(&huge)),
            &["1104", "1105", "1102"],
        ),
        (
            "a file that is no base64",
            file("document", json!({"base64": "../../etc/passwd"})),
            &["1102"],
        ),
        ("a file of nothing", file("document", json!({})), &["1102"]),
        (
            "a file by two ways",
            file("document", json!({"base64": "AAAA", "url": "https://example.com/a"})),
            &["1102"],
        ),
        ("file 0", file("document", json!({"id": 0})), &["1102"]),
        ("file -1", file("document", json!({"id": -1})), &["1102"]),
        ("file 2^31", file("document", json!({"id": 2_147_483_648_i64})), &["-32602"]),
        ("a name with a folder", file("document", named("../../etc/passwd")), &["1102"]),
        ("a name with a backslash", file("document", named("..\\..\\boot.ini")), &["1102"]),
        ("a name of two lines", file("document", named("a.pdf\r\nX-Evil: 1")), &["1102"]),
        ("a name with a NUL", file("document", named("a.pdf\u{0}.exe")), &["1102"]),
        ("a name of 100 kB", file("document", named(&"n".repeat(100_000))), &["1102"]),
        (
            "a caption with a NUL",
            file("document", json!({"base64": STANDARD.encode(b"%PDF-1.7"), "caption": "\u{0}"})),
            &["1102"],
        ),
        (
            "a caption of 100 kB",
            file(
                "document",
                json!({"base64": STANDARD.encode(b"%PDF-1.7"), "caption": "c".repeat(100_000)}),
            ),
            &["1102"],
        ),
        (
            "a link to loopback",
            file("document", link(&format!("http://127.0.0.2:{port}/secret"))),
            &["1102"],
        ),
        (
            "a link to loopback, in hexadecimal",
            file("document", link(&format!("http://0x7f000002:{port}/secret"))),
            &["1102"],
        ),
        (
            "a link to loopback, in one number",
            file("document", link(&format!("http://2130706434:{port}/secret"))),
            &["1102"],
        ),
        (
            "a link to IPv4 in IPv6",
            file("document", link(&format!("http://[::ffff:127.0.0.2]:{port}/secret"))),
            &["1102"],
        ),
        (
            "a name that leads to loopback",
            file("document", link(&format!("http://localhost:{port}/secret"))),
            &["1102"],
        ),
        (
            "the metadata service",
            file("document", link("http://169.254.169.254/latest/meta-data/")),
            &["1102"],
        ),
        ("a private network", file("document", link("http://10.0.0.1/")), &["1102"]),
        ("a redirect to loopback", file("document", link(&away)), &["1102"]),
        ("two redirects to loopback", file("document", link(&relay)), &["1102"]),
        ("a redirect to a local file", file("document", link(&elsewhere)), &["1102"]),
        ("a redirect in circles", file("document", link(&circle)), &["1102", "1301"]),
        ("a local file", file("document", link("file:///etc/passwd")), &["1102"]),
        ("another scheme", file("document", link("gopher://127.0.0.1:6379/_FLUSHALL")), &["1102"]),
        (
            "a link with a password",
            file("document", link(&format!("http://user:pass@127.0.0.1:{port}/secret"))),
            &["1102"],
        ),
        (
            "a link with a line break",
            file("document", link(&format!("http://127.0.0.2:{port}/secret\r\nX-Evil: 1"))),
            &["1102"],
        ),
        (
            "a link of 10 kB",
            file("document", link(&format!("http://example.com/{}", "l".repeat(10_000)))),
            &["1102"],
        ),
    ];
    for (name, params, wanted) in &cases {
        stage.case(name, wanted, &[], async |s| s.call("message.send", params.clone()).await).await;
    }
    assert_eq!(stage.files.requests("/secret").len(), 0, "nobody was asked for it");
    stage.end(36);
}

/// `PUT /media`, its status.
async fn put(stage: &Stage, path: &str, claimed: &str, body: &[u8]) -> String {
    use wabridge_domain::{Clock, Secret, clock::SystemClock};
    use wabridge_rpc::sign;
    let (now, secret) =
        (SystemClock.now().as_second(), Secret::new(wabridge_testkit::daemon::KEY_SECRET));
    let header = sign::sign_digest(KEY_ID, &secret, now, &sign::nonce(), "PUT", path, claimed);
    let answer = stage.world.daemon.http.put(format!("{}{path}", stage.world.daemon.private_url));
    let answer = answer
        .header("authorization", header)
        .header("x-content-sha256", claimed)
        .body(body.to_vec());
    answer.send().await.expect("the daemon answers").status().as_u16().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_handed_over() {
    use sha2::{Digest, Sha256};
    let mut stage = Stage::start("uploads", &[]).await;
    let content = b"%PDF-1.7 handed over";
    let hash = hex::encode(Sha256::digest(content));
    for (name, path, claimed, wanted) in [
        ("for a user who may not", "/media?uid=6".to_owned(), hash.clone(), "403"),
        (
            "for the account of another company",
            "/media?uid=5&configuration_id=2".to_owned(),
            hash.clone(),
            "403",
        ),
        ("for two users", "/media?uid=6&uid=5".to_owned(), hash.clone(), "400"),
        ("for nobody", "/media".to_owned(), hash.clone(), "400"),
        ("for user 2^31", "/media?uid=2147483648".to_owned(), hash.clone(), "400"),
        (
            "other bytes than were signed",
            "/media?uid=5".to_owned(),
            hex::encode(Sha256::digest(b"x")),
            "400",
        ),
        ("a hash in capitals", "/media?uid=5".to_owned(), hash.to_uppercase(), "401"),
        ("a hash that is short", "/media?uid=5".to_owned(), hash[..40].to_owned(), "401"),
        ("no hash", "/media?uid=5".to_owned(), "UNSIGNED-PAYLOAD".to_owned(), "401"),
    ] {
        stage.case(name, &[wanted], &[], async |s| put(s, &path, &claimed, content).await).await;
    }
    let kept = &["public.whatsapp_media", "wabridge.media_upload", "wabridge.media_blob"];
    let odd = "/media?uid=5&filename=..%2F..%2Fa%0d%0aSet-Cookie:%20x%3d1%E2%80%AEgpj.exe&mimetype=text%2Fhtml%0d%0aX:%201";
    stage
        .case("a name and a type of several lines", &["200"], kept, async |s| {
            put(s, odd, &hash, content).await
        })
        .await;
    let row = "SELECT filename || '|' || mimetype FROM whatsapp_media ORDER BY id DESC LIMIT 1";
    let row = stage.world.database.text(row).await.unwrap_or_default();
    assert!(
        !row.chars().any(char::is_control) && !row.contains('\u{202e}') && !row.contains('/')
            || row.ends_with("application/pdf"),
        "{row:?}"
    );
    let id = stage
        .world
        .database
        .count("SELECT max(id)::int8 FROM whatsapp_media WHERE id <> 9001 AND state = 'ready'")
        .await;
    stage
        .case("a file's name in the head of an answer", &["200"], &[], async |s| {
            let path = format!("/media/{id}?uid=5");
            let header = Http::signed(KEY_ID, "GET", &path, b"");
            let url = format!("{}{path}", s.world.daemon.private_url);
            let answer = s.world.daemon.http.get(url).header("authorization", header).send().await;
            let answer = answer.expect("the daemon answers");
            assert!(answer.headers().get("set-cookie").is_none(), "{:?}", answer.headers());
            assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
            answer.status().as_u16().to_string()
        })
        .await;
    stage.end(11);
}

/// What the provider answers goes into rows and answers as one line of text, and into no log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_a_provider() {
    let mut stage = Stage::start("answers", &[]).await;
    let sent = &[
        "public.whatsapp_message",
        "public.whatsapp_chat",
        "public.whatsapp_contact",
        "public.whatsapp_event",
        "public.bus_bus",
        "wabridge.outbox",
        "wabridge.lane",
        "wabridge.attempt",
        "wabridge.decision",
        "wabridge.identity",
        "wabridge.journal",
        "wabridge.journal_pending",
        "wabridge.notice",
        "wabridge.contact_fact",
        "wabridge.retried",
        "public.whatsapp_account_state",
    ];
    let message = "no\n2026-01-01T00:00:00.000000Z ERROR FORGED\u{1b}[31m\u{0}'; DROP TABLE whatsapp_message; --<b>";
    for (name, status, body) in [
        (
            "a refusal of two log lines",
            400,
            json!({"error": {"code": 400, "message": message, "details": message}}),
        ),
        (
            "a refusal of 1 MB",
            400,
            json!({"error": {"code": 400, "message": "m".repeat(1_000_000)}}),
        ),
        ("a refusal that is no JSON", 400, json!("<html>\nFORGED")),
        ("a success that is none", 200, json!({"sent": message})),
        (
            "a success with an id of two lines",
            200,
            json!({"sent": true, "message": {"id": "x\nFORGED", "status": "sent"}}),
        ),
    ] {
        let fault =
            json!({"operation": "message.send", "status": status, "times": 1, "body": body});
        stage.world.fault(fault).await;
        stage
            .case(name, &["0"], sent, async |s| {
                let answer = s.world.daemon.rpc("message.send", text_params(PEER, "hi")).await;
                let id = answer["result"]["data"]["id"].as_i64().expect("it is queued");
                s.world
                    .until_status(
                        id,
                        &["failed", "uncertain", "sent", "pending", "delivered", "read"],
                        30,
                    )
                    .await;
                crate::support::tables::settled(&s.world.database).await;
                super::stage::code(&answer)
            })
            .await;
    }
    let long = "SELECT coalesce(max(length(error_message)), 0) FROM whatsapp_message";
    assert!(stage.world.database.count(long).await <= 5000, "words of providers have a bound");
    stage.end(5);
}
