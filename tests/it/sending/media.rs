//! Files that come along with a call: their bytes, or a link.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{META_NUMBER, file, meta, refused, taken};
use crate::media::server::{Files, Reply, noise};
use crate::support::World;

/// A picture of one pixel.
pub const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";

async fn uploads(world: &World) -> usize {
    world.simulator.requests(&format!("/v23.0/{META_NUMBER}/media")).await.len()
}

async fn row(world: &World, id: i64) -> Value {
    let sql = format!(
        "SELECT row_to_json(x)::text FROM (
            SELECT m.filename, m.mimetype, m.size, m.state, g.caption FROM whatsapp_message g
            JOIN whatsapp_media m ON m.id = g.media_id WHERE g.id = {id}) x"
    );
    let text = world.database.text(&sql).await.unwrap_or_else(|| "null".to_owned());
    serde_json::from_str(&text).expect("the database makes JSON")
}

#[tokio::test]
async fn bytes_in_the_call() {
    let world = meta(&[]).await;
    let media = json!({"base64": STANDARD.encode(PNG), "filename": "dot.png", "mimetype": "image/jpeg", "caption": "a dot"});
    let mut params = file("image", media);
    params["idempotency_key"] = json!("dot");
    let id = taken(&world, params.clone()).await;
    world.until_status(id, &["pending", "sent", "delivered", "read"], 20).await;
    let wanted = json!({"filename": "dot.png", "mimetype": "image/png", "size": PNG.len(), "state": "ready", "caption": "a dot"});
    assert_eq!(row(&world, id).await, wanted);
    // The same bytes with the same key are the same message, other bytes are not.
    assert_eq!(taken(&world, params.clone()).await, id);
    params["media"]["base64"] = json!(STANDARD.encode([PNG, b"more"].concat()));
    assert_eq!(refused(&world, "message.send", params).await.0, 1108);
    // The same content again is one blob, and lies at the provider once.
    let again = taken(&world, file("document", json!({"base64": STANDARD.encode(PNG)}))).await;
    world.until_status(again, &["pending", "sent", "delivered", "read"], 20).await;
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.media_blob").await, 1);
    assert_eq!(uploads(&world).await, 1);
}

#[tokio::test]
async fn a_link_is_followed_before_the_answer() {
    let world = meta(&[]).await;
    let files = Files::start().await;
    let content = noise(700_000, 4);
    let link = files.bytes("/offers/offer.bin", &content);
    let mut params = file("document", json!({"url": link}));
    params["idempotency_key"] = json!("offer");
    let id = taken(&world, params.clone()).await;
    let kept = row(&world, id).await;
    assert_eq!((&kept["filename"], &kept["size"]), (&json!("offer.bin"), &json!(content.len())));
    world.until_status(id, &["pending", "sent", "delivered", "read"], 20).await;
    // A repetition asks nobody again.
    assert_eq!(taken(&world, params).await, id);
    assert_eq!(files.requests("/offers/offer.bin"), [None], "asked once, and without a token");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_stores_nothing() {
    let world = meta(&[("WABRIDGE__MEDIA__IMAGE_LIMIT_BYTES", "2097152")]).await;
    let files = Files::start().await;
    let port = files.port;
    files.bytes("/secret", PNG);
    for (media, kind, code, words) in [
        (json!({"url": files.set("/large", Reply::Endless(4_000_000))}), "image", 1103, "2 MiB"),
        (json!({"url": files.bytes("/a.pdf", b"%PDF-1.7 x")}), "image", 1104, "application/pdf"),
        (json!({"base64": STANDARD.encode(b"%PDF-1.7 x")}), "video", 1104, "application/pdf"),
        (json!({"url": files.set("/gone", Reply::Status(404))}), "image", 1102, "404"),
        (json!({"url": files.set("/busy", Reply::Status(503))}), "image", 1301, "media.url"),
        (json!({"url": format!("http://127.0.0.2:{port}/secret")}), "image", 1102, "not public"),
        (json!({"url": format!("http://localhost:{port}/secret")}), "image", 1102, "not public"),
        (json!({"url": "file:///etc/passwd"}), "image", 1102, "http(s)"),
        (json!({"base64": "***"}), "image", 1102, "base64"),
        (json!({"base64": "aGk=", "url": "https://example.com/"}), "image", 1102, "exactly one"),
        (json!({}), "image", 1102, "exactly one"),
        (json!({"id": 0}), "image", 1102, "exactly one"),
        (json!({"id": 99}), "image", 1504, "99"),
    ] {
        let (got, message) = refused(&world, "message.send", file(kind, media.clone())).await;
        assert_eq!(got, code, "{media}: {message}");
        assert!(message.contains(words), "{media}: {message}");
    }
    assert!(files.requests("/secret").is_empty());
    // Who may not use an account has nothing fetched for him.
    let mut stranger = file("image", json!({"url": files.bytes("/dot.png", PNG)}));
    stranger["uid"] = json!(6);
    assert_eq!(refused(&world, "message.send", stranger).await.0, 1001);
    assert!(files.requests("/dot.png").is_empty());
    for table in ["whatsapp_message", "whatsapp_media", "wabridge.media_blob", "wabridge.outbox"] {
        assert_eq!(
            world.database.count(&format!("SELECT count(*) FROM {table}")).await,
            0,
            "{table}"
        );
    }
}
