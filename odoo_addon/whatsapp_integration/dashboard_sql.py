"""The SQL of the dashboards: what is counted of messages and operations, and the views on it.

Days are days in UTC. Everything is counted from facts (times), so the order of arrival of the
provider's words does not matter.
"""

# How long after a message the next one of the other side still is its answer.
ANSWER_DAYS = 7

SENT = "coalesce(m.sent_at, m.delivered_at, m.read_at, m.played_at) IS NOT NULL"
# What belongs to a conversation of two: only there it is clear who answers whom.
TALK = """m.group_id IS NULL AND m.chat_id IS NOT NULL
               AND coalesce(m.message_type, '') NOT IN ('reaction', 'system')
               AND (m.direction = 'inbound' OR {sent})""".format(sent=SENT)

# What messages are counted by, and what is counted of them.
BY = (
    "configuration_id",
    "day",
    "direction",
    "message_type",
    "status",
    "origin",
    "category",
    "user_id",
    "res_model",
    "campaign_id",
)
COUNTED = (
    "message_count",
    "sent_count",
    "delivered_count",
    "read_count",
    "failed_count",
    "asked_count",
    "answered_count",
    "oldest_queued_at",
    "answer_seconds",
)
# rate -> share of what in what, as (factor, sum of what, sum of what)
RATES = {
    "delivery_rate": (100.0, "delivered_count", "sent_count"),
    "read_rate": (100.0, "read_count", "sent_count"),
    "answer_rate": (100.0, "answered_count", "asked_count"),
}


def counts(of, until="true"):
    """The SELECT that counts the messages for which `of` holds, see `BY` and `COUNTED`.

    `of` reaches `ANSWER_DAYS` further than what is counted, `until` cuts that off again: answers
    are looked for there. One pass over the conversations, newest first, tells for each message
    what came next.
    """
    return """
    SELECT t.configuration_id, t.timestamp::date AS day, t.direction, t.message_type, t.status,
           t.origin, t.category, t.user_id, t.res_model, t.campaign_id,
           count(*)::int AS message_count,
           (count(*) FILTER (WHERE t.sent))::int AS sent_count,
           (count(*) FILTER (WHERE t.delivered))::int AS delivered_count,
           (count(*) FILTER (WHERE t.read))::int AS read_count,
           (count(*) FILTER (WHERE t.failed))::int AS failed_count,
           (count(*) FILTER (WHERE t.sent AND t.talk))::int AS asked_count,
           (count(*) FILTER (WHERE t.sent AND t.talk
                AND t.next_inbound <= t.timestamp + interval '{days} days'))::int AS answered_count,
           min(t.queued_at) FILTER (WHERE t.status = 'queued') AS oldest_queued_at,
           array_agg(extract(epoch FROM t.next_outbound - t.timestamp)::int)
                FILTER (WHERE t.opens) AS answer_seconds,
           min(t.id) AS first_id
    FROM (
        SELECT w.*,
               w.talk AND w.direction = 'inbound'
               AND w.next_outbound <= w.timestamp + interval '{days} days'
               AND coalesce(w.former, (
                    SELECT m.direction FROM whatsapp_message m
                    WHERE m.configuration_id = w.configuration_id AND m.chat_id = w.chat_id
                      AND (m.timestamp, m.id) < (w.timestamp, w.id) AND {talk}
                    ORDER BY m.timestamp DESC, m.id DESC LIMIT 1), 'outbound') = 'outbound' AS opens
        FROM (
            SELECT s.*,
                   min(s.timestamp) FILTER (WHERE s.direction = 'inbound') OVER earlier
                        AS next_inbound,
                   min(s.timestamp) FILTER (WHERE s.direction = 'outbound') OVER earlier
                        AS next_outbound,
                   lead(s.direction) OVER chat AS former
            FROM (
                SELECT m.id, m.configuration_id, m.timestamp, m.direction, m.message_type, m.status,
                       m.origin, m.category, m.user_id, m.res_model, m.chat_id, m.queued_at,
                       CASE WHEN m.direction = 'outbound' THEN (
                            SELECT min(r.campaign_id) FROM whatsapp_bulk_campaign_recipient r
                            WHERE r.message_id = m.id) END AS campaign_id,
                       m.direction = 'outbound' AND {sent} AS sent,
                       m.direction = 'outbound' AND coalesce(m.delivered_at, m.read_at, m.played_at)
                            IS NOT NULL AS delivered,
                       m.direction = 'outbound' AND coalesce(m.read_at, m.played_at)
                            IS NOT NULL AS read,
                       m.direction = 'outbound' AND m.status = 'failed' AS failed,
                       {talk} AS talk
                FROM whatsapp_message m
                WHERE {of}
            ) s
            WINDOW chat AS (PARTITION BY s.chat_id, s.talk ORDER BY s.timestamp DESC, s.id DESC),
                   earlier AS (chat ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        ) w
    ) t
    WHERE {until}
    GROUP BY t.configuration_id, t.timestamp::date, t.direction, t.message_type, t.status, t.origin,
             t.category, t.user_id, t.res_model, t.campaign_id
    """.format(  # noqa: S608
        days=ANSWER_DAYS, sent=SENT, talk=TALK, of=of, until=until
    )


