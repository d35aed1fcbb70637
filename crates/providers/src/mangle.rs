//! Random damage to JSON, for tests of everything that reads it.

use proptest::prelude::*;
use serde_json::Value;

/// One change at a random place: a value goes away, or becomes another.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    place: prop::sample::Index,
    /// None takes the value away.
    by: Option<Value>,
}

pub(crate) fn change() -> impl Strategy<Value = Change> {
    (any::<prop::sample::Index>(), prop::option::of(value()))
        .prop_map(|(place, by)| Change { place, by })
}

fn value() -> impl Strategy<Value = Value> {
    let words = vec![
        "text",
        "image",
        "location",
        "reaction",
        "read",
        "on",
        "add",
        "447700900123@c.us",
        "-",
        "\0",
        "2025-12-15T12:00:00Z",
        "message.received",
        "1e999",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(words).prop_map(Value::from),
    ];
    let names =
        vec!["id", "type", "from", "body", "chat", "phone", "wid", "status", "media", "a\0b"];
    leaf.prop_recursive(3, 20, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(names.clone()), inner), 0..5)
                .prop_map(|fields| fields.into_iter().map(|(n, v)| (n.to_owned(), v)).collect()),
        ]
    })
}

pub(crate) fn apply(body: &mut Value, changes: &[Change]) {
    for Change { place, by } in changes {
        let mut paths = Vec::new();
        pointers(body, "", &mut paths);
        let path = &paths[place.index(paths.len())];
        match (by, path.rsplit_once('/')) {
            (Some(by), _) => *body.pointer_mut(path).expect("it was just found") = by.clone(),
            (None, None) => *body = Value::Null,
            (None, Some((parent, name))) => match body.pointer_mut(parent) {
                Some(Value::Object(fields)) => {
                    fields.remove(&name.replace("~1", "/").replace("~0", "~"));
                }
                Some(Value::Array(items)) => {
                    items.remove(name.parse().expect("an index"));
                }
                _ => {}
            },
        }
    }
}

/// All paths of a value, as JSON pointers.
fn pointers(value: &Value, here: &str, all: &mut Vec<String>) {
    all.push(here.to_owned());
    match value {
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                pointers(item, &format!("{here}/{i}"), all);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(field, &format!("{here}/{name}"), all);
            }
        }
        _ => {}
    }
}
