-- A name is one node's of its region at a time; a revoked one gives it free for the next, as devices do with their labels.
alter table regional_node drop constraint regional_node_region_name_key;
create unique index regional_node_name_current on regional_node (region, name) where revoked_at is null;
