//! A rolling upgrade: the schema goes one version ahead and two daemons are replaced one after the other while
//! webhooks and sends come in. Nothing is lost, nothing doubled, nobody is refused twice.

mod load;

use std::time::Duration;

use wabridge_testkit::daemon::WHAPI_TOKEN;
use wabridge_testkit::database::connect;
use wabridge_testkit::{Daemon, TestDatabase, eventually};

use crate::support::flow::missing_and_doubled;
use crate::support::world::{Accepted, hook};
use crate::support::{World, wabridge};
use load::{Load, Manners, balancer, ledger};

const QUIET: [(&str, &str); 1] = [("WABRIDGE__LOG__FILTER", "info")];

/// What the next program's migration does: it adds, beside everything that is there.
const NEXT: &str = "
    ALTER TABLE wabridge.journal ADD COLUMN next_mark integer;
    ALTER TABLE wabridge.outbox ADD COLUMN next_note text NOT NULL DEFAULT '';
    ALTER TABLE wabridge.attempt ADD COLUMN next_at timestamptz NOT NULL DEFAULT now();
    CREATE TABLE wabridge.next_thing (id bigint PRIMARY KEY, note text NOT NULL);";

async fn schema_version(database: &TestDatabase) -> i64 {
    database.count("SELECT max(version)::bigint FROM wabridge.schema_migration").await
}

/// Migrates as the next program's `wabridge migrate` would: in one transaction, never long in anybody's way.
async fn migrate_by(database: &TestDatabase, versions: i64) {
    let client = connect(&database.url).await;
    let to = schema_version(database).await + versions;
    let sql = format!(
        "BEGIN; SET LOCAL lock_timeout = '500ms'; {NEXT}
         INSERT INTO wabridge.schema_migration (version, name, checksum) VALUES ({to}, 'next', 'next'); COMMIT"
    );
    eventually("the next migration got its locks", 30, async || {
        let done = client.batch_execute(&sql).await;
        if done.is_err() {
            client.batch_execute("ROLLBACK").await.expect("the connection is there");
        }
        done.ok()
    })
    .await;
}

async fn knows_it_is_ahead(daemon: &Daemon) {
    eventually("the daemon sees the next schema", 15, async || {
        daemon.log().contains("one ahead of this program").then_some(())
    })
    .await;
}

/// Waits for so many more webhooks and sends.
async fn goes_on(load: &Load) {
    let (webhooks, sends) = load.so_far();
    eventually("webhooks and sends go on", 30, async || {
        let now = load.so_far();
        (now.0 > webhooks + 300 && now.1 > sends + 30).then_some(())
    })
    .await;
}

/// Waits until everything that is to come has come; what the provider took.
async fn settled(world: &World) -> Vec<Accepted> {
    world.until_count("SELECT count(*) FROM wabridge.journal_pending", 0, 60).await;
    world.until_quiet(60).await;
    world.accepted().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_daemons_are_replaced_under_load() {
    let mut world = World::with("", &QUIET).await;
    let mut second = world.replica("", &QUIET).await;
    let front = balancer([&world.daemon, &second]).await;
    hook(&world.simulator, WHAPI_TOKEN, &front).await;
    let load = Load::start([&world.daemon, &second], Manners::Good);
    goes_on(&load).await;

    migrate_by(&world.database, 1).await;
    knows_it_is_ahead(&world.daemon).await;
    knows_it_is_ahead(&second).await;
    for daemon in [&mut world.daemon, &mut second] {
        goes_on(&load).await;
        assert_eq!(daemon.terminate().await, Some(0));
        daemon.run();
        daemon.wait_ready().await;
    }
    goes_on(&load).await;
    let (webhooks, sends) = load.end().await;

    let accepted = settled(&world).await;
    assert_eq!(ledger(&sends.tried, &accepted), (0, 0, 0), "(lost, doubled, out of order)");
    assert_eq!(accepted.len(), sends.tried.len());
    let found = missing_and_doubled(&world.database, &webhooks.tried).await;
    assert_eq!(found, (0, 0), "(missing, doubled)");
    // Once the other daemon was asked, it took it.
    assert!(webhooks.most_tries <= 2, "a webhook needed {} tries", webhooks.most_tries);
    assert!(webhooks.refused > 0, "nobody noticed: nothing was replaced");
    let odd = "SELECT count(*) FROM whatsapp_message WHERE direction = 'outbound' AND (message_id IS NULL OR status IN ('failed', 'uncertain', 'queued'))";
    assert_eq!(world.database.count(odd).await, 0);
    let rows = "SELECT count(*) FROM whatsapp_message";
    let all = i64::try_from(webhooks.tried.len() + sends.tried.len()).expect("a count");
    assert_eq!(world.database.count(rows).await, all);
    for log in [world.daemon.log(), second.log()] {
        assert!(!log.contains("ERROR"), "{log}");
        assert!(!log.contains("work still open"), "{log}");
    }
}

/// The negative control: without tries at the other daemon webhooks are missing, and calls without a key are doubled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_manners_are_found_out() {
    let mut world = World::with("", &QUIET).await;
    let second = world.replica("", &QUIET).await;
    let load = Load::start([&world.daemon, &second], Manners::Bad);
    goes_on(&load).await;
    world.daemon.kill();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (webhooks, sends) = load.end().await;
    world.until_count("SELECT count(*) FROM wabridge.journal_pending", 0, 60).await;
    let (missing, _) = missing_and_doubled(&world.database, &webhooks.tried).await;
    assert!(missing > 0, "of {} webhooks none is missing", webhooks.tried.len());
    eventually("a send is found twice", 30, async || {
        let (_, doubled, _) = ledger(&sends.tried, &world.accepted().await);
        (doubled > 0).then_some(())
    })
    .await;
}

/// One version ahead is worked with; two are not, and say so.
#[tokio::test]
async fn a_schema_two_versions_ahead_is_refused() {
    let mut world = World::start().await;
    migrate_by(&world.database, 2).await;
    eventually("the daemon notices", 15, async || {
        let log = world.daemon.log();
        log.lines().find(|l| l.contains("is unavailable") && l.contains("later wabridge")).map(drop)
    })
    .await;
    let version = schema_version(&world.database).await;
    world.daemon.terminate().await;
    let words = [
        format!("has version {version}"),
        format!("knows {} and works with {} at most", version - 2, version - 1),
        "start the later program".to_owned(),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let config = world.daemon.config_path();
    wabridge(Some(&config), &["serve"]).await.badly(&words);
    wabridge(Some(&config), &["migrate"]).await.badly(&words);
}

#[test]
fn the_ledger_finds_each_mistake() {
    let one = |chat: &str, n: usize| Accepted {
        chat: chat.into(),
        text: format!("chat {chat} {n}"),
        id: String::new(),
    };
    let good = vec![one("a", 1), one("b", 1), one("a", 2)];
    let sent: Vec<String> = good.iter().map(|one| one.text.clone()).collect();
    assert_eq!(ledger(&sent, &good), (0, 0, 0));
    assert_eq!(ledger(&sent, &good[..2]), (1, 0, 0));
    assert_eq!(ledger(&sent, &[good.clone(), vec![one("b", 1)]].concat()), (0, 1, 0));
    assert_eq!(ledger(&sent, &[one("a", 2), one("b", 1), one("a", 1)]), (0, 0, 1));
}
