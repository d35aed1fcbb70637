//! `whatsapp_sync_run` (all columns), owned by the daemon, and `wabridge.sync_run`, `sync_step`, `sync_busy`, `sync_mark`:
//! runs from their start to their end.
//!
//! Who works at a run holds its advisory lock ([`take`]) in the session that writes: with the session the lock and every
//! unfinished write go, so no late worker can write beside the next one.

use jiff::Timestamp;
use wabridge_domain::sync::{RunState, SyncKind, SyncMode};

use super::Counts;
use crate::odoo::text;
use crate::{Database, GenericClient, Session, StoreError, Tx};

/// First half of the advisory locks of workers ("wabs"); the second is the run.
const WORK: i32 = 0x7761_6273;
/// First half of the advisory locks under which runs of an account begin ("wabt").
const BEGIN: i32 = 0x7761_6274;

/// A run that somebody asks for.
#[derive(Debug, Clone)]
pub struct New<'a> {
    pub configuration_id: i32,
    /// Of the schedule that is due.
    pub service_id: Option<i32>,
    /// In the order of work.
    pub kinds: &'a [SyncKind],
    pub mode: SyncMode,
    pub since: Option<Timestamp>,
    pub user_id: Option<i32>,
}

/// Whether a run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// The `whatsapp_sync_run` row.
    Queued(i32),
    /// This run is at one of the kinds.
    Busy(i32),
}

/// Queues a run, unless one of its kinds is in work at this account.
///
/// # Errors
/// The database's.
pub async fn begin(tx: &Tx<'_>, new: &New<'_>) -> Result<Begun, StoreError> {
    let sql = "-- sync::run::alone
        SELECT pg_advisory_xact_lock($1, $2)";
    tx.execute(sql, &[/* space */ &BEGIN, /* account */ &new.configuration_id]).await?;
    let kinds: Vec<&str> = new.kinds.iter().map(|kind| kind.as_str()).collect();
    let sql = "-- sync::run::busy
        SELECT min(b.run_id) FROM wabridge.sync_busy b WHERE b.configuration_id = $1 AND b.kind = ANY($2)";
    let row = tx.query_one(sql, &[/* account */ &new.configuration_id, /* kinds */ &kinds]).await?;
    if let Some(run_id) = row.get(0) {
        return Ok(Begun::Busy(run_id));
    }
    let sql = "-- sync::run::begin
        INSERT INTO public.whatsapp_sync_run (service_id, configuration_id, kinds, mode, since, state, progress,
               read_count, created_count, changed_count, unchanged_count, error_count, late_count, user_id,
               create_uid, create_date, write_uid, write_date)
        VALUES ($1, $2, $3, $4, date_trunc('second', $5::timestamptz AT TIME ZONE 'UTC'), 'queued', 0,
                0, 0, 0, 0, 0, 0, $6,
                coalesce($6, 1), now() AT TIME ZONE 'UTC', coalesce($6, 1), now() AT TIME ZONE 'UTC')
        RETURNING id";
    let row = tx
        .query_one(
            sql,
            &[
                /* service */ &new.service_id,
                /* account */ &new.configuration_id,
                /* kinds */ &kinds.join(","),
                /* mode */ &new.mode.as_str(),
                /* since */ &new.since,
                /* user */ &new.user_id,
            ],
        )
        .await?;
    let run_id: i32 = row.get(0);
    let sql = "-- sync::run::note
        WITH run AS (
            INSERT INTO wabridge.sync_run (run_id, configuration_id, service_id, mode, since)
            VALUES ($1, $2, $3, $4, $5) RETURNING run_id),
        steps AS (
            INSERT INTO wabridge.sync_step (run_id, kind, place)
            SELECT run.run_id, i.kind, i.no FROM run, unnest($6::text[]) WITH ORDINALITY AS i(kind, no))
        INSERT INTO wabridge.sync_busy (configuration_id, kind, run_id)
        SELECT $2, i.kind, run.run_id FROM run, unnest($6::text[]) AS i(kind) ORDER BY i.kind";
    tx.execute(
        sql,
        &[
            /* run */ &run_id,
            /* account */ &new.configuration_id,
            /* service */ &new.service_id,
            /* mode */ &new.mode.as_str(),
            /* since */ &new.since,
            /* kinds */ &kinds,
        ],
    )
    .await?;
    Ok(Begun::Queued(run_id))
}

/// A run that nobody works at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub run_id: i32,
    pub cancelled: bool,
}

