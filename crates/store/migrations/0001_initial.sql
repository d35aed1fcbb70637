-- Schema wabridge, first version. Owned by the daemon's role; nothing here refers to Odoo's tables by
-- foreign key, so that Odoo's upgrades, restores and drops never wait for it.

-- One row: which database this is, and what was decided about it.
CREATE TABLE meta (
    one                boolean PRIMARY KEY DEFAULT true CHECK (one),
    installation_id    uuid NOT NULL DEFAULT gen_random_uuid(),
    -- Identity of the Odoo database as it was when last adopted; a difference holds the database.
    database_uuid      text,
    system_identifier  text,
    database_oid       bigint,
    database_name      text,
    -- NULL: free to send. Else the reason (duplicated, restored, neutralized).
    held_reason        text,
    held_at            timestamptz,
    -- Set by `wabridge detach`: the daemon keeps off until `attach`.
    detached_at        timestamptz,
    -- Version of the addon whose tables fitted last; NULL until they fitted once.
    fitted_addon       text,
    created_at         timestamptz NOT NULL DEFAULT now()
);
INSERT INTO meta DEFAULT VALUES;

-- Raw bytes of every authentic webhook, one partition a day. A row without a row in journal_pending is applied.
CREATE SEQUENCE journal_id_seq;
CREATE TABLE journal (
    id               bigint NOT NULL DEFAULT nextval('journal_id_seq'),
    received_at      timestamptz NOT NULL DEFAULT now(),
    provider         text NOT NULL,
    -- The account that the sender authenticated as; each event goes to the account of its own channel.
    configuration_id integer NOT NULL,
    verified_by      text NOT NULL,
    method           text NOT NULL,
    sub_path         text NOT NULL DEFAULT '',
    headers          jsonb NOT NULL,
    body             bytea NOT NULL,
    address          text,
    request_id       text NOT NULL,
    PRIMARY KEY (id, received_at)
) PARTITION BY RANGE (received_at);
ALTER SEQUENCE journal_id_seq OWNED BY journal.id;

-- What is not applied yet, or cannot be. event_no -1 stands for the whole body.
CREATE TABLE journal_pending (
    journal_id       bigint NOT NULL,
    event_no         integer NOT NULL DEFAULT -1,
    received_at      timestamptz NOT NULL,
    configuration_id integer NOT NULL,
    state            text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'quarantined')),
    -- waiting | unreadable | unknown_channel | broken_event | refused_by_database
    reason           text NOT NULL,
    detail           text,
    attempts         integer NOT NULL DEFAULT 0,
    next_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (journal_id, event_no)
);
CREATE INDEX journal_pending_due ON journal_pending (next_at) WHERE state = 'pending';

