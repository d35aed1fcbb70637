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

/// The condition for a filter, for a table named `t`; parameters 1 to 6. That for the state is a text of its own
/// each: a short list in journal_pending must not be found by reading the whole journal.
fn condition(filter: &Filter) -> String {
    let state = match filter.state {
        None => "",
        Some(State::Applied) => {
            " AND NOT EXISTS (SELECT 1 FROM wabridge.journal_pending q WHERE q.journal_id = t.id)"
        }
        Some(State::Pending) => {
            " AND t.id IN (SELECT q.journal_id FROM wabridge.journal_pending q WHERE q.state = 'pending')"
        }
        Some(State::Quarantined) => {
            " AND t.id IN (SELECT q.journal_id FROM wabridge.journal_pending q WHERE q.state = 'quarantined')"
        }
    };
    format!(
        "(cardinality($1::int8[]) = 0 OR t.id = ANY($1)) AND ($2::timestamptz IS NULL OR t.received_at >= $2)
               AND ($3::timestamptz IS NULL OR t.received_at < $3) AND ($4::text IS NULL OR t.provider = $4)
               AND ($5::int4 IS NULL OR t.configuration_id = $5) AND ($6::int8 IS NULL OR t.id < $6){state}"
    )
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
    let fits = condition(filter);
    // Each table's own page first: its index gives it without a look at the rest.
    let sql = format!(
        "-- journal::list
        SELECT j.id, j.received_at, j.provider, j.configuration_id, j.verified_by, j.method, j.size, p.waits, p.reasons
        FROM (
            (SELECT t.id, t.received_at, t.provider, t.configuration_id, t.verified_by, t.method,
                    octet_length(t.body) AS size
             FROM wabridge.journal t WHERE {fits} ORDER BY t.id DESC LIMIT $7)
            UNION ALL
            (SELECT t.id, t.received_at, t.provider, t.configuration_id, t.verified_by, t.method, octet_length(t.body)
             FROM wabridge.journal_kept t
             WHERE {fits} AND NOT EXISTS (
                 SELECT 1 FROM wabridge.journal i WHERE i.id = t.id AND i.received_at = t.received_at)
             ORDER BY t.id DESC LIMIT $7)
        ) j {PENDING}
        ORDER BY j.id DESC LIMIT $7"
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
    let fits = condition(filter);
    let sql = format!(
        "-- journal::selected
        SELECT DISTINCT j.id FROM (
            (SELECT t.id FROM wabridge.journal t WHERE {fits} AND t.id > $8 ORDER BY t.id LIMIT $7)
            UNION ALL
            (SELECT t.id FROM wabridge.journal_kept t WHERE {fits} AND t.id > $8 ORDER BY t.id LIMIT $7)) j
        ORDER BY j.id LIMIT $7"
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
                /* after */ &after,
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
