"""`$validate` says what is wrong, stores nothing, and needs no right to write."""

from __future__ import annotations

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
        ("warning", "not-supported"),
        ("error", issues(answer)[1]["code"]),
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
