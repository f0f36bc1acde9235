-- CX-4 names a system by a short name, and answers name systems of numbers by theirs.
create index identity_domain_name on identity_domain (name);
create index identity_domain_canonical on identity_domain (canonical);

-- Which system (a registered client) sends as which application and facility (MSH-3, MSH-4), and
-- the system of its numbers where CX-4 says none ('' = it has to be said).
create table hl7_sender (
    application text collate "C" not null,
    facility    text collate "C" not null,
    client      text collate "C" not null,
    system      text collate "C" not null,
    added       timestamptz not null,
    primary key (application, facility)
);

-- Messages that were done, with what was answered: the same again is answered so again.
create table hl7_taken (
    client  text collate "C" not null,
    control text collate "C" not null,  -- MSH-10
    digest  bytea not null,             -- of the message; some senders use a control id twice
    at      timestamptz not null,
    answer  bytea not null,
    primary key (client, control, digest)
);
-- what is old goes
create index hl7_taken_at on hl7_taken (at);

-- Messages of known senders that could not be done, until somebody looks.
create table hl7_quarantine (
    id       uuid primary key,
    client   text collate "C" not null,
    control  text not null,
    digest   bytea not null,
    at       timestamptz not null,
    code     int not null,   -- of table 0357
    reason   text not null,
    place    text not null,  -- as in ERR-2
    tries    int not null,
    body     bytea not null  -- zstd
);
-- a message that comes again and again is kept once
create unique index hl7_quarantine_message on hl7_quarantine (client, digest);
-- the oldest first
create index hl7_quarantine_at on hl7_quarantine (at);

-- Numbers that their source gave up for another one of the same person (A40).
create table hl7_subsumed (
    source    text collate "C" not null,
    system    text collate "C" not null,
    value     text collate "C" not null,
    by_system text collate "C" not null,
    by_value  text collate "C" not null,
    at        timestamptz not null,
    primary key (source, system, value)
);
-- those that a number stands for
create index hl7_subsumed_by on hl7_subsumed (source, by_system, by_value);
