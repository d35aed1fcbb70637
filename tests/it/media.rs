//! Files of messages: what comes in is what goes out, from allowed addresses only, once, sealed, and again after
//! a crash.

mod arriving;
mod links;
pub mod server;
mod storing;
mod uploads;

use std::path::Path;

use serde_json::{Value, json};
use wabridge_testkit::daemon::{KEY_ID, WHAPI_CHANNEL};
use wabridge_testkit::{Daemon, eventually};

use crate::support::World;
use server::Files;

/// A world whose provider keeps files, too.
async fn world(environment: &[(&str, &str)]) -> (World, Files) {
    let mut world = World::prepared("", environment).await;
    let files = Files::start().await;
    let base = format!("http://127.0.0.1:{}", files.port);
    world
        .database
        .execute(&format!("UPDATE whatsapp_configuration SET base_url = '{base}' WHERE id = 1"))
        .await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    (world, files)
}

/// The webhook of a message with a file: `part` is what WHAPI says of it.
fn event(id: &str, kind: &str, part: Value) -> Value {
    let mut message = json!({
        "id": id, "from_me": false, "type": kind, "chat_id": "447700900123@s.whatsapp.net",
        "timestamp": 1_765_800_001, "source": "mobile", "from": "447700900123", "from_name": "Amira Osei",
    });
    message[kind] = part;
    json!({
        "messages": [message],
        "event": {"type": "messages", "event": "post"},
        "channel_id": WHAPI_CHANNEL,
    })
}

/// A row of `whatsapp_media`, by the message that shows it.
async fn media(world: &World, message_id: &str) -> Value {
    let sql = format!(
        "SELECT row_to_json(x)::text FROM (
            SELECT m.id, m.state, m.reason, m.checksum, m.filename, m.mimetype, m.size, m.width, m.height, m.duration,
                   m.thumbnail IS NOT NULL AS has_thumbnail
            FROM whatsapp_media m JOIN whatsapp_message g ON g.media_id = m.id
            WHERE g.message_id = '{message_id}') x"
    );
    let row = world.database.text(&sql).await.unwrap_or_else(|| "null".to_owned());
    serde_json::from_str(&row).expect("the database makes JSON")
}

/// Waits until the file of a message is in this state.
async fn until(world: &World, message_id: &str, state: &str, seconds: u64) -> Value {
    eventually(&format!("the file of {message_id} is {state}"), seconds, async || {
        let row = media(world, message_id).await;
        (row["state"] == state).then_some(row)
    })
    .await
}

/// `GET /media/<id>`, signed, with further headers.
async fn get(daemon: &Daemon, id: &Value, headers: &[(&str, &str)]) -> reqwest::Response {
    try_get(daemon, id, headers).await.expect("the daemon answers")
}

async fn try_get(
    daemon: &Daemon,
    id: &Value,
    headers: &[(&str, &str)],
) -> Result<reqwest::Response, reqwest::Error> {
    let path = format!("/media/{id}");
    let authorization = Daemon::authorization(KEY_ID, "GET", &path, "");
    let mut request = daemon
        .http
        .get(format!("{}{path}", daemon.private_url))
        .header("authorization", authorization);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await
}

async fn body(response: reqwest::Response) -> Vec<u8> {
    response.bytes().await.expect("the answer is whole").to_vec()
}

/// Every file below a folder, with its bytes.
fn stored(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            found.extend(stored(&path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.push((path, bytes));
        }
    }
    found
}
