"""Who may subscribe to what, who sees a subscription, and that nothing leaks through one."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import structlog

from pater.access import accounts, clients
from pater.access.accounts import Account
from pater.app import now
from pater.registers.providers.index import NAME, Index
from pater.rest.subscriptions import Rules, networks
from pater.rest.subscriptions.endpoints import RefusedError, problem, resolve
from pater.store.database import Database
from pater.store.feed import advance, read_feed
from tests.rest.subscription_world import (
    HOSPITAL_B,
    LOADER,
    Receiver,
    Served,
    classic,
    client_of,
    observation,
    served,
    topical,
    until,
)
from tests.rest.world import CLINICIAN

RESULTS = "urn:pater:topic:result-reported"
ICO = "https://ncez.mzcr.cz/fhir/sid/ico"
PHYSICIAN = replace(CLINICIAN, scopes=("user/*.rs", "user/Subscription.cud"))
OTHER = replace(HOSPITAL_B, id="hospital-c", name="Hospital C")
SECRET = "Bearer very-secret-value"


@pytest.fixture(scope="module")
async def house(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    async with served(
        module_database, tmp_path_factory.mktemp("house"), callers=(LOADER, HOSPITAL_B, OTHER)
    ) as made:
        yield made


@pytest.fixture
async def world(house: Served) -> AsyncIterator[Served]:
    yield house
    await house.clear()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().listening() as made:
        yield made


def mine(patient: str, receiver: Receiver, **channel: Any) -> dict[str, Any]:
    return classic(f"Observation?patient=Patient/{patient}", receiver.url(), **channel)


async def test_a_subscription_is_its_owners_alone(world: Served, receiver: Receiver) -> None:
    patient = await world.patient()
    made = await world.create(mine(patient, receiver), HOSPITAL_B)
    address = f"/Subscription/{made['id']}"
    for method, path, body in (
        ("GET", address, None),
        ("GET", f"{address}/_history", None),
        ("GET", f"{address}/_history/1", None),
        ("GET", f"{address}/$status", None),
        ("GET", f"{address}/$events", None),
        ("PUT", address, made),
        ("DELETE", address, None),
    ):
        answer = await world.call(method, path, body, OTHER)
        assert answer.status_code == 404, (method, path)
        assert patient not in answer.text
    for path in (
        "/Subscription",
        "/Subscription?status=requested,active",
        "/Subscription/_history",
    ):
        theirs = (await world.call("GET", path, caller=OTHER)).json()
        assert not theirs.get("entry"), path
        own = (await world.call("GET", path, caller=HOSPITAL_B)).json()
        assert {e["resource"]["id"] for e in own["entry"]} == {made["id"]}, path
    for caller, count in ((OTHER, 0), (HOSPITAL_B, 1), (LOADER, 1)):
        listed = (await world.call("GET", "/Subscription/$status", caller=caller)).json()
        assert listed["total"] == count
        named = await world.call("GET", f"/Subscription/$status?id={made['id']}", caller=caller)
        assert named.json()["total"] == count
    assert (await world.call("DELETE", address, caller=HOSPITAL_B)).status_code == 204
    assert (await world.call("GET", address, caller=HOSPITAL_B)).status_code == 410


async def test_a_provenance_does_not_bring_anothers_subscription_along(
    world: Served, receiver: Receiver
) -> None:
    patient = await world.patient()
    made = await world.create(mine(patient, receiver), HOSPITAL_B)
    await world.create(
        {
            "resourceType": "Provenance",
            "target": [
                {"reference": f"Subscription/{made['id']}"}, {"reference": f"Patient/{patient}"},
            ],
            "recorded": "2026-01-01T00:00:00Z",
            "agent": [{"who": {"display": "x"}}],
        }
    )  # fmt: skip
    query = f"/Provenance?patient=Patient/{patient}&_include=Provenance:target"
    found = (await world.call("GET", query, caller=OTHER)).json()
    assert "Subscription" not in {e["resource"]["resourceType"] for e in found.get("entry", ())}


async def test_headers_are_sent_and_never_shown(world: Served, receiver: Receiver) -> None:
    patient = await world.patient()
    with structlog.testing.capture_logs() as logs:
        made = await world.create(
            mine(patient, receiver, header=[f"Authorization: {SECRET}", "X-Tenant: 7"]),
            HOSPITAL_B,
        )
        assert made["channel"]["header"] == ["Authorization: ********", "X-Tenant: ********"]
        await world.becomes(made["id"], "active")
        shown = (await world.call("GET", f"/Subscription/{made['id']}")).json()
        # what was shown can be sent back: the values stay
        await world.call(
            "PUT", f"/Subscription/{made['id']}", {**shown, "reason": "another"}, HOSPITAL_B
        )
        await world.create(observation(patient))
        await until(lambda: receiver.calls)
        assert receiver.calls[0].headers["authorization"] == SECRET
        assert receiver.calls[0].headers["x-tenant"] == "7"
        history = (await world.call("GET", f"/Subscription/{made['id']}/_history")).text
        await world.call("GET", "/_history")
    everything = json.dumps(logs, default=str) + history
    rows = await world.house.db.fetch("select * from subscription")
    assert SECRET not in everything + str([dict(row) for row in rows])


async def test_a_patch_and_a_transaction_keep_the_secret_too(
    world: Served, receiver: Receiver
) -> None:
    patient = await world.patient()
    entry = {
        "request": {"method": "POST", "url": "Subscription"},
        "resource": mine(patient, receiver, header=[f"Authorization: {SECRET}"]),
    }
    body = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    answer = await world.call("POST", "/", body)
    assert answer.status_code == 200
    assert SECRET not in answer.text
    id_ = answer.json()["entry"][0]["response"]["location"].split("Subscription/")[1].split("/")[0]
    steps = [{"op": "replace", "path": "/reason", "value": "patched"}]
    patched = await world.call(
        "PATCH", f"/Subscription/{id_}", steps, content_type="application/json-patch+json"
    )
    assert patched.status_code == 200, patched.text
    await world.create(observation(patient))
    await until(lambda: receiver.calls)
    assert receiver.calls[0].headers["authorization"] == SECRET


@pytest.mark.parametrize("ended", ["closed", "purpose", "scopes"])
async def test_with_the_rights_the_subscription_ends_and_nothing_leaks(
    world: Served, receiver: Receiver, ended: str
) -> None:
    patient = await world.patient()
    made = await world.create(mine(patient, receiver, payload="application/fhir+json"), HOSPITAL_B)
    await world.becomes(made["id"], "active")
    client = client_of(HOSPITAL_B)
    changed = {
        "closed": replace(client, active=False),
        "purpose": replace(client, purposes=()),
        "scopes": replace(client, scopes=("system/Encounter.rs", "system/Subscription.cruds")),
    }[ended]
    await clients.register(world.house.db, changed, now)
    await world.create(observation(patient))
    await world.create(observation(patient))
    found = await world.becomes(made["id"], "error")
    assert ("closed" if ended == "closed" else "rights") in found["error"]
    assert receiver.calls == []
    told = await world.house.db.fetchval(
        "select count(*) from journal where interaction = 'notification' and query = $1",
        f"Subscription/{made['id']}",
    )
    assert told == 0


async def test_with_the_employment_a_physicians_subscription_ends(
    world: Served, receiver: Receiver
) -> None:
    patient = await world.patient()
    hospital = {
        "resourceType": "Organization", "name": "Hospital",
        "identifier": [{"system": ICO, "value": PHYSICIAN.organization}],
    }  # fmt: skip
    employer = await world.create(hospital)
    physician = await world.create({"resourceType": "Practitioner", "name": [{"family": "Malá"}]})
    employment = {
        "resourceType": "PractitionerRole",
        "active": True,
        "organization": {"reference": f"Organization/{employer['id']}"},
        "practitioner": {"reference": f"Practitioner/{physician['id']}"},
    }
    employment = await world.create(employment)
    await registered(world)
    account = Account(
        id=PHYSICIAN.id, login="physician", name=PHYSICIAN.name, role="clinician",
        organization=PHYSICIAN.organization, organization_name="Hospital",
        practitioner=physician["id"],
    )  # fmt: skip
    await accounts.save(world.house.db, world.house.keys, account, "four good words", None, now)
    kept = mine(patient, receiver, payload="application/fhir+json")
    made = await world.create(kept, PHYSICIAN)
    await world.becomes(made["id"], "active")
    await world.create(observation(patient))
    await until(lambda: receiver.calls)
    ended = {**employment, "period": {"end": "2020-12-31"}}
    address = f"/PractitionerRole/{employment['id']}"
    assert (await world.call("PUT", address, ended)).status_code == 200
    await registered(world)
    before = len(receiver.calls)
    await world.create(observation(patient))
    assert "employment" in (await world.becomes(made["id"], "error"))["error"]
    assert len(receiver.calls) == before


async def registered(world: Served) -> None:
    """The register of providers has heard of what was written."""
    index = Index(world.house.db)
    while events := await read_feed(world.house.db, NAME, 100):
        for event in events:
            await index.handle(event)
            await advance(world.house.db, NAME, event)


async def test_a_scope_with_arguments_narrows_what_is_told(
    world: Served, receiver: Receiver
) -> None:
    patient = await world.patient()
    narrow = replace(
        HOSPITAL_B,
        scopes=("system/Observation.rs?status=final", "system/Subscription.cruds"),
    )
    await clients.register(world.house.db, client_of(narrow), now)
    await world.create(mine(patient, receiver, payload="application/fhir+json"), narrow)
    await world.create(observation(patient, status="preliminary"))
    await world.create(observation(patient, status="final"))
    await until(lambda: receiver.calls)
    assert [c.json["status"] for c in receiver.calls] == ["final"]
    assert receiver.calls[0].key.endswith("/1")  # numbers do not tell of what was left out


async def test_who_may_not_search_may_not_subscribe(world: Served, receiver: Receiver) -> None:
    for caller in (
        replace(HOSPITAL_B, purpose=""),
        replace(HOSPITAL_B, scopes=("system/Subscription.cruds",)),
        replace(HOSPITAL_B, scopes=("system/*.rs",)),
        replace(HOSPITAL_B, role="none"),
        replace(HOSPITAL_B, strength=1),
    ):
        body = mine("any", receiver)
        assert (await world.call("POST", "/Subscription", body, caller)).status_code == 403
    unnamed = topical(RESULTS, receiver.url())
    assert (await world.call("POST", "/Subscription", unnamed, HOSPITAL_B)).status_code == 403
    named = topical(RESULTS, receiver.url(), "patient=Patient/x")
    assert (await world.call("POST", "/Subscription", named, HOSPITAL_B)).status_code == 201


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"criteria": "Observation?subject.name=Eva"}, "Subscription.criteria"),
    ({"criteria": "Observation?nothing=1"}, "Subscription.criteria"),
    ({"criteria": "Observation?code=1&_count=3"}, "Subscription.criteria"),
    ({"criteria": "Nothing?a=b"}, "Subscription.criteria"),
    ({"criteria": "http://example.org/topic"}, "Subscription.criteria"),
    ({"channel.type": "sms"}, "Subscription.channel.type"),
    ({"channel.type": "email", "channel.endpoint": "mailto:a@b.cz"}, "Subscription.channel.type"),
    ({"channel.payload": "text/csv"}, "Subscription.channel.payload"),
    ({"channel.payload": "application/fhir+json;fhirVersion=5.0"}, "Subscription.channel.payload"),
    ({"channel.header": ["Host: evil"]}, "Subscription.channel.header[0]"),
    ({"channel.header": ["X: a\u0001b"]}, "Subscription.channel.header[0]"),
    ({"channel.endpoint": "https://user:word@example.org/"}, "Subscription.channel.endpoint"),
    ({"channel.endpoint": "ftp://example.org/"}, "Subscription.channel.endpoint"),
    ({"channel.endpoint": "https://10.0.0.1/"}, "Subscription.channel.endpoint"),
    ({"channel.endpoint": "https://[::ffff:169.254.169.254]/"}, "Subscription.channel.endpoint"),
]


async def test_what_cannot_be_followed_is_refused_with_its_path(world: Served) -> None:
    for change, path in WRONG:
        await refused(world, change, path)


async def refused(world: Served, change: dict[str, Any], path: str) -> None:
    body = classic("Observation?code=1", "https://example.org/hook")
    for name, value in change.items():
        head, _, rest = name.partition(".")
        if rest:
            body[head][rest] = value
        else:
            body[head] = value
    answer = await world.call("POST", "/Subscription", body)
    assert answer.status_code == 422, (change, answer.text)
    assert answer.json()["issue"][0]["expression"] == [path]
    entry = {"request": {"method": "POST", "url": "Subscription"}, "resource": body}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    inside = await world.call("POST", "/", bundle)
    assert inside.json()["issue"][0]["expression"] == [
        path.replace("Subscription.", "Bundle.entry[0].resource.")
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://localhost/", "https://0x7f.1/", "https://2130706433/",
        "https://[::1]/", "https://10.1.2.3/", "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/", "https://0.0.0.0/", "https://[fe80::1]/", "https://[fd00::1]/",
        "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/",
        "https://224.0.0.1/", "https://no-such-host.invalid/",
    ],
)  # fmt: skip
async def test_private_addresses_are_never_called(url: str) -> None:
    with pytest.raises(RefusedError):
        await resolve(url, Rules())


async def test_what_an_operator_allows_may_be_called_by_plain_http() -> None:
    rules = Rules(networks("127.0.0.0/8, ::1"))
    target = await resolve("http://localhost:8080/a", rules)
    assert target.ip in ("127.0.0.1", "::1")
    assert target.port == 8080
    with pytest.raises(RefusedError):
        await resolve("http://10.0.0.1/", rules)
    assert problem("http://example.org/", Rules())
    assert not problem("https://example.org/", Rules())
    with pytest.raises(RefusedError):
        await resolve("http://1.1.1.1/", rules)  # public, but not by https


async def test_a_name_that_turns_inwards_later_is_not_called(
    world: Served, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is looked up again for each delivery, and the address found is the one called."""
    patient = await world.patient()
    made = await world.create(
        classic(f"Observation?patient=Patient/{patient}", "https://rebound.example/hook")
    )
    await world.becomes(made["id"], "active")
    real = socket.getaddrinfo

    def rebound(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        return real("10.0.0.7" if host == "rebound.example" else host, port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    await world.create(observation(patient))
    found = await world.becomes(made["id"], "error")
    assert "may be called" in found["error"]
