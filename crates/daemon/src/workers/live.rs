//! Live screens: which rows changed, for Odoo's bus.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use tokio::sync::Notify;

/// Ids of one model above which the hint says "any record".
const MANY: usize = 100;

/// Rows that changed since the bus writer looked last; bounded by [`MANY`] ids a model.
#[derive(Debug, Default)]
pub struct Hints {
    changed: Mutex<BTreeMap<Key, BTreeSet<i32>>>,
    pub notify: Notify,
}

/// An account and a model (`whatsapp.message`); hints go to the users of the account.
pub type Key = (i32, &'static str);

impl Hints {
    /// Says that rows of `model` changed in account `configuration_id`; call it after the commit.
    pub fn changed(
        &self,
        configuration_id: i32,
        model: &'static str,
        ids: impl IntoIterator<Item = i32>,
    ) {
        {
            let mut changed = self.changed.lock().expect("no holder of this lock can panic");
            let known = changed.entry((configuration_id, model)).or_default();
            for id in ids {
                if known.len() <= MANY {
                    known.insert(id);
                }
            }
        }
        self.notify.notify_one();
    }

    /// Takes everything; an empty list of ids stands for "any record of this model".
    pub fn take(&self) -> BTreeMap<Key, Vec<i32>> {
        let taken =
            std::mem::take(&mut *self.changed.lock().expect("no holder of this lock can panic"));
        taken
            .into_iter()
            .map(|(key, ids)| {
                (key, if ids.len() > MANY { vec![] } else { ids.into_iter().collect() })
            })
            .collect()
    }
}
