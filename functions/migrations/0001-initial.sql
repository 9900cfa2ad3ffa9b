-- The truth of the control plane. Ids are UUID version 7 minted by the caller, so that keyset pagination by id is by time.

create table region (
  region text primary key,
  name text not null,
  shard_count integer not null check (shard_count between 1 and 4096),
  created_at timestamptz not null default now()
);

create table regional_node (
  id uuid primary key,
  region text not null references region,
  name text not null,
  certificate_sha256 text not null,
  certificate_expires_at timestamptz not null,
  endpoint text,
  version text,
  boot uuid,
  last_seen_at timestamptz,
  load jsonb,
  revoked_at timestamptz,
  created_at timestamptz not null default now(),
  unique (region, name)
);

-- One row a shard. `epoch` only grows; a lease is dead once `lease_expires_at` has passed, by the database's clock.
create table region_shard (
  region text not null references region,
  shard integer not null,
  node uuid references regional_node,
  epoch integer not null default 0,
  lease_expires_at timestamptz,
  log_key bytea,
  devices_online integer not null default 0,
  evaluators_online integer not null default 0,
  primary key (region, shard)
);

create sequence device_directory_sequence;

create table device (
  id uuid primary key,
  region text not null references region,
  shard_hash bytea not null,                -- sha256(id); its shard is this number modulo the region's shard count
  label text not null,
  kind text not null check (kind in ('trainer', 'evaluator')),
  groups text[] not null default '{}',
  certificate_sha256 text not null,
  certificate_expires_at timestamptz not null,
  revoked_at timestamptz,
  sequence bigint not null default nextval('device_directory_sequence'),
  created_at timestamptz not null default now()
);
create index device_by_region_sequence on device (region, sequence);
-- A label names one device at a time; a revoked one gives it free for the next enrolment.
create unique index device_label_current on device (label) where revoked_at is null;

create table model (
  id uuid primary key,
  name text not null unique,
  description text not null default '',
  created_at timestamptz not null default now(),
  created_by text not null
);

create table task (
  id uuid primary key,
  name text not null,
  state text not null check (state in ('draft', 'queued', 'running', 'paused', 'completed', 'failed', 'cancelled')),
  reason jsonb,
  model uuid not null references model,
  start_version uuid not null,
  current_version uuid not null,
  rounds_wanted integer not null,
  rounds_committed integer not null default 0,
  -- CreateTask as validated, defaults filled in.
  settings jsonb not null,
  seed text not null,
  -- When the wait for enough devices began; null while an attempt is live or the task rests.
  waiting_since timestamptz,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz,
  created_by text not null
);
create index task_live on task (id) where state in ('queued', 'running');

create table model_version (
  id uuid primary key,
  model uuid not null references model,
  number integer not null,
  state text not null check (state in ('uploading', 'ready')),
  parent uuid references model_version,
  task uuid references task,
  round integer,
  attempt integer,
  weights_key text not null,
  weights_sha256 text not null,
  weights_bytes bigint not null,
  manifest_key text not null,
  manifest_sha256 text not null,
  manifest_bytes bigint not null,
  graph_key text,
  graph_sha256 text,
  graph_bytes bigint,
  created_at timestamptz not null default now(),
  created_by text not null,
  unique (model, number),
  unique (task, parent)
);
alter table task add foreign key (start_version) references model_version;
alter table task add foreign key (current_version) references model_version;

-- An ONNX file with its weights, made on demand from an immutable version.
create table model_export (
  version uuid not null references model_version,
  format text not null,
  object_key text not null,
  sha256 text not null,
  bytes bigint not null,
  primary key (version, format)
);

create table round_attempt (
  task uuid not null references task,
  round integer not null,
  attempt integer not null,
  state text not null check (state in ('open', 'collecting', 'closing', 'committed', 'abandoned')),
  reason jsonb,
  base_version uuid not null references model_version,
  version uuid references model_version,
  goal integer not null,
  selected integer not null,
  -- The RoundDescriptor without its shards.
  descriptor jsonb not null,
  opened_at timestamptz not null default now(),
  deadline timestamptz not null,
  merge_started_at timestamptz,
  settled_at timestamptz,
  primary key (task, round, attempt)
);
-- At most one attempt of a task is live.
create unique index round_attempt_live on round_attempt (task) where state in ('open', 'collecting', 'closing');

create table attempt_shard (
  task uuid not null,
  round integer not null,
  attempt integer not null,
  region text not null,
  shard integer not null,
  epoch integer not null,
  state text not null check (state in ('open', 'collecting', 'summed', 'failed')),
  goal integer not null,
  to_select integer not null,
  selected integer not null default 0,
  accepted integer not null default 0,
  refused integer not null default 0,
  object_key text,
  sha256 text,
  bytes bigint,
  participation_key text,
  participation_sha256 text,
  participation_bytes bigint,
  weight numeric(20) not null default 0,
  metrics jsonb not null default '{}',
  reason jsonb,
  primary key (task, round, attempt, region, shard),
  foreign key (task, round, attempt) references round_attempt,
  foreign key (region, shard) references region_shard
);

create table participation (
  task uuid not null,
  round integer not null,
  attempt integer not null,
  device uuid not null,
  region text not null,
  label text not null,
  verdict text not null,
  code text,
  detail text,
  examples bigint,
  weight bigint,
  bytes bigint,
  seconds double precision,
  metrics jsonb not null default '{}',
  primary key (task, round, attempt, device),
  foreign key (task, round, attempt) references round_attempt
);

create table evaluation (
  id uuid primary key,
  version uuid not null references model_version,
  task uuid not null references task,
  round integer not null,
  state text not null check (state in ('open', 'closed')),
  -- The EvaluationDescriptor without its shards.
  descriptor jsonb not null,
  metrics jsonb not null default '{}',
  opened_at timestamptz not null default now(),
  deadline timestamptz not null,
  closed_at timestamptz,
  unique (version, task)
);
create index evaluation_open on evaluation (id) where state = 'open';

create table evaluation_shard (
  evaluation uuid not null references evaluation,
  region text not null,
  shard integer not null,
  epoch integer not null,
  state text not null check (state in ('open', 'summed')),
  evaluators integer not null default 0,
  metrics jsonb not null default '{}',
  primary key (evaluation, region, shard)
);

create table log_entry (
  id bigint generated always as identity primary key,
  time timestamptz not null,
  level text not null,
  region text not null,
  node uuid not null,
  task uuid,
  round integer,
  attempt integer,
  shard integer,
  device uuid,
  code text,
  message text not null,
  fields jsonb not null default '{}'
);
create index log_entry_by_task on log_entry (task, id);

-- Hash chain: hash = sha256(previous_hash || canonical JSON of the row).
create table audit_entry (
  sequence bigint primary key,
  time timestamptz not null default now(),
  actor text not null,
  action text not null,
  subject text not null,
  detail jsonb not null,
  previous_hash bytea not null,
  hash bytea not null
);

create table outbox (
  id bigint generated always as identity primary key,
  message_id uuid not null unique,
  exchange text not null,
  routing_key text not null,
  body jsonb not null,
  created_at timestamptz not null default now(),
  sent_at timestamptz
);
create index outbox_unsent on outbox (id) where sent_at is null;

create table inbox (
  consumer text not null,
  message_id uuid not null,
  received_at timestamptz not null default now(),
  primary key (consumer, message_id)
);

create table idempotency (
  key text not null,
  principal text not null,
  route text not null,
  request_sha256 text not null,
  status integer,
  answer jsonb,
  created_at timestamptz not null default now(),
  primary key (principal, key)
);
