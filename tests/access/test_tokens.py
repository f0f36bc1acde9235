"""Access tokens: what was issued comes back, and nothing else does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey

from pater.access.caller import Caller
from pater.access.tokens import TokenError, Tokens
from pater.trust.keys import Keys
from tests.conftest import Clock

KEYS = Keys.generate()
ISSUER = "https://pater.example"
START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
CALLER = Caller(
    kind="system",
    id="hospital-b",
    name="Nemocnice Žďár",
    role="provider-system",
    organization="00000019",
    organization_name="Nemocnice",
    purpose="TREAT",
    legal_basis="GDPR 9(2)(h)",
    strength=3,
    scopes=("system/*.rs", "system/Bundle.c"),
)
PATIENT = Caller(
    kind="person", id="a1", name="Jana", role="patient", person=2**62, patient="p", practitioner="d"
)


def tokens(clock: Clock | None = None, keys: Keys = KEYS, issuer: str = ISSUER) -> Tokens:
    return Tokens(keys, issuer, clock or Clock(START))


def problem(token: str, verifier: Tokens | None = None) -> str:
    with pytest.raises(TokenError) as caught:
        (verifier or tokens()).verify(token)
    assert str(caught.value)
    return caught.value.code


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def payload(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("caller", [CALLER, PATIENT])
def test_the_caller_comes_back_without_the_marks_of_a_request(caller: Caller) -> None:
    marked = replace(caller, request_id="r", source="192.0.2.1")
    assert tokens().verify(tokens().issue(marked)) == caller


def test_a_token_lives_five_minutes() -> None:
    clock = Clock(START)
    service = tokens(clock)
    token = service.issue(CALLER)
    clock.move(minutes=5, seconds=4)
    assert service.verify(token) == CALLER
    clock.move(seconds=1)
    assert problem(token, service) == "expired"
    clock.now = START - timedelta(seconds=6)
    assert problem(token, service) == "not-yet-valid"


def test_a_token_of_another_service_is_refused() -> None:
    assert problem(tokens(issuer="https://other.example").issue(CALLER)) == "wrong-audience"
    assert problem(tokens(keys=Keys.generate()).issue(CALLER)) == "forged"


def test_changed_claims_are_a_forgery() -> None:
    head, body, signature = tokens().issue(CALLER).split(".")
    claims = payload(f"{head}.{body}.{signature}")
    claims["extensions"]["pater"]["role"] = "loader"
    assert problem(f"{head}.{b64(json.dumps(claims).encode())}.{signature}") == "forged"


def test_the_header_does_not_choose_the_algorithm() -> None:
    body = tokens().issue(CALLER).split(".")[1]
    none = b64(b'{"alg":"none","typ":"at+jwt"}')
    assert problem(f"{none}.{body}.") == "malformed"
    # HS256 with the public key as the secret, in the forms somebody would try
    (public,) = KEYS.jwks()["keys"]
    head = b64(b'{"alg":"HS256","typ":"at+jwt"}')
    for secret in (
        ECKey.import_key(public).as_pem(private=False),
        json.dumps(public).encode(),
        public["x"].encode(),
        b"",
    ):
        mac = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
        assert problem(f"{head}.{body}.{b64(mac)}") == "malformed"


def test_no_key_is_taken_from_the_header() -> None:
    mine = ECKey.generate_key("P-256")
    claims = json.dumps(payload(tokens().issue(CALLER))).encode()
    for extra in (
        {"jwk": mine.as_dict(private=False)},
        {"kid": "../../etc/passwd"},
        {"jku": "https://attacker.example/keys"},
    ):
        header = {"alg": "ES256", "typ": "at+jwt", **extra}
        forged = jws.serialize_compact(header, claims, mine, ["ES256"])
        assert problem(forged) in ("forged", "malformed")


def test_another_kind_of_jwt_with_our_key_is_no_access_token() -> None:
    claims = json.dumps(payload(tokens().issue(CALLER))).encode()
    for typ in ("JWT", "secevent+jwt"):
        other = jws.serialize_compact({"alg": "ES256", "typ": typ}, claims, KEYS.signing, ["ES256"])
        assert problem(other) == "malformed"


@pytest.mark.parametrize(
    "body",
    [b"[]", b"1", b"{}", b"{", b"[" * 3000, b'{"iss":"https://pater.example"}',
     b'{"iss":"https://pater.example","aud":"https://pater.example/fhir","exp":"x","nbf":0}',
     b'{"iss":"https://pater.example","aud":"https://pater.example/fhir","exp":9e99,"nbf":0,'
     b'"extensions":[]}'],
)  # fmt: skip
def test_claims_of_another_shape_are_malformed_even_when_signed(body: bytes) -> None:
    header = {"alg": "ES256", "typ": "at+jwt"}
    assert problem(jws.serialize_compact(header, body, KEYS.signing, ["ES256"])) == "malformed"


def test_a_huge_token_is_refused_unread() -> None:
    assert problem("a" * 10_000_000) == "malformed"


@given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_-]{0,40}(\.[A-Za-z0-9_-]{0,40}){0,4}"))
def test_no_text_breaks_the_verifier(text: str) -> None:
    assert problem(text) in ("malformed", "forged")
