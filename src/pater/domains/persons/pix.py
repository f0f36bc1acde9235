"""`Patient/$ihe-pix` (IHE PIXm, ITI-83): the numbers of one person in the systems that are known.

Numbers of national systems are told to whoever may ask; a provider's own numbers only to itself and
to the register, since they say where somebody is treated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest
from pater.domains.persons import tables
from pater.domains.persons.authorities import Authorities, Authority
from pater.fhir.issues import Issue
from pater.fhir.json import dumps, parse
from pater.records.gate import Gate
from pater.registers import sources
from pater.registers.identifiers import canonical, check, tidy
from pater.registers.numbers import holder, person_of
from pater.registers.registration import Registration
from pater.rest.errors import HttpError
from pater.rest.operations.inputs import read_inputs, refused

Resource = dict[str, Any]

DEFINITION: Final = "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix"
SEES_ALL: Final = frozenset({"registrar", "loader"})
"""Roles to whom numbers of all organisations are shown."""
_MOST_TARGETS: Final = 32
_NOT_FOUND: Final = "sourceIdentifier Patient Identifier not found"
_PATIENT: Final = "Patient/"


@dataclass(frozen=True, slots=True)
class CrossReference:
    """Who somebody is by a number, and which numbers of theirs a caller may see."""

    gate: Gate
    db: tables.Database
    base_url: str
    registration: Registration
    authorities: Authorities

    def operation(self) -> Operation:
        """The operation on the type; GET as the profile has it, POST to keep numbers out of logs"""
        return Operation(
            "ihe-pix", self._run, frozenset({"Patient"}), methods=frozenset({"GET", "POST"}),
            definition=DEFINITION,
        )  # fmt: skip

    async def _run(self, caller: Caller, request: OperationRequest) -> Answer:
        await self.gate.require(caller, "ask", "Patient")
        inputs = read_inputs(
            request, {"sourceIdentifier": "text", "targetSystem": "text", "_format": "text"}
        )
        asked, path = inputs.needed("sourceIdentifier")
        system, bar, value = asked.partition("|")
        given = inputs.given.get("targetSystem", ())
        if len(given) > _MOST_TARGETS:
            raise refused(f"at most {_MOST_TARGETS} target systems", given[-1].path)
        targets = [str(each.value) for each in given]
        self.gate.admit(caller)
        known = await self.authorities.of([system, *targets])
        known[self.base_url] = Authority(self.base_url)
        if not (bar and system and value) or system not in known:
            text = "sourceIdentifier Assigning Authority not found"
            raise HttpError(400, "code-invalid", text, path=path)
        if any(each not in known for each in targets):
            raise HttpError(403, "code-invalid", "targetSystem not found", path=given[0].path)
        authority = known[system]
        person = await self.person(caller, authority, value)
        shown = await self.gate.identify(caller, [person] if person else [], "ihe-pix")
        if person not in shown:
            await self.gate.missed(caller, [asked])
            issues = [Issue("error", "not-found", path, _NOT_FOUND)]
            verdict = check(*source_of(authority, value))
            if verdict.ok is False:
                issues.append(Issue("error", "value", path, verdict.problem))
            raise HttpError(404, "not-found", _NOT_FOUND, issues=issues)
        master = parse(shown[person].body)
        wanted = {known[each].system for each in targets}
        source = source_of(authority, value)
        numbers = [*_numbers(master), *await self.local(caller, person)]
        parameters: list[Resource] = []
        for each in numbers:
            key = (each["system"], each["value"])
            if key != source and (not wanted or key[0] in wanted):
                parameters.append({"name": "targetIdentifier", "valueIdentifier": each})
        if not wanted or self.base_url in wanted:
            reference = f"{_PATIENT}{master['id']}"
            if source != (self.base_url, reference):
                parameters.append({"name": "targetId", "valueReference": {"reference": reference}})
        body: Resource = {"resourceType": "Parameters"}
        return Answer(200, dumps(body | ({"parameter": parameters} if parameters else {})))

    async def person(self, caller: Caller, authority: Authority, value: str) -> int:
        """Who has a number, as far as the caller may ask by it; 0 = nobody."""
        if authority.system == self.base_url:
            named = value.startswith(_PATIENT)
            return await person_of(self.db, value.removeprefix(_PATIENT)) if named else 0
        if authority.national:
            return await holder(self.db, authority.system, value)
        number = tidy(authority.system, value)
        name = authority.assigner if caller.role in SEES_ALL else caller.organization
        if not name or authority.assigner not in ("", name):
            return 0
        found = await self.registration.find(authority.system, number, name)
        return found[0] if found is not None else 0

    async def local(self, caller: Caller, person: int) -> list[Resource]:
        """The numbers that providers gave to a person, as far as the caller may see them."""
        found = []
        for said in await sources.of(self.db, person):
            source = said.source
            if source.reference or (
                caller.role not in SEES_ALL and source.name != caller.organization
            ):
                continue
            number: Resource = {"system": source.system, "value": source.value}
            if source.title:
                number["assigner"] = {"display": source.title}
            found.append(number)
        return found


def source_of(authority: Authority, value: str) -> tuple[str, str]:
    """System and value of a number as they are kept."""
    return canonical(authority.system), tidy(authority.system, value)


def _numbers(master: Mapping[str, Any]) -> Iterator[Resource]:
    """The present numbers of the register's Patient, without where they come from."""
    listed: Sequence[Mapping[str, Any]] = master.get("identifier") or ()
    for each in listed:
        if each.get("use") != "old" and each.get("system") and each.get("value"):
            yield {name: v for name, v in each.items() if name not in ("extension", "period")}
