//! `wabridge.lane`: order and back-off of one chat.
//!
//! Whoever enqueues takes the lane first and then inserts; whoever takes from a lane locks it and reads its
//! jobs in a *later* statement, because a statement sees what was committed when it began, not when it got
//! the lock. Lanes are deleted by the collector alone (`docs/adr/0003-outbox.md`).

use std::time::Duration;

use wabridge_domain::pace::Gap;

use crate::{StoreError, Tx};

/// Account and the provider's id of the chat.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub configuration_id: i32,
    pub chat_key: String,
}

impl Key {
    pub fn new(configuration_id: i32, chat_key: impl Into<String>) -> Self {
        Self { configuration_id, chat_key: chat_key.into() }
    }
}

/// The two columns of the keys, for `unnest`.
pub(crate) fn columns<'a>(keys: impl IntoIterator<Item = &'a Key>) -> (Vec<i32>, Vec<&'a str>) {
    keys.into_iter().map(|key| (key.configuration_id, key.chat_key.as_str())).unzip()
}

/// Makes the lane where it is missing and locks it until the transaction ends. Waits for another holder.
///
/// # Errors
/// The database's.
pub async fn lock(tx: &Tx<'_>, key: &Key) -> Result<(), StoreError> {
    let sql = "-- lane::lock
        INSERT INTO wabridge.lane (configuration_id, chat_key) VALUES ($1, $2)
        ON CONFLICT (configuration_id, chat_key) DO UPDATE SET touched_at = now()";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(
        &statement,
        &[/* configuration_id */ &key.configuration_id, /* chat_key */ &key.chat_key],
    )
    .await?;
    Ok(())
}

/// The statement of [`lock_all`]. A row is locked before the next one is looked at: the order of the list is the order
/// of the locks.
pub const LOCK_ALL: &str = "-- lane::lock_all
        INSERT INTO wabridge.lane (configuration_id, chat_key)
        SELECT k.configuration_id, k.chat_key
        FROM unnest($1::int4[], $2::text[]) WITH ORDINALITY AS k(configuration_id, chat_key, no) ORDER BY k.no
        ON CONFLICT (configuration_id, chat_key) DO UPDATE SET touched_at = now()";

/// Locks many lanes in key order, so that two callers cannot wait for each other.
///
/// # Errors
/// The database's.
pub async fn lock_all(tx: &Tx<'_>, keys: &[Key]) -> Result<(), StoreError> {
    let mut sorted: Vec<&Key> = keys.iter().collect();
    sorted.sort();
    sorted.dedup();
    let (accounts, chats) = columns(sorted);
    let statement = tx.prepare_cached(LOCK_ALL).await?;
    tx.execute(&statement, &[/* accounts */ &accounts, /* chats */ &chats]).await?;
    Ok(())
}

/// Says that something waits in these lanes; a lane that waits for its back-off keeps waiting. The caller
/// holds their locks.
///
/// # Errors
/// The database's.
pub async fn open(tx: &Tx<'_>, keys: &[Key]) -> Result<(), StoreError> {
    let sql = "-- lane::open
        UPDATE wabridge.lane l SET ready_at = greatest(clock_timestamp(), l.gap_until)
        FROM unnest($1::int4[], $2::text[]) AS k(configuration_id, chat_key)
        WHERE l.configuration_id = k.configuration_id AND l.chat_key = k.chat_key AND l.ready_at IS NULL";
    let (accounts, chats) = columns(keys);
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(&statement, &[/* accounts */ &accounts, /* chats */ &chats]).await?;
    Ok(())
}

/// Ends the grace of a lane and says that something may wait in it; the back-off of a failing head stays. Waits
/// for its lock.
///
/// # Errors
/// The database's.
pub async fn hurry(tx: &Tx<'_>, key: &Key) -> Result<(), StoreError> {
    let sql = "-- lane::hurry
        INSERT INTO wabridge.lane (configuration_id, chat_key, ready_at) VALUES ($1, $2, clock_timestamp())
        ON CONFLICT (configuration_id, chat_key)
        DO UPDATE SET ready_at = CASE WHEN wabridge.lane.failing_since IS NULL
                                      THEN greatest(clock_timestamp(), wabridge.lane.gap_until)
                                      ELSE wabridge.lane.ready_at END, touched_at = now()";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(
        &statement,
        &[/* configuration_id */ &key.configuration_id, /* chat_key */ &key.chat_key],
    )
    .await?;
    Ok(())
}