-- Unfinished sends only. Order of a lane is `position`, taken under the lane's lock.
CREATE SEQUENCE outbox_position_seq;
CREATE TABLE outbox (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    configuration_id integer NOT NULL,
    chat_key         text NOT NULL,
    message_id       integer NOT NULL UNIQUE,
    uid              integer NOT NULL,
    -- Content and options, as domain::content::Content and its neighbours.
    request          jsonb NOT NULL,
    -- Scheduled: enters its lane when due, so that it holds nothing up before.
    not_before       timestamptz,
    -- NULL: not due yet, and in no lane.
    position         bigint,
    -- Calls made that cost an attempt.
    attempts         integer NOT NULL DEFAULT 0,
    -- NULL: to be sent. Else the call may have taken effect and this is being settled.
    uncertain_since  timestamptz,
    request_id       text,
    created_at       timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
ALTER SEQUENCE outbox_position_seq OWNED BY outbox.position;
CREATE INDEX outbox_lane ON outbox (configuration_id, chat_key, position);
CREATE INDEX outbox_scheduled ON outbox (configuration_id, not_before) WHERE position IS NULL;
CREATE INDEX outbox_uncertain ON outbox (configuration_id, chat_key) WHERE uncertain_since IS NOT NULL;

-- Order and back-off of one chat.
CREATE TABLE lane (
    configuration_id integer NOT NULL,
    chat_key         text NOT NULL,
    -- NULL: nothing waits in this lane.
    ready_at         timestamptz,
    -- The epoch of the lease under which its head is at the provider; NULL: nothing is in flight.
    in_flight        bigint,
    -- When the head began to fail; a head that keeps failing blocks its chat for head_block_s at most.
    failing_since    timestamptz,
    touched_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (configuration_id, chat_key)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX lane_ready ON lane (configuration_id, ready_at) WHERE ready_at IS NOT NULL;

-- One row an account: who sends for it, and how fast.
CREATE TABLE account_pace (
    configuration_id integer PRIMARY KEY,
    owner            uuid,
    epoch            bigint NOT NULL DEFAULT 0,
    lease_until      timestamptz,
    -- Theoretical arrival time of the next token (GCRA).
    tat              timestamptz,
    paused_until     timestamptz,
    -- rate_limited | account_down: after the latter the provider is asked for the state before the next send.
    pause_kind       text,
    pause_message    text,
    -- Pauses in a row, for their growing length.
    pauses           integer NOT NULL DEFAULT 0,
    day              date,
    day_count        integer NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- Every call to a provider that sends. Without outcome while under way; open until finished_at, which for an
-- uncertain one is when it was settled or given up. applied_at: when the outcome stood in Odoo's message row.
CREATE TABLE attempt (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    configuration_id    integer NOT NULL,
    chat_key            text NOT NULL,
    message_id          integer NOT NULL,
    outbox_id           bigint NOT NULL,
    number              integer NOT NULL,
    epoch               bigint NOT NULL,
    owner               uuid NOT NULL,
    request_id          text NOT NULL,
    started_at          timestamptz NOT NULL DEFAULT now(),
    finished_at         timestamptz,
    applied_at          timestamptz,
    -- accepted | not_sent | not_accepted | rate_limited | account_down | refused | uncertain
    outcome             text,
    -- The status word of an acceptance.
    word                text,
    provider_message_id text,
    error_kind          text,
    error_message       text,
    -- Wait until the next attempt, where there is one.
    retry_ms            bigint,
    latency_ms          double precision
) WITH (fillfactor = 80);
CREATE INDEX attempt_message ON attempt (message_id, id);
CREATE INDEX attempt_open ON attempt (configuration_id, chat_key) WHERE finished_at IS NULL;
CREATE INDEX attempt_unapplied ON attempt (configuration_id, id) WHERE applied_at IS NULL;
CREATE INDEX attempt_finished ON attempt (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE idempotency (
    uid         integer NOT NULL,
    key         text NOT NULL,
    -- SHA-256 of the canonical parameters.
    fingerprint bytea NOT NULL,
    -- NULL only inside the transaction that makes the row.
    message_id  integer,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (uid, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);

-- Events that name a message which is not there yet, folded into one row per target, kind and member of a group.
CREATE TABLE early_event (
    configuration_id integer NOT NULL,
    target_id        text NOT NULL,
    -- status: what providers said of it. echo: `payload` holds the message of an API echo that waits for our answer.
    kind             text NOT NULL CHECK (kind IN ('status', 'echo')),
    -- The contact id of the member of a group whose word it is; '' where the word is about the message.
    member           text NOT NULL DEFAULT '',
    chat_key         text,
    -- The earliest time of each word, UTC as in Odoo's rows.
    pending_at       timestamp,
    sent_at          timestamp,
    failed_at        timestamp,
    delivered_at     timestamp,
    read_at          timestamp,
    played_at        timestamp,
    deleted_at       timestamp,
    payload          jsonb,
    error_code       text,
    error_message    text,
    first_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (configuration_id, target_id, kind, member)
);
CREATE INDEX early_event_age ON early_event (first_at);
CREATE INDEX early_event_echo ON early_event (configuration_id, chat_key) WHERE kind = 'echo';

-- The status of a message by its facts: the greatest known one, as domain::message::Facts::status has it.
CREATE FUNCTION message_status(
    deleted_at timestamp, played_at timestamp, read_at timestamp, delivered_at timestamp, failed_at timestamp,
    sent_at timestamp, pending_at timestamp, uncertain_at timestamp, cancelled_at timestamp, queued_at timestamp
) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN deleted_at IS NOT NULL THEN 'deleted'
        WHEN played_at IS NOT NULL THEN 'played'
        WHEN read_at IS NOT NULL THEN 'read'
        WHEN delivered_at IS NOT NULL THEN 'delivered'
        WHEN failed_at IS NOT NULL THEN 'failed'
        WHEN sent_at IS NOT NULL THEN 'sent'
        WHEN pending_at IS NOT NULL THEN 'pending'
        WHEN uncertain_at IS NOT NULL THEN 'uncertain'
        WHEN cancelled_at IS NOT NULL THEN 'cancelled'
        WHEN queued_at IS NOT NULL THEN 'queued'
        ELSE 'draft'
    END
$$;

-- What a provider calls a person -> the contact row.
CREATE TABLE identity (
    configuration_id integer NOT NULL,
    kind             text NOT NULL CHECK (kind IN ('contact_id', 'phone', 'lid', 'username', 'user_id')),
    value            text NOT NULL,
    contact_id       integer NOT NULL,
    PRIMARY KEY (configuration_id, kind, value)
);
CREATE INDEX identity_contact ON identity (contact_id);

-- Nonces of signed calls, once across all daemons.
CREATE TABLE nonce (
    key_id     text NOT NULL,
    nonce      text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (key_id, nonce)
);
CREATE INDEX nonce_expiry ON nonce (expires_at);

CREATE TABLE consent (
    company_id integer NOT NULL DEFAULT 0,
    person     text NOT NULL,
    category   text NOT NULL,
    allowed    boolean NOT NULL,
    reason     text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, person, category)
);

CREATE TABLE media_blob (
    checksum   text PRIMARY KEY,
    location   text NOT NULL,
    size       bigint NOT NULL,
    sealed_by  text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE audit_segment (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    row_ids    integer[] NOT NULL,
    leaves     bytea[] NOT NULL,
    root       bytea NOT NULL,
    previous   bytea,
    mac        bytea NOT NULL,
    sealed_at  timestamptz NOT NULL DEFAULT now()
);

-- Unauthenticated refusals: one row a minute, route and reason; it also stands in whatsapp_audit_log.
CREATE TABLE refusal_minute (
    minute   timestamptz NOT NULL,
    zone     text NOT NULL,
    audit_id integer,
    count    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (minute, zone)
);
