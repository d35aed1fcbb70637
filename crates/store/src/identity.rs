//! `wabridge.identity`: every name a provider has for a person, and the contact row it stands for.
//!
//! One person is one row, whichever of the names came first. A name never changes hands by itself: when an event
//! says that names of two rows are one person's, the rows are made one ([`crate::odoo::twins`]). The columns of a
//! contact that hold such names follow from what stands here, so that the order of learning does not matter.
//!
//! Lock order: [`hold`] before everything of an account, then contacts, then these rows by key.

use std::collections::BTreeSet;

use deadpool_postgres::GenericClient;
use jiff::civil::DateTime;
use wabridge_domain::event::Person;
use wabridge_domain::phone::Msisdn;

use crate::StoreError;
use crate::odoo::{Text, text};

/// First half of the advisory locks on the people of an account ("wabp").
const SPACE: i32 = 0x7761_6270;

/// What a name is, the word in `identity.kind`.
pub const CONTACT_ID: &str = "contact_id";
pub const PHONE: &str = "phone";
pub const LID: &str = "lid";
pub const USERNAME: &str = "username";
pub const USER_ID: &str = "user_id";
/// What both forms of a number with two forms share ([`Msisdn::shared_name`]).
pub const NUMBER: &str = "number";

/// One name of a person at an account.
pub type Key<'a> = (i32, &'static str, Text<'a>);

/// The names that `person` has, as they stand here.
pub fn names(configuration_id: i32, person: &Person) -> impl Iterator<Item = Key<'_>> {
    let shared = person.phone.as_deref().and_then(|phone| Msisdn::of_digits(phone)?.shared_name());
    [
        (CONTACT_ID, Some(person.contact_id.as_str())),
        (PHONE, person.phone.as_deref()),
        (LID, person.lid.as_deref()),
        (USERNAME, person.username.as_deref()),
        (USER_ID, person.user_id.as_deref()),
    ]
    .into_iter()
    .filter_map(move |(kind, value)| Some((configuration_id, kind, value.and_then(text)?)))
    .chain(shared.map(move |name| (configuration_id, NUMBER, Text::Owned(name))))
}

/// Keeps the contact rows of these accounts from being made one until the transaction ends. Leaves a savepoint
/// that [`hold_alone`] goes back to.
///
/// # Errors
/// The database's; [`StoreError::Busy`] where somebody makes contacts one for too long.
pub async fn hold(client: &impl GenericClient, accounts: &BTreeSet<i32>) -> Result<(), StoreError> {
    let locks = locks(accounts, &BTreeSet::new());
    Ok(client.batch_execute(&format!("-- identity::hold\nSAVEPOINT people; {locks}")).await?)
}

/// As [`hold`], without a savepoint.
///
/// # Errors
/// As [`hold`].
pub async fn share(
    client: &impl GenericClient,
    accounts: &BTreeSet<i32>,
) -> Result<(), StoreError> {
    let sql = "-- identity::share
        SELECT pg_advisory_xact_lock_shared($1::int4, a.id) FROM unnest($2::int4[]) AS a(id)";
    let accounts: Vec<i32> = accounts.iter().copied().collect();
    let statement = client.prepare_cached(sql).await?;
    client.execute(&statement, &[/* space */ &SPACE, /* accounts */ &accounts]).await?;
    Ok(())
}

/// After [`hold`]: from now on nobody else uses the contacts of `alone`, so that rows can be made one.
///
/// # Errors
/// The database's; [`StoreError::Busy`] where they are in use for too long.
pub async fn hold_alone(
    client: &impl GenericClient,
    accounts: &BTreeSet<i32>,
    alone: &BTreeSet<i32>,
) -> Result<(), StoreError> {
    // What is held is given back first: two that hold and both want more would wait for each other.
    let locks = locks(accounts, alone);
    let sql = format!("-- identity::hold_alone\nROLLBACK TO SAVEPOINT people; {locks}");
    Ok(client.batch_execute(&sql).await?)
}

/// After [`hold`]: what was done since stays.
///
/// # Errors
/// The database's.
pub async fn keep(client: &impl GenericClient) -> Result<(), StoreError> {
    Ok(client.batch_execute("-- identity::keep\nRELEASE SAVEPOINT people").await?)
}

/// After [`hold`]: gives everything back that was done since, and holds anew.
///
/// # Errors
/// As [`hold`].
pub async fn hold_anew(
    client: &impl GenericClient,
    accounts: &BTreeSet<i32>,
) -> Result<(), StoreError> {
    hold_alone(client, accounts, &BTreeSet::new()).await
}

/// In the order of the accounts; numbers only, so that it is one message each way.
fn locks(accounts: &BTreeSet<i32>, alone: &BTreeSet<i32>) -> String {
    let mut sql = String::new();
    for account in accounts {
        let how = if alone.contains(account) { "" } else { "_shared" };
        sql += &format!("SELECT pg_advisory_xact_lock{how}({SPACE}, {account}); ");
    }
    sql
}

/// A name that stands for a contact from now on.
#[derive(Debug, Clone, Copy)]
pub struct Note<'a> {
    pub key: &'a Key<'a>,
    /// The contact row.
    pub contact_id: i32,
    /// When the person was declared not to have it any more, UTC.
    pub former_at: Option<DateTime>,
}

