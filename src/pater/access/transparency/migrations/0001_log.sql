-- The log walks the journal in the order of its numbers. Rows are appended in nearly that order, so
-- a summary of each 32 pages is enough, and an insert pays nothing for it: ranges are summarised
-- behind it.
create index journal_order on journal using brin (seq)
    with (pages_per_range = 32, autosummarize = on);

-- The tree: 256 hashes of one level (0: leaves; 1: roots of 256 of them; …) a row, the last of each
-- level growing.
create table audit_tile (
    level  smallint not null,
    number bigint not null,
    hashes bytea not null,
    primary key (level, number)
);
-- Hashes cannot be compressed.
alter table audit_tile alter column hashes set storage external;

-- Which entries the leaves of a tile are, their times, and the salt without which a hash would tell
-- who can guess the entry.
create table audit_leaf (
    number bigint primary key,
    first  bigint not null,
    salt   bytea not null,
    seqs   bigint[] not null,
    times  bigint[] not null  -- microseconds since 1970
);
-- From an entry to its leaf.
create index audit_leaf_first on audit_leaf (first);

-- Signed heads, at least one a minute. What counts is the statement; the columns find it.
create table audit_head (
    number    bigint primary key,
    size      bigint not null,
    at        timestamptz not null,
    statement text not null,
    signature bytea not null,
    stamp     bytea
);
-- The head of a size, and the last one before a time.
create index audit_head_size on audit_head (size, number);
create index audit_head_at on audit_head (at);
-- The newest that was time-stamped.
create index audit_head_stamped on audit_head (number) where stamp is not null;
