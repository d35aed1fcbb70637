//! `wabridge.group_request` and `wabridge.group_invitation`: groups that a provider makes after its answer, and the
//! invitations that are owed until they are there. Read beside them: `whatsapp_group` (id, configuration_id, group_id,
//! name, invite_link).

use std::time::Duration;

use deadpool_postgres::GenericClient;

use crate::{StoreError, Tx};

/// What a webhook told of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    pub configuration_id: i32,
    pub request_id: &'a str,
    /// The provider's id of the group; None: it was not made.
    pub group_id: Option<&'a str>,
    /// Why not.
    pub reason: Option<&'a str>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub group_id: Option<String>,
    pub reason: Option<String>,
    /// The `whatsapp_group` row and its link.
    pub row: Option<i32>,
    pub invite_link: Option<String>,
}

/// Where an invitation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub contact_id: String,
    /// `owed`, `sent`, `refused`.
    pub state: String,
    pub reason: Option<String>,
}

/// An invitation whose group is known, or known not to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub id: i64,
    pub configuration_id: i32,
    pub uid: i32,
    pub contact_id: String,
    pub body: String,
    pub outcome: Outcome,
}

/// Takes in what webhooks told; what is known stays.
///
/// # Errors
/// The database's.
pub async fn note(client: &impl GenericClient, requests: &[Request<'_>]) -> Result<(), StoreError> {
    if requests.is_empty() {
        return Ok(());
    }
    let mut sorted: Vec<&Request<'_>> = requests.iter().collect();
    sorted.sort_by_key(|one| (one.configuration_id, one.request_id));
    let sql = "-- group_invitation::note
        INSERT INTO wabridge.group_request (configuration_id, request_id, group_id, reason)
        SELECT i.configuration_id, i.request_id, i.group_id, i.reason
        FROM unnest($1::int4[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY
             AS i(configuration_id, request_id, group_id, reason, no)
        ORDER BY i.no
        ON CONFLICT (configuration_id, request_id) DO NOTHING";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(
            &statement,
            &[
                /* configuration_id */
                &sorted.iter().map(|one| one.configuration_id).collect::<Vec<_>>(),
                /* request_id */
                &sorted.iter().map(|one| one.request_id).collect::<Vec<_>>(),
                /* group_id */ &sorted.iter().map(|one| one.group_id).collect::<Vec<_>>(),
                /* reason */ &sorted.iter().map(|one| one.reason).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(())
}

/// What became of a request; None while nothing was told.
///
/// # Errors
/// The database's.
pub async fn outcome(
    client: &impl GenericClient,
    configuration_id: i32,
    request_id: &str,
) -> Result<Option<Outcome>, StoreError> {
    let sql = "-- group_invitation::outcome
        SELECT r.group_id, r.reason, g.id, g.invite_link FROM wabridge.group_request r
        LEFT JOIN public.whatsapp_group g ON g.configuration_id = r.configuration_id AND g.group_id = r.group_id
        WHERE r.configuration_id = $1 AND r.request_id = $2";
    let statement = client.prepare_cached(sql).await?;
    let row = client
        .query_opt(
            &statement,
            &[/* configuration_id */ &configuration_id, /* request_id */ &request_id],
        )
        .await?;
    Ok(row.map(|row| Outcome {
        group_id: row.get(0),
        reason: row.get(1),
        row: row.get(2),
        invite_link: row.get(3),
    }))
}

/// Owes people an invitation to the group that a request makes.
///
/// # Errors
/// The database's.
pub async fn owe(
    client: &impl GenericClient,
    configuration_id: i32,
    request_id: &str,
    uid: i32,
    body: &str,
    people: &[&str],
) -> Result<(), StoreError> {
    let sql = "-- group_invitation::owe
        INSERT INTO wabridge.group_invitation (configuration_id, request_id, uid, contact_id, body)
        SELECT $1, $2, $3, i.contact_id, $4 FROM unnest($5::text[]) AS i(contact_id) ORDER BY i.contact_id
        ON CONFLICT (configuration_id, request_id, contact_id) DO NOTHING";
    let statement = client.prepare_cached(sql).await?;
    client
        .execute(
            &statement,
            &[
                /* configuration_id */ &configuration_id,
                /* request_id */ &request_id,
                /* uid */ &uid,
                /* body */ &body,
                /* people */ &people,
            ],
        )
        .await?;
    Ok(())
}

/// The invitations of a request.
///
/// # Errors
/// The database's.
pub async fn of_request(
    client: &impl GenericClient,
    configuration_id: i32,
    request_id: &str,
) -> Result<Vec<Standing>, StoreError> {
    let sql = "-- group_invitation::of_request
        SELECT contact_id, state, reason FROM wabridge.group_invitation
        WHERE configuration_id = $1 AND request_id = $2 ORDER BY id";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[/* configuration_id */ &configuration_id, /* request_id */ &request_id],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Standing { contact_id: row.get(0), state: row.get(1), reason: row.get(2) })
        .collect())
}

/// Owed invitations that can be settled now, oldest first.
///
/// # Errors
/// The database's.
pub async fn due(client: &impl GenericClient, limit: i64) -> Result<Vec<Due>, StoreError> {
    let sql = "-- group_invitation::due
        SELECT i.id, i.configuration_id, i.uid, i.contact_id, i.body, r.group_id, r.reason, g.id, g.invite_link
        FROM wabridge.group_invitation i
        JOIN wabridge.group_request r
             ON r.configuration_id = i.configuration_id AND r.request_id = i.request_id
        LEFT JOIN public.whatsapp_group g ON g.configuration_id = r.configuration_id AND g.group_id = r.group_id
        WHERE i.state = 'owed' AND i.next_at <= now()
        ORDER BY i.next_at, i.id LIMIT $1";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[/* limit */ &limit]).await?;
    Ok(rows
        .iter()
        .map(|row| Due {
            id: row.get(0),
            configuration_id: row.get(1),
            uid: row.get(2),
            contact_id: row.get(3),
            body: row.get(4),
            outcome: Outcome {
                group_id: row.get(5),
                reason: row.get(6),
                row: row.get(7),
                invite_link: row.get(8),
            },
        })
        .collect())
}

/// It was handed to the outbox.
///
/// # Errors
/// The database's.
pub async fn sent(client: &impl GenericClient, id: i64) -> Result<(), StoreError> {
    let sql = "-- group_invitation::sent
        UPDATE wabridge.group_invitation SET state = 'sent', reason = NULL WHERE id = $1 AND state = 'owed'";
    let statement = client.prepare_cached(sql).await?;
    client.execute(&statement, &[/* id */ &id]).await?;
    Ok(())
}

/// It will not be sent.
///
/// # Errors
/// The database's.
pub async fn refuse(client: &impl GenericClient, id: i64, reason: &str) -> Result<(), StoreError> {
    let sql = "-- group_invitation::refuse
        UPDATE wabridge.group_invitation SET state = 'refused', reason = $2 WHERE id = $1 AND state = 'owed'";
    let statement = client.prepare_cached(sql).await?;
    client.execute(&statement, &[/* id */ &id, /* reason */ &reason]).await?;
    Ok(())
}

/// Looks at it again later.
///
/// # Errors
/// The database's.
pub async fn postpone(
    client: &impl GenericClient,
    id: i64,
    wait: Duration,
) -> Result<(), StoreError> {
    let sql = "-- group_invitation::postpone
        UPDATE wabridge.group_invitation SET next_at = now() + $2::float8 * interval '1 second' WHERE id = $1";
    let statement = client.prepare_cached(sql).await?;
    client.execute(&statement, &[/* id */ &id, /* wait */ &wait.as_secs_f64()]).await?;
    Ok(())
}

/// Gives up invitations whose group nothing was told of for `days`, with `reason`, and forgets what is older than
/// `kept` days; how many were given up.
///
/// # Errors
/// The database's.
pub async fn collect(tx: &Tx<'_>, days: u32, kept: u32, reason: &str) -> Result<u64, StoreError> {
    let sql = "-- group_invitation::give_up
        UPDATE wabridge.group_invitation SET state = 'refused', reason = $2
        WHERE state = 'owed' AND created_at < now() - $1::int8 * interval '1 day'";
    let given_up = tx.execute(sql, &[/* days */ &i64::from(days), /* reason */ &reason]).await?;
    for sql in [
        "-- group_invitation::collect
        DELETE FROM wabridge.group_invitation
        WHERE state <> 'owed' AND created_at < now() - $1::int8 * interval '1 day'",
        "-- group_invitation::collect_requests
        DELETE FROM wabridge.group_request WHERE created_at < now() - $1::int8 * interval '1 day'",
    ] {
        tx.execute(sql, &[/* kept */ &i64::from(kept)]).await?;
    }
    Ok(given_up)
}