/// Notes names; each key once. What stands there already is only read. False where one of the names stands for
/// another row.
///
/// # Errors
/// The database's.
pub async fn note(client: &impl GenericClient, notes: &[Note<'_>]) -> Result<bool, StoreError> {
    if notes.is_empty() {
        return Ok(true);
    }
    let mut notes: Vec<&Note<'_>> = notes.iter().collect();
    notes.sort_by(|a, b| a.key.cmp(b.key));
    let sql = "-- identity::note
        INSERT INTO wabridge.identity (configuration_id, kind, value, contact_id, former_at)
        SELECT i.configuration_id, i.kind, i.value, i.contact_id, i.former_at
        FROM unnest($1::int4[], $2::text[], $3::text[], $4::int4[], $5::timestamp[])
             AS i(configuration_id, kind, value, contact_id, former_at)
        WHERE NOT EXISTS (SELECT 1 FROM wabridge.identity d WHERE d.configuration_id = i.configuration_id
                          AND d.kind = i.kind AND d.value = i.value)
        ORDER BY i.configuration_id, i.kind, i.value
        ON CONFLICT (configuration_id, kind, value) DO NOTHING
        RETURNING 1";
    let written = run(client, sql, &notes).await?;
    if written.len() == notes.len() {
        return Ok(true);
    }
    let sql = "-- identity::declare_former
        WITH target AS MATERIALIZED (
            SELECT d.configuration_id, d.kind, d.value, i.former_at
            FROM unnest($1::int4[], $2::text[], $3::text[], $4::int4[], $5::timestamp[])
                 AS i(configuration_id, kind, value, contact_id, former_at)
            JOIN wabridge.identity d ON d.configuration_id = i.configuration_id AND d.kind = i.kind
                 AND d.value = i.value
            WHERE i.former_at > coalesce(d.former_at, '-infinity')
            ORDER BY d.configuration_id, d.kind, d.value FOR UPDATE OF d)
        UPDATE wabridge.identity d SET former_at = t.former_at FROM target t
        WHERE d.configuration_id = t.configuration_id AND d.kind = t.kind AND d.value = t.value
        RETURNING 1";
    run(client, sql, &notes).await?;
    // A username may have gone to somebody else: that links nobody.
    let sql = "-- identity::contested
        SELECT 1
        FROM unnest($1::int4[], $2::text[], $3::text[], $4::int4[], $5::timestamp[])
             AS i(configuration_id, kind, value, contact_id, former_at)
        JOIN wabridge.identity d ON d.configuration_id = i.configuration_id AND d.kind = i.kind AND d.value = i.value
        WHERE d.contact_id <> i.contact_id AND i.kind <> 'username'";
    Ok(run(client, sql, &notes).await?.is_empty())
}

async fn run(
    client: &impl GenericClient,
    sql: &str,
    notes: &[&Note<'_>],
) -> Result<Vec<tokio_postgres::Row>, StoreError> {
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* configuration_id */ &notes.iter().map(|n| n.key.0).collect::<Vec<_>>(),
                /* kind */ &notes.iter().map(|n| n.key.1).collect::<Vec<_>>(),
                /* value */ &notes.iter().map(|n| &*n.key.2).collect::<Vec<_>>(),
                /* contact_id */ &notes.iter().map(|n| n.contact_id).collect::<Vec<_>>(),
                /* former_at */ &notes.iter().map(|n| n.former_at).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(rows)
}

/// Writes the names of these contacts into their rows, where they differ: of several of a kind the one that was not
/// given up, or given up first; of the ids the one that tells the number. Returns (account, row id) of what changed.
///
/// # Errors
/// The database's.
pub async fn refresh(
    client: &impl GenericClient,
    contacts: &[i32],
) -> Result<Vec<(i32, i32)>, StoreError> {
    if contacts.is_empty() {
        return Ok(vec![]);
    }
    let sql = "-- identity::refresh
        WITH best AS MATERIALIZED (
            SELECT d.contact_id,
                   (array_agg(d.value ORDER BY d.former_at NULLS FIRST, d.value) FILTER (WHERE d.kind = 'phone'))[1] AS phone,
                   (array_agg(d.value ORDER BY d.former_at NULLS FIRST, d.value) FILTER (WHERE d.kind = 'lid'))[1] AS lid,
                   (array_agg(d.value ORDER BY d.former_at NULLS FIRST, d.value) FILTER (WHERE d.kind = 'user_id'))[1] AS user_id
            FROM wabridge.identity d WHERE d.contact_id = ANY($1) GROUP BY d.contact_id),
        named AS MATERIALIZED (
            SELECT b.contact_id, b.phone, b.lid, b.user_id, (
                SELECT d.value FROM wabridge.identity d WHERE d.contact_id = b.contact_id AND d.kind = 'contact_id'
                ORDER BY coalesce(starts_with('+' || d.value, b.phone), false) DESC, d.former_at NULLS FIRST, d.value
                LIMIT 1) AS id
            FROM best b),
        target AS MATERIALIZED (
            SELECT c.id, coalesce(n.id, c.contact_id) AS contact_id, coalesce(n.phone, c.phone) AS phone,
                   coalesce(n.lid, c.lid) AS lid, coalesce(n.user_id, c.wa_user_id) AS user_id
            FROM named n JOIN public.whatsapp_contact c ON c.id = n.contact_id
            WHERE n.id IS DISTINCT FROM c.contact_id AND n.id IS NOT NULL
               OR n.phone IS DISTINCT FROM c.phone AND n.phone IS NOT NULL
               OR n.lid IS DISTINCT FROM c.lid AND n.lid IS NOT NULL
               OR n.user_id IS DISTINCT FROM c.wa_user_id AND n.user_id IS NOT NULL
            ORDER BY c.id FOR NO KEY UPDATE OF c)
        UPDATE public.whatsapp_contact c
        SET contact_id = t.contact_id, phone = t.phone, lid = t.lid, wa_user_id = t.user_id,
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        FROM target t WHERE c.id = t.id
        RETURNING c.configuration_id, c.id";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[/* contacts */ &contacts]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
