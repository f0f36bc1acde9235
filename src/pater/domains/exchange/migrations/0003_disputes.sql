-- What a patient says was no right access, and what the privacy officer answers.
create table access_dispute (
    id           uuid primary key,
    entry        uuid not null,         -- the AuditEvent
    person       bigint not null,
    patient      text not null,         -- the Patient's id
    account      text not null,         -- who disputes
    at           timestamptz not null,  -- when the access was
    who          text not null,         -- who looked, as the journal says
    organization text not null,
    what         text not null,         -- kind of look
    reason       text not null,         -- key of the policy's reason
    text         text not null,         -- in the patient's words
    created      timestamptz not null,
    answer       text not null default '',
    justified    boolean,               -- the officer's verdict; null while it waits
    answered     timestamptz,
    officer      text not null default '',
    unique (person, entry)              -- said twice is said once
);
-- What waits for an officer, oldest first.
create index access_dispute_waiting on access_dispute (created) where answered is null;
-- A patient's own, newest first.
create index access_dispute_person on access_dispute (person, created desc);
