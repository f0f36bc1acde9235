-- What the policy is told of a caller and a person: relations of care, the person's will,
-- emergency accesses. And which policies have been in force.

-- One row each time that another policy came into force.
create table policy_version (
    since   timestamptz not null,
    digest  text        not null, -- SHA-256 of the file
    name    text        not null,
    version text        not null,
    body    text        not null,
    primary key (since, digest)
);

-- Written with the resource that says it, in the same transaction.
create table care_relation (
    person       bigint                   not null,
    kind         text collate "C"         not null,
    organization text collate "C"         not null, -- IČO; '' = of no organization
    practitioner text collate "C"         not null, -- Practitioner/id or KRZP number; '' = of none
    since        timestamptz              not null,
    until        timestamptz              not null, -- infinity = no end is known
    source_type  smallint                 not null,
    source       text collate "C"         not null -- id of the resource; '' = of no single one
);

-- whose relations a caller asks for
create index care_relation_person on care_relation (person, organization, practitioner);
-- what a resource said, when it says something else
create index care_relation_source on care_relation (source, source_type) where source <> '';
-- finds the rows to purge
create index care_relation_until on care_relation (until) where until < 'infinity';

-- One row a Consent of scope patient-privacy, compiled; also of those that have ended, because
-- nobody but the patient may see them either.
create table will (
    source  text collate "C" primary key, -- id of the Consent
    person  bigint not null,
    rules   text   not null -- JSON, see access.will
);

-- all that a person wants
create index will_person on will (person);

-- Changes with every change of a person's will, so that what processes remember is exact.
create table will_state (
    person bigint primary key,
    stamp  bigint not null
);
create sequence will_stamp;

-- Accesses under which a person's will does not hold, with their reason and their review.
create table emergency_access (
    id           text collate "C" primary key,
    person       bigint      not null,
    agent_kind   text        not null,
    agent        text        not null,
    agent_name   text        not null,
    organization text        not null,
    reason       text        not null,
    since        timestamptz not null,
    until        timestamptz not null,
    ended        timestamptz,
    reviewed     timestamptz,
    reviewer     text,
    verdict      text,
    note         text
);

-- whether one is open, and who had one
create index emergency_access_person on emergency_access (person, agent);
-- the queue of what is to be reviewed, oldest first
create index emergency_access_review on emergency_access (reviewed, since);
