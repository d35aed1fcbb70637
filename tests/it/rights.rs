//! The rights of the daemon's role, as the operator meets them: the log at the start, and `doctor`.

use wabridge_testkit::daemon::WHAPI_TOKEN;
use wabridge_testkit::{Daemon, Series, Simulator, TestDatabase, eventually};

use crate::support::Settings;
use crate::support::world::credentials;

/// Some of each kind that is not needed: by table, by column, over PUBLIC, beside tables.
const TOO_MUCH: &str = "GRANT SELECT ON res_partner TO wabridge;
    GRANT UPDATE (login) ON res_users TO wabridge;
    GRANT SELECT ON res_company TO PUBLIC;
    GRANT TRUNCATE ON whatsapp_chat TO wabridge;
    GRANT CREATE ON SCHEMA public TO wabridge";

#[tokio::test]
async fn the_start_warns_of_what_the_role_can_do_more() {
    for (more, line) in [
        ("SELECT 1", "role wabridge may do what the daemon needs and no more"),
        (TOO_MUCH, "role wabridge may do more than the daemon needs: may SELECT res_company"),
        (
            "REVOKE DELETE ON whatsapp_outbox_in FROM wabridge",
            "role wabridge may not DELETE whatsapp_outbox_in: GRANT DELETE ON whatsapp_outbox_in TO \"wabridge\";",
        ),
    ] {
        let database = TestDatabase::new(Series::Odoo14).await;
        database.execute(more).await;
        let mut daemon = Daemon::start(&[&database], &[]).await;
        eventually(line, 10, async || daemon.log().contains(line).then_some(())).await;
        let warned = daemon.log().contains("may do more than the daemon needs");
        assert_eq!(warned, more == TOO_MUCH, "{}", daemon.log());
        daemon.kill();
    }
}

#[tokio::test]
async fn doctor_shows_both_directions_with_the_sql_that_cures() {
    let database = TestDatabase::new(Series::Odoo19).await;
    let simulator = Simulator::start().await;
    credentials(&database, &simulator.url, WHAPI_TOKEN).await;
    let settings = Settings::of(&database.name, &database.url, "");
    database.execute(TOO_MUCH).await;
    database
        .execute(
            "REVOKE INSERT ON whatsapp_event FROM wabridge; REVOKE USAGE ON whatsapp_chat_id_seq FROM wabridge",
        )
        .await;
    let ended = settings.run(&["doctor"]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    let about = |start: &str| -> Vec<String> {
        let of = |line: &&str| line.starts_with(start) && line.contains(", rights: role wabridge ");
        ended.stdout.lines().filter(of).map(str::to_owned).collect()
    };
    let (fails, notes) = (about("FAIL"), about("note"));
    assert_eq!(fails.len(), 2, "{}", ended.stdout);
    assert_eq!(notes.len(), 5, "{}", ended.stdout);
    for line in &fails {
        let (_, cure) = line.split_once(": GRANT ").expect("a cure");
        let (cure, _) = cure.split_once(" (`wabridge grants`").expect("where all of it is");
        database.execute(&format!("GRANT {cure}")).await;
    }
    for line in &notes {
        let (_, cure) = line.split_once("which it does not need: ").expect("a cure");
        database.execute(cure).await;
    }
    let report = settings.run(&["doctor"]).await.well();
    assert!(report.contains("rights: the role has what it needs, and no more"), "{report}");
    assert!(!report.contains("role wabridge may"), "{report}");
}
