-- Who acts for whom: parents for children, guardians, and whom a patient authorised. Rows are
-- ended, never deleted.
create table representation (
    id          text collate "C" primary key,
    person      bigint      not null, -- the represented
    patient     text        not null, -- the Patient id of the represented
    person_name text        not null,
    agent       bigint      not null, -- the person who acts
    agent_name  text        not null,
    kind        text        not null check (kind in ('parent', 'guardian', 'authorised')),
    source      text        not null, -- `register` = an official entered it; else the Consent's id
    reference   text        not null, -- number of the decision, or of the entry
    categories  text[]      not null, -- of records; empty = all
    born        date,                 -- of a child
    opened      timestamptz,          -- since when the child shows the parent everything
    since       timestamptz not null,
    until       timestamptz not null, -- infinity = no end is known
    ended       timestamptz,          -- somebody ended it before its time
    recorded    timestamptz not null
);

-- for whom somebody acts
create index representation_agent on representation (agent, since);
-- who acts for somebody
create index representation_person on representation (person, since);

-- The representation under which a session looks; '' = at the own record.
alter table session add column acting text not null default '';
