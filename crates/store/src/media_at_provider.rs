//! `wabridge.media_at_provider`: files that are sent, as they lie at the provider. Uploaded before the send they
//! belong to, once an account and kind (an image may be scaled, the same file as a document never), and used again
//! while the provider keeps them.
//!
//! Lock order: lanes come before these rows; a row is held for one statement only.

use std::collections::HashMap;
use std::time::Duration;

use deadpool_postgres::GenericClient;
use uuid::Uuid;
use wabridge_domain::media::MediaKind;

use crate::lane::Key;
use crate::{StoreError, Tx};

/// Where a file stands that a send needs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// There is no such row of `whatsapp_media`, or its bytes could not be had: `reason` is a sentence.
    Lost {
        reason: Option<String>,
    },
    /// Its bytes are still on their way to us.
    Fetching,
    /// It is not at the provider yet.
    Absent {
        checksum: String,
    },
    Ready {
        provider_id: String,
        mimetype: String,
        filename: Option<String>,
        size: i64,
    },
    /// The provider does not take it: kind and words.
    Refused {
        kind: String,
        message: String,
    },
}

/// A file by its `whatsapp_media` row, and what it is sent as.
pub type Wanted = (i32, MediaKind);

/// Where the files of some sends stand. A file that the provider forgets within `margin` counts as absent.
///
/// # Errors
/// The database's.
pub async fn known(
    tx: &Tx<'_>,
    configuration_id: i32,
    media: &[Wanted],
    margin: Duration,
) -> Result<HashMap<Wanted, Known>, StoreError> {
    let sql = "-- media_at_provider::known
        SELECT w.id, w.kind, m.state, m.reason, m.checksum, coalesce(p.mimetype, m.mimetype),
               coalesce(p.filename, m.filename), coalesce(p.size, b.size, m.size::int8, 0),
               p.state, p.provider_id, p.good_until > now() + make_interval(secs => $3), p.error_kind, p.error_message
        FROM unnest($2::int4[], $4::text[]) AS w(id, kind)
        LEFT JOIN public.whatsapp_media m ON m.id = w.id
        LEFT JOIN wabridge.media_blob b ON b.checksum = m.checksum
        LEFT JOIN wabridge.media_at_provider p ON p.configuration_id = $1 AND p.checksum = m.checksum
             AND p.kind = w.kind";
    let (ids, kinds): (Vec<i32>, Vec<&str>) =
        media.iter().map(|(id, kind)| (*id, kind.as_str())).unzip();
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx
        .query(
            &statement,
            &[
                /* configuration_id */ &configuration_id,
                /* media */ &ids,
                /* margin */ &margin.as_secs_f64(),
                /* kinds */ &kinds,
            ],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            let word = |at: usize| row.get::<_, Option<String>>(at);
            let known = match (word(2).as_deref(), word(4)) {
                (Some("waiting"), _) => Known::Fetching,
                (Some("ready"), Some(checksum)) => match (word(8).as_deref(), word(9)) {
                    (Some("refused"), _) => Known::Refused {
                        kind: word(11).unwrap_or_default(),
                        message: word(12).unwrap_or_default(),
                    },
                    (Some("ready"), Some(provider_id))
                        if row.get::<_, Option<bool>>(10).unwrap_or(true) =>
                    {
                        Known::Ready {
                            provider_id,
                            mimetype: word(5).unwrap_or_else(|| "application/octet-stream".into()),
                            filename: word(6),
                            size: row.get(7),
                        }
                    }
                    _ => Known::Absent { checksum },
                },
                _ => Known::Lost { reason: word(3) },
            };
            ((row.get(0), MediaKind::of_word(row.get(1))), known)
        })
        .collect())
}

