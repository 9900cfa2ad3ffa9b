-- Nodes read the directory from a sequence number on. Numbers must become visible in their order, or a node that has read
-- past a number would never see the device that commits with it later: so changes of devices take turns.
create function place_in_directory() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock(7227002);
  new.sequence := nextval('device_directory_sequence');
  return new;
end $$;

create trigger device_in_directory_order
before insert or update of label, kind, groups, certificate_sha256, revoked_at on device
for each row execute function place_in_directory();
