"""Identity tokens that do not hold, providers that are written down wrongly, keys that change."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, RSAKey

from pater.access.federation.errors import FederationError
from pater.access.federation.issuers import Issuer, IssuerError, check
from pater.access.federation.provider import Providers
from pater.access.federation.tokens import Expected, UnknownKeyError, read
from pater.domains.simulators.identity import Provider, ProviderError
from tests.conftest import Clock
from tests.federation.conftest import ISSUER

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
KEY = ECKey.generate_key("P-256", {"kid": "k1"})
OTHER = ECKey.generate_key("P-256", {"kid": "k1"})
RSA = RSAKey.generate_key(2048, {"kid": "r1"})
KEYS = [KEY.as_dict(private=False), RSA.as_dict(private=False)]
WANTED = Expected("https://id.example", "us", "n-1")


def claims(**changes: Any) -> dict[str, Any]:
    moment = int(NOW.timestamp())
    said = {
        "iss": "https://id.example", "sub": "s-1", "aud": "us", "nonce": "n-1",
        "iat": moment, "exp": moment + 300, **changes,
    }  # fmt: skip
    return {name: value for name, value in said.items() if value is not None}


def signed(key: Any = KEY, algorithm: str = "ES256", header: Any = None, **changes: Any) -> str:
    head = {"alg": algorithm, "kid": key.as_dict().get("kid", "k1")} | (header or {})
    return jws.serialize_compact(head, orjson.dumps(claims(**changes)), key, [algorithm])


def test_a_token_in_order_is_read() -> None:
    assert read(signed(), KEYS, WANTED, NOW)["sub"] == "s-1"
    assert read(signed(RSA, "RS256"), KEYS, WANTED, NOW)["sub"] == "s-1"
    assert read(signed(RSA, "PS256", aud=["us"]), KEYS, WANTED, NOW)["sub"] == "s-1"
    assert read(signed(aud=["us", "them"], azp="us"), KEYS, WANTED, NOW)["sub"] == "s-1"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://id.example/"}, {"iss": None}, {"aud": "them"}, {"aud": None},
        {"aud": ["us", "them"]}, {"aud": ["us", "them"], "azp": "them"}, {"azp": "them"},
        {"nonce": None}, {"nonce": "n-2"}, {"nonce": 7}, {"sub": None}, {"sub": ""},
        {"sub": "x" * 300}, {"sub": "a\0b"}, {"exp": None}, {"exp": "soon"},
        {"exp": int(NOW.timestamp()) - 61}, {"iat": None}, {"iat": int(NOW.timestamp()) + 120},
        {"iat": int(NOW.timestamp()) - 700}, {"nbf": int(NOW.timestamp()) + 120}, {"exp": True},
    ],
)  # fmt: skip
def test_a_claim_that_is_not_right_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(FederationError) as caught:
        read(signed(**changes), KEYS, WANTED, NOW)
    assert caught.value.problem == "untrusted"


def test_who_must_be_asked_again_was_asked_again() -> None:
    wanted = replace(WANTED, authenticated_since=NOW)
    moment = int(NOW.timestamp())
    assert read(signed(auth_time=moment), KEYS, wanted, NOW)
    for at in (None, moment - 3600, "now"):
        with pytest.raises(FederationError):
            read(signed(auth_time=at), KEYS, wanted, NOW)


def test_a_signature_of_another_or_of_no_key_is_refused() -> None:
    forged = [
        signed(OTHER),
        signed(header={"kid": "r1"}),
        jws.serialize_compact({"alg": "HS256"}, orjson.dumps(claims()),
                              OctKey.import_key(orjson.dumps(KEYS[0])), ["HS256"]),
        _plain({"alg": "none"}) + ".",
        _plain({"alg": "ES256", "kid": "k1", "crit": ["x"]}) + ".AAAA",
        signed()[:-4] + "AAAA",
        "", "a.b.c", "x" * 40_000, "é.é.é",
    ]  # fmt: skip
    for token in forged:
        with pytest.raises(FederationError):
            read(token, KEYS, WANTED, NOW)


def test_a_key_set_that_shows_private_keys_is_not_used() -> None:
    with pytest.raises(UnknownKeyError):
        read(signed(), [KEY.as_dict(private=True)], WANTED, NOW)


def _plain(header: dict[str, Any]) -> str:
    parts = (orjson.dumps(header), orjson.dumps(claims()))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda b: b.decode("latin-1")))
def test_anything_else_is_refused_and_nothing_else_happens(text: str) -> None:
    for token in (text, text + "..", _plain({"alg": "ES256", "kid": text[:20]}) + "." + text):
        with pytest.raises(FederationError):
            read(token, KEYS, WANTED, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "Big"}, {"id": ""}, {"address": "http://id.example"},
        {"address": "https://a@id.example"}, {"address": "https://id.example?x=1"},
        {"address": "https://[/"}, {"name": {"cs": "x"}}, {"name": {"cs": "x", "en": "a\nb"}},
        {"client_id": ""}, {"proof": "magic"}, {"proof": "none"}, {"secret": ""},
        {"scopes": ("profile",)}, {"claims": {}}, {"claims": {"given": "x"}},
        {"claims": {"rid": "x", "magic": "y"}}, {"levels": {}}, {"levels": {"x": 3}},
    ],
)  # fmt: skip
def test_a_provider_that_cannot_be_written_down(changes: dict[str, Any]) -> None:
    check(ISSUER)
    with pytest.raises(IssuerError):
        check(replace(ISSUER, **changes))


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://id.example/token", True), ("https://keys.example/jwks", True),
        ("https://keys.example:8443/jwks", True), ("https://other.example/jwks", False),
        ("http://id.example/token", False), ("https://id.example:444/token", False),
        ("https://x@id.example/token", False), ("https://id.example.evil.example/", False),
        ("https://[/", False), ("https://id.example/a b", False),
    ],
)  # fmt: skip
def test_only_hosts_that_were_written_down_are_called(url: str, may: bool) -> None:
    issuer = Issuer(
        "x", "https://id.example", {"cs": "x", "en": "x"}, "us",
        hosts=("keys.example", "keys.example:8443"), claims={"rid": "rid"},
    )  # fmt: skip
    assert issuer.may_call(url) is may


class Wire(httpx.AsyncBaseTransport):
    """A provider's documents, as they are at the moment."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.changes: dict[str, Any] = {}
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path.rpartition("/")[2])
        if request.url.path.endswith("openid-configuration"):
            found: Any = self.provider.discovery() | self.changes
        elif request.url.path.endswith("jwks"):
            found = self.provider.jwks()
        elif request.url.path.endswith("token"):
            form = dict(httpx.QueryParams(request.content.decode()))
            found = self.provider.redeem(form, None)
        else:
            token = request.headers["authorization"].removeprefix("Bearer ")
            found = self.provider.userinfo(token)
        return httpx.Response(200, stream=httpx.ByteStream(orjson.dumps(found)))


