//! What the daemon's role can do, tried: every table × every column × every right, as that role.

use std::collections::BTreeSet;

use wabridge_store::schema::{self, Right, Table};
use wabridge_store::{Database, Options, grants, rights};
use wabridge_testkit::database::{ROLE, connect};
use wabridge_testkit::{Series, TestDatabase};

/// Tries each right on each column of each table of schema public and keeps what was not refused. Nothing is changed:
/// rights are checked before a statement that is only explained would run.
const TRY_ALL: &str = r"
    CREATE TEMP TABLE allowed (what text);
    DO $$
    DECLARE
        tried record;
        sql text;
    BEGIN
        FOR tried IN
            SELECT c.relname, a.attname, r.word
            FROM pg_class c
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE')) AS r(word)
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
            UNION ALL
            SELECT c.relname, NULL, 'DELETE' FROM pg_class c
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
            UNION ALL
            SELECT c.relname, NULL, 'TRUNCATE' FROM pg_class c
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
            UNION ALL
            SELECT c.relname, NULL, 'USAGE' FROM pg_class c
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'S'
        LOOP
            sql := CASE tried.word
                WHEN 'SELECT' THEN format('EXPLAIN SELECT %I FROM public.%I', tried.attname, tried.relname)
                WHEN 'INSERT' THEN format('EXPLAIN INSERT INTO public.%I (%I) VALUES (DEFAULT)', tried.relname, tried.attname)
                WHEN 'UPDATE' THEN format('EXPLAIN UPDATE public.%I SET %I = DEFAULT', tried.relname, tried.attname)
                WHEN 'DELETE' THEN format('EXPLAIN DELETE FROM public.%I', tried.relname)
                WHEN 'TRUNCATE' THEN format('TRUNCATE public.%I', tried.relname)
                WHEN 'USAGE' THEN format('SELECT nextval(%L)', 'public.' || quote_ident(tried.relname))
            END;
            BEGIN
                EXECUTE sql;
                INSERT INTO allowed VALUES (concat_ws('.', tried.relname, tried.attname) || ' ' || tried.word);
            EXCEPTION WHEN insufficient_privilege THEN
                NULL;
            END;
        END LOOP;
    END $$";

fn listed(tables: &[Table], series: Series) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for table in tables {
        for right in Right::ALL {
            let optional =
                table.optional().filter(|_| right == Right::Read && series == Series::Odoo14);
            for column in table.with(right).chain(optional) {
                all.insert(format!("{}.{column} {}", table.name, right.word()));
            }
        }
        if table.delete {
            all.insert(format!("{} DELETE", table.name));
        }
        all.extend(table.sequence().map(|sequence| format!("{sequence} USAGE")));
    }
    all
}

fn store(database: &TestDatabase) -> Database {
    Database::new(&database.name, &database.url, None, &Options::default())
        .expect("the test's URL is well formed")
}

#[tokio::test]
async fn the_role_can_do_what_is_listed_and_nothing_else() {
    for series in [Series::Odoo14, Series::Odoo19] {
        let database = TestDatabase::new(series).await;
        // Tables that are none of its business, with what people keep in them.
        database
            .execute(
                "CREATE TABLE public.account_move (id serial PRIMARY KEY, amount_total numeric);
                 CREATE VIEW public.report_of_sales AS SELECT id, amount_total FROM public.account_move",
            )
            .await;
        let client = connect(&database.url).await;
        client.batch_execute(TRY_ALL).await.unwrap();
        let rows = client.query("SELECT what FROM allowed", &[]).await.unwrap();
        let allowed: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
        let listed = listed(schema::COLUMNS, series);
        let more: Vec<_> = allowed.difference(&listed).collect();
        let less: Vec<_> = listed.difference(&allowed).collect();
        assert!(
            more.is_empty() && less.is_empty(),
            "{series:?}: too much {more:?}, too little {less:?}"
        );
        for sql in [
            "SELECT email FROM res_partner",
            "SELECT * FROM res_partner",
            "SELECT password FROM res_users",
            "UPDATE res_users SET active = false",
            "UPDATE whatsapp_configuration SET name = 'x'",
            "DELETE FROM whatsapp_configuration",
            "UPDATE whatsapp_audit_log SET success = true",
            "DELETE FROM phone_blacklist",
            "CREATE TABLE public.mine (id int)",
            "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE SEQUENCE public.mine",
            "CREATE SCHEMA mine",
            "CREATE EXTENSION dblink",
            "CREATE ROLE mine",
            "ALTER TABLE whatsapp_message DISABLE TRIGGER ALL",
            "SET ROLE odoo",
            "COPY (SELECT 1) TO PROGRAM 'true'",
            "SELECT pg_read_file('/etc/passwd')",
        ] {
            let error = client.batch_execute(sql).await.expect_err(sql);
            assert_eq!(
                error.code(),
                Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE),
                "{sql}: {error:?}"
            );
        }
        let found = rights::compare(&store(&database)).await.unwrap();
        assert!(found.missing.is_empty() && found.excess.is_empty(), "{found:?}");
        assert_eq!(found.excess_in_short(), None);
    }
}

