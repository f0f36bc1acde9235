-- How people prove who they are: passkeys, single-use codes, refused attempts, sessions in detail.

create table passkey (
    id         bytea primary key, -- the credential id that the authenticator chose
    account    text        not null,
    name       text        not null,
    public_key bytea       not null, -- COSE
    sign_count bigint      not null,
    synced     boolean     not null, -- kept by more than one device
    transports text[]      not null,
    created    timestamptz not null,
    used       timestamptz
);

-- the passkeys of one person
create index passkey_account on passkey (account);

create table single_code (
    code_hash bytea primary key, -- HMAC-SHA256 under a key of the service
    account   text        not null,
    operator  boolean     not null, -- handed out by an operator; else one of the ten of the person
    created   timestamptz not null,
    expires   timestamptz,
    used      timestamptz
);

-- the codes of one person
create index single_code_account on single_code (account);

-- Attempts by login name (whether or not there is such an account) and by network address.
create table attempt (
    key          bytea primary key, -- SHA-256
    since        timestamptz not null, -- when the count began
    failures     int         not null,
    locks        int         not null, -- how often in a row it came to a lock
    locked_until timestamptz,
    seen         timestamptz not null
);

-- finds the rows to purge
create index attempt_seen on attempt (seen);

alter table session
    add column id     uuid        not null default gen_random_uuid(), -- its name on the person's page
    add column proved timestamptz, -- when a second factor was last shown
    add column source text        not null default '',
    add column agent  text        not null default '';

-- From where a person logged in, so that a new place can be told.
create table login_place (
    account text        not null,
    key     bytea       not null, -- SHA-256 of browser and network
    source  text        not null,
    agent   text        not null,
    first   timestamptz not null,
    last    timestamptz not null,
    primary key (account, key)
);

-- finds the rows to purge
create index login_place_last on login_place (last);

alter table account add column password_changed timestamptz;

-- Certificates with which a system may sign the assertions that it sends as bearer tokens.
create table client_certificate (
    id         text primary key, -- `kid` of the assertions
    client     text        not null,
    public_key text        not null, -- a JWK
    not_before timestamptz not null,
    not_after  timestamptz not null,
    revoked    timestamptz
);

-- the certificates of one client
create index client_certificate_client on client_certificate (client);
