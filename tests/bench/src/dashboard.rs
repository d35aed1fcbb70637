//! The dashboards' queries with few and with many messages, beside the same questions asked of the messages themselves, and
//! the work of counting. The SQL is the addon's own (`dashboard_sql.py`); around the views stands what Odoo's ORM puts there.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use wabridge_testkit::{OwnCluster, Series, TestDatabase};

use crate::ingest::title;
use crate::options::Options;
use crate::place;
use crate::plan::Plan;
use crate::report::{Report, Values};

/// The accounts that the messages are spread over, and the days.
const ACCOUNTS: u64 = 10;
const DAYS: u64 = 365;
/// As the addon counts: days of one transaction, and days that are counted again in each run.
const CHUNK_DAYS: u64 = 31;
const RECENT_DAYS: u64 = 8;
const ANSWER_DAYS: u64 = 7;
/// From here on no plan may read a large table from end to end; a small table may be read whichever way is quick.
const MANY: u64 = 1_000_000;
/// Questions to the messages themselves take long: no more rounds than this.
const RAW_ROUNDS: usize = 3;

const TODAY: &str = "(now() AT TIME ZONE 'UTC')::date";
/// As the rules of records have it.
const MINE: &str =
    "(SELECT c.id FROM whatsapp_configuration c WHERE c.company_id IS NULL OR c.company_id IN (1))";

