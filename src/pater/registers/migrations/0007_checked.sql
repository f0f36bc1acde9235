-- Resources whose addresses (ruian) or business (ros) are still to be compared with what the
-- register says. A row goes when that was done, never before.
create table basic_check_waiting (
    type     text        collate "C" not null,
    id       text        collate "C" not null,
    asked    timestamptz not null,
    due      timestamptz not null,
    attempts int         not null default 0,
    error    text        not null default '',
    primary key (type, id)
);
-- the next to be compared
create index basic_check_waiting_due on basic_check_waiting (due);

-- What came of it: how the register has an address (by its code) or a business (by its IČO).
create table basic_checked (
    type     text        collate "C" not null,
    id       text        collate "C" not null,
    register text        not null check (register in ('ruian', 'ros')),
    key      text        collate "C" not null,
    state    text        not null check (state in ('correct', 'disputed')),
    differs  text[]      not null,        -- what differs; empty = nothing
    said     jsonb,                       -- as the register has it; null = there is no such one
    digest   bytea       not null,        -- of what was compared: the same is told of once
    at       timestamptz not null,
    primary key (type, id, register, key)
);
-- what differs, the newest first
create index basic_checked_disputed on basic_checked (register, at desc) where state = 'disputed';
-- what was compared long ago
create index basic_checked_at on basic_checked (register, at);
-- of a business that changed
create index basic_checked_key on basic_checked (register, key);

-- Mandates that a provider's administrator gave here stand beside those of the register of rights.
alter table authorisation
    add column source text not null default 'reza' check (source in ('reza', 'here')),
    add column given_by text not null default '',   -- the account that gave it
    add column agent_name text not null default '';  -- of who acts, once they are one of ours
