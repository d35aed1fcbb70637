//! What callers were told and what became of it: every promise that was broken, in words.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::world::Accepted;

/// What callers were told.
#[derive(Debug, Default)]
pub struct Told {
    /// Provider ids of inbound messages whose webhook was answered 200.
    pub webhooks: Vec<String>,
    /// Row ids and texts of sends that were answered with a result, in order, by chat.
    pub sends: BTreeMap<String, Vec<(i64, String)>>,
}

/// What became of it.
#[derive(Debug, Default)]
pub struct Found {
    /// Inbound rows by provider id.
    pub inbound: HashMap<String, i64>,
    /// Outbound rows: id, text, status.
    pub outbound: Vec<(i64, String, String)>,
    /// What the provider took, in order.
    pub accepted: Vec<Accepted>,
}

/// Every broken promise, in words.
pub fn broken(told: &Told, found: &Found) -> Vec<String> {
    let mut broken = Vec::new();
    let missing = told.webhooks.iter().filter(|id| !found.inbound.contains_key(*id)).count();
    if missing > 0 {
        broken.push(format!(
            "{missing} of {} acknowledged webhooks are missing",
            told.webhooks.len()
        ));
    }
    for (id, count) in found.inbound.iter().filter(|(_, count)| **count != 1) {
        broken.push(format!("inbound {id} has {count} rows"));
    }
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &found.accepted {
        *times.entry(&one.text).or_default() += 1;
    }
    for (text, count) in times.iter().filter(|(_, count)| **count > 1) {
        broken.push(format!("{text:?} was sent {count} times"));
    }
    let mut rows: BTreeMap<&str, Vec<(i64, &str)>> = BTreeMap::new();
    for (id, text, status) in &found.outbound {
        rows.entry(text).or_default().push((*id, status));
    }
    for (text, rows) in rows.iter().filter(|(_, rows)| rows.len() > 1) {
        broken.push(format!("{text:?} has rows {rows:?}"));
    }
    let known: BTreeSet<&str> = rows.keys().copied().collect();
    for one in found.accepted.iter().filter(|one| !known.contains(one.text.as_str())) {
        broken.push(format!("{:?} was sent without a row", one.text));
    }
    for (id, text) in told.sends.values().flatten() {
        match rows.get(text.as_str()).and_then(|rows| rows.iter().find(|row| row.0 == *id)) {
            None => broken.push(format!("the send {id} {text:?} is missing")),
            Some((_, "pending" | "sent" | "delivered" | "read"))
                if times.contains_key(text.as_str()) => {}
            // Begun, and killed before a byte was written: held, as the policy says.
            Some((_, "uncertain")) => {}
            Some((_, status)) => broken.push(format!(
                "the send {id} {text:?} is {status}, and was taken {} times",
                times.get(text.as_str()).unwrap_or(&0)
            )),
        }
    }
    for (chat, sends) in &told.sends {
        let order: Vec<&str> = sends.iter().map(|(_, text)| text.as_str()).collect();
        let place = |text: &str| order.iter().position(|one| *one == text);
        let at: Vec<usize> = found.accepted.iter().filter_map(|one| place(&one.text)).collect();
        if at.windows(2).any(|two| two[0] > two[1]) {
            broken.push(format!("chat {chat} is out of order"));
        }
    }
    broken
}
