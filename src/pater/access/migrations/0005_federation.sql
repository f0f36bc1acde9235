-- Logins by providers of others (OpenID Connect), and systems that prove themselves by TLS.

create table issuer (
    id        text primary key,      -- its word in our addresses
    address   text        not null unique, -- `iss`
    name_cs   text        not null,
    name_en   text        not null,
    client_id text        not null,  -- who we are there
    proof     text        not null,  -- how we prove it: see access.federation.issuers
    secret    bytea,                 -- encrypted with the service's key
    scopes    text[]      not null,
    hosts     text[]      not null,  -- where its endpoints may be, beside its own host
    claims    text        not null,  -- JSON: what we want to know -> the claim that says it
    levels    text        not null,  -- JSON: acr -> strength of the login
    demo      boolean     not null,
    active    boolean     not null,
    created   timestamptz not null
);

-- Which accounts somebody known to a provider has here.
create table federated_identity (
    issuer  text        not null,
    subject text        not null,    -- `sub`
    account text        not null,
    linked  timestamptz not null,
    used    timestamptz not null,
    primary key (issuer, subject, account)
);

-- by whom an account is known
create index federated_identity_account on federated_identity (account);

-- The number of a professional (KRZP), by which a provider names them.
alter table account add column professional text not null default '';

-- the accounts of one professional
create index account_professional on account (professional) where professional <> '';
-- the account with which somebody sees their own record
create index account_person on account (person) where person is not null;

-- By whom a session was proved; '' = here.
alter table session add column issuer text not null default '';

-- Certificates by which systems prove themselves in TLS (RFC 8705). A client that has any gets
-- only tokens that are bound to one of them.
create table client_tls (
    client text        not null,
    method text        not null,     -- tls_client_auth, self_signed_tls_client_auth
    value  text        not null,     -- the subject (RFC 4514), or the SHA-256 of the certificate
    added  timestamptz not null,
    primary key (client, method, value)
);

-- who may come with a certificate
create index client_tls_value on client_tls (value);
