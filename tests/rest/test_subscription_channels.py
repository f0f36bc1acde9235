"""Websockets and mail, the three operations, and topics that operators write."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from pater.app import now
from pater.rest.subscriptions import Mail, purge_events
from pater.rest.subscriptions.mailbox import Mailbox
from pater.store.database import Database
from tests.rest.subscription_world import (
    HOSPITAL_B,
    LOADER,
    PROFILE,
    Call,
    Receiver,
    Served,
    observation,
    served,
    topical,
    until,
)
from tests.waiting import PATIENCE

RESULTS = "urn:pater:topic:result-reported"
OWN = "http://example.org/SubscriptionTopic/weighed"


@pytest.fixture(scope="module")
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox(refuse=lambda to: to.startswith("nobody")).listening() as made:
        yield made


@pytest.fixture(scope="module")
async def house(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> AsyncIterator[Served]:
    mail = Mail("127.0.0.1", mailbox.port, sender="pater@house.cz")
    folder = tmp_path_factory.mktemp("house")
    async with served(module_database, folder, mail=mail) as made:
        yield made


@pytest.fixture
async def world(house: Served) -> AsyncIterator[Served]:
    yield house
    await house.clear()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().listening() as made:
        yield made


def ws(world: Served) -> str:
    return world.url.replace("http", "ws") + "/fhir/websocket"


async def token(world: Served, *ids: str, caller: Any = LOADER) -> dict[str, Any]:
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "id", "valueId": id_} for id_ in ids],
    }
    answer = await world.call("POST", "/Subscription/$get-ws-binding-token", body, caller)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = {}
    for part in answer.json()["parameter"]:
        found.setdefault(part["name"], next(v for k, v in part.items() if k != "name"))
    return found


async def heard(socket: ClientConnection, kind: str = "event-notification") -> Call:
    """The next notification of a kind."""
    async with asyncio.timeout(PATIENCE):
        while True:
            text = await socket.recv()
            call = Call("", "", {}, text.encode() if isinstance(text, str) else text)
            if call.parameter("type") == kind:
                return call


async def test_a_websocket_binds_with_a_token_and_hears_what_it_missed(world: Served) -> None:
    patient = await world.patient()
    made = await world.create(topical(RESULTS, "", type="websocket", content="full-resource"))
    await world.becomes(made["id"], "active")
    one = await world.create(observation(patient))  # before anybody is bound
    given = await token(world, made["id"])
    assert given["websocket-url"] == ws(world)
    async with connect(given["websocket-url"]) as socket:
        await socket.send(f"bind-with-token {given['token']}")
        assert (await heard(socket, "handshake")).parameter("status") == "active"
        first = await heard(socket)
        two = await world.create(observation(patient))
        second = await heard(socket)
    assert [first.numbers, second.numbers] == [[1], [2]]
    assert [c.json["entry"][1]["resource"]["id"] for c in (first, second)] == [
        one["id"], two["id"],
    ]  # fmt: skip
    await world.create(observation(patient))
    async with connect(given["websocket-url"]) as socket:
        await socket.send(f"bind-with-token {given['token']}")
        call = await heard(socket)
        if call.numbers == [2]:  # the connection ended before it was recorded: under its number
            call = await heard(socket)
        assert call.numbers == [3]


async def test_what_a_lost_connection_did_not_take_comes_again(world: Served) -> None:
    patient = await world.patient()
    made = await world.create(topical(RESULTS, "", type="websocket"))
    await world.becomes(made["id"], "active")
    given = await token(world, made["id"])
    socket = await connect(ws(world))
    await socket.send(f"bind-with-token {given['token']}")
    await heard(socket, "handshake")
    socket.transport.pause_reading()  # the network is gone, and neither side knows yet
    for _ in range(3):
        await world.create(observation(patient))
    await asyncio.sleep(1)  # the server has written what nobody will read
    socket.transport.abort()
    async with connect(ws(world)) as again:
        await again.send(f"bind-with-token {given['token']}")
        assert [(await heard(again)).numbers for _ in range(3)] == [[1], [2], [3]]
    async with connect(ws(world)) as last:  # that one was closed properly
        await last.send(f"bind-with-token {given['token']}")
        await heard(last, "handshake")
        await world.create(observation(patient))
        call = await heard(last)
        while call.numbers != [4]:  # only what was on its way when the other closed
            assert call.numbers in ([1], [2], [3])
            call = await heard(last)


async def test_a_client_that_was_away_for_long_hears_all_of_it(world: Served) -> None:
    patient = await world.patient()
    plain = {
        "resourceType": "Subscription", "status": "requested", "reason": "test",
        "criteria": "Observation?status=final", "channel": {"type": "websocket"},
    }  # fmt: skip
    made = await world.create(plain)
    await world.becomes(made["id"], "active")
    bearer = {"Authorization": f"Bearer {world.token(LOADER)}"}

    async def pings(number: int) -> None:
        async with connect(ws(world), additional_headers=bearer) as socket:
            await socket.send(f"bind {made['id']}")
            async with asyncio.timeout(PATIENCE):
                assert await socket.recv() == f"bound {made['id']}"
                for _ in range(number):
                    assert await socket.recv() == f"ping {made['id']}"

    await world.create(observation(patient))
    await pings(1)
    for _ in range(60):
        await world.create(observation(patient))
    await world.house.db.execute(
        "update subscription_event set at = at - interval '1 hour' where subscription = $1",
        made["id"],
    )
    await purge_events(world.house.db, now())
    await pings(60)


async def test_one_connection_hears_several_subscriptions_each_in_order(world: Served) -> None:
    patient = await world.patient()
    made = [
        await world.create(topical(RESULTS, "", f"status={status}", type="websocket"))
        for status in ("final", "preliminary")
    ]
    given = await token(world, *(each["id"] for each in made))
    async with connect(ws(world)) as socket:
        await socket.send(f"bind-with-token {given['token']}")
        for number in range(20):
            status = ("final", "preliminary")[number % 2]
            await world.create(observation(patient, status=status))
        calls = [await heard(socket) for _ in range(20)]
    for each in made:
        mine = [c for c in calls if each["id"] in c.parameter("subscription")["reference"]]
        assert [c.numbers for c in mine] == [[n] for n in range(1, 11)]


async def test_a_binding_token_is_needed_and_is_its_owners(world: Served) -> None:
    patient = await world.patient()
    named = f"patient=Patient/{patient}"
    made = await world.create(topical(RESULTS, "", named, type="websocket"))
    body = {"resourceType": "Parameters", "parameter": [{"name": "id", "valueId": made["id"]}]}
    for path in ("/Subscription/$get-ws-binding-token",
                 f"/Subscription/{made['id']}/$get-ws-binding-token"):  # fmt: skip
        answer = await world.call("POST", path, body, HOSPITAL_B)
        assert answer.status_code == 404
    good = (await token(world, made["id"]))["token"]
    # not only the last one: of that the encoding may leave bits out
    forged = good[:-4] + ("BBBB" if good[-4:-1] == "AAA" else "AAAA")
    for said in (
        "bind-with-token nothing", f"bind-with-token {forged}", "hello",
        f"bind {made['id']}", f"bind-with-token {'x' * 30000}",
    ):  # fmt: skip
        async with connect(ws(world)) as socket:
            await socket.send(said)
            with pytest.raises(websockets.ConnectionClosed):
                async with asyncio.timeout(PATIENCE):
                    await socket.recv()


@pytest.mark.parametrize("scopes", [(), ("system/Observation.rs",)])
async def test_a_token_that_may_not_read_subscriptions_hears_nothing(
    world: Served, scopes: tuple[str, ...]
) -> None:
    """Neither does it take events away from those who may."""
    patient = await world.patient()
    plain = {
        "resourceType": "Subscription", "status": "requested", "reason": "test",
        "criteria": f"Observation?patient=Patient/{patient}", "channel": {"type": "websocket"},
    }  # fmt: skip
    made = await world.create(plain)
    await world.becomes(made["id"], "active")
    less = {"Authorization": f"Bearer {world.token(replace(LOADER, scopes=scopes))}"}
    async with connect(ws(world), additional_headers=less) as socket:
        await socket.send(f"bind {made['id']}")
        with pytest.raises(websockets.ConnectionClosed):
            async with asyncio.timeout(PATIENCE):
                await socket.recv()


async def test_no_other_address_takes_websockets(world: Served) -> None:
    for path in ("/fhir/Patient", "/fhir/metadata", "/", "/nothing"):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with connect(world.url.replace("http", "ws") + path):
                pass
        assert refused.value.response.status_code < 500, path


async def test_r4_itself_binds_with_an_access_token_and_is_pinged(world: Served) -> None:
    patient = await world.patient()
    plain = {
        "resourceType": "Subscription", "status": "requested", "reason": "test",
        "criteria": "Observation?status=final", "channel": {"type": "websocket"},
    }  # fmt: skip
    made = await world.create(plain)
    bearer = {"Authorization": f"Bearer {world.token(LOADER)}"}
    async with connect(ws(world), additional_headers=bearer) as socket:
        await socket.send(f"bind {made['id']}")
        assert await socket.recv() == f"bound {made['id']}"
        await world.create(observation(patient))
        async with asyncio.timeout(PATIENCE):
            assert await socket.recv() == f"ping {made['id']}"
    theirs = {"Authorization": f"Bearer {world.token(HOSPITAL_B)}"}
    async with connect(ws(world), additional_headers=theirs) as socket:
        await socket.send(f"bind {made['id']}")
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()


async def test_a_bound_subscription_that_is_deleted_says_so(world: Served) -> None:
    made = await world.create(topical(RESULTS, "", type="websocket", heartbeat_period=1))
    given = await token(world, made["id"])
    async with connect(ws(world)) as socket:
        await socket.send(f"bind-with-token {given['token']}")
        await heard(socket, "handshake")
        await heard(socket, "heartbeat")
        await world.call("DELETE", f"/Subscription/{made['id']}")
        assert (await heard(socket, "query-status")).parameter("status") == "off"


async def test_mail_says_where_to_look_and_nothing_of_the_record(
    world: Served, mailbox: Mailbox
) -> None:
    patient = await world.patient()
    made = await world.create(
        topical(RESULTS, "mailto:ward@hospital.cz", type="email", mime="text/plain")
    )
    await world.becomes(made["id"], "active")
    one = await world.create(observation(patient, note=[{"text": "TOP-SECRET"}]))
    await until(lambda: len(mailbox.mails) >= 2)
    hello, mail = mailbox.mails
    assert mail["To"] == "ward@hospital.cz"
    assert mail["From"] == "pater@house.cz"
    assert f"Observation/{one['id']}" in mail.get_content()
    assert "Event 1" in mail.get_content()
    assert "TOP-SECRET" not in mail.as_string()
    assert patient not in mail.as_string()
    assert hello["Message-ID"] != mail["Message-ID"]
    assert made["id"] in mail["Message-ID"]


async def test_a_refused_mail_address_is_an_error(world: Served) -> None:
    made = await world.create(
        topical(RESULTS, "mailto:nobody@hospital.cz", type="email", mime="text/plain")
    )
    found = await world.becomes(made["id"], "error")
    assert "refused the address" in found["error"]
    for channel in (
        {"content": "full-resource"}, {"mime": "application/fhir+json"},
    ):  # fmt: skip
        body = topical(RESULTS, "mailto:a@b.cz", type="email", **{"mime": "text/plain", **channel})
        assert (await world.call("POST", "/Subscription", body)).status_code == 422


async def test_past_events_can_be_asked_for(world: Served, receiver: Receiver) -> None:
    patient = await world.patient()
    made = await world.create(topical(RESULTS, receiver.url(), content="full-resource"))
    made_of = [await world.create(observation(patient)) for _ in range(4)]
    await until(lambda: len(receiver.calls) == 5)
    path = f"/Subscription/{made['id']}/$events"
    answer = await world.call("GET", f"{path}?eventsSinceNumber=2&eventsUntilNumber=3")
    found = Call("", "", {}, answer.content)
    assert found.json["type"] == "history"
    assert found.parameter("type") == "query-event"
    assert found.parameter("events-since-subscription-start") == "4"
    assert found.numbers == [2, 3]
    assert [e["resource"] for e in found.json["entry"][1:]] == made_of[1:3]
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "eventsSinceNumber", "valueString": "4"},
            {"name": "content", "valueCode": "empty"},
        ],
    }
    less = Call("", "", {}, (await world.call("POST", path, body)).content)
    assert less.numbers == [4]
    assert less.focuses == []
    for query in ("eventsSinceNumber=x", "content=all", "other=1"):
        assert (await world.call("GET", f"{path}?{query}")).status_code == 400


async def test_status_tells_how_far_each_is(world: Served, receiver: Receiver) -> None:
    one = await world.create(topical(RESULTS, receiver.url()))
    off = await world.create(topical(RESULTS, receiver.url()) | {"status": "off"})
    await world.becomes(one["id"], "active")
    found = (await world.call("GET", "/Subscription/$status?status=active")).json()
    assert found["type"] == "searchset"
    assert [e["resource"]["parameter"][0]["valueReference"]["reference"]
            for e in found["entry"]] == [f"{world.url}/fhir/Subscription/{one['id']}"]  # fmt: skip
    both = (await world.call("GET", f"/Subscription/$status?id={one['id']},{off['id']}")).json()
    assert both["total"] == 2
    assert (await world.call("GET", "/Subscription/nothing/$status")).status_code == 404


def weighed(**parts: Any) -> dict[str, Any]:
    """An operator's topic, as the guide writes one in R4."""
    name = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic."
    trigger = {
        "resource": {"valueUri": "http://hl7.org/fhir/StructureDefinition/Observation"},
        "supportedInteraction": {"valueCode": "create"},
        "fhirPathCriteria": {"valueString": "%current.value.value > 100"},
        **parts,
    }
    return {
        "resourceType": "Basic",
        "code": {
            "coding": [{"system": "http://hl7.org/fhir/fhir-types", "code": "SubscriptionTopic"}]
        },
        "modifierExtension": [{"url": name + "status", "valueCode": "active"}],
        "extension": [
            {"url": name + "url", "valueUri": OWN},
            {
                "url": name + "resourceTrigger",
                "extension": [{"url": key, **value} for key, value in trigger.items()],
            },
            {
                "url": name + "canFilterBy",
                "extension": [
                    {"url": "resource", "valueUri": "Observation"},
                    {"url": "filterParameter", "valueString": "subject"},
                ],
            },
        ],
    }


