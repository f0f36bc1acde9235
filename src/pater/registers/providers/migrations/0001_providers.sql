-- What is asked of the register of providers often and by everybody, made of its resources by a
-- listener of the feed. All of it can be made anew from them.

create table provider_organization (
    organization text collate "C" primary key,  -- Organization id
    ico          text collate "C" not null,     -- '' = it has none
    name         text not null,
    active       boolean not null,
    part_of      text collate "C" not null      -- '' = of nothing
);
-- A provider by its number.
create index provider_organization_ico on provider_organization (ico) where ico <> '';

create table provider_place (
    place        text collate "C" primary key,  -- Location id
    organization text collate "C" not null,
    name         text not null,
    provider     text not null,
    kind         text not null,
    address      text not null,
    city         text collate "C" not null,     -- normalised
    active       boolean not null,
    lat          float8,
    lon          float8,
    at           point,                         -- in a plane where distances are nearly right
    words        tsvector not null
);
-- The nearest places, whatever they offer.
create index provider_place_at on provider_place using gist (at) where active;
-- By words of name, provider, kind and address.
create index provider_place_words on provider_place using gin (words) with (fastupdate = off);
-- The list in order of names.
create index provider_place_name on provider_place (name, place) where active;
-- Where a town is: the middle of its places.
create index provider_place_city on provider_place (city) where active;
-- All places of a provider.
create index provider_place_organization on provider_place (organization);

create table provider_offer (
    code    text collate "C" not null,
    system  text collate "C" not null,
    service text collate "C" not null,          -- HealthcareService id
    place   text collate "C" not null,
    title   text not null,
    hours   int4multirange,                     -- minutes of the week; null = nobody said
    closed  tstzmultirange not null,
    at      point,
    primary key (code, system, service, place)
);
-- The nearest that offer something, common or rare: the planner knows how common a code is.
create index provider_offer_at on provider_offer using gist (at);
-- Replacing what a service offers, and moving a place.
create index provider_offer_service on provider_offer (service);
create index provider_offer_place on provider_offer (place);

create table provider_role (
    role         text collate "C" primary key,  -- PractitionerRole id
    practitioner text collate "C" not null,
    organization text collate "C" not null,
    employment   boolean not null,              -- false = a membership
    active       boolean not null,
    since        timestamptz not null,
    until        timestamptz not null
);
-- Where somebody works: asked at each look of a session.
create index provider_role_practitioner on provider_role (practitioner);
-- Who works for a provider.
create index provider_role_organization on provider_role (organization, practitioner);

-- Versions of the register in order of time, for those who keep a copy of it (IHE mCSD, ITI-91):
-- what belongs to nobody, among the physicians and hospitals of all documents.
create index resource_nobodys on resource (type, updated desc, rid desc) where person = 0;
create index history_nobodys on history (type, updated desc, rid desc) where person = 0;
