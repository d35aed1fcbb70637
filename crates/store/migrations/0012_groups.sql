-- Calls about groups that carry a key: a repeated call makes no second group, invites nobody twice and tells the same.
CREATE TABLE group_call (
    uid              integer NOT NULL,
    key              text NOT NULL,
    -- SHA-256 of the method and its canonical parameters.
    fingerprint      bytea NOT NULL,
    -- NULL where the call is not about one account.
    configuration_id integer,
    -- What was answered: {"data": …} or {"error": {"kind", "message"}}. NULL: in work, or its daemon ended in the middle.
    answer           jsonb,
    -- What is done of a call over many groups, while it has no answer.
    progress         jsonb,
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (uid, key)
);
CREATE INDEX group_call_age ON group_call (created_at);

-- Some providers (Meta) make a group after their answer: which group a request became, as its webhook told.
CREATE TABLE group_request (
    configuration_id integer NOT NULL,
    request_id       text NOT NULL,
    -- The provider's id; NULL: no group was made.
    group_id         text,
    -- Why not, in the provider's words.
    reason           text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (configuration_id, request_id)
);
CREATE INDEX group_request_age ON group_request (created_at);

-- Invitations to groups that are not there yet. Kept after they were sent, to answer a repeated call.
CREATE TABLE group_invitation (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    configuration_id integer NOT NULL,
    -- The request that makes the group.
    request_id       text NOT NULL,
    -- In whose name it is sent.
    uid              integer NOT NULL,
    -- The provider's id of the person.
    contact_id       text NOT NULL,
    -- The message; {link} stands for the invitation link.
    body             text NOT NULL,
    state            text NOT NULL DEFAULT 'owed' CHECK (state IN ('owed', 'sent', 'refused')),
    -- Why it was refused, one sentence.
    reason           text,
    next_at          timestamptz NOT NULL DEFAULT now(),
    created_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (configuration_id, request_id, contact_id)
);
CREATE INDEX group_invitation_due ON group_invitation (next_at) WHERE state = 'owed';
