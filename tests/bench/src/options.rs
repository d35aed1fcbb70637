//! The command line.

use std::path::PathBuf;
use std::time::Duration;

/// What to measure, and how long.
#[derive(Debug, Clone)]
pub struct Options {
    pub what: String,
    /// Only whether everything is right: short, and nothing that needs time or disk.
    pub smoke: bool,
    pub rounds: usize,
    pub seconds: Duration,
    pub offered: Duration,
    /// Empty: everything but the one with millions of rows.
    pub only: Vec<String>,
    /// Messages that are there already, in the part that measures whether they matter.
    pub stored: u64,
    /// Messages that wait to be sent, in a round, and the chats they go to.
    pub sends: u64,
    pub chats: u64,
    /// Series of Odoo whose ORM is measured too.
    pub odoo: Vec<String>,
    /// The env file of a running demo.
    pub env: Option<PathBuf>,
    pub report: Option<PathBuf>,
    pub minutes: f64,
    pub rate: f64,
}

impl Options {
    /// # Errors
    /// A word that is not known, or a number that is none.
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut words = arguments.iter();
        let what = words.next().ok_or("nothing is asked for")?.clone();
        let mut options = Self {
            what,
            smoke: false,
            rounds: 7,
            seconds: Duration::from_secs(3),
            offered: Duration::from_secs(60),
            only: vec![],
            stored: 10_000_000,
            sends: 10_000,
            chats: 500,
            odoo: vec![],
            env: None,
            report: None,
            minutes: 60.0,
            rate: 300.0,
        };
        while let Some(word) = words.next() {
            if word == "--smoke" {
                options.smoke = true;
                options.rounds = 1;
                options.seconds = Duration::from_millis(700);
                options.offered = Duration::from_secs(3);
                options.stored = 50_000;
                options.sends = 1_000;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            let number =
                || value.parse::<f64>().map_err(|_| format!("{word}: {value:?} is no number"));
            match word.as_str() {
                "--rounds" => {
                    options.rounds =
                        value.parse().map_err(|_| format!("{word}: {value:?} is no number"))?;
                }
                "--seconds" => options.seconds = Duration::from_secs_f64(number()?),
                "--offered-seconds" => options.offered = Duration::from_secs_f64(number()?),
                "--stored" => {
                    options.stored =
                        value.parse().map_err(|_| format!("{word}: {value:?} is no number"))?;
                }
                "--sends" | "--chats" => {
                    let whole =
                        value.parse().map_err(|_| format!("{word}: {value:?} is no number"))?;
                    let field =
                        if word == "--sends" { &mut options.sends } else { &mut options.chats };
                    *field = whole;
                }
                "--only" => {
                    options.only = value.split(',').map(str::to_uppercase).collect();
                }
                "--odoo" => {
                    let series = value.split([',', ' ']).filter(|word| !word.is_empty());
                    options.odoo = series.map(str::to_owned).collect();
                }
                "--env" => options.env = Some(value.into()),
                "--report" => options.report = Some(value.into()),
                "--minutes" => options.minutes = number()?,
                "--rate" => options.rate = number()?,
                other => return Err(format!("{other} is not known")),
            }
        }
        Ok(options)
    }

    /// Whether a part is to be measured.
    pub fn wants(&self, part: &str) -> bool {
        if self.only.is_empty() {
            part != "BIG" || self.smoke
        } else {
            self.only.iter().any(|one| one == part)
        }
    }
}
