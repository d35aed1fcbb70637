//! `wabridge.media_fetch`, `media_blob` and `media_upload`: files that are still to be fetched, the sealed
//! blobs they become, and files that were handed over to be sent.
//!
//! Lock order: media_fetch, then media_blob (by checksum: one file at a time becomes ready for a content), then
//! `whatsapp_media`, then messages.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use serde_json::Value;
use uuid::Uuid;

use crate::odoo::media as odoo;
use crate::{StoreError, Tx};

/// A file to be fetched, claimed for some time.
#[derive(Debug, Clone)]
pub struct Job {
    pub media_id: i32,
    pub configuration_id: i32,
    /// The message's type.
    pub kind: String,
    /// `domain::event::MediaRef`.
    pub media: Value,
    /// This try counted, from 1.
    pub attempts: i32,
    /// Guards what is recorded of it.
    pub claim: Uuid,
}

/// Takes due files that nobody fetches, those waiting longest first. They are due again after `lease`, unless
/// [`renew`] is called.
///
/// # Errors
/// The database's.
pub async fn claim(
    client: &impl GenericClient,
    room: i64,
    lease: Duration,
) -> Result<Vec<Job>, StoreError> {
    let sql = "-- media::claim
        WITH due AS MATERIALIZED (
            SELECT f.media_id FROM wabridge.media_fetch f
            WHERE f.next_at <= now() ORDER BY f.next_at LIMIT $1 FOR UPDATE SKIP LOCKED)
        UPDATE wabridge.media_fetch f
        SET next_at = now() + make_interval(secs => $2), claim = gen_random_uuid(), attempts = f.attempts + 1
        FROM due d WHERE f.media_id = d.media_id
        RETURNING f.media_id, f.configuration_id, f.kind, f.media, f.attempts, f.claim";
    let statement = client.prepare_cached(sql).await?;
    let rows =
        client.query(&statement, &[/* room */ &room, /* lease */ &lease.as_secs_f64()]).await?;
    Ok(rows
        .iter()
        .map(|row| Job {
            media_id: row.get(0),
            configuration_id: row.get(1),
            kind: row.get(2),
            media: row.get(3),
            attempts: row.get(4),
            claim: row.get(5),
        })
        .collect())
}

/// Keeps a file for another `lease`; false when it is not ours any more.
///
/// # Errors
/// The database's.
pub async fn renew(
    client: &impl GenericClient,
    job: &Job,
    lease: Duration,
) -> Result<bool, StoreError> {
    let sql = "-- media::renew
        UPDATE wabridge.media_fetch SET next_at = now() + make_interval(secs => $3)
        WHERE media_id = $1 AND claim = $2";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [
        /* media_id */ &job.media_id,
        /* claim */ &job.claim,
        /* lease */ &lease.as_secs_f64(),
    ];
    Ok(client.execute(sql, &params).await? == 1)
}

/// Gives a file back, to be tried again after `wait`. `counted` says whether this try counts.
///
/// # Errors
/// The database's.
pub async fn release(
    client: &impl GenericClient,
    job: &Job,
    wait: Duration,
    counted: bool,
) -> Result<(), StoreError> {
    let sql = "-- media::release
        UPDATE wabridge.media_fetch
        SET next_at = now() + make_interval(secs => $3), claim = NULL, attempts = attempts - $4
        WHERE media_id = $1 AND claim = $2";
    client
        .execute(
            sql,
            &[
                /* media_id */ &job.media_id,
                /* claim */ &job.claim,
                /* wait */ &wait.as_secs_f64(),
                /* uncounted */ &i32::from(!counted),
            ],
        )
        .await?;
    Ok(())
}

/// Locks the row of a claim; false when it is somebody else's by now.
async fn hold(tx: &Tx<'_>, job: &Job) -> Result<bool, StoreError> {
    let sql = "-- media::hold
        SELECT 1 FROM wabridge.media_fetch WHERE media_id = $1 AND claim = $2 FOR UPDATE";
    let row = tx.query_opt(sql, &[/* media_id */ &job.media_id, /* claim */ &job.claim]).await?;
    Ok(row.is_some())
}

async fn rest(tx: &Tx<'_>, media_id: i32) -> Result<(), StoreError> {
    let sql = "-- media::rest
        UPDATE wabridge.media_fetch SET next_at = NULL, claim = NULL, attempts = 0 WHERE media_id = $1";
    tx.execute(sql, &[/* media_id */ &media_id]).await?;
    Ok(())
}

/// Ends the tries: `state` is `failed` or `refused`, `reason` a sentence. The messages that show it, as
/// (account, row id); None when the file is somebody else's by now.
///
/// # Errors
/// The database's.
pub async fn give_up(
    tx: &Tx<'_>,
    job: &Job,
    state: &str,
    reason: &str,
) -> Result<Option<Vec<(i32, i32)>>, StoreError> {
    if !hold(tx, job).await? {
        return Ok(None);
    }
    rest(tx, job.media_id).await?;
    odoo::set_failed(tx, job.media_id, state, reason).await?;
    odoo::messages(tx, job.media_id).await.map(Some)
}

