//! Adds segments, and takes the rows of old ones away. One daemon at a time: both hold [`Job::Audit`].

use wabridge_domain::audit::{self as proof, AuditKey, BEGINNING, Head};

use super::gap::{self, Gap};
use super::{Keys, ROW, SEGMENT, Segment, last, read_row};
use crate::advisory::{Job, try_lock_tx};
use crate::{StoreError, Tx};

/// Most rows of one segment.
pub const ROWS_MAX: i64 = 1000;

/// What a round came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sealed {
    /// Another daemon is at it.
    Elsewhere,
    /// There was nothing new; the newest segment.
    Nothing(Option<Head>),
    /// A segment was added.
    Segment {
        /// The newest segment before.
        before: Option<Head>,
        head: Head,
        rows: usize,
        /// True where more rows may wait.
        more: bool,
    },
}

/// Seals up to [`ROWS_MAX`] rows with a key.
///
/// # Errors
/// The database's.
pub async fn seal(tx: &Tx<'_>, key_id: i32, key: &AuditKey) -> Result<Sealed, StoreError> {
    if !try_lock_tx(tx, Job::Audit).await? {
        return Ok(Sealed::Elsewhere);
    }
    let open = close_counters(tx).await?;
    let before = last(tx).await?;
    let (high, gaps) = match &before {
        None => (0, vec![]),
        Some(segment) => {
            let gaps = segment.gaps.iter().map(|(first, last, seen)| Gap {
                first: *first,
                last: *last,
                seen: *seen,
            });
            (segment.high, gaps.collect::<Vec<_>>())
        }
    };
    let mut rows = late(tx, &gaps, &open).await?;
    let room = ROWS_MAX - i64::try_from(rows.len()).unwrap_or(ROWS_MAX);
    let sql = format!(
        "-- audit::seal::rows
        SELECT {ROW} FROM public.whatsapp_audit_log a
        WHERE a.id > $1 AND NOT a.id = ANY($2) ORDER BY a.id LIMIT $3"
    );
    let new = tx.query(&sql, &[/* high */ &high, /* open */ &open, /* room */ &room]).await?;
    let more = i64::try_from(new.len()).is_ok_and(|count| count == room);
    rows.extend(new.iter().map(read_row));
    let before_head = before.as_ref().map(Segment::head);
    if rows.is_empty() {
        return Ok(Sealed::Nothing(before_head));
    }
    let ids: Vec<i32> = rows.iter().map(|row| row.id).collect();
    let mut leaves = Vec::with_capacity(rows.len() * proof::HASH);
    let mut digests = Vec::with_capacity(rows.len() * 2 * proof::HASH);
    for row in &rows {
        let own = row.digests(key);
        leaves.extend_from_slice(&row.leaf(key, &own));
        digests.extend_from_slice(&own.concat());
    }
    let sql = "-- audit::seal::now
        SELECT (extract(epoch FROM now()) * 1000000)::bigint";
    let now: i64 = tx.query_one(sql, &[]).await?.get(0);
    let (gaps, high) = gap::after(&gaps, high, &ids, &open, now);
    let mut segment = Segment {
        number: before.as_ref().map_or(1, |segment| segment.number + 1),
        key_id,
        sealed_at: now,
        row_count: i32::try_from(ids.len()).unwrap_or(i32::MAX),
        newest: rows.iter().filter_map(|row| row.timestamp).max(),
        high,
        gaps: gaps.iter().map(|gap| (gap.first, gap.last, gap.seen)).collect(),
        root: proof::root(&leaves).to_vec(),
        previous: before.map_or(BEGINNING.to_vec(), |segment| segment.mac),
        mac: vec![],
        row_ids: Some(ids),
        leaves: Some(leaves),
        digests: Some(digests),
        removal_mac: None,
    };
    segment.mac = key.link(&segment.link()).to_vec();
    insert(tx, &segment).await?;
    Ok(Sealed::Segment { before: before_head, head: segment.head(), rows: rows.len(), more })
}

