//! Groups, their members, and counters of chats.

use wabridge_domain::event::{
    Chat, ChatKind, ChatUpdate, GroupUpdate, MemberChange, MemberState, Person, Role, What,
};
use wabridge_store::apply::Item;
use wabridge_testkit::Series;

use super::support::*;

pub fn member(n: u32, state: MemberState, role: Option<Role>) -> MemberChange {
    let person = Person {
        contact_id: format!("4477009001{n:02}@s.whatsapp.net"),
        phone: Some(format!("+4477009001{n:02}")),
        ..Person::default()
    };
    MemberChange { person, role, state }
}

pub fn update(kind: &str, second: i64, event_id: &str) -> GroupUpdate {
    GroupUpdate {
        group_id: GROUP.into(),
        kind: kind.into(),
        at: at(second),
        event_id: event_id.into(),
        ..GroupUpdate::default()
    }
}

pub fn group(update: GroupUpdate) -> Item {
    item(What::Group(Box::new(update)), None)
}

async fn members(f: &Fixture) -> String {
    f.text(
        "SELECT string_agg(concat_ws('|', right(c.phone, 2), m.role, m.state), ' ' ORDER BY c.phone)
         FROM whatsapp_group_member m JOIN whatsapp_contact c ON c.id = m.contact_id",
    )
    .await
}

