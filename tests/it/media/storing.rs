//! Bounds, several daemons, crashes, and what is kept how often.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wabridge_testkit::eventually;

use super::server::{Reply, noise};
use super::{body, event, get, media, stored, try_get, until, world};
use crate::support::World;

#[tokio::test]
async fn too_large_is_cut() {
    let (world, files) = world(&[("WABRIDGE__MEDIA__DOCUMENT_LIMIT_BYTES", "1048576")]).await;
    // It says how large it is, and it does not.
    let told = files.bytes("/link/told", &noise(1_048_577, 1));
    let endless = files.set("/link/endless", Reply::Endless(u64::MAX));
    let fits = files.bytes("/link/fits", &noise(1_048_576, 2));
    for (id, link) in [("m-1", told), ("m-2", endless)] {
        let part = json!({"link": link, "mime_type": "application/pdf"});
        assert_eq!(world.webhook(&event(id, "document", part)).await, 200);
        let row = until(&world, id, "refused", 20).await;
        assert_eq!(row["reason"], "the file is larger than the limit of 1 MiB");
    }
    let part = json!({"link": fits, "mime_type": "application/pdf"});
    assert_eq!(world.webhook(&event("m-3", "document", part)).await, 200);
    until(&world, "m-3", "ready", 20).await;
    // The limit of documents is not that of videos.
    let part =
        json!({"link": files.bytes("/link/video", &noise(1_100_000, 3)), "mime_type": "video/mp4"});
    assert_eq!(world.webhook(&event("m-4", "video", part)).await, 200);
    until(&world, "m-4", "ready", 20).await;
    assert_eq!(stored(&world.daemon.media_directory()).len(), 2, "nothing is left of what was cut");
}

#[tokio::test]
async fn the_same_content_is_kept_once() {
    let (world, files) = world(&[]).await;
    let content = noise(100_000, 5);
    for n in 0..3 {
        let link = files.bytes(&format!("/link/{n}"), &content);
        let name = if n == 0 { json!(null) } else { json!("offer.pdf") };
        let part = json!({"id": format!("d-{n}"), "link": link, "mime_type": "application/pdf", "file_name": name});
        assert_eq!(world.webhook(&event(&format!("m-{n}"), "document", part)).await, 200);
    }
    world.until_count("SELECT count(*) FROM whatsapp_media WHERE state = 'waiting'", 0, 20).await;
    let rows = "SELECT count(*) FROM whatsapp_media";
    world.until_count(rows, 1, 20).await;
    let shown =
        "SELECT count(*) FROM whatsapp_message WHERE media_id = (SELECT id FROM whatsapp_media)";
    assert_eq!(world.database.count(shown).await, 3);
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.media_blob").await, 1);
    assert_eq!(stored(&world.daemon.media_directory()).len(), 1);
    let row = media(&world, "m-2").await;
    assert_eq!(row["filename"], "offer.pdf");
    assert_eq!(body(get(&world.daemon, &row["id"], &[]).await).await, content);
    // The same webhook again changes nothing.
    let part = json!({"id": "d-1", "link": files.bytes("/link/1", b"other"), "mime_type": "application/pdf"});
    assert_eq!(world.webhook(&event("m-1", "document", part)).await, 200);
    assert_eq!(world.database.count(rows).await, 1);
    assert_eq!(files.requests("/link/1").len(), 1);
}

#[tokio::test]
async fn two_daemons_fetch_each_file_once() {
    let shared = tempfile::tempdir().expect("a folder can be made");
    let folder = shared.path().to_str().expect("a plain path").to_owned();
    let environment = [("WABRIDGE__MEDIA__DIRECTORY", folder.as_str())];
    let (world, files) = world(&environment).await;
    let other = world.replica("", &environment).await;
    let contents: Vec<Vec<u8>> = (0..24).map(|n| noise(50_000 + n, n as u64 + 1)).collect();
    for (n, content) in contents.iter().enumerate() {
        let link = files.bytes(&format!("/link/{n}"), content);
        let part = json!({"id": format!("d-{n}"), "link": link, "mime_type": "application/pdf"});
        assert_eq!(world.webhook(&event(&format!("m-{n}"), "document", part)).await, 200);
    }
    world.until_count("SELECT count(*) FROM whatsapp_media WHERE state = 'ready'", 24, 30).await;
    for (n, content) in contents.iter().enumerate() {
        assert_eq!(files.requests(&format!("/link/{n}")).len(), 1, "file {n}");
        let row = media(&world, &format!("m-{n}")).await;
        assert_eq!(&body(get(&other, &row["id"], &[]).await).await, content, "by the other daemon");
    }
    assert_eq!(stored(shared.path()).len(), 24);
}

#[tokio::test]
async fn killed_half_way_it_is_fetched_afterwards() {
    let short = [("WABRIDGE__LIMITS__LEASE_S", "3"), ("WABRIDGE__LIMITS__PROVIDER_TIMEOUT_S", "2")];
    let (mut world, files) = world(&short).await;
    let content = noise(3_000_000, 11);
    let link = files.set("/link/slow", Reply::Stalls(Arc::new(content.clone())));
    let part = json!({"link": link, "mime_type": "application/pdf"});
    assert_eq!(world.webhook(&event("m-1", "document", part)).await, 200);
    eventually("half of it is being written", 20, async || {
        (files.requests("/link/slow").len() == 1
            && stored(&world.daemon.media_directory()).iter().any(|(_, b)| b.len() > 500_000))
        .then_some(())
    })
    .await;
    world.daemon.kill();
    assert_eq!(media(&world, "m-1").await["state"], "waiting");
    files.bytes("/link/slow", &content);
    world.daemon.run();
    world.daemon.wait_ready().await;
    let row = until(&world, "m-1", "ready", 30).await;
    assert_eq!(body(get(&world.daemon, &row["id"], &[]).await).await, content);
    assert_eq!(files.requests("/link/slow").len(), 2);
}

