use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use wabridge_domain::ProviderKind;
use wabridge_domain::account::AccountState;

use super::*;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The sources of a folder, tests left out.
fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source is text");
            found.push((path, text));
        }
    }
}

/// What stands between the parentheses of each `metrics::<macro>!(`, with its kind.
fn uses(text: &str) -> Vec<(&'static str, String)> {
    let mut found = vec![];
    for kind in ["counter", "gauge", "histogram"] {
        for (at, start) in text.match_indices(&format!("metrics::{kind}!(")) {
            let inside = &text[at + start.len()..];
            let mut depth = 1;
            let end = inside.find(|c| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                depth == 0
            });
            found.push((kind, inside[..end.expect("it ends")].to_owned()));
        }
    }
    found
}

#[test]
fn what_is_counted_anywhere_is_listed_with_its_labels() {
    let mut found = vec![];
    sources(&here("src"), &mut found);
    let mut counted = BTreeSet::new();
    for (path, text) in &found {
        if path.ends_with("metrics.rs") || path.ends_with("metrics/tests.rs") {
            continue;
        }
        for (kind, inside) in uses(text) {
            let words: Vec<&str> = inside.split('"').skip(1).step_by(2).collect();
            let metric = METRICS
                .iter()
                .find(|metric| metric.name == words[0])
                .unwrap_or_else(|| panic!("{} of {} is not listed", words[0], path.display()));
            assert_eq!(metric.kind.as_str(), kind, "{}", metric.name);
            assert!(!metric.collected, "{} is counted in {}", metric.name, path.display());
            let labels: Vec<&str> = inside
                .match_indices("\" =>")
                .map(|(at, _)| inside[..at].rsplit('"').next().expect("a label"))
                .collect();
            let listed: Vec<&str> = metric.labels.iter().map(|(name, _)| *name).collect();
            assert_eq!(labels, listed, "labels of {} in {}", metric.name, path.display());
            counted.insert(metric.name);
        }
    }
    for metric in METRICS.iter().filter(|metric| !metric.collected) {
        assert!(counted.contains(metric.name), "{} is listed and nowhere counted", metric.name);
    }
}

#[test]
fn what_is_looked_up_is_listed() {
    let text = std::fs::read_to_string(here("src/metrics/collect.rs")).expect("it is there");
    for metric in METRICS.iter().filter(|metric| metric.collected) {
        assert!(text.contains(&format!("\"{}\"", metric.name)), "{} is nowhere told", metric.name);
    }
}

#[test]
fn words_are_those_of_the_domain() {
    let providers: Vec<&str> = ProviderKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(providers, PROVIDERS);
    let states: Vec<&str> = AccountState::ALL.iter().map(|state| state.as_str()).collect();
    let metric = METRICS.iter().find(|m| m.name == "wabridge_account_state").unwrap();
    assert_eq!(metric.labels.last().unwrap().1, Words(states.leak()));
}

#[test]
fn names_and_words_keep_to_the_rules() {
    let mut seen = BTreeSet::new();
    for metric in METRICS {
        assert!(seen.insert(metric.name), "{} stands there twice", metric.name);
        assert!(metric.name.starts_with("wabridge_") || metric.name.starts_with("process_"));
        assert_eq!(metric.kind == Counter, metric.name.ends_with("_total"), "{}", metric.name);
        assert!(!metric.help.contains(['\n', '|', '\\']), "{}", metric.name);
    }
}

#[test]
fn zeros_of_what_is_known() {
    let known = |name| Known { name, keys: vec!["odoo", "program"] };
    let count = |name: &str, databases: &[Known<'_>]| {
        combinations(METRICS.iter().find(|m| m.name == name).unwrap(), databases).len()
    };
    assert_eq!(count("wabridge_settled_total", &[known("a"), known("b")]), 8);
    assert_eq!(count("wabridge_rpc_rate_limited_total", &[known("a"), known("b")]), 4);
    assert_eq!(count("wabridge_rpc_calls_total", &[known("a")]), 0);
    assert_eq!(count("wabridge_wake_failures_total", &[known("a"), known("b")]), 1);
}

/// A method of the trait that is not handed on would answer "unsupported" for every provider.
#[test]
fn every_call_is_handed_on() {
    let text = std::fs::read_to_string(here("../providers/src/lib.rs")).expect("it is there");
    let from = text.find("pub trait Provider").expect("the trait");
    let body = &text[from..from + text[from..].find("\n}\n").expect("its end")];
    let calls = std::fs::read_to_string(here("src/metrics/calls.rs")).expect("it is there");
    let named: Vec<&str> = body
        .match_indices("fn ")
        .map(|(at, _)| body[at + 3..].split(['(', '<']).next().expect("a name"))
        .collect();
    assert!(named.len() > 25, "{named:?}");
    for name in named {
        assert!(calls.contains(&format!("self.inner.{name}(")), "{name} is not handed on");
    }
}

/// `UPDATE_METRICS=1 cargo test -p wabridge kept_in_docs` writes it.
#[test]
fn the_table_is_kept_in_docs() {
    let path = here("../../docs/OPERATIONS.md");
    let text = std::fs::read_to_string(&path).expect("the documentation is there");
    let table = table();
    let begin = text.find("| metric | ").expect("the table of metrics");
    let length: usize = text[begin..]
        .split_inclusive('\n')
        .take_while(|line| line.starts_with('|'))
        .map(str::len)
        .sum();
    if std::env::var_os("UPDATE_METRICS").is_some() {
        let new = format!("{}{table}{}", &text[..begin], &text[begin + length..]);
        std::fs::write(&path, new).expect("the documentation can be written");
        return;
    }
    assert_eq!(
        &text[begin..begin + length],
        table,
        "UPDATE_METRICS=1 cargo test -p wabridge kept_in_docs"
    );
}
