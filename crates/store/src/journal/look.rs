//! Reading the journal, for people.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;

use super::Stored;
use crate::StoreError;

/// Where a webhook stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Something of it is still to be applied.
    Pending,
    /// Something of it is in quarantine.
    Quarantined,
    Applied,
}

impl State {
    pub const ALL: [State; 3] = [Self::Pending, Self::Quarantined, Self::Applied];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Quarantined => "quarantined",
            Self::Applied => "applied",
        }
    }
}

/// Which webhooks; None and empty do not restrict.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub ids: Vec<i64>,
    /// Included.
    pub since: Option<Timestamp>,
    /// Not included.
    pub until: Option<Timestamp>,
    pub provider: Option<&'static str>,
    /// The account that the sender authenticated as.
    pub configuration_id: Option<i32>,
    pub state: Option<State>,
    /// Only those with a smaller id: the next page, latest first.
    pub before: Option<i64>,
}

/// One webhook of a list.
#[derive(Debug, Clone)]
pub struct Line {
    pub id: i64,
    pub received_at: Timestamp,
    pub provider: String,
    pub configuration_id: i32,
    pub verified_by: String,
    pub method: String,
    /// Bytes of its body.
    pub size: i32,
    pub state: State,
    /// Why it is not (wholly) applied, comma-separated words.
    pub reasons: Option<String>,
}

/// What of a webhook `wabridge.journal_pending` tells.
const PENDING: &str = "LEFT JOIN LATERAL (
            SELECT bool_or(p.state = 'pending') AS waits, string_agg(DISTINCT p.reason, ',') AS reasons
            FROM wabridge.journal_pending p WHERE p.journal_id = j.id) p ON true";

/// The condition for a state. Of its own text each: a short list of journal_pending must not be found by
/// reading the whole journal.
fn condition(state: Option<State>) -> &'static str {
    match state {
        None => "true",
        Some(State::Applied) => {
            "NOT EXISTS (SELECT 1 FROM wabridge.journal_pending q WHERE q.journal_id = j.id)"
        }
        Some(State::Pending) => {
            "j.id IN (SELECT q.journal_id FROM wabridge.journal_pending q WHERE q.state = 'pending')"
        }
        Some(State::Quarantined) => {
            "j.id IN (SELECT q.journal_id FROM wabridge.journal_pending q WHERE q.state = 'quarantined')"
        }
    }
}

