"""Received documents are sealed on arrival and looked at on reading; seals outlive their keys."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pater.access.caller import Caller
from pater.access.tokens import Tokens
from pater.domain import Services
from pater.domains.exchange import domain, tables
from pater.domains.exchange.sealing import Seals
from pater.records.gate import Damaged, Gate
from pater.rest.app import fhir_app
from pater.rest.config import RestConfig
from pater.store.body import BodyCodec
from pater.store.database import Database
from pater.store.feed import FeedEvent, run_listener
from pater.store.files import Files
from pater.store.write import Committer
from pater.trust.keys import Keys
from pater.trust.seal import families
from pater.trust.seal.model import (
    Content,
    Format,
    Level,
    Order,
    Packaging,
    SealError,
    Sub,
    Text,
)
from pater.trust.seal.quick import Quick
from pater.trust.seal.service import Service
from tests.rest.world import BASE, LOADER
from tests.system.documents import discharge, encoded
from tests.trust.seal.ground import DAY, START, YEAR, Ground
from tests.waiting import PATIENCE

SENDER = Caller(
    kind="system", id="h", name="H", role="provider-system", organization="27520536",
    organization_name="H", purpose="TREAT", strength=3, scopes=("system/*.cruds",),
)  # fmt: skip


@dataclass
class Sealed:
    """The API with the domain that takes documents, and seals of a made-up world of trust."""

    ground: Ground
    service: Service
    seals: Seals
    db: Database
    gate: Gate
    http: httpx.AsyncClient
    tokens: Tokens

    async def call(
        self, method: str, path: str, body: bytes | None = None, caller: Caller = SENDER
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens.issue(caller)}"}
        if body is not None:
            headers["content-type"] = "application/fhir+json"
        return await self.http.request(method, f"{BASE}{path}", content=body, headers=headers)

    async def send(self, raw: bytes | None = None) -> tuple[str, bytes]:
        raw = raw or encoded(discharge())
        answer = await self.call("POST", "/Bundle", raw)
        assert answer.status_code == 201, answer.text
        return answer.headers["location"].split("/Bundle/")[1].split("/")[0], raw

    async def read(self, id: str) -> httpx.Response:
        return await self.call("GET", f"/Bundle/{id}", caller=LOADER)

    async def forget(self) -> None:
        """As a process that has just started: nothing is remembered of what was good."""
        services = self.seals
        services._good.clear()
        services._quick = Quick(self.service)


@pytest.fixture
async def sealed(database: Database, tmp_path: Path) -> AsyncIterator[Sealed]:
    ground = Ground()

    async def key() -> Any:
        return ground.key()

    async def anchors() -> tuple[bytes, ...]:
        return (ground.root.der,)

    service = Service(key, ground, anchors, (ground.stamp_root.der,), ground, ground.clock)
    db = database
    keys = Keys.generate()
    committer = Committer(db, ground.clock)
    await committer.start()
    gate = Gate(db, committer, ground.clock, keys.cursor_key, lambda: str(uuid4()), base_url=BASE)
    tokens = Tokens(keys, BASE.removesuffix("/fhir"), ground.clock)
    services = Services(
        gate=gate, db=db, base_url=BASE, strict_identifiers=True,
        next_person=committer.next_person, clock=ground.clock, random=Random(1),
        new_id=lambda: str(uuid4()), verify=tokens.verify, files=Files(tmp_path), seals=service,
    )  # fmt: skip
    parts = domain.build(services)
    app = fhir_app(gate, tokens, [parts], RestConfig(BASE, ground.clock()))

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": "/fhir"}, receive, send)

    [seals] = [
        one.handle.__self__  # type: ignore[attr-defined]  # a method of Seals
        for one in parts.listeners
        if one.name == "exchange.seals"
    ]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=mounted)) as http:
        yield Sealed(ground, service, seals, db, gate, http, tokens)
    await committer.stop()


def parameters(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = {}
    for one in answer.json()["parameter"]:
        value = next((v for k, v in one.items() if k.startswith("value")), one.get("resource"))
        found.setdefault(one["name"], value)
    return found


async def test_a_document_is_sealed_over_its_bytes_as_received(sealed: Sealed) -> None:
    id, raw = await sealed.send()
    waiting = parameters(await sealed.call("GET", f"/Bundle/{id}/$seal", caller=LOADER))
    assert waiting == {"state": "waiting"}
    assert await sealed.seals.seal_waiting() == 1
    found = parameters(await sealed.call("GET", f"/Bundle/{id}/$seal", caller=LOADER))
    assert (found["state"], found["indication"], found["level"]) == ("sealed", "TOTAL-PASSED", "T")
    assert "Seal" in found["signedBy"]
    seal = base64.b64decode(found["seal"]["data"])
    report = await families.validate(seal, sealed.ground.rules(), (Content(raw),))
    assert report.passed
    assert report.signatures[0].covers == (f"{BASE}/Bundle/{id}/_history/1",)
    assert not (await families.validate(seal, sealed.ground.rules(), (Content(raw + b" "),))).passed
    answer = await sealed.read(id)
    assert answer.content == raw


async def test_the_feed_brings_every_document_to_its_seal(sealed: Sealed) -> None:
    ids = [(await sealed.send())[0] for _ in range(3)]
    stop = asyncio.Event()
    handled: list[FeedEvent] = []

    async def handle(event: FeedEvent) -> None:
        await sealed.seals.arrived(event)
        handled.append(event)
        if len(handled) >= 3:
            stop.set()

    await asyncio.wait_for(run_listener(sealed.db, "exchange.seals", handle, stop=stop), PATIENCE)
    kept = await tables.seals_of(sealed.db, ids)
    assert all(kept[id].seal is not None for id in ids)


async def test_a_key_that_cannot_be_used_stops_no_arrival_and_loses_no_seal(
    sealed: Sealed,
) -> None:
    works = sealed.service.key

    async def broken() -> Any:
        raise SealError("key", Text("nejde", "cannot"))

    object.__setattr__(sealed.service, "key", broken)
    id, raw = await sealed.send()
    with pytest.raises(SealError):
        await sealed.seals.seal_waiting()
    assert (await sealed.read(id)).content == raw
    object.__setattr__(sealed.service, "key", works)
    assert await sealed.seals.seal_waiting() == 1
    assert await sealed.seals.seal_waiting() == 0


async def _replace(sealed: Sealed, id: str, body: bytes) -> None:
    """Somebody writes into the database past the program."""
    await sealed.db.execute(
        "update resource set dict = 0, body = $2 where id = $1",
        id,
        BodyCodec().compress(0, body)[1],
    )


@pytest.mark.parametrize("remembered", [True, False])
@pytest.mark.parametrize("made", [True, False])
async def test_changed_bytes_are_given_to_nobody(
    sealed: Sealed, remembered: bool, made: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    id, raw = await sealed.send()
    other, other_raw = await sealed.send()
    if made:
        await sealed.seals.seal_waiting()
    if remembered:
        assert (await sealed.read(id)).status_code == 200
    await _replace(sealed, id, raw.replace("Průběh".encode(), b"Prubeh"))
    for path in (
        f"/Bundle/{id}",
        f"/Bundle/{id}/_history/1",
        f"/Bundle/{id}/_history",
        f"/Bundle?_id={id}",
        f"/Bundle/{id}/$seal",
        "/Bundle",
    ):
        answer = await sealed.call("GET", path, caller=LOADER)
        assert answer.status_code == 500, path
        issue = answer.json()["issue"][0]
        assert (answer.json()["resourceType"], issue["code"]) == ("OperationOutcome", "security")
        assert "Prubeh" not in answer.text
    assert (await sealed.read(other)).content == other_raw
    assert "document.damaged" in capsys.readouterr().out


async def test_an_export_looks_at_seals_too(sealed: Sealed) -> None:
    from pater.records.export_walk import _looked_at
    from pater.store.walk import large

    id, raw = await sealed.send()
    await sealed.seals.seal_waiting()
    sql = "select type, id, version, person, deleted, dict, body from resource where id = $1"
    rows = await sealed.db.fetch(sql, id)
    ports, codec = sealed.gate._ports, BodyCodec()
    await codec.ensure(sealed.db, {row["dict"] for row in rows})
    await _looked_at(ports, codec, rows)
    await _replace(sealed, id, raw + b" ")
    for found in (await sealed.db.fetch(sql, id), await large(sealed.db, rows)):
        with pytest.raises(Damaged):
            await _looked_at(ports, codec, found)


async def test_a_seal_that_does_not_agree_is_as_bad(sealed: Sealed) -> None:
    id, raw = await sealed.send()
    other, _ = await sealed.send()
    await sealed.seals.seal_waiting()
    swap = "update exchange_seal set seal = (select seal from exchange_seal where bundle = $2)"
    await sealed.db.execute(f"{swap} where bundle = $1", id, other)
    assert (await sealed.read(id)).status_code == 500
    # bytes, hash and a seal of a stranger's making: all three agree, but nobody trusts the stranger
    changed = raw.replace(b"34105-7", b"34106-7")
    stranger = sealed.ground.key(sealed.ground.leaf("Seal", sealed.ground.stranger))
    digest = hashlib.sha256(changed).digest()
    tools = sealed.ground.tools(stranger)
    _, seal = await sealed.seals._sealed(other, digest, tools, asyncio.Semaphore(1))
    await _replace(sealed, other, changed)
    for stored in (zlib.compress(seal), seal):
        await sealed.db.execute(
            "update exchange_seal set seal = $2, digest = $3 where bundle = $1",
            other,
            stored,
            digest,
        )
        assert (await sealed.read(other)).status_code == 500


async def test_one_whole_validation_serves_many_documents(sealed: Sealed) -> None:
    ids = [(await sealed.send())[0] for _ in range(4)]
    await sealed.seals.seal_waiting()
    for id in ids:
        assert (await sealed.read(id)).status_code == 200
    asked = sealed.ground.asked
    await sealed.forget()
    for id in ids:
        assert (await sealed.read(id)).status_code == 200
    once = sealed.ground.asked - asked
    assert 0 < once <= 4  # lists of two authorities for the seal, and those of its stamp


async def test_a_revoked_seal_is_found_within_an_hour(sealed: Sealed) -> None:
    id, _ = await sealed.send()
    await sealed.seals.seal_waiting()
    assert (await sealed.read(id)).status_code == 200
    sealed.ground.revoke(sealed.ground.seal, START - DAY)  # from before anything was sealed
    sealed.ground.clock.forward(DAY)
    await sealed.forget()
    assert (await sealed.read(id)).status_code == 500


async def test_seals_are_stamped_anew_before_their_certificates_end(sealed: Sealed) -> None:
    id, raw = await sealed.send()
    await sealed.seals.seal_waiting()
    assert await sealed.seals.renew_ageing() == 0
    sealed.ground.clock.forward(2 * YEAR - 40 * DAY)  # less than the margin before the end
    assert await sealed.seals.renew_ageing() == 1
    assert await sealed.seals.renew_ageing() == 0
    sealed.ground.silent.add(sealed.ground.issuing.der)
    sealed.ground.clock.forward(2 * YEAR)  # the certificate has ended, nobody speaks of it
    await sealed.forget()
    assert (await sealed.read(id)).content == raw
    found = parameters(await sealed.call("GET", f"/Bundle/{id}/$seal", caller=LOADER))
    assert (found["indication"], found["level"]) == ("TOTAL-PASSED", "LTA")
    reads = await sealed.db.fetch(
        "select agent_name from journal_entry where agent = 'pater' and entity_id = $1", id
    )
    assert [row["agent_name"] for row in reads] == ["Páteř"]


async def test_what_fails_to_be_renewed_comes_again(sealed: Sealed) -> None:
    id, _ = await sealed.send()
    await sealed.seals.seal_waiting()
    sealed.ground.clock.forward(2 * YEAR - 40 * DAY)
    sealed.ground.silent.add(sealed.ground.issuing.der)
    assert await sealed.seals.renew_ageing() == 0
    sealed.ground.silent.clear()
    assert await sealed.seals.renew_ageing() == 0  # not at once
    sealed.ground.clock.forward(DAY)
    assert await sealed.seals.renew_ageing() == 1
    del id


async def test_who_may_not_read_a_document_sees_no_seal(sealed: Sealed) -> None:
    id, _ = await sealed.send()
    await sealed.seals.seal_waiting()
    nobody = Caller(kind="system", id="x", name="X", role="none", strength=3)
    patient = Caller(
        kind="person", id="p", name="P", role="patient", purpose="PATRQT", strength=2,
        scopes=("patient/*.rs",), person=999_999, patient="x",
    )  # fmt: skip
    assert (await sealed.call("GET", f"/Bundle/{id}/$seal", caller=nobody)).status_code == 403
    assert (await sealed.call("GET", f"/Bundle/{id}/$seal", caller=patient)).status_code == 404
    missing = await sealed.call("GET", f"/Bundle/{uuid4()}/$seal", caller=LOADER)
    assert missing.status_code == 404


async def test_an_expunged_document_takes_its_seal_along(sealed: Sealed) -> None:
    id, _ = await sealed.send()
    await sealed.seals.seal_waiting()
    assert (await sealed.call("DELETE", f"/Bundle/{id}", caller=LOADER)).status_code < 300
    statements = await tables.seals_of(sealed.db, [id])
    assert id in statements
    body = json.dumps(
        {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "confirm", "valueString": f"Bundle/{id}"},
                {"name": "expungeDeletedResources", "valueBoolean": True},
                {"name": "expungePreviousVersions", "valueBoolean": True},
            ],
        }
    ).encode()
    answer = await sealed.call("POST", f"/Bundle/{id}/$expunge", body, LOADER)
    assert answer.status_code == 200, answer.text
    assert await tables.seals_of(sealed.db, [id]) == {}


@pytest.mark.parametrize("change", ["", "changed", "stranger", "no signature"])
async def test_the_signature_of_the_sender_is_noted(sealed: Sealed, change: str) -> None:
    ground, document = sealed.ground, discharge()
    form = json.dumps(
        {name: value for name, value in document.items() if name not in ("id", "meta")},
        sort_keys=True, separators=(",", ":"), ensure_ascii=False,
    ).encode()  # fmt: skip
    key = ground.key(ground.leaf("Sender", ground.stranger if change == "stranger" else None))
    attached = await families.create(
        Order(
            Format.JADES, Level.B, Packaging.ATTACHED, (Content(form),),
            options=(("serialization", "compact"),),
        ),
        ground.tools(key),
    )  # fmt: skip
    header, _, value = attached.split(b".")
    document["signature"] = {
        "type": [{"system": "urn:iso-astm:E1762-95:2013", "code": "1.2.840.10065.1.12.1.1"}],
        "when": "2026-03-02T08:00:00Z",
        "who": {"display": "Sender"},
        "sigFormat": "application/jose",
        "data": base64.b64encode(b"nothing" if change.startswith("no") else header + b".." + value)
        .decode(),
    }  # fmt: skip
    if change == "changed":
        document["timestamp"] = "2026-01-05T10:00:01+01:00"
    id, _ = await sealed.send(encoded(document))
    await sealed.seals.seal_waiting()
    found = parameters(await sealed.call("GET", f"/Bundle/{id}/$seal", caller=LOADER))
    expected = {
        "": "TOTAL-PASSED CN=Sender,C=CZ",
        "changed": "TOTAL-FAILED SIG_CRYPTO_FAILURE",
        "stranger": "INDETERMINATE NO_CERTIFICATE_CHAIN_FOUND CN=Sender,C=CZ",
        "no signature": "TOTAL-FAILED FORMAT_FAILURE",
    }[change]
    assert found["ownSignature"].startswith(expected)
    assert found["indication"] == "TOTAL-PASSED"  # ours is over what came, whatever that was


async def test_other_bundles_are_left_alone(sealed: Sealed) -> None:
    body = json.dumps({"resourceType": "Bundle", "type": "collection"}).encode()
    answer = await sealed.call("POST", "/Bundle", body, LOADER)
    assert answer.status_code == 201, answer.text
    id = answer.json()["id"]
    assert (await sealed.read(id)).status_code == 200
    assert (await sealed.call("GET", f"/Bundle/{id}/$seal", caller=LOADER)).status_code == 404


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=1, max_size=200), st.integers(0, 199), st.integers(1, 255))
async def test_the_quick_look_agrees_with_the_whole_one(data: bytes, place: int, flip: int) -> None:
    ground, quick, make = _quick()
    seal = await make(data)
    assert await quick.agrees(seal, data, "/1") is None
    assert await quick.agrees(seal, data, "/2") is Sub.SIGNED_DATA_NOT_FOUND
    changed = bytearray(data)
    changed[place % len(data)] ^= flip
    assert await quick.agrees(seal, bytes(changed), "/1") is Sub.HASH_FAILURE
    assert (await families.validate(seal, ground.rules(), (Content(data),))).passed


def _quick() -> Any:
    if not _KEPT:
        ground = Ground()

        async def key() -> Any:
            return ground.key()

        async def anchors() -> tuple[bytes, ...]:
            return (ground.root.der,)

        stamps = (ground.stamp_root.der,)
        service = Service(key, ground, anchors, stamps, ground, ground.clock)

        async def make(data: bytes) -> bytes:
            content = (Content(data, "urn:x/1"),)
            return await service.create(Order(Format.JADES, Level.T, Packaging.DETACHED, content))

        _KEPT.append((ground, Quick(service), make))
    return _KEPT[0]


_KEPT: list[Any] = []
