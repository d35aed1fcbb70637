//! What holds for every body and every mapping: nothing panics, and no event spoils another.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{GENERIC, blocks, read};
use super::{Custom, Mapping};
use crate::mangle;

fn bodies() -> Vec<Value> {
    let page = ["The generic format", "A worked example"].map(blocks).concat();
    page.iter().map(|block| serde_json::from_str(block).unwrap()).collect()
}

proptest! {
    #[test]
    fn bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&Custom::new("").unwrap(), &body);
        let _ = Mapping::read(&String::from_utf8_lossy(&body));
    }

    #[test]
    fn mangled_bodies_never_panic(
        which in any::<prop::sample::Index>(), example in any::<bool>(),
        changes in prop::collection::vec(mangle::change(), 1..6), cut in any::<prop::sample::Index>(),
    ) {
        let bodies = bodies();
        let mut body = bodies[which.index(bodies.len())].clone();
        mangle::apply(&mut body, &changes);
        let mapping = if example { blocks("A worked example").remove(0) } else { String::new() };
        let custom = Custom::new(&mapping).unwrap();
        let text = body.to_string();
        let _ = read(&custom, text.as_bytes());
        let _ = read(&custom, &text.as_bytes()[..cut.index(text.len().max(1))]);
    }

    #[test]
    fn a_mangled_neighbour_changes_nothing(
        changes in prop::collection::vec(mangle::change(), 1..6), before in any::<bool>(),
    ) {
        let good: Value = serde_json::from_str(GENERIC).unwrap();
        let mut bad = json!({"event": good});
        mangle::apply(&mut bad, &changes);
        let bad = bad.get("event").cloned().unwrap_or_default();
        let events = if before { json!([bad, good]) } else { json!([good, bad]) };
        let custom = Custom::new("").unwrap();
        let alone = read(&custom, GENERIC.as_bytes()).unwrap();
        let together = read(&custom, events.to_string().as_bytes()).unwrap();
        prop_assert_eq!(together.events.len() + together.broken.len(), 2);
        prop_assert!(together.events.contains(&alone.events[0]), "{:?}", together);
    }

    #[test]
    fn mangled_mappings_never_panic(changes in prop::collection::vec(mangle::change(), 1..4)) {
        let mut mapping: Value = serde_json::from_str(&blocks("A worked example")[0]).unwrap();
        mangle::apply(&mut mapping, &changes);
        match Custom::new(&mapping.to_string()) {
            // What is taken for one can be read with.
            Ok(custom) => {
                for body in bodies() {
                    let _ = read(&custom, body.to_string().as_bytes());
                }
            }
            Err(why) => prop_assert!(why.to_string().starts_with("custom_mapping: ")),
        }
    }
}
