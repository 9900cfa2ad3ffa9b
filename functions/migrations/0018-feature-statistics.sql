-- Number of means and variances of a version that holds feature statistics; null: it is a model.
alter table model_version add column statistics integer;

-- The statistics by which a task has data sets normalised.
alter table task add column statistics uuid references model_version;
create index task_by_statistics on task (statistics) where statistics is not null;
