-- Codes of everybody's resources in the order of time. The GIN index finds the resources that have
-- a code, but in no order, and each has to be visited to be counted: a page of the newest, a total
-- or a join by person over a common code costs as much as there are of them.

-- One row for each system|code of the parameter by which a type is classified (see codes.py).
create table code_index (
    person  bigint not null,
    rid     bigint not null,
    token   bigint not null,
    -- as in `resource`
    date    timestamptz,
    updated timestamptz not null
);
-- The newest by their main date; a total and a join by person without the table itself.
create index code_index_date on code_index (token, date desc, rid) include (person);
-- The same in the default order of a search, `_lastUpdated`.
create index code_index_updated on code_index (token, updated, rid) include (person);
-- Replacing the rows of an updated resource.
create index code_index_rid on code_index (rid);

-- Rows written before, or by a way that does not fill the table: while a type has one, its searches
-- do not use it.
alter table resource add column coded boolean not null default false;
create index resource_uncoded on resource (type) where not coded and not deleted;
