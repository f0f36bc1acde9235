-- How each basic register (rob, ruian, ros, reza) is: failures in a row, until when it is left
-- alone, its last answer; `cursor` is how far its changes were followed.
create table basic_register (
    register   text primary key check (register in ('rob', 'ruian', 'ros', 'reza')),
    failures   int         not null default 0,
    shut_until timestamptz,              -- it is left alone until then
    answered   timestamptz,              -- its last answer that could be used
    failed     timestamptz,              -- the last time when there was none
    error      text        not null default '',
    cursor     text        not null default '',
    followed   timestamptz               -- when its changes were last asked for
);
insert into basic_register (register) values ('rob'), ('ruian'), ('ros'), ('reza');

-- How often each was asked in an hour, for the page of their health; kept for two days.
create table basic_hour (
    register text        not null,
    hour     timestamptz not null,
    asked    int         not null default 0,
    failed   int         not null default 0,
    spared   int         not null default 0, -- answered from what was kept
    primary key (register, hour)
);

-- What the public registers (ruian, ros) answered, for as long as it is valid.
create table basic_answer (
    register text        not null,
    key      text collate "C" not null,   -- a code of an address, an IČO
    received timestamptz not null,
    until    timestamptz not null,
    body     jsonb,                       -- null = there is no such one
    primary key (register, key)
);
-- what is long valid no more goes
create index basic_answer_until on basic_answer (until);

-- What the register of persons is still to be asked: who a person is (`who`, by our number), or what
-- changed of somebody (`changed`, their pseudonym is sealed). A row goes when it was answered, never before.
create table basic_waiting (
    key      bytea primary key,
    kind     text        not null check (kind in ('who', 'changed')),
    person   bigint      not null,        -- 0 = told by the pseudonym
    sealed   bytea,
    asked    timestamptz not null,
    due      timestamptz not null,
    attempts int         not null default 0,
    error    text        not null default ''
);
-- the next to be asked
create index basic_waiting_due on basic_waiting (due);
-- the one that waits longest, for the page of health
create index basic_waiting_asked on basic_waiting (asked);
-- of a person
create index basic_waiting_person on basic_waiting (person) where person <> 0;

-- Who may act for whom, as the register of rights and mandates says. Persons whom it knows and we
-- do not have number 0 and a keyed hash of their pseudonym; they get their number when they come.
-- What is a representation of a person stands in `representation` too.
create table authorisation (
    id           text collate "C" primary key,
    kind         text not null
                 check (kind in ('parent', 'guardian', 'authorised', 'statutory', 'delegated')),
    organization text        not null,    -- IČO; '' = a person is represented
    person_key   bytea,
    person       bigint      not null,
    agent_key    bytea       not null,
    agent        bigint      not null,
    services     text[]      not null,    -- empty = all
    categories   text[]      not null,
    reference    text        not null,
    since        timestamptz not null,
    until        timestamptz not null,
    ended        timestamptz,
    received     timestamptz not null
);
-- for which organisations somebody acts
create index authorisation_agent on authorisation (agent, organization) where agent <> 0;
-- of a represented person
create index authorisation_person on authorisation (person) where person <> 0;
-- whose number is to be filled in
create index authorisation_agent_key on authorisation (agent_key);
create index authorisation_person_key on authorisation (person_key) where person_key is not null;
-- who acts for an organisation
create index authorisation_organization on authorisation (organization, since)
    where organization <> '';
