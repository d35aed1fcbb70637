//! Contacts through the ORM of a real Odoo, on the same server: what `tests/bench/orm.sh` measures.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::report::{Report, Values};

/// Rounds in which Odoo takes part, at most: starting one takes seconds.
pub const ROUNDS: usize = 3;

/// A series of Odoo.
#[derive(Debug)]
pub struct Orm {
    series: String,
    port: u16,
    /// Of each way, and the daemon's contacts a second of the same round ÷ it.
    ways: Vec<Way>,
}

#[derive(Debug)]
struct Way {
    /// As orm.py names it.
    key: &'static str,
    words: &'static str,
    /// Whether the daemon reads the same list for the second time beside it.
    again: bool,
    rate: Values,
    ratio: Values,
}

impl Orm {
    /// Makes its database.
    pub fn prepare(series: &str, port: u16) -> Self {
        let way = |key, words, again| Way {
            key,
            words,
            again,
            rate: Values::default(),
            ratio: Values::default(),
        };
        let ways = vec![
            way("new", "search, create; 100 a transaction", false),
            way("bulk", "one `create` of all, nothing searched", false),
            way("again", "the same list again: search, write; 100 a transaction", true),
        ];
        let orm = Self { series: series.to_owned(), port, ways };
        orm.script("prepare", &[]);
        orm
    }

    /// Stores `size` contacts in each way. `first` and `second` are the daemon's contacts a second in this round, when
    /// all were new and when none was.
    pub fn measure(&mut self, size: u64, first: f64, second: f64) {
        let said = self.script("measure", &[&size.to_string()]);
        let line = said.lines().rev().find(|line| line.starts_with('{')).unwrap_or_default();
        let took: Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("Odoo {} says nothing ({error}): {said}", self.series));
        assert_eq!(took["rewritten"], size, "an ordinary addon writes every row again");
        for way in &mut self.ways {
            let rate = took[way.key].as_f64().expect("it is a number");
            way.rate.push(rate);
            way.ratio.push(if way.again { second } else { first } / rate);
        }
        println!("Odoo {}: {line}", self.series);
    }

    /// Its rows of the table.
    pub fn rows(&self, report: &mut Report) {
        for way in &self.ways {
            report.line(&format!(
                "| Odoo {}: {} | {} | {} |",
                self.series,
                way.words,
                way.rate.words(0),
                way.ratio.words(1)
            ));
        }
    }

    fn script(&self, command: &str, more: &[&str]) -> String {
        let output = Command::new("bash")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("orm.sh"))
            .args([command, &self.series, &self.port.to_string()])
            .args(more)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .expect("bash starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "orm.sh {command} {}: {said}", self.series);
        said
    }
}
