"""The entrances beside the FHIR dispatcher: uploads, tokens, pages, websockets; good requests."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx
from hypothesis import strategies as st

from tests.fuzz.odd import spoiled_bytes, spoiled_pairs, texts
from tests.fuzz.recipes import OBSERVATION, PATIENT
from tests.fuzz.seeds import OWN
from tests.system.running import Running

FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
NDJSON: Final = {"content-type": "application/fhir+ndjson"}
TIME_STAMP: Final = {"content-type": "application/timestamp-query"}
ASSERTION: Final = (
    "eyJhbGciOiJFUzM4NCIsImtpZCI6ImEiLCJ0eXAiOiJKV1QifQ."
    "eyJpc3MiOiJhIiwic3ViIjoiYSIsImF1ZCI6Imh0dHA6Ly9hL29hdXRoL3Rva2VuIiwiZXhwIjoxLCJqdGkiOiIxIn0."
    "AAAA"
)
LINES: Final = b"\n".join(json.dumps(each).encode() for each in (PATIENT, OBSERVATION, PATIENT))


@dataclass(frozen=True)
class Entrance:
    """A good request: `raw` or a form of `pairs` (with a GET: the query)."""

    method: str
    path: str
    pairs: tuple[tuple[str, str], ...] = ()
    raw: bytes = b""
    kind: Mapping[str, str] | None = None


def _page(path: str, **pairs: str) -> Entrance:
    return Entrance("GET", path, tuple(pairs.items()))


def _form(path: str, **pairs: str) -> Entrance:
    return Entrance("POST", path, tuple(pairs.items()))


AUTHORIZATION: Final = {
    "response_type": "code", "client_id": "demo-app", "redirect_uri": "http://127.0.0.1/demo-app",
    "scope": "openid launch/patient patient/*.rs", "state": "s", "nonce": "n",
    "aud": "http://127.0.0.1/fhir", "code_challenge": "c" * 43, "code_challenge_method": "S256",
    "prompt": "login", "max_age": "60", "launch": "x",
}  # fmt: skip
SIMULATED: Final = {
    "response_type": "code", "client_id": "pater", "redirect_uri": "http://127.0.0.1/login/from/x",
    "scope": "openid", "state": "s", "nonce": "n", "code_challenge": "c" * 43,
    "code_challenge_method": "S256",
}  # fmt: skip
ENTRANCES: Final = (
    Entrance("POST", "/fhir/$import", (), LINES, NDJSON),
    Entrance("POST", "/fhir/$import?mode=trust", (), LINES, NDJSON),
    _page("/fhir/bulk/00000000-0000-4000-8000-000000000000"),
    _page("/fhir/bulk/00000000-0000-4000-8000-000000000000/Patient.ndjson"),
    _page("/fhir/async/00000000-0000-4000-8000-000000000000"),
    _form("/oauth/token", grant_type="client_credentials", scope="system/*.rs",
          client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
          client_assertion=ASSERTION, purpose_of_use="TREAT"),
    _page("/.well-known/smart-configuration"), _page("/.well-known/jwks.json"),
    _page("/.well-known/openid-configuration"), _page("/oauth/userinfo"),
    _form("/oauth/token", grant_type="authorization_code", client_id="demo-app", code="x",
          redirect_uri="http://127.0.0.1/demo-app", code_verifier="v" * 43),
    _form("/oauth/token", grant_type="refresh_token", client_id="demo-app", refresh_token="x",
          scope="patient/*.rs"),
    _form("/oauth/token", grant_type="client_credentials", client_id="hospital-a",
          scope="system/*.rs"),
    _form("/oauth/introspect", token=ASSERTION, client_id="demo-app"),
    _form("/oauth/revoke", token="x", client_id="demo-app"),
    _page("/oauth/authorize", **AUTHORIZATION), _form("/oauth/authorize", **AUTHORIZATION),
    _page("/oauth/consent", ask="x"),
    _form("/oauth/consent", asked="x.1.y", answer="allow", csrf="{csrf}", **{"line-0": "1"}),
    _form("/oauth/consent", asked="x.1.y", answer="pick", kind="rid", value="1", csrf="{csrf}"),
    _page("/apps"), _form("/apps/end", grant="x", csrf="{csrf}"),
    _form("/apps/launch", app="demo-app", csrf="{csrf}"),
    _page("/login/with/simulated", next="/patient"), _page("/logout/done", issuer="simulated"),
    _page("/login/from/simulated", code="x", state="y", iss="http://127.0.0.1"),
    _form("/login/as", proved="x.1.y", account="patient", csrf="{csrf}"),
    _page("/simulator/identity/.well-known/openid-configuration"),
    _page("/simulator/identity/authorize", **SIMULATED),
    _form("/simulator/identity/authorize", person="jana", level="x", csrf="{csrf}", **SIMULATED),
    _form("/simulator/identity/token", grant_type="authorization_code", code="x",
          client_id="pater", client_secret="simulated-secret"),
    _page("/simulator/identity/userinfo"),
    _page("/simulator/identity/logout", post_logout_redirect_uri="http://127.0.0.1/"),
    Entrance("POST", "/pki/ocsp", (), OWN["ocsp"][0], {"content-type": "application/ocsp-request"}),
    _page("/pki/ocsp/MEIwQDA%2BMDwwOjAJBgUrDgMCGgU="), _page("/pki/issuing.crl"),
    _page("/health/ready"), _page("/static/site.css"), _page("/"), _page("/robots.txt"),
    _page("/language", lang="en", next="/patient"), _page("/login", next="/professional"),
    _form("/login", login="clinician-b", password="x", next="/professional", csrf="x"),
    _form("/login/code", code="123456", csrf="x"), _form("/logout", csrf="x"),
    _page("/professional", purpose="TREAT"), _page("/professional/patient", page="2", type="x"),
    _form("/professional", family="Nováková", born="1980-02-01", purpose="TREAT", csrf="{csrf}"),
    _form("/professional", identifier="7503150001", purpose="ETREAT", csrf="{csrf}"),
    _form("/professional/open", patient="fuzz", purpose="TREAT", csrf="{csrf}"),
    _page("/professional/arrivals", since="2026-01-01"), _page("/professional/documents/fuzz"),
    _page("/professional/documents/fuzz/json"), _page("/professional/documents/fuzz/pdf"),
    _page("/professional/documents/fuzz/original/0"), _page("/patient", page="2", before="1"),
    _page("/patient/documents/fuzz"), _page("/patient/access", before="2026-01-01", page="1"),
    _page("/patient/access/fuzz"), _page("/patient/access/fuzz/proof"),
    _page("/patient/access", provider="x", kind="read", emergency="1", since="2026-01-01"),
    _page("/patient/access/export", format="csv", provider="x", until="2026-01-01"),
    _form("/patient/access/00000000-0000-4000-8000-000000000000/dispute",
          text="Nikdy jsem tam nebyla.", csrf="{csrf}"),
    _page("/privacy/disputes", taken="1"),
    _form("/privacy/disputes/00000000-0000-4000-8000-000000000000",
          answer="Vyšetření bylo objednané.", verdict="justified", csrf="{csrf}"),
    _page("/audit/log/proof", entry="00000000-0000-4000-8000-000000000000", size="1"),
    _page("/audit/log/head", number="1"), _page("/audit/log/heads", after="0"),
    _page("/audit/log/consistency", first="1", second="2"), _page("/tsa/certificate"),
    Entrance("POST", "/tsa", (), b"0\x03\x02\x01\x01", TIME_STAMP),
)  # fmt: skip
FRAMES: Final = (
    b"bind fuzz", b"bind-with-token " + ASSERTION.encode(), b"bind-with-token", b"bind", b"ping",
    b'{"bind": "fuzz"}', b"bind fuzz fuzz", b"unbind fuzz", b"",
)  # fmt: skip
_HEADERS: Final = ("cookie", "accept-language", "content-type", "content-encoding", "referer",
                   "sec-fetch-site", "accept", "host", "range", "if-none-match",
                   "authorization", "client-cert")  # fmt: skip


def fault(status: int, body: bytes) -> str | None:
    """What is wrong with an answer of any of these; None = nothing."""
    if status >= 500:
        return f"status {status}"
    return "a refusal without a reason" if status >= 400 and not body else None


@st.composite
def asked(draw: Any) -> tuple[str, str, bytes | None, dict[str, str]]:
    """Method, address, body and headers of a request that is no longer quite good."""
    entrance = draw(st.sampled_from(ENTRANCES))
    pairs = draw(spoiled_pairs(entrance.pairs))
    path, body, headers = entrance.path, None, dict(entrance.kind or FORM)
    if entrance.raw:
        body = draw(spoiled_bytes((entrance.raw,)))
    elif entrance.method == "POST":
        body = urlencode([(n, v.encode("utf-8", "replace")) for n, v in pairs]).encode()
        if draw(st.integers(0, 9)) == 0:
            body = draw(spoiled_bytes((body,)))
    elif pairs:
        path += "?" + urlencode([(n, v.encode("utf-8", "replace")) for n, v in pairs])
    how = draw(st.integers(0, 9))
    if how == 0:
        segments = path.split("/")
        at = draw(st.integers(1, len(segments) - 1))
        segments[at] = quote(draw(texts).encode("utf-8", "replace"), safe="$")
        path = "/".join(segments)
    elif how in (1, 2):
        headers[draw(st.sampled_from(_HEADERS))] = draw(texts | st.sampled_from(("gzip", "a=b")))
    method = entrance.method
    if how == 3:
        method = draw(st.sampled_from(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")))
        body = None if method in ("GET", "HEAD") else body
    return method, path, body, headers


def logged_in(running: Running, login: str) -> tuple[httpx.Client, Callable[[], str]]:
    """A visitor of the pages after both steps of the login, and what proves its forms."""
    client = httpx.Client(base_url=running.url, timeout=60)

    def proof(path: str) -> str:
        found = re.search(r'name="csrf"[^>]*value="([^"]*)"', client.get(path).text)
        return found[1] if found else ""

    fields = {"login": login, "password": f"demo-{login}-heslo", "csrf": proof("/login")}
    answer = client.post("/login", data=fields)
    assert answer.status_code == 303, answer.text
    fields = {"code": running.command("totp", login), "csrf": proof("/login/code")}
    answer = client.post("/login/code", data=fields)
    assert answer.status_code == 303, answer.text
    return client, lambda: proof(answer.headers["location"])