/// Runs that nobody works at, oldest first.
///
/// # Errors
/// The database's.
pub async fn waiting(database: &Database) -> Result<Vec<Waiting>, StoreError> {
    let sql = "-- sync::run::waiting
        SELECT r.run_id, r.cancelled_at IS NOT NULL FROM wabridge.sync_run r
        WHERE NOT EXISTS (
            SELECT 1 FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
              AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
              AND l.classid = $1::int4::oid AND l.objid = r.run_id::oid)
        ORDER BY r.run_id";
    let client = database.client().await?;
    let rows = client.query(sql, &[/* space */ &WORK]).await?;
    Ok(rows.iter().map(|row| Waiting { run_id: row.get(0), cancelled: row.get(1) }).collect())
}

/// Makes this session the one worker of a run for as long as it lives; false where another session is.
///
/// # Errors
/// The database's.
pub async fn take(session: &Session, run_id: i32) -> Result<bool, StoreError> {
    let sql = "-- sync::run::take
        SELECT pg_try_advisory_lock($1, $2)";
    let row = session.query_one(sql, &[/* space */ &WORK, /* run */ &run_id]).await?;
    Ok(row.get(0))
}

/// A run that is not over.
#[derive(Debug, Clone)]
pub struct Run {
    pub id: i32,
    pub configuration_id: i32,
    pub service_id: Option<i32>,
    pub mode: SyncMode,
    pub since: Option<Timestamp>,
    pub cancelled: bool,
    /// In the order of work, those that are over left out.
    pub steps: Vec<Step>,
    /// `whatsapp_configuration.conflict_policy`.
    pub conflict_policy: Option<String>,
}

/// How far a run is with one kind.
#[derive(Debug, Clone)]
pub struct Step {
    pub kind: SyncKind,
    pub cursor: Option<String>,
    /// None: no complete reading was before.
    pub mark: Option<Mark>,
}

/// Up to where a list was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub read_at: Timestamp,
    pub high: Option<Timestamp>,
}

/// The run, and says that work at it has begun; None where it is over.
///
/// # Errors
/// The database's.
pub async fn open(tx: &Tx<'_>, run_id: i32) -> Result<Option<Run>, StoreError> {
    let sql = "-- sync::run::open
        WITH run AS (
            UPDATE wabridge.sync_run r SET started_at = coalesce(r.started_at, now()) WHERE r.run_id = $1
            RETURNING r.run_id, r.configuration_id, r.service_id, r.mode, r.since, r.cancelled_at)
        SELECT run.configuration_id, run.service_id, run.mode, run.since, run.cancelled_at IS NOT NULL, a.conflict_policy
        FROM run JOIN public.whatsapp_configuration a ON a.id = run.configuration_id";
    let Some(row) = tx.query_opt(sql, &[/* run */ &run_id]).await? else {
        return Ok(None);
    };
    let mut run = Run {
        id: run_id,
        configuration_id: row.get(0),
        service_id: row.get(1),
        mode: SyncMode::parse(row.get(2)).unwrap_or(SyncMode::Full),
        since: row.get(3),
        cancelled: row.get(4),
        steps: vec![],
        conflict_policy: row.get(5),
    };
    let sql = "-- sync::run::show_begin
        UPDATE public.whatsapp_sync_run SET state = 'running',
               started_at = coalesce(started_at, date_trunc('second', now() AT TIME ZONE 'UTC')),
               write_date = now() AT TIME ZONE 'UTC'
        WHERE id = $1 AND state = 'queued'";
    tx.execute(sql, &[/* run */ &run_id]).await?;
    let sql = "-- sync::run::steps
        SELECT s.kind, s.cursor, m.read_at, m.high
        FROM wabridge.sync_step s LEFT JOIN wabridge.sync_mark m ON m.configuration_id = $2 AND m.kind = s.kind
        WHERE s.run_id = $1 AND NOT s.ended ORDER BY s.place";
    let steps = tx.query(sql, &[/* run */ &run_id, /* account */ &run.configuration_id]).await?;
    run.steps = steps
        .iter()
        .filter_map(|row| {
            let mark = row
                .get::<_, Option<Timestamp>>(2)
                .map(|read_at| Mark { read_at, high: row.get(3) });
            Some(Step { kind: SyncKind::parse(row.get(0))?, cursor: row.get(1), mark })
        })
        .collect();
    Ok(Some(run))
}

/// Where a kind stands after a page.
#[derive(Debug, Clone)]
pub struct At<'a> {
    pub kind: SyncKind,
    /// Of the next page; None: this was the last one.
    pub cursor: Option<&'a str>,
    pub total: Option<u64>,
    pub counts: Counts,
    pub high: Option<Timestamp>,
}

