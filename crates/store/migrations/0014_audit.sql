-- The proof of the audit log (docs/adr/0009-audit-proof.md). The table of 0001 was never written.
DROP TABLE audit_segment;

-- Keys of the proof. Each is sealed with a sealing key, so that it is of no use without the settings.
CREATE TABLE audit_key (
    id         integer PRIMARY KEY,
    sealed_key text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- One link of the chain: some rows of whatsapp_audit_log.
CREATE TABLE audit_segment (
    -- Counts from 1, without holes.
    number      bigint PRIMARY KEY,
    key_id      integer NOT NULL REFERENCES audit_key,
    sealed_at   timestamptz NOT NULL,
    -- Of its rows, in the order of their ids; NULL once retention removed them.
    row_ids     integer[],
    -- 32 bytes a row.
    leaves      bytea,
    -- 64 bytes a row: keyed digests of error_message and address.
    digests     bytea,
    row_count   integer NOT NULL,
    -- The time of the newest row.
    newest      timestamp,
    -- The greatest row id in this and earlier segments.
    high        integer NOT NULL,
    -- Row ids below `high` that were not there: of transactions that end later, or were rolled back.
    gap_first   integer[] NOT NULL,
    gap_last    integer[] NOT NULL,
    -- When each was noticed, unix microseconds.
    gap_seen    bigint[] NOT NULL,
    -- SHA-256 over the leaves.
    root        bytea NOT NULL,
    -- The mac of the segment before.
    previous    bytea NOT NULL,
    mac         bytea NOT NULL,
    -- Set together when retention removed the rows.
    removed_at  timestamptz,
    removal_mac bytea
);
CREATE INDEX audit_segment_kept ON audit_segment (number) WHERE removed_at IS NULL;

-- Fields of audit rows that were emptied on request: their digests stay in the segment.
CREATE TABLE audit_erasure (
    row_id    integer NOT NULL,
    -- error_message | address
    field     text NOT NULL,
    key_id    integer NOT NULL REFERENCES audit_key,
    erased_at timestamptz NOT NULL DEFAULT now(),
    mac       bytea NOT NULL,
    PRIMARY KEY (row_id, field)
);
