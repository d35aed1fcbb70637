//! `docs/SECURITY.md` names a test for each of its claims. The names must be those of tests that exist.

use std::path::{Path, PathBuf};

const DOCUMENT: &str = include_str!("../../docs/SECURITY.md");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A test that the document names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    /// `tests/it/<file>.rs`, function.
    It(String, String),
    /// `tests/e2e/{checks,journeys}/<file>.js`, title or its beginning.
    EndToEnd(String, String),
    /// `wabridge_domain::webhook::tests`, function; all of the module where it is empty.
    Unit(String, String),
    /// `tests/<file>.py` of the addon, function; all of the file where it is empty.
    Addon(String, String),
    /// A file of the repository, function.
    In(String, String),
}

impl Named {
    /// A name alone, without a file or module before it.
    fn is_homeless(&self) -> bool {
        matches!(self, Self::In(path, _) if path.is_empty())
    }

    fn exists(&self) -> bool {
        let read = |path: &str| std::fs::read_to_string(root().join(path)).ok();
        let holds = |paths: &[String], wanted: &str| {
            paths.iter().filter_map(|path| read(path)).any(|text| text.contains(wanted))
        };
        match self {
            Self::It(file, name) => {
                let paths = [format!("tests/it/{file}.rs"), format!("tests/it/{file}/mod.rs")];
                holds(&paths, &format!("fn {name}("))
            }
            Self::EndToEnd(file, title) => ["checks", "journeys"]
                .iter()
                .filter_map(|folder| read(&format!("tests/e2e/{folder}/{file}.js")))
                .any(|text| text.replace('\\', "").contains(title.as_str())),
            Self::Unit(path, name) => {
                let mut parts = path.split("::");
                let package = match parts.next().unwrap_or_default() {
                    "wabridge" => "daemon",
                    other => other.strip_prefix("wabridge_").unwrap_or(other),
                };
                let module: Vec<&str> = parts.collect();
                let (tests, module) = match module.split_last() {
                    Some((&"tests", module)) => (true, module.join("/")),
                    _ => (false, module.join("/")),
                };
                let base = format!("crates/{package}/src/{module}");
                let paths =
                    [format!("{base}.rs"), format!("{base}/mod.rs"), format!("{base}/tests.rs")];
                let wanted =
                    if name.is_empty() { "#[test]".to_owned() } else { format!("fn {name}(") };
                tests
                    && (holds(&paths, &wanted)
                        || (name.is_empty() && holds(&paths, "#[tokio::test")))
            }
            Self::Addon(file, name) => {
                let wanted =
                    if name.is_empty() { "def test_".to_owned() } else { format!("def {name}(") };
                holds(&[format!("odoo_addon/whatsapp_integration/tests/{file}.py")], &wanted)
            }
            Self::In(path, name) => holds(std::slice::from_ref(path), &format!("fn {name}(")),
        }
    }
}

/// The parts between two `mark`s of one line, with what stands before them.
fn marked(line: &str, mark: char) -> Vec<&str> {
    line.split(mark).skip(1).step_by(2).collect()
}

