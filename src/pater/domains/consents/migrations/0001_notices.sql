-- What a person was told: which notices there are and which were seen. Their texts are
-- Communication resources of the person's record.
create table notice (
    communication text primary key, -- id of the resource
    person        bigint      not null,
    kind          text        not null, -- what it is about, see consents.notices
    about         text        not null, -- id of what it is about, e.g. of an emergency access
    sent          timestamptz not null,
    seen          timestamptz
);

-- how many a person has not seen, on the first page of the portal
create index notice_unseen on notice (person, sent) where seen is null;
