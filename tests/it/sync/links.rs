//! Invitation links of groups, which no list tells.

use std::collections::BTreeSet;

use serde_json::json;
use wabridge_testkit::daemon::WHAPI_TOKEN;
use wabridge_testkit::eventually;

use super::{Sizes, done, ended, prepared, start, started, traces};
use crate::support::World;
use crate::support::world::USER;

const GROUPS: Sizes = Sizes { contacts: 0, groups: 7, members: 21, messages: 0 };
const LINKS: &str =
    "SELECT count(*) FROM whatsapp_group WHERE invite_link LIKE 'https://chat.whatsapp.com/%'";

/// The groups whose links were asked for, in turn.
async fn asked(world: &World) -> Vec<String> {
    let requests = world.simulator.requests("/groups/").await;
    let paths = requests.iter().filter_map(|request| request["path"].as_str());
    paths.filter(|path| path.ends_with("/invite")).map(str::to_owned).collect()
}

#[tokio::test]
async fn asked_for_where_none_is_known() {
    let world = started(&[]).await;
    GROUPS.put(&world).await;
    // Not ours to invite to.
    let group =
        json!({"name": "Somebody else's", "participants": ["447700900123", "447700900999"]});
    world.simulator.control("state", json!({"token": WHAPI_TOKEN, "groups": [group]})).await;
    let database = &world.database;
    let first = done(&world, &["groups"], "full").await;
    assert_eq!(first["counts"]["groups"]["read"], 8, "{first}");
    assert_eq!(first["counts"]["groups"]["created"], 8, "{first}");
    assert_eq!(first["counts"]["groups"]["errors"], 0, "{first}");
    assert_eq!(first["errors"], json!([]), "{first}");
    assert_eq!(database.count(LINKS).await, 7);
    assert_eq!(
        database.text("SELECT name FROM whatsapp_group WHERE invite_link IS NULL").await.unwrap(),
        "Somebody else's"
    );
    let once = asked(&world).await;
    assert_eq!((once.len(), once.iter().collect::<BTreeSet<_>>().len()), (8, 8), "{once:?}");

    // Known links are not asked for again, nor is the one that was refused just now.
    let before = traces(database).await;
    for mode in ["incremental", "full"] {
        let again = done(&world, &["groups"], mode).await;
        assert_eq!(again["counts"]["groups"]["unchanged"], 8, "{again}");
    }
    assert_eq!(traces(database).await, before);
    assert_eq!(asked(&world).await, once);

    // A day later the account may have become an administrator; a link that is gone is missing too.
    database
        .execute(
            "UPDATE wabridge.group_fact SET at = at - interval '1 day' WHERE field = 'link_refused';
             UPDATE whatsapp_group SET invite_link = NULL WHERE name = 'Group 3';
             DELETE FROM wabridge.group_fact f USING whatsapp_group g
             WHERE g.id = f.group_id AND g.name = 'Group 3' AND f.field = 'invite_link'",
        )
        .await;
    done(&world, &["groups"], "incremental").await;
    assert_eq!(asked(&world).await.len(), 10);
    assert_eq!(database.count(LINKS).await, 7);
}

/// A provider that asks to slow down is heeded; one that says nothing leaves the links to the next run.
#[tokio::test]
async fn a_provider_in_trouble() {
    let world = started(&[]).await;
    GROUPS.put(&world).await;
    world.fault(json!({"operation": "group.invite", "status": 500, "times": 9})).await;
    let job = start(&world, &["groups"], "full").await;
    let status = ended(&world, job).await;
    assert_eq!(status["state"], "failed", "{status}");
    assert_eq!(status["counts"]["groups"]["created"], 7, "the list was read: {status}");
    let why = status["errors"][0].as_str().unwrap();
    assert!(why.starts_with("groups: invitation links are left to the next run"), "{status}");
    let tried = asked(&world).await;
    assert_eq!(tried.iter().collect::<BTreeSet<_>>().len(), 3, "{tried:?}");

    world
        .fault(json!({"operation": "group.invite", "status": 429, "retry_after": 1, "times": 2}))
        .await;
    done(&world, &["groups"], "full").await;
    assert_eq!(world.database.count(LINKS).await, 7);
    assert_eq!(asked(&world).await.len(), tried.len() + 9);
}

/// Who goes on after a kill asks for none that is stored; a run that is cancelled asks for no more.
#[tokio::test]
async fn killed_and_cancelled_between_two_links() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let hold = folder.path().join("hold");
    std::fs::write(&hold, b"").expect("a file can be made");
    let points = format!("sync.link_kept=pause:{}", hold.display());
    let mut world = prepared(&[("WABRIDGE_FAILPOINTS", &points)]).await;
    GROUPS.put(&world).await;
    world.daemon.run();
    world.daemon.wait_ready().await;
    let job = start(&world, &["groups"], "full").await;
    let reached = folder.path().join("hold.reached");
    eventually("a link is kept", 60, async || reached.exists().then_some(())).await;
    world.daemon.kill();
    assert_eq!(world.database.count(LINKS).await, 1);
    std::fs::remove_file(&hold).expect("the file is there");
    world.daemon.run();
    world.daemon.wait_ready().await;
    let status = ended(&world, job).await;
    assert_eq!(status["state"], "done", "{status}");
    assert_eq!(status["counts"]["groups"]["read"], 7, "the list is not read again: {status}");
    assert_eq!(world.database.count(LINKS).await, 7);
    assert_eq!(asked(&world).await.len(), 7, "each once");

    world.database.execute("UPDATE whatsapp_group SET invite_link = NULL").await;
    std::fs::remove_file(&reached).expect("the file is there");
    std::fs::write(&hold, b"").expect("a file can be made");
    world.database.execute("DELETE FROM wabridge.group_fact WHERE field = 'invite_link'").await;
    let job = start(&world, &["groups"], "full").await;
    eventually("a link is kept", 60, async || reached.exists().then_some(())).await;
    let cancel = world.daemon.call("sync.cancel", json!({"uid": USER, "job_id": job}));
    let (_, ()) = tokio::join!(cancel, async {
        let sql = "SELECT count(*) FROM wabridge.sync_run WHERE cancelled_at IS NOT NULL";
        world.until_count(sql, 1, 30).await;
        std::fs::remove_file(&hold).expect("the file is there");
    });
    assert_eq!(ended(&world, job).await["state"], "cancelled");
    assert_eq!(asked(&world).await.len(), 8);
    assert_eq!(world.database.count(LINKS).await, 1);
}
