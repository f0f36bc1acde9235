"""Two houses: one where persons hold resources back, and its twin where these were never written.

The twin has neither the resources that a caller may not see nor the declarations by which they are
held back. All else is the same to the last id and time, so their answers can be compared as they
are, but for what is made at random with each answer.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch
from uuid import UUID

from pater.access.caller import Caller
from pater.access.policy import shipped
from pater.fhir.labels import RESTRICTED, label
from pater.records.changes import Change
from pater.store.connections import Connections
from pater.store.database import Database
from pater.store.owners import Owners
from tests.conftest import Clock
from tests.rest.world import CLINICIAN, HOSPITAL, LOADER, World, patient_caller, world

OWN, OTHER, THIRD = "12345679", "00000019", "00000027"
ICO = "https://ncez.mzcr.cz/fhir/sid/ico"
KRZP = "https://ncez.mzcr.cz/fhir/sid/krzp"
REGION = "CZ064"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"

STATES = ("optout", "category", "document", "provider", "practitioner", "exception", "restricted")
"""What the persons of the worlds have declared, by the name of the person."""
PERIODS: dict[str, dict[str, str]] = {
    "ended": {"start": "2026-01-10", "end": "2026-05-01"},
    "later": {"start": "2026-05-15T20:00:00+02:00"},
    "between": {"start": "2026-01-10", "end": "2026-05-15T20:00:00+02:00"},
}
"""Persons who share nothing for a time: over, beginning in the evening, ending in the evening."""


@dataclass(frozen=True, slots=True)
class Item:
    """One resource of a person, and what its label says."""

    resource: dict[str, Any]
    category: str = "other"
    confidentiality: int = 0
    provider: str = OTHER
    document: str = ""

    @property
    def type(self) -> str:
        return str(self.resource["resourceType"])

    @property
    def id(self) -> str:
        return str(self.resource["id"])

    @property
    def label(self) -> int:
        return label(self.category, self.confidentiality, self.provider, self.document)


def held(state: str, item: Item) -> bool:
    """What the declaration says, read out slowly: whether it holds an item back from hospital B."""
    if item.provider == OWN or item.type == "Patient":
        return False
    match state:
        case "ended":
            return False
        case "category" | "exception":
            return item.category == "laboratory-report"
        case "document":
            return bool(item.document)
        case "restricted":
            return item.confidentiality >= RESTRICTED
        case _:
            return True


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def _observation(id: str, who: str, code: str, category: str, value: float, **more: Any) -> Any:
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "category": [coded(CATEGORY, category)],
        "code": coded("http://loinc.org", code),
        "subject": {"reference": f"Patient/{who}"},
        "effectiveDateTime": "2026-03-01T08:00:00Z",
        "valueQuantity": {"value": value, "unit": "mmol/L",
                          "system": "http://unitsofmeasure.org", "code": "mmol/L"},
        **more,
    }  # fmt: skip


def _encounter(id: str, who: str, ico: str, status: str) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": id,
        "status": status,
        "class": {"system": ACT, "code": "IMP"},
        "subject": {"reference": f"Patient/{who}"},
        "period": {"start": "2026-02-01T08:00:00Z"},
        "serviceProvider": {"identifier": {"system": ICO, "value": ico}},
    }


def patient(who: str) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": who,
        "identifier": [{"system": "urn:test", "value": who}],
        "name": [{"family": f"Tichá{who}", "given": ["Eva"]}],
        "birthDate": "1980-02-01",
        "address": [{"state": REGION, "city": "Brno"}],
    }


def record(who: str) -> list[Item]:
    """All that is in a person's record, oldest first."""
    to = {"subject": {"reference": f"Patient/{who}"}}
    meant = f"chain-{who}"
    stay = {"encounter": {"reference": f"Encounter/own-{who}"}}
    before = {"encounter": {"reference": f"Encounter/other-{who}"}}
    lab = "laboratory-report"
    text = {"status": "generated",
            "div": '<div xmlns="http://www.w3.org/1999/xhtml">tajemství</div>'}  # fmt: skip
    return [
        Item(_encounter(f"own-{who}", who, OWN, "in-progress"), "care-relation", provider=OWN),
        Item(_encounter(f"other-{who}", who, OTHER, "finished"), "care-relation"),
        Item(_observation(f"pulse-{who}", who, "8867-4", "vital-signs", 72, **stay), provider=OWN),
        Item(_observation(f"pulse2-{who}", who, "8867-4", "vital-signs", 70, **before)),
        Item(_observation(f"lab-{who}", who, "2160-0", "laboratory", 5.4, text=text, **stay), lab),
        Item(_observation(f"lab2-{who}", who, "2160-0", "laboratory", 6.1, note=[
            {"text": "tajemství"}], **before), lab),
        Item({"resourceType": "DiagnosticReport", "id": f"report-{who}", "status": "final", **to,
              "category": [coded("http://terminology.hl7.org/CodeSystem/v2-0074", "LAB")],
              "code": coded("http://loinc.org", "11502-2"), "issued": "2026-03-01T09:00:00Z",
              "result": [{"reference": f"Observation/lab-{who}"}]}, lab),
        Item({"resourceType": "Condition", "id": f"flu-{who}", **to,
              "code": coded("http://hl7.org/fhir/sid/icd-10", "J10")}),
        Item({"resourceType": "Condition", "id": f"secret-{who}", **to, "meta": {
              "security": [{"system": CONFIDENTIALITY, "code": "R"}]},
              "code": coded("http://hl7.org/fhir/sid/icd-10", "F10")}, confidentiality=RESTRICTED),
        Item({"resourceType": "Practitioner", "id": f"doctor-{who}",
              "name": [{"family": "Sýkora"}]}, "discharge-report", document=meant),
        Item(_observation(f"part-{who}", who, "8310-5", "vital-signs", 37, performer=[
            {"reference": f"Practitioner/doctor-{who}"}]), "discharge-report", document=meant),
        Item({"resourceType": "Composition", "id": f"letter-{who}", "status": "final", **to,
              "type": coded("http://loinc.org", "34105-7"), "date": "2026-03-02T08:00:00Z",
              "author": [{"reference": f"Practitioner/doctor-{who}"}], "title": "Zpráva",
              "section": [{"title": "x", "entry": [
                  {"reference": f"Observation/part-{who}"},
                  {"reference": f"Observation/lab-{who}"}]}]}, "discharge-report", document=meant),
        Item({"resourceType": "DocumentReference", "id": f"index-{who}", "status": "current", **to,
              "type": coded("http://loinc.org", "34105-7"), "date": "2026-03-02T08:00:00Z",
              "content": [{"attachment": {"url": f"Bundle/whole-{who}"}}]},
             "discharge-report", document=meant),
        Item({"resourceType": "Bundle", "id": f"whole-{who}", "type": "document",
              "timestamp": "2026-03-02T08:00:00Z"}, "discharge-report", document=meant),
        Item({"resourceType": "Composition", "id": f"own-letter-{who}", "status": "final", **to,
              "type": coded("http://loinc.org", "34105-7"), "date": "2026-03-03T08:00:00Z",
              "author": [{"display": "B"}], "title": "Naše zpráva", "section": [
                  {"title": "x", "entry": [{"reference": f"Observation/pulse-{who}"},
                                           {"reference": f"Observation/lab2-{who}"},
                                           {"reference": f"Condition/secret-{who}"}]}]},
             provider=OWN),
        Item({"resourceType": "Location", "id": f"place-{who}", "name": f"Sanatorium {who}",
              "status": "active", "position": {"latitude": 49.2, "longitude": 16.6}},
             "discharge-report", document=meant),
        Item({"resourceType": "Binary", "id": f"raw-{who}", "contentType": "text/plain",
              "data": "dGFqZW1zdHbDrQ=="}, "discharge-report", document=meant),
        Item({"resourceType": "MedicationRequest", "id": f"dose-{who}", "status": "active", **to,
              "intent": "order", "authoredOn": "2026-03-01", "contained": [
                  {"resourceType": "Medication", "id": "m", "code": {"text": "Tajemný lék"}}],
              "medicationReference": {"reference": "#m"}}, "discharge-report", document=meant),
        Item({"resourceType": "List", "id": f"list-{who}", "status": "current", "mode": "working",
              **to, "entry": [{"item": {"reference": f"Observation/{name}-{who}"}}
                              for name in ("pulse", "pulse2", "lab", "part")]}, provider=OWN),
    ]  # fmt: skip


