"""QBP: who is asked for by number (Q23, IHE ITI-9) or by what is known of them (Q22, IHE ITI-21).

What a caller may ask and is shown is what the FHIR interfaces would say: the same cross-reference,
the same search, the same gate. Texts are met from their beginning, so a pattern may end with `*`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final, Protocol

from pater.access.caller import Caller
from pater.domains.persons.authorities import Authority
from pater.domains.persons.hl7 import tables, writing
from pater.domains.persons.hl7.codec import Fields, Location, Message, Segment, part
from pater.domains.persons.hl7.feeding import Refused, mother_of, mothers
from pater.domains.persons.hl7.numbers import Fault, Named, Systems
from pater.domains.persons.looking import PatientSearch
from pater.domains.persons.pix import SEES_ALL, CrossReference
from pater.fhir.json import parse
from pater.fhir.search.parse import parse_search
from pater.fhir.search.request import SearchError
from pater.records.gate import Gate
from pater.registers import sources
from pater.registers.identifiers import tidy
from pater.registers.surviving import Source

Resource = dict[str, Any]
Segments = list[tuple[str, Fields]]

MOST: Final = 50
"""Persons of one answer; more come by continuation."""
_USUAL: Final = 20
_LONGEST_POINTER: Final = 2_000
_MOST_FIELDS: Final = 20
_PARAMETERS: Final[Mapping[str, str]] = {
    "PID.5": "family", "PID.5.1": "family", "PID.5.1.1": "family", "PID.5.2": "given",
    "PID.7": "birthdate", "PID.7.1": "birthdate", "PID.8": "gender",
    "PID.11.3": "address-city", "PID.11.4": "address-state", "PID.11.5": "address-postalcode",
    "PID.11.6": "address-country", "PID.11.1": "address", "PID.11.1.1": "address",
    "PID.13.4": "email",
}  # fmt: skip
"""Fields of a question and the search parameters that they are."""
_NUMBER: Final = frozenset({"PID.3", "PID.3.1", "PID.3.4", "PID.3.4.1", "PID.3.4.2", "PID.3.4.3"})
_PHONE: Final = frozenset({"PID.13", "PID.13.1", "PID.13.12"})
_GENDERS: Final = {"F": "female", "M": "male", "O": "other", "U": "unknown"}
_DOMAINS: Final = {"Q22": 8, "Q23": 4}
"""The field of QPD with the systems whose numbers are wanted."""
_NAMES: Final = frozenset({"family", "given"})


class Shown(Protocol):
    """A Patient of the register as the gate gives it."""

    @property
    def person(self) -> int:
        """Whose it is."""
        ...

    @property
    def body(self) -> bytes:
        """The resource."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """What a question comes to: MSA-1, QAK-2, faults, and what follows QPD."""

    code: str
    status: str
    segments: Segments
    faults: tuple[Fault, ...] = ()
    count: int = 0


@dataclass(frozen=True, slots=True)
class Queries:
    """What answers questions about the persons of one register."""

    gate: Gate
    db: tables.Database
    systems: Systems
    crossing: CrossReference
    looking: PatientSearch

    async def answer(self, caller: Caller, message: Message) -> tuple[Found, Segment]:
        """Answers a QBP message; gives QPD for the echo, too. Raises Refused, RecordsError."""
        qpd = message.first("QPD")
        if qpd is None:
            raise Refused(Fault(100, "QPD is missing", ("QPD", 1, 0, 0, 0)))
        wanted, fault = await self._wanted(qpd, _DOMAINS[message.event])
        if fault is not None:
            return Found("AE", "AE", [], (fault,)), qpd
        if message.event == "Q23":
            return await self._cross(caller, qpd, wanted), qpd
        return await self._candidates(caller, message, qpd, wanted), qpd

    async def _wanted(self, qpd: Segment, field: int) -> tuple[frozenset[str], Fault | None]:
        """The systems whose numbers are wanted; none = all."""
        asked = [Named.of(value) for value in qpd.values(field)[:_MOST_FIELDS]]
        known = await self.systems.of(asked)
        for place, each in enumerate(asked, start=1):
            if each and each not in known:
                text = f"the domain {each.said()} is not known"
                return frozenset(), Fault(204, text, ("QPD", 1, field, place, 0))
        return frozenset(known[each].system for each in asked if each), None

    async def _cross(self, caller: Caller, qpd: Segment, wanted: frozenset[str]) -> Found:
        """Q23: the numbers of who has a number."""
        await self.gate.require(caller, "ask", "Patient")
        values = qpd.values(3)
        number = part(values[0], 1) if values else ""
        named = Named.of(values[0]) if values else Named("", "", "")
        if not number or not named:
            component = 4 if number else 1
            text = "a number with its assigning authority is needed"
            return _failed(Fault(101, text, ("QPD", 1, 3, 1, component)))
        self.gate.admit(caller)
        authority = (await self.systems.of([named])).get(named)
        if authority is None:
            text = f"the domain {named.said()} is not known"
            return _failed(Fault(204, text, ("QPD", 1, 3, 1, 4)))
        person = await self._person(caller, authority, number)
        shown = await self.gate.identify(caller, [person] if person else [], "pix")
        if person not in shown:
            await self.gate.missed(caller, [f"{authority.system}|{number}"])
            return _failed(Fault(204, "nobody is known by this number", ("QPD", 1, 3, 1, 1)))
        [numbers] = await self._numbers(caller, [shown[person]], wanted)
        if not numbers:
            return Found("AA", "NF", [])
        # who reads demographics out of an answer about numbers would read too much (ITI-9)
        written = await self.systems.written(numbers)
        pid: Fields = {3: written, 5: [" ", ("", "", "", "", "", "", "S")]}
        return Found("AA", "OK", [("PID", pid)], count=1)

    async def _person(self, caller: Caller, authority: Authority, number: str) -> int:
        """Who has a number, unless its source gave it up for another one of the same person."""
        person = await self.crossing.person(caller, authority, number)
        if not person or authority.national:
            return person
        name = authority.assigner if caller.role in SEES_ALL else caller.organization
        value = tidy(authority.system, number)
        by = await tables.stands_for(self.db, name, (authority.system, value))
        if by is not None:
            keys = [sources.key(Source(name, *by))]
            if person in (await tables.holders(self.db, keys)).values():
                return 0
        return person

    async def _numbers(
        self, caller: Caller, found: Sequence[Shown], wanted: frozenset[str]
    ) -> list[list[Resource]]:
        """For each Patient the numbers that the caller may see, of the systems that are wanted."""
        people = [each.person for each in found]
        everybody = caller.role in SEES_ALL
        own = await tables.local(self.db, people, "" if everybody else caller.organization)
        made = []
        for stored in found:
            listed = parse(stored.body).get("identifier") or ()
            numbers = [
                {"system": each["system"], "value": each["value"]}
                for each in listed
                if each.get("system") and each.get("value") and each.get("use") != "old"
            ]
            mine = [each for each in own if each.person == stored.person]
            numbers += [{"system": each.system, "value": each.value} for each in mine]
            for source in sorted({each.source for each in mine}):
                pairs = [(e.system, e.value) for e in mine if e.source == source]
                numbers += await self._former(source, pairs, stored.person)
            unique = {(each["system"], each["value"]): each for each in numbers}
            made.append([e for e in unique.values() if not wanted or e["system"] in wanted])
        return made

    async def _former(
        self, source: str, numbers: Sequence[tuple[str, str]], person: int
    ) -> list[Resource]:
        """Numbers that a source gave up for these, with their end, while they are one person's."""
        rows = await tables.subsumed_by(self.db, source, numbers)
        if not rows:
            return []
        keys = {sources.key(Source(source, s, v)): (s, v, at) for s, v, at in rows}
        holders = await tables.holders(self.db, list(keys))
        return [
            {"system": s, "value": v, "period": {"end": at.astimezone(UTC).date().isoformat()}}
            for key, (s, v, at) in keys.items()
            if holders.get(key) == person
        ]

    async def _candidates(
        self, caller: Caller, message: Message, qpd: Segment, wanted: frozenset[str]
    ) -> Found:
        """Q22: a page of those whom the search of Patient finds."""
        parameters = await self._parameters(caller, qpd)
        count = _count(message)
        pointer = message.first("DSC")
        paged = [*parameters, ("_count", str(count))]
        cursor = pointer.raw(1).strip() if pointer is not None else ""
        if len(cursor) > _LONGEST_POINTER:
            raise Refused(Fault(102, "this is no continuation pointer", ("DSC", 1, 1, 0, 0)))
        if pointer is not None and cursor:
            cursor = pointer.text(1)
            paged.append(("_cursor", cursor))
        looked = await self.looking.look(caller, parameters)
        meant = (
            list(looked.parameters if looked is not None else parameters) + paged[len(parameters) :]
        )
        try:
            request = parse_search("Patient", meant, custom=self.gate.custom)
            page = await self.gate.search(caller, request)
        except SearchError as error:
            where: Location = ("DSC", 1, 1, 0, 0) if cursor else ("QPD", 1, 3, 0, 0)
            faults = [Fault(102, each.text, where) for each in error.issues[:5]]
            raise Refused(*faults) from error
        numbers = await self._numbers(caller, page.matches, wanted)
        pairs = [
            (each, listed)
            for each, listed in zip(page.matches, numbers, strict=True)
            if listed or not wanted
        ]
        segments = await self._shown(caller, pairs, parameters)
        if page.next is not None:
            segments.append(("DSC", {1: page.next, 2: "I"}))
        status = "OK" if pairs else "NF"
        return Found("AA", status, segments, count=len(pairs))

    async def _shown(
        self,
        caller: Caller,
        found: Sequence[tuple[Shown, list[Resource]]],
        parameters: Sequence[tuple[str, str]],
    ) -> Segments:
        patients = [parse(stored.body) for stored, _ in found]
        known = await mothers(self.db, patients)
        shown = await self.gate.identify(caller, list(known.values()), "pdq") if known else {}
        told = list(shown.values())
        listed = await self._numbers(caller, told, frozenset())
        hers = {each.person: numbers for each, numbers in zip(told, listed, strict=True)}
        segments: Segments = []
        for place, (patient, (_, numbers)) in enumerate(zip(patients, found, strict=True), 1):
            fields = writing.pid(patient)
            fields[1] = str(place)
            fields[3] = await self.systems.written(numbers)
            number = mother_of(patient)
            if number:
                person = known.get(f"{number.get('system')}|{number.get('value')}", 0)
                fields[21] = await self.systems.written(hers.get(person) or [number])
                if 6 not in fields and person in shown:
                    names = parse(shown[person].body).get("name") or []
                    fields[6] = [writing.name(each) for each in names[:1]]
            segments.append(("PID", fields))
            if any(name in _NAMES for name, _ in parameters):
                segments.append(("QRI", {1: "1", 2: "NA", 3: "pattern match"}))
        return segments

    async def _parameters(self, caller: Caller, qpd: Segment) -> list[tuple[str, str]]:
        """QPD-3 as parameters of a search. Raises Refused."""
        made: list[tuple[str, str]] = []
        number: dict[str, str] = {}
        values = qpd.values(3)
        if not values or len(values) > _MOST_FIELDS:
            text = f"a question has 1 to {_MOST_FIELDS} fields"
            raise Refused(Fault(101, text, ("QPD", 1, 3, 0, 0)))
        for place, value in enumerate(values, start=1):
            where: Location = ("QPD", 1, 3, place, 1)
            field, asked = part(value, 1).lstrip("@").upper(), part(value, 2)
            if field in _NUMBER:
                number[field] = asked
                continue
            if not asked:
                continue
            if field in _PHONE:
                made.append(("phone", _quoted(asked)))
            elif field not in _PARAMETERS:
                raise Refused(Fault(103, "this field cannot be asked for", where))
            else:
                made.append(_parameter(_PARAMETERS[field], asked, ("QPD", 1, 3, place, 2)))
        if number:
            made.append(await self._identified(caller, number))
        if not made:
            raise Refused(Fault(101, "the question asks for nothing", ("QPD", 1, 3, 0, 0)))
        return made

    async def _identified(self, caller: Caller, number: Mapping[str, str]) -> tuple[str, str]:
        where: Location = ("QPD", 1, 3, 1, 2)
        value = number.get("PID.3.1") or number.get("PID.3", "")
        name = number.get("PID.3.4.1") or number.get("PID.3.4", "")
        named = Named(name, number.get("PID.3.4.2", ""), number.get("PID.3.4.3", ""))
        if not value or not named:
            raise Refused(Fault(101, "a number has an assigning authority (PID.3.4)", where))
        authority = (await self.systems.of([named])).get(named)
        if authority is None:
            raise Refused(Fault(204, f"the domain {named.said()} is not known", where))
        value = tidy(authority.system, value)
        if authority.national or caller.role not in SEES_ALL:
            return ("identifier", f"{_quoted(authority.system)}|{_quoted(value)}")
        held = None
        if authority.assigner:
            held = await self.crossing.registration.find(
                authority.system, value, authority.assigner
            )
        return ("_id", held[1] if held is not None else "-")


def _parameter(name: str, asked: str, where: Location) -> tuple[str, str]:
    if name == "birthdate":
        found = re.fullmatch(r"(\d{4})(?:(\d{2})(?:(\d{2})\d*)?)?", asked)
        if found is None:
            raise Refused(Fault(102, "this is no date: YYYY[MM[DD]]", where))
        return name, "-".join(each for each in found.groups() if each)
    if name == "gender":
        if asked.upper() not in _GENDERS:
            raise Refused(Fault(103, "it is F, M, O or U", where))
        return name, _GENDERS[asked.upper()]
    text = asked.rstrip("*").strip()
    if not text or "*" in text:
        raise Refused(Fault(102, "a pattern is a beginning with * at its end", where))
    return name, _quoted(text)


def _quoted(text: str) -> str:
    """A value in which commas and bars mean themselves (R4 3.1.1.3)."""
    return re.sub(r"([\\,$|])", r"\\\1", text)


def _count(message: Message) -> int:
    rcp = message.first("RCP")
    text = rcp.text(2) if rcp is not None else ""
    return min(MOST, int(text)) if re.fullmatch(r"[1-9]\d{0,5}", text) else _USUAL


def _failed(*faults: Fault) -> Found:
    return Found("AE", "AE", [], faults)
