-- What slows an account down beside its pace, and what keeps a single send back.
ALTER TABLE account_pace
    -- The pace is divided by this; grows with each 429, and halves with time from slowed_at on.
    ADD COLUMN slow      double precision NOT NULL DEFAULT 1,
    ADD COLUMN slowed_at timestamptz,
    -- Failures in a row; so many as the account's setting pause it (pause_kind failures).
    ADD COLUMN failures  integer NOT NULL DEFAULT 0;

-- Nothing goes to this chat before: the account's least gap between two messages to one recipient.
ALTER TABLE lane ADD COLUMN gap_until timestamptz;

-- Why a send stands in no lane although it is due (window: until the customer writes); position and not_before are NULL.
ALTER TABLE outbox ADD COLUMN parked text;
CREATE INDEX outbox_parked ON outbox (configuration_id, chat_key) WHERE parked IS NOT NULL;

-- Who said it: provider, word (the person, by a word that stops or starts), user (changed_by).
ALTER TABLE consent
    ADD COLUMN source     text NOT NULL DEFAULT 'provider',
    ADD COLUMN changed_by integer;

-- Every change of a wish, kept.
CREATE TABLE consent_change (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    company_id integer NOT NULL,
    person     text NOT NULL,
    category   text NOT NULL,
    allowed    boolean NOT NULL,
    reason     text NOT NULL,
    source     text NOT NULL,
    changed_by integer,
    changed_at timestamptz NOT NULL,
    noted_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX consent_change_person ON consent_change (person, id);
