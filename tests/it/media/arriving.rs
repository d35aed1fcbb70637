//! From the webhook to the bytes in Odoo's hands.

use std::io::Cursor;

use serde_json::json;
use wabridge_testkit::daemon::WHAPI_TOKEN;

use super::server::{Reply, noise};
use super::{body, event, get, media, stored, until, world};
use crate::support::world::{ADMIN, USER};

fn png(width: u32, height: u32) -> Vec<u8> {
    let picture = image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([
            u8::try_from(x % 256).expect("the test made it so"),
            u8::try_from(y % 256).expect("the test made it so"),
            90,
        ])
    });
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, image::ImageFormat::Png).expect("the test made it so");
    out.into_inner()
}

#[tokio::test]
async fn what_comes_in_goes_out() {
    let (world, files) = world(&[]).await;
    let canary = "canary-of-the-file-9917 ".repeat(9000);
    let text = files.bytes("/link/text", canary.as_bytes());
    let picture = png(800, 400);
    let link = files.bytes("/link/picture", &picture);
    let part = json!({"id": "txt-1", "link": text, "mime_type": "text/plain", "file_name": "../../offer\u{7}.txt"});
    assert_eq!(world.webhook(&event("m-text", "document", part)).await, 200);
    // Said to be something else than it is.
    let part = json!({"id": "png-1", "link": link, "mime_type": "image/jpeg", "caption": "Look"});
    assert_eq!(world.webhook(&event("m-picture", "image", part)).await, 200);

    let row = until(&world, "m-text", "ready", 20).await;
    assert_eq!(row["filename"], "offer.txt");
    assert_eq!(row["mimetype"], "text/plain");
    assert_eq!(row["size"], canary.len());
    let answer = get(&world.daemon, &row["id"], &[]).await;
    assert_eq!(answer.status(), 200);
    let header = |answer: &reqwest::Response, name: &str| {
        answer
            .headers()
            .get(name)
            .map(|v| v.to_str().expect("the test made it so").to_owned())
            .unwrap_or_default()
    };
    assert_eq!(
        header(&answer, "content-disposition"),
        "attachment; filename=\"offer.txt\"; filename*=UTF-8''offer.txt"
    );
    assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
    assert!(header(&answer, "content-security-policy").contains("sandbox"));
    let etag = header(&answer, "etag");
    assert_eq!(etag, format!("\"{}\"", row["checksum"].as_str().expect("the test made it so")));
    assert_eq!(body(answer).await, canary.as_bytes());

    // Ranges across chunks.
    let size = canary.len();
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=65530-65545", 65_530, 65_546),
        ("bytes=100-200000", 100, 200_001),
        ("bytes=-7", size - 7, size),
        ("bytes=215990-", 215_990, size),
    ] {
        let answer = get(&world.daemon, &row["id"], &[("range", range)]).await;
        assert_eq!(answer.status(), 206, "{range}");
        assert_eq!(header(&answer, "content-range"), format!("bytes {from}-{}/{size}", to - 1));
        assert_eq!(body(answer).await, &canary.as_bytes()[from..to], "{range}");
    }
    let beyond = get(&world.daemon, &row["id"], &[("range", "bytes=9999999-")]).await;
    assert_eq!(beyond.status(), 416);
    assert_eq!(header(&beyond, "content-range"), format!("bytes */{size}"));
    let other = [("range", "bytes=0-9"), ("if-range", "\"another\"")];
    assert_eq!(get(&world.daemon, &row["id"], &other).await.status(), 200);
    let same = [("range", "bytes=0-9"), ("if-range", etag.as_str())];
    assert_eq!(get(&world.daemon, &row["id"], &same).await.status(), 206);
    let known = [("if-none-match", etag.as_str())];
    assert_eq!(get(&world.daemon, &row["id"], &known).await.status(), 304);

    let row = until(&world, "m-picture", "ready", 20).await;
    assert_eq!(row["mimetype"], "image/png", "by its bytes");
    assert_eq!((&row["width"], &row["height"]), (&json!(800), &json!(400)));
    let thumbnail = world
        .database
        .text(&format!(
            "SELECT convert_from(thumbnail, 'UTF8') FROM whatsapp_media WHERE id = {}",
            row["id"]
        ))
        .await
        .expect("there is one");
    assert!(thumbnail.starts_with("/9j/"), "a JPEG in base64, as Odoo keeps it");
    let answer = get(&world.daemon, &row["id"], &[]).await;
    assert_eq!(header(&answer, "content-disposition"), "inline");
    assert_eq!(body(answer).await, picture);

    // On disk: nothing that can be read.
    let blobs = stored(&world.daemon.media_directory());
    assert_eq!(blobs.len(), 2);
    for (path, bytes) in blobs {
        assert!(bytes.starts_with(b"wabridge-media-1"), "{}", path.display());
        for plain in [&b"canary-of-the-file"[..], b"IHDR", b"offer.txt"] {
            assert!(!bytes.windows(plain.len()).any(|w| w == plain), "{}", path.display());
        }
    }
    // The screens of everybody who may see the account read again once the files were there.
    let hinted = "SELECT least(count(*), 2) FROM bus_bus WHERE message LIKE '%whatsapp.media%'";
    world.until_count(hinted, 2, 10).await;
}

