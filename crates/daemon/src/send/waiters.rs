//! Callers that wait for the outcome of a message in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

type Map = Mutex<HashMap<i32, (usize, Arc<Notify>)>>;

/// Who waits for which message; empty unless somebody does.
#[derive(Debug, Default)]
pub struct Waiters {
    map: Arc<Map>,
}

/// One who waits; leaves when dropped.
#[derive(Debug)]
pub struct Waiter {
    id: i32,
    map: Arc<Map>,
    notify: Arc<Notify>,
}

impl Waiters {
    pub fn wait(&self, id: i32) -> Waiter {
        let mut map = self.map.lock().expect("no holder of this lock can panic");
        let entry = map.entry(id).or_default();
        entry.0 += 1;
        Waiter { id, map: Arc::clone(&self.map), notify: Arc::clone(&entry.1) }
    }

    /// Tells those who wait for these messages that something was recorded.
    pub fn tell(&self, ids: impl IntoIterator<Item = i32>) {
        let map = self.map.lock().expect("no holder of this lock can panic");
        if map.is_empty() {
            return;
        }
        for id in ids {
            if let Some((_, notify)) = map.get(&id) {
                notify.notify_waiters();
            }
        }
    }
}

impl Waiter {
    pub fn told(&self) -> Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut map = self.map.lock().expect("no holder of this lock can panic");
        if let Some(entry) = map.get_mut(&self.id) {
            entry.0 -= 1;
            if entry.0 == 0 {
                map.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn told_once_registered_and_forgotten_after() {
        let waiters = Waiters::default();
        let waiter = waiters.wait(7);
        {
            let told = waiter.told();
            tokio::pin!(told);
            told.as_mut().enable();
            waiters.tell([6, 7]);
            told.await;
        }
        drop(waiter);
        assert!(waiters.map.lock().unwrap().is_empty());
    }
}