/// (what, the query of the dashboard, the same question to messages or the audit log; empty: there is no simple one)
const QUERIES: [(&str, &str, &str); 13] = [
    (
        "messages by day and direction, 30 days",
        "SELECT x.day, x.direction, sum(x.message_count) FROM whatsapp_dashboard_message x
         WHERE x.configuration_id IN {mine} AND x.day >= {today} - 29 GROUP BY 1, 2 ORDER BY 1",
        "SELECT m.timestamp::date, m.direction, count(*) FROM whatsapp_message m
         WHERE m.configuration_id IN {mine} AND m.timestamp >= {today} - 29 GROUP BY 1, 2 ORDER BY 1",
    ),
    (
        "messages by month and status, a year",
        "SELECT date_trunc('month', x.day), x.status, sum(x.message_count) FROM whatsapp_dashboard_message x
         WHERE x.configuration_id IN {mine} AND x.day >= {today} - 364 GROUP BY 1, 2 ORDER BY 1",
        "SELECT date_trunc('month', m.timestamp), m.status, count(*) FROM whatsapp_message m
         WHERE m.configuration_id IN {mine} AND m.timestamp >= {today} - 364 GROUP BY 1, 2 ORDER BY 1",
    ),
    (
        "pivot of accounts, types and directions, 30 days",
        "SELECT x.configuration_id, x.message_type, x.direction, sum(x.message_count) FROM whatsapp_dashboard_message x
         WHERE x.configuration_id IN {mine} AND x.day >= {today} - 29 GROUP BY 1, 2, 3",
        "SELECT m.configuration_id, m.message_type, m.direction, count(*) FROM whatsapp_message m
         WHERE m.configuration_id IN {mine} AND m.timestamp >= {today} - 29 GROUP BY 1, 2, 3",
    ),
    (
        "active users by type, 30 days",
        "SELECT x.user_id, x.message_type, sum(x.message_count) FROM whatsapp_dashboard_message x
         WHERE x.configuration_id IN {mine} AND x.day >= {today} - 29 AND x.user_id IS NOT NULL GROUP BY 1, 2",
        "SELECT m.user_id, m.message_type, count(*) FROM whatsapp_message m
         WHERE m.configuration_id IN {mine} AND m.timestamp >= {today} - 29 AND m.user_id IS NOT NULL GROUP BY 1, 2",
    ),
    (
        "engagement of documents, 90 days",
        "SELECT x.res_model, sum(x.sent_count), sum(x.delivered_count), sum(x.read_count), sum(x.answered_count)
         FROM whatsapp_dashboard_message x
         WHERE x.configuration_id IN {mine} AND x.day >= {today} - 89 AND x.res_model IS NOT NULL GROUP BY 1",
        "SELECT m.res_model, count(m.sent_at), count(m.delivered_at), count(m.read_at) FROM whatsapp_message m
         WHERE m.configuration_id IN {mine} AND m.timestamp >= {today} - 89 AND m.res_model IS NOT NULL GROUP BY 1",
    ),
    (
        "engagement of campaigns, 90 days",
        "SELECT x.campaign_id, sum(x.sent_count), sum(x.delivered_count), sum(x.read_count), sum(x.answered_count)
         FROM whatsapp_dashboard_message x
         WHERE x.configuration_id IN {mine} AND x.day >= {today} - 89 AND x.campaign_id IS NOT NULL GROUP BY 1",
        "SELECT r.campaign_id, count(m.sent_at), count(m.delivered_at), count(m.read_at)
         FROM whatsapp_message m JOIN whatsapp_bulk_campaign_recipient r ON r.message_id = m.id
         WHERE m.configuration_id IN {mine} AND m.timestamp >= {today} - 89 GROUP BY 1",
    ),
    (
        "cards of all accounts, 7 days",
        "SELECT x.* FROM whatsapp_dashboard_account x WHERE x.configuration_id IN {mine} AND x.period = '7'",
        "",
    ),
    (
        "cards of all accounts, 90 days",
        "SELECT x.* FROM whatsapp_dashboard_account x WHERE x.configuration_id IN {mine} AND x.period = '90'",
        "",
    ),
    (
        "time to answer by day, 30 days",
        "SELECT x.day, x.configuration_id, avg(x.median_minutes), sum(x.answers_given) FROM whatsapp_dashboard_answer x
         WHERE x.configuration_id IN {mine} AND x.day >= {today} - 29 GROUP BY 1, 2",
        "",
    ),
    (
        "users and operations, 30 days",
        "SELECT x.user_id, x.operation, sum(x.operation_count), count(DISTINCT x.active_user_id)
         FROM whatsapp_dashboard_operation x
         WHERE x.configuration_id IN {mine} AND x.day >= {today} - 29 GROUP BY 1, 2",
        "SELECT a.user_id, a.operation, count(*), count(DISTINCT a.user_id) FROM whatsapp_audit_log a
         WHERE a.configuration_id IN {mine} AND a.timestamp >= {today} - 29 GROUP BY 1, 2",
    ),
    (
        "the list behind a bar: one account, one day, its first page",
        "SELECT m.id FROM whatsapp_message m WHERE m.configuration_id IN {mine} AND m.configuration_id = 3
         AND m.timestamp >= {today} - 10 AND m.timestamp < {today} - 9 AND m.direction = 'outbound' ORDER BY m.id DESC LIMIT 80",
        "",
    ),
    (
        "and how many that list has",
        "SELECT count(*) FROM whatsapp_message m WHERE m.configuration_id IN {mine} AND m.configuration_id = 3
         AND m.timestamp >= {today} - 10 AND m.timestamp < {today} - 9 AND m.direction = 'outbound'",
        "",
    ),
    (
        "the audit lines behind a cell: one user, one day, its first page",
        "SELECT a.id FROM whatsapp_audit_log a WHERE (a.configuration_id IS NULL OR a.configuration_id IN {mine})
         AND a.user_id = 5 AND a.operation = 'message.send' AND a.timestamp >= {today} - 10 AND a.timestamp < {today} - 9
         ORDER BY a.id DESC LIMIT 80",
        "",
    ),
];

/// The addon's SQL.
struct Statements {
    views: Vec<String>,
    forget: String,
    recount: String,
    count_operations: String,
    operations_live: String,
}

/// One query with so many messages.
struct Asked {
    counted: Values,
    raw: Option<Values>,
    plan: Plan,
}

/// Everything with so many messages.
struct Size {
    messages: u64,
    counted_rows: u64,
    table: String,
    /// Seconds: the first count of everything, a run after it, the operations.
    first: f64,
    transactions: u64,
    next: f64,
    operations: f64,
    queries: Vec<Asked>,
}

