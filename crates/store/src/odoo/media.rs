//! `whatsapp_media` (all columns), and `media_id` of `whatsapp_message`. Owned by the daemon.
//!
//! Lock order: files before messages.

use deadpool_postgres::GenericClient;
use wabridge_domain::event::MediaRef;
use wabridge_domain::media;
use wabridge_domain::message::MessageType;

use super::text;
use crate::{StoreError, Tx};

/// A new message that has a file.
#[derive(Debug, Clone)]
pub struct New<'a> {
    pub configuration_id: i32,
    /// Row id of the message.
    pub message_id: i32,
    pub message_type: MessageType,
    pub media: &'a MediaRef,
}

/// What is known of a file once its bytes are there.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// By content.
    pub mimetype: String,
    /// Pixels.
    pub width: Option<i32>,
    pub height: Option<i32>,
    /// Seconds.
    pub duration: Option<f64>,
    /// A small JPEG, base64, as Odoo keeps the bytes of a field.
    pub thumbnail: Option<Vec<u8>>,
}

/// Gives messages that were just inserted their file, to be fetched: a row of `whatsapp_media` and one of
/// `wabridge.media_fetch` each. A message that has a file keeps it.
///
/// # Errors
/// The database's.
pub async fn queue(tx: &Tx<'_>, new: &[New<'_>]) -> Result<(), StoreError> {
    if new.is_empty() {
        return Ok(());
    }
    let mut references = Vec::with_capacity(new.len());
    for n in new {
        references.push(serde_json::to_value(n.media).map_err(|error| {
            StoreError::Refused(format!("the reference of a file cannot be kept: {error}"))
        })?);
    }
    let sql = "-- odoo::media::queue
        WITH input AS MATERIALIZED (
            SELECT nextval('public.whatsapp_media_id_seq')::int4 AS id, i.configuration_id, i.message_id, i.kind,
                   i.media, i.filename, i.mimetype, i.size, i.width, i.height, i.duration
            FROM unnest($1::int4[], $2::int4[], $3::text[], $4::jsonb[], $5::text[], $6::text[], $7::int4[],
                        $8::int4[], $9::int4[], $10::float8[])
                 AS i(configuration_id, message_id, kind, media, filename, mimetype, size, width, height, duration)
            JOIN public.whatsapp_message m ON m.id = i.message_id AND m.media_id IS NULL),
        rows AS (
            INSERT INTO public.whatsapp_media (id, filename, mimetype, size, width, height, duration, state,
                   create_uid, create_date, write_uid, write_date)
            SELECT i.id, i.filename, i.mimetype, i.size, i.width, i.height, i.duration, 'waiting',
                   1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
            FROM input i ORDER BY i.id
            RETURNING id),
        fetches AS (
            INSERT INTO wabridge.media_fetch (media_id, configuration_id, kind, media)
            SELECT i.id, i.configuration_id, i.kind, i.media FROM input i ORDER BY i.id)
        UPDATE public.whatsapp_message m SET media_id = i.id
        FROM input i JOIN rows r ON r.id = i.id WHERE m.id = i.message_id";
    let statement = tx.prepare_cached(sql).await?;
    let number = |n: Option<u64>| n.and_then(|n| i32::try_from(n).ok());
    let told = |get: fn(&MediaRef) -> Option<String>| -> Vec<Option<String>> {
        new.iter().map(|n| get(n.media)).collect()
    };
    tx.execute(
        &statement,
        &[
            /* configuration_id */
            &new.iter().map(|n| n.configuration_id).collect::<Vec<_>>(),
            /* message_id */ &new.iter().map(|n| n.message_id).collect::<Vec<_>>(),
            /* kind */ &new.iter().map(|n| n.message_type.as_str()).collect::<Vec<_>>(),
            /* media */ &references,
            /* filename */ &told(|m| m.filename.as_deref().and_then(media::filename)),
            /* mimetype */ &told(|m| m.mimetype.as_deref().and_then(media::mimetype)),
            /* size */ &new.iter().map(|n| number(n.media.size)).collect::<Vec<_>>(),
            /* width */
            &new.iter().map(|n| number(n.media.width.map(u64::from))).collect::<Vec<_>>(),
            /* height */
            &new.iter().map(|n| number(n.media.height.map(u64::from))).collect::<Vec<_>>(),
            /* duration */
            &new.iter()
                .map(|n| n.media.duration_ms.and_then(|ms| u32::try_from(ms).ok()))
                .map(|ms| ms.map(|ms| f64::from(ms) / 1000.0))
                .collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}

/// The messages that show a file, as (account, row id).
///
/// # Errors
/// The database's.
pub async fn messages(
    client: &impl GenericClient,
    media_id: i32,
) -> Result<Vec<(i32, i32)>, StoreError> {
    let sql = "-- odoo::media::messages
        SELECT configuration_id, id FROM public.whatsapp_message WHERE media_id = $1 ORDER BY id";
    let rows = client.query(sql, &[/* media_id */ &media_id]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Another ready file of the account with the same content; it is locked.
pub(crate) async fn twin(
    tx: &Tx<'_>,
    configuration_id: i32,
    media_id: i32,
    checksum: &str,
) -> Result<Option<i32>, StoreError> {
    let sql = "-- odoo::media::twin
        SELECT m.id FROM public.whatsapp_media m
        WHERE m.checksum = $1 AND m.state = 'ready' AND m.id <> $2
          AND EXISTS (SELECT 1 FROM public.whatsapp_message g
                      WHERE g.media_id = m.id AND g.configuration_id = $3)
        ORDER BY m.id LIMIT 1 FOR UPDATE OF m";
    let row = tx
        .query_opt(
            sql,
            &[
                /* checksum */ &checksum,
                /* media_id */ &media_id,
                /* configuration_id */ &configuration_id,
            ],
        )
        .await?;
    Ok(row.map(|row| row.get(0)))
}

/// Shows `twin` where `media_id` was shown, and removes the latter. The messages, as (account, row id).
pub(crate) async fn replace(
    tx: &Tx<'_>,
    media_id: i32,
    twin: i32,
) -> Result<Vec<(i32, i32)>, StoreError> {
    // A name that only the second one has is worth keeping.
    let sql = "-- odoo::media::name_twin
        UPDATE public.whatsapp_media t SET filename = m.filename, write_uid = 1,
               write_date = now() AT TIME ZONE 'UTC'
        FROM public.whatsapp_media m
        WHERE t.id = $2 AND m.id = $1 AND t.filename IS NULL AND m.filename IS NOT NULL";
    tx.execute(sql, &[/* media_id */ &media_id, /* twin */ &twin]).await?;
    let sql = "-- odoo::media::replace
        UPDATE public.whatsapp_message SET media_id = $2, write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        WHERE media_id = $1 RETURNING configuration_id, id";
    let rows = tx.query(sql, &[/* media_id */ &media_id, /* twin */ &twin]).await?;
    let sql = "-- odoo::media::remove
        DELETE FROM public.whatsapp_media WHERE id = $1";
    tx.execute(sql, &[/* media_id */ &media_id]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// The bytes are there. What they do not tell stays as the provider said.
pub(crate) async fn set_ready(
    tx: &Tx<'_>,
    media_id: i32,
    checksum: &str,
    size: i64,
    facts: &Facts,
) -> Result<(), StoreError> {
    let sql = "-- odoo::media::set_ready
        UPDATE public.whatsapp_media
        SET state = 'ready', reason = NULL, checksum = $2, size = $3, mimetype = $4,
            width = coalesce($5, width), height = coalesce($6, height), duration = coalesce($7, duration),
            thumbnail = $8, write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        WHERE id = $1";
    tx.execute(
        sql,
        &[
            /* media_id */ &media_id,
            /* checksum */ &checksum,
            /* size */ &i32::try_from(size).unwrap_or(i32::MAX),
            /* mimetype */ &facts.mimetype,
            /* width */ &facts.width,
            /* height */ &facts.height,
            /* duration */ &facts.duration,
            /* thumbnail */ &facts.thumbnail,
        ],
    )
    .await?;
    Ok(())
}

/// A file that was handed over; its row id.
pub(crate) async fn insert_ready(
    tx: &Tx<'_>,
    checksum: &str,
    size: i64,
    facts: &Facts,
    filename: Option<&str>,
) -> Result<i32, StoreError> {
    let sql = "-- odoo::media::insert_ready
        INSERT INTO public.whatsapp_media (checksum, size, filename, mimetype, width, height, duration, thumbnail,
               state, create_uid, create_date, write_uid, write_date)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'ready',
                1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC')
        RETURNING id";
    let row = tx
        .query_one(
            sql,
            &[
                /* checksum */ &checksum,
                /* size */ &i32::try_from(size).unwrap_or(i32::MAX),
                /* filename */ &filename.and_then(text),
                /* mimetype */ &facts.mimetype,
                /* width */ &facts.width,
                /* height */ &facts.height,
                /* duration */ &facts.duration,
                /* thumbnail */ &facts.thumbnail,
            ],
        )
        .await?;
    Ok(row.get(0))
}

/// It will not come, unless somebody asks for it again.
pub(crate) async fn set_failed(
    tx: &Tx<'_>,
    media_id: i32,
    state: &str,
    reason: &str,
) -> Result<(), StoreError> {
    let sql = "-- odoo::media::set_failed
        UPDATE public.whatsapp_media SET state = $2, reason = $3, write_uid = 1,
               write_date = now() AT TIME ZONE 'UTC'
        WHERE id = $1";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [/* media_id */ &media_id, /* state */ &state, /* reason */ &text(reason)];
    tx.execute(sql, &params).await?;
    Ok(())
}

/// It is being fetched again.
pub(crate) async fn set_waiting(tx: &Tx<'_>, media_id: i32) -> Result<(), StoreError> {
    let sql = "-- odoo::media::set_waiting
        UPDATE public.whatsapp_media SET state = 'waiting', reason = NULL, write_uid = 1,
               write_date = now() AT TIME ZONE 'UTC'
        WHERE id = $1";
    tx.execute(sql, &[/* media_id */ &media_id]).await?;
    Ok(())
}

/// A row as it is read for those who want the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub state: Option<String>,
    pub reason: Option<String>,
    pub checksum: Option<String>,
    pub filename: Option<String>,
    pub mimetype: Option<String>,
}

/// One file.
///
/// # Errors
/// The database's.
pub async fn get(client: &impl GenericClient, media_id: i32) -> Result<Option<Row>, StoreError> {
    let sql = "-- odoo::media::get
        SELECT state, reason, checksum, filename, mimetype FROM public.whatsapp_media WHERE id = $1";
    let statement = client.prepare_cached(sql).await?;
    let row = client.query_opt(&statement, &[/* media_id */ &media_id]).await?;
    Ok(row.map(|row| Row {
        state: row.get(0),
        reason: row.get(1),
        checksum: row.get(2),
        filename: row.get(3),
        mimetype: row.get(4),
    }))
}
