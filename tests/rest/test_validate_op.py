"""`$validate` says what is wrong, stores nothing, and needs no right to write."""

from __future__ import annotations

import json
from typing import Any

from tests.rest.world import (
    CLINICIAN,
    HOSPITAL,
    INSURER,
    World,
    issues,
    observation,
    patient_caller,
)


async def test_it_names_all_problems_and_stores_nothing(api: World) -> None:
    before = await api.db.fetchval("select count(*) from resource")
    body = {"resourceType": "Patient", "gender": "x", "birthDate": "y"}
    answer = await api.call("POST", "/Patient/$validate", body, HOSPITAL)
    assert answer.status_code == 200
    assert {i["expression"][0] for i in issues(answer)} == {"Patient.gender", "Patient.birthDate"}
    good = await api.call("POST", "/Patient/$validate", {"resourceType": "Patient"}, CLINICIAN)
    assert [i["severity"] for i in issues(good)] == ["information"]
    assert await api.db.fetchval("select count(*) from resource") == before


async def test_parameters_with_a_resource(api: World) -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "resource", "resource": {"resourceType": "Patient", "gender": "x"}},
            {"name": "profile", "valueUri": "http://example.org/p"},
        ],
    }
    answer = await api.call("POST", "/Patient/$validate", body)
    assert [(i["severity"], i["code"]) for i in issues(answer)] == [
        ("error", "code-invalid"),
        ("error", "not-found"),
    ]
    empty = {"resourceType": "Parameters"}
    assert (await api.call("POST", "/Patient/$validate", empty)).status_code == 400


async def test_a_text_that_is_no_json_is_an_answer_too(api: World) -> None:
    answer = await api.call("POST", "/Patient/$validate", b'{"resourceType":')
    assert (answer.status_code, issues(answer)[0]["severity"]) == (200, "fatal")
    other = await api.call("POST", "/Patient/$validate", observation("x"))
    assert issues(other)[0]["severity"] == "error"


async def test_what_is_stored_can_be_checked_by_those_who_may_read_it(api: World) -> None:
    patient = await api.patient()
    path = f"/Patient/{patient['id']}/$validate"
    answer = await api.call("GET", path)
    assert [i["severity"] for i in issues(answer)] == ["information"]
    stranger = patient_caller(999_999, "someone")
    assert (await api.call("GET", path, caller=stranger)).status_code == 404


async def test_new_content_for_an_address_is_checked_and_not_what_is_stored(api: World) -> None:
    patient = await api.patient()
    path = f"/Patient/{patient['id']}/$validate"
    wrong = {"resourceType": "Patient", "id": patient["id"], "gender": "x"}
    wrapped = {
        "resourceType": "Parameters",
        "parameter": [{"name": "resource", "resource": {**wrong, "id": "other"}}],
    }
    for body, places in ((wrong, {"Patient.gender"}), (wrapped, {"Patient.gender", "Patient.id"})):
        found = issues(await api.call("POST", path, body))
        assert {i["expression"][0] for i in found if i["severity"] == "error"} == places
    assert (await api.call("GET", f"/Patient/{patient['id']}")).json() == patient


async def test_who_has_no_role_is_refused(api: World) -> None:
    body = {"resourceType": "Patient"}
    assert (await api.call("POST", "/Patient/$validate", body, INSURER)).status_code == 403


async def test_parameters_of_the_address(api: World) -> None:
    body = {"resourceType": "Patient"}
    assert (await api.call("POST", "/Patient/$validate?mode=create", body)).status_code == 200
    assert (await api.call("POST", "/Patient/$validate?mode=x", body)).status_code == 400
    assert (await api.call("POST", "/Patient/$validate?x=1", body)).status_code == 400
    assert (await api.call("GET", "/Patient/$validate")).status_code == 405


def asked(mode: str, resource: Any = None, **more: Any) -> dict[str, Any]:
    """Parameters for `$validate` with a mode."""
    listed = [{"name": "mode", "valueCode": mode}]
    if resource is not None:
        listed.append({"name": "resource", "resource": resource})
    listed += [{"name": name, "valueUri": value} for name, value in more.items()]
    return {"resourceType": "Parameters", "parameter": listed}


def errors(answer: Any) -> list[tuple[str, str]]:
    """Code and place of every error."""
    assert answer.status_code == 200, answer.text
    return [
        (each["code"], each.get("expression", [""])[0])
        for each in issues(answer)
        if each["severity"] in ("error", "fatal")
    ]


