//! Whom a message goes to: numbers as people write them, partners, the two forms of one number, and who is on
//! WhatsApp at all.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::world::{USER, message_id, text_event};

/// A mobile number of São Paulo in both forms.
const LONG: &str = "5511987654321";
const SHORT: &str = "551187654321";

async fn countries(world: &World) {
    world
        .database
        .execute(
            "INSERT INTO res_country (id, name, code) VALUES (9020, 'Belgium', 'BE'), (9075, 'France', 'FR')
             ON CONFLICT (code) DO NOTHING;
             UPDATE whatsapp_configuration SET country_id = (SELECT id FROM res_country WHERE code = 'FR') WHERE id = 1",
        )
        .await;
}

async fn partner(world: &World, id: i32, country: &str, phone: &str, mobile: &str) {
    let sql = format!(
        "INSERT INTO res_partner (id, name, active, country_id, phone, mobile)
         VALUES ({id}, 'P {id}', true, {country}, {phone}, {mobile})"
    );
    world.database.execute(&sql).await;
}

/// Sends a text and tells the chat that it is put behind.
async fn chat_of(world: &World, to: Value) -> String {
    let params =
        json!({"uid": USER, "to": to, "type": "text", "text": {"body": "hi"}, "wait_ms": 20000});
    let answer = world.daemon.call("message.send", params).await;
    let id = answer["data"]["id"].as_i64().unwrap_or_else(|| panic!("no row: {answer}"));
    let sql = format!("SELECT chat_id FROM whatsapp_message WHERE id = {id}");
    world.database.text(&sql).await.unwrap_or_default()
}

async fn refusal(world: &World, to: Value) -> (i64, String) {
    let params = json!({"uid": USER, "to": to, "type": "text", "text": {"body": "hi"}});
    let answer = world.daemon.rpc("message.send", params).await;
    let error = &answer["error"];
    let message = error["message"].as_str().unwrap_or_default().to_owned();
    (error["code"].as_i64().unwrap_or_default(), message)
}

#[tokio::test]
async fn partners_by_their_own_country_then_the_accounts() {
    let mut world = World::prepared("", &[]).await;
    countries(&world).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    partner(
        &world,
        31,
        "(SELECT id FROM res_country WHERE code = 'BE')",
        "'0471 23 45 67'",
        "NULL",
    )
    .await;
    partner(
        &world,
        32,
        "(SELECT id FROM res_country WHERE code = 'BE')",
        "'02 123 45 67'",
        "'+44 (0)7700 900123'",
    )
    .await;
    partner(&world, 33, "NULL", "'06 12 34 56 78'", "''").await;
    partner(&world, 34, "NULL", "NULL", "NULL").await;
    partner(
        &world,
        35,
        "(SELECT id FROM res_country WHERE code = 'BE')",
        "'0471 23 45 67 ext. 3'",
        "NULL",
    )
    .await;
    for (id, chat) in [(31, "32471234567"), (32, "447700900123"), (33, "33612345678")] {
        let found = chat_of(&world, json!({"partner_id": id})).await;
        assert_eq!(found, format!("{chat}@s.whatsapp.net"), "partner {id}");
    }
    assert_eq!(chat_of(&world, json!("06 12 34 56 78")).await, "33612345678@s.whatsapp.net");
    for (to, word) in [
        (json!({"partner_id": 34}), "no phone number"),
        (json!({"partner_id": 35}), "extension"),
        (json!({"partner_id": 999}), "no partner with id 999"),
        (json!("01 02"), "no number of FR"),
    ] {
        let (code, message) = refusal(&world, to.clone()).await;
        assert_eq!(code, 1101, "{to}: {message}");
        assert!(message.contains(word), "{to}: {message}");
    }
}

/// Written to in the long form; the provider says that the person writes from the short one.
#[tokio::test]
async fn both_forms_of_a_number_are_one_person() {
    let world = World::start().await;
    assert_eq!(chat_of(&world, json!(format!("+{LONG}"))).await, format!("{LONG}@s.whatsapp.net"));
    // Nothing was confirmed yet: the chat that is there is used.
    assert_eq!(chat_of(&world, json!(format!("+{SHORT}"))).await, format!("{LONG}@s.whatsapp.net"));
    let event = text_event(&message_id(1), SHORT, "oi");
    assert_eq!(world.webhook(&event).await, 200);
    let contacts = "SELECT count(*) FROM whatsapp_contact WHERE phone LIKE '+5511%'";
    let unread = format!(
        "SELECT count(*) FROM whatsapp_chat WHERE chat_id = '{SHORT}@s.whatsapp.net' AND last_inbound_at IS NOT NULL"
    );
    world.until_count(&unread, 1, 20).await;
    world.until_count(contacts, 1, 20).await;
    for to in [json!(format!("+{LONG}")), json!(format!("+{SHORT}")), json!("+55 11 98765-4321")] {
        assert_eq!(chat_of(&world, to.clone()).await, format!("{SHORT}@s.whatsapp.net"), "{to}");
    }
    let id =
        world.database.count("SELECT id FROM whatsapp_contact WHERE phone LIKE '+5511%'").await;
    let to_contact = chat_of(&world, json!({"contact_id": id})).await;
    assert_eq!(to_contact, format!("{SHORT}@s.whatsapp.net"));
    // Who writes out a chat id means that chat.
    let named = format!("{LONG}@s.whatsapp.net");
    assert_eq!(chat_of(&world, json!(named)).await, named);
    assert_eq!(world.database.count(contacts).await, 1);
}

