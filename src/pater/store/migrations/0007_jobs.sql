-- Work that outlives a request: exports, imports, re-indexing, answers asked for asynchronously.

create table job (
    id         uuid primary key,
    kind       text not null,
    owner      text not null default '',         -- the account or client that it is for
    dedupe     text not null default '',         -- one unfinished job of a kind and this key
    state      text not null default 'waiting',  -- waiting, running, done, failed, cancelled
    payload    text not null,                    -- JSON, as it was asked for
    checkpoint text not null default '',         -- JSON, from where to go on
    result     text not null default '',         -- JSON, when it is done
    done       bigint not null default 0,
    total      bigint not null default 0,        -- 0 = not known
    note       text not null default '',         -- progress in words
    attempts   int not null default 0,
    most       int not null,                     -- attempts before it has failed
    error      text not null default '',         -- the last one; never data of a person
    -- waiting: when it may begin; running: when its worker is taken for dead
    due        timestamptz not null,
    worker     uuid,
    created    timestamptz not null default now(),
    finished   timestamptz,
    keep       interval not null,                -- after its end
    expires    timestamptz
);
-- What a worker takes next: due jobs, and those whose worker has died.
create index job_due on job (due) where state in ('waiting', 'running');
create unique index job_dedupe on job (kind, dedupe)
    where dedupe <> '' and state in ('waiting', 'running');
-- Cleaning up.
create index job_expires on job (expires) where expires is not null;
-- Everything, newest first, for the operator.
create index job_created on job (created desc);

-- What is to be done again and again.
create table job_schedule (
    name    text primary key,
    kind    text not null,
    payload text not null,
    every   interval not null,
    due     timestamptz not null
);
