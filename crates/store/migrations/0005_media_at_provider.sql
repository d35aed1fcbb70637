-- Files as they lie at a provider: uploaded once an account, used by every message until they expire there.
CREATE TABLE media_at_provider (
    configuration_id integer NOT NULL,
    -- SHA-256 of the content.
    checksum         text NOT NULL,
    -- A row of whatsapp_media with this content: type and name for the provider.
    media_id         integer NOT NULL,
    -- waiting: to be uploaded, from next_at on. ready: provider_id is good until good_until. refused: never will be.
    state            text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'ready', 'refused')),
    provider_id      text,
    good_until       timestamptz,
    attempts         integer NOT NULL DEFAULT 0,
    next_at          timestamptz NOT NULL DEFAULT now(),
    -- Who uploads it: finishing is guarded by it.
    claim            uuid,
    error_kind       text,
    error_message    text,
    PRIMARY KEY (configuration_id, checksum)
);
CREATE INDEX media_at_provider_due ON media_at_provider (next_at) WHERE state = 'waiting';
