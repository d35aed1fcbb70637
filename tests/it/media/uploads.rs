//! Files that are handed over to be sent.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wabridge_domain::Secret;
use wabridge_domain::clock::SystemClock;
use wabridge_rpc::sign;
use wabridge_testkit::daemon::{KEY_ID, KEY_SECRET};

use super::server::noise;
use super::{body, get, stored, world};
use crate::support::World;
use crate::support::world::USER;

/// `PUT /media?<query>`; `claimed` is what is signed as the body's hash.
async fn put(world: &World, query: &str, content: &[u8], claimed: &str) -> (u16, Value) {
    let path = format!("/media?{query}");
    let authorization = authorization(&path, claimed);
    let answer = world
        .daemon
        .http
        .put(format!("{}{path}", world.daemon.private_url))
        .header("authorization", authorization)
        .header("x-content-sha256", claimed)
        .body(content.to_vec())
        .send()
        .await
        .expect("the daemon answers");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("it has a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

fn hash(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

/// The signature covers the hash of a body that is still to come.
fn authorization(path: &str, digest: &str) -> String {
    let now = wabridge_domain::Clock::now(&SystemClock).as_second();
    sign::sign_digest(KEY_ID, &Secret::new(KEY_SECRET), now, &sign::nonce(), "PUT", path, digest)
}

#[tokio::test]
async fn a_file_is_handed_over() {
    let (world, _files) = world(&[("WABRIDGE__MEDIA__DOCUMENT_LIMIT_BYTES", "5000000")]).await;
    let content = noise(4_000_000, 9);
    let query = format!("uid={USER}&filename=..%2Foffer.bin&mimetype=application%2Fpdf");
    let (status, answer) = put(&world, &query, &content, &hash(&content)).await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["id"].clone();
    assert_eq!(body(get(&world.daemon, &id, &[]).await).await, content);
    let row = format!(
        "SELECT count(*) FROM whatsapp_media WHERE id = {id} AND state = 'ready'
        AND filename = 'offer.bin' AND mimetype = 'application/octet-stream' AND size = 4000000"
    );
    assert_eq!(world.database.count(&row).await, 1);
    let upload = format!(
        "SELECT count(*) FROM wabridge.media_upload WHERE media_id = {id} AND uid = {USER}
        AND configuration_id = 1"
    );
    assert_eq!(world.database.count(&upload).await, 1);

    let wrong = put(&world, &query, b"something else", &hash(&content)).await;
    assert_eq!((wrong.0, &wrong.1["error"]["code"]), (400, &json!(1102)), "{wrong:?}");
    let large = noise(5_000_001, 1);
    let large = put(&world, &query, &large, &hash(&large)).await;
    assert_eq!((large.0, &large.1["error"]["code"]), (413, &json!(1103)), "{large:?}");
    let stranger = put(&world, "uid=6", b"x", &hash(b"x")).await;
    assert_eq!(stranger.0, 403, "{stranger:?}");
    let unsigned = world
        .daemon
        .http
        .put(format!("{}/media?uid={USER}", world.daemon.private_url))
        .body("x")
        .send()
        .await
        .expect("the daemon answers");
    assert_eq!(unsigned.status(), 401);
    assert_eq!(
        stored(&world.daemon.media_directory()).len(),
        1,
        "nothing is left of what was refused"
    );
    // The same content again is another file of the same blob.
    let (status, again) = put(&world, &query, &content, &hash(&content)).await;
    assert_eq!(status, 200, "{again}");
    assert_ne!(again["id"], id);
    assert_eq!(stored(&world.daemon.media_directory()).len(), 1);
}
