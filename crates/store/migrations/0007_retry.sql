-- A person has a message sent again: a new series of attempts, counted on from the former ones, whose words say
-- nothing of the message any more.

-- Calls of former series, for the numbers of the next ones.
ALTER TABLE outbox ADD COLUMN former_attempts integer NOT NULL DEFAULT 0;

-- Messages that were retried: attempts up to this number are of former series.
CREATE TABLE retried (
    message_id integer PRIMARY KEY,
    attempts   integer NOT NULL
);
