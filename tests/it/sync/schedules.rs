//! Schedules begin runs by the daemon's own clock.

use super::{Sizes, ended, prepared, start};
use crate::support::World;

const SERVICE: &str = "INSERT INTO whatsapp_sync_service (name, configuration_id, sync_type, mode, is_active, interval,
    create_uid, create_date, write_uid, write_date)
    SELECT 'hourly', 1, 'contacts', 'incremental', true, 60, 2, at, 2, at FROM (SELECT now() AT TIME ZONE 'UTC' - interval '";
const END: &str = "' AS at) t";

async fn run(world: &mut World) {
    world.daemon.run();
    world.daemon.wait_ready().await;
}

#[tokio::test]
async fn a_schedule_that_is_due() {
    let mut world = prepared(&[]).await;
    Sizes { contacts: 40, groups: 2, members: 4, messages: 0 }.put(&world).await;
    let database = &world.database;
    database.execute(&format!("{SERVICE}2 hours{END}")).await;
    database.execute(&format!("{SERVICE}1 minute{END}")).await;
    run(&mut world).await;
    let other = world.replica("", &[]).await;
    let written = "SELECT count(*) FROM whatsapp_sync_service WHERE sync_count = 1 AND last_sync IS NOT NULL AND error_log IS NULL";
    world.until_count(written, 1, 60).await;
    let runs = "SELECT string_agg(concat_ws('|', state, kinds, mode, service_id, user_id), ' ') FROM whatsapp_sync_run";
    assert_eq!(world.database.text(runs).await.unwrap(), "done|contacts|incremental|1");
    // The next one is due when somebody moves the clock, also for the other daemon.
    world.daemon.kill();
    world.database.execute("UPDATE whatsapp_sync_service SET last_sync = last_sync - interval '61 minutes' WHERE id = 1").await;
    world.until_count("SELECT count(*) FROM whatsapp_sync_run WHERE state = 'done'", 2, 60).await;
    drop(other);
}

#[tokio::test]
async fn asked_for_in_odoo() {
    let mut world = prepared(&[]).await;
    Sizes { contacts: 40, groups: 2, members: 4, messages: 6 }.put(&world).await;
    let sql = "INSERT INTO whatsapp_sync_service (name, configuration_id, sync_type, mode, is_active, interval, requested_at,
        requested_by, create_uid, create_date, write_uid, write_date)
        SELECT 'asked', 1, 'all', 'full', false, 0, at, 5, 5, at, 5, at FROM (SELECT now() AT TIME ZONE 'UTC' AS at) t";
    world.database.execute(sql).await;
    run(&mut world).await;
    world.until_count("SELECT count(*) FROM whatsapp_sync_run WHERE state = 'done' AND user_id = 5 AND kinds = 'contacts,groups,messages'", 1, 60).await;
    let waiting = "SELECT count(*) FROM whatsapp_sync_service WHERE requested_at IS NOT NULL OR requested_by IS NOT NULL";
    world.until_count(waiting, 0, 10).await;
}

/// A schedule whose kind is in work is left out, not queued behind it.
#[tokio::test]
async fn a_kind_in_work_is_left_out() {
    let mut world = prepared(&[("WABRIDGE_FAILPOINTS", "sync.page_written=sleep:1000")]).await;
    Sizes { contacts: 2_600, groups: 0, members: 0, messages: 0 }.put(&world).await;
    run(&mut world).await;
    let job = start(&world, &["contacts"], "full").await;
    world.database.execute(&format!("{SERVICE}2 hours{END}")).await;
    world
        .until_count("SELECT (coalesce(max(pages), 0) >= 4)::int FROM wabridge.sync_step", 1, 60)
        .await;
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_sync_run").await, 1);
    assert_eq!(ended(&world, job).await["state"], "done");
    world
        .until_count("SELECT count(*) FROM whatsapp_sync_run WHERE service_id IS NOT NULL", 1, 60)
        .await;
}

/// An account that cannot be asked leaves its reason, once an interval.
#[tokio::test]
async fn an_account_without_a_token() {
    let mut world = prepared(&[]).await;
    world.database.execute("UPDATE whatsapp_configuration SET token = NULL").await;
    world.database.execute(&format!("{SERVICE}2 hours{END}")).await;
    run(&mut world).await;
    let told = "SELECT count(*) FROM whatsapp_sync_service WHERE error_log LIKE '%token%' AND last_sync IS NOT NULL";
    world.until_count(told, 1, 60).await;
    assert_eq!(world.database.count("SELECT count(*) FROM whatsapp_sync_run").await, 0);
}
