//! The program as somebody at a terminal runs it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use wabridge_testkit::daemon::{KEY_SECRET, SEALING_KEY, binary};

/// Stands in connection strings; must never be printed.
pub const PASSWORD: &str = "pw-canary-90210";

/// How a command ended.
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// What it printed, when it ended well.
    pub fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// The one line that it ended with, which names everything in `words` and no secret.
    pub fn badly(self, words: &[&str]) -> String {
        assert!(
            self.code.is_some_and(|code| code != 0),
            "{:?}: {}{}",
            self.code,
            self.stdout,
            self.stderr
        );
        let own: Vec<&str> = self.stderr.lines().filter(|line| !is_log(line)).collect();
        let [line] = own[..] else { panic!("one line was to be printed:\n{}", self.stderr) };
        assert!(line.starts_with("wabridge: "), "{line}");
        assert!(self.stderr.trim_end().ends_with(line), "the line is the last:\n{}", self.stderr);
        for word in words {
            assert!(line.contains(word), "{word:?} is not in: {line}");
        }
        for secret in [KEY_SECRET, SEALING_KEY, PASSWORD] {
            assert!(
                !self.stderr.contains(secret) && !self.stdout.contains(secret),
                "a secret: {}",
                self.stderr
            );
        }
        line.to_owned()
    }
}

/// Log lines begin with their time.
fn is_log(line: &str) -> bool {
    line.len() > 20 && line.as_bytes()[4] == b'-' && line.as_bytes()[10] == b'T'
}

/// Runs the program to its end, for half a minute at most.
pub async fn wabridge(config: Option<&Path>, arguments: &[&str]) -> Finished {
    let mut command = tokio::process::Command::new(binary());
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).env_remove("WABRIDGE_CONFIG");
    let output = tokio::time::timeout(Duration::from_secs(120), command.output())
        .await
        .unwrap_or_else(|_| panic!("wabridge {arguments:?} did not end"))
        .expect("wabridge starts");
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8 is printed"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8 is printed"),
    }
}

/// A settings file in a folder of its own.
pub struct Settings {
    folder: tempfile::TempDir,
}

impl Settings {
    pub fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        std::fs::write(folder.path().join("wabridge.toml"), text).expect("settings can be written");
        Self { folder }
    }

    /// Settings of one database, listening on free ports, with `top` in front.
    pub fn of(name: &str, url: &str, top: &str) -> Self {
        Self::new(&format!("{top}\n{}{}", listeners(), database(name, url, "test")))
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("wabridge.toml")
    }

    pub async fn run(&self, arguments: &[&str]) -> Finished {
        wabridge(Some(&self.path()), arguments).await
    }
}

/// Two listeners on free ports.
pub fn listeners() -> String {
    use wabridge_testkit::cluster::free_port;
    format!(
        "[public]\nlisten = \"127.0.0.1:{}\"\n[private]\nlisten = \"127.0.0.1:{}\"\n",
        free_port(),
        free_port()
    )
}

/// The section of one database.
pub fn database(name: &str, url: &str, key: &str) -> String {
    format!(
        "[databases.{name}]\nurl = \"{url}\"\n\
         [databases.{name}.rpc_keys.{key}]\nsecret = \"{KEY_SECRET}\"\nact_as = \"any\"\n\
         [databases.{name}.sealing_keys.k1]\nkey = \"{SEALING_KEY}\"\n"
    )
}