# Counts the days of an account anew: parameters account, since, until, and `ANSWER_DAYS` further.
FORGET = (
    "DELETE FROM whatsapp_message_count"
    " WHERE configuration_id = %(account)s AND day >= %(since)s AND day < %(until)s"
)
RECOUNT = (
    "INSERT INTO whatsapp_message_count ({columns}) SELECT {columns} FROM ({counts}) x".format(
        columns=", ".join(BY + COUNTED),
        counts=counts(
            "m.configuration_id = %(account)s AND m.timestamp >= %(since)s"
            " AND m.timestamp < %(further)s",
            "t.timestamp < %(until)s",
        ),
    )
)


def _shares(shares):
    return ", ".join(
        "%s::float8 * x.%s / nullif(x.%s, 0) AS %s" % (factor, part, whole, name)
        for name, (factor, part, whole) in shares.items()
    )


# Days that are counted come from the table; the others, today at least, from the messages.
MESSAGES = """
    CREATE VIEW whatsapp_dashboard_message AS
    SELECT x.id, x.configuration_id, {columns}, {rates}
    FROM whatsapp_message_count x
    UNION ALL
    SELECT -x.first_id, c.id, {columns}, {rates}
    FROM whatsapp_configuration c
    LEFT JOIN whatsapp_dashboard_mark k ON k.configuration_id = c.id
    CROSS JOIN LATERAL ({live}) x
""".format(  # noqa: S608
    # c.id, not x.configuration_id: so a condition on the account is looked at before counting
    columns=", ".join("x.%s" % name for name in BY[1:] + COUNTED),
    rates=_shares(RATES),
    live=counts(
        "m.configuration_id = c.id AND m.timestamp >= coalesce(k.live_from, '-infinity'::timestamp)"
    ),
)

# (number, key, days before today)
PERIODS = ((1, "1", 0), (2, "7", 6), (3, "30", 29), (4, "90", 89))
TODAY = "(now() AT TIME ZONE 'UTC')::date"

ACCOUNTS = """
    CREATE VIEW whatsapp_dashboard_account AS
    SELECT c.id * 10 + p.no AS id, c.id AS configuration_id, p.period,
           {today} - p.back AS first_day,
           coalesce(s.state, 'new') AS state, s.reason AS state_reason, s.since AS state_since,
           s.waiting_count, s.waiting_reason, s.waiting_until,
           x.received_count, x.sent_count, x.delivered_count, x.read_count, x.failed_count,
           x.asked_count, x.answered_count, x.active_users, x.queued_count, x.oldest_queued_at,
           {rates},
           (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a.seconds::int) / 60
            FROM unnest(string_to_array(x.answers, ',')) AS a(seconds)) AS answer_minutes,
           cardinality(string_to_array(x.answers, ',')) AS answers_given,
           y.sync_done, y.sync_failed,
           100.0::float8 * y.sync_done / nullif(y.sync_done + y.sync_failed, 0) AS sync_rate,
           x.sent_today, nullif(c.daily_limit, 0) AS daily_limit,
           100.0::float8 * x.sent_today / nullif(c.daily_limit, 0) AS quota_rate,
           k.counted_at
    FROM whatsapp_configuration c
    CROSS JOIN (VALUES {periods}) AS p(no, period, back)
    LEFT JOIN whatsapp_account_state s ON s.configuration_id = c.id
    LEFT JOIN whatsapp_dashboard_mark k ON k.configuration_id = c.id
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(d.message_count)
                    FILTER (WHERE d.direction = 'inbound' AND {inside}), 0)::int AS received_count,
{sums}
               (count(DISTINCT d.user_id) FILTER (WHERE {inside}))::int AS active_users,
               coalesce(sum(d.message_count) FILTER (WHERE d.status = 'queued'), 0)::int
                    AS queued_count,
               min(d.oldest_queued_at) AS oldest_queued_at,
               coalesce(sum(d.sent_count)
                    FILTER (WHERE d.day = {today} AND d.origin IN ('rpc', 'odoo')), 0)::int
                    AS sent_today,
               string_agg(array_to_string(d.answer_seconds, ','), ',') FILTER (WHERE {inside})
                    AS answers
        FROM whatsapp_dashboard_message d
        -- what waits is counted however old it is
        WHERE d.configuration_id = c.id AND ({inside} OR d.status = 'queued')
    ) x
    CROSS JOIN LATERAL (
        SELECT (count(*) FILTER (WHERE r.state = 'done'))::int AS sync_done,
               (count(*) FILTER (WHERE r.state = 'failed'))::int AS sync_failed
        FROM whatsapp_sync_run r
        WHERE r.configuration_id = c.id AND r.ended_at >= {today} - p.back
    ) y
    WHERE c.active
""".format(  # noqa: S608
    today=TODAY,
    inside="d.day >= %s - p.back" % TODAY,
    sums="\n".join(
        "               coalesce(sum(d.%s) FILTER (WHERE d.day >= %s - p.back), 0)::int AS %s,"
        % (name, TODAY, name)
        for name in COUNTED
        if name.endswith("_count") and name != "message_count"
    ),
    rates=_shares(RATES),
    periods=", ".join("(%s, '%s', %s)" % period for period in PERIODS),
)

