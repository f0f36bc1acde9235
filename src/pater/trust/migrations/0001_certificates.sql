-- The certification authority: its own certificates with their revocation lists, and every
-- certificate it was asked for. Private keys are never here (see trust.ca.signer).

create table ca_authority (
    name        text primary key,           -- root, issuing
    certificate bytea       not null,       -- DER
    made        timestamptz not null,
    crl_number  bigint      not null default 0,
    crl         bytea,                      -- DER, the newest
    crl_made    timestamptz,
    crl_until   timestamptz                 -- its nextUpdate
);

create table ca_certificate (
    serial       text primary key,          -- 40 hexadecimal digits
    issuer       text        not null,      -- ca_authority.name
    profile      text        not null,
    state        text        not null check (state in ('New', 'InProgress', 'Issued', 'Revoked')),
    holder       text        not null,      -- ico:…, krzp:…, dns:… or service:…
    subject      text        not null,      -- what the operator said, JSON
    public_key   bytea       not null,      -- SubjectPublicKeyInfo, DER
    key_hash     bytea       not null,      -- SHA-256 of it
    request_hash bytea       not null,      -- the same order again finds this row
    not_before   timestamptz not null,
    not_after    timestamptz not null,
    ordered      timestamptz not null,
    ordered_by   text        not null,
    certificate  bytea,                     -- DER, once issued
    renews       text,                      -- the serial of the one before
    revoked      timestamptz,
    reason       text                       -- of the revocation, as RFC 5280 names it
);

-- the same order given again
create index ca_certificate_request on ca_certificate (request_hash);
-- whether a key is somebody else's, or was compromised
create index ca_certificate_key on ca_certificate (key_hash);
-- the certificates of one holder, and of everybody, newest first
create index ca_certificate_holder on ca_certificate (holder, ordered desc, serial);
create index ca_certificate_ordered on ca_certificate (ordered desc, serial);
-- what expires soon
create index ca_certificate_expiring on ca_certificate (not_after) where state = 'Issued';
-- what a revocation list names
create index ca_certificate_revoked on ca_certificate (issuer, not_after) where state = 'Revoked';
-- what has been renewed already
create index ca_certificate_renews on ca_certificate (renews) where renews is not null;
