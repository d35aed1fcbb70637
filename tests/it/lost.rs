//! What was answered 200 is in Odoo exactly once, whatever happens between the daemon and its database: sessions
//! ended, connections reset or swallowed, no room on the database's disk.

use std::time::Duration;

use wabridge_testkit::{Dice, OwnCluster, Series, TestDatabase, eventually};

use crate::support::World;
use crate::support::flow::{Flow, missing_and_doubled};
use crate::support::proxy::Proxy;
use crate::support::world::number;

const QUIET: [(&str, &str); 1] = [("WABRIDGE__LOG__FILTER", "info")];
const CONNECTIONS: usize = 8;

/// Everything that came is applied, without help.
async fn settled(world: &World) {
    eventually("the daemon is ready again", 30, async || {
        let url = format!("{}/health/ready", world.daemon.private_url);
        let answer = world.daemon.http.get(url).send().await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
    world.until_count("SELECT count(*) FROM wabridge.journal_pending", 0, 60).await;
}

/// Waits until the flow flows again.
async fn flows(flow: &Flow) {
    let before = flow.so_far().0;
    eventually("webhooks are taken again", 30, async || {
        (flow.so_far().0 > before + 20).then_some(())
    })
    .await;
}

async fn verdict(world: &World, flow: Flow, what: &str) {
    let (acked, refused) = flow.end().await;
    settled(world).await;
    let found = missing_and_doubled(&world.database, &acked).await;
    eprintln!("{what}: {} answered 200, {refused} refused or unanswered", acked.len());
    assert_eq!(found, (0, 0), "of {} (missing, doubled)", acked.len());
    assert!(acked.len() > 100 && refused > 0, "{} and {refused}: nothing happened", acked.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_ended_under_load() {
    let mut dice = Dice::new(number("CRASH_SEED", 1));
    let world = World::with("", &QUIET).await;
    let flow = Flow::start(&world.daemon.public_url, CONNECTIONS, 20);
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(200 + dice.throw(600))).await;
        world
            .database
            .execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'wabridge'")
            .await;
        flows(&flow).await;
    }
    verdict(&world, flow, "ended sessions").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_network_to_the_database_fails_under_load() {
    let mut dice = Dice::new(number("CRASH_SEED", 1));
    let mut database = TestDatabase::new(Series::Odoo14).await;
    let port = database.url.split(':').nth(2).and_then(|rest| rest.split('/').next());
    let port: u16 = port.and_then(|port| port.parse().ok()).expect("the URL has a port");
    let proxy = Proxy::before(port).await;
    database.url = database.url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port));
    let mut world = World::around(database, "", &QUIET).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    let flow = Flow::start(&world.daemon.public_url, CONNECTIONS, 20);
    for round in 0..4 {
        tokio::time::sleep(Duration::from_millis(200 + dice.throw(600))).await;
        if round % 2 == 1 {
            // Nobody is told that bytes go nowhere; then everything is reset.
            proxy.swallow();
            tokio::time::sleep(Duration::from_secs(2)).await;
            proxy.flow();
        }
        proxy.cut();
        flows(&flow).await;
    }
    verdict(&world, flow, "a failing network").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_room_on_the_databases_disk() {
    let server = OwnCluster::small(400);
    let database = TestDatabase::on(server.cluster, Series::Odoo14).await;
    let mut world = World::around(database, "", &QUIET).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    let flow = Flow::start(&world.daemon.public_url, CONNECTIONS, 3000);
    for _ in 0..2 {
        flows(&flow).await;
        tokio::task::block_in_place(|| server.fill());
        let before = flow.so_far().1;
        eventually("webhooks are refused", 30, async || {
            (flow.so_far().1 > before + 50).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        tokio::task::block_in_place(|| {
            server.free();
            // Where its log found no room, PostgreSQL itself may have ended; who frees the disk starts it.
            if !server.answers() {
                server.crash();
                server.run();
            }
        });
    }
    flows(&flow).await;
    world.database.reconnect().await;
    assert!(
        world.database.log().iter().any(|line| line.contains("No space left on device")),
        "the disk was full"
    );
    verdict(&world, flow, "a full disk").await;
    drop(world);
}

/// The negative control: with commits that do not wait for the disk, the same crash loses something.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_do_not_wait_are_found_out() {
    let server = OwnCluster::start();
    let database = TestDatabase::on(server.cluster, Series::Odoo14).await;
    database.execute("ALTER SYSTEM SET wal_writer_delay = '10s'").await;
    database
        .execute(
            "SELECT pg_reload_conf();
             CREATE FUNCTION do_not_wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 PERFORM set_config('synchronous_commit', 'off', true); RETURN NULL;
             END $$;
             CREATE TRIGGER do_not_wait BEFORE INSERT ON wabridge.journal FOR EACH STATEMENT EXECUTE FUNCTION do_not_wait();
             CREATE TRIGGER do_not_wait BEFORE INSERT ON bus_bus FOR EACH STATEMENT EXECUTE FUNCTION do_not_wait()",
        )
        .await;
    let mut world = World::around(database, "", &QUIET).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    let flow = Flow::start(&world.daemon.public_url, CONNECTIONS, 20);
    eventually("enough was taken", 60, async || (flow.so_far().0 > 200).then_some(())).await;
    tokio::task::block_in_place(|| server.crash());
    let (acked, _) = flow.end().await;
    tokio::task::block_in_place(|| server.run());
    world.database.reconnect().await;
    settled(&world).await;
    let (missing, _) = missing_and_doubled(&world.database, &acked).await;
    assert!(missing > 0, "of {} nothing was lost", acked.len());
    drop(world);
}
