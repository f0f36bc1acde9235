-- One row a person: the register's own identifier beside the person's compartment and master Patient.
-- Uniqueness of a RID and of every verified identifier is held by the claims of the store.
create table person (
    person    bigint primary key,
    rid       text not null,
    temporary boolean not null,
    patient   text collate "C" not null,
    created   timestamptz not null
);
