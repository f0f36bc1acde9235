-- Events that other systems tell us of (IHE ITI-20) are entries of the journal like our own. What
-- an entry cannot hold of them stands here as it came; the entry holds its digest.
create table journal_original (
    at      timestamptz not null,  -- the place of its entry, of the first one when there are more
    seq     bigint not null,
    sender  text not null,         -- client id
    persons text not null,         -- JSON: index of an entity -> the person whom it names
    body    bytea not null,        -- the event as it came, zstd
    primary key (at, seq)
);
alter table journal_original alter column body set storage external;

-- The same event told again is the same entry. No key tells anything of a person.
create table journal_received (
    sender text not null,
    key    bytea not null,         -- of the sender's own id of the event
    digest bytea not null,         -- of what was sent
    entry  uuid not null,          -- the AuditEvent id that the sender was given
    primary key (sender, key)
);

-- Events about somebody whom nobody here knows (yet).
create table journal_quarantine (
    entry  uuid primary key,       -- the AuditEvent id that the sender was given
    at     timestamptz not null,   -- when it came
    tried  timestamptz not null,   -- when it was last tried to enter it
    reason text not null,
    sender text not null,
    caller text not null,          -- JSON: who told it, as the entry will say
    body   bytea not null
);
-- What is tried again next, the longest untried first.
create index journal_quarantine_tried on journal_quarantine (tried);

-- Months that left the journal: what is known of them for good, signed with the key of the log.
create table journal_archive (
    month     date primary key,
    state     text not null,       -- archived (the file is there), restored, purged
    statement text not null,       -- JSON: entries, first and last leaf, their root, the file
    signature bytea not null,
    changed   timestamptz not null
);

-- Takes the rows of a month out, once they are in its archive; how many there were.
create function drop_journal_month(first date) returns bigint
language plpgsql as $$
declare
    part text := 'journal_' || to_char(first, 'YYYYMM');
    low  timestamptz := first::timestamp at time zone 'UTC';
    high timestamptz := (first + interval '1 month') at time zone 'UTC';
    gone bigint;
    more bigint := 0;
begin
    delete from journal_default where at >= low and at < high;
    get diagnostics gone = row_count;
    if to_regclass(part) is not null then
        execute format('select count(*) from %I', part) into more;
        execute format('alter table journal detach partition %I', part);
        execute format('drop table %I', part);
    end if;
    delete from journal_original where at >= low and at < high;
    return gone + more;
end
$$;
