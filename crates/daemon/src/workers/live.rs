//! Live screens: which rows changed, for Odoo's bus.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tracing::debug;
use wabridge_store::StoreError;
use wabridge_store::database::Dedicated;
use wabridge_store::odoo::bus::{self, Hint};

use crate::runtime::{Phase, Runtime};

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

/// Longest time between a change and its hint, and shortest between two hints to one partner.
const GATHER: Duration = Duration::from_millis(200);
/// How long the people of an account are remembered.
const PEOPLE_FOR: Duration = Duration::from_secs(5);

/// Writes hints until the daemon stops. Lost hints are normal: clients re-read every 30 s.
pub fn spawn(rt: &Arc<Runtime>) {
    let rt = Arc::clone(rt);
    rt.tasks.clone().spawn(async move { run(&rt).await });
}

async fn run(rt: &Runtime) {
    let mut writer = Writer::default();
    loop {
        tokio::select! {
            () = rt.live.notify.notified() => {}
            () = rt.stop.cancelled() => return,
        }
        if !rt.wait_for(Phase::can_apply).await {
            return;
        }
        let changed = rt.live.take();
        if changed.is_empty() {
            continue;
        }
        let count = changed.len();
        if let Err(error) = writer.write(rt, changed).await {
            debug!(db.name = %rt.name, "{count} live hints lost: {error}");
            metrics::counter!("wabridge_live_hints_lost_total", "database" => rt.name.clone())
                .increment(1);
            writer.postgres = None;
        }
        tokio::select! {
            () = tokio::time::sleep(GATHER) => {}
            () = rt.stop.cancelled() => return,
        }
    }
}

#[derive(Default)]
struct Writer {
    /// To the database `postgres`, where Odoo listens.
    postgres: Option<Dedicated>,
    people: HashMap<i32, (tokio::time::Instant, Vec<i32>)>,
    counter: i64,
}

impl Writer {
    async fn write(
        &mut self,
        rt: &Runtime,
        changed: BTreeMap<Key, Vec<i32>>,
    ) -> Result<(), StoreError> {
        let mut by_partner: BTreeMap<i32, BTreeMap<&'static str, BTreeSet<i32>>> = BTreeMap::new();
        let mut any: BTreeSet<(i32, &'static str)> = BTreeSet::new();
        for ((account, model), ids) in changed {
            for partner in self.people_of(rt, account).await? {
                let known = by_partner.entry(partner).or_default().entry(model).or_default();
                if ids.is_empty() {
                    any.insert((partner, model));
                }
                known.extend(ids.iter().copied());
            }
        }
        let mut hints = Vec::with_capacity(by_partner.len());
        for (partner_id, models) in by_partner {
            let payload: serde_json::Map<String, Value> = models
                .into_iter()
                .map(|(model, ids)| {
                    let all = any.contains(&(partner_id, model)) || ids.len() > MANY;
                    (model.to_owned(), if all { json!([]) } else { json!(ids) })
                })
                .collect();
            // Odoo 14 hands hints to other tabs through local storage, where an equal value is no event.
            self.counter = (self.counter + 1).max(rt.clock.now().as_microsecond());
            hints.push(Hint {
                partner_id,
                message: json!({"type": "wabridge/changed", "payload": payload, "n": self.counter}),
            });
        }
        if hints.is_empty() {
            return Ok(());
        }
        bus::insert(&rt.store, &hints).await?;
        let partners: Vec<i32> = hints.iter().map(|hint| hint.partner_id).collect();
        let postgres = match &self.postgres {
            Some(open) if !open.client.is_closed() => open,
            _ => self.postgres.insert(rt.store.dedicated_to_postgres().await?),
        };
        bus::notify(&postgres.client, rt.store.dbname(), &partners).await?;
        metrics::counter!("wabridge_live_hints_total", "database" => rt.name.clone())
            .increment(hints.len() as u64);
        Ok(())
    }

    async fn people_of(&mut self, rt: &Runtime, account: i32) -> Result<Vec<i32>, StoreError> {
        if let Some((at, people)) = self.people.get(&account)
            && at.elapsed() < PEOPLE_FOR
        {
            return Ok(people.clone());
        }
        let people = bus::recipients(&rt.store, account).await?;
        self.people.insert(account, (tokio::time::Instant::now(), people.clone()));
        Ok(people)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_ids_become_any() {
        let hints = Hints::default();
        hints.changed(1, "whatsapp.message", [3, 1, 3]);
        hints.changed(2, "whatsapp.message", 0..500);
        let taken = hints.take();
        assert_eq!(taken[&(1, "whatsapp.message")], vec![1, 3]);
        assert!(taken[&(2, "whatsapp.message")].is_empty());
        assert!(hints.take().is_empty());
    }
}
