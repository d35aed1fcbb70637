//! Files of Odoo's transactions (`whatsapp_media_upload`): committed means sent, and nothing is left over.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use wabridge_testkit::eventually;

use super::Hold;
use crate::sending::{META_NUMBER, meta_prepared};
use crate::support::World;

const CONTENT: &[u8] = b"%PDF-1.7 an offer that is handed over inside a transaction";
/// What the collector of files thinks old.
const OLD: Duration = Duration::from_secs(2 * 86_400);

/// What a transaction of Odoo commits to send a file.
async fn committed(world: &World) -> i64 {
    let odoo = world.database.odoo().await;
    odoo.batch_execute("BEGIN").await.expect("Odoo begins");
    let message = "INSERT INTO whatsapp_message (configuration_id, provider, direction, from_me, origin, message_type,
            timestamp, queued_at, user_id, request_id, status, create_uid, create_date, write_uid, write_date)
        VALUES (1, 'meta', 'outbound', true, 'odoo', 'document', date_trunc('second', now() AT TIME ZONE 'UTC'),
            date_trunc('second', now() AT TIME ZONE 'UTC'), 5, gen_random_uuid()::text, 'queued', 5,
            now() AT TIME ZONE 'UTC', 5, now() AT TIME ZONE 'UTC')
        RETURNING id";
    let id: i32 = odoo.query_one(message, &[]).await.expect("Odoo may insert messages").get(0);
    let upload = "INSERT INTO whatsapp_media_upload (message_id, filename, mimetype, data,
            create_uid, create_date, write_uid, write_date)
        VALUES ($1, 'offer.pdf', 'application/pdf', $2, 5, now() AT TIME ZONE 'UTC', 5, now() AT TIME ZONE 'UTC')
        RETURNING id";
    let data = STANDARD.encode(CONTENT).into_bytes();
    let file: i32 =
        odoo.query_one(upload, &[&id, &data]).await.expect("Odoo may hand files over").get(0);
    let request = json!({"type": "document", "media": {"upload": file, "caption": "Our offer"}});
    let row = "INSERT INTO whatsapp_outbox_in (message_id, configuration_id, recipient, request,
            create_uid, create_date, write_uid, write_date)
        VALUES ($1, 1, '+447700900804', $2, 5, now() AT TIME ZONE 'UTC', 5, now() AT TIME ZONE 'UTC')";
    odoo.execute(row, &[&id, &request.to_string()]).await.expect("Odoo may queue");
    odoo.batch_execute("COMMIT; NOTIFY wabridge").await.expect("Odoo commits");
    i64::from(id)
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return vec![] };
    let entries = entries.map(|entry| entry.expect("it can be listed").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn killed_between_keeping_the_file_and_taking_the_row() {
    let hold = Hold::new();
    let mut world = meta_prepared(&[("WABRIDGE_FAILPOINTS", &hold.at("adopt.file_kept"))]).await;
    hold.close();
    world.daemon.run();
    world.daemon.wait_ready().await;
    let id = committed(&world).await;
    hold.reached().await;
    world.daemon.kill();
    hold.open();
    // What was committed is all still there; a file lies in the store that no row knows.
    for table in ["whatsapp_outbox_in", "whatsapp_media_upload"] {
        assert_eq!(world.database.count(&format!("SELECT count(*) FROM {table}")).await, 1);
    }
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.media_blob").await, 0);
    let left = files(&world.daemon.media_directory());
    let [orphan] = left.as_slice() else { panic!("{left:?}") };
    let file = std::fs::File::options().append(true).open(orphan).expect("it can be opened");
    let written = file.metadata().and_then(|file| file.modified()).expect("it has a time");
    file.set_modified(written - OLD).expect("its time can be set");

    world.daemon.run();
    world.daemon.wait_ready().await;
    world.until_status(id, &["pending", "sent"], 20).await;
    world.until_quiet(10).await;
    for (path, calls) in [("media", 1), ("messages", 1)] {
        let path = format!("/v23.0/{META_NUMBER}/{path}");
        assert_eq!(world.simulator.requests(&path).await.len(), calls, "{path}");
    }
    for (table, rows) in [
        ("whatsapp_outbox_in", 0),
        ("whatsapp_media_upload", 0),
        ("whatsapp_media", 1),
        ("wabridge.media_blob", 1),
        ("whatsapp_message", 1),
    ] {
        let count = format!("SELECT count(*) FROM {table}");
        assert_eq!(world.database.count(&count).await, rows, "{table}");
    }
    let kept = format!(
        "SELECT b.location FROM wabridge.media_blob b JOIN whatsapp_media m ON m.checksum = b.checksum
         JOIN whatsapp_message g ON g.media_id = m.id WHERE g.id = {id}"
    );
    let kept = world.database.text(&kept).await;
    eventually("one file is left, the one that is known", 20, async || {
        let left = files(&world.daemon.media_directory());
        let only = <[PathBuf; 1]>::try_from(left).ok()?;
        kept.as_deref().is_some_and(|kept| only[0].ends_with(kept)).then_some(())
    })
    .await;
}
