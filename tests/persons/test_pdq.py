"""ITI-78: searches of Patient with the numbers that a hospital gave, and the actors' statements."""

from __future__ import annotations

import asyncio
import json
import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from pater.store.database import Database
from pater.store.parameters import KIND, open_parameters, refresh
from pater.store.reindex import reindex
from pater.store.workers import Workers
from tests.conftest import Clock
from tests.persons.faces import (
    BIRTH_NUMBER,
    NOW,
    NUMBER,
    NUMBERS_A,
    NUMBERS_B,
    OID_A,
    RID,
    A,
    B,
    Faces,
    register,
    somebody,
)
from tests.rest.world import LOADER
from tests.shared_data import shared


@pytest.fixture(scope="module")
async def at(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Faces]:
    """One register for the module."""
    folder = tmp_path_factory.mktemp("register")
    async with register(module_database, Clock(NOW), folder) as made:
        # the parameter that R4 leaves to guides counts when the index is complete
        await made.begin(asyncio.Event())
        made.kinds = [KIND]
        made.workers = Workers(module_database, {KIND: partial(reindex, grace=0.0)}, pause=0.02)
        await open_parameters(module_database)
        await made.work()
        await refresh(module_database)
        yield made


async def search(at: Faces, query: str, by: Any = A) -> list[dict[str, Any]]:
    answer = await at.call("GET", f"/Patient?{query}", by=by)
    assert answer.status_code == 200, answer.text
    found = answer.json().get("entry", ())
    return [each["resource"] for each in found if each["search"]["mode"] == "match"]


def numbers(patient: dict[str, Any]) -> set[tuple[str, str]]:
    return {(each["system"], each["value"]) for each in patient.get("identifier", ())}


async def test_a_hospital_finds_its_patient_by_its_own_number(at: Faces) -> None:
    await at.feed("1", somebody((BIRTH_NUMBER, NUMBER)))
    await at.feed("77", somebody((BIRTH_NUMBER, NUMBER), (NUMBERS_A, "1")), B)
    for token in (f"{NUMBERS_A}|1", f"urn:oid:{OID_A}|1", f"{NUMBERS_A}|9,{NUMBERS_A}|1"):
        [found] = await search(at, f"identifier={token}")
        assert {(NUMBERS_A, "1"), (BIRTH_NUMBER, NUMBER)} < numbers(found)
        assert (NUMBERS_B, "77") not in numbers(found)
    # by several numbers at once all have to be the person's
    both = f"identifier={NUMBERS_A}|1&identifier={BIRTH_NUMBER}|{NUMBER}"
    assert len(await search(at, both)) == 1
    assert await search(at, f"identifier={NUMBERS_A}|1&identifier={BIRTH_NUMBER}|1") == []
    assert await search(at, f"identifier={NUMBERS_A}|2") == []
    # what a hospital told itself, it is shown
    [told] = await search(at, f"identifier={NUMBERS_B}|77", B)
    assert {(NUMBERS_B, "77"), (NUMBERS_A, "1")} < numbers(told)


async def test_nobody_finds_by_anothers_number(at: Faces) -> None:
    await at.feed("1", somebody((BIRTH_NUMBER, NUMBER)))
    other = replace(B, id="c", organization="12345679")
    assert await search(at, f"identifier={NUMBERS_A}|1", other) == []
    [found] = await search(at, f"identifier={BIRTH_NUMBER}|{NUMBER}", other)
    assert NUMBERS_A not in json.dumps(found)


async def test_only_the_numbers_of_the_systems_that_were_asked_for(at: Faces) -> None:
    await at.feed("1", somebody((BIRTH_NUMBER, NUMBER)))
    named = f"identifier={BIRTH_NUMBER}|{NUMBER}"
    [found] = await search(at, f"{named}&identifier={RID}|")
    assert {system for system, _ in numbers(found)} == {RID}
    assert found["meta"]["tag"][0]["code"] == "SUBSETTED"
    [found] = await search(at, f"{named}&identifier={RID}|,{BIRTH_NUMBER}|")
    assert {system for system, _ in numbers(found)} == {RID, BIRTH_NUMBER}
    [found] = await search(at, f"{named}&identifier=urn:oid:{OID_A}|")
    assert numbers(found) == {(NUMBERS_A, "1")}


