-- The sealing keys that daemons have loaded. The keys themselves stand outside the database.
CREATE TABLE sealing_key (
    key_id        text PRIMARY KEY,
    -- Tells two keys of one id apart; says nothing else about them.
    fingerprint   text NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    -- Seals.
    active        boolean NOT NULL DEFAULT false,
    activated_at  timestamptz,
    -- Once no daemon sealed with it any more: the transactions that were open then, in pg_locks' words. Each of them
    -- may still store what was sealed with it before. NULL: it is the active one, or not known to be out of use.
    open_transactions text[],
    retired_at    timestamptz
);
CREATE UNIQUE INDEX sealing_key_active ON sealing_key (active) WHERE active;

-- The daemons of this database, while they run.
CREATE TABLE replica (
    owner      uuid PRIMARY KEY,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now(),
    -- What it holds: <key id>:<fingerprint>.
    keys       text[] NOT NULL,
    -- What it seals with.
    active     text NOT NULL
);

-- What is not sealed with the active key is looked for again and again.
CREATE INDEX media_blob_sealed_by ON media_blob (sealed_by);
