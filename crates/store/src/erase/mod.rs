//! Erases one person: everything in our tables and Odoo's `whatsapp_…` that says who he is or what was written with him.
//!
//! Messages stay as husks (type, direction, status, times) so that statistics hold; audit rows stay, with the fields that
//! named him emptied and their digests in the proof. What belongs to Odoo's own records (partners, their chatter) is not
//! ours. One transaction: the searches come first, so that nobody waits for them.
//!
//! Lock order: people of the accounts, lanes, messages, then as everywhere; [`crate::advisory::Job::Audit`] last.

mod audit;
mod find;
mod journal;
mod rows;
mod texts;

use std::collections::{BTreeMap, BTreeSet};

use wabridge_domain::audit::AuditKey;

pub use find::{Person, find_contact, find_names};

use crate::{StoreError, Tx, identity};

/// Rows that were deleted or emptied, by table.
pub type Counts = BTreeMap<&'static str, u64>;

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erased {
    pub counts: Counts,
    /// Locations of files that nobody uses any more; the caller deletes them after the commit.
    pub files: Vec<String>,
    /// (account, contact) that are gone, for the live screen.
    pub contacts: Vec<(i32, i32)>,
}

/// Erases a person at these accounts. `key` signs what is emptied in the audit log; None where no row was sealed yet.
///
/// # Errors
/// The database's; [`StoreError::Busy`] while a message to him is at the provider.
pub async fn run(
    tx: &Tx<'_>,
    person: &Person,
    key: Option<(i32, &AuditKey)>,
) -> Result<Erased, StoreError> {
    let mut erased = Erased::default();
    let counts = &mut erased.counts;
    // It reads whole tables.
    tx.batch_execute("SET LOCAL statement_timeout = 0").await?;
    let accounts: BTreeSet<i32> = person.accounts.iter().copied().collect();
    journal::erase(tx, person, counts).await?;
    texts::erase(tx, person, counts).await?;
    identity::hold(tx, &accounts).await?;
    identity::hold_alone(tx, &accounts, &accounts).await?;
    erased.files = rows::erase(tx, person, counts).await?;
    erased.contacts = rows::contacts(tx, person, counts).await?;
    identity::keep(tx).await?;
    audit::erase(tx, person, key, counts).await?;
    counts.retain(|_, rows| *rows > 0);
    Ok(erased)
}

/// Webhooks that came in while [`run`] worked.
///
/// # Errors
/// The database's.
pub async fn again(tx: &Tx<'_>, person: &Person) -> Result<Counts, StoreError> {
    let mut counts = Counts::new();
    tx.batch_execute("SET LOCAL statement_timeout = 0").await?;
    journal::erase(tx, person, &mut counts).await?;
    counts.retain(|_, rows| *rows > 0);
    Ok(counts)
}

fn add(counts: &mut Counts, table: &'static str, rows: u64) {
    *counts.entry(table).or_default() += rows;
}
