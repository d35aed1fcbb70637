-- The journal as a time machine, and what `explain` tells beyond what other tables hold.

-- Webhooks whose day has left the journal while something of them was pending or in quarantine.
CREATE TABLE journal_kept (
    id               bigint PRIMARY KEY,
    received_at      timestamptz NOT NULL,
    provider         text NOT NULL,
    configuration_id integer NOT NULL,
    verified_by      text NOT NULL,
    method           text NOT NULL,
    sub_path         text NOT NULL,
    headers          jsonb NOT NULL,
    body             bytea NOT NULL,
    address          text,
    request_id       text NOT NULL
);

-- Finds the webhooks of a moment. A few bytes for a range of pages, so that an insert pays nothing for it (ADR 6).
CREATE INDEX journal_received ON journal USING brin (received_at) WITH (pages_per_range = 16, autosummarize = on);

-- Decisions about a message that no other row tells. Few: see store::explain::Decision.
CREATE TABLE decision (
    message_id integer NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    kind       text NOT NULL,
    parameters jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX decision_message ON decision (message_id);
CREATE INDEX decision_age ON decision USING brin (at);
