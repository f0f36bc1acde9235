-- What the register compares persons by, one row a person who can be found (see registers/matching).
-- `keys` are hashes of what two records of one person are likely to share; `features` is packed.
create table person_index (
    person   bigint primary key,
    keys     bigint[] not null,
    features bytea not null
);
-- Features are read by the hundred and never searched: as they are, beside their row.
alter table person_index alter column features set storage main;

-- Which persons share a key with the one who is asked about. Every lookup goes by it.
create index person_index_keys on person_index using gin (keys) with (fastupdate = off);

-- By which rule the rows above were made; a job makes them anew when the rule has changed.
create table person_index_made (
    one  boolean primary key default true check (one),
    rule text not null
);

-- The review queue: a person of whom the register cannot tell whether they are another one.
-- `version` grows with everything that happens to the case, so that two registrars cannot both
-- decide it. A postponed case waits until `until`. `merge` is what a decision led to.
create table match_case (
    id         bigint generated always as identity primary key,
    person     bigint not null,
    state      text not null check (state in ('open', 'decided')),
    version    int not null default 1,
    reason     text not null,
    source     text not null,
    weight     real not null,
    made       timestamptz not null,
    until      timestamptz,
    taken_by   text not null default '',
    taken      timestamptz,
    decision   text not null default '' check (decision in ('', 'match', 'new')),
    other      bigint not null default 0,
    note       text not null default '',
    decided_by text not null default '',
    decided    timestamptz,
    merge      text not null default ''
);
-- Nobody is asked twice about one person at a time.
create unique index match_case_open on match_case (person) where state = 'open';
-- The queue: the likeliest first.
create index match_case_queue on match_case (weight desc, id) where state = 'open';
-- What was decided, newest first, to be looked at again and undone.
create index match_case_decided on match_case (decided desc, id desc) where state = 'decided';
-- The cases of a person.
create index match_case_person on match_case (person, id desc);

-- With whom a person of a case is compared, the likeliest first, and why.
create table match_candidate (
    case_id     bigint not null,
    place       smallint not null,
    person      bigint not null,
    weight      real not null,
    probability real not null,
    parts       jsonb not null,
    primary key (case_id, place)
);
-- In which cases somebody is a candidate.
create index match_candidate_person on match_candidate (person);