/// Whether a user may send a file through an account: he handed it over for it, or a message of it shows the file.
/// None where there is no such file.
///
/// # Errors
/// The database's.
pub async fn may_send(
    client: &impl GenericClient,
    media_id: i32,
    configuration_id: i32,
    uid: i32,
) -> Result<Option<bool>, StoreError> {
    let sql = "-- media_at_provider::may_send
        SELECT EXISTS (SELECT 1 FROM wabridge.media_upload u
                       WHERE u.media_id = m.id AND u.configuration_id = $2 AND (u.uid = $3 OR $3 = 1))
            OR EXISTS (SELECT 1 FROM public.whatsapp_message w
                       WHERE w.media_id = m.id AND w.configuration_id = $2)
        FROM public.whatsapp_media m WHERE m.id = $1";
    let statement = client.prepare_cached(sql).await?;
    let row = client
        .query_opt(
            &statement,
            &[
                /* media_id */ &media_id,
                /* configuration_id */ &configuration_id,
                /* uid */ &uid,
            ],
        )
        .await?;
    Ok(row.map(|row| row.get(0)))
}

/// The types of files, by their bytes; those that are not here, or not yet, are missing.
///
/// # Errors
/// The database's.
pub async fn mimetypes(tx: &Tx<'_>, media: &[i32]) -> Result<HashMap<i32, String>, StoreError> {
    let sql = "-- media_at_provider::mimetypes
        SELECT id, mimetype FROM public.whatsapp_media WHERE id = ANY($1) AND mimetype IS NOT NULL";
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx.query(&statement, &[/* media */ &media]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// What a kept file is, without its bytes: type, size, pixels. None while its bytes are not here.
///
/// # Errors
/// The database's.
pub async fn kept(
    client: &impl GenericClient,
    media_id: i32,
) -> Result<Option<(String, u64, Option<(u32, u32)>)>, StoreError> {
    let sql = "-- media_at_provider::kept
        SELECT m.mimetype, b.size, m.width, m.height
        FROM public.whatsapp_media m JOIN wabridge.media_blob b ON b.checksum = m.checksum
        WHERE m.id = $1 AND m.state = 'ready' AND m.mimetype IS NOT NULL";
    let statement = client.prepare_cached(sql).await?;
    let row = client.query_opt(&statement, &[/* media_id */ &media_id]).await?;
    Ok(row.map(|row| {
        let size = u64::try_from(row.get::<_, i64>(1)).unwrap_or_default();
        (row.get(0), size, side(&row, 2).zip(side(&row, 3)))
    }))
}

/// Has files uploaded that are not there, or not for much longer, as (checksum, what is wanted).
///
/// # Errors
/// The database's.
pub async fn ask(
    tx: &Tx<'_>,
    configuration_id: i32,
    files: &[(String, Wanted)],
) -> Result<(), StoreError> {
    let sql = "-- media_at_provider::ask
        INSERT INTO wabridge.media_at_provider AS p (configuration_id, checksum, kind, media_id)
        SELECT DISTINCT ON (f.checksum, f.kind) $1, f.checksum, f.kind, f.media_id
        FROM unnest($2::text[], $4::text[], $3::int4[]) AS f(checksum, kind, media_id)
        ORDER BY f.checksum, f.kind, f.media_id
        ON CONFLICT (configuration_id, checksum, kind) DO UPDATE
        SET state = 'waiting', media_id = excluded.media_id, attempts = 0, next_at = now(), claim = NULL,
            provider_id = NULL, good_until = NULL, mimetype = NULL, filename = NULL, size = NULL
        WHERE p.state = 'ready'";
    let checksums: Vec<&str> = files.iter().map(|(checksum, _)| checksum.as_str()).collect();
    let (media, kinds): (Vec<i32>, Vec<&str>) =
        files.iter().map(|(_, (id, kind))| (*id, kind.as_str())).unzip();
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(
        &statement,
        &[
            /* configuration_id */ &configuration_id,
            /* checksums */ &checksums,
            /* media */ &media,
            /* kinds */ &kinds,
        ],
    )
    .await?;
    Ok(())
}

/// A file to be uploaded, claimed for some time.
#[derive(Debug, Clone)]
pub struct Job {
    pub configuration_id: i32,
    pub checksum: String,
    /// What it is sent as.
    pub kind: MediaKind,
    pub mimetype: String,
    pub filename: Option<String>,
    /// Pixels of a picture, where its file tells.
    pub pixels: Option<(u32, u32)>,
    /// This try counted, from 1.
    pub attempts: i32,
    claim: Uuid,
}

/// Takes due files of these accounts that nobody uploads. They are due again after `lease`.
///
/// # Errors
/// The database's.
pub async fn claim(
    client: &impl GenericClient,
    accounts: &[i32],
    room: i64,
    lease: Duration,
) -> Result<Vec<Job>, StoreError> {
    let sql = "-- media_at_provider::claim
        WITH due AS MATERIALIZED (
            SELECT configuration_id, checksum, kind, media_id FROM wabridge.media_at_provider
            WHERE state = 'waiting' AND next_at <= now() AND configuration_id = ANY($1)
            ORDER BY next_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        UPDATE wabridge.media_at_provider p
        SET next_at = now() + make_interval(secs => $3), claim = gen_random_uuid(), attempts = p.attempts + 1
        FROM due d LEFT JOIN public.whatsapp_media m ON m.id = d.media_id
        WHERE p.configuration_id = d.configuration_id AND p.checksum = d.checksum AND p.kind = d.kind
        RETURNING p.configuration_id, p.checksum, m.mimetype, m.filename, p.attempts, p.claim, p.kind,
                  m.width, m.height";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* accounts */ &accounts,
                /* room */ &room,
                /* lease */ &lease.as_secs_f64(),
            ],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Job {
            configuration_id: row.get(0),
            checksum: row.get(1),
            mimetype: row
                .get::<_, Option<String>>(2)
                .unwrap_or_else(|| "application/octet-stream".into()),
            filename: row.get(3),
            attempts: row.get(4),
            claim: row.get(5),
            kind: MediaKind::of_word(row.get(6)),
            pixels: side(row, 7).zip(side(row, 8)),
        })
        .collect())
}

