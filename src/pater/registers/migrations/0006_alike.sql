-- Persons who share keys with the one who is asked about, those with the most keys first: in one
-- round trip, and by the index whatever the planner thinks of how common a key is. For each key at
-- most `each` + 1 rows are read; keys that more persons share are asked again in pairs (the first
-- `pairs` of them), so that a common name needs something else beside it.
create function persons_alike(keys bigint[], each int, pairs int, without bigint[], most int)
returns table (person bigint, features bytea)
language plpgsql stable parallel safe
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  found bigint[];      -- persons, once for each key that they share
  common bigint[];
begin
  select array_agg(c.person), array_agg(distinct k.key) filter (where c.place > each)
  into found, common
  from unnest(keys) as k(key)
  cross join lateral (
    select s.person, row_number() over () as place
    from (select i.person from person_index i where i.keys @> array[k.key] limit each + 1) s) c;
  if cardinality(common) > 1 then
    select found || array_agg(c.person) into found
    from (
      select a.key as one, b.key as other
      from unnest(common) with ordinality as a(key, place)
      join unnest(common) with ordinality as b(key, place) on a.place < b.place
      order by a.place, b.place limit pairs) p
    cross join lateral (
      select i.person from person_index i where i.keys @> array[p.one, p.other] limit each) c;
  end if;
  return query
  select i.person, i.features
  from (
    select f.person as number, count(*) as times from unnest(found) as f(person)
    where f.person <> all (without)
    group by f.person order by times desc, number limit most) t
  join person_index i on i.person = t.number
  order by t.times desc, t.number;
end $$;
