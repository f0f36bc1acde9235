-- Search parameters beyond R4, and the re-indexing that makes them searchable.

-- Those in force: one row a SearchParameter resource. `version` = the set it came with.
create table search_parameter (
    id         text collate "C" primary key,
    definition text not null,
    version    bigint not null
);
-- The one number by which every process sees that it has an old set.
create table search_parameter_set (
    only_one boolean primary key default true check (only_one),
    version  bigint not null,
    format   int not null
);
insert into search_parameter_set (version, format) values (0, 0);

-- How far each type is: complete up to a set, being walked for the next.
create table reindex (
    type     smallint primary key,
    complete bigint not null default 0,
    wanted   bigint not null,
    asked    timestamptz not null default now(),
    -- where the walk by (updated, rid) stands, and where it ends
    updated  timestamptz,
    rid      bigint,
    until    timestamptz,
    done     bigint not null default 0,
    total    bigint not null default 0
);