/// Measures and writes the report.
pub async fn run(options: &Options) {
    let server = place::server();
    let statements = Statements::read();
    let mut sizes = vec![];
    for messages in [(options.stored / 2).min(100_000), options.stored] {
        sizes.push(measure(&server, &statements, messages, options).await);
    }
    let [few, many] = &sizes[..] else { unreachable!("two were measured") };
    let mut report = Report::default();
    tell(&mut report, few, many);
    let whole = report.whole(&title("Dashboards", options));
    if let Some(path) = &options.report {
        std::fs::write(path, &whole).expect("the report can be written");
    }
    println!("\n{whole}");
}

fn tell(report: &mut Report, few: &Size, many: &Size) {
    let (least, most) = (few.messages, many.messages);
    report.line(&format!(
        "\n{ACCOUNTS} accounts, {DAYS} days. {most} messages ({} with their indexes) become {} counted rows, {least} become {}. \
         Times are those of PostgreSQL, in ms.\n",
        many.table, many.counted_rows, few.counted_rows
    ));
    report.line(&format!(
        "| question | {most} messages | ÷ with {least} | asked of the messages | ÷ the dashboard's | messages, audit lines looked at | pages | indexes |"
    ));
    report.line("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut share = Values::default();
    for (((what, _, _), one), all) in QUERIES.iter().zip(&few.queries).zip(&many.queries) {
        let median = all.counted.median();
        let raw = all.raw.as_ref().map(Values::median);
        if let Some(raw) = raw {
            share.push(raw / median);
        }
        report.line(&format!(
            "| {what} | {} | {:.1} | {} | {} | {}, {} | {} | {} |",
            all.counted.words(1),
            median / one.counted.median(),
            all.raw.as_ref().map_or("–".into(), |values| values.words(0)),
            raw.map_or("–".into(), |raw| format!("{:.0}", raw / median)),
            all.plan.looked_at("whatsapp_message"),
            all.plan.looked_at("whatsapp_audit_log"),
            all.plan.pages,
            all.plan.indexes.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" "),
        ));
    }
    report.heading("Counting");
    report.line(&format!("| | {least} | {most} | ratio |"));
    report.line("| --- | --- | --- | --- |");
    for (what, one, all) in [
        ("all days, the first time and once a night, s", few.first, many.first),
        ("each run after it: what changed and the last days, s", few.next, many.next),
        ("the operations of all days, once, s", few.operations, many.operations),
    ] {
        report.line(&format!("| {what} | {one:.2} | {all:.2} | {:.1} |", all / one));
    }
    report.line(&format!(
        "\nThe first count of {most} messages was {} transactions, {:.2} s each. No query of a dashboard read messages or the audit log from end to end.",
        many.transactions,
        many.first / float(many.transactions)
    ));
    report.target(
        &format!("the messages themselves ÷ the counted days, {most} messages"),
        "–",
        "–",
        &share.words(0),
    );
}

async fn measure(
    server: &OwnCluster,
    statements: &Statements,
    messages: u64,
    options: &Options,
) -> Size {
    let database = TestDatabase::on(server.cluster, Series::Odoo14).await;
    let begun = Instant::now();
    fill(&database, messages).await;
    for view in &statements.views {
        database.execute(view).await;
    }
    println!("{messages} messages made in {:.0} s", begun.elapsed().as_secs_f64());
    // As the addon does, see ADR 12.
    database.execute("SET jit = off").await;
    let (transactions, first) = count(&database, statements, DAYS).await;
    database.execute("VACUUM ANALYZE whatsapp_message_count").await;
    let (_, next) = count(&database, statements, RECENT_DAYS).await;
    let operations = count_operations(&database, statements).await;
    database.execute("VACUUM ANALYZE whatsapp_operation_count").await;
    check(&database, messages).await;
    println!(
        "{messages}: counted in {first:.1} s, again {next:.1} s, operations {operations:.1} s"
    );
    let mut queries = vec![];
    for (what, counted, raw) in QUERIES {
        let asked = ask(&database, what, counted, raw, messages, options.rounds).await;
        println!(
            "{messages}: {what}: {} ms, messages themselves {} ms",
            asked.counted.words(1),
            asked.raw.as_ref().map_or("–".into(), |values| values.words(1))
        );
        queries.push(asked);
    }
    let rows = database.count("SELECT count(*) FROM whatsapp_message_count").await;
    Size {
        messages,
        counted_rows: u64::try_from(rows).expect("a count is not negative"),
        table: database
            .text("SELECT pg_size_pretty(pg_total_relation_size('whatsapp_message'))")
            .await
            .expect("it has a size"),
        first,
        transactions,
        next,
        operations,
        queries,
    }
}