@pytest.fixture
def wired(clock: Clock) -> tuple[Wire, Providers, Issuer]:
    provider = Provider(
        "https://id.example", b"s" * 32, clock, clients={"us": ""}, redirects=("https://us/",)
    )
    wire = Wire(provider)
    providers = Providers(httpx.AsyncClient(transport=wire), RSA, clock)
    issuer = replace(ISSUER, address=provider.issuer, client_id="us", proof="none", secret="")
    return wire, providers, issuer


async def _redeemed(wired: tuple[Wire, Providers, Issuer]) -> dict[str, Any]:
    wire, providers, issuer = wired
    asked = {
        "client_id": "us", "redirect_uri": "https://us/back", "response_type": "code",
        "scope": "openid", "nonce": "n", "code_challenge_method": "S256",
        # of the verifier "v"
        "code_challenge": "TJRIXgwhrmxBzh3-e2v6zupato5AokdvUCCOUm9QYIA",
    }  # fmt: skip
    code = wire.provider.code(wire.provider.request(asked), "jana", "x")
    return await providers.redeem(
        issuer, code, back="https://us/back", verifier="v",
        expected=Expected(issuer.address, "us", "n"),
    )  # fmt: skip


async def test_keys_that_changed_are_fetched_and_others_are_remembered(
    wired: tuple[Wire, Providers, Issuer], clock: Clock
) -> None:
    wire = wired[0]
    first = await _redeemed(wired)
    assert first["family_name"] == "Svobodová" and first["acr"] == "x"
    await _redeemed(wired)
    assert wire.asked.count("jwks") == 1 and wire.asked.count("openid-configuration") == 1
    # the set of two hours later shares no key with that of now
    clock.move(minutes=59)
    wire.provider._secret = b"another" * 4
    assert (await _redeemed(wired))["sub"] != first["sub"]
    assert wire.asked.count("jwks") == 2
    clock.move(hours=2)
    await _redeemed(wired)
    assert wire.asked.count("openid-configuration") == 2


