//! What is told of groups, wishes, templates and the account itself.

use serde_json::json;
use wabridge_domain::account::AccountState;
use wabridge_domain::event::{
    AccountUpdate, ContactUpdate, GroupUpdate, MemberChange, MemberState, Person, PreferenceUpdate,
};

use super::tests::{GROUP, amira, at, by_number, change, extra, group, member, only, reason, waba};
use super::*;

#[test]
fn groups_in_every_state() {
    let one = |fields: Value| {
        let mut item = json!({"timestamp": 1_765_800_500, "group_id": GROUP, "request_id": "R"});
        item.as_object_mut().unwrap().extend(extra(fields));
        change("group_lifecycle_update", json!({"groups": [item]}))
    };
    let update = |fields: Value| match only(one(fields)) {
        What::Group(update) => *update,
        other => panic!("{other:?}"),
    };
    let base = |kind: &str| group(kind, 1_765_800_500, "R");
    assert_eq!(
        update(json!({"type": "group_delete"})),
        GroupUpdate { is_active: Some(false), ..base("deleted") }
    );
    assert_eq!(
        update(json!({"type": "group_suspend"})),
        GroupUpdate { is_active: Some(false), ..base("info") }
    );
    assert_eq!(
        update(json!({"type": "group_suspend_cleared"})),
        GroupUpdate { is_active: Some(true), ..base("info") }
    );
    let left = json!({"type": "group_participants_remove", "initiated_by": "participant",
        "removed_participants": [{"user_id": "GB.7"}]});
    let hidden =
        Person { contact_id: "GB.7".into(), user_id: Some("GB.7".into()), ..Person::default() };
    let gone = MemberChange { person: hidden, role: None, state: MemberState::Left };
    assert_eq!(update(left), GroupUpdate { members: vec![gone], ..base("left") });
    let added = json!({"type": "group_add_participants",
        "added_participants": [{"input": "+447700900123"}]});
    let joined = vec![member(MemberState::Joined)];
    assert_eq!(update(added), GroupUpdate { members: joined, ..base("joined") });
    for (kind, state) in [
        ("group_join_request_created", MemberState::Waiting),
        ("group_join_request_revoked", MemberState::Left),
    ] {
        let update = update(json!({"type": kind, "wa_id": "447700900123"}));
        assert_eq!(update, GroupUpdate { members: vec![member(state)], ..base("info") });
    }
    let settings = update(json!({"type": "group_settings_update",
        "group_description": {"text": "", "update_successful": true},
        "profile_picture": {"mime_type": "image/jpeg", "update_successful": true}}));
    assert_eq!(settings, GroupUpdate { description: Some(String::new()), ..base("settings") });
    let icon = update(json!({"type": "group_settings_update", "profile_picture": {}}));
    assert_eq!(icon, base("icon"));
    let mode = update(json!({"type": "group_create", "join_approval_mode": "approval_required"}));
    assert_eq!(mode.join_approval, Some(true));
    let tomorrow = only(one(json!({"type": "group_teleport"})));
    assert_eq!(tomorrow, What::Other { kind: "groups.group_teleport".into() });
    assert_eq!(reason(&one(json!({}))), "it does not say what happened");
}