async def test_systems_that_nobody_knows_are_named(at: Faces) -> None:
    await at.feed("1", somebody((BIRTH_NUMBER, NUMBER)))
    named = f"identifier={BIRTH_NUMBER}|{NUMBER}"
    for query in (f"{named}&identifier=urn:oid:1.2.3|", f"{named}&identifier={RID}|,urn:x:no|"):
        for by in (A, LOADER):
            answer = await at.call("GET", f"/Patient?{query}", by=by)
            outcome = answer.json()["entry"][-1]
            assert outcome["search"]["mode"] == "outcome"
            [issue] = outcome["resource"]["issue"]
            assert (issue["severity"], issue["code"]) == ("warning", "not-found")
            assert issue["diagnostics"] == "targetSystem not found"
    found = await at.call("GET", f"/Patient?{named}&identifier={RID}|,urn:x:no|")
    assert found.json()["total"] == 1 and len(found.json()["entry"]) == 2


async def test_a_search_for_people_says_how_many_there_are(at: Faces) -> None:
    for number, day in (("91", "1961-03-01"), ("92", "1961-03-02")):
        one = somebody(name=[{"family": "Ojedinělá", "given": ["Ida"]}], birthDate=day)
        assert (await at.feed(number, one)).status_code == 201
    named = "family=Ojedin&birthdate=1961"
    for query, total in ((named, 2), ("family=Nikdo&birthdate=1961", 0)):
        answer = (await at.call("GET", f"/Patient?{query}", by=LOADER)).json()
        assert answer["total"] == total == len(answer.get("entry", ()))
    # what goes on over pages is counted when that is asked for
    page = (await at.call("GET", f"/Patient?{named}&_count=1", by=LOADER)).json()
    [further] = [link["url"] for link in page["link"] if link["relation"] == "next"]
    last = (await at.call("GET", further.partition("/fhir")[2], by=LOADER)).json()
    assert "total" not in page and "total" not in last and len(last["entry"]) == 1


DEFINITIONS = "http://hl7.org/fhir/StructureDefinition"
QUERIES = [
    "family=Procházková&gender=female", "family=prochazkova&birthdate=1985-06-15",
    "family:exact=Procházková&birthdate=1985", "given=Ludmila&family=Proch&birthdate=ap1985",
    "given:exact=Ludmila&family=Proch&birthdate=ge1985-01-01&birthdate=lt1986",
    "address=Olomouc&family=Proch&birthdate=1985", "address-city:exact=Olomouc&family=P"
    "&birthdate=1985", "address-postalcode=77900&family=P&birthdate=1985",
    "mothersMaidenName=konec&family=P&birthdate=1985", "mothersMaidenName:exact=Konečná&family=P"
    "&birthdate=1985", "telecom=%2B420 603 111 222&family=P&birthdate=1985",
    "active=true&family=P&birthdate=1985",
]  # fmt: skip


async def test_searches_by_demographics(at: Faces) -> None:
    name = {"url": f"{DEFINITIONS}/patient-mothersMaidenName", "valueString": "Konečná"}
    await at.feed("1", somebody((BIRTH_NUMBER, NUMBER), extension=[name]))
    for query in QUERIES:
        assert len(await search(at, query, LOADER)) == 1, query
        other = query.replace("Proch", "X").replace("proch", "x").replace("=P&", "=X&")
        assert await search(at, other, LOADER) == [], query


ACTORS = {
    "PIXm.Manager": "ihe.iti.pixm#3.1.0",
    "PDQm.PatientDemographicsSupplier": "ihe.iti.pdqm#3.2.0",
    "PDQm.PatientDemographicsSupplierMatch": "ihe.iti.pdqm#3.2.0",
}


async def test_the_statement_offers_what_the_actors_have_to(at: Faces) -> None:
    stated = (await at.call("GET", "/metadata")).json()
    [offered] = [e for e in stated["rest"][0]["resource"] if e["type"] == "Patient"]
    codes = {each["code"] for each in offered["interaction"]}
    parameters = {each["name"] for each in offered["searchParam"]}
    operations = {each["name"] for each in offered["operation"]}
    files = {
        f"{package}/package/CapabilityStatement-IHE.{name}.json": name
        for name, package in ACTORS.items()
    }
    with tarfile.open(shared("fhir-packages.tgz"), "r|gz") as archive:
        for member in archive:
            name = files.pop(member.name, "")
            file = archive.extractfile(member) if name else None
            if file is not None:
                [wanted] = json.load(file)["rest"][0]["resource"]
                assert any(each.endswith(f"IHE.{name}") for each in stated["instantiates"])
                assert {each["code"] for each in wanted["interaction"]} <= codes
                asked = {each["name"].split(":")[0] for each in wanted.get("searchParam", ())}
                assert asked <= parameters
                named = {each["name"].lstrip("$") for each in wanted.get("operation", ())}
                assert named <= operations
                for each in ("conditionalUpdate", "conditionalDelete"):
                    assert offered[each] == wanted.get(each, offered[each])
                assert set(wanted["supportedProfile"]) <= set(offered["supportedProfile"])
            if not files:
                break
    assert not files
