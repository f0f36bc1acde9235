"""Whatever a client sends gets a clear 4xx, never a 500, and leaves nothing half written."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from pater.access.tokens import Tokens
from pater.registers.identifiers import RID
from pater.trust.keys import Keys
from tests.system.conftest import Clients
from tests.system.documents import changed, discharge, encoded, resource_of, rid_of
from tests.system.running import Running
from tests.waiting import PATIENCE

JSON = {"Content-Type": "application/fhir+json"}


def outcome(answer: httpx.Response) -> str:
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    assert any(i["severity"] in ("error", "fatal") for i in body["issue"])
    return " ".join(i["diagnostics"] for i in body["issue"])


def deep(levels: int) -> bytes:
    return b'{"resourceType":"Bundle","a":' + b'{"a":' * levels + b"1" + b"}" * (levels + 1)


VALID = encoded(discharge())
BODIES: dict[str, tuple[bytes, int]] = {
    "truncated": (VALID[: len(VALID) // 2], 400),
    "empty": (b"", 400),
    "not an object": (b"[1,2,3]", 400),
    "deep": (deep(5_000), 400),
    "deeper than any parser": (deep(500_000), 400),
    "deep arrays": (b'{"resourceType":"Bundle","a":' + b"[" * 100_000, 400),
    "duplicate keys": (b'{"resourceType":"Bundle","type":"document","type":"batch"}', 400),
    "wrong charset": (VALID.decode().encode("cp1250"), 400),
    "utf-16": (VALID.decode().encode("utf-16"), 400),
    "lone surrogate": (b'{"resourceType":"Bundle","id":"\\ud800"}', 400),
    "NaN": (b'{"resourceType":"Bundle","total":NaN}', 400),
    "huge number": (b'{"resourceType":"Bundle","total":1e999999999}', 400),
    "null byte": (b'{"resourceType":"Bundle","id":"a\\u0000b","type":"document"}', 422),
    "no type": (b'{"type":"document"}', 400),
    "another type": (b'{"resourceType":"Patient"}', 400),
    "unknown type": (b'{"resourceType":"Spaceship"}', 400),
}


@pytest.mark.parametrize("name", list(BODIES))
def test_bodies_that_are_no_document(client: Clients, name: str) -> None:
    body, status = BODIES[name]
    answer = client("hospital-a").post("/Bundle", content=body, headers=JSON)
    assert 400 <= answer.status_code < 500, answer.text[:500]
    assert answer.status_code in (status, 400, 422), answer.text[:500]
    assert outcome(answer)


def test_fifty_megabytes(client: Clients) -> None:
    body = b'{"resourceType":"Bundle","type":"document","x":"' + b"a" * 50_000_000 + b'"}'
    answer = client("hospital-a").post("/Bundle", content=body, headers=JSON)
    assert answer.status_code == 413
    assert outcome(answer)
    # the server is well afterwards
    assert client("hospital-a").get("/metadata").status_code == 200


def test_unknown_things_of_the_api(client: Clients) -> None:
    loader = client("loader")
    cases = [
        (loader.get("/Spaceship/1"), 404),
        (loader.get("/Patient/does-not-exist"), 404),
        (loader.get("/Patient/..%2f..%2fetc"), 404),
        (loader.get("/Patient?colour=blue"), 400),
        (loader.get("/Patient?birthdate=yesterday"), 400),
        (loader.get("/Patient?name:shout=x"), 400),
        (loader.get("/Patient?_count=many"), 400),
        (loader.get("/Observation?date=zz2020"), 400),
        (loader.put("/Patient", content=b"{}", headers=JSON), 405),
        (loader.post("/Patient/1", content=b"{}", headers=JSON), 405),
        (loader.post("/Patient", content=b"<Patient/>", headers={"Content-Type": "text/xml"}), 400),
        (loader.post("/Patient", content=VALID, headers={"Content-Type": "text/plain"}), 415),
        (loader.get("/Patient?identifier=a%7Cb", headers={"Accept": "image/png"}), 406),
        (loader.get("/Patient/1/_history/x"), 404),
        (loader.post("/Patient/$nonsense", content=b"{}", headers=JSON), 404),
    ]
    for answer, status in cases:
        assert answer.status_code == status, (str(answer.request.url), answer.text[:300])
        assert outcome(answer)


@pytest.mark.parametrize(
    "name",
    [
        "Robert'); drop table resource;--",
        "<script>alert(1)</script>",
        '"><img src=x>',
        "%_\\",
        "🦴",
    ],
)
def test_names_that_look_like_code_are_only_names(client: Clients, name: str) -> None:
    report = discharge(family=name)
    answer = client("hospital-a").post("/Bundle", content=encoded(report), headers=JSON)
    assert answer.status_code == 201, answer.text[:500]
    found = client("loader").get("/Patient", params={"identifier": f"{RID}|{rid_of(report)}"})
    assert found.json()["entry"][0]["resource"]["name"][0]["family"] == name


def test_expired_forged_and_foreign_tokens(running: Running, client: Clients) -> None:
    keys = Keys.load_or_create(running.folder / "keys")
    _, claims = client("hospital-a").headers["authorization"].split()
    old = Tokens(keys, running.url, lambda: datetime.now(UTC) - timedelta(days=2))
    caller = Tokens(keys, running.url, lambda: datetime.now(UTC)).verify(claims)
    other = Tokens(Keys.generate(), running.url, lambda: datetime.now(UTC))
    elsewhere = Tokens(keys, "https://elsewhere.example", lambda: datetime.now(UTC))
    for token in (old.issue(caller), other.issue(caller), elsewhere.issue(caller), "a" * 100_000):
        answer = httpx.get(
            f"{running.url}/fhir/Patient/1",
            headers={"Authorization": f"Bearer {token}"},
            timeout=PATIENCE,
        )
        assert answer.status_code in (401, 431, 400)
        assert answer.status_code != 500
    assert (
        httpx.get(
            f"{running.url}/fhir/Patient/1",
            headers={"Authorization": f"Bearer {old.issue(caller)}"},
            timeout=PATIENCE,
        ).status_code
        == 401
    )


def assertion(running: Running, name: str, **changes: Any) -> str:
    """A client assertion of a demonstration system (SMART Backend Services)."""
    jwk = json.loads((Path(running.folder) / "demo-keys" / f"{name}.jwk").read_text())
    now = int(time.time())
    claims = {
        "iss": name,
        "sub": name,
        "aud": f"{running.url}/oauth/token",
        "jti": str(uuid4()),
        "iat": now,
        "exp": now + 120,
        **changes,
    }
    header = {"alg": "ES384", "typ": "JWT", "kid": name}
    return jwt.encode(header, claims, ECKey.import_key(jwk), algorithms=["ES384"])


def ask(running: Running, token: str, **form: str) -> httpx.Response:
    return httpx.post(
        f"{running.url}/oauth/token",
        data={
            "grant_type": "client_credentials",
            "scope": "system/*.cruds",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": token,
            **form,
        },
        timeout=PATIENCE,
    )


def test_a_system_gets_its_token_by_its_private_key(running: Running) -> None:
    known = f"{running.url}/fhir/.well-known/smart-configuration"
    smart = httpx.get(known, timeout=PATIENCE).json()
    assert smart["token_endpoint"] == f"{running.url}/oauth/token"
    granted = ask(running, assertion(running, "hospital-a"), purpose_of_use="TREAT")
    assert granted.status_code == 200, granted.text
    token = granted.json()["access_token"]
    assert 0 < granted.json()["expires_in"] <= 300
    sent = httpx.post(
        f"{running.url}/fhir/Bundle",
        content=encoded(discharge()),
        headers={**JSON, "Authorization": f"Bearer {token}"},
        timeout=PATIENCE,
    )
    assert sent.status_code == 201


def test_assertions_that_are_replayed_expired_or_anothers(running: Running) -> None:
    once = assertion(running, "hospital-a")
    assert ask(running, once).status_code == 200
    assert ask(running, once).status_code in (400, 401)
    past = assertion(running, "hospital-a", exp=int(time.time()) - 60)
    assert ask(running, past).status_code in (400, 401)
    wrong = assertion(running, "hospital-a", iss="hospital-b", sub="hospital-b")
    assert ask(running, wrong).status_code in (400, 401)
    assert ask(running, "nonsense").status_code in (400, 401)
    odd = httpx.post(f"{running.url}/oauth/token", content=b"\xff\xfe", timeout=PATIENCE)
    assert odd.status_code == 400


def test_a_failed_write_in_a_transaction_leaves_nothing(client: Clients) -> None:
    mrn = str(uuid4())
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:11111111-1111-4111-8111-111111111111",
                "resource": {
                    "resourceType": "Patient",
                    "identifier": [{"system": "urn:mrn", "value": mrn}],
                },
                "request": {"method": "POST", "url": "Patient"},
            },
            {
                "resource": {
                    "resourceType": "Observation",
                    "status": "final",
                    "code": {"text": "x"},
                    "subject": {"reference": "urn:uuid:22222222-2222-4222-8222-222222222222"},
                },
                "request": {"method": "POST", "url": "Observation"},
            },
        ],
    }
    answer = client("loader").post("/", json=bundle, headers=JSON)
    assert 400 <= answer.status_code < 500
    assert "entry[1]" in answer.text
    found = client("loader").get("/Patient", params={"identifier": f"urn:mrn|{mrn}"}).json()
    assert not found.get("entry")


def test_the_same_transaction_of_eight_clients_at_once_never_fails_inside(client: Clients) -> None:
    report = discharge()
    sender = client("hospital-a")
    statuses: list[int] = []

    def go(number: int) -> None:
        def vary(bundle: dict[str, Any]) -> None:
            bundle["identifier"]["value"] = f"urn:uuid:{uuid4()}"
            composition = resource_of(bundle, "Composition")
            composition["identifier"]["value"] = str(uuid4())
            composition["title"] = f"Zpráva {number}"

        answer = sender.post("/Bundle", content=encoded(changed(report, vary)), headers=JSON)
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=go, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # eight different documents of one new person at once: all are kept, one person is made
    assert statuses == [201] * 8
    person = {"identifier": f"{RID}|{rid_of(report)}"}
    assert len(client("loader").get("/Patient", params=person).json()["entry"]) == 1
