//! The form of a number that a provider confirms by its answer is the one that is written to from then on.

use serde_json::json;

use super::{meta, taken};
use crate::support::world::USER;

const LONG: &str = "5511987654321";
const SHORT: &str = "551187654321";

#[tokio::test]
async fn the_form_that_meta_answers_is_kept() {
    let world = meta(&[]).await;
    let send = || json!({"uid": USER, "to": format!("+{LONG}"), "type": "text", "text": {"body": "oi"}, "wait_ms": 20_000});
    let answer = json!({"messaging_product": "whatsapp", "contacts": [{"input": LONG, "wa_id": SHORT}],
        "messages": [{"id": "wamid.FORM"}]});
    world
        .simulator
        .control(
            "faults",
            json!({"operation": "message.send", "status": 200, "body": answer, "times": 1}),
        )
        .await;
    let first = taken(&world, send()).await;
    let form = format!(
        "SELECT count(*) FROM wabridge.number_form WHERE number = '{LONG}' AND form = '{SHORT}'"
    );
    world.until_count(&form, 1, 20).await;
    let second = taken(&world, send()).await;
    let chat = |id: i64| format!("SELECT chat_id FROM whatsapp_message WHERE id = {id}");
    assert_eq!(world.database.text(&chat(first)).await.as_deref(), Some(LONG));
    assert_eq!(world.database.text(&chat(second)).await.as_deref(), Some(SHORT));
    // Somebody else's number in an answer says nothing.
    let answer =
        json!({"contacts": [{"wa_id": "447700900801"}], "messages": [{"id": "wamid.OTHER"}]});
    world
        .simulator
        .control(
            "faults",
            json!({"operation": "message.send", "status": 200, "body": answer, "times": 1}),
        )
        .await;
    let third = taken(&world, send()).await;
    world.until_status(third, &["pending", "sent"], 20).await;
    assert_eq!(world.database.count(&form).await, 1);
}