#[tokio::test]
async fn an_expired_link_is_renewed_by_the_id() {
    let (world, files) = world(&[]).await;
    let content = noise(300_000, 3);
    let link = files.set("/link/old", Reply::Status(404));
    files.bytes("/media/doc-7", &content);
    let part =
        json!({"id": "doc-7", "link": link, "mime_type": "application/zip", "file_name": "a.bin"});
    assert_eq!(world.webhook(&event("m-1", "document", part)).await, 200);
    let row = until(&world, "m-1", "ready", 20).await;
    assert_eq!(body(get(&world.daemon, &row["id"], &[]).await).await, content);
    assert_eq!(row["mimetype"], "application/octet-stream", "it is no ZIP");
    assert_eq!(files.requests("/link/old"), [None], "a link gets no token");
    assert_eq!(files.requests("/media/doc-7"), [Some(format!("Bearer {WHAPI_TOKEN}"))]);
}

#[tokio::test]
async fn a_file_that_is_gone_fails_and_can_be_fetched_again() {
    let (world, files) = world(&[]).await;
    let link = files.set("/link/gone", Reply::Status(410));
    files.set("/media/doc-8", Reply::Status(404));
    let part =
        json!({"id": "doc-8", "link": link, "mime_type": "application/pdf", "file_name": "a.pdf"});
    assert_eq!(world.webhook(&event("m-1", "document", part)).await, 200);
    let row = until(&world, "m-1", "failed", 20).await;
    assert!(row["reason"].as_str().is_some_and(|r| r.contains("does not keep this file")), "{row}");
    assert_eq!(get(&world.daemon, &row["id"], &[]).await.status(), 404);

    files.bytes("/media/doc-8", b"%PDF-1.7 here it is again");
    // Somebody who may not use the account learns nothing.
    let params = json!({"uid": 6, "media_id": row["id"]});
    let refused = world.daemon.rpc("media.fetch_again", params).await;
    assert!(refused["error"]["code"].as_i64().is_some_and(|c| c == 1001 || c == 1504), "{refused}");
    let params = json!({"uid": USER, "media_id": row["id"]});
    let answer = world.daemon.call("media.fetch_again", params).await;
    assert_eq!(answer["data"], json!({"id": row["id"], "state": "waiting"}));
    let row = until(&world, "m-1", "ready", 20).await;
    assert_eq!(row["reason"], json!(null));
    assert_eq!(row["mimetype"], "application/pdf");
    let missing =
        world.daemon.rpc("media.fetch_again", json!({"uid": ADMIN, "media_id": 999_999})).await;
    assert_eq!(missing["error"]["code"], 1504);
}

/// A server that is down is asked again, later and by the id.
#[tokio::test]
async fn trouble_is_tried_again() {
    let (world, files) = world(&[("WABRIDGE__MEDIA__RETRY_S", "1")]).await;
    let link = files.set("/link/busy", Reply::Status(500));
    files.bytes("/media/doc-9", b"%PDF-1.7 second try");
    let part = json!({"id": "doc-9", "link": link, "mime_type": "application/pdf"});
    assert_eq!(world.webhook(&event("m-1", "document", part)).await, 200);
    until(&world, "m-1", "ready", 30).await;
    assert_eq!((files.requests("/link/busy").len(), files.requests("/media/doc-9").len()), (1, 1));
    assert_eq!(media(&world, "m-1").await["reason"], json!(null));
}
