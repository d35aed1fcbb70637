//! What can be done with a message that is there: the request that each provider documents for it, or a refusal.

use serde_json::{Value, json};

use super::{PEER, Provider, TAKEN, USER, World, masked, recorded};

/// Method, path below the account's, query, body: `None` where the call has none.
type Want = (&'static str, String, Value, Option<Value>);

/// A call of the daemon's, and what it is at the provider; None where the provider cannot.
struct Change {
    method: &'static str,
    params: Value,
    want: Option<Want>,
}

/// Somebody writes; row id and the provider's id.
async fn received(world: &World, provider: Provider) -> (i64, String) {
    let params = json!({"provider": provider.word(), "token": provider.token(), "from": &PEER[1..], "text": "hello?"});
    let answer = world.simulator.control("inbound", params).await;
    let id = answer["id"].as_str().expect("the message has an id").to_owned();
    let sql = format!(
        "INSERT INTO whatsapp_message (configuration_id, provider, message_id, chat_id, direction, from_me, message_type,
             status, content, delivered_at, timestamp)
         SELECT 1, provider, '{id}', chat_id, 'inbound', false, 'text', 'delivered', 'hello?', now(), now()
         FROM whatsapp_message WHERE from_me ORDER BY id LIMIT 1 RETURNING id::text"
    );
    let row = world.database.text(&sql).await.expect("a row id");
    world.database.execute("UPDATE whatsapp_chat SET unread_count = 1").await;
    (row.parse().expect("a number"), id)
}

fn changes(provider: Provider, sent: &(i64, String), read: &(i64, String)) -> Vec<Change> {
    let (own, theirs) = (&sent.1, &read.1);
    let none = || json!({});
    let react = |emoji: &str| match provider {
        Provider::Whapi | Provider::Custom => {
            ("PUT", format!("/messages/{own}/reaction"), none(), Some(json!({"emoji": emoji})))
        }
        Provider::Wassenger => {
            let emoji = if emoji.is_empty() { "-" } else { emoji };
            let body = json!({"device": provider.channel(), "phone": PEER, "reference": "{reference}",
                "enqueue": "never", "reaction": emoji, "reactionMessage": "{quoted}"});
            ("POST", "/messages".to_owned(), none(), Some(body))
        }
        Provider::Meta => {
            let body = json!({"messaging_product": "whatsapp", "recipient_type": "individual", "to": &PEER[1..],
                "type": "reaction", "reaction": {"message_id": "{quoted}", "emoji": emoji},
                "biz_opaque_callback_data": "{reference}"});
            ("POST", "/messages".to_owned(), none(), Some(body))
        }
    };
    let device = provider.channel();
    let edit = match provider {
        Provider::Whapi => Some((
            "POST",
            "/messages/text".to_owned(),
            none(),
            Some(
                json!({"to": "447700900123@s.whatsapp.net", "body": "at one", "edit": "{quoted}"}),
            ),
        )),
        Provider::Wassenger => Some((
            "PATCH",
            format!("/chat/{device}/messages/{own}"),
            none(),
            Some(json!({"message": "at one"})),
        )),
        Provider::Custom => {
            Some(("PATCH", format!("/messages/{own}"), none(), Some(json!({"body": "at one"}))))
        }
        Provider::Meta => None,
    };
    let mark_read = match provider {
        Provider::Whapi => ("PUT", format!("/messages/{theirs}"), none(), None),
        Provider::Wassenger => (
            "PATCH",
            format!("/chat/{device}/chats/{}@c.us/unread", &PEER[1..]),
            none(),
            Some(json!({"unread": false})),
        ),
        Provider::Custom => ("PUT", format!("/messages/{theirs}/read"), none(), Some(none())),
        Provider::Meta => (
            "POST",
            "/messages".to_owned(),
            none(),
            Some(json!({"messaging_product": "whatsapp", "status": "read", "message_id": theirs})),
        ),
    };
    let delete = match provider {
        Provider::Whapi => Some(("DELETE", format!("/messages/{own}"), none(), None)),
        Provider::Wassenger => Some((
            "DELETE",
            format!("/chat/{device}/messages/{own}"),
            json!({"revoke": "true"}),
            None,
        )),
        Provider::Custom => Some(("DELETE", format!("/messages/{own}"), none(), Some(none()))),
        Provider::Meta => None,
    };
    let id = sent.0;
    vec![
        Change {
            method: "message.react",
            params: json!({"uid": USER, "id": id, "emoji": "👍", "wait_ms": 20_000}),
            want: Some(react("👍")),
        },
        Change {
            method: "message.react",
            params: json!({"uid": USER, "id": id, "wait_ms": 20_000}),
            want: Some(react("")),
        },
        Change {
            method: "message.edit",
            params: json!({"uid": USER, "id": id, "text": "at one"}),
            want: edit,
        },
        Change {
            method: "message.mark_read",
            params: json!({"uid": USER, "ids": [read.0]}),
            want: Some(mark_read),
        },
        Change { method: "message.delete", params: json!({"uid": USER, "id": id}), want: delete },
    ]
}

/// What is wrong with each, in words.
pub async fn run(world: &World, provider: Provider, sent: &(i64, String)) -> Vec<String> {
    let read = received(world, provider).await;
    let mut failures = Vec::new();
    for change in changes(provider, sent, &read) {
        if let Err(why) = one(world, provider, &change, sent).await {
            failures.push(format!("{}: {why}", change.method));
        }
    }
    failures
}

async fn one(
    world: &World,
    provider: Provider,
    change: &Change,
    sent: &(i64, String),
) -> Result<(), String> {
    let before = recorded(world).await.len();
    let answer = world.daemon.rpc(change.method, change.params.clone()).await;
    let Some((method, path, query, body)) = &change.want else {
        let refused = answer["error"]["data"]["kind"] == "unsupported_by_provider";
        let quiet = recorded(world).await.len() == before;
        return (refused && quiet).then_some(()).ok_or(format!("not refused: {answer}"));
    };
    if answer.get("error").is_some() {
        return Err(format!("refused: {answer}"));
    }
    if let Some(id) = answer["result"]["data"]["id"].as_i64().filter(|id| *id != sent.0) {
        world.until_status(id, &TAKEN, 30).await;
    }
    // The provider is told of what was read after the answer.
    let calls = wabridge_testkit::eventually("the provider is called", 20, async || {
        let calls = recorded(world).await.split_off(before);
        (!calls.is_empty()).then_some(calls)
    })
    .await;
    let [call] = &calls[..] else { return Err(format!("not exactly one call: {}", json!(calls))) };
    let wanted = provider.path(path);
    let seen = call["path"].as_str().unwrap_or_default().replace("%40", "@");
    if seen != wanted || call["method"] != *method || call["query"] != *query {
        return Err(format!("not {method} {wanted} {query}: {call}"));
    }
    let (header, credential) = provider.credential();
    if call["headers"][header] != credential.as_str() {
        return Err(format!("without the credential: {call}"));
    }
    match body {
        Some(body) => {
            let seen = masked(&call["body"], &[], "wabridge:", &sent.1);
            (seen == *body).then_some(()).ok_or(format!("expected\n    {body}\n  sent\n    {seen}"))
        }
        None => {
            let empty = call["body_bytes"] == 0;
            empty.then_some(()).ok_or(format!("a body where none belongs: {call}"))
        }
    }
}
