//! `docs/OPERATIONS.md` lists every field of our log lines, the daemon's and the addon's: none is missing, none is
//! made up.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const DOCUMENT: &str = include_str!("../../docs/OPERATIONS.md");
const HEADING: &str = "### Fields of log lines";
/// Written by the log's own format.
const ENVELOPE: [&str; 6] = ["timestamp", "level", "target", "message", "span", "spans"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Files of a folder with this ending, tests of the addon left out.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    for path in entries.map(|entry| entry.expect("its entries can be read").path()) {
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "tests") {
                files(&path, ending, found);
            }
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
}

/// What stands between a parenthesis and its partner, from behind the first one.
fn inside(text: &str) -> &str {
    let (mut depth, mut quoted, mut escaped) = (1, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..at];
        }
    }
    text
}

/// Its parts between commas of its own level.
fn arguments(text: &str) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while !rest.trim().is_empty() {
        let (mut depth, mut quoted, mut escaped, mut end) = (0, false, false, rest.len());
        for (at, c) in rest.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                _ if quoted => {}
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth -= 1,
                ',' if depth == 0 => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        parts.push(rest[..end].trim());
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    parts
}

/// Names of the fields of all log lines and spans of a Rust file.
fn fields_of_rust(text: &str) -> BTreeSet<String> {
    let levels = ["trace!(", "debug!(", "info!(", "warn!(", "error!(", "_span!("];
    let starts = levels.iter().flat_map(|mark| {
        text.match_indices(mark).filter_map(|(at, mark)| {
            let before = text[..at].chars().next_back().unwrap_or(' ');
            let whole = mark.starts_with('_') || !(before.is_alphanumeric() || before == '_');
            whole.then_some(at + mark.len())
        })
    });
    let fields = starts.flat_map(|start| {
        let mut parts = arguments(inside(&text[start..]));
        // A span begins with its name; a line's sentence ends its fields.
        if text[..start].ends_with("_span!(") {
            parts.remove(0);
        }
        let fields = parts.into_iter().take_while(|part| !part.starts_with('"'));
        let names = fields.filter_map(|part| {
            let name = part.split('=').next().unwrap_or_default().trim();
            let name = name.trim_start_matches(['%', '?']);
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c);
            (!name.is_empty() && name.chars().all(plain)).then(|| name.to_owned())
        });
        names.collect::<Vec<_>>()
    });
    fields.collect()
}

/// Names before `=%s` and `=%d` in a Python file.
fn fields_of_python(text: &str) -> BTreeSet<String> {
    let places = ["=%s", "=%d"].into_iter().flat_map(|mark| text.match_indices(mark));
    let name = |at: usize| {
        let plain = |c: char| c.is_ascii_lowercase() || "._".contains(c);
        let start = text[..at].rfind(|c| !plain(c)).map_or(0, |before| before + 1);
        text[start..at].to_owned()
    };
    places.map(|(at, _)| name(at)).filter(|name| !name.is_empty()).collect()
}

/// The first column of the document's table.
fn documented() -> BTreeSet<String> {
    let (_, section) = DOCUMENT.split_once(HEADING).expect("the section is there");
    let rows = section.lines().skip(1).skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    rows.flat_map(|row| {
        let names = row.split('|').nth(1).unwrap_or_default().split('`');
        names.skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    })
    .collect()
}

fn used() -> BTreeSet<String> {
    let read = |path: &PathBuf| std::fs::read_to_string(path).expect("the file can be read");
    let (mut rust, mut python) = (Vec::new(), Vec::new());
    for name in ["daemon", "providers", "rpc", "store"] {
        files(&root().join("crates").join(name).join("src"), "rs", &mut rust);
    }
    files(&root().join("odoo_addon"), "py", &mut python);
    python.retain(|path| read(path).contains("_logger"));
    let mut used: BTreeSet<String> =
        rust.iter().flat_map(|path| fields_of_rust(&read(path))).collect();
    // The parts of a signature are no fields.
    let signature = ["key", "ts", "nonce", "sig"];
    let addon = python.iter().flat_map(|path| fields_of_python(&read(path)));
    used.extend(addon.filter(|name| !signature.contains(&name.as_str())));
    used
}

#[test]
fn every_field_is_documented_and_every_documented_field_is_used() {
    let (used, documented) = (used(), documented());
    let missing: Vec<_> = used.difference(&documented).collect();
    assert!(missing.is_empty(), "not in docs/OPERATIONS.md, \"{HEADING}\": {missing:?}");
    let made_up: Vec<_> = documented
        .iter()
        .filter(|name| !used.contains(*name) && !ENVELOPE.contains(&name.as_str()))
        .collect();
    assert!(made_up.is_empty(), "no log line has them: {made_up:?}");
    assert!(used.len() > 40 && used.contains("request.id"), "{used:?}");
}

#[test]
fn fields_are_found_where_they_stand() {
    let rust = r#"
        tracing::info!(db.name = %rt.name, "a {} (b, c = d)", x);
        warn!(%error, rows = f(a, b), outcome, "text"); not_info!(wrong = 1);
        let span = info_span!("send", account.id = account.id, attempt = job.number);
        error!("only, a = text");
    "#;
    let found: Vec<String> = fields_of_rust(rust).into_iter().collect();
    assert_eq!(found, ["account.id", "attempt", "db.name", "error", "outcome", "rows"]);
    let python = r#"_logger.info("asked: rpc.method=%s latency_ms=%d", method, ms)"#;
    let found: Vec<String> = fields_of_python(python).into_iter().collect();
    assert_eq!(found, ["latency_ms", "rpc.method"]);
}