async fn ask(
    database: &TestDatabase,
    what: &str,
    counted: &str,
    raw: &str,
    messages: u64,
    rounds: usize,
) -> Asked {
    let whole = |sql: &str| sql.replace("{mine}", MINE).replace("{today}", TODAY);
    let (counted, raw) = (whole(counted), whole(raw));
    let plan = Plan::of(database, &counted).await;
    if messages >= MANY {
        for table in ["whatsapp_message", "whatsapp_audit_log"] {
            assert!(
                !plan.sequential.contains(table),
                "{what} reads the whole of {table}: {plan:?}"
            );
        }
    }
    let mut asked = Asked { counted: time(database, &counted, rounds).await, raw: None, plan };
    if !raw.is_empty() {
        asked.raw = Some(time(database, &raw, rounds.min(RAW_ROUNDS)).await);
    }
    asked
}

/// Milliseconds of each round.
async fn time(database: &TestDatabase, sql: &str, rounds: usize) -> Values {
    let mut values = Values::default();
    for _ in 0..rounds {
        let begun = Instant::now();
        database.admin.query(sql, &[]).await.unwrap_or_else(|error| panic!("{error:?}: {sql}"));
        values.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    values
}

/// Conversations of two over a year, in the order of time, of all types and outcomes; half as many lines of the audit log.
async fn fill(database: &TestDatabase, messages: u64) {
    // Bulk rows are made without checks and triggers, and their indexes afterwards: they are right by construction.
    let indexes = "SELECT string_agg(x.indexdef, ';') FROM pg_indexes x
        WHERE x.tablename IN ('whatsapp_message', 'whatsapp_audit_log')
          AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conname = x.indexname)";
    let make = database.text(indexes).await.expect("there are indexes");
    let names = indexes.replace("x.indexdef, ';'", "x.indexname, ', '");
    let drop = database.text(&names).await.expect("there are indexes");
    database
        .execute(&format!(
            "SET session_replication_role = replica; SET maintenance_work_mem = '256MB'; DROP INDEX {drop};
             INSERT INTO whatsapp_configuration (id, name, provider, channel_id, active, sequence, company_id, seal_uuid)
             SELECT n, 'Account ' || n, 'whapi', 'BENCH-' || n, true, n, 1, 'bench-' || n FROM generate_series(2, {ACCOUNTS}) n;
             INSERT INTO whatsapp_bulk_campaign (id, name, configuration_id, user_id, state, category, content_kind, recipient_source)
             SELECT n, 'Campaign ' || n, 1, 2, 'done', 'marketing', 'text', 'contacts' FROM generate_series(1, 12) n;
             INSERT INTO whatsapp_message (configuration_id, message_id, provider, chat_id, message_type, content, direction,
                    from_me, status, timestamp, queued_at, sent_at, delivered_at, read_at, failed_at, origin, user_id,
                    res_model, res_id, create_uid, create_date, write_uid, write_date)
             SELECT n % {ACCOUNTS} + 1, 'Out' || lpad(n::text, 10, '0') || '-gLw8Ztq3HcA', 'whapi',
                    '4477009' || lpad((k / 4 % 5000)::text, 5, '0') || '@s.whatsapp.net',
                    (ARRAY['text', 'text', 'text', 'image', 'document', 'template'])[k % 6 + 1],
                    'Your order ' || n || ' left our house this morning and should be with you tomorrow.',
                    CASE WHEN ours THEN 'outbound' ELSE 'inbound' END, ours, d.status, d.at,
                    CASE WHEN ours THEN d.at END, CASE WHEN ours AND d.status <> 'failed' THEN d.at END,
                    CASE WHEN d.status IN ('delivered', 'read') THEN d.at END, CASE WHEN d.status = 'read' THEN d.at END,
                    CASE WHEN d.status = 'failed' THEN d.at END, CASE WHEN ours THEN 'odoo' ELSE 'provider' END,
                    CASE WHEN ours THEN (ARRAY[2, 5, 6])[k % 3 + 1] END,
                    CASE WHEN ours AND k % 9 = 1 THEN 'res.partner' END, CASE WHEN ours AND k % 9 = 1 THEN 1 END,
                    1, d.at, 1, d.at
             FROM generate_series(0::int8, {last}) n
             CROSS JOIN LATERAL (SELECT n / {ACCOUNTS} AS k, n / {ACCOUNTS} % 2 = 1 AS ours) i
             CROSS JOIN LATERAL (
                SELECT date_trunc('second', (now() AT TIME ZONE 'UTC') - interval '{DAYS} days' * (1 - n::float8 / {messages})) AS at,
                       CASE WHEN NOT ours THEN 'delivered'
                            ELSE (ARRAY['read', 'read', 'delivered', 'sent', 'failed', 'read', 'delivered'])[k % 7 + 1] END AS status) d
             ORDER BY n;
             INSERT INTO whatsapp_audit_log (operation, provider, success, response_time, timestamp, user_id, configuration_id,
                    request_id)
             SELECT (ARRAY['message.send', 'message.send', 'message.send', 'sync.run', 'group.add'])[m.id % 5 + 1], 'whapi',
                    m.status <> 'failed', 200 + m.id % 400, m.timestamp, m.user_id, m.configuration_id, md5(m.id::text)
             FROM whatsapp_message m WHERE m.direction = 'outbound' ORDER BY m.id;
             INSERT INTO whatsapp_bulk_campaign_recipient (campaign_id, number, message_id)
             SELECT m.id / 5000 % 12 + 1, '+' || m.id, m.id FROM whatsapp_message m
             WHERE m.direction = 'outbound' AND m.id / 10 % 50 = 0;
             SET session_replication_role = origin",
            last = messages - 1,
        ))
        .await;
    database.execute(&make).await;
    for table in [
        "whatsapp_message",
        "whatsapp_audit_log",
        "whatsapp_bulk_campaign_recipient",
        "whatsapp_configuration",
    ] {
        database.execute(&format!("VACUUM ANALYZE {table}")).await;
    }
}