async def test_made_up_keys_do_not_make_us_ask_each_time(
    wired: tuple[Wire, Providers, Issuer], clock: Clock
) -> None:
    wire = wired[0]
    await _redeemed(wired)
    real = wire.provider.jwks
    wire.provider.jwks = lambda: {"keys": []}  # type: ignore[method-assign]
    wire.provider._secret = b"another" * 4
    clock.move(minutes=1)
    for _ in range(5):
        with pytest.raises(UnknownKeyError):
            await _redeemed(wired)
    assert wire.asked.count("jwks") == 2
    clock.move(minutes=1)
    wire.provider.jwks = real  # type: ignore[method-assign]
    assert await _redeemed(wired)


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://other.example"},
        {"token_endpoint": "https://other.example/token"},
        {"token_endpoint": "http://id.example/token"},
        {"jwks_uri": None},
        {"authorization_endpoint": 7},
        {"userinfo_endpoint": "https://10.0.0.1/userinfo"},
    ],
)
async def test_a_discovery_document_that_leads_elsewhere_is_not_followed(
    wired: tuple[Wire, Providers, Issuer], changes: dict[str, Any]
) -> None:
    wire, providers, issuer = wired
    wire.changes = changes
    with pytest.raises(FederationError) as caught:
        await providers.metadata(issuer)
    assert caught.value.problem == "unreachable"
    assert wire.asked == ["openid-configuration"]


async def test_we_prove_ourselves_by_our_own_key(wired: tuple[Wire, Providers, Issuer]) -> None:
    wire, providers, issuer = wired
    seen: list[dict[str, str]] = []
    given = wire.provider.redeem

    def redeem(form: Any, basic: Any) -> dict[str, Any]:
        seen.append(dict(form))
        return given(form, basic)

    wire.provider.redeem = redeem  # type: ignore[method-assign]
    keyed = replace(issuer, proof="private_key_jwt")
    await _redeemed((wire, providers, keyed))
    assertion = jws.deserialize_compact(seen[0]["client_assertion"], RSA, ["RS256"])
    said = orjson.loads(assertion.payload or b"")
    assert said["iss"] == said["sub"] == "us"
    assert said["aud"] == wire.provider.issuer + "/token"
    assert said["exp"] - said["iat"] <= 60


def test_the_simulation_holds_to_its_own_rules(clock: Clock) -> None:
    provider = Provider(
        "https://a", b"s", clock, clients={"us": "secret"}, redirects=("https://us/",)
    )
    asked = {
        "client_id": "us", "redirect_uri": "https://us/back", "response_type": "code",
        "scope": "openid", "code_challenge_method": "S256", "code_challenge": "x" * 43,
    }  # fmt: skip
    spoiled = (
        {"client_id": "x"}, {"redirect_uri": "https://evil/"}, {"scope": "x"},
        {"code_challenge": ""}, {"response_type": "token"}, {"state": "x" * 600},
    )  # fmt: skip
    for change in spoiled:
        with pytest.raises(ProviderError):
            provider.request(asked | change)
    code = provider.code(provider.request(asked), "jana", "x")
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": "https://us/back"}
    with pytest.raises(ProviderError):
        provider.redeem(form, ("us", "wrong"))
    with pytest.raises(ProviderError):  # no verifier
        provider.redeem(form, ("us", "secret"))
    assert provider.userinfo(code) is None and provider.userinfo("x") is None
    kids = {key["kid"] for key in provider.jwks()["keys"]}
    clock.move(hours=1)
    assert len(kids & {key["kid"] for key in provider.jwks()["keys"]}) == 2
    clock.move(hours=2)
    assert not kids & {key["kid"] for key in provider.jwks()["keys"]}
