//! What `/metrics` tells of a daemon to which nothing has happened yet, and of its accounts.

use wabridge_testkit::eventually;

use crate::support::world::{World, client};

const TOKEN: &str = "metrics-token-of-this-test";

/// A world whose daemon knows a metrics token; the folder holds it.
async fn world() -> (World, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, TOKEN).expect("it can be written");
    let path = file.to_str().expect("the path is text");
    let world = World::with("", &[("WABRIDGE__PRIVATE__METRICS_BEARER_TOKEN_FILE", path)]).await;
    (world, folder)
}

async fn page(world: &World) -> String {
    let answer = client()
        .get(format!("{}/metrics", world.daemon.private_url))
        .bearer_auth(TOKEN)
        .send()
        .await
        .expect("it answers");
    assert_eq!(answer.status().as_u16(), 200);
    answer.text().await.expect("a body")
}

/// Name and type of each row of the documentation's table.
fn documented() -> Vec<(String, String)> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/OPERATIONS.md");
    let text = std::fs::read_to_string(file).expect("the documentation is there");
    let rows: Vec<(String, String)> = text
        .lines()
        .skip_while(|line| !line.starts_with("| metric | "))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            (cells[1].trim_matches(['`', ' ', '*']).to_owned(), cells[2].to_owned())
        })
        .collect();
    assert!(rows.len() > 50, "{rows:?}");
    rows
}

#[tokio::test]
async fn everything_is_there_from_the_start() {
    let (world, _folder) = world().await;
    let text = page(&world).await;
    for (name, kind) in documented() {
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} {kind}\n{text}");
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
    }
    // What is not documented is not there either.
    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        let name = line.split(' ').nth(2).expect("a name");
        assert!(
            documented().iter().any(|(known, _)| known == name),
            "{name} is nowhere documented"
        );
    }
    let database = &world.database.name;
    for zero in [
        format!("wabridge_settled_total{{database=\"{database}\",result=\"held\"}} 0"),
        format!("wabridge_ingest_commit_failures_total{{database=\"{database}\"}} 0"),
        "wabridge_webhooks_total{provider=\"whapi\",outcome=\"busy\"} 0".to_owned(),
        "wabridge_wake_failures_total 0".to_owned(),
    ] {
        assert!(text.lines().any(|line| line == zero), "{zero}\n{text}");
    }
}

#[tokio::test]
async fn accounts_and_the_process_tell_of_themselves() {
    let (world, _folder) = world().await;
    let database = world.database.name.clone();
    let account = format!("database=\"{database}\",account=\"1\",provider=\"whapi\"");
    let wanted = [
        format!("wabridge_account_state{{{account},state=\"token_dead\"}} 0"),
        format!("wabridge_account_quota_limit{{{account}}} 0"),
        format!("wabridge_outbox_messages{{{account},state=\"due\"}} 0"),
        format!(
            "wabridge_provider_calls_total{{{account},operation=\"send\",outcome=\"refused\"}} 0"
        ),
        format!("wabridge_sync_failed_in_a_row{{{account}}} 0"),
        format!("wabridge_database_phase{{database=\"{database}\",phase=\"ready\"}} 1"),
        format!("wabridge_database_ready{{database=\"{database}\"}} 1"),
    ];
    eventually("all of it is told", 10, async || {
        let text = page(&world).await;
        wanted.iter().all(|line| text.lines().any(|told| told == line)).then_some(())
    })
    .await;
    let text = page(&world).await;
    let number = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
        let value = line.and_then(|line| line.rsplit(' ').next());
        value.and_then(|value| value.parse::<f64>().ok()).unwrap_or_default()
    };
    assert!(number("process_resident_memory_bytes") > 1e6, "{text}");
    assert!(number("process_start_time_seconds") > 1.7e9, "{text}");
    assert!(number("process_open_fds") > 2.0 && number("process_max_fds") > 2.0, "{text}");
}
