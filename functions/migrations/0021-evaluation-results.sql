-- What the sums of an evaluation come to, so that nobody who lists rounds or looks for a reason to stop reads confusion counts and histograms.
-- Null for evaluations of before: theirs are few sums.
alter table evaluation add column result jsonb;
