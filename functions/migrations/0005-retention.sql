-- What is removed by age is found by age.
create index idempotency_by_age on idempotency (created_at);
create index inbox_by_age on inbox (received_at);
create index outbox_by_age on outbox (sent_at) where sent_at is not null;
