"""The patient identity feed (IHE PIXm, ITI-104): a provider's system tells of its own patients.

`PUT Patient?identifier=system|value` adds or revises one, `POST Patient` with that query as
If-None-Exist adds one that is not known, PUT with `active` false and a `link` of type `replaced-by`
resolves a duplicate, `DELETE` by the same query removes a number. `POST Patient` adds one by the
number in the resource. What is kept is what the source says; the answer is that Patient, with a
link to the register's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pater.access.caller import Caller
from pater.domain import Answer
from pater.domains.persons import tables
from pater.domains.persons.authorities import V2_0203, Authorities, Authority
from pater.fhir.issues import Issue, operation_outcome
from pater.fhir.json import dumps
from pater.fhir.references import parse_reference
from pater.fhir.validation.base import validate_base
from pater.records.errors import Unprocessable
from pater.records.gate import Gate
from pater.registers import sources
from pater.registers.identifiers import RID, tidy
from pater.registers.registration import Registered, Registration
from pater.registers.renumbering import Renumbering
from pater.registers.surviving import Source
from pater.rest.errors import HttpError

Resource = dict[str, Any]
Query = Sequence[tuple[str, str]]

ROLES: Final = frozenset({"provider-system"})
"""Who feeds; others write Patients as ordinary resources."""


@dataclass(frozen=True, slots=True)
class Feed:
    """What takes the feed of one register."""

    gate: Gate
    db: tables.Database
    base_url: str
    registration: Registration
    renumbering: Renumbering
    authorities: Authorities

    async def create(
        self, caller: Caller, resource: Resource, raw: bytes, prefer: str
    ) -> Answer | None:
        """POST Patient: the number is the one of the sender's own, an official one first."""
        if caller.role not in ROLES:
            return None
        await self.gate.require(caller, "create", "Patient")
        patient, own = await self._told(caller, resource)
        if not own:
            raise _wrong("Patient.identifier", _no_own(patient), "required")
        return await self._register(caller, patient, _first(own), prefer)

    async def queried(
        self, caller: Caller, method: str, query: Query, resource: Resource | None, prefer: str
    ) -> Answer | None:
        """PUT, DELETE and a conditional POST of Patient by `identifier`."""
        if caller.role not in ROLES:
            return None
        await self.gate.require(caller, "create" if method == "POST" else "update", "Patient")
        source = await self._asked(caller, query)
        if method == "DELETE":
            await self.renumbering.end(caller, source)
            return Answer(204)
        patient, own = await self._told(caller, resource or {})
        number = {"system": source.system, "value": source.value}
        patient = _with(patient, own, number)
        if method == "POST":
            known = await self.registration.find(source.system, source.value, source.name)
            if known is None:
                return await self._register(caller, patient, number, prefer)
            await self.gate.identify(caller, [known[0]], "registered")
            return await self._answer(200, source, known, prefer)
        into = await self._replaced_by(caller, patient)
        if into is not None:
            await self.renumbering.replace(caller, source, into)
            found = await self.registration.find(into.system, into.value, into.name)
            if found is None:  # taken back meanwhile
                raise _wrong("Patient.link", "the number that replaces this one is not known")
            return await self._answer(200, into, found, prefer)
        return await self._register(caller, patient, number, prefer)

    async def tell(
        self, caller: Caller, system: str, value: str, patient: Resource, *, known: bool
    ) -> Registered:
        """Says who somebody is under one of the sender's numbers, which is `known` or new.

        Raises Forbidden, Unprocessable, HttpError 404 and 409.
        """
        await self.gate.require(caller, "create", "Patient")
        source = await self._own(caller, system, value, "Patient.identifier")
        told, own = await self._told(caller, patient)
        number = {"system": source.system, "value": source.value}
        holder = await self.registration.find(source.system, source.value, source.name)
        if known and holder is None:
            raise HttpError(404, "not-found", "the sender's number is not known: create it")
        if holder is not None and not known:
            raise HttpError(409, "duplicate", "the sender's number is known: change it")
        return await self.registration.register(caller, _with(told, own, number), source)

    async def _register(
        self, caller: Caller, patient: Resource, number: Mapping[str, Any], prefer: str
    ) -> Answer:
        source = _source(caller, number["system"], number["value"])
        known = await self.registration.find(source.system, source.value, source.name)
        made: Registered = await self.registration.register(caller, patient, source)
        status = 201 if known is None else 200
        golden = (made.person, made.patient)
        return await self._answer(status, source, golden, prefer, made.issues)

    async def _answer(
        self, status: int, source: Source, golden: tuple[int, str], prefer: str,
        issues: Sequence[Issue] = (),
    ) -> Answer:  # fmt: skip
        """The source's Patient, linked to the register's (`golden`: person and Patient)."""
        person, master = golden
        headers = {"location": f"{self.base_url}/Patient/{master}"}
        if prefer == "minimal":
            return Answer(status, b"", headers)
        if prefer == "OperationOutcome":
            done = Issue("information", "informational", "", "the register has taken it")
            return Answer(status, dumps(operation_outcome([done, *issues])), headers)
        said = await sources.one(self.db, source.name, source.system, source.value)
        patient: Resource = dict(said.patient) if said is not None else {"resourceType": "Patient"}
        other: Resource = {"reference": f"Patient/{master}"}
        rid = await tables.rid_of(self.db, person)
        if rid:
            other["identifier"] = {"system": RID, "value": rid}
        patient["active"] = True
        patient["link"] = [{"other": other, "type": "refer"}]
        return Answer(status, dumps(patient), headers)

    async def _asked(self, caller: Caller, query: Query) -> Source:
        """The number in a query. Raises HttpError 400, Unprocessable."""
        values = [value for name, value in query if name == "identifier"]
        if len(query) != 1 or len(values) != 1:
            text = "an identity is fed by one number: identifier=system|value"
            raise HttpError(400, "value", text, path="identifier")
        system, _, value = values[0].partition("|")
        if not system or not value or "," in value or "\\" in value:
            text = "the number has a system and a value: identifier=system|value"
            raise HttpError(400, "value", text, path="identifier")
        return await self._own(caller, system, value, "identifier")

    async def _own(self, caller: Caller, system: str, value: str, path: str) -> Source:
        """A number as one of the sender's own. Raises Unprocessable."""
        known = (await self.authorities.of([system])).get(system)
        if known is None:
            raise _wrong(path, _unknown(system), "code-invalid")
        if not known.gives(caller.organization):
            raise _wrong(path, _not_yours(system), "business-rule")
        return _source(caller, known.system, value)

    async def _told(self, caller: Caller, resource: Resource) -> tuple[Resource, list[Resource]]:
        """The Patient with its numbers in canonical systems, and those that the sender gives.

        Raises Unprocessable with all that is wrong.
        """
        issues = [each for each in validate_base(resource) if each.severity in ("error", "fatal")]
        if issues:
            raise Unprocessable(issues)
        listed: list[Resource] = resource.get("identifier") or []
        known = await self.authorities.of([str(each.get("system", "")) for each in listed])
        numbers: list[Resource] = []
        own: list[Resource] = []
        for place, each in enumerate(listed):
            path = f"Patient.identifier[{place}]"
            missing = [name for name in ("system", "value") if not each.get(name)]
            issues += [Issue("error", "required", f"{path}.{m}", f"it has a {m}") for m in missing]
            if missing:
                continue
            authority = known.get(each["system"])
            if authority is None:
                text = _unknown(each["system"])
                issues.append(Issue("error", "code-invalid", f"{path}.system", text))
                continue
            numbers.append(_as_known(each, authority))
            if authority.gives(caller.organization):
                own.append(numbers[-1])
        issues += await self._unresolved(caller, resource)
        if issues:
            raise Unprocessable(issues)
        return {**resource, **({"identifier": numbers} if numbers else {})}, own

    async def _unresolved(self, caller: Caller, resource: Resource) -> list[Issue]:
        """References to what is not here: they would mean something else, or nothing."""
        named = dict(_references(resource))
        keys = list(dict.fromkeys(named.values()))
        found = await self.gate.read_all(caller, keys) if keys else {}
        text = "there is no such resource here: name it by its identifier"
        return [
            Issue("error", "not-found", path, text)
            for path, key in named.items()
            if key not in found
        ]

    async def _replaced_by(self, caller: Caller, patient: Resource) -> Source | None:
        """The number that stands for this Patient from now on, when it says so."""
        for place, link in enumerate(patient.get("link") or ()):
            if link.get("type") != "replaced-by":
                continue
            path = f"Patient.link[{place}].other"
            number = link["other"].get("identifier") or {}
            system, value = number.get("system"), number.get("value")
            if not system or not value:
                raise _wrong(f"{path}.identifier", "name it by the sender's own number", "required")
            if patient.get("active") is not False:
                raise _wrong("Patient.active", "a Patient that was replaced is not active")
            return await self._own(caller, system, value, f"{path}.identifier.system")
        return None


