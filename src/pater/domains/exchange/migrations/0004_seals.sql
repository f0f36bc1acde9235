-- The seals of received documents, beside the bytes they are over. A row is written with its
-- document, without a seal; the listener `exchange.seals` makes it. `digest` is the SHA-256 of the
-- bytes as received, `seal` the seal packed with zlib, `own` what was found of a signature that the document carries itself, `renew`
-- when the seal has to be stamped anew, in good time before what it stands on ends.
create table exchange_seal (
    bundle   text collate "C" primary key,
    person   bigint not null,
    digest   bytea not null,
    received timestamptz not null,
    own      text not null default '',
    seal     bytea,
    sealed   timestamptz,
    renew    timestamptz
);
-- Asked by the listener: which have no seal yet?
create index exchange_seal_waiting on exchange_seal (received) where seal is null;
-- Asked every hour: which have to be stamped anew?
create index exchange_seal_renew on exchange_seal (renew) where seal is not null;

-- What came before there were seals is sealed as it is now.
insert into exchange_seal (bundle, person, digest, received)
select bundle, person, digest, received from exchange_document;
