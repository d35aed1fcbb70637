//! Groups, people, and the account itself.

use serde_json::{Value, json};

use super::Provider::{Custom, Meta, Wassenger, Whapi};
use super::{BUT_CUSTOM, Case, LINKED, MEMBERS, Step, Table, by};

pub(super) fn groups(table: &mut Table) {
    let made = || {
        vec![
            Step::Changed(
                "groups",
                json!({"id": "{group}", "name": "Ops {from}", "participants": ["447700900999", "{from}", "{other}"]}),
            ),
            Step::Changed("group_changes", json!({"group": "{group}", "change": "created"})),
        ]
    };
    let changed = |changes: &[Value]| {
        let mut steps = made();
        steps.push(Step::Seen("SELECT 1 FROM whatsapp_group WHERE name = 'Ops {from}'"));
        for change in changes {
            steps.push(Step::Later);
            let mut change = change.clone();
            change["group"] = json!("{group}");
            steps.push(Step::Changed("group_changes", change));
        }
        steps
    };
    let one =
        |name: &'static str, who: &str| changed(&[json!({"change": name, "participants": [who]})]);
    table.case(
        "a group is made",
        BUT_CUSTOM,
        made(),
        group!("g.name, g.is_active"),
        "Ops {from}|t",
    );
    let both = "+{from} member joined,+{other} member joined";
    table.case("who is in it", LINKED, made(), MEMBERS, both);
    table.case(
        "its name",
        BUT_CUSTOM,
        changed(&[json!({"change": "subject", "subject": "Ops {from} B"})]),
        group!("g.name, g.is_active"),
        "Ops {from} B|t",
    );
    table.case(
        "its description",
        BUT_CUSTOM,
        changed(&[json!({"change": "description", "description": "Nights"})]),
        group!("g.name, g.description"),
        "Ops {from}|Nights",
    );
    table.case(
        "its icon",
        LINKED,
        changed(&[json!({"change": "icon", "picture": "https://pictures.example/ops"})]),
        group!("g.picture"),
        "https://pictures.example/ops",
    );
    table.case(
        "only administrators write",
        LINKED,
        changed(&[json!({"change": "settings", "only_admins_send": true})]),
        group!("g.only_admins_send"),
        "t",
    );
    table.case(
        "only administrators change it",
        LINKED,
        changed(&[json!({"change": "settings", "only_admins_edit": true})]),
        group!("g.only_admins_edit"),
        "t",
    );
    table.case(
        "administrators let people in",
        &[Meta],
        changed(&[json!({"change": "settings", "join_approval": true})]),
        group!("g.join_approval"),
        "t",
    );
    table.case(
        "its end",
        BUT_CUSTOM,
        changed(&[json!({"change": "deleted"})]),
        group!("g.is_active"),
        "f",
    );
    table.case(
        "its new invite",
        LINKED,
        changed(&[json!({"change": "invite_reset"})]),
        group!("g.invite_link LIKE 'https://chat.whatsapp.com/%'"),
        "t",
    );
    table.case(
        "somebody joins",
        LINKED,
        one("joined", "{third}"),
        MEMBERS,
        "+{from} member joined,+{other} member joined,+{third} member joined",
    );
    table.case(
        "somebody joins a group without a list",
        &[Meta],
        one("joined", "{third}"),
        MEMBERS,
        "+{third} member joined",
    );
    table.case(
        "somebody is removed",
        LINKED,
        one("removed", "{other}"),
        MEMBERS,
        "+{from} member joined,+{other} member removed",
    );
    table.case(
        "somebody leaves",
        &[Wassenger],
        one("left", "{other}"),
        MEMBERS,
        "+{from} member joined,+{other} member left",
    );
    table.case(
        "somebody is promoted",
        LINKED,
        one("promoted", "{other}"),
        MEMBERS,
        "+{from} member joined,+{other} admin joined",
    );
    let mut demoted = one("promoted", "{from}");
    demoted.push(Step::Seen(is_member!("{from}", "joined' AND m.role = 'admin")));
    demoted.push(Step::Later);
    let change = json!({"group": "{group}", "change": "demoted", "participants": ["{from}"]});
    demoted.push(Step::Changed("group_changes", change));
    table.case("somebody is demoted", LINKED, demoted, MEMBERS, both);
    table.case(
        "somebody asks to join",
        &[Whapi],
        one("requested", "{third}"),
        MEMBERS,
        "+{from} member joined,+{other} member joined,+{third} member waiting",
    );
    table.case(
        "somebody asks to join a group without a list",
        &[Meta],
        one("requested", "{third}"),
        MEMBERS,
        "+{third} member waiting",
    );
    let mut again = one("removed", "{other}");
    again.push(Step::Seen(is_member!("{other}", "removed")));
    again.push(Step::Later);
    let change = json!({"group": "{group}", "change": "joined", "participants": ["{other}"]});
    again.push(Step::Changed("group_changes", change));
    table.case("somebody comes back", LINKED, again, MEMBERS, both);
}

