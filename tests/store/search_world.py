"""A small world of resources that the search tests look at, and the words to search it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from pater.fhir.search.query import SearchRequest, parse_search
from pater.store.database import Database
from pater.store.search import Page, Scope, search
from pater.store.write import Committer, Put, WriteSet

KEY = b"k" * 32
EVERYBODY = Scope()
RID = "https://ncez.mzcr.cz/fhir/sid/rid"
LOINC = "http://loinc.org"

Json = dict[str, Any]


def resources() -> list[tuple[int, Json]]:
    """(person, resource) of the whole world; person 0 = nobody's."""
    world: list[tuple[int, Json]] = [
        (0, {"resourceType": "Organization", "id": "hospital", "name": "Fakultní nemocnice Brno"}),
        (0, {"resourceType": "Organization", "id": "clinic", "name": "Poliklinika",
             "partOf": {"reference": "Organization/hospital"}}),
        (0, {"resourceType": "Practitioner", "id": "doctor", "name": [{"family": "Lékařová"}]}),
    ]  # fmt: skip
    people = [
        ("Novák", "Jan", "male", "1950-03-01"),
        ("Nováková", "Jana", "female", "1961-07-12"),
        ("NOVAK", "Petr", "male", "1999"),
        ("Černý", "Ota", "male", None),
        ("Dvořák", "Jan", "male", "1961-07-12"),
        ("O'Hara", "Eva", "female", "2010-12-31"),
    ]
    for person, (family, given, gender, born) in enumerate(people, start=1):
        patient: Json = {
            "resourceType": "Patient", "id": f"p{person}", "gender": gender,
            "identifier": [{"system": RID, "value": f"100000000{person}"}, {"value": "plain"}],
            "name": [{"family": family, "given": [given]}],
            "managingOrganization": {"reference": "Organization/clinic"},
        }  # fmt: skip
        if born:
            patient["birthDate"] = born
        world.append((person, patient))
        world.append((person, {
            "resourceType": "Encounter", "id": f"e{person}", "status": "finished",
            "class": {"code": "IMP" if person % 2 else "AMB"},
            "subject": {"reference": f"Patient/p{person}"},
            "period": {"start": f"2026-0{person}-01", "end": f"2026-0{person}-20"}
                      if person < 6 else {"start": "2026-06-01"},
            "serviceProvider": {"reference": "Organization/hospital"},
        }))  # fmt: skip
        world += [(person, each) for each in _observations(person)]
        world.append((person, {
            "resourceType": "Condition", "id": f"c{person}",
            "subject": {"reference": f"Patient/p{person}"},
            "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "I10"}]},
            "onsetDateTime": f"201{person}-05", "asserter": {"reference": "Practitioner/doctor"},
        }))  # fmt: skip
    world.append((0, {
        "resourceType": "Observation", "id": "group", "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "8480-6"}]},
        "subject": {"reference": "Group/g"}, "effectiveDateTime": "2026-01-05",
    }))  # fmt: skip
    world.append((1, {
        "resourceType": "Provenance", "id": "prov", "recorded": "2026-01-02T00:00:00Z",
        "target": [{"reference": "Observation/o1-0"}, {"reference": "Patient/p1"}],
        "agent": [{"who": {"reference": "Organization/hospital"}}],
    }))  # fmt: skip
    world.append((2, {
        "resourceType": "MedicationRequest", "id": "m2", "status": "active", "intent": "order",
        "subject": {"reference": "Patient/p2"},
        "requester": {"identifier": {"system": "urn:krzp", "value": "777"}},
        "medicationCodeableConcept": {"text": "x"},
    }))  # fmt: skip
    world.append((0, {
        "resourceType": "ValueSet", "id": "vs", "status": "active",
        "url": "https://example.org/vs|odd", "version": "1.0",
    }))  # fmt: skip
    world.append((0, {
        "resourceType": "RiskAssessment", "id": "risk", "status": "final",
        "subject": {"reference": "Group/g"}, "prediction": [{"probabilityDecimal": 0.25}],
    }))  # fmt: skip
    for number, period in enumerate(({"end": "2026-02"}, {"start": "2026-01"}, {"end": "2025"})):
        world.append((3, {
            "resourceType": "Composition", "id": f"doc{number}", "status": "final",
            "subject": {"reference": "Patient/p3"}, "event": [{"period": period}],
        }))  # fmt: skip
    return world


def _observations(person: int) -> list[Json]:
    when: list[Json] = [
        {"effectiveDateTime": f"2026-0{person}-10T08:30:00+01:00"},
        {"effectiveDateTime": f"2026-0{person}"},
        {"effectivePeriod": {"start": f"2026-0{person}-05", "end": f"2026-0{person}-12"}},
        {"effectivePeriod": {"start": "2026-02-01"}},
        {},
    ]
    made = []
    for number, date in enumerate(when):
        code = ("8480-6", "8462-4")[number % 2]
        coding: Json = {"code": code} if number == 4 else {"system": LOINC, "code": code}
        made.append({
            "resourceType": "Observation", "id": f"o{person}-{number}",
            "status": "final" if number else "amended", "code": {"coding": [coding]},
            "subject": {"reference": f"Patient/p{person}"},
            "encounter": {"reference": f"Encounter/e{person}"},
            "performer": [{"reference": "Practitioner/doctor"}],
            "valueQuantity": {"value": 100 + 10 * person + number, "unit": "mmHg",
                              "system": "http://unitsofmeasure.org", "code": "mm[Hg]"},
            **date,
        })  # fmt: skip
    return made


async def fill(db: Database, made: list[tuple[int, Json]]) -> None:
    """Writes resources, each at its own millisecond, in the order given."""
    now = datetime.now(UTC).replace(day=15, hour=9, minute=0, second=0, microsecond=0)
    moments = iter(now + timedelta(milliseconds=n) for n in range(10_000))
    committer = Committer(db, lambda: next(moments))
    for person, resource in made:
        put = Put(resource["resourceType"], resource["id"], person, resource)
        await committer.commit(WriteSet([put]))
    await committer.stop()


def request(query: str) -> SearchRequest:
    """`Type?a=b&c=d` as a parsed search."""
    type_, _, text = query.partition("?")
    return parse_search(
        type_, parse_qsl(text.replace("+", "%2B"), keep_blank_values=True), whole=True
    )


async def ask(
    db: Database, query: str, scope: Scope = EVERYBODY, *, count: int = 1000, cursor: str = ""
) -> Page:
    """Runs `Type?a=b`, from a cursor when given."""
    made = request(query + (f"{'&' if '?' in query else '?'}_cursor={cursor}" if cursor else ""))
    return await search(db, made, scope, count=count, cursor_key=KEY)


async def ids(db: Database, query: str, scope: Scope = EVERYBODY) -> list[str]:
    """The ids of all matches, in order."""
    return [each.id for each in (await ask(db, query, scope)).matches]