/// Counts the days before today back to so many, account by account, as `_count` does; transactions and seconds.
async fn count(database: &TestDatabase, statements: &Statements, days: u64) -> (u64, f64) {
    let mut transactions = 0;
    let begun = Instant::now();
    for account in 1..=ACCOUNTS {
        let mut back = days;
        while back > 0 {
            let until = back.saturating_sub(CHUNK_DAYS);
            let day = |back: u64| format!("{TODAY} - {back}");
            let further = format!("{TODAY} - {until} + {ANSWER_DAYS}");
            let values = [
                ("%(account)s", account.to_string()),
                ("%(since)s", format!("({})::timestamp", day(back))),
                ("%(until)s", format!("({})::timestamp", day(until))),
                ("%(further)s", format!("({further})::timestamp")),
            ];
            let mut sql = format!("BEGIN; {}; {};", statements.forget, statements.recount);
            for (name, value) in &values {
                sql = sql.replace(name, value);
            }
            database.execute(&format!("{sql} COMMIT")).await;
            transactions += 1;
            back = until;
        }
    }
    let mark = format!(
        "INSERT INTO whatsapp_dashboard_mark (configuration_id, live_from, seen_id, former_seen_id)
         SELECT c.id, {TODAY}, 0, 0 FROM whatsapp_configuration c ON CONFLICT (configuration_id) DO NOTHING"
    );
    database.execute(&mark).await;
    (transactions, begun.elapsed().as_secs_f64())
}