# One row per account and day: the median can be taken from the times of one day, not from medians.
DAYS = """
    CREATE VIEW whatsapp_dashboard_answer AS
    SELECT min(x.id) AS id, x.configuration_id, x.day,
           count(*)::int AS answers_given,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY a.seconds) / 60 AS median_minutes,
           (avg(a.seconds) / 60)::float8 AS average_minutes,
           (max(a.seconds) / 60.0)::float8 AS longest_minutes
    FROM whatsapp_dashboard_message x CROSS JOIN LATERAL unnest(x.answer_seconds) AS a(seconds)
    GROUP BY x.configuration_id, x.day
"""

# What operations of the audit log are counted by, and what is counted of them.
OPERATION_BY = ("configuration_id", "day", "user_id", "provider", "operation", "success")
OPERATION_COUNTED = ("operation_count", "failed_count", "response_total", "slowest_ms")
# mean or share of a group -> (factor, sum of what, sum of what)
OPERATION_SHARES = {
    "average_ms": (1.0, "response_total", "operation_count"),
    "failure_rate": (100.0, "failed_count", "operation_count"),
}


def operations(of):
    """The SELECT that counts the audit rows for which `of` holds, see `OPERATION_BY`."""
    return """
    SELECT a.configuration_id, a.timestamp::date AS day, a.user_id, a.provider, a.operation,
           a.success IS TRUE AS success, count(*)::int AS operation_count,
           (count(*) FILTER (WHERE a.success IS NOT TRUE))::int AS failed_count,
           coalesce(sum(a.response_time), 0)::float8 AS response_total,
           max(a.response_time)::float8 AS slowest_ms, min(a.id) AS first_id
    FROM whatsapp_audit_log a
    WHERE {of}
    GROUP BY a.configuration_id, a.timestamp::date, a.user_id, a.provider, a.operation,
             a.success IS TRUE
    """.format(of=of)  # noqa: S608


# Counts the operations of days that are over: parameters since, until.
COUNT_OPERATIONS = (
    "INSERT INTO whatsapp_operation_count ({columns}) SELECT {columns} FROM ({counts}) x"
).format(
    columns=", ".join(OPERATION_BY + OPERATION_COUNTED),
    counts=operations("a.timestamp >= %(since)s AND a.timestamp < %(until)s"),
)
# The first moment that is not in the counted days.
OPERATIONS_LIVE = """(SELECT coalesce(max(n.day) + 1, '-infinity')::timestamp
                      FROM whatsapp_operation_count n)"""

# One more column with the user: a list may be by user, or say how many there are, not both by one.
OPERATIONS = """
    CREATE VIEW whatsapp_dashboard_operation AS
    SELECT x.id, {columns}, x.user_id AS active_user_id, {shares}
    FROM whatsapp_operation_count x
    UNION ALL
    SELECT -x.first_id, {columns}, x.user_id, {shares}
    FROM ({live}) x
""".format(  # noqa: S608
    columns=", ".join("x.%s" % name for name in OPERATION_BY + OPERATION_COUNTED),
    shares=_shares(OPERATION_SHARES),
    live=operations("a.timestamp >= " + OPERATIONS_LIVE),
)

# In the order in which they are made; each may use those before it.
VIEWS = (
    ("whatsapp_dashboard_operation", OPERATIONS),
    ("whatsapp_dashboard_message", MESSAGES),
    ("whatsapp_dashboard_account", ACCOUNTS),
    ("whatsapp_dashboard_answer", DAYS),
)


def create_views(cr):
    """Makes all views anew: they build on each other, so none of them is replaced alone."""
    for name, _statement in reversed(VIEWS):
        cr.execute("DROP VIEW IF EXISTS %s" % name)
    for _name, statement in VIEWS:
        cr.execute(statement)
