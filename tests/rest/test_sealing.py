"""The seal service over HTTP: who may use it, what it takes, what it gives, what it says no to."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import httpx
import pytest
from openapi_spec_validator import validate as validate_openapi
from starlette.applications import Starlette

from pater.access.caller import Caller
from pater.access.clients import Client, ClientError, check
from pater.access.scopes import covers
from pater.access.tokens import Tokens
from pater.domain import Services
from pater.records.gate import Gate
from pater.rest import sealing
from pater.rest.sealing.jobs import KIND
from pater.store.database import Database
from pater.store.files import Files
from pater.store.workers import Workers
from pater.store.write import Committer
from pater.trust.keys import Keys
from pater.trust.seal import families
from pater.trust.seal.model import Content, SealError, Text
from pater.trust.seal.service import Service
from pater.trust.tsa.verifying import verify
from tests.rest.world import BASE
from tests.trust.seal.ground import Ground
from tests.waiting import PATIENCE

SYSTEM = Caller(
    kind="system", id="lab", name="Lab", role="provider-system", organization="12345679",
    organization_name="Lab", purpose="TREAT", strength=3, scopes=("seal",),
)  # fmt: skip
DATA = b'{"result": 1}'


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@dataclass
class Api:
    ground: Ground
    service: Service
    db: Database
    http: httpx.AsyncClient
    tokens: Tokens
    workers: Workers

    async def post(
        self, act: str, body: Any = None, caller: Caller = SYSTEM, **more: Any
    ) -> httpx.Response:
        headers = {
            "Authorization": f"Bearer {self.tokens.issue(caller)}",
            **more.pop("headers", {}),
        }
        if body is not None:
            more["content"] = body if isinstance(body, bytes) else json.dumps(body)
            headers.setdefault("content-type", "application/json")
        return await self.http.post(f"/seal/{act}", headers=headers, **more)

    async def finished(self, address: str) -> httpx.Response:
        """The answer at an address, when the jobs have made it."""
        headers = {"Authorization": f"Bearer {self.tokens.issue(SYSTEM)}"}
        stop = asyncio.Event()
        running = asyncio.create_task(self.workers.run(stop))
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    answer = await self.http.get(address, headers=headers)
                    if answer.status_code != 202:
                        assert answer.status_code == 200, answer.text
                        return answer
                    await asyncio.sleep(0.05)
        finally:
            stop.set()
            await running


@pytest.fixture
async def api(module_database: Database, tmp_path: Path) -> AsyncIterator[Api]:
    database, ground = module_database, Ground()

    async def key() -> Any:
        return ground.key()

    async def anchors() -> tuple[bytes, ...]:
        return (ground.root.der,)

    service = Service(key, ground, anchors, (ground.stamp_root.der,), ground, ground.clock)
    keys = Keys.generate()
    committer = Committer(database, ground.clock)
    await committer.start()
    gate = Gate(database, committer, ground.clock, keys.cursor_key, lambda: str(uuid4()))
    tokens = Tokens(keys, BASE.removesuffix("/fhir"), ground.clock)
    services = Services(
        gate=gate, db=database, base_url=BASE, strict_identifiers=True,
        next_person=committer.next_person, clock=ground.clock, random=Random(1),
        new_id=lambda: str(uuid4()), verify=tokens.verify, files=Files(tmp_path), seals=service,
        journal=committer.journal_only,
    )  # fmt: skip
    parts = sealing.parts(services)
    app = Starlette(routes=list(parts.routes))
    workers = Workers(database, dict(parts.jobs))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as http:
        yield Api(ground, service, database, http, tokens, workers)
    await committer.stop()


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status and body["title"] and body["type"] == "about:blank"
    return body


FORMATS: list[tuple[str, dict[str, Any], bytes]] = [
    ("JAdES", {"packaging": "attached"}, DATA),
    ("JAdES", {"packaging": "detached"}, DATA),
    ("XAdES", {"packaging": "enveloped"}, b"<a/>"),
    ("CAdES", {"packaging": "detached"}, DATA),
    ("ASiC-E", {"inner": "XAdES"}, DATA),
    ("ASiC-S", {}, DATA),
]


@pytest.mark.parametrize(("kind", "more", "data"), FORMATS)
async def test_sealed_validated_and_extended(
    api: Api, kind: str, more: dict[str, Any], data: bytes
) -> None:
    content = [{"name": "a.txt", "mime": "text/plain", "data": b64(data)}]
    answer = await api.post("create", {"format": kind, "level": "T", "content": content, **more})
    assert answer.status_code == 200, answer.text
    seal = answer.json()["seal"]
    given = content if more.get("packaging") == "detached" else []
    report = (await api.post("validate", {"seal": seal, "content": given})).json()
    assert report["indication"] == "TOTAL-PASSED", report
    assert report["signatures"][0]["level"] == "T"
    longer = await api.post("extend", {"seal": seal, "level": "LTA", "content": given})
    assert longer.status_code == 200, longer.text
    report = (await api.post("validate", {"seal": longer.json()["seal"], "content": given})).json()
    assert (report["indication"], report["signatures"][0]["level"]) == ("TOTAL-PASSED", "LTA")


async def test_a_hash_is_enough(api: Api) -> None:
    digest = {"name": "urn:x", "sha256": b64(hashlib.sha256(DATA).digest())}
    answer = await api.post(
        "create", {"format": "JAdES", "packaging": "detached", "content": [digest]}
    )
    seal = base64.b64decode(answer.json()["seal"])
    report = await families.validate(seal, api.ground.rules(), (Content(DATA, "urn:x"),))
    assert report.passed


async def test_a_time_stamp_over_data_or_a_hash(api: Api) -> None:
    for name in ("sha256", "sha384", "sha512"):
        digest = hashlib.new(name, DATA).digest()
        answer = await api.post("stamp", {name: b64(digest)})
        token = base64.b64decode(answer.json()["token"])
        roots = [api.ground.stamp_root.certificate]
        assert verify(token, digest, roots, algorithm=name).time == api.ground.clock()
    answer = await api.post("stamp", {"data": b64(DATA)})
    token = base64.b64decode(answer.json()["token"])
    verify(token, hashlib.sha256(DATA).digest(), [api.ground.stamp_root.certificate])


async def test_a_form_gives_the_file_itself(api: Api) -> None:
    order = {"order": json.dumps({"format": "XAdES", "packaging": "enveloped", "level": "T"})}
    files = [("content", ("a.xml", b"<a>\xc5\xbe</a>", "text/xml"))]
    answer = await api.post("create", data=order, files=files)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/xml"
    assert (await families.validate(answer.content, api.ground.rules())).passed
    answer = await api.post("validate", files=[("seal", ("a.xml", answer.content))])
    assert answer.json()["indication"] == "TOTAL-PASSED"


async def test_a_batch_stops_at_nothing(api: Api) -> None:
    good = {"format": "JAdES", "content": [{"data": b64(DATA)}]}
    bad = {"format": "XAdES", "packaging": "enveloped", "content": [{"data": b64(b"<a")}]}
    answer = await api.post("create", {"items": [good, bad, good]})
    assert answer.status_code == 200, answer.text
    one, two, three = answer.json()["results"]
    assert "seal" in one and "seal" in three
    assert two["error"]["code"] == "format" and two["error"]["cs"]
    problem(await api.post("create", {"items": [good] * 101}), 400)


async def test_long_and_patient_requests_are_answered_later(api: Api) -> None:
    items = [{"format": "JAdES", "content": [{"data": b64(DATA)}]} for _ in range(3)]
    answer = await api.post("create", {"items": items}, headers={"prefer": "respond-async"})
    assert answer.status_code == 202, answer.text
    address = answer.headers["location"]
    headers = {"Authorization": f"Bearer {api.tokens.issue(SYSTEM)}"}
    waiting = await api.http.get(address, headers=headers)
    assert waiting.status_code == 202 and "retry-after" in waiting.headers
    done = await api.finished(address)
    assert len(done.json()["results"]) == 3
    other = replace(SYSTEM, id="other")
    theirs = {"Authorization": f"Bearer {api.tokens.issue(other)}"}
    problem(await api.http.get(address, headers=theirs), 404)
    large = {"format": "JAdES", "content": [{"data": b64(bytes(4 * 1024 * 1024))}]}
    answer = await api.post("create", large)
    assert answer.status_code == 202
    done = await api.finished(answer.headers["location"])
    assert "seal" in done.json()["results"][0]
    payload = await api.db.fetchval("select payload::text from job where kind = $1 limit 1", KIND)
    assert len(payload) < 2000  # what was sent lies beside the database


async def test_who_may_use_it(api: Api) -> None:
    body = {"format": "JAdES", "content": [{"data": b64(DATA)}]}
    for caller in (
        replace(SYSTEM, scopes=("system/*.cruds",)),
        replace(SYSTEM, role="loader"),
        replace(SYSTEM, kind="person", role="clinician", strength=2),
    ):
        for act in ("create", "validate", "extend", "stamp"):
            problem(await api.post(act, body, caller), 403)
    without = await api.http.post("/seal/create", json=body)
    assert problem(without, 401)
    assert "bearer" in without.headers["www-authenticate"].lower()
    forged = await api.http.post("/seal/create", json=body, headers={"Authorization": "Bearer x"})
    problem(forged, 401)


async def test_every_use_is_in_the_journal_without_what_was_sealed(api: Api) -> None:
    secret = b"Novakova Eva"
    body = {"format": "JAdES", "content": [{"name": "Novakova", "data": b64(secret)}]}
    user = replace(SYSTEM, id="user of the journal")
    await api.post("create", body, user)
    await api.post("create", {**body, "format": "XAdES", "packaging": "enveloped"}, user)
    await api.post("stamp", {"data": b64(secret)}, replace(user, scopes=()))
    rows = await api.db.fetch("select * from journal_entry where agent = $1 order by seq", user.id)
    said = [(row["interaction"], row["outcome"], row["reason"]) for row in rows]
    assert said == [
        ("seal-create", "0", "sealing"),
        ("seal-create", "4", "sealing"),
        ("seal-stamp", "4", "forbidden-seal"),
    ]
    assert "Novakova" not in str([dict(row) for row in rows])


@pytest.mark.parametrize(
    ("act", "body"),
    [
        ("create", b"{"),
        ("create", []),
        ("create", {}),
        ("create", {"format": "JAdES"}),
        ("create", {"format": "DOCX", "content": [{"data": ""}]}),
        ("create", {"format": "JAdES", "level": "X", "content": [{"data": ""}]}),
        ("create", {"format": "JAdES", "content": [{"data": "!"}]}),
        ("create", {"format": "JAdES", "content": [{"sha256": b64(b"short")}]}),
        ("create", {"format": "JAdES", "content": [{"data": "", "sha256": ""}]}),
        ("create", {"format": "JAdES", "content": [{"name": 1, "data": ""}]}),
        ("create", {"format": "JAdES", "content": [{"data": ""}], "more": 1}),
        ("create", {"format": "JAdES", "content": [{"data": ""}], "options": {"a": 1}}),
        ("create", b'{"format": "JAdES", "format": "XAdES", "content": [{"data": ""}]}'),
        ("validate", {}),
        ("validate", {"seal": 1}),
        ("extend", {"seal": b64(b"x")}),
        ("stamp", {}),
        ("stamp", {"sha256": b64(bytes(32)), "data": ""}),
        ("stamp", {"sha1": b64(bytes(20))}),
        ("create", {"items": []}),
        ("create", {"items": [1]}),
    ],
)
async def test_what_cannot_be_understood(api: Api, act: str, body: Any) -> None:
    assert problem(await api.post(act, body), 400)["detail"]


async def test_what_cannot_be_done(api: Api) -> None:
    no_xml = {"format": "XAdES", "packaging": "enveloped", "content": [{"data": b64(b"x")}]}
    said = problem(await api.post("create", no_xml), 422)
    assert said["code"] == "format" and said["detailCs"]
    problem(await api.post("validate", {"seal": b64(b"nothing of the kind")}), 422)
    problem(await api.post("create", b"", headers={"content-type": "text/plain"}), 415)
    answer = await api.post("create", {"format": "JAdES", "content": [{"data": b64(DATA)}]})
    seal = answer.json()["seal"]
    raised = (await api.post("extend", {"seal": seal, "level": "T"})).json()["seal"]
    problem(await api.post("extend", {"seal": raised, "level": "T"}), 409)

    async def broken() -> Any:
        raise SealError("key", Text("nejde", "the token is away"))

    object.__setattr__(api.service, "key", broken)
    said = problem(
        await api.post("create", {"format": "JAdES", "content": [{"data": b64(DATA)}]}), 503
    )
    assert said["detail"] == "the token is away"


async def test_the_description_is_valid(api: Api) -> None:
    found = (await api.http.get("/seal/openapi.json")).json()
    validate_openapi(found)
    assert set(found["paths"]) == {
        "/seal/create", "/seal/validate", "/seal/extend", "/seal/stamp", "/seal/jobs/{number}",
    }  # fmt: skip


def test_the_scope_is_given_to_nobody_by_another() -> None:
    assert covers(("system/*.cruds", "seal"), "seal")
    assert not covers(("system/*.cruds",), "seal")
    assert not covers(("seal",), "system/Observation.r")
    key = {"kty": "EC", "crv": "P-256", "x": "", "y": ""}
    client = Client("x", "X", "loader", "1", "X", {"keys": [key]}, ("seal",), ())
    with pytest.raises(ClientError, match="systems of providers"):
        check(client)
