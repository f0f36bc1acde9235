"""How callers stand to persons, from the database: one statement for all persons of a request.

What persons want is remembered in compiled form under a stamp that changes with every change; the
statement brings the stamps, and the rules of those whose stamp is not the known one. So every
process is right from the next request on, and a person who holds something back costs no more
statements than one who does not, or than a number that is nobody's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from pater.access import representation
from pater.access.actors import identified
from pater.access.caller import Caller
from pater.access.deciding import Ages
from pater.access.facts import NOTHING, Facts
from pater.access.relations import EVER
from pater.access.will import Compiled, Rule, Whom, compile_will, read_rules
from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER
from pater.fhir.json import parse
from pater.fhir.labels import Veil
from pater.fhir.search.text import normalise
from pater.store.database import Database
from pater.store.read import read
from pater.store.tokens import param_number

SELF: Final = Facts(frozenset({"self"}))
"""Of a patient to their own record: nothing is held back."""

_MOST_RULES: Final = 50_000
"""Rules that are remembered, of all persons together."""
_MOST_VEILS: Final = 64
"""Callers that are remembered for one person."""
_MOST_PROFESSIONALS: Final = 10_000
_OPEN: Final = Veil(())

# Each part is a look-up by key or by the index of a person; `known` are stamps we have already.
_FACTS: Final = """
select p.person,
  array(
    select distinct c.kind from care_relation c
    where c.person = p.person and c.since <= $3 and c.until > $3
      and ((c.organization <> '' and c.organization = $4)
           or (c.practitioner <> '' and c.practitioner = any($5::text[])))
  ) as kinds,
  exists (
    select from emergency_access e
    where e.person = p.person and e.agent = $7 and e.agent_kind = $6
      and e.since <= $3 and e.until > $3 and e.ended is null
  ) as override,
  exists (select from emergency_access e where e.person = p.person) as told,
  s.stamp,
  case when s.stamp is distinct from p.known then
    array(select w.source || '|' || w.rules from will w where w.person = p.person)
  end as rules,
  (select r.version from resource r where r.type = $8 and r.id = $9) as version{more}
from unnest($1::bigint[], $2::bigint[]) as p(person, known)
left join will_state s on s.person = p.person
"""
_HERE: Final = """,
  exists (
    select from resource r
    join string_index i on i.rid = r.rid
    where r.person = p.person and r.type = $10 and not r.deleted
      and i.type = $10 and i.param = $11 and i.value = any($12::text[])
  ) as here
"""
_EVERYWHERE: Final = _FACTS.format(more="")
_IN_TERRITORY: Final = _FACTS.format(more=_HERE)
_PRACTITIONER: Final = TYPE_NUMBER["Practitioner"]
_PATIENT: Final = TYPE_NUMBER["Patient"]
_STATE: Final = param_number("address-state")
_TRIES: Final = 3
_MOST_SAID: Final = 100
_SAID: Final = """
select kind, source_type, source, least(until, '9999-12-31 UTC') as until
from care_relation
where person = $1 and since <= $2 and until > $2
  and ((organization <> '' and organization = $3)
       or (practitioner <> '' and practitioner = any($4::text[])))