/// Webhooks that fit, latest first.
///
/// # Errors
/// The database's.
pub async fn list(
    client: &impl GenericClient,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Line>, StoreError> {
    let sql = format!(
        "-- journal::list
        SELECT j.id, j.received_at, j.provider, j.configuration_id, j.verified_by, j.method, j.size, p.waits, p.reasons
        FROM (
            SELECT i.id, i.received_at, i.provider, i.configuration_id, i.verified_by, i.method,
                   octet_length(i.body) AS size FROM wabridge.journal i
            UNION ALL
            SELECT k.id, k.received_at, k.provider, k.configuration_id, k.verified_by, k.method,
                   octet_length(k.body) FROM wabridge.journal_kept k
            WHERE NOT EXISTS (SELECT 1 FROM wabridge.journal i WHERE i.id = k.id AND i.received_at = k.received_at)
        ) j {PENDING}
        WHERE (cardinality($1::int8[]) = 0 OR j.id = ANY($1)) AND ($2::timestamptz IS NULL OR j.received_at >= $2)
          AND ($3::timestamptz IS NULL OR j.received_at < $3) AND ($4::text IS NULL OR j.provider = $4)
          AND ($5::int4 IS NULL OR j.configuration_id = $5) AND ($6::int8 IS NULL OR j.id < $6)
          AND {}
        ORDER BY j.id DESC LIMIT $7",
        condition(filter.state)
    );
    let rows = client
        .query(
            &sql,
            &[
                /* ids */ &filter.ids,
                /* since */ &filter.since,
                /* until */ &filter.until,
                /* provider */ &filter.provider,
                /* configuration_id */ &filter.configuration_id,
                /* before */ &filter.before,
                /* limit */ &limit,
            ],
        )
        .await?;
    Ok(rows.iter().map(line).collect())
}

fn line(row: &tokio_postgres::Row) -> Line {
    Line {
        id: row.get(0),
        received_at: row.get(1),
        provider: row.get(2),
        configuration_id: row.get(3),
        verified_by: row.get(4),
        method: row.get(5),
        size: row.get(6),
        state: match row.get(7) {
            None => State::Applied,
            Some(true) => State::Pending,
            Some(false) => State::Quarantined,
        },
        reasons: row.get(8),
    }
}

/// The ids of webhooks that fit and are greater than `after`, oldest first.
///
/// # Errors
/// The database's.
pub async fn selected(
    client: &impl GenericClient,
    filter: &Filter,
    after: i64,
    limit: i64,
) -> Result<Vec<i64>, StoreError> {
    let sql = format!(
        "-- journal::selected
        SELECT j.id FROM (
            SELECT i.id, i.received_at, i.provider, i.configuration_id FROM wabridge.journal i
            UNION ALL
            SELECT k.id, k.received_at, k.provider, k.configuration_id FROM wabridge.journal_kept k) j
        WHERE (cardinality($1::int8[]) = 0 OR j.id = ANY($1)) AND ($2::timestamptz IS NULL OR j.received_at >= $2)
          AND ($3::timestamptz IS NULL OR j.received_at < $3) AND ($4::text IS NULL OR j.provider = $4)
          AND ($5::int4 IS NULL OR j.configuration_id = $5) AND j.id > $6
          AND {}
        ORDER BY j.id LIMIT $7",
        condition(filter.state)
    );
    let rows = client
        .query(
            &sql,
            &[
                /* ids */ &filter.ids,
                /* since */ &filter.since,
                /* until */ &filter.until,
                /* provider */ &filter.provider,
                /* configuration_id */ &filter.configuration_id,
                /* after */ &after,
                /* limit */ &limit,
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// One webhook with all that is known of it.
#[derive(Debug, Clone)]
pub struct Shown {
    pub id: i64,
    pub received_at: Timestamp,
    /// The account that the sender authenticated as.
    pub configuration_id: i32,
    pub verified_by: String,
    pub address: Option<String>,
    pub request_id: String,
    /// Those of the allow-list.
    pub headers: serde_json::Value,
    pub stored: Stored,
    /// What of it is not applied, by place.
    pub open: Vec<Open>,
}

/// One row of `journal_pending`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    pub event_no: i32,
    pub state: String,
    pub reason: String,
    pub detail: Option<String>,
    pub attempts: i32,
}

/// One webhook; None where the journal does not hold it (any more).
///
/// # Errors
/// The database's.
pub async fn show(client: &impl GenericClient, id: i64) -> Result<Option<Shown>, StoreError> {
    let sql = "-- journal::show
        SELECT i.id, i.received_at, i.configuration_id, i.verified_by, i.address, i.request_id, i.headers, i.provider,
               i.method, i.sub_path, i.body
        FROM wabridge.journal i WHERE i.id = $1
        UNION ALL
        SELECT k.id, k.received_at, k.configuration_id, k.verified_by, k.address, k.request_id, k.headers, k.provider,
               k.method, k.sub_path, k.body
        FROM wabridge.journal_kept k WHERE k.id = $1
        LIMIT 1";
    let Some(row) = client.query_opt(sql, &[/* id */ &id]).await? else { return Ok(None) };
    let sql = "-- journal::open_of
        SELECT event_no, state, reason, detail, attempts FROM wabridge.journal_pending
        WHERE journal_id = $1 ORDER BY event_no";
    let open = client.query(sql, &[/* id */ &id]).await?;
    Ok(Some(Shown {
        id: row.get(0),
        received_at: row.get(1),
        configuration_id: row.get(2),
        verified_by: row.get(3),
        address: row.get(4),
        request_id: row.get(5),
        headers: row.get(6),
        stored: Stored {
            provider: row.get(7),
            method: row.get(8),
            sub_path: row.get(9),
            body: row.get(10),
        },
        open: open
            .iter()
            .map(|row| Open {
                event_no: row.get(0),
                state: row.get(1),
                reason: row.get(2),
                detail: row.get(3),
                attempts: row.get(4),
            })
            .collect(),
    }))
}

/// The first webhook of a provider, received from `from` to `to` (both included), whose body names `text`.
///
/// # Errors
/// The database's.
pub async fn find(
    client: &impl GenericClient,
    provider: &str,
    from: Timestamp,
    to: Timestamp,
    text: &str,
) -> Result<Option<Line>, StoreError> {
    let sql = format!(
        "-- journal::find
        SELECT j.id, j.received_at, j.provider, j.configuration_id, j.verified_by, j.method, octet_length(j.body),
               p.waits, p.reasons
        FROM wabridge.journal j {PENDING}
        WHERE j.received_at >= $1 AND j.received_at <= $2 AND j.provider = $3
          AND position(convert_to($4, 'UTF8') IN j.body) > 0
        ORDER BY j.received_at, j.id LIMIT 1"
    );
    let row = client
        .query_opt(
            &sql,
            &[
                /* from */ &from, /* to */ &to, /* provider */ &provider,
                /* text */ &text,
            ],
        )
        .await?;
    Ok(row.as_ref().map(line))
}