/// Notes a page, in its transaction; false where the run is to end here.
///
/// # Errors
/// The database's.
pub async fn step(tx: &Tx<'_>, run_id: i32, at: &At<'_>) -> Result<bool, StoreError> {
    let sql = "-- sync::run::step
        UPDATE wabridge.sync_step s
        SET cursor = $3, ended = $3::text IS NULL, total = coalesce($4, s.total), pages = s.pages + 1,
            read_n = s.read_n + $5, created_n = s.created_n + $6, changed_n = s.changed_n + $7,
            unchanged_n = s.unchanged_n + $8, error_n = s.error_n + $9, late_n = s.late_n + $10,
            high = greatest(s.high, $11)
        FROM wabridge.sync_run r
        WHERE s.run_id = $1 AND s.kind = $2 AND r.run_id = s.run_id
        RETURNING r.cancelled_at IS NULL";
    let total = at.total.map(|total| i64::try_from(total).unwrap_or(i64::MAX));
    let statement = tx.prepare_cached(sql).await?;
    let row = tx
        .query_opt(
            &statement,
            &[
                /* run */ &run_id,
                /* kind */ &at.kind.as_str(),
                /* cursor */ &at.cursor,
                /* total */ &total,
                /* read */ &at.counts.read,
                /* created */ &at.counts.created,
                /* changed */ &at.counts.changed,
                /* unchanged */ &at.counts.unchanged,
                /* errors */ &at.counts.errors,
                /* late */ &at.counts.late,
                /* high */ &at.high,
            ],
        )
        .await?;
    if at.cursor.is_none() {
        let sql = "-- sync::run::mark
            INSERT INTO wabridge.sync_mark AS m (configuration_id, kind, read_at, high)
            SELECT r.configuration_id, s.kind, r.started_at, s.high
            FROM wabridge.sync_step s JOIN wabridge.sync_run r ON r.run_id = s.run_id
            WHERE s.run_id = $1 AND s.kind = $2
            ON CONFLICT (configuration_id, kind) DO UPDATE
            SET read_at = EXCLUDED.read_at, high = greatest(m.high, EXCLUDED.high)";
        tx.execute(sql, &[/* run */ &run_id, /* kind */ &at.kind.as_str()]).await?;
    }
    // None: somebody ended the run.
    Ok(row.is_some_and(|row| row.get(0)))
}

/// Ends the work at one kind with a problem; the run goes on with the next one.
///
/// # Errors
/// The database's.
pub async fn give_up(
    session: &Session,
    run_id: i32,
    kind: SyncKind,
    problem: &str,
) -> Result<(), StoreError> {
    let sql = "-- sync::run::give_up
        UPDATE wabridge.sync_step SET ended = true, problem = $3 WHERE run_id = $1 AND kind = $2";
    session
        .execute(sql, &[/* run */ &run_id, /* kind */ &kind.as_str(), /* problem */ &problem])
        .await?;
    Ok(())
}

/// True where somebody asked for the end of this run, or it is over.
///
/// # Errors
/// The database's.
pub async fn is_cancelled(session: &Session, run_id: i32) -> Result<bool, StoreError> {
    let sql = "-- sync::run::is_cancelled
        SELECT cancelled_at IS NOT NULL FROM wabridge.sync_run WHERE run_id = $1";
    let row = session.query_opt(sql, &[/* run */ &run_id]).await?;
    Ok(row.is_none_or(|row| row.get(0)))
}

/// What Odoo shows of a run follows from its steps. $1 run.
macro_rules! shown {
    () => {
        "sums AS (
            SELECT avg(CASE WHEN s.ended THEN 1 WHEN s.total > 0 THEN least(s.read_n::float8 / s.total, 0.99)
                            ELSE s.pages / (s.pages + 10.0)::float8 END) * 100 AS progress,
                   (array_agg(s.kind ORDER BY s.place) FILTER (WHERE NOT s.ended))[1] AS phase,
                   sum(s.read_n) AS read, sum(s.created_n) AS created, sum(s.changed_n) AS changed,
                   sum(s.unchanged_n) AS unchanged, sum(s.error_n) AS errors, sum(s.late_n) AS late,
                   string_agg(s.problem, E'\\n' ORDER BY s.place) AS problems,
                   json_object_agg(s.kind, json_build_object('read', s.read_n, 'created', s.created_n,
                       'changed', s.changed_n, 'unchanged', s.unchanged_n, 'errors', s.error_n,
                       'late', s.late_n))::text AS counts
            FROM wabridge.sync_step s WHERE s.run_id = $1 HAVING count(*) > 0)"
    };
}

/// Shows in Odoo how far a run is.
///
/// # Errors
/// The database's.
pub async fn show(session: &Session, run_id: i32) -> Result<(), StoreError> {
    const SQL: &str = concat!(
        "-- sync::run::show
        WITH ",
        shown!(),
        " UPDATE public.whatsapp_sync_run r
        SET progress = s.progress, phase = s.phase, read_count = s.read, created_count = s.created,
            changed_count = s.changed, unchanged_count = s.unchanged, error_count = s.errors, late_count = s.late,
            counts = s.counts, error_message = s.problems, write_date = now() AT TIME ZONE 'UTC'
        FROM sums s WHERE r.id = $1"
    );
    let statement = session.prepare_cached(SQL).await?;
    session.execute(&statement, &[/* run */ &run_id]).await?;
    Ok(())
}

