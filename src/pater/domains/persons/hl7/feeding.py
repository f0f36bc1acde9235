"""ADT: systems of providers tell of their patients (IHE ITI-8, ITI-30).

A01, A04, A08, A28 and A31 all say who somebody is under the sender's own number: known or not, what
is told becomes part of the register. A40 says that one of the sender's numbers stands for another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pater.access.caller import Caller
from pater.domains.persons import tables as domains
from pater.domains.persons.hl7 import reading, tables
from pater.domains.persons.hl7.codec import Location, Message, Segment, Value, part
from pater.domains.persons.hl7.numbers import Fault, Named, Number, Systems, tidied
from pater.records.gate import Gate
from pater.registers import sources
from pater.registers.identifiers import BIRTH_NUMBER, RID, check
from pater.registers.matching.features import MOTHER
from pater.registers.patients import strong_keys
from pater.registers.registration import Registration
from pater.registers.renumbering import Renumbering
from pater.registers.surviving import Source

Resource = dict[str, Any]

EVENTS: Final = frozenset({"A01", "A04", "A08", "A28", "A31", "A40"})
ROLES: Final = frozenset({"provider-system"})
_LISTS: Final = (3, 2, 4, 19)
"""Fields of PID with numbers: the list, and where older versions had them."""


class Refused(Exception):  # noqa: N818 (named as the answer it becomes)
    """A message that is not done; `faults` say why."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(each.text for each in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Feeding:
    """What takes ADT messages of one register."""

    gate: Gate
    db: tables.Database
    registration: Registration
    renumbering: Renumbering
    systems: Systems

    async def take(self, caller: Caller, message: Message, default: str) -> list[Fault]:
        """Does an ADT message; gives remarks. `default` is the sender's system of numbers where
        CX-4 says none. Raises Refused, RecordsError.
        """
        if caller.role not in ROLES:
            await self.gate.refuse(caller, "create", "Patient", "no-organization")
            raise Refused(Fault(207, "only systems of providers tell of patients", _MSH))
        await self.gate.require(caller, "create", "Patient")
        pid = message.first("PID")
        if pid is None:
            raise Refused(Fault(100, "PID is missing", ("PID", 1, 0, 0, 0)))
        if len(list(message.all("PID"))) > 1:
            raise Refused(Fault(100, "one message is about one person", ("PID", 2, 0, 0, 0)))
        if message.event == "A40":
            return await self._resolve(caller, message, pid, default)
        return await self._tell(caller, message, pid, default)

    async def _tell(
        self, caller: Caller, message: Message, pid: Segment, default: str
    ) -> list[Fault]:
        told = reading.told(message, pid)
        numbers, faults = await self._numbers(caller, pid, _LISTS, default)
        faults = [*told.faults, *faults]
        errors = [each for each in faults if each.severity == "E"]
        if errors:
            raise Refused(*errors)
        own = [each for each in numbers if each.authority.gives(caller.organization)]
        national = [each for each in numbers if each.authority.national]
        if not numbers:
            text = "a number with its assigning authority is needed"
            raise Refused(Fault(101, text, ("PID", 1, 3, 1, 0)))
        source = _source(caller, (own or national)[0])
        faults += [
            Fault(103, "one number of the sender's own is kept, the first", each.where, "W")
            for each in own[1:]
        ]
        mother, said = await self._mother(caller, pid, default)
        faults += said
        before = await sources.one(self.db, source.name, source.system, source.value)
        told_numbers = [each.identifier for each in (*own[:1], *national)]
        was = before.patient if before is not None else {}
        patient = reading.with_before(told, told_numbers, was, self.gate.now().date())
        if mother:
            others = [e for e in patient.get("extension", ()) if e.get("url") != MOTHER]
            patient["extension"] = [*others, {"url": MOTHER, "valueIdentifier": mother}]
        made = await self.registration.register(caller, patient, source)
        await tables.revive(self.db, source.name, (source.system, source.value))
        faults += [Fault(103, each.text, reading.place_of(each.path), "W") for each in made.issues]
        return faults

    async def said_since(
        self, caller: Caller, message: Message, default: str, moment: datetime
    ) -> bool:
        """Whether the sender has said more of the person of a message since a moment."""
        pid = message.first("PID")
        numbers, _ = await self._numbers(caller, pid, (3,), default) if pid else ([], [])
        for number in numbers:
            source = _source(caller, number)
            said = await sources.one(self.db, source.name, source.system, source.value)
            if said is not None and said.received > moment:
                return True
        return False

    async def _resolve(
        self, caller: Caller, message: Message, pid: Segment, default: str
    ) -> list[Fault]:
        """A40: MRG-1 stands for PID-3 from now on; both are the sender's."""
        mrg = message.first("MRG")
        if mrg is None:
            raise Refused(Fault(100, "MRG is missing", ("MRG", 1, 0, 0, 0)))
        kept, faults = await self._numbers(caller, pid, (3,), default)
        gone, more = await self._numbers(caller, mrg, (1,), default)
        faults = [*faults, *more]
        for numbers, where in ((kept, _PID_3), (gone, _MRG_1)):
            if not any(each.authority.gives(caller.organization) for each in numbers):
                faults.append(Fault(204, "a number of the sender's own is needed", where))
        errors = [each for each in faults if each.severity == "E"]
        if errors:
            raise Refused(*errors)
        by = next(each for each in kept if each.authority.gives(caller.organization))
        olds = [each for each in gone if each.authority.gives(caller.organization)]
        survivor = _source(caller, by)
        for number in (by, *olds):
            source = _source(caller, number)
            if await self.registration.find(source.system, source.value, source.name) is None:
                raise Refused(Fault(204, "nobody is known by this number", number.where))
        for number in olds:
            old = _source(caller, number)
            await self.renumbering.replace(caller, old, survivor)
            await tables.subsume(
                self.db, old.name, (old.system, old.value),
                (survivor.system, survivor.value), self.gate.now(),
            )  # fmt: skip
        return faults

    async def _numbers(
        self, caller: Caller, segment: Segment, fields: Sequence[int], default: str
    ) -> tuple[list[Number], list[Fault]]:
        """The numbers of some fields in their systems, and what is wrong with the others."""
        listed = list(_listed(segment, fields))
        known = await self.systems.of([Named.of(value) for _, value in listed])
        fallback = (await self.systems.authorities.of([default])).get(default)
        found: dict[tuple[str, str], Number] = {}
        faults: list[Fault] = []
        for where, value in listed:
            text, named = part(value, 1), Named.of(value)
            authority = known.get(named) if named else fallback if where[2] != 19 else None
            if where[2] == 19 and not named:
                authority, fault = await self._plain_number(text, where)
                faults += fault
                if authority is None:
                    continue
            wrong = _wrong(text, named, authority, caller, where)
            if wrong is not None:
                faults.append(wrong)
            elif authority is not None:
                number = Number(authority, tidied(authority, text), where)
                found.setdefault((authority.system, number.value), number)
        return list(found.values()), faults

    async def _plain_number(self, text: str, where: Location) -> tuple[Any, list[Fault]]:
        """PID-19 without an authority: a birth number, where its check holds."""
        bare = text.replace("/", "")
        if check(BIRTH_NUMBER, bare).ok is True:
            return (await self.systems.authorities.of([BIRTH_NUMBER]))[BIRTH_NUMBER], []
        said = "left out: it is no birth number, and nobody says what else it is"
        return None, [Fault(103, said, where, "W")]

    async def _mother(
        self, caller: Caller, pid: Segment, default: str
    ) -> tuple[Resource, list[Fault]]:
        """PID-21 as a number that others may know: of a number of the sender's own, the RID."""
        values = pid.values(21)[:1]
        if not values:
            return {}, []
        numbers, faults = await self._numbers(caller, pid, (21,), default)
        if not numbers:
            return {}, [Fault(each.code, each.text, each.where, "W") for each in faults]
        number = numbers[0]
        system, value = number.authority.system, number.value
        if number.authority.national:
            return {"system": system, "value": value}, []
        holder = await self.registration.find(system, value, caller.organization)
        rid = await domains.rid_of(self.db, holder[0]) if holder is not None else ""
        if not rid:
            return {}, [Fault(204, "left out: the mother is not known", number.where, "W")]
        return {"system": RID, "value": rid}, []


