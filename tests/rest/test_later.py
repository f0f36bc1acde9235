"""Requests that are answered later: asked for, polled, fetched and cancelled by one caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from pater.fhir import xml
from pater.fhir.validation import validate
from pater.rest.later import KIND, Later
from pater.store.database import Database
from pater.store.files import Files
from pater.store.workers import Workers
from tests.conftest import Clock
from tests.rest.world import (
    BASE,
    CLINICIAN,
    HOSPITAL,
    INSURER,
    World,
    issues,
    observation,
    patient_caller,
    world,
)
from tests.waiting import until

ASYNC = {"prefer": "respond-async"}


@pytest.fixture(scope="module")
async def asked(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[World, Later]]:
    """The API, and the requests that it will answer."""
    folder: Path = tmp_path_factory.mktemp("later")
    later = Later(module_database, Files(folder), BASE)
    clock = Clock(datetime.now(UTC).replace(day=15, hour=9, minute=0, second=0, microsecond=0))
    async with world(module_database, clock, later=later) as made:
        yield made, later


async def worked(later: Later, db: Database) -> None:
    """Has the jobs done that wait."""
    stop = asyncio.Event()
    task = asyncio.create_task(Workers(db, {KIND: later.work}, pause=0.05).run(stop))
    done = "select not exists (select from job where kind = $1 and state in ('waiting', 'running'))"
    await until(lambda: db.fetchval(done, KIND))
    stop.set()
    await task


async def poll(api: World, address: str, **more: Any) -> httpx.Response:
    return await api.call("GET", address.removeprefix(BASE), **more)


@pytest.mark.parametrize("what", ["search", "everything", "lastn", "compartment"])
async def test_an_answer_comes_later(asked: tuple[World, Later], what: str) -> None:
    api, later = asked
    patient = (await api.patient())["id"]
    seen = await api.create(observation(patient))
    path = {
        "search": f"/Observation?patient={patient}",
        "everything": f"/Patient/{patient}/$everything",
        "lastn": f"/Observation/$lastn?patient={patient}",
        "compartment": f"/Patient/{patient}/Observation",
    }[what]
    first = await api.call("GET", path, caller=CLINICIAN, **ASYNC)
    assert (first.status_code, first.content) == (202, b"")
    address = first.headers["content-location"]
    waiting = await poll(api, address, caller=CLINICIAN)
    assert (waiting.status_code, waiting.headers["retry-after"]) == (202, "1")
    assert waiting.headers["x-progress"]
    person = await api.person_of(patient)
    assert not await api.journal(person=person, agent=CLINICIAN.id)
    await worked(later, api.db)
    done = await poll(api, address, caller=CLINICIAN)
    assert (done.status_code, "expires" in done.headers) == (200, True)
    bundle = done.json()
    assert (bundle["type"], validate(bundle)) == ("batch-response", [])
    found = bundle["entry"][0]
    assert found["response"]["status"] == "200"
    ids = [each["resource"]["id"] for each in found["resource"]["entry"]]
    assert seen["id"] in ids
    assert await api.journal(person=person, agent=CLINICIAN.id, outcome="0")
    in_xml = await poll(api, address, caller=CLINICIAN, accept="application/fhir+xml")
    assert xml.parse(in_xml.content)["type"] == "batch-response"
    less = [replace(CLINICIAN, strength=1), replace(CLINICIAN, purpose=""),
            replace(CLINICIAN, scopes=("user/Observation.r",))]  # fmt: skip
    for stranger in (HOSPITAL, patient_caller(person, patient), *less):
        assert (await poll(api, address, caller=stranger)).status_code == 404
        refused = await api.call("DELETE", address.removeprefix(BASE), caller=stranger)
        assert refused.status_code == 404
    gone = await api.call("DELETE", address.removeprefix(BASE), caller=CLINICIAN)
    assert gone.status_code == 202
    assert (await poll(api, address, caller=CLINICIAN)).status_code == 404


def parameters(**values: str) -> dict[str, Any]:
    listed = [{"name": name, "valueString": value} for name, value in values.items()]
    return {"resourceType": "Parameters", "parameter": listed}


@pytest.mark.parametrize("kind", ["search", "everything", "lastn", "type", "instance", "whole"])
async def test_posts_and_histories_come_later_too(asked: tuple[World, Later], kind: str) -> None:
    api, later = asked
    patient = (await api.patient())["id"]
    seen = await api.create(observation(patient))
    form = {"content_type": "application/x-www-form-urlencoded"}
    query = f"patient={patient}&status=final&colour=red"
    lenient = "respond-async, handling=lenient"
    method, path, body, headers = {
        "search": ("POST", "/Observation/_search", query, {**form, "prefer": lenient}),
        "everything": ("POST", f"/Patient/{patient}/$everything",
                       parameters(_type="Observation"), ASYNC),
        "lastn": ("POST", "/Observation/$lastn", parameters(patient=patient), ASYNC),
        "type": ("GET", "/Observation/_history", None, ASYNC),
        "instance": ("GET", f"/Observation/{seen['id']}/_history", None, ASYNC),
        "whole": ("GET", f"/?_type=Observation&_id={seen['id']}", None, ASYNC),
    }[kind]  # fmt: skip
    first = await api.call(method, path, body, **headers)
    assert (first.status_code, first.content) == (202, b"")
    await worked(later, api.db)
    done = await poll(api, first.headers["content-location"])
    (found,) = done.json()["entry"]
    assert found["response"]["status"] == "200", found
    entries = found["resource"]["entry"]
    assert seen["id"] in [each.get("resource", {}).get("id") for each in entries]
    assert (entries[-1].get("search") == {"mode": "outcome"}) == (kind == "search")


async def test_what_cannot_wait_is_answered_at_once(asked: tuple[World, Later]) -> None:
    api, _ = asked
    patient = (await api.patient())["id"]
    form = {"content_type": "application/x-www-form-urlencoded"}
    long = f"_id={patient}," + "x" * 300_000
    answer = await api.call("POST", "/Patient/_search", long, **form, **ASYNC)
    assert answer.status_code < 500 and answer.status_code != 202
    odd = await api.call("POST", "/Patient/_search", b"\xff", **form, **ASYNC)
    assert odd.status_code == 400
    made = await api.call("POST", "/Observation", observation(patient), **ASYNC)
    assert made.status_code == 201


async def test_a_refusal_is_an_answer_too(asked: tuple[World, Later]) -> None:
    api, later = asked
    paths = {"/Observation?colour=red": "400", "/Patient/absent/$everything": "404"}
    addresses = {}
    for path in paths:
        first = await api.call("GET", path, **ASYNC)
        addresses[path] = first.headers["content-location"]
    closed = await api.call("GET", "/Patient", caller=INSURER, **ASYNC)
    await worked(later, api.db)
    for path, status in paths.items():
        entry = (await poll(api, addresses[path])).json()["entry"][0]
        assert entry["response"]["status"] == status
        assert entry["response"]["outcome"]["resourceType"] == "OperationOutcome"
    entry = (await poll(api, closed.headers["content-location"], caller=INSURER)).json()["entry"]
    assert entry[0]["response"]["status"] == "403"


async def test_what_waits_can_be_cancelled(asked: tuple[World, Later]) -> None:
    api, later = asked
    first = await api.call("GET", "/Patient?_count=1", **ASYNC)
    address = first.headers["content-location"]
    assert (await api.call("DELETE", address.removeprefix(BASE))).status_code == 202
    await worked(later, api.db)
    assert (await poll(api, address)).status_code == 404


async def test_nobody_asks_for_too_much_at_once(
    asked: tuple[World, Later], monkeypatch: pytest.MonkeyPatch
) -> None:
    api, later = asked
    monkeypatch.setattr("pater.rest.later.MOST_AT_ONCE", 1)
    await api.call("GET", "/Patient?_count=1", **ASYNC)
    refused = await api.call("GET", "/Patient?_count=1", **ASYNC)
    assert (refused.status_code, "retry-after" in refused.headers) == (429, True)
    assert issues(refused)[0]["code"] == "throttled"
    other = await api.call("GET", "/Patient?_id=x", caller=CLINICIAN, **ASYNC)
    assert other.status_code == 202
    await worked(later, api.db)


async def test_what_is_quick_is_answered_at_once(asked: tuple[World, Later]) -> None:
    api, _ = asked
    made = await api.patient()
    answer = await api.call("GET", f"/Patient/{made['id']}", **ASYNC)
    assert (answer.status_code, answer.json()) == (200, made)
    for path in ("/async/1", "/async/00000000-0000-4000-8000-000000000000", "/async/x/y"):
        assert (await api.call("GET", path)).status_code == 404
    assert (await api.call("POST", "/async/1", {})).status_code == 405