/// A lease that is renewed: a slow file is not taken away from who fetches it.
#[tokio::test]
async fn a_slow_file_outlasts_its_lease() {
    let short = [("WABRIDGE__LIMITS__LEASE_S", "3"), ("WABRIDGE__LIMITS__PROVIDER_TIMEOUT_S", "2")];
    let (world, files) = world(&short).await;
    let content = noise(1_000_000, 12);
    let link = files.set("/link/slow", Reply::Stalls(Arc::new(content.clone())));
    let part = json!({"link": link, "mime_type": "application/pdf"});
    assert_eq!(world.webhook(&event("m-1", "document", part)).await, 200);
    eventually("it is asked for", 20, async || {
        (files.requests("/link/slow").len() == 1).then_some(())
    })
    .await;
    // Twice the lease.
    tokio::time::sleep(Duration::from_secs(6)).await;
    files.release();
    until(&world, "m-1", "ready", 20).await;
    assert_eq!(files.requests("/link/slow").len(), 1);
}

#[tokio::test]
async fn large_files_need_no_memory() {
    let (world, files) = world(&[("WABRIDGE__MEDIA__VIDEO_LIMIT_BYTES", "300000000")]).await;
    let size = 200 * 1024 * 1024;
    let before = resident_kib(&world);
    let link = files.set("/link/large", Reply::Endless(size));
    let part = json!({"link": link, "mime_type": "video/mp4"});
    assert_eq!(world.webhook(&event("m-1", "video", part)).await, 200);
    let mut most = before;
    let row = eventually("the file is here", 120, async || {
        most = most.max(resident_kib(&world));
        let row = media(&world, "m-1").await;
        (row["state"] == "ready").then_some(row)
    })
    .await;
    assert_eq!(row["size"], size);
    let mut answer = get(&world.daemon, &row["id"], &[]).await;
    let mut came = 0;
    while let Some(chunk) = answer.chunk().await.expect("it comes") {
        came += chunk.len() as u64;
        if came % (16 << 20) < chunk.len() as u64 {
            most = most.max(resident_kib(&world));
        }
    }
    assert_eq!(came, size);
    assert!(most < before + 64 * 1024, "{before} KiB before, {most} KiB with a file of 200 MiB");
}

fn resident_kib(world: &World) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", world.daemon.pid())).unwrap_or_default();
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?.trim().trim_end_matches(" kB").trim().parse().ok()
        })
        .unwrap_or_else(|| panic!("no VmRSS: {status}"))
}

/// A few hundred bytes that claim to be a picture of gigabytes.
#[tokio::test]
async fn a_picture_that_claims_gigabytes_has_no_thumbnail() {
    let (world, files) = world(&[]).await;
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xea\x60\0\0\xea\x60\x08\x02\0\0\0".to_vec();
    png.extend(crc32(&png[12..29]).to_be_bytes());
    png.extend(b"\0\0\0\x0cIDATx\x9cc`\0\0\0\x01\0\x01\0\0\0\0\0\0\0\0IEND\xaeB`\x82");
    let before = resident_kib(&world);
    let part = json!({"link": files.bytes("/link/bomb", &png), "mime_type": "image/png"});
    assert_eq!(world.webhook(&event("m-1", "image", part)).await, 200);
    let row = until(&world, "m-1", "ready", 20).await;
    assert_eq!((&row["width"], &row["has_thumbnail"]), (&json!(60_000), &json!(false)));
    assert!(resident_kib(&world) < before + 64 * 1024);
    assert_eq!(body(get(&world.daemon, &row["id"], &[]).await).await, png);
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

/// A store that lost its file: told as such, and fetched again.
#[tokio::test]
async fn a_lost_blob_is_fetched_again() {
    let (world, files) = world(&[]).await;
    let content = noise(70_000, 21);
    files.bytes("/media/d-1", &content);
    let part = json!({"id": "d-1", "mime_type": "application/pdf"});
    assert_eq!(world.webhook(&event("m-1", "document", part)).await, 200);
    let row = until(&world, "m-1", "ready", 20).await;
    for (path, _) in stored(&world.daemon.media_directory()) {
        std::fs::remove_file(path).expect("it can be removed");
    }
    assert_eq!(get(&world.daemon, &row["id"], &[]).await.status(), 404);
    let params = json!({"uid": crate::support::world::USER, "media_id": row["id"]});
    world.daemon.call("media.fetch_again", params).await;
    let row = until(&world, "m-1", "ready", 20).await;
    assert_eq!(body(get(&world.daemon, &row["id"], &[]).await).await, content);
    // Changed on disk: nothing of it is shown.
    for (path, mut bytes) in stored(&world.daemon.media_directory()) {
        bytes[100] ^= 1;
        std::fs::write(path, bytes).expect("it can be written");
    }
    // Before or after its head is out, as it happens.
    let whole = match try_get(&world.daemon, &row["id"], &[]).await {
        Ok(answer) => answer.bytes().await,
        Err(broken) => Err(broken),
    };
    assert!(whole.is_err(), "the answer breaks off");
}
