-- Of which category, confidentiality, provider and document a version is (see fhir/labels.py): one
-- number, so that what a person holds back is left out by the search itself. 0 = not worked out, or
-- of no category that has a name. A constant default: no row is rewritten.
alter table resource add column label bigint not null default 0;
alter table history add column label bigint not null default 0;
-- What is there already gets its labels by a job (see relabel.py).
insert into job (id, kind, dedupe, payload, most, due, keep)
select gen_random_uuid(), 'relabel', 'relabel', '{}', 100, now(), interval '7 days'
where exists (select from resource);

-- The second wall (see wall.py): reads for somebody whose persons are known run under a role that
-- sees no rows but theirs, whatever a statement forgets. The owner of the tables, who writes and
-- maintains, is not subject to it. The role itself and its rights are looked after at each start,
-- because roles belong to the server and not to a database.

-- The persons of the session as it stands; nobody when nothing was said.
create function wall_persons() returns bigint[]
language sql stable parallel safe
as $$ select string_to_array(current_setting('pater.persons', true), ',')::bigint[] $$;

-- In a sub-select it is worked out once a statement, and indexes by person can be used.
do $$
declare
    name text;
begin
    foreach name in array array[
        'resource', 'history', 'string_index', 'date_index', 'number_index', 'code_index',
        'text_index'
    ] loop
        execute format('alter table %I enable row level security', name);
        execute format(
            'create policy wall on %I for select'
            ' using (person = any ((select wall_persons())::bigint[]))', name);
    end loop;
end $$;
