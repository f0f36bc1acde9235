"""Searches of Patient by numbers that are not in the register's Patient (IHE PDQm, ITI-78).

A provider asks by the numbers that it gave, which stand beside the Patient so that nobody else sees
them: they are looked up first, and shown to the provider in what it finds. `identifier=system|`
names the systems whose numbers are wanted; others are left out then (ITI-78 3.78.4.1.2.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from pater.access.caller import Caller
from pater.domain import Looked
from pater.domains.persons import tables
from pater.domains.persons.authorities import Authorities, Authority
from pater.fhir.issues import Issue
from pater.fhir.json import dumps, parse
from pater.records.gate import Stored
from pater.registers import sources
from pater.registers.accepting import born_in_vain
from pater.registers.identifiers import canonical, check, tidy
from pater.registers.registration import Registration

Resource = dict[str, Any]
Query = Sequence[tuple[str, str]]

ROLES: Final = frozenset({"provider-system", "clinician"})
KEPT: Final = frozenset({"rid", "rcis", "cpoj", "passport", "idcard"})
"""Kinds of numbers that are kept without blanks and slashes, in capitals."""
_NAME: Final = "identifier"
_BORN: Final = "birthdate"
_DATE: Final = len("2000-01-01")
_NOBODY: Final = "-"
_SUBSETTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"
}  # fmt: skip
_MOST: Final = 20
"""Numbers of one question that are looked up."""


@dataclass(frozen=True, slots=True)
class PatientSearch:
    """What a search of Patient means for who asks."""

    db: tables.Database
    registration: Registration
    authorities: Authorities
    clock: Callable[[], datetime]

    async def look(self, caller: Caller, query: Query) -> Looked | None:
        """The search with the caller's own numbers looked up; None = it is an ordinary one."""
        remarks = [*_vain(query, self.clock()), *await self._unknown(query)]
        asked = [value for name, value in query if name == _NAME and "|" in value]
        if not asked or caller.role not in ROLES or not caller.organization:
            return _as_kept(query, remarks)
        tokens = {value: [_token(each) for each in value.split(",")] for value in asked}
        systems = {system for each in tokens.values() for system, _ in each if system}
        known = await self.authorities.of(systems)
        made: list[tuple[str, str]] = []
        domains: set[str] = set()
        own = False
        for name, value in query:
            pairs = tokens.get(value, []) if name == _NAME else []
            mine = [s in known and known[s].gives(caller.organization) for s, _ in pairs]
            if pairs and all(s and not v for s, v in pairs):
                domains |= {known[s].system if s in known else s for s, _ in pairs}
                # of its own numbers nothing can be asked here but whether they are shown
                if not all(mine):
                    made.append((name, ",".join(_alias(s, "", known) for s, _ in pairs)))
            elif pairs and all(mine) and "\\" not in value and len(pairs) <= _MOST:
                own = True
                found = [
                    await self.registration.find(
                        known[s].system, tidy(known[s].system, v), caller.organization
                    )
                    for s, v in pairs
                ]
                ids = [each[1] for each in found if each is not None]
                made.append(("_id", ",".join(ids) or _NOBODY))
            elif pairs and "\\" not in value:
                made.append((name, ",".join(_alias(s, v, known) for s, v in pairs)))
            else:
                made.append((name, value))
        if not own and not domains and made == list(query):
            return Looked(made, _unchanged, remarks) if remarks else None

        async def show(matches: Sequence[Stored]) -> list[Stored]:
            return await self._shown(caller, matches, domains)

        return Looked(made, show, remarks)

    async def _unknown(self, query: Query) -> list[Issue]:
        """That numbers of a system are wanted which nobody described (ITI-78, case 4)."""
        wanted = {system for name, value in query if name == _NAME for system in _domains(value)}
        known = await self.authorities.of(wanted) if wanted else {}
        vain = wanted - known.keys()
        return [Issue("warning", "not-found", _NAME, "targetSystem not found")] if vain else []

    async def _shown(
        self, caller: Caller, matches: Sequence[Stored], domains: set[str]
    ) -> list[Stored]:
        """The Patients with the numbers under which the caller's own organisation knows them."""
        people = [each.person for each in matches if each.person > 0]
        own = await sources.said_by(self.db, caller.organization, people)
        shown = []
        for stored in matches:
            patient = parse(stored.body)
            listed: list[Resource] = patient.get(_NAME) or []
            there = {(each.get("system"), each.get("value")) for each in listed}
            for said in own.get(stored.person, ()):
                for number in [
                    {"system": said.source.system, "value": said.source.value},
                    *(said.patient.get(_NAME) or ()),
                ]:
                    key = (number.get("system"), number.get("value"))
                    if all(key) and key not in there:
                        there.add(key)
                        listed = [*listed, number]
            if domains:
                listed = [each for each in listed if each.get("system") in domains]
                meta = dict(patient.get("meta") or {})
                meta["tag"] = [*(meta.get("tag") or ()), _SUBSETTED]
                patient["meta"] = meta
            patient[_NAME] = listed
            if not listed:
                del patient[_NAME]
            shown.append(replace(stored, body=dumps(patient)))
        return shown


def _token(text: str) -> tuple[str, str]:
    system, bar, value = text.partition("|")
    return (system, value) if bar else ("", text)


def _domains(value: str) -> set[str]:
    """The systems of `system|,system|`; none when a number is named."""
    pairs = [_token(each) for each in value.split(",")] if "\\" not in value else []
    return {system for system, _ in pairs} if all(s and not v for s, v in pairs) else set()


def _alias(system: str, value: str, known: Mapping[str, Authority]) -> str:
    """The token in the canonical system, a national number as it is kept."""
    if not system:
        return value
    system = known[system].system if system in known else system
    return f"{canonical(system)}|{tidy(system, value) if check(system, '').kind in KEPT else value}"


def _vain(query: Query, now: datetime) -> list[Issue]:
    """What of a search can be nobody's: numbers whose check fails, birth dates to come."""
    found: list[Issue] = []
    for name, value in query:
        for each in value.split(",") if name == _NAME and "\\" not in value else ():
            system, number = _token(each)
            verdict = check(system, tidy(system, number)) if system and number else None
            if verdict is not None and verdict.ok is False:
                found.append(Issue("warning", "value", _NAME, verdict.problem))
        problem = born_in_vain(value, now) if name == _BORN and len(value) == _DATE else ""
        if problem:
            found.append(Issue("warning", "business-rule", _BORN, problem))
    return found


def _as_kept(query: Query, remarks: Sequence[Issue]) -> Looked | None:
    """A search with its national numbers as they are kept; None = they are, and nothing is to be
    remarked.
    """
    made = [
        (name, ",".join(_alias(*_token(each), {}) if "|" in each else each
                        for each in value.split(",")))
        if name == _NAME and "\\" not in value
        else (name, value)
        for name, value in query
    ]  # fmt: skip
    return Looked(made, _unchanged, remarks) if remarks or made != list(query) else None


async def _unchanged(matches: Sequence[Stored]) -> list[Stored]:
    return list(matches)
