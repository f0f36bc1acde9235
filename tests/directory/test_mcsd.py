"""The register for other systems: searches of IHE mCSD (ITI-90) and its changes (ITI-91)."""

from __future__ import annotations

import json
import tarfile
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from pater.app import now
from pater.records.changes import Change
from tests.directory.conftest import (
    CLINICIAN,
    HOSPITAL,
    ICO_A,
    KRZP,
    LOADER,
    PEOPLE,
    PLACES,
    Desk,
)
from tests.rest.world import INSURER
from tests.shared_data import shared

PZS, PLACE, WHO = f"Organization/pzs-{ICO_A}", "Location/place-1001", f"Practitioner/krzp-{KRZP}"


@pytest.fixture
async def full(desk: Desk) -> Desk:
    await desk.take(PLACES)
    await desk.take(PEOPLE)
    return desk


SEARCHES = [
    ("HealthcareService?active=true&organization=pzs-27520536", 3),
    (f"HealthcareService?location={PLACE}", 2),
    ("HealthcareService?name=kardio", 2),
    ("HealthcareService?name:contains=diolog", 2),
    ("HealthcareService?name:exact=kardiologie", 2),
    ("HealthcareService?service-type=urn:pater:field-of-care|kardiologie", 2),
    ("HealthcareService?_id=service-1001-kardiologie", 1),
    (f"HealthcareService?organization.identifier={ICO_A}", 3),
    ("Location?identifier=urn:pater:nrpzs:place|1001", 1),
    ("Location?name=Nemocnice", 1),
    ("Location?name:contains=lhotka", 1),
    ("Location?name:exact=Nemocnice Podlesí", 1),
    (f"Location?organization={PZS}", 2),
    ("Location?partof=Location/place-1001", 0),
    ("Location?type=102", 1),
    ("Location?status=active", 3),
    ("Location?near=50.1|14.4|15|km", 2),
    ("Location?near=50.1|14.4|5|km&type=102", 1),
    (f"Location?organization.identifier={ICO_A}&near=50.1|14.4|1|km", 1),
    ("Organization?active=true&identifier=https://ncez.mzcr.cz/fhir/sid/ico|27520536", 1),
    ("Organization?name=nemocnice", 1),
    ("Organization?name:contains=dubu", 1),
    (f"Organization?partof={PZS}", 2),
    ("Organization?type=prov", 2),
    ("Organization?_id=pzs-27520536", 1),
    (f"Practitioner?identifier=https://ncez.mzcr.cz/fhir/sid/krzp|{KRZP}", 1),
    ("Practitioner?active=true", 2),
    ("Practitioner?name:contains=rák", 1),
    ("Practitioner?given=alena&family:exact=Horáková", 1),
    ("Practitioner?family=hora&given:contains=len", 1),
    (f"PractitionerRole?active=true&organization={PZS}", 1),
    (f"PractitionerRole?location={PLACE}&role=L1&specialty=kardiologie", 1),
    ("PractitionerRole?service=HealthcareService/x", 0),
    (f"PractitionerRole?practitioner.identifier={KRZP}", 2),
    (f"Endpoint?organization={PZS}&status=active", 1),
    ("Endpoint?identifier=x", 0),
    (f"OrganizationAffiliation?active=true&participating-organization={PZS}", 1),
    ("OrganizationAffiliation?date=ge2012-01-01&identifier=KU/12/2012&role=permit", 1),
    ("OrganizationAffiliation?primary-organization=Organization/authority-krajsky-urad-podlesi", 1),
]


async def test_every_search_of_the_profile_finds_what_it_should(full: Desk) -> None:
    found = {path: len(await full.ids(path)) for path, _ in SEARCHES}
    assert found == dict(SEARCHES)


async def test_includes_both_ways(full: Desk) -> None:
    for path, types in (
        ("Location?type=102&_include=Location:organization", {"Location", "Organization"}),
        ("Organization?_id=pzs-27520536&_include=Organization:endpoint",
         {"Organization", "Endpoint"}),
        ("Organization?_id=pzs-27520536&_revinclude=Location:organization"
         "&_revinclude=OrganizationAffiliation:participating-organization",
         {"Organization", "Location", "OrganizationAffiliation"}),
        ("Organization?type=govt&_revinclude=OrganizationAffiliation:primary-organization",
         {"Organization", "OrganizationAffiliation"}),
        (f"PractitionerRole?organization={PZS}&_include=PractitionerRole:practitioner",
         {"PractitionerRole", "Practitioner"}),
        ("OrganizationAffiliation?role=permit&_include=OrganizationAffiliation:endpoint",
         {"OrganizationAffiliation"}),
    ):  # fmt: skip
        body = await full.get(path)
        assert {e["resource"]["resourceType"] for e in body["entry"]} == types, path