#[test]
fn what_failed_of_a_group_is_an_alert() {
    let errors = json!([{"code": 131_211, "message": "Too many groups"}]);
    let failed = only(change(
        "group_lifecycle_update",
        json!({"groups": [{"type": "group_create", "request_id": "R", "errors": errors}]}),
    ));
    let What::Alert(alert) = failed else { panic!("{failed:?}") };
    assert_eq!(alert.kind, "group");
    assert_eq!(alert.detail, "group_create: Too many groups (131211)");
    assert_eq!(alert.extra["request_id"], "R");

    // Half of it worked.
    let half = json!({"groups": [{"type": "group_settings_update", "group_id": GROUP,
        "group_subject": {"text": "New", "update_successful": true},
        "group_description": {"update_successful": false, "errors": errors}}]});
    let parsed = change("group_settings_update", half);
    assert!(
        matches!(&parsed.events[0].what, What::Group(g) if g.kind == "subject" && g.description.is_none())
    );
    assert!(
        matches!(&parsed.events[1].what, What::Alert(a) if a.detail == "group_description: Too many groups (131211)")
    );
    let none = json!({"groups": [{"type": "group_settings_update", "group_id": GROUP,
        "group_subject": {"update_successful": false}}]});
    assert!(
        matches!(only(change("group_settings_update", none)), What::Alert(a) if a.kind == "group")
    );
    let one_left = json!({"groups": [{"type": "group_participants_remove", "group_id": GROUP,
        "removed_participants": [{"wa_id": "447700900123"}],
        "failed_participants": [{"input": "447700900456", "errors": errors}]}]});
    assert_eq!(change("group_participants_update", one_left).events.len(), 2);
    let nameless = json!({"groups": [{"type": "group_delete"}]});
    assert_eq!(reason(&change("group_lifecycle_update", nameless)), "it names no group");
}

#[test]
fn wishes_of_people() {
    let wish = |value: &str| {
        change(
            "user_preferences",
            json!({
            "contacts": [{"profile": {"name": "Amira Osei"}, "wa_id": "447700900123"}],
            "user_preferences": [{"wa_id": "447700900123", "detail": "User requested to stop",
                "category": "marketing_messages", "value": value, "timestamp": 1_765_800_001}]}),
        )
    };
    let expected = |allowed| {
        What::Preference(PreferenceUpdate {
            person: Person { user_id: None, ..amira() },
            category: "marketing".into(),
            allowed,
            reason: Some("User requested to stop".into()),
            at: at(1_765_800_001),
        })
    };
    assert_eq!(only(wish("stop")), expected(false));
    assert_eq!(only(wish("resume")), expected(true));
    assert_eq!(reason(&wish("maybe")), "its value is neither stop nor resume");
}

#[test]
fn the_address_book_of_the_phone() {
    let sync = |action: &str| {
        only(change(
            "smb_app_state_sync",
            json!({"state_sync": [{"type": "contact", "action": action,
            "contact": {"full_name": "Amira O.", "phone_number": "447700900123"},
            "metadata": {"timestamp": "1765800001"}}]}),
        ))
    };
    let update = ContactUpdate {
        person: Person { name: Some("Amira O.".into()), ..by_number() },
        at: at(1_765_800_001),
        ..ContactUpdate::default()
    };
    assert_eq!(sync("add"), What::Contact(Box::new(update)));
    assert!(matches!(sync("remove"), What::Other { .. }));
}

#[test]
fn templates_change_in_four_ways() {
    let template = |field: &str, fields: Value| {
        let mut value = json!({"message_template_id": 9, "message_template_name": "shipped",
            "message_template_language": "en"});
        value.as_object_mut().unwrap().extend(extra(fields));
        match only(waba(field, value)) {
            What::Template(update) => (update.kind, update.value, update.reason),
            other => panic!("{other:?}"),
        }
    };
    let expected = |kind: &str, value: &str, reason: Option<&str>| {
        (kind.to_owned(), Some(value.to_owned()), reason.map(str::to_owned))
    };
    assert_eq!(
        template(
            "message_template_status_update",
            json!({"event": "REJECTED", "reason": "INVALID_FORMAT"})
        ),
        expected("status", "REJECTED", Some("INVALID_FORMAT"))
    );
    assert_eq!(
        template(
            "message_template_quality_update",
            json!({"previous_quality_score": "GREEN", "new_quality_score": "YELLOW"})
        ),
        expected("quality", "YELLOW", Some("was GREEN"))
    );
    assert_eq!(
        template(
            "template_category_update",
            json!({"previous_category": "UTILITY", "new_category": "MARKETING"})
        ),
        expected("category", "MARKETING", Some("was UTILITY"))
    );
    assert_eq!(
        template("message_template_components_update", json!({"message_template_element": "Hi"})),
        expected("components", "Hi", None)
    );
    let nameless = waba("message_template_status_update", json!({"event": "APPROVED"}));
    assert_eq!(reason(&nameless), "it names no template");
}