async def test_mode_create_asks_whether_it_could_be_created(api: World) -> None:
    patient = await api.patient()
    before = await api.db.fetchval("select count(*) from resource")
    good, absent = observation(patient["id"]), observation("nobody")
    for body, found in ((good, []), (absent, [("not-found", "Observation.subject")])):
        for sent in (asked("create", body), body):
            query = "" if sent["resourceType"] == "Parameters" else "?mode=create"
            answer = await api.call("POST", f"/Observation/$validate{query}", sent)
            assert [code for code, _ in errors(answer)] == [code for code, _ in found]
    # a hospital may send documents, and nothing else
    refused = await api.call("POST", "/Observation/$validate", asked("create", good), HOSPITAL)
    assert [code for code, _ in errors(refused)] == ["forbidden"]
    plain = await api.call("POST", "/Observation/$validate", good, HOSPITAL)
    assert errors(plain) == []
    assert await api.db.fetchval("select count(*) from resource") == before
    person = await api.person_of(patient["id"])
    assert await api.journal(person=person, query="mode=create", interaction="operation")


async def test_mode_update_asks_whether_the_address_would_take_it(api: World) -> None:
    patient, other = await api.patient(), await api.patient()
    made = await api.create(observation(patient["id"]))
    path = f"/Observation/{made['id']}/$validate"
    moved = {**made, "subject": {"reference": f"Patient/{other['id']}"}}
    good = {**made, "status": "amended"}
    assert errors(await api.call("POST", path, asked("update", good))) == []
    assert errors(await api.call("POST", f"{path}?mode=update", good)) == []
    (problem,) = errors(await api.call("POST", path, asked("update", moved)))
    assert problem[0] == "business-rule"
    at_type = await api.call("POST", "/Observation/$validate", asked("update", moved))
    assert [code for code, _ in errors(at_type)] == ["business-rule"]
    nameless = asked("update", observation(patient["id"]))
    assert (await api.call("POST", "/Observation/$validate", nameless)).status_code == 400
    assert (await api.call("GET", f"/Observation/{made['id']}")).json() == made


async def test_mode_delete_asks_whether_it_may_go(api: World) -> None:
    patient = await api.patient()
    path = f"/Patient/{patient['id']}/$validate"
    for body, query in ((asked("delete"), ""), (None, "?mode=delete"), (patient, "?mode=delete")):
        assert errors(await api.call("POST", f"{path}{query}", body)) == []
    refused = await api.call("POST", path, asked("delete"), CLINICIAN)
    assert [code for code, _ in errors(refused)] == ["forbidden"]
    none = issues(await api.call("POST", "/Patient/absent/$validate", asked("delete")))
    assert [(each["severity"], each["code"]) for each in none] == [("warning", "not-found")]
    assert (await api.call("POST", "/Patient/$validate", asked("delete"))).status_code == 400
    assert (await api.call("GET", f"/Patient/{patient['id']}")).status_code == 200


async def test_mode_profile_checks_what_is_stored(api: World) -> None:
    profile = await api.create(named_profile("mode"))
    patient = await api.create({"resourceType": "Patient", "active": True})
    path = f"/Patient/{patient['id']}/$validate"
    answer = await api.call("POST", path, asked("profile", profile=profile["url"]))
    assert [place for _, place in errors(answer)] == ["Patient.birthDate"]
    by_get = await api.call("GET", f"{path}?mode=profile&profile={profile['url']}")
    assert errors(by_get) == errors(answer)
    assert (await api.call("POST", path, asked("profile"))).status_code == 400
    with_resource = asked("profile", patient, profile=profile["url"])
    assert (await api.call("POST", path, with_resource)).status_code == 400


GENDER = {"id": "Patient.gender", "path": "Patient.gender", "min": 1}
_BASE = "http://example.org/StructureDefinition/"


def named_profile(name: str, **more: Any) -> dict[str, Any]:
    """A profile that wants a birth date and supports `active`; other tests share the server."""
    return {
        "resourceType": "StructureDefinition",
        "url": _BASE + name,
        "version": "1.0.0",
        "name": "Named",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "differential": {
            "element": [
                {"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1},
                {"id": "Patient.active", "path": "Patient.active", "mustSupport": True},
            ]
        },
        **more,
    }


def errors_of(answer: Any) -> list[tuple[str, str]]:
    return [
        (each["code"], each.get("expression", [""])[0])
        for each in issues(answer)
        if each["severity"] in ("error", "fatal")
    ]


async def test_a_stored_profile_is_checked_as_it_stands_now(api: World) -> None:
    patient = {"resourceType": "Patient", "name": [{"family": "A"}]}
    path = f"/Patient/$validate?profile={_BASE}stored44"
    assert errors_of(await api.call("POST", path, patient)) == [("not-found", "Patient")]
    stored = await api.create(named_profile("stored44"))
    assert errors_of(await api.call("POST", path, patient)) == [("required", "Patient.birthDate")]
    assert errors_of(await api.call("POST", f"{path}|1.0.0", patient)) == [
        ("required", "Patient.birthDate")
    ]
    assert errors_of(await api.call("POST", f"{path}|2.0.0", patient)) == [("not-found", "Patient")]
    changed = {**stored, "differential": {"element": [GENDER]}}
    answer = await api.call("PUT", f"/StructureDefinition/{stored['id']}", changed)
    assert answer.status_code == 200, answer.text
    assert errors_of(await api.call("POST", path, patient)) == [("required", "Patient.gender")]
    await api.call("DELETE", f"/StructureDefinition/{stored['id']}")
    assert errors_of(await api.call("POST", path, patient)) == [("not-found", "Patient")]


async def test_supported_elements_and_several_profiles_in_parameters(api: World) -> None:
    await api.create(named_profile("elements53"))
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "resource", "resource": {"resourceType": "Patient"}},
            {"name": "profile", "valueUri": _BASE + "elements53"},
            {"name": "profile", "valueCanonical": "http://example.org/other"},
            {"name": "mustSupport", "valueBoolean": True},
        ],
    }
    answer = await api.call("POST", "/Patient/$validate", body)
    assert sorted(errors_of(answer)) == [
        ("not-found", "Patient"),
        ("required", "Patient.birthDate"),
    ]
    told = [each["expression"] for each in issues(answer) if each["code"] == "informational"]
    assert told == [["Patient.active"]]