/// Counters of minutes that are over change no more: what still comes for such a minute gets a row of its own.
/// Returns the rows of those that may change.
async fn close_counters(tx: &Tx<'_>) -> Result<Vec<i32>, StoreError> {
    let sql = "-- audit::seal::close_counters
        UPDATE wabridge.refusal_minute SET audit_id = NULL, count = 0
        WHERE audit_id IS NOT NULL AND minute < now() - interval '2 minutes'";
    tx.execute(sql, &[]).await?;
    let sql = "-- audit::seal::open_counters
        SELECT audit_id FROM wabridge.refusal_minute WHERE audit_id IS NOT NULL";
    Ok(tx.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// Rows whose ids were not there when later ones were sealed.
async fn late(tx: &Tx<'_>, gaps: &[Gap], open: &[i32]) -> Result<Vec<proof::Row>, StoreError> {
    if gaps.is_empty() {
        return Ok(vec![]);
    }
    let first: Vec<i32> = gaps.iter().map(|gap| gap.first).collect();
    let last: Vec<i32> = gaps.iter().map(|gap| gap.last).collect();
    let sql = format!(
        "-- audit::seal::late
        SELECT {ROW} FROM unnest($1::int4[], $2::int4[]) AS g(first, last)
        JOIN public.whatsapp_audit_log a ON a.id BETWEEN g.first AND g.last
        WHERE NOT a.id = ANY($3) ORDER BY a.id LIMIT $4"
    );
    let rows = tx
        .query(
            &sql,
            &[
                /* first */ &first, /* last */ &last, /* open */ &open,
                /* limit */ &ROWS_MAX,
            ],
        )
        .await?;
    Ok(rows.iter().map(read_row).collect())
}

async fn insert(tx: &Tx<'_>, segment: &Segment) -> Result<(), StoreError> {
    let sql = "-- audit::seal::insert
        INSERT INTO wabridge.audit_segment (number, key_id, sealed_at, row_ids, leaves, digests, row_count, newest,
               high, gap_first, gap_last, gap_seen, root, previous, mac)
        VALUES ($1, $2, timestamptz 'epoch' + $3::bigint * interval '1 microsecond', $4, $5, $6, $7,
                timestamp 'epoch' + $8::bigint * interval '1 microsecond', $9, $10, $11, $12, $13, $14, $15)";
    let first: Vec<i32> = segment.gaps.iter().map(|gap| gap.0).collect();
    let last: Vec<i32> = segment.gaps.iter().map(|gap| gap.1).collect();
    let seen: Vec<i64> = segment.gaps.iter().map(|gap| gap.2).collect();
    tx.execute(
        sql,
        &[
            /* number */ &segment.number,
            /* key_id */ &segment.key_id,
            /* sealed_at */ &segment.sealed_at,
            /* row_ids */ &segment.row_ids,
            /* leaves */ &segment.leaves,
            /* digests */ &segment.digests,
            /* row_count */ &segment.row_count,
            /* newest */ &segment.newest,
            /* high */ &segment.high,
            /* gap_first */ &first,
            /* gap_last */ &last,
            /* gap_seen */ &seen,
            /* root */ &segment.root,
            /* previous */ &segment.previous,
            /* mac */ &segment.mac,
        ],
    )
    .await?;
    Ok(())
}

/// Deletes the rows of segments of which all are older than `days`, oldest first, up to a hundred segments. What
/// proves the others stays. Returns (segments, rows).
///
/// # Errors
/// The database's.
pub async fn remove_older(tx: &Tx<'_>, keys: &Keys, days: i32) -> Result<(usize, u64), StoreError> {
    if !try_lock_tx(tx, Job::Audit).await? {
        return Ok((0, 0));
    }
    let sql = format!(
        "-- audit::seal::old
        SELECT {SEGMENT} FROM wabridge.audit_segment
        WHERE removed_at IS NULL AND newest < (now() AT TIME ZONE 'UTC') - make_interval(days => $1)
        ORDER BY number LIMIT 100"
    );
    let (mut segments, mut rows) = (0, 0);
    for row in tx.query(&sql, &[/* days */ &days]).await? {
        let segment = Segment::read(&row);
        // Without the key nobody could tell later that it was retention.
        let Some(key) = keys.get(&segment.key_id) else { continue };
        // Nobody makes us delete what is not old by changing the segment's record.
        if key.link(&segment.link())[..] != segment.mac[..]
            || segment
                .leaves
                .as_deref()
                .is_none_or(|leaves| proof::root(leaves)[..] != segment.root[..])
        {
            tracing::error!(
                audit.segment = segment.number,
                "the record of audit segment {} was changed, its rows are kept: run wabridge audit verify",
                segment.number
            );
            continue;
        }
        let ids = segment.row_ids.clone().unwrap_or_default();
        let sql = "-- audit::seal::delete_rows
            DELETE FROM public.whatsapp_audit_log WHERE id = ANY($1)";
        rows += tx.execute(sql, &[/* ids */ &ids]).await?;
        let sql = "-- audit::seal::delete_erasures
            DELETE FROM wabridge.audit_erasure WHERE row_id = ANY($1)";
        tx.execute(sql, &[/* ids */ &ids]).await?;
        let sql = "-- audit::seal::removed
            UPDATE wabridge.audit_segment SET row_ids = NULL, leaves = NULL, digests = NULL, removed_at = now(),
                   removal_mac = $2
            WHERE number = $1";
        let mac = key.removal(&segment.mac).to_vec();
        tx.execute(sql, &[/* number */ &segment.number, /* removal_mac */ &mac]).await?;
        segments += 1;
    }
    Ok((segments, rows))
}
