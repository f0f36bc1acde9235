-- Patients that were found to be somebody else and lead to them. The resource of such a Patient, and
-- all of the record, stands with the person it leads to.
create table alias (
    patient  text collate "C" primary key,
    former   bigint not null,             -- the person number it had
    person   bigint not null,             -- the person number it leads to
    survivor text collate "C" not null    -- and that one's Patient
);
-- who leads to a person: the journal of theirs is read with it
create index alias_person on alias (person);
-- whether a person number is still somebody's: asked whenever rows are added
create index alias_former on alias (former);

-- What was written while a Patient led elsewhere by who knew only that Patient: it goes back with
-- it when the merge is undone.
create table alias_written (
    type    smallint not null,
    id      text collate "C" not null,
    patient text collate "C" not null,
    primary key (type, id)
);
-- what goes back with a Patient
create index alias_written_patient on alias_written (patient);

-- The Patient that a merged one leads to, else null. A function, so that the plan of who asks is the
-- same whether there are any or not.
create function survivor_of(text) returns text
language plpgsql stable strict parallel safe
as $$ begin return (select a.survivor from alias a where a.patient = $1); end $$;