/// Locks the due lanes of an account that nobody holds and that have nothing in flight, longest waiting first. By
/// `statement_timestamp()`, so that lanes that are not due are not read; `IS NOT TRUE` as in `account_pace::wanting`.
///
/// # Errors
/// The database's.
pub async fn take(
    tx: &Tx<'_>,
    configuration_id: i32,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let sql = "-- lane::take
        SELECT chat_key FROM wabridge.lane
        WHERE configuration_id = $1 AND ready_at <= statement_timestamp() AND (in_flight > 0) IS NOT TRUE
        ORDER BY ready_at LIMIT $2 FOR UPDATE SKIP LOCKED";
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx
        .query(&statement, &[/* configuration_id */ &configuration_id, /* limit */ &limit])
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Marks lanes whose head goes to the provider now; `gap` says when the next one may.
///
/// # Errors
/// The database's.
pub async fn fly(
    tx: &Tx<'_>,
    configuration_id: i32,
    chats: &[&str],
    epoch: i64,
    gap: Gap,
) -> Result<(), StoreError> {
    let sql = "-- lane::fly
        UPDATE wabridge.lane l SET in_flight = $3, touched_at = now(), gap_tat = t.tat,
               gap_until = t.tat - $5::int8 * interval '1 ms'
        FROM (SELECT k.chat_key,
                     -- One that may go now is not farther ahead than is allowed, whatever the rule was before.
                     CASE WHEN $4::int8 > 0 THEN
                         greatest(now.at, least(coalesce(k.gap_tat, now.at), now.at + $5::int8 * interval '1 ms'))
                         + $4::int8 * interval '1 ms' END AS tat
              FROM wabridge.lane k, (SELECT clock_timestamp() AS at) now
              WHERE k.configuration_id = $1 AND k.chat_key = ANY($2)) t
        WHERE l.configuration_id = $1 AND l.chat_key = t.chat_key";
    let statement = tx.prepare_cached(sql).await?;
    let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
    tx.execute(
        &statement,
        &[
            /* configuration_id */ &configuration_id,
            /* chats */ &chats,
            /* epoch */ &epoch,
            /* gap_ms */ &ms(gap.interval),
            /* ahead_ms */ &ms(gap.ahead()),
        ],
    )
    .await?;
    Ok(())
}

/// Says that nothing waits in these lanes; the caller locked them and read that in a later statement.
///
/// # Errors
/// The database's.
pub async fn close(tx: &Tx<'_>, configuration_id: i32, chats: &[&str]) -> Result<(), StoreError> {
    let sql = "-- lane::close
        UPDATE wabridge.lane SET ready_at = NULL, touched_at = now()
        WHERE configuration_id = $1 AND chat_key = ANY($2)";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(&statement, &[/* configuration_id */ &configuration_id, /* chats */ &chats]).await?;
    Ok(())
}

/// A lane that was locked for its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub key: Key,
    /// How long its head has been failing.
    pub failing_for: Option<Duration>,
}

/// Locks those of the lanes that nobody else holds, without waiting.
///
/// # Errors
/// The database's.
pub async fn try_lock_all(tx: &Tx<'_>, keys: &[Key]) -> Result<Vec<Held>, StoreError> {
    let sql = "-- lane::try_lock_all
        SELECT l.configuration_id, l.chat_key,
               (extract(epoch FROM clock_timestamp() - l.failing_since) * 1000)::int8
        FROM wabridge.lane l
        JOIN unnest($1::int4[], $2::text[]) AS k(configuration_id, chat_key)
          ON l.configuration_id = k.configuration_id AND l.chat_key = k.chat_key
        ORDER BY l.configuration_id, l.chat_key FOR UPDATE OF l SKIP LOCKED";
    let (accounts, chats) = columns(keys);
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx.query(&statement, &[/* accounts */ &accounts, /* chats */ &chats]).await?;
    Ok(rows
        .iter()
        .map(|row| Held {
            key: Key { configuration_id: row.get(0), chat_key: row.get(1) },
            failing_for: row
                .get::<_, Option<i64>>(2)
                .map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or_default())),
        })
        .collect())
}