async def test_codes_are_asked_of_the_terminology_of_this_server(api: World) -> None:
    await api.create(
        {
            "resourceType": "CodeSystem",
            "url": "http://example.org/colours",
            "status": "active",
            "content": "complete",
            "concept": [{"code": "red", "display": "Red"}, {"code": "blue"}],
        }
    )
    await api.create(
        {
            "resourceType": "ValueSet",
            "url": "http://example.org/warm",
            "status": "active",
            "compose": {
                "include": [{"system": "http://example.org/colours", "concept": [{"code": "red"}]}]
            },
        }
    )
    binding = {"strength": "required", "valueSet": "http://example.org/warm"}
    element = {"id": "Patient.maritalStatus", "path": "Patient.maritalStatus", "binding": binding}
    await api.create(named_profile("are49", differential={"element": [element]}))
    path = f"/Patient/$validate?profile={_BASE}are49"
    for code, expected in (
        ("red", []),
        ("blue", [("code-invalid", "Patient.maritalStatus")]),
        (
            "mauve",
            [
                ("code-invalid", "Patient.maritalStatus"),
                ("code-invalid", "Patient.maritalStatus.coding[0].code"),
            ],
        ),
    ):
        coding = {"system": "http://example.org/colours", "code": code}
        body = {"resourceType": "Patient", "maritalStatus": {"coding": [coding]}}
        assert sorted(errors_of(await api.call("POST", path, body))) == expected


async def test_declared_profiles_are_in_force_for_writes(api: World) -> None:
    await api.create(named_profile("profiles41"))
    declared = {"resourceType": "Patient", "meta": {"profile": [_BASE + "profiles41"]}}
    refused = await api.call("POST", "/Patient", declared)
    assert (refused.status_code, errors_of(refused)) == (422, [("required", "Patient.birthDate")])
    good = await api.create({**declared, "birthDate": "1980-01-01"})
    wrong = {**good}
    del wrong["birthDate"]
    answer = await api.call("PUT", f"/Patient/{good['id']}", wrong)
    assert (answer.status_code, errors_of(answer)) == (422, [("required", "Patient.birthDate")])
    by_query = await api.call("POST", "/Patient", declared, If_None_Exist="identifier=urn:x|1")
    assert by_query.status_code == 422
    patch = [{"op": "remove", "path": "/birthDate"}]
    answer = await api.call(
        "PATCH",
        f"/Patient/{good['id']}",
        json.dumps(patch).encode(),
        content_type="application/json-patch+json",
    )
    assert (answer.status_code, errors_of(answer)) == (422, [("required", "Patient.birthDate")])
    patch = [{"op": "add", "path": "/gender", "value": "female"}]
    answer = await api.call(
        "PATCH",
        f"/Patient/{good['id']}",
        json.dumps(patch).encode(),
        content_type="application/json-patch+json",
    )
    assert answer.status_code == 200, answer.text
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": declared, "request": {"method": "POST", "url": "Patient"}}],
    }
    answer = await api.call("POST", "/", bundle)
    assert (answer.status_code, errors_of(answer)) == (
        422,
        [("required", "Bundle.entry[0].resource.birthDate")],
    )


async def test_an_unknown_declared_profile_is_a_warning(api: World) -> None:
    declared = {"resourceType": "Patient", "meta": {"profile": ["http://example.org/nowhere"]}}
    answer = await api.call("POST", "/Patient", declared, Prefer="return=OperationOutcome")
    assert answer.status_code == 201
    found = [(i["severity"], i["code"]) for i in issues(answer)]
    assert ("warning", "not-found") in found


async def test_invariants_of_r4_are_in_force_for_writes(api: World) -> None:
    contact = {"resourceType": "Patient", "contact": [{"gender": "male"}]}
    answer = await api.call("POST", "/Patient", contact)
    assert (answer.status_code, errors_of(answer)) == (422, [("invariant", "Patient.contact[0]")])
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": contact, "request": {"method": "POST", "url": "Patient"}}],
    }
    answer = await api.call("POST", "/", bundle)
    assert errors_of(answer) == [("invariant", "Bundle.entry[0].resource.contact[0]")]
