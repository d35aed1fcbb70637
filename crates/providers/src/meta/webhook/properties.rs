//! What holds for every body: nothing panics, and a broken part never takes a neighbour with it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{FIXTURES, parsed, read};
use crate::mangle;

/// A message that is in order, in an entry of its own.
fn neighbour() -> Value {
    json!({"id": "1", "changes": [{"field": "messages", "value": {
        "metadata": {"phone_number_id": "206543210987654"},
        "messages": [good()],
    }}]})
}

fn good() -> Value {
    json!({"from": "447700900456", "id": "wamid.neighbour", "timestamp": "1765800001",
        "type": "text", "text": {"body": "still here"}})
}

/// True where the neighbour's message is among the events.
fn survives(body: &Value) -> Result<(), TestCaseError> {
    let parsed = parsed(body);
    let found = parsed.events.iter().any(|event| match &event.what {
        wabridge_domain::event::What::Message(message) => {
            message.message_id == "wamid.neighbour"
                && message.content.as_deref() == Some("still here")
        }
        _ => false,
    });
    prop_assert!(found, "{parsed:?}");
    Ok(())
}

proptest! {
    #[test]
    fn bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&body);
    }

    #[test]
    fn cut_and_flipped_fixtures_never_panic(
        which in 0..FIXTURES.len(), place in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut body = FIXTURES[which].1.as_bytes().to_vec();
        let at = place.index(body.len());
        body[at] = byte;
        let _ = read(&body);
        let _ = read(&body[..at]);
    }

    #[test]
    fn a_mangled_body_is_read_or_refused(
        which in 0..FIXTURES.len(), changes in prop::collection::vec(mangle::change(), 1..6),
    ) {
        let mut body: Value = serde_json::from_str(FIXTURES[which].1).unwrap();
        mangle::apply(&mut body, &changes);
        let _ = read(body.to_string().as_bytes());
    }

    #[test]
    fn a_mangled_entry_leaves_the_other_entry(
        which in 0..FIXTURES.len(), changes in prop::collection::vec(mangle::change(), 1..6), before in any::<bool>(),
    ) {
        let mut body: Value = serde_json::from_str(FIXTURES[which].1).unwrap();
        let mut entry = body["entry"][0].take();
        mangle::apply(&mut entry, &changes);
        let entries = if before { json!([neighbour(), entry]) } else { json!([entry, neighbour()]) };
        body["entry"] = entries;
        survives(&body)?;
    }

    #[test]
    fn a_mangled_change_leaves_the_other_change(
        which in 0..FIXTURES.len(), changes in prop::collection::vec(mangle::change(), 1..6), before in any::<bool>(),
    ) {
        let mut body: Value = serde_json::from_str(FIXTURES[which].1).unwrap();
        let list = body["entry"][0]["changes"].as_array_mut().unwrap();
        mangle::apply(&mut list[0], &changes);
        let neighbour = neighbour()["changes"][0].take();
        list.insert(usize::from(!before), neighbour);
        survives(&body)?;
    }

    #[test]
    fn a_mangled_message_leaves_the_other_message(
        which in 0..FIXTURES.len(), changes in prop::collection::vec(mangle::change(), 1..6), before in any::<bool>(),
    ) {
        let mut body: Value = serde_json::from_str(FIXTURES[which].1).unwrap();
        let value = &mut body["entry"][0]["changes"][0]["value"];
        if let Some(list) = value.get_mut("messages").and_then(Value::as_array_mut) {
            mangle::apply(&mut list[0], &changes);
            list.insert(usize::from(!before), good());
            survives(&body)?;
        }
    }

    #[test]
    fn every_item_is_accounted_for(
        which in 0..FIXTURES.len(), changes in prop::collection::vec(mangle::change(), 1..6), copies in 1usize..5,
    ) {
        let body: Value = serde_json::from_str(FIXTURES[which].1).unwrap();
        let value = &body["entry"][0]["changes"][0]["value"];
        for array in ["messages", "statuses", "message_echoes", "groups"] {
            let Some(item) = value.get(array).and_then(|items| items.get(0)) else { continue };
            let mut item = item.clone();
            mangle::apply(&mut item, &changes);
            let mut many = body.clone();
            many["entry"][0]["changes"][0]["value"][array] = vec![item; copies].into();
            let parsed = parsed(&many);
            prop_assert!(parsed.events.len() + parsed.broken.len() >= copies, "{:?}", parsed);
        }
    }
}
