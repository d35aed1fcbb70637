-- Brazil, Mexico and Argentina write one phone in two international forms. 'number' is the name that both share
-- (the longer one, digits), so that both are one contact.
ALTER TABLE identity DROP CONSTRAINT identity_kind_check;
ALTER TABLE identity ADD CONSTRAINT identity_kind_check
    CHECK (kind IN ('contact_id', 'phone', 'lid', 'username', 'user_id', 'number'));

-- The form of such a number that an account's provider confirmed: it is written to in this form.
CREATE TABLE number_form (
    configuration_id integer NOT NULL,
    -- The shared name, digits.
    number           text NOT NULL,
    -- Digits as they were confirmed.
    form             text NOT NULL,
    confirmed_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (configuration_id, number)
);
