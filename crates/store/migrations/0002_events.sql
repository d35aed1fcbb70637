-- What events say of messages, groups and people, beside Odoo's rows: the keys by which the latest wins, so that
-- every order of arrival ends the same.

-- echo and status as before. edit: `payload` holds the new texts, `at` its time, `member` its id. quote: `member` is
-- the message that quotes the target.
ALTER TABLE early_event DROP CONSTRAINT early_event_kind_check;
ALTER TABLE early_event ADD CONSTRAINT early_event_kind_check CHECK (kind IN ('status', 'echo', 'edit', 'quote'));
ALTER TABLE early_event ADD COLUMN at timestamp;

-- Which edit an edited message shows: the highest (at, edit_id), for each of its two texts and over both.
CREATE TABLE message_edit (
    message_id      integer PRIMARY KEY,
    edit_id         text NOT NULL,
    at              timestamp NOT NULL,
    content_edit_id text,
    content_at      timestamp,
    caption_edit_id text,
    caption_at      timestamp
);

-- A name that a person was declared not to have any more (a changed number), and when, UTC.
ALTER TABLE identity ADD COLUMN former_at timestamp;

-- When a field of a contact was last told, and what; a name that is not ours was typed by a user.
CREATE TABLE contact_fact (
    contact_id integer NOT NULL,
    field      text NOT NULL,
    at         timestamp NOT NULL,
    value      text,
    PRIMARY KEY (contact_id, field)
);

-- When a field of a group was last told: the highest (at, event_id). `members`: the last full list.
CREATE TABLE group_fact (
    group_id integer NOT NULL,
    field    text NOT NULL,
    at       timestamp NOT NULL,
    event_id text NOT NULL,
    PRIMARY KEY (group_id, field)
);

-- What was last told of a member, apart from full lists that do not name them.
CREATE TABLE member_fact (
    group_id     integer NOT NULL,
    contact_id   integer NOT NULL,
    state        text NOT NULL,
    state_at     timestamp NOT NULL,
    state_event  text NOT NULL,
    role         text,
    role_at      timestamp,
    role_event   text,
    PRIMARY KEY (group_id, contact_id)
);
CREATE INDEX member_fact_contact ON member_fact (contact_id);

-- The provider's own count of unread messages, and when it was told: later messages count on from there.
CREATE TABLE chat_fact (
    chat_id integer PRIMARY KEY,
    at      timestamp NOT NULL,
    unread  integer NOT NULL
);

-- Alerts and the like that became rows of whatsapp_event, so that a repetition becomes none.
CREATE TABLE notice (
    configuration_id integer NOT NULL,
    digest           bytea NOT NULL,
    first_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (configuration_id, digest)
);
CREATE INDEX notice_age ON notice (first_at);