/// A sealed blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// SHA-256 of the content, lower-case hexadecimal.
    pub checksum: String,
    /// Its place in the store.
    pub location: String,
    /// Bytes of the content.
    pub size: i64,
    /// Id of the sealing key.
    pub sealed_by: String,
    /// The blob's own key, sealed.
    pub sealed_key: String,
}

/// The blob of a content.
///
/// # Errors
/// The database's.
pub async fn blob(client: &impl GenericClient, checksum: &str) -> Result<Option<Blob>, StoreError> {
    let sql = "-- media::blob
        SELECT checksum, location, size, sealed_by, sealed_key FROM wabridge.media_blob WHERE checksum = $1";
    let statement = client.prepare_cached(sql).await?;
    let row = client.query_opt(&statement, &[/* checksum */ &checksum]).await?;
    Ok(row.map(|row| Blob {
        checksum: row.get(0),
        location: row.get(1),
        size: row.get(2),
        sealed_by: row.get(3),
        sealed_key: row.get(4),
    }))
}

/// Content and place of the stored files, by content, after one of them.
///
/// # Errors
/// The database's.
pub async fn places(
    client: &impl GenericClient,
    after: &str,
    limit: i64,
) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "-- media::places
        SELECT checksum, location FROM wabridge.media_blob WHERE checksum > $1 ORDER BY checksum LIMIT $2";
    let rows = client.query(sql, &[/* after */ &after, /* limit */ &limit]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Notes a blob, or locks the one that has this content already. `lost` is a location that was found empty:
/// that blob is replaced. Returns the location that counts.
async fn note_blob(tx: &Tx<'_>, blob: &Blob, lost: Option<&str>) -> Result<String, StoreError> {
    let sql = "-- media::note_blob
        INSERT INTO wabridge.media_blob AS b (checksum, location, size, sealed_by, sealed_key)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (checksum) DO UPDATE
        SET location = CASE WHEN b.location = $6 THEN EXCLUDED.location ELSE b.location END,
            sealed_by = CASE WHEN b.location = $6 THEN EXCLUDED.sealed_by ELSE b.sealed_by END,
            sealed_key = CASE WHEN b.location = $6 THEN EXCLUDED.sealed_key ELSE b.sealed_key END
        RETURNING b.location";
    let row = tx
        .query_one(
            sql,
            &[
                /* checksum */ &blob.checksum,
                /* location */ &blob.location,
                /* size */ &blob.size,
                /* sealed_by */ &blob.sealed_by,
                /* sealed_key */ &blob.sealed_key,
                /* lost */ &lost,
            ],
        )
        .await?;
    Ok(row.get(0))
}

/// What became of a file that was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The row that holds it: another one where the account had this content already.
    pub media_id: i32,
    /// Messages that show it, as (account, row id).
    pub messages: Vec<(i32, i32)>,
    /// The location that counts; another one than the blob's where the content was there already.
    pub location: String,
}

/// Records a fetched file: the blob, the row, and where the account has this content already one row of two.
/// None when the file is somebody else's by now; the caller's blob is of no use then.
///
/// # Errors
/// The database's.
pub async fn finish(
    tx: &Tx<'_>,
    job: &Job,
    blob: &Blob,
    facts: &odoo::Facts,
    lost: Option<&str>,
) -> Result<Option<Finished>, StoreError> {
    if !hold(tx, job).await? {
        return Ok(None);
    }
    let location = note_blob(tx, blob, lost).await?;
    let twin = odoo::twin(tx, job.configuration_id, job.media_id, &blob.checksum).await?;
    let Some(twin) = twin else {
        rest(tx, job.media_id).await?;
        odoo::set_ready(tx, job.media_id, &blob.checksum, blob.size, facts).await?;
        let messages = odoo::messages(tx, job.media_id).await?;
        return Ok(Some(Finished { media_id: job.media_id, messages, location }));
    };
    let messages = odoo::replace(tx, job.media_id, twin).await?;
    let sql = "-- media::forget
        DELETE FROM wabridge.media_fetch WHERE media_id = $1";
    tx.execute(sql, &[/* media_id */ &job.media_id]).await?;
    Ok(Some(Finished { media_id: twin, messages, location }))
}

/// Records a file that was handed over to be sent. Returns its `whatsapp_media` row and the location that
/// counts.
///
/// # Errors
/// The database's.
pub async fn hand_over(
    tx: &Tx<'_>,
    configuration_id: i32,
    uid: i32,
    blob: &Blob,
    facts: &odoo::Facts,
    filename: Option<&str>,
    lost: Option<&str>,
) -> Result<(i32, String), StoreError> {
    let location = note_blob(tx, blob, lost).await?;
    let media_id = odoo::insert_ready(tx, &blob.checksum, blob.size, facts, filename).await?;
    let sql = "-- media::hand_over
        INSERT INTO wabridge.media_upload (media_id, configuration_id, uid) VALUES ($1, $2, $3)";
    tx.execute(
        sql,
        &[
            /* media_id */ &media_id,
            /* configuration_id */ &configuration_id,
            /* uid */ &uid,
        ],
    )
    .await?;
    Ok((media_id, location))
}

