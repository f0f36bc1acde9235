-- Keys stand beside the persons, in a table of which only the index is read: a key and a person take
-- eight bytes there, so that those of a country stay in memory (under GIN they took twice that, and
-- each person found had to be looked at in the table). Of a key its last 32 bits are kept: among a
-- hundred million keys one in forty meets another of the same bits, and what is found by it is
-- compared like all else.
create table person_key (
    key    int not null,
    person int not null
);
-- Read by index only as far as it is vacuumed, so that is done by the number of rows, not their share.
alter table person_key set (
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000);

insert into person_key (key, person)
select k.key, i.person
from person_index i
cross join lateral (
    select distinct ((wide << 32) >> 32)::int as key from unnest(i.keys) as u(wide)) k;

-- Not unique, so that it can be put off while millions are loaded: who writes looks by person.
create index person_key_found on person_key (key, person);
create index person_key_person on person_key (person);

-- The persons without their keys, written anew so that no room is left where these stood.
create table person_features (
    person   bigint primary key,
    features bytea not null
);
alter table person_features alter column features set storage main;
insert into person_features (person, features) select person, features from person_index order by person;
drop table person_index;
delete from index_later where name = 'person_index_keys';
alter table person_features rename to person_index;
alter index person_features_pkey rename to person_index_pkey;

-- Persons who share keys with the one who is asked about, those with the most keys first. Of each
-- key at most `reach` persons are read, one page or two, and of those who share nothing else the
-- first `each`. Keys that more persons share than are read are asked about those who were found by
-- a common key, so that what is on everybody's record needs something else beside it.
drop function persons_alike;
create function persons_alike(keys int[], each int, reach int, without bigint[], most int)
returns table (person bigint, features bytea)
language plpgsql stable parallel safe
set enable_seqscan = off
set enable_bitmapscan = off
set plan_cache_mode = force_generic_plan
as $$
begin
  return query
  with read as materialized (
    select k.key, s.person, s.place, s.sharers
    from unnest(keys) as k(key)
    cross join lateral (
      select r.person, row_number() over () as place, count(*) over () as sharers
      from (
        select p.person from person_key p where p.key = k.key order by p.person limit reach) r) s),
  beside as (
    select w.key, f.person, each + 1 as place
    from (select distinct r.key from read r where r.sharers = reach) w
    cross join (
      select distinct r.person from read r where r.sharers > each and r.sharers < reach) f
    where exists (select from person_key p where p.key = w.key and p.person = f.person)
      and not exists (select from read r where r.key = w.key and r.person = f.person))
  select i.person, i.features
  from (
    select c.number, c.times,
           row_number() over (partition by c.rare order by c.times desc, c.number) as place
    from (
      select s.person as number, count(*) as times, bool_or(s.rare) as rare
      from (
        select r.person, r.place, r.sharers <= each as rare from read r
        union all select b.person, b.place, false from beside b) s
      where s.person <> all (without)
      group by s.person having count(*) > 1 or min(s.place) <= each) c) t
  join person_index i on i.person = t.number
  where t.place <= most / 2
  order by t.times desc, t.number;
end $$;
