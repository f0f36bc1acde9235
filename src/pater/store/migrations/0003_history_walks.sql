-- Histories of a type and of the whole system, newest first. Creates pay nothing for them: the
-- current versions are walked by `resource_updated`, a person's own by `resource_person`.

-- The deletions among the current versions, which those two leave out.
create index resource_deleted on resource (type, updated, rid) where deleted;
create index resource_deleted_person on resource (person, type) where deleted;
-- Superseded versions of a type, newest first, with a unique tie-breaker for keyset paging.
create index history_updated on history (type, updated, rid);
-- Superseded versions of one person's record.
create index history_person on history (person, type);
