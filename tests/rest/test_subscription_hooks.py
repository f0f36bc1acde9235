"""Rest-hooks: what is sent when, in which order, how often, and what happens when it fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from pater.store.database import Database
from tests.rest.subscription_world import (
    HOSPITAL_B,
    Call,
    Receiver,
    Served,
    classic,
    observation,
    served,
    topical,
    until,
)

RESULTS = "urn:pater:topic:result-reported"
CHANGES = "urn:pater:topic:record-changed"


@pytest.fixture(scope="module")
async def house(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    async with served(module_database, tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture
async def world(house: Served) -> AsyncIterator[Served]:
    yield house
    await house.clear()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().listening() as made:
        yield made


async def test_criteria_of_r4_send_the_resource_that_meets_them(
    world: Served, receiver: Receiver
) -> None:
    patient = await world.patient()
    wanted = f"Observation?code=http://loinc.org|8867-4&patient=Patient/{patient}"
    made = await world.create(
        classic(wanted, receiver.url("/in?a=b"), payload="application/fhir+json")
    )
    assert made["status"] == "requested"
    # from the moment of the answer on, before it is active
    first = await world.create(observation(patient))
    other = await world.create(observation(await world.patient()))
    await world.create(observation(patient, code={"text": "something else"}))
    await world.becomes(made["id"], "active")
    changed = await world.call("PUT", f"/Observation/{first['id']}", {**first, "status": "amended"})
    assert changed.status_code == 200
    await world.call("DELETE", f"/Observation/{first['id']}")
    last = await world.create(observation(patient, status="preliminary"))
    await until(lambda: len(receiver.calls) >= 3)
    assert [(c.method, c.path) for c in receiver.calls] == [
        ("PUT", f"/in/Observation/{first['id']}?a=b"),
        ("PUT", f"/in/Observation/{first['id']}?a=b"),
        ("PUT", f"/in/Observation/{last['id']}?a=b"),
    ]
    assert [c.json["status"] for c in receiver.calls] == ["final", "amended", "preliminary"]
    assert receiver.calls[0].json == first
    assert [c.key for c in receiver.calls] == [f"{made['id']}/{n}" for n in (1, 2, 3)]
    assert all(other["id"] not in c.path for c in receiver.calls)


async def test_without_a_payload_only_the_fact_is_told(world: Served, receiver: Receiver) -> None:
    made = await world.create(classic("Observation?status=final", receiver.url()))
    await world.create(observation(await world.patient()))
    await until(lambda: receiver.calls)
    call = receiver.calls[0]
    assert (call.method, call.path, call.body) == ("POST", "/hook", b"")
    assert call.key == f"{made['id']}/1"


async def test_a_topic_shakes_hands_then_tells_by_number(world: Served, receiver: Receiver) -> None:
    patient = await world.patient()
    made = await world.create(
        topical(RESULTS, receiver.url(), f"patient=Patient/{patient}", content="full-resource")
    )
    assert made["status"] == "requested"
    await world.becomes(made["id"], "active")
    one = await world.create(observation(patient))
    await world.create(observation(await world.patient()))
    await until(lambda: len(receiver.calls) == 2)
    handshake, event = receiver.calls
    assert handshake.headers["content-type"] == "application/fhir+json"
    assert handshake.parameter("type") == "handshake"
    assert handshake.parameter("status") == "requested"
    assert handshake.parameter("events-since-subscription-start") == "0"
    body = event.json
    assert body["type"] == "history"
    assert event.parameter("type") == "event-notification"
    assert event.parameter("topic") == RESULTS
    assert event.numbers == [1]
    assert event.focuses == [f"{world.url}/fhir/Observation/{one['id']}"]
    assert body["entry"][1]["resource"] == one
    assert body["entry"][1]["request"] == {"method": "POST", "url": "Observation"}
    assert body["entry"][1]["response"]["status"] == "201"
    # the bundle is one that we would take ourselves
    answer = await world.call("POST", "/Bundle/$validate", body)
    assert [i for i in answer.json()["issue"] if i["severity"] in ("error", "fatal")] == []


@pytest.mark.parametrize("content", ["empty", "id-only"])
async def test_no_more_is_sent_than_was_asked_for(
    world: Served, receiver: Receiver, content: str
) -> None:
    await world.create(topical(RESULTS, receiver.url(), content=content))
    one = await world.create(observation(await world.patient()))
    await until(lambda: len(receiver.calls) == 2)
    event = receiver.calls[1]
    assert len(event.json["entry"]) == 1
    assert event.numbers == [1]
    assert (one["id"] in event.body.decode()) is (content == "id-only")


async def test_xml_when_xml_was_asked_for(world: Served, receiver: Receiver) -> None:
    mime = "application/fhir+xml;fhirVersion=4.0"
    await world.create(topical(RESULTS, receiver.url(), content="full-resource", mime=mime))
    await world.create(observation(await world.patient()))
    await until(lambda: len(receiver.calls) == 2)
    assert receiver.calls[1].headers["content-type"] == "application/fhir+xml"
    assert receiver.calls[1].body.startswith(b"<")
    assert b"<Observation" in receiver.calls[1].body


async def test_a_deletion_is_told_by_those_topics_that_know_it(
    world: Served, receiver: Receiver
) -> None:
    patient = await world.patient()
    await world.create(
        topical(CHANGES, receiver.url(), f"patient=Patient/{patient}", content="full-resource")
    )
    one = await world.create(observation(patient))
    await world.call("DELETE", f"/Observation/{one['id']}")
    await until(lambda: len(receiver.calls) == 3)
    entry = receiver.calls[2].json["entry"][1]
    assert entry["request"] == {"method": "DELETE", "url": f"Observation/{one['id']}"}
    assert "resource" not in entry


async def test_a_topic_that_looks_at_what_was_before(world: Served, receiver: Receiver) -> None:
    patient = await world.patient()
    await world.create(topical("urn:pater:topic:encounter-finished", receiver.url()))
    encounter = {
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {"code": "IMP"},
        "subject": {"reference": f"Patient/{patient}"},
    }
    made = await world.create(encounter)
    address = f"/Encounter/{made['id']}"
    await world.call("PUT", address, {**made, "status": "finished"})
    await world.call("PUT", address, {**made, "status": "finished", "language": "cs"})
    born = await world.create({**encounter, "status": "finished"})
    await until(lambda: len(receiver.calls) == 3)
    assert [c.focuses[0].rsplit("/", 1)[1] for c in receiver.calls[1:]] == [made["id"], born["id"]]


async def test_several_events_go_together_when_that_was_asked_for(
    world: Served, receiver: Receiver
) -> None:
    patient = await world.patient()
    gate = asyncio.Event()

    async def wait(_: Call) -> int:
        await gate.wait()
        return 200

    receiver.answer = wait
    made = await world.create(topical(RESULTS, receiver.url(), max_count=5))
    for _ in range(12):
        await world.create(observation(patient))

    async def noted() -> bool:
        count = "select count(*) from subscription_event where subscription = $1"
        return bool(await world.house.db.fetchval(count, made["id"]) == 12)

    await until(noted)
    gate.set()
    await until(lambda: sum(len(c.numbers) for c in receiver.calls) == 12)
    groups = [c.numbers for c in receiver.calls[1:]]
    assert [n for group in groups for n in group] == list(range(1, 13))
    assert max(map(len, groups)) == 5


async def test_nothing_new_is_told_by_a_heartbeat(world: Served, receiver: Receiver) -> None:
    made = await world.create(topical(RESULTS, receiver.url(), heartbeat_period=1))
    await until(lambda: len(receiver.calls) >= 3)
    assert [c.parameter("type") for c in receiver.calls[1:3]] == ["heartbeat", "heartbeat"]
    assert receiver.calls[1].parameter("events-since-subscription-start") == "0"
    assert receiver.calls[1].numbers == []
    assert await world.state(made["id"]) == "active"


@pytest.mark.parametrize("trouble", [500, 0, 302])
async def test_what_fails_is_sent_again_in_order_under_its_number(
    world: Served, receiver: Receiver, trouble: int
) -> None:
    patient = await world.patient()
    made = await world.create(topical(RESULTS, receiver.url()))
    await world.becomes(made["id"], "active")
    left = 3

    def answer(_: Call) -> int:
        nonlocal left
        left -= 1
        return 200 if left < 0 else trouble

    receiver.answer = answer
    for _ in range(3):
        await world.create(observation(patient))
    await until(lambda: receiver.calls[-1].numbers == [3])
    numbers = [c.numbers for c in receiver.calls[1:]]
    assert numbers == [[1], [1], [1], [1], [2], [3]]
    again = receiver.calls[1:5]
    assert len({c.key for c in again}) == 1
    assert await world.state(made["id"]) == "active"


async def test_a_receiver_that_never_answers_is_given_up_and_can_be_asked_for_again(
    world: Served, receiver: Receiver
) -> None:
    patient = await world.patient()
    made = await world.create(topical(RESULTS, receiver.url()))
    await world.becomes(made["id"], "active")
    receiver.answer = lambda _: 503
    await world.create(observation(patient))
    found = await world.becomes(made["id"], "error")
    assert "503" in found["error"]
    assert len(receiver.calls) == 1 + 6
    status = (await world.call("GET", f"/Subscription/{made['id']}/$status")).json()
    parameters = status["entry"][0]["resource"]["parameter"]
    assert {"name": "status", "valueCode": "error"} in parameters
    assert any(p["name"] == "error" for p in parameters)
    # what happens meanwhile is not for it; what it did not get is there when it comes back
    await world.create(observation(patient))
    receiver.calls.clear()
    receiver.answer = lambda _: 200
    again = await world.call("PUT", f"/Subscription/{made['id']}", {**found, "status": "requested"})
    assert again.status_code == 200
    assert "error" not in again.json()
    await world.becomes(made["id"], "active")
    await world.create(observation(patient))
    await until(lambda: len(receiver.calls) == 3)
    assert [c.numbers for c in receiver.calls] == [[], [1], [2]]


async def test_an_address_that_is_gone_ends_it_at_once(world: Served, receiver: Receiver) -> None:
    made = await world.create(classic("Observation", receiver.url()))
    await world.becomes(made["id"], "active")
    receiver.answer = lambda _: 410
    await world.create(observation(await world.patient()))
    await world.becomes(made["id"], "error")
    assert len(receiver.calls) == 1


async def test_a_failed_handshake_is_an_error(world: Served, receiver: Receiver) -> None:
    receiver.answer = lambda _: 404
    made = await world.create(topical(RESULTS, receiver.url()))
    found = await world.becomes(made["id"], "error")
    assert "handshake" in found["error"]


async def test_a_slow_receiver_holds_up_nobody_else(world: Served, receiver: Receiver) -> None:
    release = asyncio.Event()

    async def wait(call: Call) -> int:
        if call.path == "/slow":
            await release.wait()
        return 200

    receiver.answer = wait
    await world.create(classic("Observation", receiver.url("/slow")))
    await world.create(classic("Observation", receiver.url("/quick")))
    patient = await world.patient()
    for _ in range(5):
        await world.create(observation(patient))
    await until(lambda: sum(c.path == "/quick" for c in receiver.calls) == 5)
    assert not any(c.path == "/slow" for c in receiver.calls)
    release.set()
    await until(lambda: sum(c.path == "/slow" for c in receiver.calls) == 5)


async def test_after_its_end_and_after_its_deletion_nothing_is_sent(
    world: Served, receiver: Receiver
) -> None:
    past = classic("Observation", receiver.url("/past")) | {"end": "2021-01-01T00:00:00Z"}
    ended = await world.create(past)
    gone = await world.create(classic("Observation", receiver.url("/gone")))
    off = await world.create(classic("Observation", receiver.url("/off")) | {"status": "off"})
    kept = await world.create(classic("Observation", receiver.url("/kept")))
    await world.becomes(ended["id"], "off")
    await world.call("DELETE", f"/Subscription/{gone['id']}")
    await world.create(observation(await world.patient()))
    await until(lambda: receiver.calls)
    assert {c.path for c in receiver.calls} == {"/kept"}
    assert await world.state(off["id"]) == "off"
    assert await world.state(kept["id"]) == "active"


async def test_every_event_once_and_in_order_for_fifty_subscribers(
    world: Served, receiver: Receiver
) -> None:
    """50 subscriptions × 200 writes by eight clients."""
    patients = [await world.patient() for _ in range(5)]
    for number in range(50):
        wanted = f"Observation?patient=Patient/{patients[number % 5]}"
        await world.create(classic(wanted, receiver.url(f"/{number}")))
    numbers = iter(range(200))

    async def write() -> None:
        for number in numbers:
            await world.create(observation(patients[number % 5]))

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(write())
    await until(lambda: len(receiver.calls) >= 2000)
    # each of them is delivered, and written down as that: nothing more is on its way
    left = "select not exists (select from subscription where delivered < 40)"
    await until(lambda: world.house.db.fetchval(left))
    assert len(receiver.calls) == 2000
    for number in range(50):
        keys = [c.key.rsplit("/", 1)[1] for c in receiver.calls if c.path == f"/{number}"]
        assert keys == [str(n) for n in range(1, 41)]


async def test_a_hospital_is_told_of_the_patient_it_names_and_the_patient_sees_it(
    world: Served, receiver: Receiver
) -> None:
    patient = await world.patient()
    wide = await world.call(
        "POST", "/Subscription", classic("Observation", receiver.url()), HOSPITAL_B
    )
    assert wide.status_code == 403
    wanted = classic(
        f"Observation?patient=Patient/{patient}", receiver.url(), payload="application/fhir+json"
    )
    made = await world.create(wanted, HOSPITAL_B)
    one = await world.create(observation(patient))
    await until(lambda: receiver.calls)
    rows = await world.house.db.fetch(
        "select * from journal where interaction = 'notification' and query = $1",
        f"Subscription/{made['id']}",
    )
    assert [(r["entity_id"], r["action"], r["agent"], r["patient"]) for r in rows] == [
        (one["id"], "R", HOSPITAL_B.id, patient)
    ]
    audit = (await world.call("GET", f"/AuditEvent?patient=Patient/{patient}")).json()
    told = [e["resource"] for e in audit["entry"] if '"notification"' in json.dumps(e["resource"])]
    assert len(told) == 1
    assert one["id"] in json.dumps(told[0])
