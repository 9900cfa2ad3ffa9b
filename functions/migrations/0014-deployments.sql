-- Releases of a version to devices: stage by stage, with how each device fares.

create table deployment (
  id uuid primary key,
  model uuid not null references model,
  version uuid not null references model_version,
  state text not null check (state in ('rolling-out', 'paused', 'released', 'rolled-back', 'superseded')),
  reason jsonb,
  -- Grows with every change that devices hear of; reports about an earlier one do not count.
  revision integer not null default 1,
  target jsonb not null,
  -- Of the target; empty: all.
  regions text[] not null,
  stages jsonb not null,
  stage integer not null default 0,
  share double precision not null,
  -- When the stage has lasted long enough; null while it does not run.
  stage_due_at timestamptz,
  -- Of a paused stage: what is left of it, s.
  stage_left double precision,
  -- When somebody must look whether it goes on or back; null: not before a report says so.
  look_at timestamptz,
  health jsonb not null,
  automatic_roll_back boolean not null,
  previous uuid references deployment,
  superseded_by uuid references deployment,
  -- First released; null: never.
  released_at timestamptz,
  created_at timestamptz not null default now(),
  created_by text not null,
  changed_at timestamptz not null default now()
);
create index deployment_by_model on deployment (model, id);
create index deployment_by_version on deployment (version, id);
create index deployment_by_state on deployment (state, id);
create index deployment_live on deployment (id) where state in ('rolling-out', 'paused', 'released');
create index deployment_look on deployment (look_at) where look_at is not null;
create index deployment_superseded_by on deployment (superseded_by) where superseded_by is not null;

create table deployment_change (
  id bigint generated always as identity primary key,
  deployment uuid not null references deployment,
  action text not null,
  stage integer not null,
  share double precision not null,
  revision integer not null,
  reason jsonb,
  changed_at timestamptz not null default now(),
  changed_by text not null
);
create index deployment_change_by_deployment on deployment_change (deployment, id);

-- The last word of each device on each deployment.
create table deployment_device (
  deployment uuid not null references deployment,
  device uuid not null references device,
  region text not null,
  state text not null check (state in ('pulling', 'serving', 'unhealthy', 'rolled-back')),
  revision integer not null,
  detail text,
  reported_at timestamptz not null default now(),
  primary key (deployment, device)
);
create index deployment_device_by_state on deployment_device (deployment, state, device);
create index deployment_device_counts on deployment_device (deployment, region, state, revision);
