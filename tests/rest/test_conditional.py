"""Conditional create, update, delete and references: exact, also when many ask at once."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any
from uuid import uuid4

import pytest

from tests.rest.world import BASE, HOSPITAL, World, issues, observation

SYSTEM = "http://example.org/lab"
CLIENTS = 64


def place(value: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Organization",
        "identifier": [{"system": SYSTEM, "value": value}],
        "name": f"Laboratoř {value}",
        **elements,
    }


async def found(api: World, query: str) -> list[dict[str, Any]]:
    answer = await api.call("GET", f"/Organization?{query}")
    assert answer.status_code == 200, answer.text
    return [each["resource"] for each in answer.json().get("entry", ())]


async def test_a_conditional_create_happens_once(api: World) -> None:
    query = f"identifier={SYSTEM}|once"
    first = await api.call("POST", "/Organization", place("once"), if_none_exist=query)
    again = await api.call("POST", "/Organization", place("once"), if_none_exist=f"?{query}")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.headers["location"] == again.headers["location"]
    assert again.json() == first.json()
    minimal = await api.call(
        "POST", "/Organization", place("once"), if_none_exist=query, prefer="return=minimal"
    )
    assert (minimal.status_code, minimal.content) == (200, b"")


@pytest.mark.parametrize("query", [f"identifier={SYSTEM}|{{}}", "name:exact=Laboratoř%20{}"])
async def test_of_many_at_once_one_creates(api: World, query: str) -> None:
    value = str(uuid4())
    asked = query.format(value).replace("ř", "%C5%99")
    answers = await asyncio.gather(
        *(
            api.call("POST", "/Organization", place(value), if_none_exist=asked)
            for _ in range(CLIENTS)
        )
    )
    assert sorted(a.status_code for a in answers) == [200] * (CLIENTS - 1) + [201]
    assert len({a.headers["location"] for a in answers}) == 1
    assert len(await found(api, asked)) == 1


@pytest.mark.parametrize("query", [f"identifier={SYSTEM}|{{}}", "name:exact=Laboratoř%20{}"])
async def test_of_many_conditional_updates_at_once_one_creates(api: World, query: str) -> None:
    value = str(uuid4())
    asked = query.format(value).replace("ř", "%C5%99")
    answers = await asyncio.gather(
        *(
            api.call("PUT", f"/Organization?{asked}", place(value, active=bool(n % 2)))
            for n in range(CLIENTS)
        )
    )
    assert sorted(a.status_code for a in answers) == [200] * (CLIENTS - 1) + [201]
    (one,) = await found(api, asked)
    assert one["meta"]["versionId"] == str(CLIENTS)


async def test_what_was_deleted_can_be_created_again_once(api: World) -> None:
    query = f"identifier={SYSTEM}|phoenix"
    for _ in range(3):
        answers = await asyncio.gather(
            *(
                api.call("POST", "/Organization", place("phoenix"), if_none_exist=query)
                for _ in range(8)
            )
        )
        assert sorted(a.status_code for a in answers) == [200] * 7 + [201]
        (one,) = await found(api, query)
        gone = await api.call("DELETE", f"/Organization?{query}")
        assert gone.status_code == 204
        assert (await api.call("GET", f"/Organization/{one['id']}")).status_code == 410
    assert (await api.call("DELETE", f"/Organization?{query}")).status_code == 204


async def test_several_matches_are_refused(api: World) -> None:
    kept = [await api.create(place("twice")) for _ in range(2)]
    query = f"identifier={SYSTEM}|twice"
    for answer in (
        await api.call("POST", "/Organization", place("twice"), if_none_exist=query),
        await api.call("PUT", f"/Organization?{query}", place("twice")),
        await api.call("DELETE", f"/Organization?{query}"),
    ):
        assert answer.status_code == 412
        assert issues(answer)[0]["code"] == "multiple-matches"
    assert {each["id"] for each in await found(api, query)} == {each["id"] for each in kept}


async def test_a_conditional_update_takes_the_id_only_when_it_fits(api: World) -> None:
    made = await api.create(place("fits"))
    query = f"identifier={SYSTEM}|fits"
    other = await api.call("PUT", f"/Organization?{query}", place("fits", id="other"))
    assert other.status_code == 400
    fits = await api.call("PUT", f"/Organization?{query}", place("fits", id=made["id"]))
    assert (fits.status_code, fits.headers["etag"]) == (200, 'W/"2"')
    stale = await api.call("PUT", f"/Organization?{query}", place("fits"), if_match='W/"1"')
    assert stale.status_code == 412
    chosen = await api.call(
        "PUT", f"/Organization?identifier={SYSTEM}|chosen", place("chosen", id="chosen-place")
    )
    assert chosen.status_code == 201
    assert chosen.headers["location"] == f"{BASE}/Organization/chosen-place/_history/1"


@pytest.mark.parametrize(
    "query", ["", "_count=1", "unknown=1", "_sort=name&name=a", "Patient?identifier=a"]
)
async def test_a_query_that_is_none_is_refused(api: World, query: str) -> None:
    answer = await api.call("POST", "/Organization", place("none"), if_none_exist=query)
    assert answer.status_code == 400, answer.text


async def test_who_may_not_write_learns_nothing(api: World) -> None:
    await api.create(place("secret"))
    query = f"identifier={SYSTEM}|secret"
    for answer in (
        await api.call("POST", "/Organization", place("secret"), HOSPITAL, if_none_exist=query),
        await api.call("PUT", f"/Organization?{query}", place("secret"), HOSPITAL),
        await api.call("DELETE", f"/Organization?{query}", None, HOSPITAL),
    ):
        assert answer.status_code == 403


def transaction(*entries: dict[str, Any], kind: str = "transaction") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(method: str, url: str, resource: Any = None, **request: str) -> dict[str, Any]:
    body = {"resource": resource} if resource else {}
    return {**body, "request": {"method": method, "url": url, **request}}


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_entries_of_a_bundle_are_conditional_too(api: World, kind: str) -> None:
    mark = f"entry-{kind}"
    there = await api.create(place(f"{mark}-there"))
    await api.create(place(f"{mark}-gone"))
    query = f"identifier={SYSTEM}|{mark}"
    bundle = transaction(
        entry("POST", "Organization", place(f"{mark}-new"), ifNoneExist=f"{query}-new"),
        entry("POST", "Organization", place(f"{mark}-there"), ifNoneExist=f"{query}-there"),
        entry("PUT", f"Organization?{query}-put", place(f"{mark}-put")),
        entry("DELETE", f"Organization?{query}-gone"),
        entry("DELETE", f"Organization?{query}-never"),
        kind=kind,
    )
    answer = await api.call("POST", "", bundle)
    assert answer.status_code == 200, answer.text
    responses = [each["response"] for each in answer.json()["entry"]]
    assert [r["status"][:3] for r in responses] == ["201", "200", "201", "204", "204"]
    assert f"Organization/{there['id']}/" in responses[1]["location"]
    assert not await found(api, f"{query}-gone")
    again = (await api.call("POST", "", bundle)).json()["entry"]
    statuses = [each["response"]["status"][:3] for each in again]
    assert statuses == ["200", "200", "200", "204", "204"]


async def test_a_transaction_of_many_at_once_creates_once(api: World) -> None:
    value = str(uuid4())
    bundle = transaction(
        {
            **entry("POST", "Organization", place(value),
                    ifNoneExist=f"identifier={SYSTEM}|{value}"),
            "fullUrl": f"urn:uuid:{uuid4()}",
        }
    )  # fmt: skip
    bundle["entry"].append(
        entry("POST", "Location", {
            "resourceType": "Location",
            "identifier": [{"system": SYSTEM, "value": value}],
            "managingOrganization": {"reference": bundle["entry"][0]["fullUrl"]},
        })
    )  # fmt: skip
    answers = await asyncio.gather(*(api.call("POST", "", bundle) for _ in range(CLIENTS)))
    assert {a.status_code for a in answers} == {200}, [a.text for a in answers][:1]
    (one,) = await found(api, f"identifier={SYSTEM}|{value}")
    places = await api.call("GET", f"/Location?identifier={SYSTEM}|{value}&_count=100")
    entries = places.json()["entry"]
    owners = {each["resource"]["managingOrganization"]["reference"] for each in entries}
    assert (len(entries), owners) == (CLIENTS, {f"Organization/{one['id']}"})


async def test_the_same_condition_twice_in_a_transaction_is_one_resource(api: World) -> None:
    query = f"identifier={SYSTEM}|same"
    bundle = transaction(
        *(entry("POST", "Organization", place("same"), ifNoneExist=query) for _ in range(2))
    )
    entries = (await api.call("POST", "", bundle)).json()["entry"]
    assert [each["response"]["status"][:3] for each in entries] == ["201", "200"]
    assert len(await found(api, query)) == 1


async def test_conditional_references_lead_to_what_they_mean(api: World) -> None:
    identifier = {"system": SYSTEM, "value": "patient-1"}
    patient = await api.patient(identifier=[identifier])
    sent = observation("x", subject={"reference": f"Patient?identifier={SYSTEM}|patient-1"})
    answer = await api.call("POST", "", transaction(entry("POST", "Observation", sent)),
                            prefer="return=representation")  # fmt: skip
    assert answer.status_code == 200, answer.text
    stored = answer.json()["entry"][0]["resource"]
    assert stored["subject"]["reference"] == f"Patient/{patient['id']}"
    nobody = observation("x", subject={"reference": f"Patient?identifier={SYSTEM}|nobody"})
    answer = await api.call("POST", "", transaction(entry("POST", "Observation", nobody)))
    assert answer.status_code == 412
    assert issues(answer)[0]["expression"] == ["Bundle.entry[0].resource.subject.reference"]
    await api.patient(identifier=[identifier])
    answer = await api.call("POST", "", transaction(entry("POST", "Observation", sent)))
    assert (answer.status_code, issues(answer)[0]["code"]) == (412, "multiple-matches")
    odd = observation("x", subject={"reference": "Patient?nonsense=1"})
    answer = await api.call("POST", "", transaction(entry("POST", "Observation", odd)))
    assert answer.status_code == 400


async def test_the_look_of_a_condition_is_in_the_journal(api: World) -> None:
    identifier = {"system": SYSTEM, "value": "watched"}
    patient = await api.patient(identifier=[identifier])
    person = await api.person_of(patient["id"])
    before = len(await api.journal(person=person, interaction="search-type"))
    sent = {"resourceType": "Patient", "identifier": [identifier]}
    await api.call("POST", "/Patient", sent, if_none_exist=f"identifier={SYSTEM}|watched")
    rows = await api.journal(person=person, interaction="search-type")
    assert len(rows) == before + 1
    assert "watched" not in rows[-1]["query"]


def patch_entry(url: str, steps: list[dict[str, Any]], **request: str) -> dict[str, Any]:
    data = base64.b64encode(json.dumps(steps).encode()).decode()
    binary = {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": data,
    }
    return entry("PATCH", url, binary, **request)


PATCH = {"content_type": "application/json-patch+json"}


async def test_a_patch_changes_what_it_names(api: World) -> None:
    made = await api.create(place("patched"))
    path = f"/Organization/{made['id']}"
    steps = [{"op": "replace", "path": "/name", "value": "Nová"}]
    answer = await api.call("PATCH", path, json.dumps(steps), **PATCH)
    assert (answer.status_code, answer.json()["name"]) == (200, "Nová")
    assert answer.headers["etag"] == 'W/"2"'
    stale = await api.call("PATCH", path, json.dumps(steps), if_match='W/"1"', **PATCH)
    assert stale.status_code == 412
    history = (await api.call("GET", f"{path}/_history")).json()["entry"]
    assert [each["request"]["method"] for each in history] == ["PATCH", "POST"]
    assert await api.journal(entity_id=made["id"], interaction="patch", outcome="0")
    query = f"/Organization?identifier={SYSTEM}|patched"
    assert (await api.call("PATCH", query, json.dumps(steps), **PATCH)).status_code == 200


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        ([{"op": "replace", "path": "/nothing", "value": 1}], 422),
        ([{"op": "test", "path": "/name", "value": "other"}], 422),
        ([{"op": "add", "path": "/unknown", "value": 1}], 422),
        ([{"op": "remove", "path": "/identifier/0"}], 422),
        ([{"op": "replace", "path": "/id", "value": "x"}], 422),
        ([{"op": "remove", "path": ""}], 422),
        ([{"op": "replace", "path": "", "value": {"resourceType": "Patient"}}], 422),
        ([{"op": "spam", "path": "/name"}], 400),
        ({"op": "remove", "path": "/name"}, 400),
    ],
)
async def test_a_patch_that_cannot_be_done_changes_nothing(
    api: World, steps: Any, status: int
) -> None:
    made = await api.create(place("unpatched"))
    path = f"/Organization/{made['id']}"
    answer = await api.call("PATCH", path, json.dumps(steps), **PATCH)
    assert answer.status_code == status, answer.text
    assert issues(answer)
    assert (await api.call("GET", path)).json() == made


async def test_a_patch_needs_its_media_type_and_a_resource(api: World) -> None:
    plain = await api.call("PATCH", "/Organization/x", "[]", content_type="text/plain")
    assert plain.status_code == 415
    assert (await api.call("PATCH", "/Organization/x", "[]", **PATCH)).status_code == 404
    for text in ('[],"a":1', "[", "", '[{"op":"add","path":"/name","value":"a\\u0000"}]'):
        assert (await api.call("PATCH", "/Organization/x", text, **PATCH)).status_code == 400


async def test_copies_of_copies_come_to_an_end(api: World) -> None:
    made = await api.create(place("copied"))
    double = {"op": "copy", "from": "/identifier", "path": "/identifier/-"}
    answer = await api.call(
        "PATCH", f"/Organization/{made['id']}", json.dumps([double] * 40), **PATCH
    )
    assert answer.status_code == 413


async def test_a_patch_does_not_move_a_record_to_another_patient(api: World) -> None:
    patient, other = await api.patient(), await api.patient()
    seen = await api.create(observation(patient["id"]))
    steps = [{"op": "replace", "path": "/subject/reference", "value": f"Patient/{other['id']}"}]
    path = f"/Observation/{seen['id']}"
    answer = await api.call("PATCH", path, json.dumps(steps), **PATCH)
    assert answer.status_code == 422
    assert (await api.call("GET", path)).json() == seen


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_a_bundle_patches(api: World, kind: str) -> None:
    made = await api.create(place(f"bundled-{kind}"))
    steps = [{"op": "add", "path": "/active", "value": True}]
    query = f"Organization?identifier={SYSTEM}|bundled-{kind}"
    for url, version in ((f"Organization/{made['id']}", 2), (query, 3)):
        answer = await api.call("POST", "", transaction(patch_entry(url, steps), kind=kind))
        assert answer.status_code == 200, answer.text
        assert answer.json()["entry"][0]["response"]["etag"] == f'W/"{version}"'
    stale = transaction(patch_entry(f"Organization/{made['id']}", steps, ifMatch='W/"1"'))
    assert (await api.call("POST", "", stale)).status_code == 412
    wrong = transaction(entry("PATCH", f"Organization/{made['id']}", place("x")))
    assert (await api.call("POST", "", wrong)).status_code == 400
