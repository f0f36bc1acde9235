-- What a provider said to be wrong, the newest first, to be followed; what was decided lately.
create index directory_dispute_organization on directory_dispute (organization, at desc)
    where organization <> '';
create index directory_dispute_decided on directory_dispute (decided desc, id desc)
    where decided is not null;
