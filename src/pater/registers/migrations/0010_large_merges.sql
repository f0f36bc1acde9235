-- Merges and undoings that are done by a job, because much has to be moved: by the Patients of whom
-- each is. They leave with the commit; who failed stays until the job is forgotten or asked again.
create table merge_moving (
    patient text collate "C" primary key,
    person  bigint not null,        -- whose resources are kept as they are meanwhile
    act     uuid   not null,        -- the merge that is made, or undone
    job     uuid   not null
);
