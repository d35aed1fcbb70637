//! Runs from their start to their end.

use serde_json::json;
use wabridge_testkit::{Series, TestDatabase};

use super::{Sizes, done, ended, start, started, status, traces};
use crate::support::World;
use crate::support::world::{ADMIN, USER};

const ALL: [&str; 3] = ["contacts", "groups", "messages"];

#[tokio::test]
async fn everything_comes_and_a_second_run_touches_nothing() {
    let world = started(&[]).await;
    let sizes = Sizes::asked();
    sizes.put(&world).await;
    let database = &world.database;
    let first = done(&world, &ALL, "full").await;
    let counts = &first["counts"];
    for (kind, size) in
        [("contacts", sizes.contacts), ("groups", sizes.groups), ("messages", sizes.messages)]
    {
        assert!(counts[kind]["read"].as_u64().unwrap() >= size, "{kind}: {first}");
        assert_eq!(counts[kind]["errors"], 0, "{first}");
    }
    assert_eq!(counts["messages"]["created"].as_u64().unwrap(), sizes.messages, "{first}");
    assert!(
        database.count("SELECT count(*) FROM whatsapp_contact").await
            >= sizes.contacts.cast_signed()
    );
    assert_eq!(
        database.count("SELECT count(*) FROM whatsapp_group").await,
        sizes.groups.cast_signed()
    );
    let members =
        database.count("SELECT count(*) FROM whatsapp_group_member WHERE state = 'joined'").await;
    assert!(members >= sizes.members.cast_signed(), "{members}");
    assert_eq!(
        database.count("SELECT count(*) FROM whatsapp_message WHERE synced_at IS NOT NULL").await,
        sizes.messages.cast_signed()
    );
    assert_eq!(
        database.count("SELECT count(*) FROM whatsapp_message WHERE direction = 'inbound' AND origin <> 'provider' OR direction = 'outbound' AND origin NOT IN ('phone', 'provider')").await,
        0
    );
    // Old history wakes nobody and is not unread.
    assert_eq!(
        database.count("SELECT count(*) FROM whatsapp_event WHERE kind = 'message_received'").await,
        0
    );
    assert_eq!(
        database.count("SELECT coalesce(sum(unread_count), 0)::int8 FROM whatsapp_chat").await,
        0
    );
    assert_eq!(
        database.count("SELECT count(*) FROM whatsapp_message WHERE message_type = 'system'").await,
        0
    );
    assert_eq!(
        database.text("SELECT concat_ws('|', state, kinds, phase, started_at IS NOT NULL, ended_at IS NOT NULL, user_id) FROM whatsapp_sync_run").await.unwrap(),
        format!("done|contacts,groups,messages|t|t|{ADMIN}")
    );
    for table in ["sync_run", "sync_step", "sync_busy"] {
        assert_eq!(
            database.count(&format!("SELECT count(*) FROM wabridge.{table}")).await,
            0,
            "{table}"
        );
    }

    let before = traces(database).await;
    for mode in ["full", "incremental"] {
        let again = done(&world, &ALL, mode).await;
        for kind in ALL {
            let counts = &again["counts"][kind];
            assert_eq!(counts["created"], 0, "{again}");
            assert_eq!(counts["changed"], 0, "{again}");
            assert_eq!(counts["unchanged"], counts["read"], "{again}");
        }
        assert_eq!(traces(database).await, before, "{mode}");
    }
    // The screens followed.
    let hints = "SELECT count(*) FROM bus_bus WHERE message LIKE '%whatsapp.sync.run%'";
    assert!(database.count(hints).await > 0);
}

#[tokio::test]
async fn one_run_for_each_account_and_kind() {
    let world = started(&[("WABRIDGE_FAILPOINTS", "sync.page_written=sleep:400")]).await;
    Sizes { contacts: 3_000, groups: 3, members: 9, messages: 5 }.put(&world).await;
    let job = start(&world, &["contacts", "groups"], "full").await;
    let params =
        json!({"uid": USER, "configuration_id": 1, "kinds": ["groups"], "mode": "incremental"});
    let refused = world.daemon.rpc("sync.start", params.clone()).await;
    assert_eq!(refused["error"]["code"], 1505, "{refused}");
    assert_eq!(refused["error"]["data"]["details"]["job_id"], job, "{refused}");
    // Another kind goes beside it.
    let other = start(&world, &["messages"], "full").await;
    assert_eq!(ended(&world, other).await["state"], "done");
    assert_eq!(ended(&world, job).await["state"], "done");
    let answer = world.daemon.rpc("sync.start", params).await;
    assert!(answer["result"]["data"]["job_id"].is_i64(), "{answer}");
}

#[tokio::test]
async fn cancelled_in_the_middle() {
    let world = started(&[("WABRIDGE_FAILPOINTS", "sync.page_written=sleep:500")]).await;
    Sizes { contacts: 20_000, groups: 0, members: 0, messages: 0 }.put(&world).await;
    let job = start(&world, &["contacts"], "full").await;
    world.until_count("SELECT (count(*) > 0)::int FROM whatsapp_contact", 1, 30).await;
    let answer = world.daemon.call("sync.cancel", json!({"uid": USER, "job_id": job})).await;
    assert_eq!(answer["data"]["state"], "cancelled", "{answer}");
    let status = status(&world, job).await;
    assert_eq!(status["state"], "cancelled");
    let read = status["counts"]["contacts"]["read"].as_i64().unwrap();
    assert!(0 < read && read < 20_000, "{status}");
    let rows = world.database.count("SELECT count(*) FROM whatsapp_contact").await;
    assert!(rows < 20_000, "what was written stays, the rest is not read");
    // Once more changes nothing, and the next run begins anew.
    let answer = world.daemon.call("sync.cancel", json!({"uid": USER, "job_id": job})).await;
    assert_eq!(answer["data"]["state"], "cancelled");
    assert_eq!(world.database.count("SELECT count(*) FROM wabridge.sync_busy").await, 0);
}

