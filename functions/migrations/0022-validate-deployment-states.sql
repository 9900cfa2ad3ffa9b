-- In a transaction of its own: it reads the whole table, and meanwhile devices report on.
alter table deployment_device validate constraint deployment_device_state_check;
