-- What people ask about tasks: when things happened in a round, who took part in numbers, logs by device and trouble.

alter table round_attempt add column closed_at timestamptz;
alter table attempt_shard add column first_accepted_at timestamptz;
alter table attempt_shard add column reported_at timestamptz;

-- Lists of tasks by what they are; ids are by time.
create index task_by_model on task (model, id);
create index task_by_creator on task (created_by, id);
create index task_by_state on task (state, id);
-- Beginnings of names are ranges in the order of bytes only.
create index task_by_name on task (lower(name) collate "C");
create index evaluation_by_task on evaluation (task, round);

-- Participation in numbers, so that nobody counts a million rows to draw a round.
create table participation_count (
  task uuid not null,
  round integer not null,
  attempt integer not null,
  region text not null,
  verdict text not null,
  devices bigint not null,
  examples numeric not null,
  bytes numeric not null,
  seconds double precision not null,
  primary key (task, round, attempt, region, verdict)
);

-- Counts rows as they come in, whoever writes them; those that were there already come in no second time.
create function count_participation() returns trigger language plpgsql as $$
begin
  -- In one order, so that two that take in the same list do not wait for one another.
  insert into participation_count as c (task, round, attempt, region, verdict, devices, examples, bytes, seconds)
  select task, round, attempt, region, verdict, count(*), coalesce(sum(examples), 0), coalesce(sum(bytes), 0),
    coalesce(sum(seconds), 0)
  from added group by task, round, attempt, region, verdict order by task, round, attempt, region, verdict
  on conflict (task, round, attempt, region, verdict) do update set devices = c.devices + excluded.devices,
    examples = c.examples + excluded.examples, bytes = c.bytes + excluded.bytes, seconds = c.seconds + excluded.seconds;
  return null;
end $$;

create trigger participation_counted after insert on participation
referencing new table as added for each statement execute function count_participation();

insert into participation_count (task, round, attempt, region, verdict, devices, examples, bytes, seconds)
select task, round, attempt, region, verdict, count(*), coalesce(sum(examples), 0), coalesce(sum(bytes), 0),
  coalesce(sum(seconds), 0)
from participation group by task, round, attempt, region, verdict;

-- The few that are looked for among the many.
create index participation_not_accepted on participation (task, round, attempt, device) where verdict <> 'accepted';
create index participation_by_code on participation (task, code, round, attempt, device) where code is not null;

create index log_entry_by_device on log_entry (device, id) where device is not null;
create index log_entry_trouble_of_task on log_entry (task, id) where level in ('warn', 'error');
create index log_entry_trouble on log_entry (id) where level in ('warn', 'error');

-- Whoever follows a log asks for what is behind the last number that it saw. Numbers must become visible in their order, or
-- an entry that commits late would never be seen: so batches take turns, each for the milliseconds of its insert.
create function log_in_order() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock(7227004);
  return null;
end $$;

create trigger log_entry_in_order before insert on log_entry for each statement execute function log_in_order();
