//! Migrations, the fit of the addon's schema and the identity of a database, on a real PostgreSQL.

use wabridge_store::migrations::{self, State};
use wabridge_store::schema::{self, Fit};
use wabridge_store::{Database, Options, meta};
use wabridge_testkit::{Series, TestDatabase};

fn store(database: &TestDatabase) -> Database {
    Database::new(&database.name, &database.url, None, &Options::default())
        .expect("the test's URL is well formed")
}

#[tokio::test]
async fn migrate_is_repeatable_and_runs_as_the_daemons_role() {
    let database = TestDatabase::unmigrated(Series::Odoo14).await;
    let store = store(&database);
    assert_eq!(migrations::state(&store).await.unwrap(), State::Absent);
    let ran = migrations::migrate(&store).await.unwrap();
    assert_eq!(ran.first(), Some(&"initial"));
    let kept = "SELECT count(*) FROM wabridge.schema_migration WHERE checksum <> ''";
    assert_eq!(database.count(kept).await, i64::try_from(ran.len()).unwrap());
    assert_eq!(migrations::state(&store).await.unwrap(), State::Current);
    assert!(migrations::migrate(&store).await.unwrap().is_empty());
    let partitions = database
        .count("SELECT count(*) FROM pg_inherits WHERE inhparent = 'wabridge.journal'::regclass")
        .await;
    assert_eq!(partitions, 5, "yesterday to three days ahead");
    database.execute("UPDATE wabridge.schema_migration SET checksum = 'other'").await;
    assert_eq!(migrations::state(&store).await.unwrap(), State::Altered(1));
    assert!(migrations::migrate(&store).await.unwrap_err().to_string().contains("another build"));
}

#[tokio::test]
async fn one_version_ahead_is_worked_with_and_two_are_not() {
    let database = TestDatabase::new(Series::Odoo14).await;
    let store = store(&database);
    let later = |version: i32| {
        format!(
            "INSERT INTO wabridge.schema_migration (version, name, checksum) VALUES ({version}, 'later', 'x')"
        )
    };
    let next = migrations::VERSION + 1;
    database.execute(&later(next)).await;
    assert_eq!(migrations::state(&store).await.unwrap(), State::Ahead(next));
    assert!(migrations::migrate(&store).await.unwrap().is_empty());
    database.execute(&later(next + 1)).await;
    assert_eq!(migrations::state(&store).await.unwrap(), State::Newer(next + 1));
    let refused = migrations::migrate(&store).await.unwrap_err().to_string();
    assert!(refused.contains("start the later program"), "{refused}");
}

#[tokio::test]
async fn the_addons_schema_fits_on_both_series() {
    for series in [Series::Odoo14, Series::Odoo19] {
        let database = TestDatabase::new(series).await;
        let store = store(&database);
        let fit = schema::verify(&store).await.unwrap();
        assert!(matches!(fit, Fit::Fits { .. }), "{series:?}: {fit:?}");
        database.execute("ALTER TABLE whatsapp_message DROP COLUMN request_id").await;
        let Fit::Differs(lines) = schema::verify(&store).await.unwrap() else {
            panic!("must differ")
        };
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].contains("whatsapp_message.request_id")
                && lines[0].contains("-u whatsapp_integration")
        );
        database.execute("UPDATE ir_module_module SET state = 'uninstalled' WHERE name = 'whatsapp_integration'").await;
        let Fit::Differs(lines) = schema::verify(&store).await.unwrap() else {
            panic!("must differ")
        };
        assert!(lines[0].contains("uninstalled"), "{lines:?}");
    }
}

#[tokio::test]
async fn a_copy_is_told_from_the_original() {
    let database = TestDatabase::new(Series::Odoo14).await;
    let store = store(&database);
    let here = meta::identity(&store).await.unwrap();
    assert_eq!(
        meta::judge(meta::load(&store).await.unwrap().adopted.as_ref(), &here),
        meta::Verdict::New
    );
    meta::adopt(&store, &here).await.unwrap();
    let meta_row = meta::load(&store).await.unwrap();
    assert_eq!(
        meta::judge(meta_row.adopted.as_ref(), &here),
        meta::Verdict::Same { renamed: false }
    );
    database
        .execute("UPDATE ir_config_parameter SET value = 'another' WHERE key = 'database.uuid'")
        .await;
    let now = meta::identity(&store).await.unwrap();
    assert!(matches!(meta::judge(meta_row.adopted.as_ref(), &now), meta::Verdict::Copy(_)));
    meta::hold(&store, "a copy").await.unwrap();
    assert_eq!(meta::load(&store).await.unwrap().held_reason.as_deref(), Some("a copy"));
}

#[tokio::test]
async fn the_role_cannot_do_more_than_its_grants() {
    let database = TestDatabase::new(Series::Odoo14).await;
    let client = wabridge_testkit::database::connect(&database.url).await;
    for sql in [
        "SELECT password FROM res_users",
        "UPDATE res_users SET active = false",
        "UPDATE whatsapp_configuration SET name = 'x'",
        "DELETE FROM whatsapp_configuration",
        "SELECT email FROM res_partner",
        "CREATE TABLE public.mine (id int)",
    ] {
        let error = client.batch_execute(sql).await.expect_err(sql);
        assert_eq!(
            error.code(),
            Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE),
            "{sql}: {error:?}"
        );
    }
    client.batch_execute("SELECT id, active FROM res_users").await.unwrap();
}
