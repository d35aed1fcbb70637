-- Runs of the synchronisation that are not over. What they came to stands in whatsapp_sync_run; these go with their end.
-- Who works at a run holds an advisory lock in the very session that writes, so a run has one worker and a killed one
-- is followed at once.
CREATE TABLE sync_run (
    run_id           integer PRIMARY KEY,
    configuration_id integer NOT NULL,
    -- Of the schedule that asked; NULL: a person or program did.
    service_id       integer,
    mode             text NOT NULL,
    since            timestamptz,
    -- When the run began to read; a later one of the same kind reads on from here.
    started_at       timestamptz,
    cancelled_at     timestamptz
);

-- How far a run is with one kind: written with each page, in the same transaction as the page's rows.
CREATE TABLE sync_step (
    run_id     integer NOT NULL REFERENCES sync_run ON DELETE CASCADE,
    kind       text NOT NULL,
    -- The order of the kinds in the run.
    place      integer NOT NULL,
    -- Where the next page begins, in the provider's words; NULL: with the first.
    cursor     text,
    pages      integer NOT NULL DEFAULT 0,
    -- How many the provider says there are.
    total      bigint,
    ended      boolean NOT NULL DEFAULT false,
    problem    text,
    read_n     integer NOT NULL DEFAULT 0,
    created_n  integer NOT NULL DEFAULT 0,
    changed_n  integer NOT NULL DEFAULT 0,
    unchanged_n integer NOT NULL DEFAULT 0,
    error_n    integer NOT NULL DEFAULT 0,
    late_n     integer NOT NULL DEFAULT 0,
    -- The time of the newest message that was read.
    high       timestamptz,
    PRIMARY KEY (run_id, kind)
);

-- At most one run for each account and kind.
CREATE TABLE sync_busy (
    configuration_id integer NOT NULL,
    kind             text NOT NULL,
    run_id           integer NOT NULL REFERENCES sync_run ON DELETE CASCADE,
    PRIMARY KEY (configuration_id, kind)
);

-- High-water marks: up to where an account's list was read to its end.
CREATE TABLE sync_mark (
    configuration_id integer NOT NULL,
    kind             text NOT NULL,
    -- When the last complete reading began: what the provider has changed since, it has changed after this.
    read_at          timestamptz NOT NULL,
    -- Of messages: the time of the newest one.
    high             timestamptz,
    PRIMARY KEY (configuration_id, kind)
);

-- What a schedule's last run came to, until it is written into Odoo's row.
CREATE TABLE sync_schedule (
    service_id integer PRIMARY KEY,
    run_id     integer NOT NULL,
    began_at   timestamptz NOT NULL,
    ended      boolean NOT NULL DEFAULT false,
    problem    text,
    -- When Odoo's row was written last.
    written_at timestamptz
);

-- The last name that a provider told of a group, as contact_fact has it of people: what differs from it was typed in Odoo.
ALTER TABLE group_fact ADD COLUMN value text;

-- What synced_at becomes in rows that are written now: set by a synchronisation for its transaction, else it stays.
CREATE FUNCTION synced_at() RETURNS timestamp LANGUAGE sql STABLE AS $$
    SELECT nullif(current_setting('wabridge.synced_at', true), '')::timestamp
$$;
