-- The systems in which persons have numbers, as the NamingSystem resources say: one row for each
-- way to name a system (a URL, an OID); `canonical` is the one that is kept. `assigner` is the IČO
-- of who alone gives numbers in it, '' = nobody in particular; `type` the kind of number (v2-0203)
-- where it is one that a state or an insurer issues.
create table identity_domain (
    system    text collate "C" primary key,
    resource  text collate "C" not null,
    canonical text collate "C" not null,
    assigner  text not null,
    type      text not null,
    name      text not null
);
-- what a NamingSystem said before it was changed
create index identity_domain_resource on identity_domain (resource);
