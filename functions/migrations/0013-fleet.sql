-- Enrolment by code, certificates that overlap while they are renewed, labels, presence, and a shard count that waits for its time.

alter table region add column pending_shard_count integer check (pending_shard_count between 1 and 4096);

-- Names and addresses of a node's server certificate, as it was registered; null for nodes from before.
alter table regional_node add column hostnames text[];
-- The certificate before the current one is good until the current one is used or its own time is over.
alter table regional_node add column previous_certificate_sha256 text;
alter table device add column previous_certificate_sha256 text;
alter table device add column if not exists labels jsonb not null default '{}';

-- Everything of a device that nodes know moves it to the end of the directory.
create or replace trigger device_in_directory_order
before insert or update of label, kind, groups, labels, certificate_sha256, previous_certificate_sha256, revoked_at on device
for each row execute function place_in_directory();

-- Lists of devices by what they are. Each builds in a fraction of a second over 100 000 devices.
-- Beginnings of labels are ranges in the order of bytes only.
create index device_by_label_bytes on device (label collate "C");
create index device_by_group on device using gin (groups);
create index if not exists device_by_labels on device using gin (labels jsonb_path_ops);

-- What devices said of themselves at their last check-in; rewritten often, so apart from `device`. Whether one is online is
-- derived: as long as the node that said so holds the shard in that epoch and has not started anew.
create table device_presence (
  device uuid primary key references device,
  node uuid not null references regional_node,
  boot uuid not null,
  region text not null,
  shard integer not null,
  epoch integer not null,
  online boolean not null,
  seen_at timestamptz not null,
  agent_version text not null,
  frameworks text[] not null,
  dataset_names text[] not null,
  datasets jsonb not null,
  conditions text[] not null
) with (fillfactor = 70);
create index device_presence_online on device_presence (device) where online;
create index device_presence_by_framework on device_presence using gin (frameworks);
create index device_presence_by_dataset on device_presence using gin (dataset_names);

-- A code is 110 random bits, so its plain sha256 tells nothing about it.
create table enrolment_code (
  id uuid primary key,
  code_sha256 bytea not null unique,
  hint text not null,
  region text not null references region,
  kind text not null check (kind in ('trainer', 'evaluator')),
  groups text[] not null,
  labels jsonb not null,
  label_prefix text,
  uses integer not null check (uses > 0),
  uses_left integer not null check (uses_left between 0 and uses),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  created_at timestamptz not null default now(),
  created_by text not null
);

-- Who enrolled with a code. The same key again is the same device.
create table enrolment (
  code uuid not null references enrolment_code,
  key_sha256 bytea not null,
  device uuid not null references device,
  enrolled_at timestamptz not null default now(),
  primary key (code, key_sha256)
);
create unique index enrolment_by_code_device on enrolment (code, device);
create index enrolment_by_device on enrolment (device);

-- The history of a device. Builds in seconds over a million rows; merges wait for it that long.
create index participation_by_device on participation (device, task, round, attempt);