/// Counts the operations of all days before today; seconds.
async fn count_operations(database: &TestDatabase, statements: &Statements) -> f64 {
    let begun = Instant::now();
    loop {
        let since = format!(
            "SELECT min(a.timestamp)::date::text FROM whatsapp_audit_log a WHERE a.timestamp >= {} AND a.timestamp < {TODAY}",
            statements.operations_live
        );
        let Some(since) = database.text(&since).await else { break };
        let sql = statements
            .count_operations
            .replace("%(since)s", &format!("date '{since}'"))
            .replace("%(until)s", &format!("least(date '{since}' + {CHUNK_DAYS}, {TODAY})"));
        database.execute(&sql).await;
    }
    begun.elapsed().as_secs_f64()
}

/// The views say what the messages themselves say.
async fn check(database: &TestDatabase, messages: u64) {
    let text = async |sql: &str| database.text(sql).await.expect("there is a row");
    for since in ["-infinity".to_owned(), "today".to_owned()] {
        let since = match since.as_str() {
            "today" => format!("{TODAY} - 29"),
            other => format!("date '{other}'"),
        };
        let counted = format!(
            "SELECT concat_ws(' ', sum(message_count), sum(sent_count), sum(delivered_count), sum(read_count), sum(failed_count))
             FROM whatsapp_dashboard_message WHERE day >= {since}"
        );
        let plain = format!(
            "SELECT concat_ws(' ', count(*), count(sent_at), count(*) FILTER (WHERE from_me AND delivered_at IS NOT NULL),
                    count(*) FILTER (WHERE from_me AND read_at IS NOT NULL), count(failed_at))
             FROM whatsapp_message WHERE timestamp >= {since}"
        );
        assert_eq!(text(&counted).await, text(&plain).await, "messages since {since}");
        let counted = format!(
            "SELECT concat_ws(' ', sum(operation_count), sum(failed_count), sum(response_total))
             FROM whatsapp_dashboard_operation WHERE day >= {since}"
        );
        let plain = format!(
            "SELECT concat_ws(' ', count(*), count(*) FILTER (WHERE NOT success), sum(response_time)::float8)
             FROM whatsapp_audit_log WHERE timestamp >= {since}"
        );
        assert_eq!(text(&counted).await, text(&plain).await, "operations since {since}");
    }
    let answered =
        database.count("SELECT sum(answered_count) FROM whatsapp_dashboard_message").await;
    assert!(answered > 0, "conversations have answers");
    let all = database.count("SELECT count(*) FROM whatsapp_message").await;
    assert_eq!(u64::try_from(all), Ok(messages));
}

impl Statements {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../odoo_addon/whatsapp_integration/dashboard_sql.py");
        let script = "import json, runpy, sys; d = runpy.run_path(sys.argv[1]); \
            print(json.dumps([[s for _n, s in d['VIEWS']], d['FORGET'], d['RECOUNT'], d['COUNT_OPERATIONS'], d['OPERATIONS_LIVE']]))";
        let output = Command::new("python3")
            .args(["-c", script])
            .arg(path)
            .output()
            .expect("python3 starts");
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!(
                "dashboard_sql.py says nothing ({error}): {}",
                String::from_utf8_lossy(&output.stderr)
            )
        });
        let text = |value: &Value| value.as_str().expect("a statement").to_owned();
        Self {
            views: said[0].as_array().expect("views").iter().map(text).collect(),
            forget: text(&said[1]),
            recount: text(&said[2]),
            count_operations: text(&said[3]),
            operations_live: text(&said[4]),
        }
    }
}

#[expect(clippy::cast_precision_loss)]
fn float(count: u64) -> f64 {
    count as f64
}
