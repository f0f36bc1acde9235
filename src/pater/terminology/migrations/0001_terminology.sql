-- Code systems too large for a resource (SNOMED CT, LOINC, national lists), as narrow rows, and
-- the closure tables of clients. Nothing here is about a person.

-- One row a version of a system. Loading writes everything under a new `id` and takes the old one
-- away in the same transaction, so that readers see one or the other.
create table term_system (
    id         int generated always as identity primary key,
    url        text not null,
    version    text not null,
    name       text not null,
    title      text not null,
    language   text not null,
    info       text not null,
    concepts   int not null,
    digest     text not null,
    loaded     timestamptz not null,
    constraint term_system_version unique (url, version)
);

-- `nr` is the place in the order of the system; `parents` and `ancestors` hold such numbers, so
-- that a hierarchy with several parents needs no join. `words` are those of all names, without
-- accents and case.
create table term_concept (
    system     int not null,
    nr         int not null,
    code       text collate "C" not null,
    display    text not null,
    definition text not null,
    status     text not null,
    inactive   boolean not null,
    abstract   boolean not null,
    parents    int[] not null,
    ancestors  int[] not null,
    words      tsvector not null,
    constraint term_concept_nr primary key (system, nr)
);
-- One code; also codes by their letters whatever the case.
create index term_concept_code on term_concept (system, code);
create index term_concept_folded on term_concept (system, lower(code));
-- A text filter: words by prefix. The inverted indexes keep a pending list, because rows come only
-- by whole systems: the loader has the list merged at its end, sorted, and no search ever sees one.
create index term_concept_words on term_concept using gin (words);
-- Everything below a concept, at any depth and directly. Numbers of several systems share the
-- index; `system` is compared on the rows.
create index term_concept_ancestors on term_concept using gin (ancestors);
create index term_concept_parents on term_concept using gin (parents);

-- Further names, read for the concepts of a page.
create table term_designation (
    system   int not null,
    nr       int not null,
    language text not null,
    use      text not null,
    value    text not null
);
create index term_designation_nr on term_designation (system, nr);

-- Properties: read for the concepts of a page, and asked by filters.
create table term_property (
    system int not null,
    nr     int not null,
    code   text collate "C" not null,
    kind   text not null,
    value  text collate "C" not null
);
create index term_property_nr on term_property (system, nr);
create index term_property_value on term_property (system, code, left(value, 200));

-- The closure tables that clients keep up to date with $closure: their codes and what was told.
create table term_closure (
    owner   text not null,
    name    text not null,
    version int not null,
    primary key (owner, name)
);
create table term_closure_code (
    owner   text not null,
    name    text not null,
    system  text not null,
    code    text not null,
    added   int not null,
    primary key (owner, name, system, code)
);
create table term_closure_pair (
    owner   text not null,
    name    text not null,
    system  text not null,
    above   text not null,
    below   text not null,
    added   int not null,
    primary key (owner, name, system, above, below)
);
-- What was told since a version.
create index term_closure_pair_added on term_closure_pair (owner, name, added);