def declaration(state: str, who: str) -> dict[str, Any]:
    """What the person of a state has declared."""
    recipient = coded("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP")

    def actor(system: str, value: str) -> list[dict[str, Any]]:
        reference = {"identifier": {"system": system, "value": value}}
        return [{"role": recipient, "reference": reference}]

    laboratory = {"class": [{"system": "urn:pater:record-category", "code": "laboratory-report"}]}
    document = {"reference": f"DocumentReference/index-{who}"}
    what: dict[str, dict[str, Any]] = {
        "optout": {},
        "category": laboratory,
        "document": {"data": [{"meaning": "instance", "reference": document}]},
        "provider": {"actor": actor(ICO, OWN)},
        "practitioner": {"actor": actor(KRZP, "100000017")},
        "exception": {
            **laboratory,
            "provision": [{"type": "permit", **laboratory, "actor": actor(ICO, THIRD)}],
        },
        "restricted": {"securityLabel": [{"system": CONFIDENTIALITY, "code": "R"}]},
        **{name: {"period": period} for name, period in PERIODS.items()},
    }
    return {
        "resourceType": "Consent",
        "id": f"will-{who}",
        "status": "active",
        "scope": coded("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [coded("http://loinc.org", "59284-0")],
        "patient": {"reference": f"Patient/{who}"},
        "dateTime": "2026-01-10T08:00:00Z",
        "policyRule": coded(ACT, "OPTOUT"),
        "provision": {"type": "deny", **what[state]},
    }


@dataclass
class House:
    """One of the two worlds, with its callers and what it was asked of the database."""

    api: World
    persons: dict[str, int]
    statements: list[str]

    def forget(self) -> None:
        """Empties what the process remembers of persons: both houses begin alike."""
        self.api.db.owners = Owners()
        self.api.gate._ports.names._known.clear()

    def caller(self, role: str, who: str) -> Caller:
        """A caller of a role who asks about a person."""
        common = {"strength": 3, "kind": "system", "organization": THIRD, "name": role}
        match role:
            case "provider":
                return replace(HOSPITAL, scopes=(*HOSPITAL.scopes, "system/Encounter.cu"))
            case "clinician":
                return replace(CLINICIAN, practitioner="prac-b")
            case "app":
                return replace(CLINICIAN, practitioner="prac-b", app="viewer", grant="g",
                               context=self.persons[who], patient=who)  # fmt: skip
            case "another-patient":
                return patient_caller(self.persons["stranger"], "stranger")
            case "patient":
                return patient_caller(self.persons[who], who)
            case "another-provider":
                return replace(HOSPITAL, id="hospital-c", organization=THIRD)
            case "emergency":
                return replace(HOSPITAL, id="hospital-c", organization=THIRD, purpose="ETREAT")
            case "rescue":
                return Caller(id=role, role=role, purpose="ETREAT", scopes=("system/*.rs",),
                              **common)  # type: ignore[arg-type]  # fmt: skip
            case "khs":
                return Caller(id=role, role=role, purpose="PUBHLTH", scopes=("system/*.rs",),
                              **common)  # type: ignore[arg-type]  # fmt: skip
            case "insurer":
                return Caller(id=role, role=role, purpose="HPAYMT", scopes=("system/*.rs",),
                              **common)  # type: ignore[arg-type]  # fmt: skip
            case _:
                return Caller(id=role, role=role, scopes=("system/*.rs",), **common)  # type: ignore[arg-type]


@asynccontextmanager
async def house(
    db: Database, clock: Clock, kept: Callable[[str, Item], bool], *, declared: bool
) -> AsyncIterator[House]:
    """A world with those items of each person's record that are `kept`."""
    policy = replace(shipped("cz"), territories={THIRD: frozenset({REGION})})
    numbers = (str(UUID(int=number)) for number in range(1, 1 << 20))
    with (
        patch("tests.rest.world.uuid4", lambda: next(numbers)),
        counted(db) as statements,
    ):
        async with world(db, clock, policy=policy) as api:
            people = ("stranger", "neighbour", *STATES, *PERIODS)
            await _write(api, [Change("update", "Patient", who, patient(who)) for who in people])
            doctor = {"resourceType": "Practitioner", "id": "prac-b", "identifier": [
                {"system": KRZP, "value": "100000017"}]}  # fmt: skip
            await _write(api, [Change("update", "Practitioner", "prac-b", doctor)])
            # somebody of whom no question is asked: no type is without resources
            await _record(api, "neighbour", record("neighbour"))
            own = declaration("optout", "neighbour")
            await _write(api, [Change("update", "Consent", own["id"], own)])
            for who in (*STATES, *PERIODS):
                await _record(api, who, [each for each in record(who) if kept(who, each)])
                if declared:
                    made = declaration(who, who)
                    await _write(api, [Change("update", "Consent", made["id"], made)])
            persons = {who: await api.person_of(who) for who in people}
            await api.call("GET", "/Observation?_content=tajemstv")  # texts are made ready
            yield House(api, persons, statements)


async def _record(api: World, who: str, items: list[Item]) -> None:
    for each in items:
        last = [each.resource]
        if each.id in (f"lab-{who}", f"flu-{who}"):  # these have a past
            last.insert(0, {**each.resource, "language": "cs"})
        for resource in last:
            change = Change("update", each.type, each.id, resource, label=each.label,
                            person=await api.person_of(who))  # fmt: skip
            await _write(api, [change])
        if each.id == f"lab2-{who}":  # and one was there once
            gone = {**each.resource, "id": f"gone-{who}"}
            await _write(api, [Change("update", each.type, f"gone-{who}", gone, label=each.label)])
            await _write(api, [Change("delete", each.type, f"gone-{who}")])


async def _write(api: World, changes: list[Change]) -> None:
    await api.gate.commit(LOADER, changes)


@contextmanager
def counted(db: Database) -> Iterator[list[str]]:
    """All statements that reach one database."""
    seen: list[str] = []
    ways = {name: getattr(Connections, name) for name in ("fetch", "fetchrow", "execute", "lend")}

    def of(name: str) -> Callable[..., Any]:
        async def asked(self: Any, sql: str, *args: Any, **more: Any) -> Any:
            if self._dsn == db.dsn:
                seen.append(sql)
            return await ways[name](self, sql, *args, **more)

        return asked

    @asynccontextmanager
    async def lent(self: Any, *args: Any) -> AsyncIterator[Any]:
        async with ways["lend"](self, *args) as connection:
            mine = self._dsn == db.dsn
            note = (lambda query: seen.append(query.query)) if mine else None
            if note:
                connection.add_query_logger(note)
            try:
                yield connection
            finally:
                if note:
                    connection.remove_query_logger(note)

    patches = [patch.object(Connections, name, of(name)) for name in ("fetch", "fetchrow",
                                                                      "execute")]  # fmt: skip
    for each in (*patches, found := patch.object(Connections, "lend", lent)):
        each.start()
    try:
        yield seen
    finally:
        found.stop()
        for each in reversed(patches):
            each.stop()


_CURSOR = re.compile(r"""((?:_cursor|cursor|page)=|"next":")[^&"<]+""")
_RANDOM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def normalised(text: str) -> str:
    """An answer without what is made at random: ids in the order of their first occurrence."""
    names: dict[str, str] = {}
    text = _RANDOM.sub(lambda m: names.setdefault(m[0], f"id-{len(names)}"), text)
    return _CURSOR.sub(r"\1…", text)
