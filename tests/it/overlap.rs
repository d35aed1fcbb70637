//! Webhook secrets change with overlap: the former one is accepted until its time is over, and no longer.

use serde_json::Value;
use wabridge_testkit::{Daemon, eventually};

use crate::support::World;
use crate::support::world::{WEBHOOK_SECRET, WEBHOOK_TOKEN, message_id, text_event};

const NEW_TOKEN: &str = "path-token-new-2201";
const NEW_SECRET: &str = "webhook-secret-new-2202";

/// Account 1 as the wizard leaves it: new values in their columns, what they replaced moved aside as it was.
async fn replaced(world: &World, until: &str) {
    let uuid = "SELECT seal_uuid FROM whatsapp_configuration WHERE id = 1";
    let uuid = world.database.text(uuid).await.expect("the fixture has account 1");
    let token = Daemon::seal(&world.database, &uuid, "webhook_token", NEW_TOKEN).await;
    let secret = Daemon::seal(&world.database, &uuid, "webhook_secret", NEW_SECRET).await;
    let sql = format!(
        "UPDATE whatsapp_configuration SET webhook_token_former = webhook_token, webhook_secret_former = webhook_secret,
            webhook_token = '{token}', webhook_secret = '{secret}', auth_mode = 'path_header', former_until = {until}
         WHERE id = 1"
    );
    world.database.execute(&sql).await;
}

async fn deliver(world: &World, token: &str, secret: &str, n: u64) -> u16 {
    let event: Value = text_event(&message_id(n), "447700900777", "hello");
    let url = format!("{}/whatsapp/webhook/whapi/{token}", world.daemon.public_url);
    let answer = world.daemon.http.post(url).bearer_auth(secret).json(&event).send().await;
    answer.expect("the daemon answers").status().as_u16()
}

#[tokio::test]
async fn former_webhook_secrets_are_accepted_until_their_time() {
    let mut world = World::prepared("", &[]).await;
    replaced(&world, "now() AT TIME ZONE 'UTC' + interval '1 hour'").await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    for (n, (token, secret)) in [
        (NEW_TOKEN, NEW_SECRET),
        (WEBHOOK_TOKEN, WEBHOOK_SECRET),
        (WEBHOOK_TOKEN, NEW_SECRET),
        (NEW_TOKEN, WEBHOOK_SECRET),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(deliver(&world, token, secret, n as u64).await, 200, "{token} {secret}");
    }
    assert_eq!(deliver(&world, NEW_TOKEN, "another", 8).await, 401);
    assert_eq!(deliver(&world, "another", NEW_SECRET, 9).await, 401);
    world
        .until_count("SELECT count(*) FROM whatsapp_message WHERE direction = 'inbound'", 4, 20)
        .await;
    // Its time is over: refused, though the value still stands there.
    let over = "UPDATE whatsapp_configuration SET former_until = now() AT TIME ZONE 'UTC' - interval '1 second' WHERE id = 1";
    world.database.execute(over).await;
    eventually("the former secret is refused", 20, async || {
        (deliver(&world, NEW_TOKEN, WEBHOOK_SECRET, 10).await == 401).then_some(())
    })
    .await;
    assert_eq!(deliver(&world, WEBHOOK_TOKEN, NEW_SECRET, 11).await, 401);
    assert_eq!(deliver(&world, NEW_TOKEN, NEW_SECRET, 12).await, 200);
}

#[tokio::test]
async fn without_a_time_the_former_secret_is_nothing() {
    let mut world = World::prepared("", &[]).await;
    replaced(&world, "NULL").await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    assert_eq!(deliver(&world, NEW_TOKEN, NEW_SECRET, 1).await, 200);
    assert_eq!(deliver(&world, NEW_TOKEN, WEBHOOK_SECRET, 2).await, 401);
    assert_eq!(deliver(&world, WEBHOOK_TOKEN, NEW_SECRET, 3).await, 401);
}
