"""What OpenHIE asks of a client registry over FHIR (its qualification cases 01 to 09).

Two things differ, both on purpose: numbers that another hospital gave are not shown (case 06), and
relatives are an extension of the child, not a resource of their own (case 05).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from pater.registers.identifiers import RID
from pater.registers.matching.features import MOTHER
from pater.store.database import Database
from tests.conftest import Clock
from tests.persons.faces import NOW, REGISTRAR, A, B, Faces, naming, register
from tests.rest.world import LOADER, issues

OHIE = "http://ohie.example/test"
TEST, TEST_A, TEST_B, NID = f"{OHIE}/test", f"{OHIE}/test_a", f"{OHIE}/test_b", f"{OHIE}/nid"
OID = "1.3.6.1.4.1.99999.72.5.9.1"
Resource = dict[str, Any]


@pytest.fixture(scope="module")
async def at(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Faces]:
    """A registry that knows the domains of the cases; TEST and TEST_A are A's, TEST_B is B's."""
    async with register(module_database, Clock(NOW), tmp_path_factory.mktemp("ohie")) as made:
        for each in (
            naming("ohie", ("uri", TEST), ("oid", OID), assigner=A.organization),
            naming("ohie-a", ("uri", TEST_A), assigner=A.organization),
            naming("ohie-b", ("uri", TEST_B), assigner=B.organization),
            naming("ohie-nid", ("uri", NID), type="NI"),
        ):
            assert (await made.domain(each)).status_code == 201
        yield made


def person(*numbers: tuple[str, str], name: str = "", **more: Any) -> Resource:
    """A Patient: `name` is given names and the family name."""
    made: Resource = {"resourceType": "Patient", "active": True, **more}
    made["identifier"] = [{"use": "official", "system": s, "value": v} for s, v in numbers]
    *given, family = name.split()
    made["name"] = [{"use": "official", "family": family, "given": given}]
    return made


async def found(at: Faces, query: str, by: Any = A) -> list[Resource]:
    answer = await at.call("GET", f"/Patient?{query}", by=by)
    assert answer.status_code == 200, answer.text
    return [each["resource"] for each in answer.json().get("entry", ())]


def numbers(patient: Resource) -> set[tuple[str, str]]:
    return {(each["system"], each["value"]) for each in patient["identifier"]}


async def test_01_poorly_formed_messages_are_rejected(at: Faces) -> None:
    told = person(name="ROBERT JOHNSTON", gender="male", birthDate="1983-02-05")
    told["identifier"] = [{"use": "usual", "value": "12345", "assigner": {"display": "Fake"}}]
    answer = await at.call("POST", "/Patient", told)
    assert answer.status_code == 422
    assert issues(answer)[0]["expression"] == ["Patient.identifier[0].system"]
    told["identifier"] = [{"system": TEST, "value": "12345"}]
    told["managingOrganization"] = {"reference": "Organization/3930293029302923"}
    answer = await at.call("POST", "/Patient", told)
    assert answer.status_code == 422
    assert issues(answer)[0]["expression"] == ["Patient.managingOrganization.reference"]


async def test_02_a_domain_is_one_by_url_and_by_oid(at: Faces) -> None:
    oid = f"urn:oid:{OID}"
    olly = person((oid, "FHR-020"), name="OLLY OID", gender="male", birthDate="1983-02-05")
    uma = person((TEST, "FHR-021"), name="UMA URL", gender="female", birthDate="1990-03-09")
    for told, asked, number in ((olly, TEST, "FHR-020"), (uma, oid, "FHR-021")):
        assert (await at.call("POST", "/Patient", told)).status_code == 201
        [one] = await found(at, f"identifier={asked}|{number}")
        assert (TEST, number) in numbers(one)
        assert one["name"][0]["family"] == told["name"][0]["family"]


async def test_03_unknown_domains_are_blocked(at: Faces) -> None:
    for system in (f"{OHIE}/test_block", "urn:oid:1.3.6.1.4.1.99999.72.5.9.4"):
        answer = await at.call("POST", "/Patient", person((system, "030"), name="NOTHING NOBODY"))
        assert answer.status_code == 422
        assert f"{system} is not a valid identity domain" in issues(answer)[0]["diagnostics"]


async def test_04_nobody_gives_numbers_of_another_assigner(at: Faces) -> None:
    jones: Resource = {"name": "JENNIFER JONES", "gender": "female", "birthDate": "1984-01-25"}
    assert (await at.call("POST", "/Patient", person((TEST_A, "FHRA-040"), **jones))).is_success
    [one] = await found(at, f"identifier={TEST_A}|FHRA-040")
    assert (TEST_A, "FHRA-040") in numbers(one)
    doe = person((TEST_A, "FHRA-041"), name="JENNIFER DOE", birthDate="1989-01-25")
    refused = await at.call("POST", "/Patient", doe, B)
    assert refused.status_code == 422 and TEST_A in issues(refused)[0]["diagnostics"]
    both = person((TEST_A, "FHRA-040"), (TEST_B, "FHRB-042"), **jones)
    assert (await at.call("POST", "/Patient", both, B)).status_code == 201
    [one] = await found(at, f"identifier={TEST_B}|FHRB-042", B)
    assert {(TEST_B, "FHRB-042"), (TEST_A, "FHRA-040")} < numbers(one)


async def test_05_a_newborn_is_registered_under_its_mother(at: Faces) -> None:
    mother = person((TEST, "FHR-0844"), name="Sarah Abels", gender="female",
                    birthDate="1984-05-25")  # fmt: skip
    rid = (await at.call("POST", "/Patient", mother)).json()["link"][0]["other"]["identifier"]
    baby: Resource = {
        "resourceType": "Patient",
        "identifier": [{"system": TEST, "value": "FHR-4837"}],
        "gender": "female",
        "birthDate": "2026-04-25",
        "extension": [{"url": MOTHER, "valueIdentifier": rid}],
    }
    assert (await at.call("POST", "/Patient", baby)).status_code == 201
    [one] = await found(at, f"identifier={TEST}|FHR-4837")
    assert (one["gender"], one["birthDate"], one.get("name")) == ("female", "2026-04-25", None)
    assert one["extension"][0]["valueIdentifier"] == rid


async def test_06_numbers_are_cross_referenced(at: Faces) -> None:
    status, said = await at.pix(f"{TEST_A}|FHRA-060")
    assert (status, said[0]) == (404, "not-found")
    jim: Resource = {"name": "JIM SMITH", "gender": "male"}
    told = person((TEST_A, "FHRA-061"), (NID, "NID061"), **jim, birthDate="1984-05-25")
    created = await at.call("POST", "/Patient", told)
    assert created.status_code == 201
    patient = created.headers["location"].split("/fhir/")[1]
    _, numbers_ = await at.pix(f"{TEST_A}|FHRA-061")
    assert (NID, "NID061") in numbers_ and patient in numbers_
    second = person((TEST_B, "FHRB-062"), (NID, "NID061"), **jim)
    linked = await at.call("POST", "/Patient", second, B)
    assert linked.status_code == 201 and linked.headers["location"].endswith(patient)
    # who gave the number is told it, and the registrar; the other hospital is not
    for by in (A, REGISTRAR):
        assert await at.pix(f"{NID}|NID061", TEST_A, by=by) == (200, [(TEST_A, "FHRA-061")])
    assert await at.pix(f"{NID}|NID061", TEST_A, by=B) == (200, [])
    status, said = await at.pix(f"{TEST_B}|FHRB-062", f"{OHIE}/test_x", by=B)
    assert (status, said[0]) == (403, "code-invalid")


FLYNN: Resource = {
    "gender": "male",
    "birthDate": "1982-03-02",
    "address": [{"use": "home", "type": "both", "line": ["123 Ontario St", "Unit 32"],
                 "city": "Beamsville", "district": "Lincoln County", "state": "ON",
                 "postalCode": "L0R2A0", "country": "CA"}],
    "telecom": [{"system": "phone", "value": "+12039203099", "use": "work"},
                {"system": "email", "value": "flynn@ohie.example", "use": "home"}],
    "maritalStatus": {"coding": [{"code": "M", "system":
                      "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"}]},
    "multipleBirthBoolean": True,
    "contact": [{"name": {"family": "Profile", "given": ["Allison"]},
                 "telecom": [{"system": "phone", "value": "+13049303940"}]}],
    "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "en"}]},
                       "preferred": True}],
}  # fmt: skip


async def test_07_a_full_profile_is_kept_and_found(at: Faces) -> None:
    told = person((TEST, "FHR-070"), (NID, "NID070"), name="Flynn Full Profile", **FLYNN)
    told["name"][0] |= {"prefix": ["Dr"], "suffix": ["III"]}
    assert (await at.call("POST", "/Patient", told)).status_code == 201
    queries = [f"identifier={NID}|NID070", "family=Profile&given=Flynn",
               "family=Profile&given:exact=Flynn", "birthdate=ap1982&given=Flynn&family=Profile",
               "gender=male&family=Profile", "gender=male&birthdate=1982-03-02"]  # fmt: skip
    for query in queries:
        [one] = await found(at, query, LOADER)
        assert (NID, "NID070") in numbers(one), query
        assert one["name"][0]["prefix"] == ["Dr"] and one["name"][0]["suffix"] == ["III"]
        assert one["address"][0]["district"] == "Lincoln County"
        assert {each["value"] for each in one["telecom"]} == {
            each["value"] for each in FLYNN["telecom"]
        }
        for element in ("gender", "birthDate", "multipleBirthBoolean", "communication", "contact"):
            assert one[element] == FLYNN[element], element
        assert one["maritalStatus"]["coding"] == FLYNN["maritalStatus"]["coding"]
    nobody = await at.call("GET", "/Patient?gender=other&family=Profile&_total=accurate", by=LOADER)
    assert nobody.json()["total"] == 0 and "entry" not in nobody.json()
    [one] = await found(at, f"identifier={NID}|NID070&identifier={NID}|")
    assert numbers(one) == {(NID, "NID070")}


async def test_08_a_merge_leads_from_the_old_number_to_the_survivor(at: Faces) -> None:
    smith: Resource = {"gender": "male", "birthDate": "1986-05-25"}
    kept = person((TEST_A, "FHRA-080"), (NID, "NID080"), name="MERGY SMITH", **smith)
    assert (await at.call("POST", "/Patient", kept)).status_code == 201
    gone = person((TEST_A, "FHRA-081"), name="MERGY SMYTHE", **smith)
    old = (await at.call("POST", "/Patient", gone)).headers["location"].split("/fhir")[1]
    other = {"type": "Patient", "identifier": {"system": TEST_A, "value": "FHRA-080"}}
    merge = {**gone, "active": False, "link": [{"other": other, "type": "replaced-by"}]}
    answer = await at.call("PUT", f"/Patient?identifier={TEST_A}|FHRA-081", merge)
    assert answer.status_code == 200
    [one] = await found(at, f"identifier={TEST_A}|FHRA-081")
    assert {(TEST_A, "FHRA-080"), (NID, "NID080")} < numbers(one)
    fetched = await at.call("GET", old, by=LOADER)
    assert f"/{one['resourceType']}/{one['id']}" == old or fetched.json()["active"] is False
    assert (NID, "NID080") in (await at.pix(f"{TEST_A}|FHRA-081"))[1]


async def test_09_nobody_merges_into_numbers_of_another(at: Faces) -> None:
    jones: Resource = {"name": "BLOCKED MERGE JONES", "gender": "female"}
    first = person((TEST_A, "FHRA-090"), (NID, "NID090"), **jones, birthDate="1989-02-12")
    assert (await at.call("POST", "/Patient", first)).status_code == 201
    second = person((TEST_B, "FHRB-090"), (NID, "NID091"), **jones)
    assert (await at.call("POST", "/Patient", second, B)).status_code == 201
    other = {"identifier": {"system": TEST_A, "value": "FHRA-090"}}
    merge = {**second, "active": False, "link": [{"other": other, "type": "replaced-by"}]}
    answer = await at.call("PUT", f"/Patient?identifier={TEST_B}|FHRB-090", merge, B)
    assert answer.status_code == 422 and "authority" in issues(answer)[0]["diagnostics"]
    rids = [
        [value for system, value in (await at.pix(source, RID, by=by))[1] if system == RID]
        for source, by in ((f"{TEST_A}|FHRA-090", A), (f"{TEST_B}|FHRB-090", B))
    ]
    assert rids[0] != rids[1]