async def test_the_statement_offers_what_the_profile_asks_for(full: Desk) -> None:
    stated = await full.get("metadata")
    assert any("mCSD.Directory" in each for each in stated["instantiates"])
    offered = {each["type"]: each for each in stated["rest"][0]["resource"]}
    with tarfile.open(shared("fhir-packages.tgz")) as archive:
        for name in ("Directory", "Directory.Update", "Directory.LocationDistance"):
            file = archive.extractfile(
                f"ihe.iti.mcsd#4.0.1/package/CapabilityStatement-IHE.mCSD.{name}.json"
            )
            assert file
            for wanted in json.load(file)["rest"][0].get("resource", ()):
                mine = offered[wanted["type"]]
                codes = {each["code"] for each in mine["interaction"]}
                assert {each["code"] for each in wanted["interaction"]} <= codes
                names = {each["name"] for each in mine["searchParam"]}
                # `near-distance` is of STU3: R4 has the distance in `near`
                asked = {each["name"].split(":")[0] for each in wanted.get("searchParam", ())}
                assert asked - {"_since", "near-distance"} <= names, wanted["type"]
                assert set(wanted.get("searchInclude", ())) <= set(mine.get("searchInclude", ()))
                if name == "Directory" and wanted["type"] != "OrganizationAffiliation":
                    profile = f"StructureDefinition/IHE.mCSD.{wanted['type']}"
                    assert [each.partition("mCSD/")[2] for each in mine["supportedProfile"]] == [
                        profile
                    ]
                    assert any(each.endswith(profile) for each in wanted["supportedProfile"])


def entries(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (e["request"]["method"], e["fullUrl"].split("/fhir/")[1]) for e in body.get("entry", ())
    ]


async def test_changes_since_a_moment_are_told_to_who_may_read_the_register(full: Desk) -> None:
    since = quote((now() - timedelta(milliseconds=1)).isoformat(timespec="milliseconds"))
    for caller in (HOSPITAL, CLINICIAN):
        for type_ in ("Location", "Organization", "Practitioner", "PractitionerRole",
                      "HealthcareService", "Endpoint", "OrganizationAffiliation"):  # fmt: skip
            first = await full.get(f"{type_}/_history?_since=2020", caller)
            assert first["entry"], type_
    refused = await full.call("GET", "/fhir/Location/_history", INSURER)
    assert refused.status_code == 403
    await full.take([{**PLACES[0], "ZZ_nazev": "Jinak"}, *PLACES[1:]])
    changed = entries(await full.get(f"Location/_history?_since={since}"))
    assert changed == [("PUT", "Location/place-1001")]
    gone = await full.call("DELETE", "/fhir/Endpoint/endpoint-27520536", LOADER)
    assert gone.is_success
    assert entries(await full.get(f"Endpoint/_history?_since={since}"))[0][0] == "DELETE"


async def test_a_history_of_the_register_tells_nothing_of_documents(full: Desk) -> None:
    gate = full.house.gate
    patient = {"resourceType": "Patient", "name": [{"family": "Skrytá"}], "birthDate": "1980-01-01"}
    [made] = await gate.commit(LOADER, [Change("create", "Patient", None, patient)])
    person = await full.db.fetchval("select person from resource where id = $1", made.id)
    doctor = {"resourceType": "Practitioner", "name": [{"family": "Zprávy"}]}
    change = Change("create", "Practitioner", "of-a-document", doctor, person=person, derived=True)
    await gate.commit(LOADER, [change], reason="loading")
    for caller in (HOSPITAL, CLINICIAN):
        body = await full.get("Practitioner/_history?_count=1000", caller)
        assert "of-a-document" not in str(body) and len(body["entry"]) == 2
        for path in ("/fhir/Patient/_history", "/fhir/_history", "/fhir/Observation/_history"):
            assert (await full.call("GET", path, caller)).status_code == 403
    assert "of-a-document" in str(await full.get("Practitioner/_history", LOADER))


async def test_pages_of_a_history_are_walked_to_the_end(full: Desk) -> None:
    seen: list[tuple[str, str]] = []
    path = "Organization/_history?_count=2"
    while path:
        body = await full.get(path)
        seen += entries(body)
        links = {each["relation"]: each["url"] for each in body["link"]}
        path = links.get("next", "").split("/fhir/")[-1]
    assert len(seen) == len(set(seen)) == 6
