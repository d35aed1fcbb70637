-- Files that arrive: what is still to be fetched, and the sealed blobs they become.

-- The key of a blob, sealed by the sealing key that sealed_by names. It opens for this checksum in this
-- installation only, and re-sealing it re-seals the blob.
ALTER TABLE media_blob ADD COLUMN sealed_key text NOT NULL;
CREATE UNIQUE INDEX media_blob_location ON media_blob (location);

-- One row a file that came with a message; it stays, so that the file can be fetched again.
CREATE TABLE media_fetch (
    media_id         integer PRIMARY KEY,
    configuration_id integer NOT NULL,
    -- whatsapp_message.message_type: decides the size limit.
    kind             text NOT NULL,
    -- The provider's id and link, as domain::event::MediaRef.
    media            jsonb NOT NULL,
    -- Tries of this series; 0 again after success and "fetch again".
    attempts         integer NOT NULL DEFAULT 0,
    -- NULL: nothing to do (fetched, or given up). While somebody fetches it: until when it is theirs.
    next_at          timestamptz DEFAULT now(),
    -- Who fetches it: finishing is guarded by it.
    claim            uuid,
    created_at       timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE INDEX media_fetch_due ON media_fetch (next_at) WHERE next_at IS NOT NULL;

-- Files that were handed over to be sent (PUT /media), until a message uses them.
CREATE TABLE media_upload (
    media_id         integer PRIMARY KEY,
    configuration_id integer NOT NULL,
    uid              integer NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now()
);
