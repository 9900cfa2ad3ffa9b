-- What few devices have is found by its index only where the planner knows that few have it: the usual sample of 30 000 rows often meets
-- none of them, and then a list of devices is walked in the order of labels.
alter table device alter column groups set statistics 1000;
alter table device_presence alter column frameworks set statistics 1000;
alter table device_presence alter column dataset_names set statistics 1000;
