-- What owners of devices let out about data sets beside name and counts: small and rarely written, so apart from `device_presence`.
create table device_datasets (
  device uuid primary key references device,
  digest text not null,
  datasets jsonb not null,
  described_at timestamptz not null default now()
);

-- An owner's policy that does not allow a deployment says nothing about the version. Here the table is locked, so it is 0022 that looks at
-- the rows that are there.
alter table deployment_device drop constraint deployment_device_state_check;
alter table deployment_device add constraint deployment_device_state_check
  check (state in ('pulling', 'serving', 'unhealthy', 'rolled-back', 'refused')) not valid;
