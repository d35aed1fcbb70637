-- One content may go out as a document as it is, and as an image scaled: each is a file of its own at the provider.
ALTER TABLE media_at_provider
    -- image, video, audio, sticker, document
    ADD COLUMN kind     text NOT NULL DEFAULT 'document',
    -- What was handed over, where it is not the file itself.
    ADD COLUMN mimetype text,
    ADD COLUMN filename text,
    ADD COLUMN size     bigint,
    DROP CONSTRAINT media_at_provider_pkey,
    ADD PRIMARY KEY (configuration_id, checksum, kind);
