-- Which rows a run over a file of persons has seen, by hashes of what they name somebody by: a
-- number that stands in two rows is noticed, however long the file. Gone when the run has ended.
create table person_file_seen (
    run    uuid not null,
    key    bytea not null,
    line   int not null,
    digest bytea not null,  -- of what the row says
    primary key (run, key)
);

-- Rows of files of persons that could not be taken, until somebody looks.
create table person_file_refused (
    id      uuid primary key,
    source  text collate "C" not null,  -- IČO of whose file it was
    system  text collate "C" not null,  -- of the numbers in it
    number  text collate "C" not null,  -- '' = it could not be read
    digest  bytea not null,             -- of the row and what it means
    at      timestamptz not null,
    file    text not null,
    line    int not null,
    place   text not null,              -- the column, '' = the row
    reason  text not null,
    twice   boolean not null,           -- its number stands in another row that says otherwise
    tries   int not null,
    layout  jsonb not null,             -- how the row is read
    body    bytea not null              -- zstd
);
-- a row that comes again and again is kept once
create unique index person_file_refused_row on person_file_refused (source, system, digest);
-- what is taken at last waits no longer
create index person_file_refused_number on person_file_refused (source, system, number);
-- the oldest first
create index person_file_refused_at on person_file_refused (at, id);
