-- The order of a search that asks for none is that of the rows' numbers, newest first: an update
-- leaves a resource at its place, so nobody who turns pages meanwhile misses it or gets it twice.

-- The walk of a whole type in that order.
create index resource_walk on resource (type, rid) where not deleted;
-- A code over everybody in that order; that of `_lastUpdated` served only as the default.
drop index code_index_updated;
create index code_index_walk on code_index (token, rid) include (person);