_MSH: Final[Location] = ("MSH", 1, 3, 0, 0)
_PID_3: Final[Location] = ("PID", 1, 3, 1, 1)
_MRG_1: Final[Location] = ("MRG", 1, 1, 1, 1)


async def mothers(db: tables.Database, patients: Sequence[Resource]) -> dict[str, int]:
    """The persons who are named as mothers, by their numbers (system|value)."""
    named = {
        f"{number.get('system')}|{number.get('value')}": strong_keys({"identifier": [number]})
        for patient in patients
        if (number := mother_of(patient))
    }
    keys = [key for listed in named.values() for key in listed]
    holders = await tables.holders(db, keys)
    return {
        text: holders[key] for text, listed in named.items() for key in listed if key in holders
    }


def mother_of(patient: Resource) -> Resource:
    """The number of the mother that a Patient names, {} for none."""
    for each in patient.get("extension") or ():
        if each.get("url") == MOTHER and isinstance(each.get("valueIdentifier"), dict):
            return dict(each["valueIdentifier"])
    return {}


def _listed(segment: Segment, fields: Sequence[int]) -> Iterator[tuple[Location, Value]]:
    for field in fields:
        for place, value in enumerate(segment.values(field), start=1):
            if part(value, 1):
                yield (segment.name, 1, field, place, 1), value


def _wrong(
    text: str, named: Named, authority: Any, caller: Caller, where: Location
) -> Fault | None:
    """Why a number cannot be taken, None for one that can."""
    segment, sequence, field, place, _ = where
    component = (segment, sequence, field, place, 4)
    optional = "W" if field in (2, 4, 21) else "E"
    if authority is None:
        said = f"the assigning authority {named.said()} is not known" if named else _NOBODY
        return Fault(204, said, component, optional)
    if not authority.national and not authority.gives(caller.organization):
        said = f"the sender has no authority to give numbers of {named.said()}"
        return Fault(204, said, component, optional)
    if len(text) > 200:
        return Fault(102, "a number has at most 200 characters", where, optional)
    return None


_NOBODY: Final = "the assigning authority (CX-4) is missing and cannot be resolved"


def _source(caller: Caller, number: Number) -> Source:
    return Source(
        caller.organization, number.authority.system, number.value,
        title=caller.organization_name,
    )  # fmt: skip
