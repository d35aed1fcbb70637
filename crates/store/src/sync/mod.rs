//! Synchronisation: runs with their cursors, and pages of providers' lists brought into Odoo's rows.
//!
//! A page is compared with the rows in a few statements first (`contacts`, `groups`, `messages`), and only what differs
//! goes on to [`crate::apply`], the way that webhooks go too (`refresh` does the same for chosen people): what is unchanged is never written, here or in Odoo's
//! tables. Everything of a page, its rows, decisions, counts and the next cursor, is one transaction.

pub mod contacts;
pub mod groups;
pub mod item;
pub mod messages;
pub mod names;
pub mod refresh;
pub mod run;
pub mod schedule;

use jiff::Timestamp;
use wabridge_domain::ProviderKind;
use wabridge_domain::conflict::ConflictPolicy;

use crate::apply::Changes;
use crate::{StoreError, Tx};

/// The account that a page belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Of {
    pub configuration_id: i32,
    pub provider: ProviderKind,
    pub policy: ConflictPolicy,
    /// When the page was told.
    pub at: Timestamp,
    /// When the last complete reading of this list began.
    pub read_at: Option<Timestamp>,
}

/// What became of a page.
#[derive(Debug, Default)]
pub struct Page {
    pub counts: Counts,
    pub changes: Changes,
    pub items: Vec<item::Item>,
    /// The time of the newest message.
    pub high: Option<Timestamp>,
}

/// How many of a kind were read, and what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub read: i32,
    pub created: i32,
    pub changed: i32,
    pub unchanged: i32,
    pub errors: i32,
    pub late: i32,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.read += more.read;
        self.created += more.created;
        self.changed += more.changed;
        self.unchanged += more.unchanged;
        self.errors += more.errors;
        self.late += more.late;
    }
}

/// Rows that this transaction writes are marked as changed by a synchronisation (`synced_at`).
///
/// # Errors
/// The database's.
pub async fn mark(tx: &Tx<'_>) -> Result<(), StoreError> {
    let sql = "-- sync::mark
        SELECT set_config('wabridge.synced_at', date_trunc('second', now() AT TIME ZONE 'UTC')::text, true)";
    tx.execute(sql, &[]).await?;
    Ok(())
}

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}