/// What was granted by hand or by an earlier version goes; running statements never meet a moment without rights.
#[tokio::test]
async fn applying_the_grants_again_takes_back_what_is_not_needed() {
    let database = TestDatabase::new(Series::Odoo14).await;
    database
        .execute(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON phone_blacklist TO wabridge;
             GRANT SELECT ON res_partner TO wabridge;
             GRANT UPDATE (login) ON res_users TO wabridge;
             GRANT TRUNCATE ON whatsapp_chat TO wabridge;
             GRANT USAGE ON res_users_id_seq TO wabridge;
             GRANT CREATE ON SCHEMA public TO wabridge;
             REVOKE INSERT (content) ON whatsapp_message FROM wabridge;
             REVOKE DELETE ON whatsapp_outbox_in FROM wabridge;
             REVOKE SELECT (name) ON res_partner FROM wabridge;
             REVOKE USAGE ON bus_bus_id_seq FROM wabridge;
             REVOKE SELECT ON ir_config_parameter FROM wabridge",
        )
        .await;
    let store = store(&database);
    let found = rights::compare(&store).await.unwrap();
    let has = |list: &[rights::Difference], what: &str| list.iter().any(|d| d.what.contains(what));
    for what in [
        "SELECT res_partner (",
        "UPDATE res_users (login)",
        "TRUNCATE whatsapp_chat",
        "USAGE res_users_id_seq",
        "objects in schema public",
        "DELETE phone_blacklist",
    ] {
        assert!(has(&found.excess, what), "{what}: {found:#?}");
    }
    for what in [
        "DELETE whatsapp_outbox_in",
        "USAGE bus_bus_id_seq",
        "SELECT ir_config_parameter (key, value)",
    ] {
        assert!(has(&found.missing, what), "{what}: {found:#?}");
    }
    assert!(found.excess_in_short().is_some_and(|text| text.contains("more")), "{found:?}");

    // A daemon at work all the while: not one statement of it is refused.
    let client = connect(&database.url).await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let at_work = tokio::spawn(async move {
        let mut ran = 0_u64;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) || ran == 0 {
            client
                .query("SELECT id, status FROM whatsapp_message WHERE id = 1", &[])
                .await
                .unwrap();
            ran += 1;
        }
        ran
    });
    // As the addon does it: by Odoo's role, in one transaction.
    let odoo = database.odoo().await;
    let sql = grants::addon_part(schema::COLUMNS).replace(":role", &grants::quote(ROLE));
    for _ in 0..5 {
        odoo.batch_execute(&format!("BEGIN; {sql}; COMMIT")).await.unwrap();
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(at_work.await.unwrap() > 0);
    let found = rights::compare(&store).await.unwrap();
    assert!(found.missing.is_empty(), "{found:#?}");
    // What is none of the addon's business is left, and its cure is said.
    assert_eq!(found.excess.len(), 1, "{found:#?}");
    assert!(found.excess[0].what.contains("schema public"));
    database.execute(&found.excess[0].cure).await;
    assert!(rights::compare(&store).await.unwrap().excess.is_empty());
    // Odoo 16 and later says this of each database that it makes; the administrator's part takes it back.
    database.execute("GRANT CREATE ON SCHEMA public TO PUBLIC").await;
    assert_eq!(rights::compare(&store).await.unwrap().excess.len(), 1);
    database.execute(&grants::sql(ROLE, "odoo")).await;
    assert!(rights::compare(&store).await.unwrap().excess.is_empty());
    odoo.batch_execute("CREATE TABLE public.of_an_addon (id int)").await.unwrap();
}

/// The SQL that is shown with a difference ends it.
#[tokio::test]
async fn each_cure_cures() {
    let database = TestDatabase::new(Series::Odoo19).await;
    database
        .execute(
            "GRANT SELECT, REFERENCES ON whatsapp_message TO wabridge;
             GRANT SELECT ON res_company TO PUBLIC;
             GRANT ALL ON res_groups TO wabridge;
             GRANT CREATE ON SCHEMA public TO PUBLIC;
             GRANT UPDATE, SELECT ON SEQUENCE res_users_id_seq TO wabridge;
             REVOKE UPDATE ON whatsapp_account_state FROM wabridge;
             REVOKE USAGE ON whatsapp_chat_id_seq FROM wabridge;
             REVOKE DELETE ON whatsapp_outbox_in FROM wabridge",
        )
        .await;
    let store = store(&database);
    let found = rights::compare(&store).await.unwrap();
    assert!(found.missing.len() >= 3 && found.excess.len() >= 8, "{found:#?}");
    for difference in found.missing.iter().chain(&found.excess) {
        database.execute(&difference.cure).await;
    }
    let found = rights::compare(&store).await.unwrap();
    assert!(found.missing.is_empty() && found.excess.is_empty(), "{found:#?}");
}

#[tokio::test]
async fn a_superuser_is_told_as_one() {
    let database = TestDatabase::new(Series::Odoo14).await;
    let url = database.url.replacen("wabridge@", "postgres@", 1);
    let store = Database::new(&database.name, &url, None, &Options::default()).unwrap();
    let found = rights::compare(&store).await.unwrap();
    assert!(found.superuser && found.excess_in_short().is_some_and(|t| t.contains("superuser")));
}
