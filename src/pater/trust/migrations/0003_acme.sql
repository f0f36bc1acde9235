-- ACME (RFC 8555): the keys that bind accounts to a provider, the accounts, their orders with the
-- proofs of each host, and the nonces that were used. No secret is kept here: that of a binding key
-- is made of its id and a key of the installation.

create table acme_key (
    id           text primary key,
    ico          text        not null,
    organization text        not null,
    hosts        text[]      not null,      -- for which certificates may be ordered
    made         timestamptz not null,
    made_by      text        not null,
    until        timestamptz not null,      -- an account has to be opened by then
    ended        timestamptz
);
-- the keys of one provider, newest first
create index acme_key_ico on acme_key (ico, made desc, id);

create table acme_account (
    id         text primary key,
    key        text        not null unique,  -- acme_key.id, which opens one account
    thumbprint text        not null unique,  -- of its public key (RFC 7638)
    jwk        text        not null,
    state      text        not null check (state in ('valid', 'deactivated')),
    contact    text[]      not null,
    made       timestamptz not null
);

create table acme_order (
    id      text primary key,
    account text        not null,
    hosts   text[]      not null,           -- sorted
    state   text        not null check (state in ('open', 'processing', 'valid')),
    made    timestamptz not null,
    expires timestamptz not null,
    request bytea,                          -- SHA-256 of the request that is being certified
    begun   timestamptz,                    -- when that began
    serial  text                            -- ca_certificate.serial
);
-- the orders of one account, newest first
create index acme_order_account on acme_order (account, made desc, id);
-- what is old
create index acme_order_expires on acme_order (expires);
-- the order behind a certificate
create index acme_order_serial on acme_order (serial) where serial is not null;

create table acme_proof (
    id       text primary key,
    order_id text        not null,
    account  text        not null,
    host     text        not null,
    token    text        not null,
    state    text        not null check (state in ('pending', 'valid', 'invalid', 'deactivated')),
    expires  timestamptz not null,
    checked  timestamptz,
    error    text                           -- why it failed: a problem (RFC 7807), JSON
);
-- the proofs of one order
create index acme_proof_order on acme_proof (order_id);
-- what is old
create index acme_proof_expires on acme_proof (expires);

create table acme_nonce (
    nonce bytea primary key,
    until timestamptz not null
);
-- what cannot come again anyway
create index acme_nonce_until on acme_nonce (until);
