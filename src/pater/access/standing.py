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

from pater.access import believing, representation
from pater.access.actors import identified
from pater.access.caller import Caller
from pater.access.deciding import Ages
from pater.access.facts import NOTHING, Along, Belief, Facts
from pater.access.relations import EVER
from pater.access.territories import living_in, territory_of
from pater.access.will import Compiled, Rule, Whom, compile_will, read_rules
from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER
from pater.fhir.json import parse
from pater.fhir.labels import Veil
from pater.store.beside import Beside
from pater.store.database import Database
from pater.store.read import read

SELF: Final = Facts(frozenset({"self"}))
"""Of a patient to their own record: nothing is held back."""

_MOST_RULES: Final = 50_000
"""Rules that are remembered, of all persons together."""
_MOST_VEILS: Final = 64
"""Callers that are remembered for one person."""
_MOST_PROFESSIONALS: Final = 10_000
_OPEN: Final = Veil(())

# Each part is a look-up by key or by the index of a person.
_CARE: Final = """
  array(
    select {distinct} c.kind from care_relation c
    where c.person = p.person and c.since <= {0} and c.until > {0}
      and ((c.organization <> '' and c.organization = {1})
           or (c.practitioner <> '' and c.practitioner = any({2})))
  ) as kinds,
  exists (
    select from emergency_access e
    where e.person = p.person and e.agent = {4} and e.agent_kind = {3}
      and e.since <= {0} and e.until > {0} and e.ended is null
  ) as override,
  exists (select from emergency_access e where e.person = p.person) as told,
"""
_VERSION: Final = (
    "(select r.version from resource r where r.type = {5} and r.id = {6}) as professional"
)
# `known` are stamps that we have already
_FACTS: Final = f"""
select p.person,
{_CARE.format("$3", "$4", "$5::text[]", "$6", "$7", distinct="distinct")}
  s.stamp,
  case when s.stamp is distinct from p.known then
    array(select w.source || '|' || w.rules from will w where w.person = p.person)
  end as rules,
  {_VERSION.replace("{5}", "$8").replace("{6}", "$9")}
from unnest($1::bigint[], $2::bigint[]) as p(person, known)
left join will_state s on s.person = p.person
"""  # noqa: S608 constants
# The same of one person beside another look-up, as few parts as can be: each costs some
# microseconds of every read.
_STAMP: Final = "(select s.stamp from will_state s where s.person = p.person) as stamp,"
_OF_A_SYSTEM: Final = f"{_CARE.replace('{distinct}', '')} {_STAMP} null::int as professional"
_OF_SOMEBODY: Final = f"{_CARE.replace('{distinct}', '')} {_STAMP} {_VERSION}"
_PRACTITIONER: Final = TYPE_NUMBER["Practitioner"]
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
    """What one person wants, under its stamp (None = nothing was ever said), and its veils."""

    stamp: int | None
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

    `territories` says of organizations (IČO) for which regions they have powers, as
    `territories.territory_of` reads them; `parents` how long parents act for children.
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
            ico: territory_of(named) for ico, named in territories.items() if named
        }
        self._wills: OrderedDict[int, _Will] = OrderedDict()
        self._remembered = 0  # rules
        self._memory = believing.Memory()
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

    async def along(self, caller: Caller) -> Along | None:
        """How the facts of one person come along with a look-up of that person's rows.

        Only what is remembered can be told then: of a person whose will is not, or has changed,
        the facts have to be asked for.
        """
        if not self._rows_tell(caller):
            return None
        ours, now = caller.organization, self._clock()
        version, names = await self._professional(caller.practitioner)
        whom = _whom(caller, names)

        async def facts(row: Any) -> Facts | None:
            kept = self._wills.get(row["person"])
            if kept is None or kept.stamp != row["stamp"] or version != row["professional"]:
                return None
            return self._one(row, kept, whom, frozenset(), now).facts

        values: tuple[tuple[object, str], ...] = (
            (now, "timestamptz"), (ours, "text"), (sorted(names), "text[]"), (caller.kind, "text"),
            (caller.id, "text"),
        )  # fmt: skip
        if not caller.practitioner:
            return Along(Beside(_OF_A_SYSTEM, values), facts)
        doctor = ((_PRACTITIONER, "smallint"), (caller.practitioner, "text"))
        return Along(Beside(_OF_SOMEBODY, (*values, *doctor)), facts)

    async def believed(self, caller: Caller, person: int) -> Belief | None:
        """What is remembered of one person (see `believing`); None = it has to be asked."""
        stood = self._memory.of(caller, person) if self._rows_tell(caller) else None
        will = self._wills.get(person)
        if stood is None or will is None:
            return None
        now = self._clock()
        version, names = await self._professional(caller.practitioner)
        if will.stamp is None:
            veil = _OPEN if stood.told else None
        else:
            veil = _veil(will, _whom(caller, names), now)
        condition = believing.given(caller, person, now, names, stood, will.stamp, version)
        return Belief(Facts(stood.relations, veil), condition)

    def remember(self, caller: Caller, person: int, facts: Facts) -> None:
        """Remembers what was just found of one person, to be believed the next time."""
        if self._rows_tell(caller):
            stood = believing.Stood(facts.relations, facts.veil is not None)
            self._memory.keep(caller, person, stood)

    def _rows_tell(self, caller: Caller) -> bool:
        """Whether the rows of one person say all there is to know of the caller."""
        own = caller.role in ("patient", representation.ACTING)
        return not own and caller.organization not in self._territories

    async def _acting(self, caller: Caller, persons: list[int]) -> dict[int, Facts]:
        """Of whom the caller acts for what their representation says now, of others nothing."""
        facts = dict.fromkeys(persons, NOTHING)
        one = await representation.standing_of(self._db, caller.acting, persons)
        if one is not None:
            facts[one.person] = representation.facts_of(one, self._clock(), self._parents)
        return facts

    async def seen(self, caller: Caller, person: int, at: datetime) -> Seen:
        """All that is known of one person at a moment: for explanations."""
        if caller.role == representation.ACTING:
            one = await representation.standing_of(self._db, caller.acting, [person])
            facts = representation.facts_of(one, at, self._parents) if one else NOTHING
            return Seen(facts, (), _whom(caller, frozenset()))
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
            if attempt == _TRIES or version == rows[0]["professional"]:
                break
            self._names.pop(caller.practitioner or "", None)
        whom = _whom(caller, names)
        here: frozenset[int] = frozenset()
        territory = self._territories.get(caller.organization)
        if territory is not None:
            here = await living_in(self._db, territory, persons, now)
        return {row["person"]: self._one(row, kept[row["person"]], whom, here, now) for row in rows}

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
        return await self._db.look_up(_FACTS, *values)

    def _one(
        self, row: Any, kept: _Will | None, whom: Whom, here: frozenset[int], now: datetime
    ) -> Seen:
        relations = {str(kind) for kind in row["kinds"]}
        if row["override"]:
            relations.add("override")
        person, stamp = row["person"], row["stamp"]
        if person in here:
            relations.add("territory")
        if stamp is None:
            if kept is None or kept.stamp is not None:
                self._learn(person, None, [])
            # who was ever looked at in an emergency has notices that are nobody else's to see
            veil = _OPEN if row["told"] else None
            return Seen(Facts(frozenset(relations), veil), (), whom)
        # no rules came because these were known, whatever others have learned meanwhile
        known = kept is not None and kept.stamp == stamp
        will = kept if kept and known else self._learn(person, stamp, row["rules"])
        return Seen(Facts(frozenset(relations), _veil(will, whom, now)), will.rules, whom)

    def _learn(self, person: int, stamp: int | None, rules: list[str]) -> _Will:
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


def _whom(caller: Caller, names: frozenset[str]) -> Whom:
    organization = {f"ico|{caller.organization}"} if caller.organization else set()
    return Whom(names | organization, caller.purpose)


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
