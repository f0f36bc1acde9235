"""The Czech gateway's way: a short assertion, signed with a registered certificate, as bearer."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from joserfc import jws
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from pater.access import clients, gateway
from pater.access.clients import ClientError
from pater.access.gateway import Gateway
from pater.access.tokens import TokenError, Tokens
from pater.store.database import Database
from pater.store.journal import JournalEntry
from pater.trust.keys import Keys
from tests.access.test_smart import HOSPITAL
from tests.conftest import Clock

BASE = "http://pater.test"
KEYS = Keys.generate()
PRIVATE = rsa.generate_private_key(65537, 2048)
KEY = RSAKey.import_key(PRIVATE)
STRANGER = RSAKey.generate_key(2048)


def certificate(clock: Clock, days: int = 700, key: Any = PRIVATE) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hospital-b")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(clock() - timedelta(days=800))
        .not_valid_after(clock() + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM)


class Desk:
    """The API behind the gateway, and what was journaled."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.clock = clock
        self.journal: list[JournalEntry] = []
        tokens = Tokens(KEYS, BASE, clock)

        async def journal(entries: Sequence[JournalEntry]) -> None:
            self.journal.extend(entries)

        async def api(scope: Scope, receive: Receive, send: Send) -> None:
            """Says who asks, as the API knows it: by an access token of ours."""
            bearer = Request(scope).headers.get("authorization", "").removeprefix("Bearer ")
            try:
                caller = tokens.verify(bearer)
                said, status = f"{caller.id} {caller.purpose} {' '.join(caller.scopes)}", 200
            except TokenError as error:
                said, status = f"the API refuses: {error.code}", 401
            await PlainTextResponse(said, status)(scope, receive, send)

        app = Gateway(api, db, tokens, BASE, clock, journal, demo=True)
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, client=("192.0.2.7", 1)), base_url=BASE
        )

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(self.clock().timestamp())
        claims = {
            "iss": "hospital-b", "sub": "hospital-b", "aud": BASE + "/oauth/token",
            "iat": now, "exp": now + 60, "jti": secrets.token_hex(8),
            "purpose_of_use": "TREAT", **changes,
        }  # fmt: skip
        return {name: value for name, value in claims.items() if value is not None}

    async def ask(self, token: str, path: str = "/fhir/Patient") -> httpx.Response:
        return await self.http.get(path, headers={"Authorization": f"Bearer {token}"})

    async def refused(self, token: str) -> str:
        """What exactly was wrong, as a demonstration tells."""
        answer = await self.ask(token)
        assert answer.status_code == 401, answer.text
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        issue = answer.json()["issue"][0]
        assert issue["code"] == "login"
        return str(issue["diagnostics"]).removeprefix("the assertion was not accepted: ")


def sign(claims: Any, key: Any = KEY, alg: str = "RS256", **header: Any) -> str:
    head = {"alg": alg, "typ": "JWT", "kid": "cert-1", **header}
    head = {name: value for name, value in head.items() if value is not None}
    registry = JWSRegistry(algorithms=[alg], strict_check_header=False)
    body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return jws.serialize_compact(head, body, key, registry=registry)


@pytest.fixture
async def database(module_database: Database) -> Database:
    """One database for all tests here, emptied before each."""
    await module_database.execute("truncate client, client_certificate, used_jti")
    return module_database


@pytest.fixture
async def desk(database: Database, clock: Clock) -> AsyncIterator[Desk]:
    await clients.register(database, HOSPITAL, clock)
    await gateway.register(database, "hospital-b", "cert-1", certificate(clock), clock)
    made = Desk(database, clock)
    yield made
    await made.http.aclose()


async def test_a_signed_assertion_is_the_client(desk: Desk) -> None:
    answer = await desk.ask(sign(desk.claims()))
    assert (answer.status_code, answer.text) == (
        200,
        "hospital-b TREAT system/*.rs system/Bundle.c",
    )
    for audience in (BASE, BASE + "/fhir", ["https://other.example", BASE + "/oauth/token"]):
        assert (await desk.ask(sign(desk.claims(aud=audience)))).status_code == 200
    assert desk.journal == []


async def test_each_works_once_also_at_once(desk: Desk) -> None:
    token = sign(desk.claims())
    found = await asyncio.gather(*(desk.ask(token) for _ in range(5)))
    assert sorted(each.status_code for each in found) == [200, 401, 401, 401, 401]
    assert {(e.agent, e.reason, e.source) for e in desk.journal} == {
        ("hospital-b", "token-replay", "192.0.2.7")
    }