order by kind, source limit $5
"""


@dataclass(slots=True)
class _Will:
    """What one person wants, under its stamp, and the veils made of it."""

    stamp: int
    rules: tuple[Rule, ...]
    veils: dict[Whom, Compiled] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """All that was found of one person: the facts, and what the will says to whom."""

    facts: Facts
    rules: tuple[Rule, ...]
    whom: Whom


@dataclass(frozen=True, slots=True)
class Said:
    """A relation of care, and the resource that says it ("" type = no single one)."""

    kind: str
    type: str
    id: str
    until: datetime | None


class DatabaseStanding:
    """Facts from the tables of `access`, as of now, over any number of processes.

    `territories` says of organizations (IČO) for which regions, by the name or code that stands in
    `Patient.address.state`, they have powers; `parents` how long parents act for children.
    """

    def __init__(
        self,
        db: Database,
        clock: Callable[[], datetime],
        territories: Mapping[str, Collection[str]] = MappingProxyType({}),
        parents: Ages | None = None,
    ) -> None:
        self._db, self._clock, self._parents = db, clock, parents or Ages()
        self._territories = {
            ico: sorted({normalise(each) for each in named}) for ico, named in territories.items()
        }
        self._wills: OrderedDict[int, _Will] = OrderedDict()
        self._remembered = 0  # rules
        # names of professionals by Practitioner id, with the version that says so
        self._names: OrderedDict[str, tuple[int | None, frozenset[str]]] = OrderedDict()

    async def of(self, caller: Caller, persons: Collection[int]) -> Mapping[int, Facts]:
        """The facts of each of the persons (all are in the answer), as of now."""
        found: dict[int, Facts] = {}
        if caller.role == "patient" and caller.person:
            found = {person: SELF for person in persons if person == caller.person}
        asked = sorted({person for person in persons if person > 0 and person not in found})
        found |= {person: NOTHING for person in persons if person <= 0}
        if asked and caller.role == representation.ACTING:
            found |= await self._acting(caller, asked)
        elif asked:
            seen = await self._seen(caller, asked, self._clock())
            found |= {person: each.facts for person, each in seen.items()}
        return found

    async def _acting(self, caller: Caller, persons: list[int]) -> dict[int, Facts]:
        """Of whom the caller acts for what their representation says now, of others nothing."""
        facts = dict.fromkeys(persons, NOTHING)
        one = await representation.standing_of(self._db, caller.acting, persons)
        if one is not None:
            facts[one.person] = representation.facts_of(one, self._clock(), self._parents)
        return facts

    async def seen(self, caller: Caller, person: int, at: datetime) -> Seen:
        """All that is known of one person at a moment: for explanations."""
        return (await self._seen(caller, [person], at))[person]

    async def said(self, caller: Caller, person: int, at: datetime) -> list[Said]:
        """The caller's relations of care to a person at a moment, and what says them."""
        _, names = await self._professional(caller.practitioner)
        rows = await self._db.fetch(
            _SAID, person, at, caller.organization, sorted(names), _MOST_SAID
        )
        return [
            Said(
                row["kind"],
                RESOURCE_TYPES[row["source_type"]] if row["source"] else "",
                row["source"],
                None if row["until"] >= EVER else row["until"],
            )
            for row in rows
        ]

    async def _seen(self, caller: Caller, persons: list[int], now: datetime) -> dict[int, Seen]:
        for attempt in range(1, _TRIES + 1):
            kept = {person: self._wills.get(person) for person in persons}
            version, names = await self._professional(caller.practitioner)
            rows = await self._ask(caller, kept, names, now)
            if attempt == _TRIES or version == rows[0]["version"]:
                break
            self._names.pop(caller.practitioner or "", None)
        organization = {f"ico|{caller.organization}"} if caller.organization else set()
        whom = Whom(names | organization, caller.purpose)
        return {row["person"]: self._one(row, kept[row["person"]], whom, now) for row in rows}

    async def _ask(
        self,
        caller: Caller,
        kept: Mapping[int, _Will | None],
        names: frozenset[str],
        now: datetime,
    ) -> list[Any]:
        known = [None if will is None else will.stamp for will in kept.values()]
        values = [
            list(kept), known, now, caller.organization, sorted(names), caller.kind, caller.id,
            _PRACTITIONER, caller.practitioner or "",
        ]  # fmt: skip
        places = self._territories.get(caller.organization) if caller.organization else None
        if not places:
            return await self._db.look_up(_EVERYWHERE, *values)
        return await self._db.look_up(_IN_TERRITORY, *values, _PATIENT, _STATE, places)

    def _one(self, row: Any, kept: _Will | None, whom: Whom, now: datetime) -> Seen:
        relations = {str(kind) for kind in row["kinds"]}
        if row["override"]:
            relations.add("override")
        if "here" in row.keys() and row["here"]:  # noqa: SIM118 a Record is no dict
            relations.add("territory")
        person, stamp = row["person"], row["stamp"]
        if stamp is None:
            # who was ever looked at in an emergency has notices that are nobody else's to see
            veil = _OPEN if row["told"] else None
            return Seen(Facts(frozenset(relations), veil), (), whom)
        # no rules came because these were known, whatever others have learned meanwhile
        will = kept if kept and row["rules"] is None else self._learn(person, stamp, row["rules"])
        return Seen(Facts(frozenset(relations), _veil(will, whom, now)), will.rules, whom)

    def _learn(self, person: int, stamp: int, rules: list[str]) -> _Will:
        found: list[Rule] = []
        for text in rules:
            source, _, body = text.partition("|")
            found += read_rules(body, source)
        old = self._wills.pop(person, None)
        will = self._wills[person] = _Will(stamp, tuple(found))
        self._remembered += len(will.rules) - (len(old.rules) if old else -1)
        while self._remembered > _MOST_RULES and len(self._wills) > 1:
            _, old = self._wills.popitem(last=False)
            self._remembered -= len(old.rules) + 1
        return will

    async def _professional(self, practitioner: str | None) -> tuple[int | None, frozenset[str]]:
        """A professional's names (their id, the numbers of their Practitioner), as of a version."""
        if not practitioner:
            return None, frozenset()
        kept = self._names.get(practitioner)
        if kept is not None:
            return kept
        stored = await read(self._db, "Practitioner", practitioner)
        names = frozenset({f"Practitioner/{practitioner}"})
        if stored is not None and not stored.deleted:
            names |= identified(parse(stored.body)).practitioners
        found = (stored.version if stored else None, names)
        self._names[practitioner] = found
        if len(self._names) > _MOST_PROFESSIONALS:
            self._names.popitem(last=False)
        return found


def _veil(will: _Will, whom: Whom, now: datetime) -> Veil:
    """The veil of a will for a caller, remembered for as long as no period begins or ends."""
    kept = will.veils.get(whom)
    if kept is not None and (
        (kept.since is None or kept.since <= now) and (kept.until is None or now < kept.until)
    ):
        return kept.veil
    if len(will.veils) >= _MOST_VEILS:
        will.veils.clear()
    made = compile_will(will.rules, whom, now)
    will.veils[whom] = made
    return made.veil
