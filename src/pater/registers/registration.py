"""The one way in for identities that are not documents: who is it, and what is written for it.

Whoever tells of somebody names a number of their own (a source), which leads to the same person
ever after. A new number is resolved: by verified identifiers, else by comparison. All that follows
is one commit, which holds claims: of the number, of the identifiers, and of the demographics as
nobody held them before the search. So of many who tell of one new person at once, one makes it, and
the others look again and find it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, Final, Literal

from pater.access.caller import Caller
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.issues import Issue
from pater.fhir.json import parse
from pater.records.errors import AlreadyClaimed, Forbidden, PreconditionFailed, Unprocessable
from pater.records.gate import Change, Gate
from pater.registers import sources
from pater.registers.accepting import Resource, accepted
from pater.registers.cases import opening
from pater.registers.identified import Way, identified
from pater.registers.identifiers import RID, new_drid, new_rid
from pater.registers.matching import Score
from pater.registers.matching.index import PersonIndex
from pater.registers.patients import (
    REASONS,
    Known,
    demographics_agree,
    known_identifiers,
    number_of,
    somebody_else,
    strong_key,
    verified,
    who_key,
)
from pater.registers.surviving import Said, Source, survive
from pater.store.database import Database, Record
from pater.store.read import Stored, claim_holders, read
from pater.store.write import Claim, Statement, claim_key

Outcome = Literal["matched", "new", "possible"]
ATTEMPTS: Final = 24
_LONGEST: Final = 200
_ANOTHER: Final = (
    "under this number somebody of another name and another birth date is registered: tell of this"
    " person under a number of their own, or end the number first"
)
_PERSON: Final = (
    "insert into person (person, rid, temporary, patient, created) values ($1, $2, $3, $4, $5)"
    " on conflict (person) do update set rid = excluded.rid, temporary = excluded.temporary"
)
_ROW: Final = "select rid, temporary from person where person = $1"
_CASE: Final = "select id from match_case where person = $1 and state = 'open'"
_MASTER: Final = """
select r.id from resource r where r.type = $1 and r.person = $2 and not r.deleted
and not exists (select from alias a where a.patient = r.id) limit 1
"""


@dataclass(frozen=True, slots=True)
class Registered:
    """Who somebody is, as the register has it now.

    `outcome`: the person was known already (`matched`), is `new`, or is new for the time being and
    may be somebody else (`possible`: `case` is the registrars'). `created` = this call made the
    person. `issues` are remarks on what was told.
    """

    person: int
    patient: str
    rid: str
    outcome: Outcome
    case: int | None = None
    created: bool = False
    issues: tuple[Issue, ...] = ()
    reason: str = ""  # why there is a case


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would become of a statement: the person (0 = a new one), the outcome, why there would
    be a case for registrars ("" = none), and remarks.
    """

    person: int
    outcome: Outcome
    reason: str = ""
    issues: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class _Meant:
    """What a statement comes to before it is written; person 0 = a new one is made."""

    person: int = 0
    patient: str = ""
    ranked: Sequence[tuple[int, Score]] = ()
    reason: str = ""  # of a case, "" = there is none
    way: Way | None = None  # how the register knew whom a new number is of
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class _Held:
    """Who held the claims of a statement before anything was looked for."""

    source: tuple[int, str] | None
    strong: Mapping[bytes, tuple[int, str]]
    who: bytes | None
    who_holder: str


class Registration:
    """Takes what sources say of persons."""

    def __init__(
        self,
        gate: Gate,
        db: Database,
        index: PersonIndex,
        *,
        next_person: Callable[[], Awaitable[int]],
        random: Random,
        clock: Callable[[], datetime],
        strict: bool = True,
    ) -> None:
        """`random` has to be one whose numbers nobody guesses (`SystemRandom`)."""
        self._gate, self._db, self._index = gate, db, index
        self._next_person, self._random, self._clock = next_person, random, clock
        self._strict = strict

    async def register(
        self, caller: Caller, patient: Mapping[str, Any], source: Source
    ) -> Registered:
        """Takes a Patient that a source tells of under its own number, for the first time or anew.

        Raises Forbidden, Unprocessable with all that is wrong, TooMany.
        """
        await self._gate.require(caller, "create", "Patient")
        await self._own(caller, source)
        said, issues = accepted(patient, self._clock(), strict=self._strict)
        for attempt in range(ATTEMPTS):
            try:
                return await self._once(caller, said, source, issues)
            except (AlreadyClaimed, PreconditionFailed):
                if attempt == ATTEMPTS - 1:
                    raise
                await asyncio.sleep(self._random.random() * 0.004 * (attempt + 1))
        raise AssertionError("the last attempt returns or raises")

    async def foresee(self, caller: Caller, patient: Mapping[str, Any], source: Source) -> Foreseen:
        """What `register` would come to now; nothing is written. Raises as it does."""
        await self._gate.require(caller, "create", "Patient")
        await self._own(caller, source)
        said, issues = accepted(patient, self._clock(), strict=self._strict)
        strong = [each for each in known_identifiers(said) if each.usable]
        held = await self._claims(said, source, strong)
        meant = await self._meant(said, strong, held)
        if meant.person:
            await self._held_by(said, source, held, meant)
        outcome: Outcome = "possible" if meant.reason else "matched" if meant.person else "new"
        return Foreseen(meant.person, outcome, REASONS.get(meant.reason, ""), issues)

    async def find(self, system: str, value: str, name: str) -> tuple[int, str] | None:
        """The person and Patient that a source (`name`: IČO or register) knows under a number."""
        key = sources.key(Source(name, system, value))
        return (await claim_holders(self._db, [key])).get(key)

    async def _own(self, caller: Caller, source: Source) -> None:
        """A provider tells of its own patients only, under numbers of its own."""
        if caller.role == "provider-system" and source.name != caller.organization:
            await self._gate.refuse(caller, "create", "Patient", "no-organization")
            raise Forbidden("no-organization", "a provider tells of its own numbers only")
        texts = (source.name, source.system, source.value)
        if not all(0 < len(each) <= _LONGEST and each.isprintable() for each in texts):
            text = f"a source's number has a system and a value of up to {_LONGEST} characters"
            raise Unprocessable([Issue("error", "value", "Patient.identifier", text)])

    async def _once(
        self, caller: Caller, said: Resource, source: Source, issues: tuple[Issue, ...]
    ) -> Registered:
        strong = [each for each in known_identifiers(said) if each.usable]
        held = await self._claims(said, source, strong)
        meant = await self._meant(said, strong, held)
        if meant.person == 0:
            return await self._new(caller, said, source, strong, held, meant, issues)
        return await self._known(caller, said, source, strong, held, meant, issues)

    async def _claims(self, said: Resource, source: Source, strong: Sequence[Known]) -> _Held:
        number, who = sources.key(source), who_key(said)
        keys = [number, *(strong_key(each) for each in strong), *([who] if who else ())]
        found = await claim_holders(self._db, keys)
        strongly = {k: found[k] for each in strong if (k := strong_key(each)) in found}
        holder = found.get(who, (0, ""))[1] if who else ""
        return _Held(found.get(number), strongly, who, holder)

    async def _meant(self, said: Resource, strong: Sequence[Known], held: _Held) -> _Meant:
        """By the source's number, by verified identifiers, by comparison."""
        holders = dict(held.strong.values())
        if held.source is not None:
            person, patient = held.source
            others = [each for each in holders if each != person]
            ranked = await self._index.ranked(said, others)
            return _Meant(person, patient, ranked, "numbers" if others else "")
        if len(holders) > 1:
            return _Meant(ranked=await self._index.ranked(said, list(holders)), reason="numbers")
        if holders:
            [(person, patient)] = holders.items()
            stored = await read(self._db, "Patient", patient)
            if (
                stored is not None
                and not stored.deleted
                and demographics_agree(said, parse(stored.body))
            ):
                return _Meant(person, patient, way="number")
            return _Meant(ranked=await self._index.ranked(said, [person]), reason="disagree")
        found = await self._index.match(said)
        if found.outcome == "match":
            person, score = found.ranked[0]
            patient = await self._master_of(person)
            if patient:
                return _Meant(person, patient, way="alike", weight=score.weight)
        if found.outcome == "new":
            return _Meant()
        return _Meant(ranked=found.ranked, reason="possible")

    async def _master_of(self, person: int) -> str:
        found = await self._db.fetchval(_MASTER, TYPE_NUMBER["Patient"], person)
        return found or ""

    async def _new(
        self,
        caller: Caller,
        said: Resource,
        source: Source,
        strong: Sequence[Known],
        held: _Held,
        meant: _Meant,
        issues: tuple[Issue, ...],
    ) -> Registered:
        """A new person: for good when verified and nobody is like them, else for the time being."""
        certain = not meant.reason and verified(said, strong)
        told = next((each.value for each in strong if each.kind == "rid"), None)
        rid = (told or new_rid(self._random)) if certain else new_drid(self._random)
        person, patient = await self._next_person(), self._gate.new_id()
        now = self._clock()
        base = {"resourceType": "Patient", "identifier": [_own_number(rid)], "active": True}
        master = survive(base, [Said(source, said, now, person=person)])
        master = _without(master, set(held.strong), base=None)
        claims = [
            sources.claim(source, person, patient),
            Claim(claim_key("person", RID, rid), person, patient),
            *self._claimed(master, person, patient),
        ]
        if held.who is not None:
            claims.append(Claim(held.who, person, patient, instead=held.who_holder))
        statements = [
            Statement(_PERSON, (person, rid, not certain, patient, now)),
            sources.said(person, source, said, now),
        ]
        if meant.reason:
            statements.append(opening(person, meant.ranked, meant.reason, source.name, now))
        change = Change("create", "Patient", patient, master, person=person, derived=True)
        await self._write(caller, [change], claims, statements)
        return await self._registered(
            person, patient, rid, "possible" if meant.reason else "new", True, issues, meant.reason
        )

    async def _known(
        self,
        caller: Caller,
        said: Resource,
        source: Source,
        strong: Sequence[Known],
        held: _Held,
        meant: _Meant,
        issues: tuple[Issue, ...],
    ) -> Registered:
        """Somebody who is here: what the source says becomes part of what is known of them."""
        person = meant.person
        stored, before, row = await self._held_by(said, source, held, meant)
        now = self._clock()
        rid: str = row["rid"] if row else number_of(before)
        known = await sources.of(self._db, person)
        case = meant.reason
        ranked = meant.ranked
        if (not rid or (row and row["temporary"])) and verified(said, strong) and not case:
            found = await self._index.match(said, without=frozenset({person}))
            if found.outcome == "new":
                rid = new_rid(self._random)
            else:
                case, ranked = "possible", found.ranked
        rid = rid or new_drid(self._random)
        same = any(
            (each.source.name, each.source.system, each.source.value)
            == (source.name, source.system, source.value)
            and each.patient == said
            for each in known
        )
        master = before
        if not same:
            base = numbered(before, rid)
            new = Said(source, said, now, person=person)
            master = survive(base, sources.with_this(known, new))
            taken = {k for k, (who, _) in (await self._taken(master)).items() if who != person}
            master = _without(master, taken, base=before)
        return await self._keep(
            caller, said, source, stored, before, master, rid, case, ranked, now, issues,
            held=held, meant=meant, fresh=not same, numbered=row is None or row["rid"] != rid,
        )  # fmt: skip

    async def _held_by(
        self, said: Resource, source: Source, held: _Held, meant: _Meant
    ) -> tuple[Stored, Resource, Record | None]:
        """The Patient whom a statement is about, and their number. Raises Unprocessable for one who
        is gone, and where the source's number is somebody else's.
        """
        stored = await read(self._db, "Patient", meant.patient)
        if stored is None or stored.deleted:
            text = "the person of this number was taken out of the register"
            raise Unprocessable([Issue("error", "deleted", "Patient.identifier", text)])
        before = parse(stored.body)
        row = await self._db.fetchrow(_ROW, meant.person)
        lasting = row is not None and not row["temporary"]
        if held.source and lasting and not source.reference and somebody_else(said, before):
            # one person's number typed over with another: who has records must not become them
            raise Unprocessable([Issue("error", "business-rule", "Patient", _ANOTHER)])
        return stored, before, row

    async def _keep(
        self,
        caller: Caller,
        said: Resource,
        source: Source,
        stored: Stored,
        before: Resource,
        master: Resource,
        rid: str,
        case: str,
        ranked: Sequence[tuple[int, Score]],
        now: datetime,
        issues: tuple[Issue, ...],
        *,
        held: _Held,
        meant: _Meant,
        fresh: bool,
        numbered: bool,
    ) -> Registered:
        person, patient = stored.person, stored.id
        outcome: Outcome = "possible" if case else "matched"
        if not fresh and not numbered and not case and held.source is not None:
            await self._gate.identify(caller, [person], "registered")
            return await self._registered(person, patient, rid, outcome, False, issues)
        claims = [
            sources.claim(source, person, patient),
            Claim(claim_key("person", RID, rid), person, patient),
            *self._claimed(master, person, patient),
        ]
        statements = [sources.said(person, source, said, now)] if fresh else []
        if meant.way is not None:
            key = (source.name, source.system, source.value)
            statements.append(identified(meant.way, now, meant.weight, *key))
        if numbered:
            temporary = rid.startswith("D")
            statements.append(Statement(_PERSON, (person, rid, temporary, patient, now)))
        if case:
            statements.append(opening(person, ranked, case, source.name, now))
        change = Change(
            "update", "Patient", patient, master, if_match=stored.version, person=person,
            derived=True,
        )  # fmt: skip
        changes = [change] if master != before else []
        await self._write(caller, changes, claims, statements)
        if not changes:
            await self._gate.identify(caller, [person], "registered")
        return await self._registered(person, patient, rid, outcome, False, issues, case)

    async def _taken(self, master: Resource) -> dict[bytes, tuple[int, str]]:
        keys = [strong_key(each) for each in known_identifiers(master) if each.usable]
        return await claim_holders(self._db, keys)

    def _claimed(self, master: Resource, person: int, patient: str) -> list[Claim]:
        usable = [each for each in known_identifiers(master) if each.usable]
        return [Claim(strong_key(each), person, patient) for each in usable]

    async def _write(
        self,
        caller: Caller,
        changes: Sequence[Change],
        claims: Sequence[Claim],
        statements: Sequence[Statement],
    ) -> None:
        decided = self._gate.decide(caller, "create", "Patient")
        if not decided.allowed:
            raise Forbidden(decided.reason)
        await self._gate.commit(
            caller,
            changes,
            claims=list({each.key: each for each in claims}.values()),
            statements=statements,
            reason=decided.reason,
        )

    async def _registered(
        self,
        person: int,
        patient: str,
        rid: str,
        outcome: Outcome,
        created: bool,
        issues: tuple[Issue, ...],
        reason: str = "",
    ) -> Registered:
        case = await self._db.fetchval(_CASE, person) if outcome == "possible" else None
        why = REASONS.get(reason, "")
        return Registered(person, patient, rid, outcome, case, created, issues, why)


def _own_number(rid: str) -> Resource:
    return {"use": "temp" if rid.startswith("D") else "official", "system": RID, "value": rid}


def numbered(master: Resource, rid: str) -> Resource:
    """The master with this number of the register; another one that it had is a former one."""
    kept = []
    for each in master.get("identifier", ()):
        if each.get("system") != RID:
            kept.append(each)
        elif each.get("value") != rid:
            kept.append({**each, "use": "old"})
    return {**master, "identifier": [_own_number(rid), *kept]}


def _without(master: Resource, taken: set[bytes], base: Resource | None) -> Resource:
    """The master without numbers of others, and without numbers that nobody can check.

    A number that cannot be checked stays with its source: who knows a name and a birth date could
    take it from its true owner by it. Only a new person (no `base`) may bring one.
    """
    had = {(i.get("system"), i.get("value")) for i in (base or {}).get("identifier", ())}
    dropped = {
        id(each.identifier)
        for each in known_identifiers(master)
        if each.usable
        and (
            strong_key(each) in taken
            or (
                base is not None
                and each.kind == "national"
                and (each.system, each.value) not in had
            )
        )
    }
    kept = [each for each in master.get("identifier", ()) if id(each) not in dropped]
    return {**master, "identifier": kept}
