//! Files on their way out: what goes in comes out equal at the provider, except images that are too large, which are
//! made to fit; what cannot be made to fit is refused with the limit.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wabridge_domain::clock::SystemClock;
use wabridge_domain::{Clock, Secret};
use wabridge_rpc::sign;
use wabridge_testkit::daemon::{KEY_ID, KEY_SECRET, WHAPI_TOKEN};

use crate::media::server::noise;
use crate::support::World;
use crate::support::world::{USER, client};

const SENT: &[&str] = &["pending", "sent", "delivered", "read", "failed"];

/// `PUT /media`; the row of the file.
async fn put(world: &World, filename: &str, mimetype: &str, content: &[u8]) -> i64 {
    let mimetype = mimetype.replace('/', "%2F").replace('+', "%2B");
    let path = format!("/media?uid={USER}&filename={filename}&mimetype={mimetype}");
    let digest = hex::encode(Sha256::digest(content));
    let (secret, now) = (Secret::new(KEY_SECRET), SystemClock.now().as_second());
    let signed = sign::sign_digest(KEY_ID, &secret, now, &sign::nonce(), "PUT", &path, &digest);
    let answer = client()
        .put(format!("{}{path}", world.daemon.private_url))
        .header("authorization", signed)
        .header("x-content-sha256", digest)
        .body(content.to_vec())
        .send()
        .await
        .expect("the daemon answers");
    let answer: Value = answer.json().await.expect("it answers JSON");
    answer["id"].as_i64().unwrap_or_else(|| panic!("not taken: {answer}"))
}

async fn world() -> World {
    let world = World::prepared("", &[]).await;
    let quick = "UPDATE whatsapp_configuration SET pace_per_second = 0 WHERE id = 1";
    world.database.execute(quick).await;
    let mut world = world;
    world.daemon.run();
    world.daemon.wait_ready().await;
    world
}

fn params(kind: &str, media: i64) -> Value {
    json!({"uid": USER, "to": "+447700900123", "type": kind, "media": {"id": media}})
}

/// Sends a file and gets what the provider was told of it, and its bytes there.
async fn sent(world: &World, kind: &str, media: i64) -> (Value, Vec<u8>) {
    let path = format!("/messages/{kind}");
    let before = world.simulator.requests(&path).await.len();
    let answer = world.daemon.call("message.send", params(kind, media)).await;
    let id = answer["data"]["id"].as_i64().unwrap_or_else(|| panic!("not taken: {answer}"));
    let status = world.until_status(id, SENT, 60).await;
    let why = format!("SELECT error_message FROM whatsapp_message WHERE id = {id}");
    assert_ne!(status, "failed", "{kind}: {:?}", world.database.text(&why).await);
    let call = world.simulator.requests(&path).await.swap_remove(before);
    let body = call["body"].clone();
    let body =
        body.as_str().map_or(body.clone(), |text| serde_json::from_str(text).unwrap_or_default());
    let file = body["media"].as_str().unwrap_or_else(|| panic!("no file: {call}")).to_owned();
    let answer = client()
        .get(format!("{}/media/{file}", world.simulator.url))
        .bearer_auth(WHAPI_TOKEN)
        .send()
        .await
        .expect("the simulator answers");
    assert_eq!(answer.status(), 200, "{file}");
    (body, answer.bytes().await.expect("the whole file").to_vec())
}

