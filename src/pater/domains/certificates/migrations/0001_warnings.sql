-- Warnings that a certificate ends, and where a provider wants them written to.

create table certificate_warning (
    serial text        not null,
    days   int         not null,   -- 30, 14 or 7: each is told once
    at     timestamptz not null,
    primary key (serial, days)
);

create table certificate_contact (
    organization text primary key,  -- IČO
    address      text        not null,
    account      text        not null,
    updated      timestamptz not null
);
