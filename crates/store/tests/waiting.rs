//! Why the messages of an account wait, as Odoo shows it.

use uuid::Uuid;
use wabridge_store::odoo::account_state;
use wabridge_store::{Database, Options, account_pace};
use wabridge_testkit::{Series, TestDatabase};

/// One message that is due, in a lane that is ready; the account paces itself, with a limit of 5 a day.
const DUE: &str = "
    INSERT INTO wabridge.outbox (configuration_id, chat_key, message_id, uid, request, position)
    VALUES (1, 'a', 1, 5, '{}', 1);
    INSERT INTO wabridge.lane (configuration_id, chat_key, ready_at) VALUES (1, 'a', now());
    INSERT INTO wabridge.account_pace (configuration_id) VALUES (1)";
/// Each changes what is there before; the first that applies is shown, so they come from the last to the first.
const REASONS: [(&str, Option<&str>); 10] = [
    ("", None),
    (
        "UPDATE wabridge.lane SET ready_at = now() + interval '1 h', gap_until = now() + interval '1 h'",
        Some("gap"),
    ),
    ("UPDATE wabridge.lane SET failing_since = now()", Some("retry")),
    (
        "INSERT INTO wabridge.media_at_provider (configuration_id, checksum, media_id) VALUES (1, 'c', 1)",
        Some("file"),
    ),
    ("UPDATE wabridge.account_pace SET tat = now() + interval '1 h'", Some("pace")),
    (
        "UPDATE wabridge.account_pace SET day = (now() AT TIME ZONE 'UTC')::date, day_count = 5",
        Some("daily_limit"),
    ),
    (
        "UPDATE wabridge.account_pace SET paused_until = now() + interval '1 h', pause_kind = 'failures'",
        Some("paused"),
    ),
    ("UPDATE wabridge.account_pace SET pause_kind = 'account_down'", Some("disconnected")),
    ("UPDATE wabridge.outbox SET position = NULL, parked = 'window'", Some("window")),
    ("DELETE FROM wabridge.outbox", None),
];

#[tokio::test]
async fn the_first_reason_is_shown_and_a_row_made_for_it() {
    for series in [Series::Odoo14, Series::Odoo19] {
        let database = TestDatabase::new(series).await;
        let store = Database::new(&database.name, &database.url, None, &Options::default())
            .expect("the test's URL is well formed");
        database.execute(DUE).await;
        let client = store.client().await.unwrap();
        for (sql, reason) in REASONS {
            database.execute(sql).await;
            let waiting = account_pace::waiting(&client, &[(1, 5)], Uuid::nil()).await.unwrap();
            let told = waiting.first().map(|one| one.reason.as_deref());
            assert_eq!(told.unwrap_or_default(), reason, "{series:?}: {sql}");
            let shown = account_state::show_waiting(&client, &waiting).await.unwrap();
            assert_eq!(shown.len(), waiting.len(), "{series:?}: {sql}");
            let again = account_pace::waiting(&client, &[(1, 5)], Uuid::nil()).await.unwrap();
            assert!(again.is_empty(), "{series:?}: shown once: {again:?}");
        }
        let row = "SELECT count(*) FROM whatsapp_account_state WHERE configuration_id = 1 AND state = 'new'
                   AND waiting_reason IS NULL AND waiting_count = 0 AND create_uid = 1 AND since IS NOT NULL";
        assert_eq!(database.count(row).await, 1, "{series:?}");
    }
}
