-- API keys, the audit trail by what people ask of it, and signs of life of what runs in the background.

-- A key is 260 random bits, so its plain sha256 tells nothing about it.
create table api_key (
  id uuid primary key,
  name text not null,
  key_sha256 bytea not null unique,
  hint text not null,
  role text not null check (role in ('viewer', 'operator', 'admin')),
  -- Null: whatever the role allows.
  scopes text[],
  expires_at timestamptz,
  -- To the minute.
  last_used_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz not null default now(),
  created_by text not null
);

-- Each builds in seconds over a million entries.
create index audit_entry_by_actor on audit_entry (actor, sequence);
create index audit_entry_by_action on audit_entry (action, sequence);
create index audit_entry_by_subject on audit_entry (subject, sequence);
create index audit_entry_by_time on audit_entry (time, sequence);

-- When the relay last reached the broker, and when the sweep last came to its end.
create table heartbeat (
  name text primary key,
  beat_at timestamptz not null
);
