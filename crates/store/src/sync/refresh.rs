//! Chosen contacts that the provider was asked for alone: compared and written as a page of contacts is.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use wabridge_domain::ProviderKind;
use wabridge_domain::conflict::ConflictPolicy;
use wabridge_domain::event::{ContactUpdate, Person};

use super::{Of, contacts};
use crate::apply::Changes;
use crate::{StoreError, Tx, savepoint};

/// Those of `ids` that are contacts of the account, by row id, with all that names them.
///
/// # Errors
/// The database's.
pub async fn people(
    client: &impl GenericClient,
    configuration_id: i32,
    ids: &[i32],
) -> Result<BTreeMap<i32, Person>, StoreError> {
    let sql = "-- sync::refresh::people
        SELECT c.id, c.contact_id, c.phone, c.lid, c.wa_user_id
        FROM public.whatsapp_contact c WHERE c.configuration_id = $1 AND c.id = ANY($2::int4[])";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[/* account */ &configuration_id, /* ids */ &ids]).await?;
    let person = |row: &tokio_postgres::Row| Person {
        contact_id: row.get(1),
        phone: row.get(2),
        lid: row.get(3),
        user_id: row.get(4),
        ..Person::default()
    };
    Ok(rows.iter().map(|row| (row.get(0), person(row))).collect())
}

/// The account as it decides about names now.
///
/// # Errors
/// The database's.
async fn of(
    tx: &Tx<'_>,
    configuration_id: i32,
    provider: ProviderKind,
    at: Timestamp,
) -> Result<Of, StoreError> {
    let sql = "-- sync::refresh::of
        SELECT a.conflict_policy, m.read_at
        FROM public.whatsapp_configuration a
        LEFT JOIN wabridge.sync_mark m ON m.configuration_id = a.id AND m.kind = 'contacts'
        WHERE a.id = $1";
    let row = tx.query_opt(sql, &[/* account */ &configuration_id]).await?;
    let row = row.ok_or_else(|| StoreError::Refused("the account is gone".into()))?;
    let policy = ConflictPolicy::from_column(row.get::<_, Option<String>>(0).as_deref());
    Ok(Of { configuration_id, provider, policy, at, read_at: row.get(1) })
}

/// What came of the people of a call.
#[derive(Debug, Default)]
pub struct Written {
    pub changes: Changes,
    /// Rows that changed, or became another row's.
    pub changed: BTreeSet<i32>,
    /// Rows whose news the database refuses, and why.
    pub refused: BTreeMap<i32, String>,
}

/// Writes what is new; `told` holds row ids with what the provider told of them at `at`.
///
/// # Errors
/// The database's.
pub async fn write(
    tx: &Tx<'_>,
    configuration_id: i32,
    provider: ProviderKind,
    at: Timestamp,
    told: &[(i32, ContactUpdate)],
) -> Result<Written, StoreError> {
    super::mark(tx).await?;
    let of = of(tx, configuration_id, provider, at).await?;
    let mut written = Written::default();
    let all: Vec<ContactUpdate> = told.iter().map(|(_, update)| update.clone()).collect();
    match part(tx, &of, &all).await? {
        Ok(changes) => written.changes = changes,
        Err(why) if all.len() == 1 => {
            written.refused.extend(told.iter().map(|(id, _)| (*id, why.clone())));
        }
        // What is refused of one spoils no other.
        Err(_) => {
            for (id, update) in told {
                match part(tx, &of, std::slice::from_ref(update)).await? {
                    Ok(changes) => written.changes.absorb(changes),
                    Err(why) => {
                        written.refused.insert(*id, why);
                    }
                }
            }
        }
    }
    let ids: Vec<i32> = told.iter().map(|(id, _)| *id).collect();
    let there = people(tx, configuration_id, &ids).await?;
    let touched: BTreeSet<i32> = written.changes.contacts.iter().map(|(_, id)| *id).collect();
    written.changed =
        ids.into_iter().filter(|id| touched.contains(id) || !there.contains_key(id)).collect();
    Ok(written)
}

/// The inner error: why the database refuses something of it; nothing was written then.
async fn part(
    tx: &Tx<'_>,
    of: &Of,
    updates: &[ContactUpdate],
) -> Result<Result<Changes, String>, StoreError> {
    savepoint::begin(tx).await?;
    match contacts::write(tx, of, updates).await {
        Ok(page) => {
            savepoint::keep(tx).await?;
            Ok(Ok(page.changes))
        }
        Err(StoreError::Refused(why) | StoreError::Other(why)) => {
            savepoint::undo(tx).await?;
            Ok(Err(why))
        }
        Err(error) => Err(error),
    }
}
