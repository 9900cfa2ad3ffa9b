-- What nodes logged goes by the time of its arrival: their clocks may be wrong.
alter table log_entry add column received_at timestamptz not null default now();
create index log_entry_by_age on log_entry (received_at);
create index parked_message_by_age on parked_message (parked_at);
