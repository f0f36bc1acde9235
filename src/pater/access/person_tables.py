"""The tables of this room that carry a person number: their rows move when persons are merged."""

from __future__ import annotations

from typing import Final

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.labels import PROVIDER_MASK
from pater.store.person_tables import PersonTable
from pater.store.write import Statement

# What processes remember of a person's will is right again from the next request on.
_STAMP: Final = """
insert into will_state (person, stamp)
select $1::bigint, nextval('will_stamp')
where exists (select from will where person = $1::bigint)
   or exists (select from will_state where person = $1::bigint)
on conflict (person) do update set stamp = excluded.stamp
"""
PERSON_TABLES: Final = (
    PersonTable(
        "care_relation",
        "concat_ws('|', t.kind, t.organization, t.practitioner, t.since, t.until, t.source_type,"
        " t.source)",
        resource=("t.source_type", "t.source"),
    ),
    PersonTable(
        "will", "t.source", resource=(str(TYPE_NUMBER["Consent"]), "t.source"), after=(_STAMP,)
    ),
    PersonTable("emergency_access", "t.id"),
    PersonTable("representation", "t.id", patient="patient"),
    PersonTable("representation", "t.id", person="agent"),
    PersonTable("account", "t.id", patient="patient"),
    PersonTable("app_grant", "t.id", patient="patient"),
    PersonTable("app_launch", "encode(t.handle_hash, 'hex')", patient="patient"),
)
_KEPT: Final = """
insert into care_relation
  (person, kind, organization, practitioner, since, until, source_type, source)
select distinct on (c.organization)
       $1::bigint, c.kind, c.organization, '', c.since, c.until, 0::smallint, ''
from care_relation c
where c.person = $2::bigint and c.kind = 'author' and c.source = ''
  and c.organization ~ '^[0-9]{8}$'
  and not exists (
    select from care_relation o
    where o.person = $1::bigint and o.organization = c.organization and o.kind = 'author')
  and exists (
    select from resource r where r.person = $1::bigint and not r.deleted
      and r.label & $3::bigint = c.organization::bigint << 8)
"""
_ENDED: Final = """
delete from care_relation c
where c.person = $1::bigint and c.kind = 'author' and c.source = ''
  and c.organization ~ '^[0-9]{8}$'
  and exists (
    select from resource r where r.person = $2::bigint and not r.deleted
      and r.label & $3::bigint = c.organization::bigint << 8)
  and not exists (
    select from resource r where r.person = $1::bigint and not r.deleted
      and r.label & $3::bigint = c.organization::bigint << 8)
"""


def authors_kept(person: int, other: int) -> Statement:
    """Authors of another person who wrote of this one too are authors of this one."""
    return Statement(_KEPT, (person, other, PROVIDER_MASK))


def authors_ended(person: int, other: int) -> Statement:
    """Who wrote of another person, and nothing of this one, is no author of this one."""
    return Statement(_ENDED, (person, other, PROVIDER_MASK))