#[test]
fn the_standing_of_the_account() {
    let account = |value: Value| only(waba("account_update", value));
    let state = |state, reason: &str| {
        What::Account(AccountUpdate {
            state,
            reason: Some(reason.into()),
            at: Some(at(1_765_800_600)),
        })
    };
    let ban = |word: Value| {
        account(json!({"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": word}}))
    };
    assert_eq!(ban(json!(["DISABLE"])), state(AccountState::Banned, "DISABLED_UPDATE"));
    assert_eq!(ban(json!("REINSTATE")), state(AccountState::Connected, "DISABLED_UPDATE"));
    assert_eq!(
        account(json!({"event": "ACCOUNT_DELETED"})),
        state(AccountState::Disconnected, "ACCOUNT_DELETED")
    );
    let alert = |what: What| match what {
        What::Alert(alert) => (alert.kind, alert.detail),
        other => panic!("{other:?}"),
    };
    let expected = |kind: &str, detail: &str| (kind.to_owned(), detail.to_owned());
    assert_eq!(
        alert(ban(json!("SCHEDULE_FOR_DISABLE"))),
        expected("violation", "DISABLED_UPDATE: SCHEDULE_FOR_DISABLE")
    );
    assert_eq!(
        alert(account(json!({"event": "ACCOUNT_RESTRICTION", "restriction_info":
            [{"restriction_type": "A", "expiration": 1}, {"restriction_type": "B"}]}))),
        expected("violation", "ACCOUNT_RESTRICTION: A, B")
    );
    assert_eq!(
        alert(account(
            json!({"event": "ACCOUNT_VIOLATION", "violation_info": {"violation_type": "SCAM"}})
        )),
        expected("violation", "ACCOUNT_VIOLATION: SCAM")
    );
    assert_eq!(
        alert(account(json!({"event": "PARTNER_ADDED"}))),
        expected("account", "PARTNER_ADDED")
    );
    for (field, value, kind, detail) in [
        (
            "phone_number_quality_update",
            json!({"event": "FLAGGED", "current_limit": "TIER_10K"}),
            "quality",
            "FLAGGED, TIER_10K",
        ),
        (
            "account_alerts",
            json!({"entity_type": "BUSINESS", "alert_info":
                {"alert_type": "OBA_APPROVED", "alert_description": "You are official"}}),
            "account",
            "You are official",
        ),
        (
            "account_review_update",
            json!({"decision": "APPROVED"}),
            "account",
            "review of the account: APPROVED",
        ),
        (
            "business_capability_update",
            json!({"max_daily_conversations_per_business": 2000}),
            "limit",
            "max_daily_conversations_per_business 2000",
        ),
        (
            "phone_number_name_update",
            json!({"decision": "APPROVED", "requested_verified_name": "Acme", "rejection_reason": "NONE"}),
            "account",
            "display name: APPROVED, Acme",
        ),
        ("security", json!({"event": "PIN_CHANGED"}), "security", "PIN_CHANGED"),
    ] {
        assert_eq!(alert(only(waba(field, value))), expected(kind, detail), "{field}");
    }
    let errors = json!({"errors": [{"code": 130_429, "title": "Slow", "error_data": {"details": "Too fast"}}]});
    assert_eq!(
        alert(only(change("messages", errors))),
        expected("error", "Slow: Too fast (130429)")
    );
    assert_eq!(only(waba("flows", json!({"event": "X"}))), What::Other { kind: "flows".into() });
    let call = json!({"calls": [{"id": "a", "event": "connect"}]});
    assert_eq!(only(change("calls", call)), What::Other { kind: "calls".into() });
}
