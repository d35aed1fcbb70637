//! After a commit: tells the live screens, and knocks where somebody waits for it.

use std::collections::BTreeMap;

use wabridge_store::apply::Changes;

use crate::runtime::Runtime;

/// Says what was written.
pub fn publish(rt: &Runtime, changes: &Changes) {
    hint(rt, "whatsapp.message", &changes.messages);
    rt.sends.tell(changes.messages.iter().map(|(_, id)| *id));
    hint(rt, "whatsapp.chat", &changes.chats);
    hint(rt, "whatsapp.contact", &changes.contacts);
    hint(rt, "whatsapp.group", &changes.groups);
    for account in &changes.accounts {
        rt.live.changed(*account, "whatsapp.configuration", [*account]);
    }
    if !changes.accounts.is_empty() {
        // What waited for the account may go out now.
        rt.wakes.outbox.notify_one();
    }
    if changes.events {
        rt.wakes.events.notify_one();
    }
    if changes.media {
        rt.wakes.media.notify_one();
    }
}

fn hint(rt: &Runtime, model: &'static str, rows: &[(i32, i32)]) {
    let mut by_account: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (account, id) in rows {
        by_account.entry(*account).or_default().push(*id);
    }
    for (account, ids) in by_account {
        rt.live.changed(account, model, ids);
    }
}
