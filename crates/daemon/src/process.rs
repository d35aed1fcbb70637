//! What this process uses of its machine, as the kernel counts it: for `GET /health/ready` and `GET /metrics`.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The kernel shows times of processes in hundredths of a second, on every machine.
const TICKS_PER_SECOND: f64 = 100.0;

/// Of its own: a service that is closed off sees nothing of the machine's clock in `/proc`.
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// To be said once when the program starts.
pub fn started() {
    LazyLock::force(&STARTED);
}

/// What this process uses; what the machine does not tell is None.
#[derive(Debug)]
pub struct Process {
    pub uptime: Duration,
    /// Of all cores, since the start.
    pub cpu_s: Option<f64>,
    /// Resident.
    pub memory_bytes: Option<u64>,
    pub threads: Option<u64>,
    /// Files and connections that are open, and how many may be.
    pub open_files: Option<u64>,
    pub most_files: Option<u64>,
}

impl Process {
    /// As it is now.
    pub async fn look() -> Self {
        let read = async |name: &str| {
            tokio::fs::read_to_string(format!("/proc/self/{name}")).await.unwrap_or_default()
        };
        let status = read("status").await;
        Self {
            uptime: STARTED.elapsed(),
            cpu_s: cpu_s(&read("stat").await),
            memory_bytes: field(&status, "VmRSS:").map(|kib| kib * 1024),
            threads: field(&status, "Threads:"),
            open_files: std::fs::read_dir("/proc/self/fd").ok().map(|open| open.count() as u64),
            most_files: field(&read("limits").await, "Max open files"),
        }
    }
}

/// `version`, `uptime_s`, `cpu_s`, `memory_bytes` and `threads`; what the machine does not tell is null.
pub async fn usage() -> Value {
    let process = Process::look().await;
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": process.uptime.as_secs(),
        "cpu_s": process.cpu_s,
        "memory_bytes": process.memory_bytes,
        "threads": process.threads,
    })
}

/// Seconds: fields 14 and 15 of `/proc/<pid>/stat`. The second one is the name in parentheses, which may hold anything.
fn cpu_s(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: Vec<f64> =
        rest.split_whitespace().map(|text| text.parse().unwrap_or_default()).collect();
    let at = |field: usize| ticks.get(field - 3).map(|ticks| ticks / TICKS_PER_SECOND);
    Some(at(14)? + at(15)?)
}

/// The number after a name in `/proc/<pid>/status` or `limits`.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_moves_no_field() {
        let rest = "S 1 2 3 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 12300 1 2";
        assert_eq!(cpu_s(&format!("42 (wabridge) {rest}")), Some(3.0));
        assert_eq!(cpu_s(&format!("42 (a) b (c) {rest}")), Some(3.0));
        assert_eq!(cpu_s(""), None);
        assert_eq!(cpu_s("42 (short) S 1"), None);
    }

    #[test]
    fn numbers_of_the_status_file() {
        let status = "Name:\twabridge\nVmRSS:\t   20480 kB\nThreads:\t9\n";
        assert_eq!(field(status, "VmRSS:"), Some(20480));
        assert_eq!(field(status, "Threads:"), Some(9));
        assert_eq!(field(status, "VmSwap:"), None);
        let limits = "Max processes  126  126  processes\nMax open files            1024    524288   files\n";
        assert_eq!(field(limits, "Max open files"), Some(1024));
    }

    #[tokio::test]
    async fn this_process_is_told() {
        let told = usage().await;
        assert!(told["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 1_000_000), "{told}");
        assert!(told["threads"].as_u64().is_some_and(|threads| threads > 0), "{told}");
        assert!(told["cpu_s"].is_number() && told["uptime_s"].is_number(), "{told}");
        let process = Process::look().await;
        assert!(process.open_files > Some(2) && process.most_files >= process.open_files);
    }
}
