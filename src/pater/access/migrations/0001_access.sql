-- Who may ask: systems (client), people (account), their sessions, and assertions already used.

create table client (
    id                text primary key,
    name              text        not null,
    role              text        not null,
    organization      text        not null,
    organization_name text        not null,
    jwks              text        not null, -- public keys only, a JWK Set
    scopes            text[]      not null,
    purposes          text[]      not null,
    active            boolean     not null,
    updated           timestamptz not null
);

create table account (
    id                text primary key,
    login             text        not null unique, -- normalised, see access.accounts
    name              text        not null,
    role              text        not null,
    organization      text        not null,
    organization_name text        not null,
    practitioner      text,
    person            bigint,
    patient           text,
    password_hash     text        not null, -- argon2id
    totp              bytea,                -- the secret, encrypted with the service's key
    totp_step         bigint      not null default 0, -- the last time step whose code was used
    active            boolean     not null,
    failures          int         not null default 0,
    locked_until      timestamptz,
    updated           timestamptz not null
);

create table session (
    token_hash bytea primary key, -- SHA-256; the token itself is only in the browser
    account    text        not null,
    created    timestamptz not null,
    seen       timestamptz not null,
    expires    timestamptz not null,
    strength   smallint    not null,
    purpose    text        not null,
    patient    text        not null,
    csrf       text        not null,
    lang       text        not null
);

-- ends all sessions of an account whose password changed
create index session_account on session (account);
-- finds the sessions to purge
create index session_expires on session (expires);

create table used_jti (
    jti_hash bytea primary key, -- SHA-256 of client and jti
    expires  timestamptz not null
);

-- finds the rows to purge
create index used_jti_expires on used_jti (expires);
