"""The index by which persons are found who may be the one that is asked about.

Of each person there are hashed keys, which stand in an index in the order of their numbers, and one
row of packed features. A search reads a bounded number of persons for each key, however common what
it says is: those whom many share count only with something else beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from pater.fhir.definitions import TYPE_NUMBER
from pater.registers.matching.features import Features, features_of, pack, unpack
from pater.registers.matching.former import former_keys
from pater.registers.matching.keys import blocking_keys
from pater.registers.matching.model import Decision, Model, Score, decide
from pater.store.database import Connection, Database
from pater.store.write import Statement

EACH: Final = 24
"""Persons who are compared because of one key alone."""
REACH: Final = 400
"""Persons that are read for one key: two pages of the index at most."""
MOST: Final = 120
"""Persons that are compared at once, those who share the most; half may share common keys only."""
RULE: Final = "2"
"""By which rule entries are made. Another one has all of them made anew at the next start."""
_PATIENT: Final = TYPE_NUMBER["Patient"]

FOUND: Final = "select person, features from persons_alike($1, $2, $3, $4, $5)"
"""Keys, `EACH`, `REACH`, who is left out, `MOST`: those with the most keys first."""
# Who writes a person's keys holds the row of their Patient, so nobody else does meanwhile.
_KEPT: Final = f"""
with p as materialized (
  select r.person from resource r
  where r.type = {_PATIENT} and r.id = $1 and r.person > 0 and not r.deleted),
entry as (
  insert into person_index (person, features) select p.person, $3 from p
  on conflict (person) do update set features = excluded.features
  where person_index.features <> excluded.features),
gone as (
  delete from person_key k using p where k.person = p.person::int and k.key <> all($2::int[]))
insert into person_key (key, person)
select n.key, p.person from p cross join unnest($2::int[]) as n(key)
where not exists (select from person_key h where h.person = p.person::int and h.key = n.key)
"""  # noqa: S608 a number of the program
_OF: Final = "select person, features from person_index where person = any($1::bigint[])"
_MADE: Final = "select rule from person_index_made"
_GONE: Final = """
with gone as (delete from person_index where person = $1)
delete from person_key where person = $1::bigint::int
"""


class Entry(NamedTuple):
    """What stands in the index of one person."""

    keys: tuple[int, ...]
    features: bytes


def findable(patient: Mapping[str, Any]) -> bool:
    """Whether a Patient is one whom others may turn out to be: neither ended nor replaced."""
    return patient.get("active") is not False


def entry_of(patient: Mapping[str, Any]) -> Entry | None:
    """The index entry of a Patient, None for one who is not to be found.

    The Patient may be as somebody sent it: raises AttributeError or TypeError for a broken one.
    """
    if not findable(patient):
        return None
    features = features_of(patient)
    return Entry(tuple(blocking_keys(features)), pack(features))


def kept(id: str, patient: Mapping[str, Any]) -> Statement | None:
    """What keeps the index with a Patient that is written in the same transaction."""
    entry = entry_of(patient)
    if entry is None:
        return None
    return Statement(_KEPT, (id, list(entry.keys), entry.features))


def gone(person: int) -> Statement:
    """What takes a person out of the index who is not to be found any more."""
    return Statement(_GONE, (person,))


async def copy_entries(connection: Connection, entries: Sequence[tuple[int, Entry]]) -> None:
    """Writes the entries of new persons by COPY, in a transaction of the caller."""
    if entries:
        await connection.copy_records_to_table(
            "person_index",
            records=[(person, each.features) for person, each in entries],
            columns=["person", "features"],
        )
        await connection.copy_records_to_table(
            "person_key",
            records=[(key, person) for person, each in entries for key in each.keys],
            columns=["key", "person"],
        )


class PersonIndex:
    """Finds and compares persons of one database."""

    def __init__(self, db: Database, model: Model, *, settled: bool = True) -> None:
        """`settled`: whether no entry of the rule before is left; else it is asked until so."""
        self._db = db
        self.model = model
        self._settled = settled

    async def candidates(
        self, features: Features, *, without: frozenset[int] = frozenset()
    ) -> list[tuple[int, Features]]:
        """Persons who share a key with these features, those with the most keys first.

        At most MOST, whatever is asked; never a walk through the table. While entries are made
        anew, those of the rule before are found by their keys too.
        """
        keys = blocking_keys(features)
        if not keys:
            return []
        if not self._settled:
            self._settled = await self._db.fetchval(_MADE) == RULE
            keys = keys if self._settled else tuple({*keys, *former_keys(features)})
        rows = await self._db.fetch(FOUND, keys, EACH, REACH, list(without), MOST)
        return [(row["person"], unpack(row["features"])) for row in rows]

    async def features(self, persons: Sequence[int]) -> dict[int, Features]:
        """The features of those of the persons who can be found."""
        rows = await self._db.fetch(_OF, list(persons)) if persons else []
        return {row["person"]: unpack(row["features"]) for row in rows}

    async def ranked(
        self, patient: Mapping[str, Any], persons: Sequence[int]
    ) -> list[tuple[int, Score]]:
        """These persons compared with a Patient, the likeliest first."""
        asked = features_of(patient)
        found = await self.features(persons)
        scored = [(person, self.model.score(asked, each)) for person, each in found.items()]
        return sorted(scored, key=lambda each: (-each[1].weight, each[0]))

    async def match(
        self, patient: Mapping[str, Any], *, without: frozenset[int] = frozenset()
    ) -> Decision:
        """Whether a Patient is a person of the register, may be one, or is new."""
        asked = features_of(patient)
        return decide(self.model, asked, await self.candidates(asked, without=without))
