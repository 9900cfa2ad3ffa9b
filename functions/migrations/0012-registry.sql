-- The registry: aliases with history, uploads in parts, checks outside the request, tombstones, retention, work on large versions.

-- What a change set, and the change that rolling back goes to. A deletion has no version.
create table model_alias_change (
  id bigint generated always as identity primary key,
  model uuid not null references model,
  alias text not null,
  action text not null check (action in ('promoted', 'rolled-back', 'deleted')),
  version uuid references model_version,
  before bigint references model_alias_change,
  changed_at timestamptz not null default now(),
  changed_by text not null
);
create index model_alias_change_by_alias on model_alias_change (model, alias, id);

-- The current version of each name. `change` says how it came to it.
create table model_alias (
  model uuid not null references model,
  alias text not null,
  version uuid not null references model_version,
  change bigint not null references model_alias_change,
  primary key (model, alias)
);
create index model_alias_by_version on model_alias (version);

-- Both null: versions stay until somebody deletes them.
alter table model add column retention_keep_last integer check (retention_keep_last >= 1);
alter table model add column retention_keep_days integer check (retention_keep_days >= 0);
alter table model add constraint model_retention_whole
  check ((retention_keep_last is null) = (retention_keep_days is null));

alter table model_version drop constraint model_version_state_check;
alter table model_version add constraint model_version_state_check
  check (state in ('uploading', 'checking', 'ready', 'refused', 'deleted')) not valid;
alter table model_version validate constraint model_version_state_check;
alter table model_version add column notes text not null default '';
-- Why a check refused it: { code, detail }.
alter table model_version add column refusal jsonb;
alter table model_version add column deleted_at timestamptz;
-- Set once nothing of a deleted version is in storage any more.
alter table model_version add column objects_removed_at timestamptz;
-- The manifest is written by the check, from the header of the weights: { loss, labelKind }; null where it is uploaded.
alter table model_version add column manifest_defaults jsonb;

create index model_version_by_state on model_version (model, state, number);
create index model_version_by_task on model_version (task, number) where task is not null;
create index model_version_by_parent on model_version (parent) where parent is not null;
create index model_version_tombstones on model_version (deleted_at) where state = 'deleted' and objects_removed_at is null;
create index model_version_by_graph on model_version (graph_key) where graph_key is not null;
create index model_version_by_manifest on model_version (manifest_key);

-- A file that is uploaded in parts. All parts but the last have `part_bytes` bytes.
create table version_upload (
  version uuid not null references model_version on delete cascade,
  file text not null check (file in ('weights')),
  upload text not null,
  part_bytes bigint not null,
  part_sha256 text[] not null,
  primary key (version, file)
);

-- Work on versions that does not fit into a request. One row for each thing that can be asked, so that asking again starts nothing twice.
create table version_job (
  id uuid primary key,
  kind text not null check (kind in ('check', 'export', 'compare')),
  version uuid not null references model_version on delete cascade,
  other uuid references model_version on delete cascade,
  state text not null check (state in ('waiting', 'done', 'failed')),
  -- Last sign of life of the run; null before the first.
  beat_at timestamptz,
  runs integer not null default 0,
  result jsonb,
  refusal jsonb,
  created_at timestamptz not null default now(),
  unique nulls not distinct (kind, version, other)
);
create index version_job_waiting on version_job (created_at) where state = 'waiting';
create index version_job_by_other on version_job (other) where other is not null;
create index version_job_by_age on version_job (created_at);

-- References to a version are looked for before it is deleted.
create index task_by_start_version on task (start_version);
create index task_by_current_version on task (current_version);
create index round_attempt_by_base on round_attempt (base_version) where state in ('open', 'collecting', 'closing');
create index evaluation_by_version on evaluation (version, id);

-- Sums and participation lists of an attempt go some time after it is settled.
alter table round_attempt add column objects_removed_at timestamptz;
create index round_attempt_objects_due on round_attempt (settled_at) where settled_at is not null and objects_removed_at is null;