fn side(row: &tokio_postgres::Row, at: usize) -> Option<u32> {
    u32::try_from(row.get::<_, Option<i32>>(at)?).ok().filter(|side| *side > 0)
}

/// A picture that was made to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anew {
    pub mimetype: String,
    pub filename: String,
    /// Bytes.
    pub size: u64,
}

/// Where the very bytes of a file lie already because it was sent as something else: the provider's id, and how long
/// it is kept.
///
/// # Errors
/// The database's.
pub async fn as_it_is(
    client: &impl GenericClient,
    job: &Job,
) -> Result<Option<(String, Option<Duration>)>, StoreError> {
    let sql = "-- media_at_provider::as_it_is
        SELECT provider_id, extract(epoch FROM good_until - now())::float8 FROM wabridge.media_at_provider
        WHERE configuration_id = $1 AND checksum = $2 AND state = 'ready' AND provider_id IS NOT NULL
          AND mimetype IS NULL AND coalesce(good_until > now() + interval '2 hours', true)
        ORDER BY good_until DESC NULLS FIRST LIMIT 1";
    let row = client
        .query_opt(
            sql,
            &[/* configuration_id */ &job.configuration_id, /* checksum */ &job.checksum],
        )
        .await?;
    Ok(row.map(|row| {
        let keeps = row.get::<_, Option<f64>>(1).map(|left| Duration::from_secs_f64(left.max(0.0)));
        (row.get(0), keeps)
    }))
}

/// What came of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Ready {
        provider_id: String,
        /// How long the provider keeps it; None where it says nothing of an end.
        keeps: Option<Duration>,
        /// What was handed over, where it is not the file itself.
        anew: Option<Anew>,
    },
    /// To be tried again; `counted` says whether this try counts.
    Again {
        wait: Duration,
        counted: bool,
    },
    Refused {
        kind: &'static str,
        message: String,
    },
}