/// Every test that a line names; a name alone belongs to the file named last on its line.
fn named(line: &str) -> Vec<Named> {
    let mut found = Vec::new();
    // Code first: `fn` in `file`, paths of unit tests, the addon's.
    let code = marked(line, '`');
    let mut addon: Option<String> = None;
    for (n, text) in code.iter().enumerate() {
        let is_name = |text: &str| {
            !text.is_empty()
                && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        if let Some((path, name)) = text.rsplit_once("::")
            && (path.ends_with("::tests") || name == "tests")
        {
            let (path, name) = if name == "tests" { (*text, "") } else { (path, name) };
            found.push(Named::Unit(path.into(), name.into()));
        } else if let Some((file, name)) = text.split_once("::")
            && file.starts_with("test_")
        {
            addon = Some(file.to_owned());
            found.push(Named::Addon(file.into(), name.into()));
        } else if text.starts_with("test_") && is_name(text) {
            let file = root().join(format!("odoo_addon/whatsapp_integration/tests/{text}.py"));
            match &addon {
                _ if file.exists() => found.push(Named::Addon((*text).into(), String::new())),
                Some(file) => found.push(Named::Addon(file.clone(), (*text).into())),
                None => found.push(Named::Addon(String::new(), (*text).into())),
            }
        } else if is_name(text) && text.matches('_').count() > 1 {
            // In the file that is named after it, else in the module before it.
            let next = code.get(n + 1).filter(|next| next.starts_with("crates/"));
            let before = found.iter().rev().find_map(|named| match named {
                Named::Unit(module, _) => Some(module.clone()),
                _ => None,
            });
            found.push(match (next, before) {
                (Some(file), _) => Named::In((*file).into(), (*text).into()),
                (None, Some(module)) => Named::Unit(module, (*text).into()),
                (None, None) => Named::In(String::new(), (*text).into()),
            });
        }
    }
    let mut last: Option<(&str, &str)> = None;
    for text in marked(line, '*').into_iter().filter(|text| !text.is_empty()) {
        let parts = ["it", "e2e"].iter().find_map(|kind| {
            let (file, name) = text.strip_prefix(kind)?.strip_prefix(' ')?.split_once(": ")?;
            Some((*kind, file, name))
        });
        let (kind, file, name) = match (parts, last) {
            (Some(parts), _) => parts,
            (None, Some((kind, file))) => (kind, file, text),
            (None, None) => continue,
        };
        last = Some((kind, file));
        let name = name.split('…').next().unwrap_or_default().trim_end().to_owned();
        found.push(match kind {
            "it" => Named::It(file.into(), name),
            _ => Named::EndToEnd(file.into(), name),
        });
    }
    found
}

/// Lines of tables: cells without the outer ones.
fn cells(line: &str) -> Option<Vec<&str>> {
    let line = line.strip_prefix("| ")?.strip_suffix(" |")?;
    Some(line.split(" | ").collect())
}

/// What is wrong with the document, one line each.
fn wrong(document: &str) -> (usize, Vec<String>) {
    let (mut tests, mut lines) = (0, Vec::new());
    // The paragraph on how names are written shows forms, not names.
    let claims = document.split_once("\n## ").map_or("", |(_, rest)| rest);
    for line in claims.lines() {
        let cells = cells(line).filter(|cells| cells.len() == 3 && !cells[0].starts_with("---"));
        let found = match &cells {
            Some(cells) => named(cells[2]),
            // A setting or a metric in a sentence is none.
            None => named(line).into_iter().filter(|named| !named.is_homeless()).collect(),
        };
        tests += found.len();
        for test in found.iter().filter(|test| !test.exists()) {
            lines.push(format!("{test:?} does not exist: {line}"));
        }
        if let Some(cells) = cells
            && cells[2] != "shown by"
            && found.is_empty()
            && !cells[2].contains("no test")
        {
            lines.push(format!("no test is named, nor that there is none: {line}"));
        }
    }
    (tests, lines)
}

#[test]
fn every_test_that_is_named_exists() {
    let (tests, lines) = wrong(DOCUMENT);
    assert!(lines.is_empty(), "docs/SECURITY.md:\n{}", lines.join("\n"));
    assert!(tests > 100, "{tests} tests were read in docs/SECURITY.md");
}

#[test]
fn names_that_are_wrong_are_found() {
    let row = |shown: &str| format!("# x\n\n## Webhooks\n| a | b | {shown} |\n");
    let control = "*it notify: ready_is_said_when_it_is_and_signs_of_life_go_on*";
    assert_eq!(wrong(&row(control)), (1, vec![]));
    for shown in [
        "*it notify: ready_is_said*",
        "*it nothing: ready_is_said_when_it_is_and_signs_of_life_go_on*",
        "*e2e webhook: 401 and no rows of anything*",
        "*e2e nothing: 401*",
        "`wabridge_domain::webhook::tests::no_such_thing`",
        "`wabridge_domain::nothing::tests`",
        "`wabridge::media::nothing::tests`",
        "`test_configuration::test_nothing`",
        "`test_nothing`",
        "`nothing_of_that_name` in `crates/store/tests/bus.rs`",
        "`nothing_of_that_name`",
        "`wabridge_domain::seal::tests::opens_only_in_its_place`, `nothing_of_that_name`",
        "*it notify: a_manager_that_is_not_there_stops_nothing*, *no_such_name*",
        "",
        "by reading",
    ] {
        assert_eq!(wrong(&row(shown)).1.len(), 1, "{shown}");
    }
}