REFUSED = {
    "iss and sub must both be the client id": {"iss": "hospital-a"},
    "aud must be the address of the service": {"aud": "https://elsewhere.example"},
    "exp must be a number": {"exp": "soon"},
    "jti must be a text of 1 to 256 characters": {"jti": 7},
    "purpose_of_use must be a text": {"purpose_of_use": 1},
    "": {"purpose_of_use": "HRESCH"},
}


@pytest.mark.parametrize(("said", "change"), REFUSED.items())
async def test_claims_that_are_wrong(desk: Desk, said: str, change: dict[str, Any]) -> None:
    found = await desk.refused(sign(desk.claims(**change)))
    assert found == (said or "the assertion was not accepted")


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "jti"])
async def test_claims_that_are_missing(desk: Desk, name: str) -> None:
    await desk.refused(sign(desk.claims(**{name: None})))
    assert desk.journal[-1].reason == "token-client"


async def test_it_lives_sixty_seconds_at_most(desk: Desk) -> None:
    now = int(desk.clock().timestamp())
    assert await desk.refused(sign(desk.claims(exp=now + 66))) == (
        "exp must be at most 60 seconds ahead"
    )
    assert await desk.refused(sign(desk.claims(iat=now - 10, exp=now + 55))) == (
        "the assertion lives longer than 60 seconds"
    )
    for name in ("iat", "nbf"):
        late = desk.claims(**{name: now + 30})
        assert await desk.refused(sign(late)) == f"{name} lies in the future"
    token = sign(desk.claims())
    desk.clock.move(seconds=65)
    assert await desk.refused(token) == "the assertion has expired"


async def test_who_signed(desk: Desk) -> None:
    wrong = "the signature is not that of the certificate"
    assert await desk.refused(sign(desk.claims(), STRANGER)) == wrong
    token = sign(desk.claims())
    head, body, mac = token.split(".")
    assert await desk.refused(f"{head}.{sign(desk.claims(jti='x')).split('.')[1]}.{mac}") == wrong
    assert await desk.refused(sign(desk.claims(), alg="PS256")) == "alg must be RS256"
    assert await desk.refused(sign(desk.claims(), kid="cert-2")) == (
        "the certificate is not registered"
    )
    assert await desk.refused(sign(desk.claims(), kid=None)) == (
        "kid must be the id of the certificate"
    )
    assert await desk.refused(f"{head}.{body}.") == wrong
    # nothing that an unproved assertion said is written down
    assert {e.agent for e in desk.journal} == {""}


async def test_a_revoked_or_expired_certificate(
    desk: Desk, database: Database, clock: Clock
) -> None:
    await gateway.register(database, "hospital-b", "short", certificate(clock, 1), clock)
    clock.move(days=1)
    assert await desk.refused(sign(desk.claims(), kid="short")) == (
        "the certificate is not valid now"
    )
    assert await gateway.revoke(database, "cert-1", clock)
    assert not await gateway.revoke(database, "cert-1", clock)
    assert await desk.refused(sign(desk.claims())) == "the certificate was revoked"


async def test_a_closed_client(desk: Desk, database: Database) -> None:
    await database.execute("update client set active = false")
    assert await desk.refused(sign(desk.claims())) == "the client is not registered"


async def test_what_is_no_assertion_passes_to_the_api(desk: Desk) -> None:
    for token in ("", "x", "a.b.c", "....", "x" * 20_000):
        assert "the API refuses" in (await desk.ask(token)).text
    for token in (sign(b"[]"), sign(b"{"), sign(desk.claims()) + ".x"):
        await desk.refused(token)


async def test_which_certificates_are_registered(database: Database, clock: Clock) -> None:
    await clients.register(database, HOSPITAL, clock)
    curve = ec.generate_private_key(ec.SECP256R1())
    for client, name, body in (
        ("nobody", "c", certificate(clock)),
        ("hospital-b", "", certificate(clock)),
        ("hospital-b", "c d", certificate(clock)),
        ("hospital-b", "c", b"no certificate"),
        ("hospital-b", "c", certificate(clock, -1)),
        ("hospital-b", "c", certificate(clock, key=curve)),
    ):
        with pytest.raises(ClientError):
            await gateway.register(database, client, name, body, clock)
    await gateway.register(database, "hospital-b", "c", certificate(clock), clock)
    with pytest.raises(ClientError):
        await gateway.register(database, "hospital-b", "c", certificate(clock), clock)
    (row,) = await gateway.certificates(database, "hospital-b")
    assert (row["id"], row["revoked"]) == ("c", None)