#[tokio::test]
async fn who_is_on_whatsapp_is_asked_and_kept() {
    let world = World::start().await;
    let people = json!({"people": [{"phone": LONG, "on_whatsapp": false}]});
    world.simulator.control("state", people).await;
    // Two that are known before.
    world.send("+447700900801", "hi").await;
    world.send("+447700900123", "hi").await;
    let numbers =
        json!(["+44 7700 900801", "+447700900123", "+447700900124", "nobody", format!("+{LONG}")]);
    let params = json!({"uid": USER, "numbers": numbers});
    let answer = world.daemon.call("contact.check", params).await;
    let results = answer["data"]["results"].as_array().expect("results").clone();
    let told: Vec<&Value> = results.iter().map(|result| &result["is_wa_contact"]).collect();
    assert_eq!(told, [&json!(false), &json!(true), &json!(true), &Value::Null, &json!(true)]);
    assert_eq!(results[0]["number"], "+44 7700 900801");
    assert_eq!(results[0]["phone"], "+447700900801");
    assert_eq!(results[1]["chat_id"], "447700900123@s.whatsapp.net");
    assert!(results[0]["contact_id"].is_i64() && results[1]["contact_id"].is_i64(), "{answer}");
    assert!(results[2]["contact_id"].is_null(), "{answer}");
    assert_eq!(results[3]["error"]["code"], 1101);
    assert_eq!(results[4]["chat_id"], format!("{SHORT}@s.whatsapp.net"));
    let kept = "SELECT count(*) FROM whatsapp_contact WHERE wa_checked_at IS NOT NULL
                AND is_wa_contact = (phone = '+447700900123')";
    assert_eq!(world.database.count(kept).await, 2);
    // The form that was confirmed is written to, although the other one was typed.
    assert_eq!(chat_of(&world, json!(format!("+{LONG}"))).await, format!("{SHORT}@s.whatsapp.net"));
    // What was once told is shown, and stands in no one's way.
    world.sent("+447700900801", "again").await;

    for (numbers, code) in [(json!([]), 1102), (json!(vec!["+447700900123"; 51]), 1102)] {
        let params = json!({"uid": USER, "numbers": numbers});
        let answer = world.daemon.rpc("contact.check", params).await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
    let stranger = json!({"uid": 6, "configuration_id": 1, "numbers": ["+447700900123"]});
    let answer = world.daemon.rpc("contact.check", stranger).await;
    assert_eq!(answer["error"]["code"], 1001, "{answer}");
    let custom = "UPDATE whatsapp_configuration SET provider = 'meta', channel_id = '206543210987654' WHERE id = 1";
    world.database.execute(custom).await;
    wabridge_testkit::eventually("the account's provider is read anew", 20, async || {
        let params = json!({"uid": USER, "numbers": ["+447700900123"]});
        let answer = world.daemon.rpc("contact.check", params).await;
        (answer["error"]["code"] == 1105).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_person_is_blocked_at_the_provider_and_in_the_row() {
    let world = World::start().await;
    world.send("+447700900123", "hi").await;
    let blocked =
        "SELECT count(*) FROM whatsapp_contact WHERE phone = '+447700900123' AND is_blocked";
    for (wanted, rows) in [(true, 1), (true, 1), (false, 0)] {
        let params = json!({"uid": USER, "to": "+447700900123", "blocked": wanted});
        let answer = world.daemon.call("contact.block", params).await;
        assert_eq!(answer["data"]["blocked"], wanted, "{answer}");
        assert!(answer["data"]["contact_id"].is_i64(), "{answer}");
        assert_eq!(world.database.count(blocked).await, rows);
        let row = json!({"uid": USER, "to": {"contact_id": answer["data"]["contact_id"]}, "blocked": wanted});
        world.daemon.call("contact.block", row).await;
    }
    let asked = world.simulator.requests("/blacklist/447700900123").await;
    let told: Vec<&Value> = asked.iter().map(|request| &request["method"]).collect();
    assert_eq!(told, ["PUT", "PUT", "PUT", "PUT", "DELETE", "DELETE"]);

    for (params, code) in [
        (json!({"uid": USER, "to": "120363043211234567@g.us", "blocked": true}), 1101),
        (json!({"uid": 6, "configuration_id": 1, "to": "+447700900123", "blocked": true}), 1001),
    ] {
        let answer = world.daemon.rpc("contact.block", params).await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
    assert_eq!(world.database.count(blocked).await, 0);
    world.simulator.control("faults", json!({"operation": "contact.block", "status": 500})).await;
    let params = json!({"uid": USER, "to": "+447700900123", "blocked": true});
    let answer = world.daemon.rpc("contact.block", params).await;
    assert!(
        answer["error"]["code"].as_i64().is_some_and(|code| (1300..1400).contains(&code)),
        "{answer}"
    );
    // What the provider did not do is not shown as done.
    assert_eq!(world.database.count(blocked).await, 0);
}