#[tokio::test]
async fn the_latest_of_each_field_stays_and_changes_show_in_the_chat() {
    for series in [Series::Odoo14, Series::Odoo19] {
        let f = Fixture::new(series).await;
        let mut created = update("created", 1, "");
        created.name = Some("Night Shift".into());
        created.members = vec![
            member(1, MemberState::Joined, Some(Role::Superadmin)),
            member(2, MemberState::Joined, None),
        ];
        created.by = Some(amira());
        let mut subject = update("subject", 5, "e5");
        subject.name = Some("Day Shift".into());
        let mut late = update("subject", 4, "e9");
        late.name = Some("Dawn".into());
        let mut settings = update("settings", 6, "e6");
        settings.only_admins_send = Some(true);
        settings.description = Some("Ask here".into());
        let items = [group(created), group(subject), group(late), group(settings)];
        for item in &items {
            f.settle(std::slice::from_ref(item)).await;
        }
        assert_eq!(
            f.text("SELECT concat_ws('|', group_id, name, description, only_admins_send, join_approval IS NULL, is_active, invite_link IS NULL) FROM whatsapp_group").await,
            format!("{GROUP}|Day Shift|Ask here|t|t|t|t")
        );
        assert_eq!(members(&f).await, "01|superadmin|joined 02|member|joined");
        assert_eq!(
            f.text("SELECT string_agg(concat_ws('|', m.message_type, m.extra::json->>'kind', m.extra::json->>'name', g.name, m.direction), ' ' ORDER BY m.timestamp)
                    FROM whatsapp_message m JOIN whatsapp_group g ON g.id = m.group_id").await,
            "system|created|Night Shift|Day Shift|inbound system|subject|Dawn|Day Shift|inbound \
             system|subject|Day Shift|Day Shift|inbound system|settings|Day Shift|inbound"
        );
        assert_eq!(
            f.text("SELECT (extra::json->'members'->0->>'name') || (extra::json->'by'->>'name') FROM whatsapp_message WHERE extra::json->>'kind' = 'created'").await,
            "+447700900101Amira Osei"
        );
        assert_eq!(f.text("SELECT count(*)::text FROM whatsapp_event").await, "0");
        assert_eq!(
            f.text(
                "SELECT concat_ws('|', unread_count, last_message_id IS NULL) FROM whatsapp_chat"
            )
            .await,
            "0|t"
        );
        let before = f.traces().await;
        let mut back: Vec<Item> = items.to_vec();
        back.reverse();
        f.settle(&back).await;
        f.settle(&back).await;
        assert_eq!(f.traces().await, before);
    }
}

#[tokio::test]
async fn members_end_the_same_in_every_order() {
    let change = |kind: &str, second, members| {
        let mut update = update(kind, second, "");
        update.members = members;
        group(update)
    };
    let mut list = update("info", 5, "");
    list.members = vec![
        member(1, MemberState::Joined, Some(Role::Admin)),
        member(2, MemberState::Joined, Some(Role::Member)),
    ];
    list.all_members = true;
    let mut items = vec![
        change(
            "joined",
            1,
            vec![member(1, MemberState::Joined, None), member(3, MemberState::Joined, None)],
        ),
        change("promoted", 3, vec![member(3, MemberState::Joined, Some(Role::Admin))]),
        change("removed", 2, vec![member(4, MemberState::Removed, None)]),
        group(list),
        change("left", 7, vec![member(2, MemberState::Left, None)]),
    ];
    let mut orders = Vec::new();
    permutations(&mut items, 0, &mut orders);
    let f = Fixture::new(Series::Odoo14).await;
    for order in orders.iter().step_by(2) {
        for item in order {
            f.settle(std::slice::from_ref(item)).await;
        }
        assert_eq!(
            members(&f).await,
            "01|admin|joined 02|member|left 03|admin|left 04|member|removed"
        );
        f.database
            .execute("TRUNCATE whatsapp_message, whatsapp_chat, whatsapp_group, whatsapp_contact, wabridge.identity, wabridge.contact_fact, wabridge.group_fact, wabridge.member_fact CASCADE")
            .await;
    }
}

#[tokio::test]
async fn a_count_holds_from_its_time_on() {
    let count = |second, unread| {
        item(
            What::Chat(ChatUpdate {
                chat: Chat { id: AMIRA.into(), kind: ChatKind::Direct, name: None },
                at: at(second),
                unread: Some(unread),
            }),
            Some(Person { pushname: None, ..amira() }),
        )
    };
    let mut items =
        vec![inbound("a", 1), inbound("b", 3), count(2, 0), inbound("c", 6), count(4, 1)];
    let mut orders = Vec::new();
    permutations(&mut items, 0, &mut orders);
    let f = Fixture::new(Series::Odoo14).await;
    for order in orders.iter().step_by(2) {
        for item in order {
            f.settle(std::slice::from_ref(item)).await;
        }
        assert_eq!(f.text("SELECT unread_count::text FROM whatsapp_chat").await, "2");
        let before = f.traces().await;
        f.settle(order).await;
        assert_eq!(f.traces().await, before);
        f.database
            .execute("TRUNCATE whatsapp_message, whatsapp_chat, wabridge.chat_fact CASCADE")
            .await;
    }
}

#[tokio::test]
async fn alerts_and_templates_are_told_once() {
    use wabridge_domain::event::{Alert, TemplateUpdate};
    let f = Fixture::new(Series::Odoo14).await;
    let items = [
        item(
            What::Alert(Alert {
                kind: "quality".into(),
                detail: "the quality rating fell".into(),
                at: Some(at(5)),
                extra: serde_json::Map::new(),
            }),
            None,
        ),
        item(
            What::Template(TemplateUpdate {
                template_id: Some("1".into()),
                name: "order_update".into(),
                language: Some("en".into()),
                kind: "status".into(),
                value: Some("APPROVED".into()),
                reason: None,
                at: None,
            }),
            None,
        ),
    ];
    assert!(f.apply(&items).await.events);
    let before = f.traces().await;
    for _ in 0..3 {
        assert!(!f.apply(&items).await.events);
    }
    assert_eq!(f.traces().await, before);
    assert_eq!(
        f.text("SELECT string_agg(kind || ' ' || (payload::json->>'kind') || ' ' || coalesce(payload::json->>'value', payload::json->>'detail'), ', ' ORDER BY kind) FROM whatsapp_event").await,
        "alert quality the quality rating fell, template_status status APPROVED"
    );
}

#[tokio::test]
async fn a_change_without_a_time_shows_once_however_often_it_is_delivered() {
    let f = Fixture::new(Series::Odoo14).await;
    let delivered = |second: i64, n: u32| {
        let mut joined = update("joined", second, &second.to_string());
        joined.members = vec![member(n, MemberState::Joined, None)];
        Item { received_at: at(second), ..group(joined) }
    };
    for second in [60, 62, 70] {
        f.apply(&[delivered(second, 1)]).await;
    }
    f.apply(&[delivered(71, 2)]).await;
    let rows = "SELECT count(*)::text FROM whatsapp_message WHERE message_type = 'system'";
    assert_eq!(f.text(rows).await, "2");
}
