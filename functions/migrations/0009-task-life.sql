-- What a task waits for, how long it may run, what uses up its attempts; who of the enrolled devices fits a cohort.

-- How many tasks run at once in a region; null: no limit.
alter table region add column task_slots integer check (task_slots >= 0);

alter table device add column if not exists labels jsonb not null default '{}';
create index if not exists device_by_labels on device using gin (labels jsonb_path_ops);
create or replace trigger device_in_directory_order
before insert or update of label, kind, groups, labels, certificate_sha256, revoked_at on device
for each row execute function place_in_directory();

-- Where the task runs; empty: everywhere; null, in rows from before: as the settings say.
alter table task add column regions text[];
alter table task add column priority smallint not null default 5;
-- Not before this time.
alter table task add column start_at timestamptz;
-- When it joined the queue; null in rows from before: when it was created.
alter table task add column queued_at timestamptz;
-- By its stop condition of time; set when it begins to run.
alter table task add column stop_at timestamptz;
create index task_stopping on task (stop_at) where state = 'running' and stop_at is not null;
create index task_queue on task (priority desc, queued_at, id) where state = 'queued';

-- Whether an abandoned attempt uses up one of those that the task allows.
alter table round_attempt add column counted boolean not null default true;
-- Abandoned, with participation lists that are not taken in yet.
alter table round_attempt add column participation_due boolean not null default false;
create index round_attempt_participation_due on round_attempt (task, round, attempt) where participation_due;
