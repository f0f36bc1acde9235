-- The queue of one reason or one source, and what somebody is at: the likeliest first, as the whole.
create index match_case_reason on match_case (reason, weight desc, id) where state = 'open';
create index match_case_source on match_case (source, weight desc, id) where state = 'open';
create index match_case_taken on match_case (taken_by, weight desc, id)
    where state = 'open' and taken_by <> '';

-- Whom the register knew by itself when a source first told of them: by a verified number or by
-- comparison. `key` is the source's number as splits write it down ('' for a document's Patient), so
-- that it can be told how many registrars took back.
create table identified (
    at     timestamptz not null,
    way    text not null check (way in ('number', 'alike')),
    weight real,
    key    text collate "C" not null default ''
);
-- Of one day, by kind.
create index identified_at on identified (way, at);
-- Those that were taken back.
create index identified_key on identified (key) where key <> '';
