-- How a caller stands to a person now, as one text (see access/believing.py): a search that believes
-- what is remembered asks for it in its own statement, and finds nothing when it is another text.
-- With the rights of the owner, because the role beneath the wall may not read these tables.
create function standing_of(
    whose bigint, moment timestamptz, ours text, names text[], agent_kind text, agent text,
    practitioner smallint, professional text
) returns text
language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
    return concat_ws('|',
        array_to_string(array(
            select distinct c.kind from care_relation c
            where c.person = whose and c.since <= moment and c.until > moment
              and ((c.organization <> '' and c.organization = ours)
                   or (c.practitioner <> '' and c.practitioner = any (names)))
            order by c.kind), ','),
        exists (
            select from emergency_access e
            where e.person = whose and e.agent = standing_of.agent
              and e.agent_kind = standing_of.agent_kind
              and e.since <= moment and e.until > moment and e.ended is null),
        coalesce(
            (select s.stamp::text from will_state s where s.person = whose),
            (exists (select from emergency_access e where e.person = whose))::text),
        coalesce(
            (select r.version::text from resource r
             where r.type = standing_of.practitioner and r.id = professional), ''));
end $$;