/// Who handed a file over, and for which account: (account, uid).
///
/// # Errors
/// The database's.
pub async fn uploaded(
    client: &impl GenericClient,
    media_id: i32,
) -> Result<Option<(i32, i32)>, StoreError> {
    let sql = "-- media::uploaded
        SELECT configuration_id, uid FROM wabridge.media_upload WHERE media_id = $1";
    let row = client.query_opt(sql, &[/* media_id */ &media_id]).await?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}

/// Has a file fetched again, at once and with all its tries. The messages that show it, as (account, row id);
/// None where nothing is known of where it came from.
///
/// # Errors
/// The database's.
pub async fn again(tx: &Tx<'_>, media_id: i32) -> Result<Option<Vec<(i32, i32)>>, StoreError> {
    let sql = "-- media::again
        UPDATE wabridge.media_fetch
        SET next_at = now(), claim = NULL, attempts = 0 WHERE media_id = $1";
    if tx.execute(sql, &[/* media_id */ &media_id]).await? == 0 {
        return Ok(None);
    }
    odoo::set_waiting(tx, media_id).await?;
    odoo::messages(tx, media_id).await.map(Some)
}

/// Files that wait to be fetched, and how long the oldest has been due, seconds.
///
/// # Errors
/// The database's.
pub async fn backlog(client: &impl GenericClient) -> Result<(i64, f64), StoreError> {
    let sql = "-- media::backlog
        SELECT count(*), coalesce(extract(epoch FROM now() - min(next_at)), 0)::float8
        FROM wabridge.media_fetch WHERE next_at IS NOT NULL";
    let row = client.query_one(sql, &[]).await?;
    Ok((row.get(0), row.get::<_, f64>(1).max(0.0)))
}

/// Removes files that were handed over more than `age` ago and used by no message, and what is known of files
/// whose row is gone. Returns how many files went.
///
/// # Errors
/// The database's.
pub async fn collect_rows(tx: &Tx<'_>, age: Duration) -> Result<u64, StoreError> {
    let sql = "-- media::collect_rows
        WITH old AS MATERIALIZED (
            SELECT u.media_id FROM wabridge.media_upload u
            WHERE u.created_at < now() - make_interval(secs => $1)
            ORDER BY u.media_id LIMIT 1000 FOR UPDATE SKIP LOCKED),
        gone AS (DELETE FROM wabridge.media_upload u USING old o WHERE u.media_id = o.media_id)
        DELETE FROM public.whatsapp_media m USING old o
        WHERE m.id = o.media_id
          AND NOT EXISTS (SELECT 1 FROM public.whatsapp_message g WHERE g.media_id = m.id)";
    let removed = tx.execute(sql, &[/* age */ &age.as_secs_f64()]).await?;
    let sql = "-- media::collect_fetches
        DELETE FROM wabridge.media_fetch f
        WHERE NOT EXISTS (SELECT 1 FROM public.whatsapp_media m WHERE m.id = f.media_id)";
    tx.execute(sql, &[]).await?;
    Ok(removed)
}

/// Takes out blobs that no row refers to any more; the caller deletes them at these locations after the commit.
///
/// Two statements: the rows are locked first, so that whoever brings the same content meanwhile waits, and
/// whoever brought it just before is seen.
///
/// # Errors
/// The database's.
pub async fn collect_blobs(
    tx: &Tx<'_>,
    age: Duration,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let sql = "-- media::lock_orphans
        SELECT b.checksum FROM wabridge.media_blob b
        WHERE b.created_at < now() - make_interval(secs => $1)
          AND NOT EXISTS (SELECT 1 FROM public.whatsapp_media m WHERE m.checksum = b.checksum)
        ORDER BY b.checksum LIMIT $2 FOR UPDATE SKIP LOCKED";
    let rows = tx.query(sql, &[/* age */ &age.as_secs_f64(), /* limit */ &limit]).await?;
    let checksums: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let sql = "-- media::collect_blobs
        DELETE FROM wabridge.media_blob b
        WHERE b.checksum = ANY($1)
          AND NOT EXISTS (SELECT 1 FROM public.whatsapp_media m WHERE m.checksum = b.checksum)
        RETURNING b.location";
    let rows = tx.query(sql, &[/* checksums */ &checksums]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Those of `locations` that no blob has.
///
/// # Errors
/// The database's.
pub async fn unknown_locations(
    client: &impl GenericClient,
    locations: &[String],
) -> Result<Vec<String>, StoreError> {
    let sql = "-- media::unknown_locations
        SELECT l FROM unnest($1::text[]) AS l
        WHERE NOT EXISTS (SELECT 1 FROM wabridge.media_blob b WHERE b.location = l)";
    let rows = client.query(sql, &[/* locations */ &locations]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