pub(super) fn people(table: &mut Table) {
    table.case(
        "a name of the address book",
        LINKED,
        vec![
            by(json!({"from_name": "Amira", "text": "hi"})),
            Step::Seen("SELECT 1 FROM whatsapp_contact WHERE phone = '+{from}'"),
            Step::Changed(
                "contact_changes",
                json!({"phone": "{from}", "saved_name": "Amira (Acme)"}),
            ),
        ],
        "SELECT concat_ws('|', name, pushname) FROM whatsapp_contact WHERE phone = '+{from}'",
        "Amira (Acme)|Amira",
    );
    table.case(
        "a picture and a business",
        &[Whapi],
        vec![
            by(json!({"text": "hi"})),
            Step::Seen("SELECT 1 FROM whatsapp_contact WHERE phone = '+{from}'"),
            Step::Changed("contact_changes", json!({"phone": "{from}", "is_business": true, "picture": "https://pictures.example/shop"})),
        ],
        "SELECT concat_ws('|', is_business, picture) FROM whatsapp_contact WHERE phone = '+{from}'",
        "t|https://pictures.example/shop",
    );
    table.case(
        "read elsewhere",
        LINKED,
        vec![
            by(json!({"text": "hi"})),
            Step::Seen("SELECT 1 FROM whatsapp_chat h JOIN whatsapp_contact c ON c.id = h.contact_id WHERE c.phone = '+{from}' AND h.unread_count = 1"),
            Step::Changed("chat_changes", json!({"chat": "{from}", "unread": 0})),
        ],
        "SELECT h.unread_count::text FROM whatsapp_chat h JOIN whatsapp_contact c ON c.id = h.contact_id WHERE c.phone = '+{from}'",
        "0",
    );
}

pub(super) fn accounts(table: &mut Table) {
    for state in ["qr_needed", "connected", "disconnected"] {
        table.0.push(Case {
            name: state,
            has: &[Whapi, Wassenger, Custom],
            steps: vec![Step::Changed("accounts", json!({"state": state}))],
            look: "SELECT state FROM whatsapp_account_state WHERE configuration_id = 1",
            expected: state,
            alone: true,
        });
    }
    for state in ["banned", "connected"] {
        table.0.push(Case {
            name: state,
            has: &[Meta, Custom],
            steps: vec![Step::Changed("accounts", json!({"state": state}))],
            look: "SELECT state FROM whatsapp_account_state WHERE configuration_id = 1",
            expected: state,
            alone: true,
        });
    }
    table.case(
        "the number is flagged",
        &[Meta],
        vec![Step::Changed(
            "events",
            json!({"kind": "phone_number_quality_update", "content": {"display_phone_number": "447700900999",
                "event": "FLAGGED", "current_limit": "TIER_1K"}}),
        )],
        "SELECT string_agg(DISTINCT kind, ',') FROM whatsapp_event WHERE kind = 'alert'",
        "alert",
    );
}