#[tokio::test]
async fn who_may_and_what_is_refused() {
    let world = started(&[]).await;
    let job = start(&world, &["contacts"], "full").await;
    ended(&world, job).await;
    for (params, code) in [
        (json!({"uid": USER, "kinds": [], "mode": "full"}), 1102),
        (json!({"uid": USER, "kinds": ["contacts", "contacts"], "mode": "full"}), 1102),
        (json!({"uid": USER, "kinds": ["contacts"], "mode": "since"}), 1102),
        (
            json!({"uid": USER, "kinds": ["contacts"], "mode": "full", "since": "2026-01-01T00:00:00Z"}),
            1102,
        ),
        (
            json!({"uid": USER, "kinds": ["contacts"], "mode": "since", "since": "2999-01-01T00:00:00Z"}),
            1102,
        ),
        (
            json!({"uid": USER, "configuration_id": 987, "kinds": ["contacts"], "mode": "full"}),
            1001,
        ),
        (
            json!({"uid": ADMIN, "configuration_id": 987, "kinds": ["contacts"], "mode": "full"}),
            1002,
        ),
    ] {
        let answer = world.daemon.rpc("sync.start", params.clone()).await;
        assert_eq!(answer["error"]["code"], code, "{params}: {answer}");
    }
    world.database.execute("DELETE FROM res_users_whatsapp_configuration_rel").await;
    for method in ["sync.status", "sync.cancel"] {
        for (uid, job, code) in [(USER, job, 1001), (USER, 987_654, 1001), (ADMIN, 987_654, 1504)] {
            let answer = world.daemon.rpc(method, json!({"uid": uid, "job_id": job})).await;
            assert_eq!(answer["error"]["code"], code, "{method} {uid}: {answer}");
        }
    }
    let start = json!({"uid": USER, "kinds": ["contacts"], "mode": "full"});
    let answer = world.daemon.rpc("sync.start", start).await;
    assert_eq!(answer["error"]["code"], 1003, "{answer}");
}

/// A provider that refuses ends the run with its words; one that asks to slow down is heeded.
#[tokio::test]
async fn a_provider_in_trouble() {
    let world = started(&[]).await;
    Sizes { contacts: 700, groups: 2, members: 6, messages: 0 }.put(&world).await;
    world
        .fault(json!({"operation": "contacts.list", "status": 429, "retry_after": 1, "times": 2}))
        .await;
    let status = done(&world, &["contacts"], "full").await;
    assert!(status["counts"]["contacts"]["created"].as_i64().unwrap() >= 700, "{status}");

    world.fault(json!({"operation": "contacts.list", "status": 403})).await;
    let job = start(&world, &["contacts", "groups"], "full").await;
    let status = ended(&world, job).await;
    assert_eq!(status["state"], "failed", "{status}");
    assert!(!status["errors"].as_array().unwrap().is_empty(), "{status}");
    assert_eq!(status["counts"]["groups"]["created"], 2, "the other kind was read: {status}");
    let sql = format!("SELECT error_message FROM whatsapp_sync_run WHERE id = {job}");
    assert!(world.database.text(&sql).await.unwrap().starts_with("contacts: "));
}

/// Whom the database refuses stands alone as an error of the run; the rest of the page is written.
#[tokio::test]
async fn one_that_the_database_refuses() {
    let world = started(&[]).await;
    Sizes { contacts: 60, groups: 0, members: 0, messages: 0 }.put(&world).await;
    world
        .database
        .execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF NEW.phone = '+447700000041' THEN RAISE EXCEPTION 'not this one' USING ERRCODE = 'check_violation'; END IF;
                RETURN NEW; END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON whatsapp_contact FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        .await;
    let status = done(&world, &["contacts"], "full").await;
    let counts = &status["counts"]["contacts"];
    assert_eq!(counts["errors"], 1, "{status}");
    assert_eq!(
        counts["created"].as_i64(),
        counts["read"].as_i64().map(|read| read - 1),
        "{status}"
    );
    let errors = status["errors"].as_array().unwrap();
    assert!(errors.len() == 1 && errors[0].as_str().unwrap().contains("not this one"), "{status}");
    assert_eq!(
        world
            .database
            .count("SELECT count(*) FROM whatsapp_contact WHERE phone = '+447700000041'")
            .await,
        0
    );
}

#[tokio::test]
async fn in_odoo_19() {
    let database = TestDatabase::new(Series::Odoo19).await;
    let mut world = World::around(database, "", &[]).await;
    world.database.execute("UPDATE whatsapp_configuration SET pace_per_second = 0").await;
    Sizes { contacts: 40, groups: 2, members: 6, messages: 30 }.put(&world).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    let first = done(&world, &ALL, "full").await;
    assert_eq!(first["counts"]["messages"]["created"], 30, "{first}");
    let before = traces(&world.database).await;
    done(&world, &ALL, "full").await;
    assert_eq!(traces(&world.database).await, before);
}