def alone(caller: Caller) -> bool:
    """Whether a caller's Patients are a feed, which is resolved one by one."""
    return caller.role in ROLES


def _as_known(identifier: Resource, authority: Authority) -> Resource:
    """An identifier in the canonical system; with the kind that the system's numbers are of."""
    made = {**identifier, "system": authority.system}
    made["value"] = tidy(authority.system, str(identifier["value"]))
    if authority.national and authority.type.isupper() and "type" not in made:
        made["type"] = {"coding": [{"system": V2_0203, "code": authority.type}]}
    return made


def _with(patient: Resource, own: Sequence[Resource], number: Resource) -> Resource:
    """The Patient with the number under which it is told of."""
    if any((each["system"], each["value"]) == tuple(number.values()) for each in own):
        return patient
    return {**patient, "identifier": [number, *(patient.get("identifier") or ())]}


def _references(resource: Resource) -> Iterator[tuple[str, tuple[str, str]]]:
    """The resources of this server that a Patient names, by where it does."""
    places = [("Patient.managingOrganization", resource.get("managingOrganization"))]
    for name, of in (("generalPractitioner", None), ("contact", "organization")):
        for place, each in enumerate((resource.get(name) or ())[:20]):
            found = each if of is None else each.get(of)
            places.append((f"Patient.{name}[{place}]" + (f".{of}" if of else ""), found))
    for path, holder in places:
        text = (holder or {}).get("reference")
        if isinstance(text, str):
            ref = parse_reference(text)
            if ref.kind == "relative" and ref.type and ref.id:
                yield f"{path}.reference", (ref.type, ref.id)


def _first(own: Sequence[Resource]) -> Resource:
    return next((each for each in own if each.get("use") == "official"), own[0])


def _source(caller: Caller, system: str, value: str) -> Source:
    number = tidy(system, value)
    return Source(caller.organization, system, number, title=caller.organization_name)


def _no_own(patient: Resource) -> str:
    listed = [str(each["system"])[:200] for each in patient.get("identifier") or ()]
    if listed:
        named = ", ".join(listed[:3])
        return f"a number of the sender's own is needed: it does not give numbers in {named}"
    return "a number of the sender's own is needed: it says which patient this is"


def _unknown(system: str) -> str:
    return f"{system[:200]} is not a valid identity domain: no NamingSystem of this server names it"


def _not_yours(system: str) -> str:
    return f"the sender has no authority to give or change numbers in {system[:200]}"


def _wrong(path: str, text: str, code: str = "business-rule") -> Unprocessable:
    return Unprocessable([Issue("error", code, path, text)])
