//! Webhooks from listed addresses only.

use crate::support::World;
use crate::support::world::{WEBHOOK_SECRET, message_id, text_event, webhook_url};

async fn deliver(world: &World, forwarded: Option<&str>, n: u64) -> u16 {
    let event = text_event(&message_id(n), "447700900777", "hello");
    let mut request = world.daemon.http.post(webhook_url(&world.daemon.public_url)).json(&event);
    if let Some(forwarded) = forwarded {
        request = request.header("x-forwarded-for", forwarded);
    }
    let answer = request.bearer_auth(WEBHOOK_SECRET).send().await;
    answer.expect("the daemon answers").status().as_u16()
}

async fn world(public: &str) -> World {
    let mut world = World::prepared("", &[]).await;
    let path = world.daemon.config_path();
    let text = std::fs::read_to_string(&path).expect("settings can be read");
    std::fs::write(&path, text.replacen("[public]\n", &format!("[public]\n{public}\n"), 1))
        .expect("settings can be written");
    world.daemon.run();
    world.daemon.wait_ready().await;
    world
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_clients_address_counts() {
    let world =
        world("allowed_addresses = [\"203.0.113.0/24\"]\ntrusted_proxies = [\"127.0.0.1\"]").await;
    assert_eq!(deliver(&world, Some("203.0.113.9"), 1).await, 200);
    assert_eq!(deliver(&world, Some("198.51.100.1"), 2).await, 401);
    assert_eq!(deliver(&world, None, 3).await, 401);
    // What stands before the proxy's own entry was written by strangers.
    assert_eq!(deliver(&world, Some("203.0.113.9, 198.51.100.1"), 4).await, 401);
    let health = world.daemon.http.get(format!("{}/whatsapp/health", world.daemon.public_url));
    assert_eq!(health.send().await.unwrap().status(), 200, "health is for everybody");
    world.until_count("SELECT count(*) FROM wabridge.journal", 1, 20).await;
}

#[tokio::test]
async fn nobody_talks_himself_onto_the_list() {
    let world = world("allowed_addresses = [\"203.0.113.0/24\", \"::1\"]").await;
    assert_eq!(deliver(&world, Some("203.0.113.9"), 1).await, 401);
    assert_eq!(deliver(&world, None, 2).await, 401);
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.journal").await, 0);
}
