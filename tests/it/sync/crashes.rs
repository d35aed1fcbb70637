//! Killed runs go on where they were; with several daemons each run has one worker.

use wabridge_testkit::eventually;

use super::{Sizes, done, ended, prepared, start, traces};
use crate::support::World;

const SIZES: Sizes = Sizes { contacts: 2_600, groups: 250, members: 1_500, messages: 1_100 };

async fn killed_at(point: &str) -> World {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let hold = folder.path().join("hold");
    std::fs::write(&hold, b"").expect("a file can be made");
    let points = format!("{point}=pause:{}", hold.display());
    let mut world = prepared(&[("WABRIDGE_FAILPOINTS", &points)]).await;
    SIZES.put(&world).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    let job = start(&world, &["contacts", "groups", "messages"], "full").await;
    let reached = folder.path().join("hold.reached");
    eventually(&format!("{point} is reached"), 60, async || reached.exists().then_some(())).await;
    world.daemon.kill();
    std::fs::remove_file(&hold).expect("the file is there");
    world.daemon.run();
    world.daemon.wait_ready().await;
    let status = ended(&world, job).await;
    assert_eq!(status["state"], "done", "{point}: {status}");
    let counts = &status["counts"];
    // A page counts once: with its rows, or not at all.
    assert_eq!(counts["messages"]["created"], SIZES.messages, "{point}: {status}");
    assert_eq!(counts["groups"]["created"], SIZES.groups, "{point}: {status}");
    assert_eq!(counts["groups"]["read"], SIZES.groups, "{point}: {status}");
    let before = traces(&world.database).await;
    done(&world, &["contacts", "groups", "messages"], "full").await;
    assert_eq!(traces(&world.database).await, before, "{point}: nothing was missing");
    world
}

#[tokio::test]
async fn killed_with_a_page_in_hand() {
    killed_at("sync.page_read").await;
}

#[tokio::test]
async fn killed_before_a_page_was_committed() {
    killed_at("sync.before_commit").await;
}

#[tokio::test]
async fn killed_after_a_page_was_committed() {
    killed_at("sync.page_written").await;
}

#[tokio::test]
async fn killed_before_the_end_is_noted() {
    killed_at("sync.before_end").await;
}

/// Two daemons: no page is read twice, and who lives goes on for who was killed.
#[tokio::test]
async fn two_daemons() {
    let mut world = prepared(&[("WABRIDGE_FAILPOINTS", "sync.page_written=sleep:300")]).await;
    Sizes { contacts: 6_000, groups: 0, members: 0, messages: 0 }.put(&world).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    let other = world.replica("", &[("WABRIDGE_FAILPOINTS", "sync.page_written=sleep:300")]).await;
    let job = start(&world, &["contacts"], "full").await;
    let sql = "SELECT (coalesce(max(pages), 0) >= 3)::int FROM wabridge.sync_step";
    world.until_count(sql, 1, 60).await;
    world.daemon.kill();
    drop(std::mem::replace(&mut world.daemon, other));
    let status = ended(&world, job).await;
    assert_eq!(status["state"], "done", "{status}");
    let asked = world.simulator.requests("/contacts").await;
    let mut offsets: Vec<&str> = asked.iter().filter_map(|call| call["query"].as_str()).collect();
    let all = offsets.len();
    offsets.sort_unstable();
    offsets.dedup();
    assert!(all <= offsets.len() + 1, "only the page at the kill may be read twice: {asked:?}");
}