async def test_operators_write_topics(world: Served, receiver: Receiver) -> None:
    patient = await world.patient()
    unknown = await world.call("POST", "/Subscription", topical(OWN, receiver.url()))
    assert unknown.status_code == 422
    basic = await world.create(weighed())
    again = await world.call("POST", "/Basic", weighed())
    assert again.status_code == 422
    filtered = topical(OWN, receiver.url(), "code=1")
    assert (await world.call("POST", "/Subscription", filtered)).status_code == 422
    made = await world.create(topical(OWN, receiver.url(), f"subject=Patient/{patient}"))
    await world.becomes(made["id"], "active")
    light = {"value": 60, "unit": "kg"}
    heavy = {"value": 120, "unit": "kg"}
    await world.create(observation(patient, valueQuantity=light))
    two = await world.create(observation(patient, valueQuantity=heavy))
    await world.create(observation(await world.patient(), valueQuantity=heavy))
    await until(lambda: len(receiver.calls) == 2)
    assert receiver.calls[1].focuses == [f"{world.url}/fhir/Observation/{two['id']}"]
    # a changed topic is in force for what is written after it
    changed = {**weighed(fhirPathCriteria={"valueString": "%current.value.value < 100"}),
               "id": basic["id"]}  # fmt: skip
    assert (await world.call("PUT", f"/Basic/{basic['id']}", changed)).status_code == 200
    three = await world.create(observation(patient, valueQuantity=light))
    await until(lambda: len(receiver.calls) == 3)
    assert receiver.calls[2].focuses == [f"{world.url}/fhir/Observation/{three['id']}"]
    await world.call("DELETE", f"/Basic/{basic['id']}")
    await world.call("PUT", f"/Subscription/{made['id']}", made)
    assert (await world.call("POST", "/Subscription", topical(OWN, receiver.url()))).is_error


