"""What domains add to the API, and what happens when one of them breaks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest, Parts
from pater.store.database import Database
from pater.store.write import Claim, claim_key
from tests.conftest import Clock
from tests.rest.world import BASE, HOSPITAL, World, issues, world


async def take_document(
    caller: Caller, resource: dict[str, Any], raw: bytes, prefer: str
) -> Answer | None:
    if resource.get("type") != "document":
        return None
    if resource.get("id") == "break":
        raise RuntimeError("Jana Svobodová broke it")
    said = json.dumps({"caller": caller.id, "length": len(raw), "prefer": prefer})
    return Answer(201, said.encode(), {"Location": f"{BASE}/Bundle/1/_history/1", "ETag": 'W/"1"'})


async def count(caller: Caller, request: OperationRequest) -> Answer:
    return Answer(200, json.dumps([request.type, request.id, list(request.parameters)]).encode())


def claims(resource: dict[str, Any], person: int, id: str) -> list[Claim]:
    return [Claim(claim_key("p", i["value"]), person, id) for i in resource.get("identifier", ())]


@pytest.fixture
async def hooked(database: Database, clock: Clock) -> AsyncIterator[World]:
    operations = [
        Operation("count", count, frozenset({"Patient"}), methods=frozenset({"GET"})),
        Operation("count", count, frozenset({""})),
    ]
    async with world(
        database,
        clock,
        domains=[Parts({"Bundle": take_document}, operations=operations)],
        patient_claims=claims,
    ) as made:
        yield made


async def test_a_domain_takes_what_is_for_it_with_the_very_bytes(hooked: World) -> None:
    raw = b'{ "resourceType":"Bundle",\n "type":"document" }'
    answer = await hooked.call("POST", "/Bundle", raw, HOSPITAL, prefer="return=minimal")
    assert answer.status_code == 201
    assert answer.json() == {"caller": HOSPITAL.id, "length": len(raw), "prefer": "minimal"}
    assert answer.headers["location"] == f"{BASE}/Bundle/1/_history/1"
    assert answer.headers["etag"] == 'W/"1"'


async def test_what_it_leaves_is_an_ordinary_create(hooked: World) -> None:
    body = {"resourceType": "Bundle", "type": "collection"}
    made = await hooked.create(body)
    assert made["type"] == "collection"


async def test_a_document_goes_in_a_batch_but_not_in_a_transaction(hooked: World) -> None:
    document = {"resourceType": "Bundle", "type": "document"}
    entry = {"request": {"method": "POST", "url": "Bundle"}, "resource": document}
    body = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    answer = await hooked.call("POST", "/", body)
    assert answer.json()["entry"][0]["response"]["status"] == "201"
    refused = await hooked.call("POST", "/", {**body, "type": "transaction"})
    assert refused.status_code in (400, 422)


async def test_an_error_of_ours_tells_nobody_anything(hooked: World) -> None:
    body = {"resourceType": "Bundle", "type": "document", "id": "break"}
    with structlog.testing.capture_logs() as logs:
        answer = await hooked.call("POST", "/Bundle", body, x_request_id="broken-1")
    assert answer.status_code == 500
    assert "broken-1" in issues(answer)[0]["diagnostics"]
    assert "Svobodov" not in answer.text + json.dumps(logs, ensure_ascii=False)
    assert logs[0]["request_id"] == "broken-1"
    assert logs[0]["error"] == "RuntimeError"


async def test_operations_stand_where_they_were_put(hooked: World) -> None:
    answer = await hooked.call("GET", "/Patient/$count?a=b")
    assert answer.json() == ["Patient", "", [["a", "b"]]]
    assert (await hooked.call("POST", "/Patient/$count", {})).status_code == 405
    assert (await hooked.call("POST", "/$count", {})).json() == ["", "", []]
    assert (await hooked.call("GET", "/Observation/$count")).status_code == 404
    assert (await hooked.call("GET", "/Patient/1/$count")).status_code == 404


async def test_an_identifier_belongs_to_one_patient(hooked: World) -> None:
    body = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "1"}]}
    made = await hooked.create(body)
    second = await hooked.call("POST", "/Patient", body)
    assert (second.status_code, issues(second)[0]["code"]) == (409, "conflict")
    again = await hooked.call("PUT", f"/Patient/{made['id']}", made)
    assert again.status_code == 200
