-- What a task keeps on its devices: the manifest that its rounds go by instead of the version's own ({ objectKey, sha256, bytes }), and
-- what its patterns were found to mean. Null: the version's own.
alter table task add column manifest jsonb, add column kept_local jsonb;

-- What devices are asked to fit a deployed version to, on their own data; null: nothing.
alter table deployment add column personalise jsonb;
-- How that came out on a device, as it says; null where it was not asked or has not said.
alter table deployment_device add column personalised jsonb;
