-- Imports of the registers' files, what is disputed, and what of professionals nobody sees.

create table directory_run (
    run      bigint generated always as identity primary key,
    source   text not null,                -- providers, professionals
    file     text not null,
    day      date not null,                -- as of when its rows were judged
    part     boolean not null,             -- some rows only: nothing is ended
    state    text not null,                -- looking, stopped, applying, ending, done, dry, broken
    started  timestamptz not null,
    finished timestamptz,
    report   jsonb not null
);
-- The newest runs of a source.
create index directory_run_source on directory_run (source, run desc);

-- What the imports of a source wrote, and which content it had: only what differs is written again.
create table directory_entry (
    source text collate "C" not null,
    type   text collate "C" not null,
    id     text collate "C" not null,
    digest bytea not null,                 -- '' = ended
    owner  text collate "C" not null,      -- key of the row that brought it
    primary key (source, type, id)
);

-- What the file of a run has, by the row that brought it first. A row that cannot be used stands
-- here by its key alone (type ''): what it brought before is not ended.
create table directory_seen (
    run    bigint not null,
    type   text collate "C" not null,
    id     text collate "C" not null,
    line   int not null,
    digest bytea not null,
    primary key (run, type, id)
);

-- What a run has still to write, in the order of types and then of the file.
create table directory_change (
    run  bigint not null,
    rank smallint not null,
    n    bigint generated always as identity,
    type text collate "C" not null,
    id   text collate "C" not null,
    digest bytea not null,
    owner text collate "C" not null,
    body bytea not null,
    primary key (run, rank, n)
);

-- Birth dates of professionals, to find one by name and birth date; shown to nobody.
create table directory_born (
    practitioner text collate "C" primary key,
    born         date not null
);
create index directory_born_day on directory_born (born);

create table directory_dispute (
    id           uuid primary key,
    type         text collate "C" not null,
    target       text collate "C" not null,
    element      text not null,            -- which datum, as the one who disputes names it
    claim        text not null,            -- what it should say, and why
    organization text not null,            -- IČO of who disputes
    who          text not null,            -- account or client
    at           timestamptz not null,
    state        text not null,            -- open, accepted, refused
    answer       text not null,
    decided      timestamptz,
    decided_by   text not null
);
-- Those about one resource, and the open ones in order.
create index directory_dispute_target on directory_dispute (type, target);
create index directory_dispute_open on directory_dispute (at, id) where state = 'open';
