-- The theoretical arrival time of the next message to this person: a provider may let some follow one another at once
-- that are borrowed from later (Meta's pair rule). Nothing is NULL: no such rule, or none was sent lately.
ALTER TABLE lane ADD COLUMN gap_tat timestamptz;
