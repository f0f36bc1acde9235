-- The versions of every document received. `chain` joins the versions of one document, `instance`
-- is the key of Bundle.identifier, `document_set`
-- that of Composition.identifier within its organisation, `digest` the SHA-256 of the bytes as received.
create table exchange_document (
    bundle       text collate "C" primary key,
    reference    text collate "C" not null,
    chain        uuid not null,
    version      int not null,
    instance     bytea not null,
    document_set bytea,
    digest       bytea not null,
    organization text not null,
    type         text not null,
    stamped      timestamptz not null,
    person       bigint not null,
    entries      text[] not null,
    received     timestamptz not null
);
-- Asked on every arrival: is this identifier known, and which version is the newest?
create index exchange_document_instance on exchange_document (instance, version desc);
create index exchange_document_set on exchange_document (document_set, version desc);
create index exchange_document_chain on exchange_document (chain, version desc);

-- Asked by the listener `arrivals`, which knows documents by their DocumentReference.
create index exchange_document_reference on exchange_document (reference);

-- How many documents arrived, by day, organisation and type: kept by the listener `arrivals`.
-- (xid, seq) is the last feed event that was counted: one that comes again changes nothing.
create table exchange_arrival (
    day          date not null,
    organization text not null,
    type         text not null,
    documents    bigint not null,
    xid          bigint not null,
    seq          bigint not null,
    primary key (day, organization, type)
);
