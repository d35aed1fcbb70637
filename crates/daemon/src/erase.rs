//! Erases a person: the database in one transaction, then the files that nobody uses any more.

use wabridge_store::erase::{self as store, Counts, Erased, Person};
use wabridge_store::{StoreError, tx};

use crate::audit::proof;
use crate::media::blobs::Folder;
use crate::runtime::Runtime;

/// Who is meant.
#[derive(Debug, Clone)]
pub enum Whom {
    /// The person of a `whatsapp_contact` row.
    Contact(i32),
    /// Numbers (digits) and chat ids.
    Names(Vec<String>),
}

/// Erases a person at these accounts; None when nothing is known of him. Repeating it is harmless.
///
/// # Errors
/// The database's; [`StoreError::Busy`] while a message to him is at the provider;
/// [`StoreError::Refused`] where the audit key cannot be opened: the log's proof would break.
pub async fn run(
    rt: &Runtime,
    accounts: &[i32],
    whom: &Whom,
) -> Result<Option<Counts>, StoreError> {
    let opened = proof::keys(rt).await?;
    if let Some(problem) = opened.problem {
        return Err(StoreError::Refused(format!("the audit key cannot be opened: {problem}")));
    }
    // A copy of a database leaves the original's files alone.
    let identity = wabridge_store::meta::identity(&rt.store).await?;
    let folder = Folder::new(proof::installation(rt).await?, &identity);
    let key = opened.newest.and_then(|id| Some((id, opened.keys.get(&id)?)));
    let done: Result<Option<(Person, Erased)>, StoreError> = tx!(&rt.store, "erase.run", |tx| {
        let person = match whom {
            Whom::Contact(id) => store::find_contact(tx, accounts, *id).await?,
            Whom::Names(names) => store::find_names(tx, accounts, names).await?,
        };
        if person.is_nobody() {
            return Ok::<_, StoreError>(None);
        }
        let erased = store::run(tx, &person, key).await?;
        Ok(Some((person, erased)))
    });
    let Some((person, erased)) = done? else { return Ok(None) };
    let Erased { mut counts, files, contacts } = erased;
    for location in files.iter().filter(|location| folder.holds(location)) {
        if let Err(error) = rt.media.blobs.remove(location).await {
            // The row is gone: the file is found without one and removed later.
            tracing::warn!(db.name = %rt.name, %error, "a file of an erased person stays for now: {error}");
        }
    }
    // What came in meanwhile.
    let late: Result<Counts, StoreError> =
        tx!(&rt.store, "erase.again", |tx| store::again(tx, &person).await);
    for (table, rows) in late? {
        *counts.entry(table).or_default() += rows;
    }
    for (account, id) in contacts {
        rt.live.changed(account, "whatsapp.contact", [id]);
    }
    let rows: u64 = counts.values().sum();
    tracing::info!(db.name = %rt.name, rows, "a person was erased from database {}: {rows} rows deleted or emptied", rt.name);
    Ok(Some(counts))
}
