-- The list of devices is paged by label and id.
create index device_by_label on device (label, id);
