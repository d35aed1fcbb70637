//! Who knocks too often without credentials.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use axum::http::HeaderMap;
use jiff::Timestamp;

/// Addresses counted at a time; beyond it new ones are not counted in this minute.
const ADDRESSES_MAX: usize = 50_000;

/// Counts refused requests by address and minute.
#[derive(Debug)]
pub(super) struct Flood {
    per_minute: u32,
    counts: Mutex<(i64, HashMap<IpAddr, u32>)>,
}

impl Flood {
    pub(super) fn new(per_minute: u32) -> Self {
        Self { per_minute, counts: Mutex::default() }
    }

    /// Counts one; when it was one too many, the seconds until the next minute.
    pub(super) fn note(&self, address: IpAddr, now: Timestamp) -> Option<u64> {
        let minute = now.as_second().div_euclid(60);
        let mut counts = self.counts.lock().expect("no holder of this lock can panic");
        if counts.0 != minute {
            *counts = (minute, HashMap::new());
        }
        if counts.1.len() >= ADDRESSES_MAX && !counts.1.contains_key(&address) {
            return None;
        }
        let count = counts.1.entry(address).or_default();
        *count = count.saturating_add(1);
        let wait = 60 - now.as_second().rem_euclid(60);
        (*count > self.per_minute).then(|| u64::try_from(wait).unwrap_or(60))
    }
}

/// The client's address: the connection's, or behind trusted proxies the last one in `X-Forwarded-For` that is
/// none of them. What stands before that was written by strangers.
pub(super) fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let mut address = peer.to_canonical();
    let forwarded: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    for hop in forwarded.iter().rev() {
        if !trusted.contains(&address) {
            break;
        }
        let Ok(before) = hop.parse::<IpAddr>() else { break };
        address = before.to_canonical();
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_too_many_in_a_minute() {
        let flood = Flood::new(2);
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(flood.note(ip("192.0.2.1"), at(60)), None);
        assert_eq!(flood.note(ip("192.0.2.1"), at(70)), None);
        assert_eq!(flood.note(ip("192.0.2.1"), at(80)), Some(40));
        assert_eq!(flood.note(ip("192.0.2.2"), at(80)), None);
        assert_eq!(flood.note(ip("192.0.2.1"), at(120)), None);
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "203.0.113.9, 198.51.100.7, 10.0.0.2".parse().unwrap());
        let proxies = [ip("10.0.0.1"), ip("10.0.0.2")];
        assert_eq!(address(ip("192.0.2.1"), &headers, &proxies), ip("192.0.2.1"));
        assert_eq!(address(ip("10.0.0.1"), &headers, &proxies), ip("198.51.100.7"));
        assert_eq!(address(ip("10.0.0.1"), &HeaderMap::new(), &proxies), ip("10.0.0.1"));
        assert_eq!(address(ip("::ffff:10.0.0.1"), &headers, &proxies), ip("198.51.100.7"));
    }
}