async fn refused(world: &World, kind: &str, media: i64) -> (i64, String) {
    let answer = world.daemon.rpc("message.send", params(kind, media)).await;
    let error = &answer["error"];
    let code = error["code"].as_i64().unwrap_or_else(|| panic!("not refused: {answer}"));
    (code, error["message"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn random_bytes_of_each_type_come_out_equal() {
    let world = world().await;
    for (n, (mimetype, head, size)) in [
        ("application/octet-stream", &b""[..], 1),
        ("application/pdf", b"%PDF-1.7\n", 70_001),
        ("application/zip", b"PK\x03\x04\x14\0\0\0", 65_536),
        (
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            b"PK\x03\x04\x14\0\0\0",
            9_999,
        ),
        ("image/png", b"\x89PNG\r\n\x1a\n", 4_095),
        ("image/jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF\0", 131_073),
        ("image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'/>", 500),
        ("video/mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", 2_000_000),
        ("audio/ogg", b"OggS\0\x02", 30_000),
        ("text/html", b"<!DOCTYPE html><script>1</script>", 600),
        ("application/x-msdownload", b"MZ\x90\0\x03", 8_192),
    ]
    .into_iter()
    .enumerate()
    {
        let content = [head, &noise(size, n as u64 + 3)].concat();
        let media = put(&world, &format!("f{n}.bin"), mimetype, &content).await;
        let (told, came) = sent(&world, "document", media).await;
        assert!(came == content, "{mimetype}: {} bytes became {}", content.len(), came.len());
        assert_eq!(told["filename"], format!("f{n}.bin"), "{mimetype}");
    }
    // A file whose content reads like a call of the provider's own.
    let json = br#"{"media": "https://example.com/x", "n": 1}"#;
    let media = put(&world, "a.json", "application/json", json).await;
    assert_eq!(sent(&world, "document", media).await.1, json);
    let empty = put(&world, "empty.bin", "application/octet-stream", b"").await;
    let (code, message) = refused(&world, "document", empty).await;
    assert!(code == 1102 && message.contains("empty"), "{code} {message}");
}

/// Pixels that do not compress, as they come from a phone: turned, and with the place in it.
fn photo(width: u32, height: u32) -> Vec<u8> {
    let bytes = noise(width as usize * height as usize * 3, 7);
    let picture = RgbImage::from_raw(width, height, bytes).expect("enough pixels");
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, 97);
    DynamicImage::from(picture).write_with_encoder(encoder).expect("a picture");
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0".to_vec();
    exif.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
    exif.extend(b"GPS 51.5007,-0.1246");
    let length = u16::try_from(exif.len() + 2).expect("short").to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[tokio::test]
async fn a_photo_that_is_too_large_is_made_to_fit() {
    let world = world().await;
    let content = photo(2600, 1300);
    assert!(content.len() > 5_000_000, "{}", content.len());
    let media = put(&world, "photo.jpeg", "image/jpeg", &content).await;
    let (told, came) = sent(&world, "image", media).await;
    assert!(came.len() <= 5_000_000, "{}", came.len());
    assert_eq!(told["mime_type"], "image/jpeg");
    let seen = image::load_from_memory_with_format(&came, ImageFormat::Jpeg).expect("a picture");
    assert!(seen.height() > seen.width(), "upright: {} × {}", seen.width(), seen.height());
    assert!(
        !came.windows(4).any(|part| part == b"GPS "),
        "where it was taken is nobody's business"
    );
    // The same file as a document is the same file.
    let (_, came) = sent(&world, "document", media).await;
    assert!(came == content);
    // And again as an image: what lies at the provider is used.
    let uploads = async || {
        let calls = world.simulator.requests("/media").await;
        calls.iter().filter(|call| call["method"] == "POST").count()
    };
    let before = uploads().await;
    sent(&world, "image", media).await;
    assert_eq!(uploads().await, before);
}

#[tokio::test]
async fn what_fits_is_left_alone_and_transparency_stays() {
    let world = world().await;
    let small = photo(600, 400);
    let media = put(&world, "small.jpeg", "image/jpeg", &small).await;
    assert!(sent(&world, "image", media).await.1 == small);
    // Few bytes, but more pixels than phones like.
    let clear =
        RgbaImage::from_fn(6000, 5000, |x, _| Rgba([9, 99, 9, if x < 99 { 0 } else { 255 }]));
    let mut png = Cursor::new(Vec::new());
    DynamicImage::from(clear).write_to(&mut png, ImageFormat::Png).expect("a picture");
    let media = put(&world, "clear.png", "image/png", png.get_ref()).await;
    let (told, came) = sent(&world, "image", media).await;
    assert_eq!(told["mime_type"], "image/png");
    let seen = image::load_from_memory_with_format(&came, ImageFormat::Png).expect("a picture");
    assert!(u64::from(seen.width()) * u64::from(seen.height()) <= 25_000_000);
    assert_eq!(seen.to_rgba8().get_pixel(0, 0).0[3], 0);
}

#[tokio::test]
async fn what_cannot_be_made_to_fit_is_refused_with_the_limit() {
    let world = world().await;
    let film = [&b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"[..], &noise(17 << 20, 5)].concat();
    let film = put(&world, "film.mp4", "video/mp4", &film).await;
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xea\x60\0\0\xea\x60\x08\x02\0\0\0".to_vec();
    bomb.extend(crc32(&bomb[12..29]).to_be_bytes());
    bomb.extend(b"\0\0\0\x0cIDATx\x9cc`\0\0\0\x01\0\x01\0\0\0\0\0\0\0\0IEND\xaeB`\x82");
    let bomb = put(&world, "bomb.png", "image/png", &bomb).await;
    let mut square = Cursor::new(Vec::new());
    let green = DynamicImage::from(RgbImage::from_pixel(512, 512, Rgb([9, 99, 9])));
    green.write_to(&mut square, ImageFormat::Png).expect("a picture");
    let square = put(&world, "s.png", "image/png", square.get_ref()).await;
    let sticker = |side: u32| {
        let mut out = Cursor::new(Vec::new());
        let green = DynamicImage::from(RgbImage::from_pixel(side, side, Rgb([9, 99, 9])));
        green.write_to(&mut out, ImageFormat::WebP).expect("a picture");
        out.into_inner()
    };
    let tiny = put(&world, "s.webp", "image/webp", &sticker(128)).await;
    for (kind, media, code, word) in [
        ("video", film, 1103, "at most 16 MiB"),
        ("image", bomb, 1103, "60000 × 60000"),
        ("sticker", square, 1104, "512 × 512"),
        ("sticker", tiny, 1104, "128 × 128"),
    ] {
        let (got, message) = refused(&world, kind, media).await;
        assert!(got == code && message.contains(word), "{kind}: {got} {message}");
    }
    // Nothing is wrong with the film as a document, and a sticker of the right size is one.
    sent(&world, "document", film).await;
    let right = sticker(512);
    let media = put(&world, "right.webp", "image/webp", &right).await;
    assert!(sent(&world, "sticker", media).await.1 == right);
    // What says that it is a picture and is none fails with its reason.
    let broken = [&b"\xff\xd8\xff\xe0\0\x10JFIF\0"[..], &noise(6_000_000, 2)].concat();
    let broken = put(&world, "broken.jpeg", "image/jpeg", &broken).await;
    let answer = world.daemon.call("message.send", params("image", broken)).await;
    let id = answer["data"]["id"].as_i64().expect("a row");
    world.until_status(id, &["failed"], 60).await;
    let why =
        format!("SELECT error_code || ': ' || error_message FROM whatsapp_message WHERE id = {id}");
    let why = world.database.text(&why).await.unwrap_or_default();
    assert!(why.starts_with("invalid_content: the picture is broken"), "{why}");
}

/// As the daemon's memory stands, KiB.
fn resident_kib(world: &World) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", world.daemon.pid())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok())
        .unwrap_or_else(|| panic!("no VmHWM: {status}"))
}

#[tokio::test]
async fn large_documents_need_no_memory() {
    let world = world().await;
    let content = noise(90 << 20, 11);
    let before = resident_kib(&world);
    let media = put(&world, "large.bin", "application/octet-stream", &content).await;
    let (_, came) = sent(&world, "document", media).await;
    assert!(came == content, "{} bytes became {}", content.len(), came.len());
    let most = resident_kib(&world);
    assert!(most < before + 64 * 1024, "{before} KiB before, {most} KiB with a file of 90 MiB");
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}
