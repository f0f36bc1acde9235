-- The kernel: current resources, their history and search index, claims, journal and feed.
-- Every table of health data carries `person` (0 = belongs to nobody), so that the schema can be
-- distributed over Citus by it; hence no foreign keys and no unique constraint without it.

-- Blocks of 1000 numbers are handed out in process: one round trip a thousand resources.
create sequence resource_rid increment by 1000 minvalue 1;

create sequence person_number minvalue 1;

-- The current version of every resource; a deleted one stays as a tombstone (no tokens, no body).
create table resource (
    person   bigint not null,
    type     smallint not null,
    id       text collate "C" not null,
    rid      bigint not null,
    version  int not null,
    updated  timestamptz not null,
    method   char(1) not null,
    deleted  boolean not null,
    date     timestamptz,
    date_end timestamptz,
    tokens   bigint[] not null,
    dict     int not null,
    body     bytea not null,
    -- Reads by address. `person` last only because Citus wants the shard key in a unique constraint;
    -- that (type, id) is unique by itself is held by the committer (see write.py).
    constraint resource_key unique (type, id, person)
);
-- Bodies are compressed already: a second try by the server only costs time.
alter table resource alter column body set storage external;
-- Token frequencies decide between the GIN index and a walk by date; the default sample is too small.
alter table resource alter column tokens set statistics 1000;

-- A person's record of one type, newest first: the commonest search of all.
create index resource_person on resource (person, type, date desc) where not deleted;
-- A type sorted by its main date across persons, with a unique tie-breaker for keyset paging.
create index resource_date on resource (type, date desc, rid) where not deleted;
-- The default order of a search, `_lastUpdated`, and the walk of a whole type.
create index resource_updated on resource (type, updated, rid) where not deleted;
-- Side tables give numbers of rows back: the way from a `rid` to its resource.
create index resource_rid_key on resource (rid);
-- Every token, reference and uri parameter. Without the pending list: with it the first count after
-- a burst of writes was five times slower, and writes were no faster.
create index resource_tokens on resource using gin (tokens) with (fastupdate = off);

-- Superseded versions only; the current one is in `resource`. A month a partition.
create table history (
    person  bigint not null,
    type    smallint not null,
    id      text collate "C" not null,
    rid     bigint not null,
    version int not null,
    updated timestamptz not null,
    method  char(1) not null,
    deleted boolean not null,
    dict    int not null,
    body    bytea not null
) partition by range (updated);
alter table history alter column body set storage external;
create table history_default partition of history default;
-- The versions of one resource, newest first.
create index history_key on history (type, id, version desc);

-- String parameters, normalised, first 200 characters; prefix search by the C collation.
create table string_index (
    person bigint not null,
    rid    bigint not null,
    type   smallint not null,
    param  int not null,
    value  text collate "C" not null
);
-- Prefix and equality; `rid` inside so that the table itself is not read.
create index string_index_value on string_index (type, param, value, rid);
-- Replacing the rows of an updated resource.
create index string_index_rid on string_index (rid);

-- Date parameters other than the main date of a type, as half-open ranges [low, high).
create table date_index (
    person bigint not null,
    rid    bigint not null,
    type   smallint not null,
    param  int not null,
    low    timestamptz not null,
    high   timestamptz not null
);
-- Ranges of one parameter; `rid` inside so that the table itself is not read.
create index date_index_value on date_index (type, param, low, high, rid);
-- Replacing the rows of an updated resource.
create index date_index_rid on date_index (rid);

-- Number and quantity parameters; `unit` = hash of the unit's system and code, 0 = any unit.
create table number_index (
    person bigint not null,
    rid    bigint not null,
    type   smallint not null,
    param  int not null,
    unit   bigint not null,
    low    double precision not null,
    high   double precision not null
);
-- Ranges of one parameter and unit; `rid` inside so that the table itself is not read.
create index number_index_value on number_index (type, param, unit, low, high, rid);
-- Replacing the rows of an updated resource.
create index number_index_rid on number_index (rid);

-- Business keys that may be held once: identifiers, documents, conditional creates.
create table claim (
    key    bytea primary key,
    person bigint not null,
    target text not null
);
-- What a person holds, for merging and erasing.
create index claim_person on claim (person) where person <> 0;

-- Who did what with whose record: written before the answer leaves. A month a partition.
create sequence journal_seq;
create table journal (
    seq               bigint not null default nextval('journal_seq'),
    id                uuid not null default gen_random_uuid(),
    at                timestamptz not null,
    person            bigint not null,
    patient           text not null,
    action            char(1) not null,
    interaction       text not null,
    outcome           char(1) not null,
    reason            text not null,
    agent_kind        text not null,
    agent             text not null,
    agent_name        text not null,
    role              text not null,
    organization      text not null,
    organization_name text not null,
    purpose           text not null,
    entity_type       text not null,
    entity_id         text not null,
    entity_version    int not null,
    query             text not null,
    request_id        text not null,
    source            text not null
) partition by range (at);
create table journal_default partition of journal default;
-- A patient's own page: who read my record, newest first.
create index journal_person on journal (person, at desc, seq desc);
-- The auditor's walk by time.
create index journal_at on journal (at desc, seq desc);
-- What one account or system did.
create index journal_agent on journal (agent, at desc, seq desc);
-- The entry after which the next page of any of these walks begins.
create index journal_seq_key on journal (seq);
-- One entry by its AuditEvent id.
create index journal_id on journal (id);

-- One row a write set. `xid` tells a reader which commits are complete (see feed.py).
create table feed (
    seq     bigint generated always as identity primary key,
    xid     xid8 not null default pg_current_xact_id(),
    at      timestamptz not null,
    changes text not null
);
-- The order in which listeners read: by transaction, then by row.
create index feed_order on feed (xid, seq);

create table feed_cursor (
    listener text primary key,
    xid      xid8 not null,
    seq      bigint not null,
    updated  timestamptz not null,
    failures int not null default 0,
    error    text not null default ''
);

-- Compression dictionaries; never deleted, because stored bodies need them.
create table dictionary (
    id      int generated always as identity primary key,
    type    smallint not null,
    created timestamptz not null,
    data    bytea not null
);

-- Creates the partitions of this month and the `ahead` following ones. Rows that fell into the
-- default partition meanwhile move to their month.
create function create_month_partitions(parent text, key text, ahead int) returns void
language plpgsql as $$
declare
    first date;
    part text;
begin
    for step in 0..ahead loop
        first := (date_trunc('month', now() at time zone 'UTC') + make_interval(months => step))::date;
        part := parent || '_' || to_char(first, 'YYYYMM');
        continue when to_regclass(part) is not null;
        execute format('create table %I (like %I including defaults including storage)', part, parent);
        execute format(
            'with moved as (delete from %I where %I >= %L and %I < %L returning *)'
            ' insert into %I select * from moved',
            parent || '_default', key, first::timestamp at time zone 'UTC', key,
            (first + interval '1 month') at time zone 'UTC', part);
        execute format('alter table %I attach partition %I for values from (%L) to (%L)',
            parent, part, first::timestamp at time zone 'UTC',
            (first + interval '1 month') at time zone 'UTC');
    end loop;
end
$$;
