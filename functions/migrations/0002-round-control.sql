-- What round control needs beside the tables: the shard of a device, empty updates of a shard, messages nobody can use.

-- sha256(device id) as a big-endian number, modulo the shard count, 32 bits at a time: the remainder stays below 2^45.
create function shard_of(hash bytea, shard_count integer) returns integer
language plpgsql immutable strict parallel safe as $$
declare
  remainder bigint := 0;
begin
  if shard_count = 1 then return 0; end if;
  for word in 0 .. 7 loop
    remainder := ((remainder << 32) + ('x' || encode(substr(hash, word * 4 + 1, 4), 'hex'))::bit(32)::bigint) % shard_count;
  end loop;
  return remainder::integer;
end $$;

-- Devices that reported without examples; null where the node does not say.
alter table attempt_shard add column empty integer;

-- Deliveries that no consumer can use. Thrown back they would block the queue, so they are kept here with the reason.
create table parked_message (
  id bigint generated always as identity primary key,
  consumer text not null,
  message_id text,
  reason text not null,
  body text not null,
  parked_at timestamptz not null default now()
);
