"""Profiles that the server holds are in force for what stands inside a write too."""

from __future__ import annotations

import asyncio
import json
import threading
from base64 import b64encode
from typing import Any

import pytest

from pater.fhir.validation.whole import validate_whole
from pater.rest.profiles import StoredProfiles
from tests.rest.test_validate_op import GENDER, errors_of, named_profile
from tests.rest.world import World, issues

_BASE = "http://example.org/StructureDefinition/"


def kept(*resources: dict[str, Any]) -> dict[str, Any]:
    entries = [
        {"fullUrl": f"urn:uuid:{place:08}-0000-4000-8000-000000000000", "resource": each}
        for place, each in enumerate(resources)
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def declaring(name: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "meta": {"profile": [_BASE + name]}, **more}


async def test_entries_of_a_stored_bundle_conform_to_what_they_declare(api: World) -> None:
    await api.create(named_profile("kept31"))
    wrong, right = declaring("kept31"), declaring("kept31", birthDate="1980-01-01")
    answer = await api.call("POST", "/Bundle", kept(right, wrong))
    assert (answer.status_code, errors_of(answer)) == (
        422,
        [("required", "Bundle.entry[1].resource.birthDate")],
    )
    stored = await api.create(kept(right))
    answer = await api.call("PUT", f"/Bundle/{stored['id']}", {**stored, **kept(wrong)})
    assert errors_of(answer) == [("required", "Bundle.entry[0].resource.birthDate")]
    request = {"method": "POST", "url": "Bundle"}
    inside = {"resource": kept(wrong), "request": request}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [inside]}
    answer = await api.call("POST", "/", bundle)
    place = "Bundle.entry[0].resource.entry[0].resource.birthDate"
    assert (answer.status_code, errors_of(answer)) == (422, [("required", place)])


async def test_a_profile_nobody_knows_is_one_warning_however_often_it_is_named(api: World) -> None:
    body = kept(*(declaring(name) for name in ("none32", "none32", "none33", "none32")))
    answer = await api.call("POST", "/Bundle", body, Prefer="return=OperationOutcome")
    assert answer.status_code == 201
    places = [each["expression"][0] for each in issues(answer) if each["severity"] == "warning"]
    assert places == [f"Bundle.entry[{at}].resource.meta.profile" for at in (0, 2)]


def patches(id: str, *operations: dict[str, Any]) -> dict[str, Any]:
    data = b64encode(json.dumps(operations).encode()).decode()
    return {
        "resource": {
            "resourceType": "Binary",
            "contentType": "application/json-patch+json",
            "data": data,
        },
        "request": {"method": "PATCH", "url": f"Patient/{id}"},
    }


async def test_a_patch_in_a_transaction_may_not_leave_the_profile(api: World) -> None:
    await api.create(named_profile("patched34"))
    good = await api.create(declaring("patched34", birthDate="1980-01-01"))
    other = {"resource": {"resourceType": "Patient", "active": True},
             "request": {"method": "POST", "url": "Patient"}}  # fmt: skip

    async def send(*operations: dict[str, Any]) -> Any:
        entries = [other, patches(good["id"], *operations)]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        return await api.call("POST", "/", bundle)

    before = await api.db.fetchval("select count(*) from resource")
    answer = await send({"op": "remove", "path": "/birthDate"})
    assert (answer.status_code, [code for code, _ in errors_of(answer)]) == (422, ["required"])
    assert await api.db.fetchval("select count(*) from resource") == before
    answer = await send({"op": "add", "path": "/gender", "value": "female"})
    assert answer.status_code == 200, answer.text
    assert (await api.call("GET", f"/Patient/{good['id']}")).json()["gender"] == "female"


async def test_a_large_resource_is_checked_beside_the_loop_with_the_same_result(
    api: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.create(named_profile("large35", differential={"element": [GENDER]}))
    threads: list[threading.Thread] = []

    def noted(*given: Any, **named: Any) -> Any:
        threads.append(threading.current_thread())
        return validate_whole(*given, **named)

    monkeypatch.setattr("pater.rest.profiles.validate_whole", noted)
    small = declaring("large35")
    large = {**small, "name": [{"family": f"F{n}", "given": ["G" * 40]} for n in range(400)]}
    for body in (small, large):
        answer = await api.call("POST", "/Patient/$validate", body)
        assert errors_of(answer) == [("required", "Patient.gender")]
    main = threading.main_thread()
    assert threads[0] is main
    assert threads[-1] is not main


async def test_who_comes_while_a_definition_is_fetched_waits_for_it_too(api: World) -> None:
    await api.create(named_profile("crowd36"))
    path = "/Patient/$validate"
    answers = await asyncio.gather(
        *(api.call("POST", path, declaring("crowd36")) for _ in range(12))
    )
    assert [errors_of(each) for each in answers] == [[("required", "Patient.birthDate")]] * 12


async def test_writes_of_one_moment_share_what_the_terminology_says(
    api: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = {
        "id": "Patient.maritalStatus", "path": "Patient.maritalStatus",
        "binding": {"strength": "required",
                    "valueSet": "http://hl7.org/fhir/ValueSet/marital-status"},
    }  # fmt: skip
    await api.create(named_profile("shared37", differential={"element": [bound]}))
    asked: list[Any] = []
    answer = StoredProfiles._answer

    async def counted(self: StoredProfiles, session: Any, question: Any) -> Any:
        asked.append(question)
        return await answer(self, session, question)

    monkeypatch.setattr(StoredProfiles, "_answer", counted)
    monkeypatch.setattr("pater.rest.profiles._FRESH", 3600.0)
    system = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"

    def married(code: str) -> dict[str, Any]:
        return declaring("shared37", maritalStatus={"coding": [{"system": system, "code": code}]})

    await api.create(married("M"))
    first = len(asked)
    await api.create(married("M"))
    assert (first > 0, len(asked)) == (True, first)
    refused = await api.call("POST", "/Patient", married("nonsense"))
    assert errors_of(refused) == [("code-invalid", "Patient.maritalStatus")]
    assert len(asked) > first
    seen = len(asked)
    monkeypatch.setattr("pater.rest.profiles._FRESH", -1.0)
    await api.create(married("M"))
    assert len(asked) > seen
