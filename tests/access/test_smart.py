"""Backend services: the token endpoint lets in who proves it, once, for what they hold."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry
from starlette.applications import Starlette

from pater.access import clients
from pater.access.clients import Client, ClientError
from pater.access.routes import routes
from pater.access.scopes import ScopeError, parse_scope
from pater.access.smart import ASSERTION_TYPE
from pater.access.tokens import Tokens
from pater.store.database import Database
from pater.store.journal import JournalEntry
from pater.trust.keys import Keys
from tests.conftest import Clock

BASE = "http://pater.test"
TOKEN = BASE + "/oauth/token"
EC384 = ECKey.generate_key("P-384", {"kid": "ec384"})
EC256 = ECKey.generate_key("P-256", {"kid": "ec256"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
STRANGER = ECKey.generate_key("P-384", {"kid": "ec384"})
KEYS = Keys.generate()

HOSPITAL = Client(
    id="hospital-b",
    name="Nemocnice B",
    role="provider-system",
    organization="00000019",
    organization_name="Nemocnice Podhůří",
    jwks={"keys": [key.as_dict(private=False) for key in (EC384, EC256, RSA)]},
    scopes=("system/*.rs", "system/Bundle.c"),
    purposes=("TREAT", "ETREAT"),
)


@dataclass
class Desk:
    """The token endpoint as a client sees it, and what was journaled."""

    http: httpx.AsyncClient
    tokens: Tokens
    clock: Clock
    db: Database
    journal: list[JournalEntry] = field(default_factory=list)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(self.clock().timestamp())
        claims = {
            "iss": "hospital-b",
            "sub": "hospital-b",
            "aud": TOKEN,
            "exp": now + 300,
            "jti": secrets.token_hex(8),
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def form(self, assertion: str | None = None, **changes: str | None) -> dict[str, str]:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion or sign(self.claims()),
            "scope": "system/*.rs",
            **changes,
        }
        return {name: value for name, value in form.items() if value is not None}

    async def ask(self, assertion: str | None = None, **changes: str | None) -> httpx.Response:
        return await self.http.post("/oauth/token", data=self.form(assertion, **changes))

    async def refused(self, claims: dict[str, Any], **header: Any) -> str:
        """The error of an assertion that is refused."""
        answer = await self.ask(sign(claims, **header))
        assert answer.headers["cache-control"] == "no-store"
        code: str = answer.json()["error"]
        assert answer.status_code == (401 if code == "invalid_client" else 400)
        return code


def sign(claims: Any, key: Any = EC384, alg: str = "ES384", **header: Any) -> str:
    head = {"alg": alg, "typ": "JWT", "kid": key.kid, **header}
    head = {name: value for name, value in head.items() if value is not None}
    registry = JWSRegistry(algorithms=[alg], strict_check_header=False)
    registry.max_header_length = 10_000
    body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return jws.serialize_compact(head, body, key, registry=registry)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.fixture
async def make(database: Database, clock: Clock) -> AsyncIterator[Callable[[bool], Desk]]:
    opened: list[httpx.AsyncClient] = []
    await clients.register(database, HOSPITAL, clock)

    def build(demo: bool) -> Desk:
        tokens = Tokens(KEYS, BASE, clock)
        journaled: list[JournalEntry] = []

        async def journal(entries: Sequence[JournalEntry]) -> None:
            journaled.extend(entries)

        app = Starlette(
            routes=routes(
                database, KEYS, clock, lambda r: str(r.base_url).rstrip("/"), demo,
                tokens=tokens, journal=journal,
            )
        )  # fmt: skip
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE)
        opened.append(http)
        return Desk(http, tokens, clock, database, journaled)

    yield build
    for each in opened:
        await each.aclose()


@pytest.fixture
def desk(make: Callable[[bool], Desk]) -> Desk:
    return make(False)


@pytest.mark.parametrize(
    ("key", "alg"),
    [(EC384, "ES384"), (EC256, "ES256"), (RSA, "RS384"), (RSA, "RS256"), (RSA, "PS256")],
)
async def test_a_registered_system_gets_a_token(desk: Desk, key: Any, alg: str) -> None:
    answer = await desk.ask(
        sign(desk.claims(), key, alg), scope="system/*.rs system/Bundle.c", purpose_of_use="TREAT"
    )
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("bearer", 300)
    assert body["scope"] == "system/*.rs system/Bundle.c"
    caller = desk.tokens.verify(body["access_token"])
    assert (caller.id, caller.role, caller.organization) == (
        "hospital-b",
        "provider-system",
        "00000019",
    )
    assert (caller.kind, caller.strength, caller.purpose) == ("system", 3, "TREAT")
    (entry,) = desk.journal
    assert (entry.agent, entry.interaction, entry.outcome, entry.purpose) == (
        "hospital-b",
        "token",
        "0",
        "TREAT",
    )


async def test_the_key_may_be_unnamed_and_the_audience_a_list_or_the_base(desk: Desk) -> None:
    assert (await desk.ask(sign(desk.claims(), kid=None))).status_code == 200
    assert (await desk.ask(sign(desk.claims(aud=["https://x", BASE])))).status_code == 200
    chain = ["A" * 1500]
    assert (await desk.ask(sign(desk.claims(), x5c=chain, jku="https://x/"))).status_code == 200


async def test_an_assertion_is_accepted_once(desk: Desk) -> None:
    assertion = sign(desk.claims())
    assert (await desk.ask(assertion)).status_code == 200
    again = await desk.ask(assertion)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
    assert desk.journal[-1].reason == "token-replay"
    # not even when it is signed anew, and not up to the last moment of its life
    claims = desk.claims()
    assert (await desk.ask(sign(claims))).status_code == 200
    desk.clock.move(minutes=5, seconds=4)
    assert await desk.refused(claims) == "invalid_client"


async def test_two_at_once_cannot_use_the_same_assertion(desk: Desk) -> None:
    assertion = sign(desk.claims())
    answers = await asyncio.gather(*(desk.ask(assertion) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7


async def test_another_client_may_use_the_same_jti(desk: Desk) -> None:
    await clients.register(desk.db, replace(HOSPITAL, id="hospital-a"), desk.clock)
    assert (await desk.ask(sign(desk.claims(jti="1")))).status_code == 200
    other = desk.claims(iss="hospital-a", sub="hospital-a", jti="1")
    assert (await desk.ask(sign(other))).status_code == 200


async def test_used_assertions_are_forgotten_when_they_have_expired(desk: Desk) -> None:
    await desk.ask()
    desk.clock.move(minutes=6)
    await desk.ask()
    assert await desk.db.fetchval("select count(*) from used_jti") == 1


async def test_claims_that_prove_nothing(desk: Desk) -> None:
    now = int(desk.clock().timestamp())
    for changes in (
        {"iss": "hospital-a"},
        {"iss": "nobody", "sub": "nobody"},
        {"iss": ["hospital-b"], "sub": ["hospital-b"]},
        {"iss": "hospital-b\0", "sub": "hospital-b\0"},
        {"sub": None},
        {"aud": "https://other.example/oauth/token"},
        {"aud": None},
        {"aud": [{"x": TOKEN}]},
        {"exp": None},
        {"exp": now - 5},
        {"exp": now + 306},
        {"exp": str(now + 60)},
        {"exp": True},
        {"exp": 2**63},
        {"nbf": now + 60},
        {"iat": now + 60},
        {"iat": "now"},
        {"jti": None},
        {"jti": ""},
        {"jti": 5},
        {"jti": "j" * 300},
    ):
        assert await desk.refused(desk.claims(**changes)) == "invalid_client", changes
    assert await desk.db.fetchval("select count(*) from used_jti") == 0


async def test_signatures_that_prove_nothing(desk: Desk) -> None:
    claims = desk.claims()
    body = b64(json.dumps(claims).encode())
    (public, *_) = HOSPITAL.jwks["keys"]
    fakes = [
        sign(claims, STRANGER),
        sign(claims, STRANGER, kid=None),
        sign(claims, STRANGER, kid="' or 1=1 --"),
        sign(claims, STRANGER, jwk=STRANGER.as_dict(private=False)),
        sign(claims, EC384, kid="rsa"),
        sign(claims, RSA, "RS512"),
        f"{b64(json.dumps({'alg': 'none', 'kid': 'ec384'}).encode())}.{body}.",
        "a.b.c",
        "....",
        "x" * 20_000,
        sign(b"[]"),
        sign(b"[" * 5000),
        sign(b'{"iss":"hospital-b","iss":1}'),
        sign(claims, crit=["kid"]),
    ]
    for secret in (EC384.as_pem(private=False), json.dumps(public).encode()):
        head = b64(json.dumps({"alg": "HS256", "kid": "ec384"}).encode())
        mac = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
        fakes.append(f"{head}.{body}.{b64(mac)}")
    for fake in fakes:
        answer = await desk.ask(fake)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), fake[:60]
    # none of them used up the jti
    assert (await desk.ask(sign(claims))).status_code == 200


async def test_a_closed_client_gets_nothing(desk: Desk) -> None:
    await clients.register(desk.db, replace(HOSPITAL, active=False), desk.clock)
    assert await desk.refused(desk.claims()) == "invalid_client"


async def test_scopes_and_purposes_beyond_the_registered_ones(desk: Desk) -> None:
    for scope, code in (
        ("", "invalid_scope"),
        ("system/*.cruds", "invalid_scope"),
        ("system/*.rs system/Bundle.d", "invalid_scope"),
        ("user/*.rs", "invalid_scope"),
        ("openid", "invalid_scope"),
        ("system/*.sr", "invalid_scope"),
        ("system/*.rs " * 500, "invalid_scope"),
        ("system/Observation.rs?unknown=1", "invalid_scope"),
        ("system/Observation.rs?_count=1", "invalid_scope"),
        ("system/Observation.cruds?code=1-8", "invalid_scope"),
    ):
        answer = await desk.ask(scope=scope)
        assert (answer.status_code, answer.json()["error"]) == (400, code), scope
    narrow = "system/Observation.rs?code=http://loinc.org|1-8&status=final"
    granted = (await desk.ask(scope=f"{narrow} system/Patient.rs")).json()
    assert granted["scope"] == f"{narrow} system/Patient.rs"
    assert narrow in desk.tokens.verify(granted["access_token"]).scopes
    for purpose in ("HRESCH", "treat", "https://x|TREAT", "|TREAT"):
        answer = await desk.ask(purpose_of_use=purpose)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), purpose
    coded = await desk.ask(
        purpose_of_use="http://terminology.hl7.org/CodeSystem/v3-ActReason|ETREAT"
    )
    assert desk.tokens.verify(coded.json()["access_token"]).purpose == "ETREAT"
    plain = await desk.ask()
    assert desk.tokens.verify(plain.json()["access_token"]).purpose == ""


async def test_requests_out_of_order(desk: Desk) -> None:
    for changes, code in (
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_assertion_type": None}, "invalid_client"),
        ({"client_assertion": ""}, "invalid_client"),
        ({"client_id": "hospital-a"}, "invalid_client"),
    ):
        answer = await desk.ask(**changes)
        assert answer.json()["error"] == code, changes
    assert (await desk.ask(client_id="hospital-b")).status_code == 200


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"grant_type=client_credentials&grant_type=client_credentials", None),
        (b"&".join(b"a%d=1" % n for n in range(50)), None),
        (b"a=" + b"x" * 70_000, None),
        (b"grant_type=%ff%fe", None),
        (b"\xff\xfe", None),
        (b"=&;&&", None),
        (b'{"grant_type":"client_credentials"}', "application/json"),
        (b"", "multipart/form-data; boundary=x"),
    ],
    ids=["twice", "many", "large", "not utf-8", "bytes", "noise", "json", "multipart"],
)
async def test_forms_that_are_none(desk: Desk, content: bytes, kind: str | None) -> None:
    headers = {"content-type": kind or "application/x-www-form-urlencoded"}
    answer = await desk.http.post("/oauth/token", content=content, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_secrets_in_the_query_are_not_read(desk: Desk) -> None:
    query = urlencode(desk.form())
    answer = await desk.http.post(
        "/oauth/token?" + query, headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 400
    assert (await desk.http.get("/oauth/token?" + query)).status_code == 405


async def test_a_refusal_is_journaled_without_what_a_stranger_said(desk: Desk) -> None:
    await desk.ask(sign(desk.claims(), STRANGER))
    await desk.ask(sign(desk.claims(iss="jana.svobodova", sub="jana.svobodova")))
    known, unknown = desk.journal
    assert (known.agent, known.outcome, known.reason) == ("hospital-b", "4", "token-client")
    assert (unknown.agent, unknown.agent_name) == ("", "")
    assert "svobodova" not in repr(unknown)


async def test_only_a_demonstration_explains(make: Callable[[bool], Desk]) -> None:
    strict, demo = make(False), make(True)
    claims = strict.claims(aud="https://x")
    texts = [(await desk.ask(sign(claims))).json()["error_description"] for desk in (strict, demo)]
    assert texts[0] == "client authentication failed"
    assert "token endpoint" in texts[1]


async def test_the_documents(desk: Desk) -> None:
    for path in ("/.well-known/smart-configuration", "/fhir/.well-known/smart-configuration"):
        found = (await desk.http.get(path)).json()
        assert found["token_endpoint"] == TOKEN
        assert "private_key_jwt" in found["token_endpoint_auth_methods_supported"]
        assert {"ES384", "RS384"} <= set(found["token_endpoint_auth_signing_alg_values_supported"])
        assert found["grant_types_supported"] == ["client_credentials"]
        # only what is there: there is no authorization endpoint, so nothing of it is told
        assert not {"authorization_endpoint", "code_challenge_methods_supported"} & set(found)
        assert found["capabilities"] == [
            "client-confidential-asymmetric", "permission-v1", "permission-v2",
        ]  # fmt: skip
        for scope in found["scopes_supported"]:
            parse_scope(scope)
    (key,) = (await desk.http.get("/.well-known/jwks.json")).json()["keys"]
    assert "d" not in key
    token = (await desk.ask()).json()["access_token"]
    assert jws.deserialize_compact(token, ECKey.import_key(key), ["ES256"]).payload


@pytest.mark.filterwarnings("ignore:Key size")
async def test_clients_that_cannot_be_registered(database: Database, clock: Clock) -> None:
    ec = EC384.as_dict(private=False)
    for changes in (
        {"id": ""},
        {"id": "a b"},
        {"id": "x" * 200},
        {"role": "king"},
        {"purposes": ("HRESCH",)},
        {"scopes": ("user/*.rs",)},
        {"jwks": {"keys": []}},
        {"jwks": {}},
        {"jwks": {"keys": [EC384.as_dict(private=True)]}},
        {"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}},
        {"jwks": {"keys": [{**ec, "x": "AA"}]}},
        {"jwks": {"keys": [{**ec, "crv": "P-521"}]}},
        {"jwks": {"keys": [RSAKey.generate_key(1024).as_dict(private=False)]}},
        {"jwks": {"keys": [ec] * 11}},
        {"jwks": {"keys": ["x"]}},
    ):
        with pytest.raises(ClientError):
            await clients.register(database, replace(HOSPITAL, **changes), clock)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ScopeError):
        await clients.register(database, replace(HOSPITAL, scopes=("all",)), clock)
    assert await clients.find(database, "hospital-b") is None


async def test_registering_again_replaces(database: Database, clock: Clock) -> None:
    await clients.register(database, HOSPITAL, clock)
    changed = replace(HOSPITAL, name="Nová", purposes=("TREAT",))
    await clients.register(database, changed, clock)
    assert await clients.find(database, "hospital-b") == changed
