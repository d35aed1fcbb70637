//! What holds for every body: nothing panics, and a broken part never takes a neighbour with it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{FIXTURES, parsed, read};
use crate::mangle;

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "text",
            "action",
            "reaction",
            "447700900123@s.whatsapp.net",
            "read",
            "\0"
        ])
        .prop_map(Value::from),
    ];
    let name = prop::sample::select(vec![
        "id",
        "type",
        "chat_id",
        "from_me",
        "from",
        "timestamp",
        "text",
        "body",
        "context",
        "action",
        "target",
        "status",
        "errors",
        "image",
        "health",
        "a\0b",
    ]);
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..8)
                .prop_map(|fields| fields.into_iter().map(|(n, v)| (n.to_owned(), v)).collect()),
        ]
    })
}

/// All paths of a value, as JSON pointers.
fn pointers(value: &Value, here: &str, all: &mut Vec<String>) {
    all.push(here.to_owned());
    match value {
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(i, item)| pointers(item, &format!("{here}/{i}"), all));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| pointers(field, &format!("{here}/{name}"), all));
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&body);
    }

    #[test]
    fn json_never_panics_and_every_item_is_accounted_for(
        items in prop::collection::vec(json_value(), 0..6), kind in prop::sample::select(vec!["messages", "messages_updates", "messages_removed", "statuses", "chats", "chats_updates",
            "contacts", "contacts_updates", "groups", "groups_participants", "groups_updates", "health", "qr", "user"]),
    ) {
        let count = items.len();
        let parsed = parsed(&json!({ kind: items }));
        prop_assert_eq!(parsed.events.len() + parsed.broken.len(), count);
    }

    #[test]
    fn a_mutated_neighbour_changes_nothing(
        which in 0..FIXTURES.len(), place in any::<prop::sample::Index>(), by in json_value(), before in any::<bool>(),
    ) {
        let mut body: Value = serde_json::from_str(FIXTURES[which].1).unwrap();
        let mut paths = Vec::new();
        pointers(&body, "", &mut paths);
        // The whole body may also be replaced by anything.
        let path = &paths[place.index(paths.len())];
        *body.pointer_mut(path).unwrap() = by;
        let _ = read(body.to_string().as_bytes());

        let good = serde_json::from_str::<Value>(FIXTURES[19].1).unwrap();
        let kind = ["messages", "statuses"].into_iter().find(|kind| body.get(kind).is_some_and(Value::is_array));
        if let Some(kind) = kind {
            let good = if kind == "messages" { good["messages"][0].clone() } else { json!({"id": "A", "status": "read"}) };
            let alone = parsed(&json!({ kind: [good.clone()], "channel_id": body["channel_id"] }));
            let items = body[kind].as_array_mut().unwrap();
            let at = if before { 0 } else { items.len() };
            items.insert(at, good);
            let together = parsed(&body);
            prop_assert!(together.events.contains(&alone.events[0]), "{:?}", together);
        }
    }

    #[test]
    fn mangled_neighbours_lose_nothing(
        which in 0..FIXTURES.len(), changes in prop::collection::vec(mangle::change(), 1..6), before in any::<bool>(),
    ) {
        let body: Value = serde_json::from_str(FIXTURES[which].1).unwrap();
        let Some((kind, item)) = body.as_object().unwrap().iter().find_map(|(name, items)| Some((name, items.get(0)?)))
        else {
            return Ok(());
        };
        let alone = parsed(&json!({ kind.as_str(): [item], "channel_id": "C" }));
        let mut mangled = item.clone();
        mangle::apply(&mut mangled, &changes);
        let items = if before { json!([mangled, item]) } else { json!([item, mangled]) };
        let together = parsed(&json!({ kind.as_str(): items, "channel_id": "C" }));
        prop_assert_eq!(together.events.len() + together.broken.len(), 2);
        prop_assert!(together.events.contains(&alone.events[0]), "{:?}", together);
    }

    #[test]
    fn cut_fixtures_never_panic(which in 0..FIXTURES.len(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = FIXTURES[which].1.as_bytes().to_vec();
        let at = place.index(body.len());
        body[at] = byte;
        let _ = read(&body);
        let _ = read(&body[..at]);
    }
}
