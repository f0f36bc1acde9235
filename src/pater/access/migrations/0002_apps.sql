-- Apps that people let act for them (SMART App Launch): what is registered, and what was allowed.

create table app (
    id            text primary key,
    name          text        not null,
    redirect_uris text[]      not null, -- compared character by character
    launch_url    text        not null, -- '' = cannot be launched from our pages
    scopes        text[]      not null, -- the most that it can be given
    secret_hash   bytea,                -- SHA-256 of a random secret; confidential apps only
    jwks          text        not null, -- public keys, a JWK Set; '' = none
    demo          boolean     not null,
    active        boolean     not null,
    created       timestamptz not null
);

-- One row for each time that a person said yes; the tokens of an app live and die with it.
create table app_grant (
    id           uuid primary key,
    app          text        not null,
    account      text        not null,
    session      bytea,                -- set: it ends with this session
    scopes       text[]      not null,
    purpose      text        not null,
    strength     smallint    not null,
    person       bigint,               -- whose record the scopes of `patient/` speak of
    patient      text        not null, -- and the Patient id of it
    launched     boolean     not null, -- from a page that shows the patient
    nonce        text        not null,
    logged_in    timestamptz not null,
    code_hash    bytea       not null, -- SHA-256 of the authorization code
    code_until   timestamptz not null,
    redeemed     boolean     not null,
    redirect_uri text        not null,
    challenge    text        not null, -- PKCE, S256
    turn         int         not null, -- how often the refresh token was changed
    created      timestamptz not null,
    used         timestamptz not null, -- when it last got a token
    until        timestamptz not null, -- when it ends by itself
    ended        timestamptz
);

-- finds a grant by its code
create unique index app_grant_code on app_grant (code_hash);
-- "my connected apps"
create index app_grant_account on app_grant (account, created) where ended is null;
-- ends the grants of an app that is taken away
create index app_grant_app on app_grant (app) where ended is null;
-- what ended lately, which every process asks for again and again
create index app_grant_ended on app_grant (ended) where ended is not null;
-- finds the rows to purge
create index app_grant_until on app_grant (until);

-- One-time handles with which a page hands its patient to an app.
create table app_launch (
    handle_hash bytea primary key, -- SHA-256
    app         text        not null,
    account     text        not null,
    purpose     text        not null,
    person      bigint      not null,
    patient     text        not null,
    expires     timestamptz not null
);

-- finds the rows to purge
create index app_launch_expires on app_launch (expires);
