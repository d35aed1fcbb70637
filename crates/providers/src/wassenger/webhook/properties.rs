//! What holds for every body: nothing panics, and every event is accounted for.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{FIXTURES, read};
use crate::mangle;

proptest! {
    #[test]
    fn bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&body);
    }

    #[test]
    fn mangled_fixtures_never_panic(
        which in 0..FIXTURES.len(), changes in prop::collection::vec(mangle::change(), 1..6),
    ) {
        let mut body: Value = serde_json::from_str(FIXTURES[which].1).unwrap();
        mangle::apply(&mut body, &changes);
        if let Ok(parsed) = read(body.to_string().as_bytes()) {
            prop_assert!(!parsed.events.is_empty() || !parsed.broken.is_empty());
        }
    }

    #[test]
    fn mangled_members_spoil_no_other(changes in prop::collection::vec(mangle::change(), 1..4), before in any::<bool>()) {
        let (_, body) = FIXTURES.iter().find(|(name, _)| *name == "group_update_add").unwrap();
        let mut body: Value = serde_json::from_str(body).unwrap();
        let mut members = json!([{"wid": "447700900778@c.us", "admin": true}]);
        mangle::apply(&mut members, &changes);
        let mut members = members.as_array().cloned().unwrap_or_default();
        let at = if before { 0 } else { members.len() };
        members.insert(at, json!("447700900777@c.us"));
        body["data"]["participants"] = members.into();
        let parsed = read(body.to_string().as_bytes()).unwrap();
        let told = format!("{:?}", parsed.events);
        prop_assert!(told.contains("447700900777@c.us"), "{told}");
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
