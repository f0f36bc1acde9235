-- A page of a search that shows fifty persons is one act and fifty entries. The act's first entry
-- holds what they have in common; the others hold only whose record it was, and stand right behind
-- it: `seq` is the act's number * 65536 + the entry's place in the act, their `at` is the same.
-- An entry without an agent is one of those. Entries written before stand each for itself.
do $$
declare
    part regclass;
    name text;
begin
    for part in
        select 'journal'::regclass  -- itself first: what it asks for its partitions must keep
        union all select inhrelid::regclass from pg_inherits where inhparent = 'journal'::regclass
    loop
        foreach name in array array[
            'action', 'interaction', 'outcome', 'reason', 'agent_kind', 'agent', 'agent_name',
            'role', 'organization', 'organization_name', 'purpose', 'entity_type', 'entity_id',
            'entity_version', 'query', 'request_id', 'source'
        ] loop
            execute format('alter table %s alter column %I drop not null', part, name);
        end loop;
        execute format(
            'alter table %s alter column id drop not null, alter column id drop default,'
            ' alter column seq drop default', part
        );
    end loop;
end $$;

-- The AuditEvent id of a new entry is made of `at` and `seq`; those of before keep theirs.
drop index journal_id;
create index journal_id on journal (id) where id is not null;
-- A page begins after an `at` and `seq`, which the index of time knows.
drop index journal_seq_key;
-- Ascending: a new entry is the last, and full pages stay full.
drop index journal_at;
create index journal_at on journal (at, seq);
drop index journal_agent;
create index journal_agent on journal (agent, at, seq) where agent is not null;

-- The entries as they are meant, each with what its act says. The limit changes nothing but that
-- the planner looks acts up one by one, for the entries of a page, and not all for all.
create view journal_entry as
select e.id, e.seq, e.at, e.person, e.patient, a.action, a.interaction, a.outcome, a.reason,
       a.agent_kind, a.agent, a.agent_name, a.role, a.organization, a.organization_name, a.purpose,
       a.entity_type, a.entity_id, a.entity_version, a.query, a.request_id, a.source
from journal e
cross join lateral (
    select * from journal
    where at = e.at
      and seq = case when e.agent is null then (e.seq >> 16) << 16 else e.seq end
    limit 1
) a;
