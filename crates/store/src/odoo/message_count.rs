//! `whatsapp_message_count` (configuration_id, day, direction, origin, message_count, sent_count, delivered_count,
//! read_count, failed_count) with `whatsapp_dashboard_mark` (configuration_id, live_from, counted_at): days that Odoo
//! has counted ([ADR 12](../../../../docs/adr/0012-counted-days.md)). Read only; days from `live_from` on are read from
//! the messages themselves.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::StoreError;

/// The figures of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    pub configuration_id: i32,
    pub state: String,
    pub received: i64,
    pub sent: i64,
    pub delivered: i64,
    pub read: i64,
    pub failed: i64,
    pub waiting: i64,
    pub oldest_waiting_at: Option<Timestamp>,
    pub sent_today: i64,
    pub daily_limit: Option<i32>,
    pub counted_at: Option<Timestamp>,
}

/// Figures of these accounts, by id, of the days from `first` to `today` (`YYYY-MM-DD`, UTC).
///
/// # Errors
/// The database's.
pub async fn figures(
    client: &impl GenericClient,
    accounts: &[i32],
    first: &str,
    today: &str,
) -> Result<Vec<Figures>, StoreError> {
    let sql = "-- odoo::message_count::figures
        SELECT c.id, coalesce(s.state, 'new'), x.received, x.sent, x.delivered, x.read, x.failed, o.waiting, o.oldest,
               x.sent_today, nullif(c.daily_limit, 0), k.counted_at
        FROM public.whatsapp_configuration c
        LEFT JOIN public.whatsapp_account_state s ON s.configuration_id = c.id
        LEFT JOIN public.whatsapp_dashboard_mark k ON k.configuration_id = c.id
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(p.received), 0)::int8 AS received, coalesce(sum(p.sent), 0)::int8 AS sent,
                   coalesce(sum(p.delivered), 0)::int8 AS delivered, coalesce(sum(p.read), 0)::int8 AS read,
                   coalesce(sum(p.failed), 0)::int8 AS failed, coalesce(sum(p.sent_today), 0)::int8 AS sent_today
            FROM (
                SELECT sum(n.message_count) FILTER (WHERE n.direction = 'inbound') AS received,
                       sum(n.sent_count) AS sent, sum(n.delivered_count) AS delivered, sum(n.read_count) AS read,
                       sum(n.failed_count) AS failed, 0 AS sent_today
                FROM public.whatsapp_message_count n
                WHERE n.configuration_id = c.id AND n.day >= $2::text::date
                UNION ALL
                SELECT count(*) FILTER (WHERE m.direction = 'inbound'),
                       count(*) FILTER (WHERE m.direction = 'outbound'
                            AND coalesce(m.sent_at, m.delivered_at, m.read_at, m.played_at) IS NOT NULL),
                       count(*) FILTER (WHERE m.direction = 'outbound'
                            AND coalesce(m.delivered_at, m.read_at, m.played_at) IS NOT NULL),
                       count(*) FILTER (WHERE m.direction = 'outbound'
                            AND coalesce(m.read_at, m.played_at) IS NOT NULL),
                       count(*) FILTER (WHERE m.direction = 'outbound' AND m.status = 'failed'),
                       count(*) FILTER (WHERE m.direction = 'outbound' AND m.origin IN ('rpc', 'odoo')
                            AND m.timestamp >= $3::text::timestamp
                            AND coalesce(m.sent_at, m.delivered_at, m.read_at, m.played_at) IS NOT NULL)
                FROM public.whatsapp_message m
                WHERE m.configuration_id = c.id
                  AND m.timestamp >= greatest($2::text::timestamp, coalesce(k.live_from, '-infinity'::date)::timestamp)
            ) p
        ) x
        CROSS JOIN LATERAL (
            SELECT count(*) AS waiting, min(b.created_at) AS oldest
            FROM wabridge.outbox b WHERE b.configuration_id = c.id
        ) o
        WHERE c.id = ANY($1)
        ORDER BY c.id";
    let rows = client
        .query(sql, &[/* accounts */ &accounts, /* first */ &first, /* today */ &today])
        .await?;
    let instant = |at: Option<DateTime>| {
        at.and_then(|at| at.to_zoned(TimeZone::UTC).ok()).map(|at| at.timestamp())
    };
    Ok(rows
        .iter()
        .map(|row| Figures {
            configuration_id: row.get(0),
            state: row.get(1),
            received: row.get(2),
            sent: row.get(3),
            delivered: row.get(4),
            read: row.get(5),
            failed: row.get(6),
            waiting: row.get(7),
            oldest_waiting_at: row.get(8),
            sent_today: row.get(9),
            daily_limit: row.get(10),
            counted_at: instant(row.get(11)),
        })
        .collect())
}
