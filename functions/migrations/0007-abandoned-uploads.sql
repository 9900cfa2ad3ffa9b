-- Versions that nobody finalised are found by age; there are few at a time.
create index model_version_uploading on model_version (created_at) where state = 'uploading';
