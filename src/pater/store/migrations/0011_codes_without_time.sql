-- The order of `_lastUpdated` is no longer asked of the codes, so the time of a row is read by
-- nothing. Dropping a column rewrites no row.
alter table code_index drop column updated;
