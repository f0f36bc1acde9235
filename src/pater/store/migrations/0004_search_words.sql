-- The words of resources, for `_content`, `_text` and `:text`. Nothing of it is written when a
-- resource is: it is made afterwards from the feed, and before a search that needs it.
create table text_index (
    person  bigint not null,
    rid     bigint not null,
    type    smallint not null,
    version int not null,
    -- normalised words of all text; those of the narrative once more behind a ~
    words   tsvector not null,
    constraint text_index_key primary key (rid, person)
);
-- Words and their beginnings. A pending list, because rows come in batches.
create index text_index_words on text_index using gin (words);
