-- valid: a person of the register; merged: leads to another one (see alias); cancelled: registered
-- by mistake. The number is never used again.
alter table person add column state text not null default 'valid'
    check (state in ('valid', 'merged', 'cancelled'));

-- What each source last said of a person under its own number. `source` is an organisation's IČO
-- or the name of a basic register; `body` the Patient as it said it, JSON packed with zstd.
create table source_record (
    source      text collate "C" not null,
    system      text collate "C" not null,
    value       text collate "C" not null,
    person      bigint      not null,
    name        text        not null,     -- of the source, for people
    reference   boolean     not null,     -- a basic register: others do not overrule it
    received    timestamptz not null,
    valid_from  timestamptz,              -- as the source says; null = since it told us
    valid_to    timestamptz,
    disputed    text[]      not null default '{}', -- attributes that are said to be wrong
    body        bytea       not null,
    primary key (source, system, value)
);
-- the sources of a person, side by side
create index source_record_person on source_record (person);
-- What a source said before, so that it can be told what was known at a time.
create table source_past (
    source     text collate "C" not null,
    system     text collate "C" not null,
    value      text collate "C" not null,
    person     bigint      not null,
    name       text        not null,
    reference  boolean     not null,
    received   timestamptz not null,
    superseded timestamptz not null,
    valid_from timestamptz,
    valid_to   timestamptz,
    disputed   text[]      not null,
    body       bytea       not null,
    primary key (source, system, value, received)
);
create index source_past_person on source_past (person);

-- What registrars did: merges, links (one person, but records stay apart until that is sure),
-- splits, cancellations. `survivor` and `merged` are Patient ids; of a split, `merged` is the new
-- one. A row is never deleted; undone ones keep when and by whom.
create table merge (
    id        uuid primary key,
    kind      text        not null check (kind in ('merge', 'link', 'split', 'cancel')),
    survivor  text collate "C" not null,
    merged    text collate "C" not null,
    person    bigint      not null,        -- of the survivor then
    former    bigint      not null,        -- of the merged one then
    reason    text        not null,
    by        text        not null,
    by_name   text        not null,
    at        timestamptz not null,
    seq       bigint generated always as identity,
    heads     jsonb       not null,        -- versions of the two Patients: before and after
    settled   boolean     not null,        -- what was being written meanwhile has followed
    undone    timestamptz,
    undone_by text        not null default ''
);
-- what was done with a Patient, in order
create index merge_survivor on merge (survivor, seq);
create index merge_merged on merge (merged, seq);
-- what has still to follow
create index merge_unsettled on merge (seq) where not settled;

-- What a merge or a split moved: a resource (place 'resource', key 'Type/id', versions before and
-- after, superseded versions that went along), a claim, a row of a plain table.
create table merge_row (
    merge  uuid   not null,
    place  text   not null,
    key    text   not null,
    n      int    not null default 1,
    before int,
    after  int,
    past   int[]
);
create index merge_row_key on merge_row (merge, key);

-- An attribute of a person that is said to be wrong, and what a registrar decided.
create table dispute (
    id        uuid primary key,
    person    bigint      not null,
    attribute text        not null,
    said      text        not null,        -- the value as it stood, for the registrar
    text      text        not null,        -- why it is wrong, in the words of who says so
    by_kind   text        not null,        -- patient, provider
    by        text        not null,
    by_name   text        not null,
    organization text     not null,
    created   timestamptz not null,
    version   int         not null default 1,
    state     text        not null default 'open' check (state in ('open', 'corrected', 'kept')),
    answer    text        not null default '',
    decided   timestamptz,
    decider   text        not null default ''
);
-- what waits for a registrar, oldest first
create index dispute_open on dispute (created, id) where state = 'open';
-- a person's own
create index dispute_person on dispute (person, created desc);
