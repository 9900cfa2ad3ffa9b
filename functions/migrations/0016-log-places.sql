-- Logs of one region or node are walked by index, as those of a task or device are. Each builds in seconds over a million rows.
create index log_entry_by_region on log_entry (region, id);
create index log_entry_by_node on log_entry (node, id);
