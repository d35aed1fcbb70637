//! What other processes use.

use std::fs;

/// Ticks of `/proc/<pid>/stat` in a second; Linux has told programs 100 for decades.
const TICKS: f64 = 100.0;

/// Resident memory now and at its highest, MiB.
pub fn memory_mib(pid: u32) -> (f64, f64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| {
                line.strip_prefix(name)?.trim().trim_end_matches(" kB").trim().parse::<f64>().ok()
            })
            .unwrap_or(f64::NAN)
            / 1024.0
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// Forgets the highest value, so that the next one is of what follows.
pub fn forget_highest(pid: u32) {
    // Refused where /proc is closed: then the highest value is that of the whole life.
    if let Err(error) = fs::write(format!("/proc/{pid}/clear_refs"), "5") {
        eprintln!("the highest memory of {pid} cannot be reset: {error}");
    }
}

fn stat(pid: u32) -> Option<(u32, f64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text[text.rfind(')')? + 2..].split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().ok()? + fields[12].parse::<f64>().ok()?;
    Some((fields[1].parse().ok()?, ticks / TICKS))
}

/// Seconds of processor time of a process so far.
pub fn seconds(pid: u32) -> f64 {
    stat(pid).map_or(f64::NAN, |(_, seconds)| seconds)
}

/// As [`seconds`], of a process and its children that live.
pub fn seconds_of_family(pid: u32) -> f64 {
    family(pid).into_iter().map(seconds).filter(|s| !s.is_nan()).sum()
}

/// A process and its children.
pub fn family(pid: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let children = all
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|other| stat(*other).is_some_and(|(parent, _)| parent == pid));
    std::iter::once(pid).chain(children).collect()
}