/// Ends a run: `done` becomes `failed` where a kind had a problem. `problem` is of the run as a whole. The state that it
/// ends with; None where it was over.
///
/// # Errors
/// The database's.
pub async fn end(
    tx: &Tx<'_>,
    run_id: i32,
    state: RunState,
    problem: Option<&str>,
) -> Result<Option<RunState>, StoreError> {
    const SQL: &str = concat!(
        "-- sync::run::end
        WITH ",
        shown!(),
        " UPDATE public.whatsapp_sync_run r
        SET state = CASE WHEN $2 = 'done' AND s.problems IS NOT NULL THEN 'failed' ELSE $2 END,
            progress = CASE WHEN $2 = 'done' THEN 100 ELSE s.progress END, phase = NULL, read_count = s.read,
            created_count = s.created, changed_count = s.changed, unchanged_count = s.unchanged,
            error_count = s.errors, late_count = s.late, counts = s.counts,
            error_message = nullif(concat_ws(E'\\n', s.problems, $3::text), ''),
            started_at = coalesce(r.started_at, date_trunc('second', now() AT TIME ZONE 'UTC')),
            ended_at = date_trunc('second', now() AT TIME ZONE 'UTC'), write_date = now() AT TIME ZONE 'UTC'
        FROM sums s WHERE r.id = $1
        RETURNING r.state, r.error_message"
    );
    let problem = problem.and_then(text);
    let row = tx
        .query_opt(
            SQL,
            &[
                /* run */ &run_id,
                /* state */ &state.as_str(),
                /* problem */ &problem,
            ],
        )
        .await?;
    let sql = "-- sync::run::forget
        DELETE FROM wabridge.sync_run WHERE run_id = $1";
    tx.execute(sql, &[/* run */ &run_id]).await?;
    let sql = "-- sync::run::tell_schedule
        UPDATE wabridge.sync_schedule SET ended = true, problem = $2 WHERE run_id = $1";
    let problem: Option<String> = row.as_ref().and_then(|row| row.get(1));
    tx.execute(sql, &[/* run */ &run_id, /* problem */ &problem]).await?;
    Ok(row.and_then(|row| RunState::parse(row.get(0))))
}

/// Asks for the end of a run; true where it was not over.
///
/// # Errors
/// The database's.
pub async fn cancel(client: &impl GenericClient, run_id: i32) -> Result<bool, StoreError> {
    let sql = "-- sync::run::cancel
        UPDATE wabridge.sync_run SET cancelled_at = coalesce(cancelled_at, now()) WHERE run_id = $1";
    Ok(client.execute(sql, &[/* run */ &run_id]).await? > 0)
}

/// What is known of a run.
#[derive(Debug, Clone)]
pub struct Status {
    pub configuration_id: i32,
    pub state: RunState,
    /// 0 to 100.
    pub progress: f64,
    /// JSON: the counts of each kind.
    pub counts: Option<String>,
    /// One problem a line.
    pub problems: Option<String>,
    /// Of single things, at most a hundred.
    pub errors: Vec<String>,
}

/// As it stands now; None where there is no such run.
///
/// # Errors
/// The database's.
pub async fn status(database: &Database, run_id: i32) -> Result<Option<Status>, StoreError> {
    const SQL: &str = concat!(
        "-- sync::run::status
        WITH ",
        shown!(),
        " SELECT r.configuration_id, r.state, coalesce(s.progress, r.progress, 0)::float8, coalesce(s.counts, r.counts),
                 CASE WHEN s.counts IS NULL THEN r.error_message ELSE s.problems END
        FROM public.whatsapp_sync_run r LEFT JOIN sums s ON true WHERE r.id = $1"
    );
    let client = database.client().await?;
    let Some(row) = client.query_opt(SQL, &[/* run */ &run_id]).await? else {
        return Ok(None);
    };
    let sql = "-- sync::run::errors
        SELECT concat_ws(': ', i.kind, i.name, i.reason) FROM public.whatsapp_sync_run_item i
        WHERE i.run_id = $1 AND i.decision = 'error' ORDER BY i.id LIMIT 100";
    let errors = client.query(sql, &[/* run */ &run_id]).await?;
    Ok(Some(Status {
        configuration_id: row.get(0),
        state: row.get::<_, Option<&str>>(1).and_then(RunState::parse).unwrap_or(RunState::Failed),
        progress: row.get(2),
        counts: row.get(3),
        problems: row.get(4),
        errors: errors.iter().map(|row| row.get(0)).collect(),
    }))
}
