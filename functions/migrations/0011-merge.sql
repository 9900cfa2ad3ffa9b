-- What a server optimiser keeps from round to round, with the version that it made; and how far a merge has come.

-- Null where the version was not made by an optimiser that keeps something.
alter table model_version add column optimizer_name text;
alter table model_version add column optimizer_state_key text;
alter table model_version add column optimizer_state_sha256 text;
alter table model_version add column optimizer_state_bytes bigint;

-- Of a merge that needs more than one request for each file: { uploads: { weights, state }, verified: [key] }.
alter table round_attempt add column merge_progress jsonb;
alter table round_attempt add column merge_runs integer not null default 0;