/// When a lane may go on after its head came back from the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The head is done with: at once.
    Now,
    /// The head failed and stays: after this back-off.
    Retry(Duration),
    /// The head is being settled: after this grace.
    Grace(Duration),
}

/// Ends what is in flight. `with_jobs` are those of `ends` that have jobs left, read in a statement after the
/// lock was taken; the others fall asleep.
///
/// # Errors
/// The database's.
pub async fn land(tx: &Tx<'_>, ends: &[(Key, Next)], with_jobs: &[Key]) -> Result<(), StoreError> {
    let sql = "-- lane::land
        UPDATE wabridge.lane l
        SET in_flight = NULL, touched_at = now(),
            ready_at = CASE WHEN e.waits
                            THEN greatest(clock_timestamp() + e.delay_ms * interval '1 ms', l.gap_until) END,
            failing_since = CASE WHEN e.fails THEN coalesce(l.failing_since, clock_timestamp()) END
        FROM unnest($1::int4[], $2::text[], $3::int8[], $4::bool[], $5::bool[])
             AS e(configuration_id, chat_key, delay_ms, fails, waits)
        WHERE l.configuration_id = e.configuration_id AND l.chat_key = e.chat_key";
    let (accounts, chats) = columns(ends.iter().map(|(key, _)| key));
    let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
    let (mut delays, mut fails, mut waits) = (vec![], vec![], vec![]);
    for (key, next) in ends {
        let (delay, failing) = match next {
            Next::Now => (0, false),
            Next::Retry(delay) => (ms(*delay), true),
            Next::Grace(delay) => (ms(*delay), false),
        };
        delays.push(delay);
        fails.push(failing);
        // During the grace nothing may start, also nothing that comes in after this transaction.
        waits.push(matches!(next, Next::Grace(_)) || with_jobs.contains(key));
    }
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(
        &statement,
        &[
            /* accounts */ &accounts, /* chats */ &chats, /* delays */ &delays,
            /* fails */ &fails, /* waits */ &waits,
        ],
    )
    .await?;
    Ok(())
}

/// Deletes lanes that are asleep and empty since `idle`; returns their number. An enqueuer that waits for
/// the lock of such a lane finds it gone and makes it anew.
///
/// # Errors
/// The database's.
pub async fn collect(tx: &Tx<'_>, idle: Duration) -> Result<u64, StoreError> {
    let sql = "-- lane::collect_lock
        SELECT configuration_id, chat_key FROM wabridge.lane
        WHERE ready_at IS NULL AND in_flight IS NULL AND touched_at < now() - $1::int8 * interval '1 s'
        ORDER BY configuration_id, chat_key LIMIT 1000 FOR UPDATE SKIP LOCKED";
    let idle_s = i64::try_from(idle.as_secs()).unwrap_or(i64::MAX);
    let rows = tx.query(sql, &[/* idle_s */ &idle_s]).await?;
    let accounts: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
    let chats: Vec<String> = rows.iter().map(|row| row.get(1)).collect();
    // A statement of its own: it sees every job that was committed before the locks above were taken.
    let sql = "-- lane::collect
        DELETE FROM wabridge.lane l USING unnest($1::int4[], $2::text[]) AS k(configuration_id, chat_key)
        WHERE l.configuration_id = k.configuration_id AND l.chat_key = k.chat_key
          AND NOT EXISTS (SELECT 1 FROM wabridge.outbox o
                          WHERE o.configuration_id = l.configuration_id AND o.chat_key = l.chat_key)";
    Ok(tx.execute(sql, &[/* accounts */ &accounts, /* chats */ &chats]).await?)
}

/// Lanes that have jobs and yet sleep or are missing; there should be none, and [`open`] cures them.
///
/// # Errors
/// The database's.
pub async fn forgotten(tx: &Tx<'_>) -> Result<Vec<Key>, StoreError> {
    let sql = "-- lane::forgotten
        SELECT DISTINCT o.configuration_id, o.chat_key
        FROM wabridge.outbox o
        LEFT JOIN wabridge.lane l
          ON l.configuration_id = o.configuration_id AND l.chat_key = o.chat_key
        WHERE o.position IS NOT NULL AND o.uncertain_since IS NULL
          AND l.ready_at IS NULL AND l.in_flight IS NULL
        ORDER BY 1, 2 LIMIT 1000";
    let rows = tx.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| Key { configuration_id: row.get(0), chat_key: row.get(1) }).collect())
}
