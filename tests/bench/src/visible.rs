//! When a text that was sent can be read in Odoo's table.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio_postgres::Client;

/// Of so many texts one is looked for.
const ONE_IN: u32 = 3;
const EVERY: Duration = Duration::from_millis(4);

#[derive(Debug, Default)]
struct State {
    counter: u32,
    open: HashMap<String, Instant>,
    /// Microseconds.
    took: Vec<u32>,
    ended: bool,
}

/// Collects what was sent, and looks for it.
#[derive(Debug, Clone, Default)]
pub struct Watch(Rc<RefCell<State>>);

impl Watch {
    /// A text went out at `at`.
    pub fn sent(&self, id: &str, at: Instant) {
        let mut state = self.0.borrow_mut();
        state.counter += 1;
        if state.counter.is_multiple_of(ONE_IN) {
            state.open.insert(id.to_owned(), at);
        }
    }

    /// Looks until everything was seen after [`Watch::end`]; a row is seen at most [`EVERY`] after it could be.
    pub async fn look(&self, odoo: &Client) {
        let sql = "SELECT message_id FROM whatsapp_message WHERE configuration_id = 1 AND message_id = ANY($1)";
        let statement = odoo.prepare(sql).await.expect("the table is there");
        loop {
            let (ids, ended): (Vec<String>, bool) = {
                let state = self.0.borrow();
                (state.open.keys().cloned().collect(), state.ended)
            };
            if ids.is_empty() && ended {
                return;
            }
            if !ids.is_empty() {
                let rows = odoo.query(&statement, &[&ids]).await.expect("messages can be read");
                let now = Instant::now();
                let mut state = self.0.borrow_mut();
                for row in rows {
                    if let Some(sent) = state.open.remove(row.get::<_, &str>(0)) {
                        let took = now.duration_since(sent).as_micros();
                        state.took.push(u32::try_from(took).unwrap_or(u32::MAX));
                    }
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    pub fn end(&self) {
        self.0.borrow_mut().ended = true;
    }

    /// Microseconds, sorted.
    pub fn took(&self) -> Vec<u32> {
        let mut took = self.0.borrow().took.clone();
        took.sort_unstable();
        took
    }
}
