//! The audit log: what leaves a row, and that nobody changes one unseen.

mod attacks;
mod erasure;
mod rows;
mod sealing;

use wabridge_testkit::TestDatabase;

use crate::support::program::Finished;
use crate::support::world::until_count;
use crate::support::{World, wabridge};

/// `wabridge audit verify`.
async fn verify(world: &World, arguments: &[&str]) -> Finished {
    let arguments: Vec<&str> = ["audit", "verify"].iter().chain(arguments).copied().collect();
    wabridge(Some(&world.daemon.config_path()), &arguments).await
}

/// The line that says what is wrong; nothing else may be said to be.
async fn broken(world: &World, arguments: &[&str]) -> String {
    let finished = verify(world, arguments).await;
    assert_eq!(finished.code, Some(1), "{}{}", finished.stdout, finished.stderr);
    finished.stdout.lines().last().unwrap_or_default().to_owned()
}

/// The head that it prints.
async fn head(world: &World) -> String {
    let printed = verify(world, &[]).await.well();
    let line = printed.lines().find_map(|line| line.strip_prefix("head "));
    line.unwrap_or_else(|| panic!("no head: {printed}")).to_owned()
}

/// Rows as somebody's work leaves them.
async fn add_rows(database: &TestDatabase, count: i64) {
    let sql = format!(
        "INSERT INTO whatsapp_audit_log (operation, provider, success, response_time, error_message, timestamp,
                user_id, configuration_id, request_id, address)
         SELECT 'test.' || n, 'whapi', n % 3 > 0, n * 1.25, CASE WHEN n % 3 = 0 THEN 'refused ' || n END,
                date_trunc('second', now() AT TIME ZONE 'UTC'), 5, 1, 'r-' || n, '10.0.0.' || n
         FROM generate_series(1, {count}) AS n"
    );
    database.execute(&sql).await;
}

/// Waits until every row is in a segment.
async fn until_sealed(world: &World) {
    let sql = "SELECT count(*) FROM whatsapp_audit_log a WHERE NOT EXISTS (
                SELECT FROM wabridge.audit_segment s WHERE a.id = ANY(s.row_ids))";
    until_count(&world.database, sql, 0, 10).await;
}