@pytest.mark.parametrize(
    "parts",
    [
        {"resource": {"valueUri": "Nothing"}},
        {"supportedInteraction": {"valueCode": "look"}},
        {"fhirPathCriteria": {"valueString": "%current.("}},
    ],
)
async def test_a_topic_that_cannot_be_followed_is_refused(
    world: Served, parts: dict[str, Any]
) -> None:
    answer = await world.call("POST", "/Basic", weighed(**parts))
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Basic.extension[1]"]


async def test_the_capability_statement_tells_of_topics_and_operations(world: Served) -> None:
    answer = await world.http.get("/fhir/metadata")
    (rest,) = answer.json()["rest"]
    (found,) = (r for r in rest["resource"] if r["type"] == "Subscription")
    canonical = PROFILE + "capabilitystatement-subscriptiontopic-canonical"
    topics = [e["valueCanonical"] for e in found["extension"] if e["url"] == canonical]
    assert RESULTS in topics
    assert PROFILE + "backport-subscription" in found["supportedProfile"]
    assert {o["name"] for o in found["operation"]} >= {"status", "events", "get-ws-binding-token"}
    sockets = [e["valueUri"] for e in rest.get("extension", ()) if e["url"].endswith("-websocket")]
    assert sockets == [ws(world)]
    assert json.dumps(found).count("$") == 0