/// Records what came of an upload, and has the lanes go on that wait for it. False when the file is somebody
/// else's by now.
///
/// # Errors
/// The database's.
pub async fn finish(tx: &Tx<'_>, job: &Job, end: &End) -> Result<bool, StoreError> {
    let (state, provider_id, keeps, wait, uncounted, kind, message) = match end {
        End::Ready { provider_id, keeps, .. } => (
            "ready",
            Some(provider_id.as_str()),
            keeps.map(|k| k.as_secs_f64()),
            0.0,
            0,
            None,
            None,
        ),
        End::Again { wait, counted } => {
            ("waiting", None, None, wait.as_secs_f64(), i32::from(!counted), None, None)
        }
        End::Refused { kind, message } => {
            ("refused", None, None, 0.0, 0, Some(*kind), Some(message.as_str()))
        }
    };
    // The lanes first, as everywhere: those whose head may wait for this very file, and does not wait for a
    // provider that failed.
    let keys = waiting_lanes(tx, job).await?;
    let sql = "-- media_at_provider::finish
        UPDATE wabridge.media_at_provider
        SET state = $4, provider_id = $5, good_until = now() + make_interval(secs => $6::float8),
            next_at = now() + make_interval(secs => $7), attempts = attempts - $8, claim = NULL,
            error_kind = $9, error_message = $10, mimetype = $12, filename = $13, size = $14
        WHERE configuration_id = $1 AND checksum = $2 AND claim = $3 AND kind = $11";
    let anew = match end {
        End::Ready { anew, .. } => anew.as_ref(),
        _ => None,
    };
    let done = tx
        .execute(
            sql,
            &[
                /* configuration_id */ &job.configuration_id,
                /* checksum */ &job.checksum,
                /* claim */ &job.claim,
                /* state */ &state,
                /* provider_id */ &provider_id,
                /* keeps */ &keeps,
                /* wait */ &wait,
                /* uncounted */ &uncounted,
                /* kind */ &kind,
                /* message */ &message,
                /* kind */ &job.kind.as_str(),
                /* mimetype */ &anew.map(|anew| anew.mimetype.as_str()),
                /* filename */ &anew.map(|anew| anew.filename.as_str()),
                /* size */ &anew.map(|anew| i64::try_from(anew.size).unwrap_or(i64::MAX)),
            ],
        )
        .await?;
    if done == 0 {
        return Ok(false);
    }
    if state != "waiting" && !keys.is_empty() {
        let chats: Vec<&str> = keys.iter().map(|key| key.chat_key.as_str()).collect();
        let sql = "-- media_at_provider::go_on
            UPDATE wabridge.lane SET ready_at = clock_timestamp()
            WHERE configuration_id = $1 AND chat_key = ANY($2) AND ready_at IS NOT NULL
              AND in_flight IS NULL AND failing_since IS NULL";
        tx.execute(sql, &[/* configuration_id */ &job.configuration_id, /* chats */ &chats])
            .await?;
    }
    Ok(true)
}

async fn waiting_lanes(tx: &Tx<'_>, job: &Job) -> Result<Vec<Key>, StoreError> {
    let sql = "-- media_at_provider::waiting_lanes
        SELECT l.chat_key FROM wabridge.lane l
        WHERE l.configuration_id = $1 AND l.ready_at > now() AND l.in_flight IS NULL
          AND EXISTS (SELECT 1 FROM wabridge.outbox o
                      JOIN public.whatsapp_media m ON m.id = (o.request #>> '{media,id}')::int4
                      WHERE o.configuration_id = l.configuration_id AND o.chat_key = l.chat_key
                        AND m.checksum = $2)
        ORDER BY l.chat_key FOR UPDATE OF l";
    let rows = tx
        .query(sql, &[/* configuration_id */ &job.configuration_id, /* checksum */ &job.checksum])
        .await?;
    Ok(rows.iter().map(|row| Key::new(job.configuration_id, row.get::<_, String>(0))).collect())
}

/// Has lanes wait for the files of their heads; the caller locked them.
///
/// # Errors
/// The database's.
pub async fn postpone(
    tx: &Tx<'_>,
    configuration_id: i32,
    chats: &[&str],
    wait: Duration,
) -> Result<(), StoreError> {
    let sql = "-- media_at_provider::postpone
        UPDATE wabridge.lane SET ready_at = clock_timestamp() + make_interval(secs => $3), touched_at = now()
        WHERE configuration_id = $1 AND chat_key = ANY($2)";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(
        &statement,
        &[
            /* configuration_id */ &configuration_id,
            /* chats */ &chats,
            /* wait */ &wait.as_secs_f64(),
        ],
    )
    .await?;
    Ok(())
}
