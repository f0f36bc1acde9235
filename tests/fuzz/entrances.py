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
from tests.waiting import PATIENCE

FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
JOSE: Final = {"content-type": "application/jose+json"}
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
_UUID: Final = "00000000-0000-4000-8000-000000000000"
_SERIAL: Final = "4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c"
_JSON: Final = {"content-type": "application/json"}
_RIGHTS: Final = {
    "idSluzbyEZ": "read", "idTypuDokumentace": "11502-2", "opravnujiciOsoba.role": "Pacient",
    "opravnujiciOsoba.hodnota": "2066425387", "opravnenaOsoba.role": "PZS",
    "opravnenaOsoba.hodnota": "12345679",
}  # fmt: skip
_SEALED: Final[tuple[tuple[str, Any], ...]] = (
    ("create", {"format": "jades", "level": "B", "packaging": "enveloping",
                "content": [{"name": "a", "mime": "text/plain", "data": "YQ=="}]}),
    ("create", {"items": [{"format": "cades", "level": "T", "packaging": "detached", "content": [
        {"sha256": "ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs="}], "options": {}}]}),
    ("validate", {"seal": "eyJhIjoxfQ==", "content": [{"data": "YQ=="}]}),
    ("extend", {"seal": "MAA=", "level": "LTA", "content": [{"data": "YQ=="}]}),
    ("stamp", {"sha256": "ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs="}),
)  # fmt: skip
_REGISTERS: Final[Mapping[str, Any]] = {
    "/krpzs/api/v2/Poskytovatel/hledat/ico": {"ico": "12345679"},
    "/krpzs/api/v2/Poskytovatel/hledat/nazev": {"nazev": "nemocnice"},
    "/krpzs/api/v2/Poskytovatel/hledat/misto": {"obec": "Brno", "ulice": "a", "oborPece": "b"},
    "/krpzs/api/v2/Poskytovatel/reklamuj/udaj": {
        "zaznamId": "place-1", "typ": "Location", "udaj": "nazev", "popis": "Jiný název"},
    "/krzp/api/v2/pracovnik/hledat/krzpid": {"krzpid": "100000017"},
    "/krzp/api/v2/pracovnik/hledat/jmenoPrijmeniDatumNarozeni": {
        "jmeno": "Alena", "prijmeni": "Horáková", "datumNarozeni": "1975-03-02"},
    "/krzp/api/v2/pracovnik/hledat/zamestnavatel": {"ico": "12345679"},
    "/krzp/api/v2/pracovnik/reklamuj/udaj": {
        "zaznamId": "krzp-100000017", "udaj": "zpusobilost", "popis": "Chybí atestace"},
    "/krpzs/api/v2/Poskytovatel/nastavit/urlpronotifikace": {
        "url": "https://e.example/hook", "hlavicka": "Authorization: Bearer a"},
    "/krzp/api/v2/pracovnik/nastavit/urlpronotifikace": {"zrusit": True},
}  # fmt: skip
_NUMBER: Final = {"mistniId": {"system": "https://b.example/mrn", "hodnota": "1"}}
_PERSON: Final = {"jmeno": "Eva", "prijmeni": "Nováková", "datumNarozeni": "1980-02-01",
                  "pohlavi": "Z", "doklady": [{"druh": "P", "cislo": "39812345"}],
                  "adresy": [{"ulice": "Dlouhá", "obec": "Brno"}]}  # fmt: skip
_RID: Final = {"rid": "2066425387"}
_PATIENTS: Final[Mapping[str, Any]] = {
    "hledat/rid": _RID, "hledat/univerzalni": {**_PERSON, **_RID},
    "hledat/jmenoPrijmeniRodneCislo": {**_PERSON, "rodneCislo": "8052011234"},
    "hledat/jmenoPrijmeniDatumNarozeni": _PERSON,
    "hledat/doklad": {"doklad": {"druh": "ID", "cislo": "123456789", "stat": "CZE"}},
    "hledat/cizinecCisloPojistence": {"cisloPojistence": "8052011234"},
    "historie/pojisteni": _RID, "historie/registrujiciPoskytovatel": _RID,
    "zalozit": {**_NUMBER, "pacient": _PERSON}, "zmenit": {**_NUMBER, "pacient": _PERSON},
    "docasnyRid": {**_NUMBER, "pacient": {"pohlavi": "M"}},
    "sloucit": {**_RID, "druhyRid": "1000000090", "duvod": "a"},
    "rozdelit": {**_RID, "duvod": "a"},
    "reklamuj/udaj": {**_RID, "udaj": "adresy", "popis": "a"},
    "nastavit/urlpronotifikace": {"url": "https://e.example/hook", "rid": ["2066425387"]},
    "hromadne/ztotozneni": {"osoby": [{"zaznamId": "1", "ucel": "LECBA", **_PERSON}, {}]},
}  # fmt: skip
_REQUEST: Final = {"datum": "2026-01-01T08:00:00Z", "ucel": "LECBA", "zadostId": _UUID}
_PERIOD: Final = {"since": "2026-01-01", "until": "2030-01-01", "key": _UUID, "csrf": "{csrf}"}
PAGES: Final = (
    _page("/opravneni/over", **_RIGHTS), _page("/Opravneni/Over", **_RIGHTS),
    *(Entrance("POST", f"/seal/{act}", (), json.dumps(body).encode(), _JSON)
      for act, body in _SEALED),
    *(Entrance("POST", path, (), json.dumps(
        {"zadostInfo": _REQUEST, "zadostData": data}).encode(), _JSON)
      for path, data in _REGISTERS.items()),
    *(Entrance("POST", f"/krp/api/v2/pacient/{path}", (), json.dumps(
        {"zadostInfo": _REQUEST, "zadostData": data}).encode(), _JSON)
      for path, data in _PATIENTS.items()),
    _page(f"/krp/api/v2/pacient/hromadne/{_UUID}"),
    _page(f"/krp/api/v2/pacient/hromadne/{_UUID}/vysledek"),
    _page("/krp/api/v2/x"), _page("/krpzs/api/v2/x"), _page("/krzp/api/v2/x"),
    Entrance("DELETE", f"/krp/api/v2/pacient/hromadne/{_UUID}"),
    _page(f"/seal/jobs/{_UUID}"), _page("/seal/openapi.json"),
    *(Entrance("POST", f"/acme/{path}", (), OWN["acme"][0], JOSE)
      for path in ("account/x", "account/x/orders", "certificate/x", "key-change", "order/x",
                   "proof/x")),
    _page("/directory", q="nemocnice", place="Brno", page="2"), _page("/directory/place/place-1"),
    _page("/directory/professional/krzp-100000017"), _page("/directory/own", done="1"),
    _page("/directory/own/Location/place-1"),
    _form("/directory/own/Location/place-1", element="address", claim="jinde", csrf="{csrf}"),
    _page("/registry/providers", view="decided", after=f"2026-01-01T00:00:00Z~{_UUID}"),
    _page(f"/registry/providers/{_UUID}"),
    _form(f"/registry/providers/{_UUID}", state="refused", answer="ne", csrf="{csrf}"),
    _page("/.well-known/oauth-authorization-server"), _page("/simulator/identity/jwks"),
    _page("/fhir/.well-known/smart-configuration"), _page("/audit/log/keys"),
    _form("/oauth/userinfo", access_token=ASSERTION), _page("/demo-app", code="x", state="s", iss="http://127.0.0.1"),
    *(_page(f"/pki/{name}") for name in ("chain.pem", "issuing.cer", "root.cer", "root.crl")),
    Entrance("DELETE", f"/fhir/bulk/{_UUID}"),
    _page("/account"), _form("/account/sessions", id="x", others="1", csrf="{csrf}"),
    _page("/account/passkeys/new"), _page("/account/passkeys/x"),
    _form("/account/passkeys/new", name="n", challenge="x.1.y", credential="{}", csrf="{csrf}"),
    _form("/account/passkeys/x", name="n", csrf="{csrf}"), _page("/account/app"),
    _form("/account/app", secret="x.1.y", code="123456", csrf="{csrf}"), _page("/account/codes"),
    _form("/account/codes", csrf="{csrf}"), _page("/account/password"),
    _form("/account/password", old="x", new="four words are better", again="four", csrf="{csrf}"),
    _page("/login/code"), _page("/login/again", next="/account"),
    _form("/login/again", code="123456", next="/account", csrf="{csrf}"),
    _form("/login/again/passkey", challenge="x.1.y", credential="{}", next="/", csrf="{csrf}"),
    _form("/login/passkey", challenge="x.1.y", credential='{"id":"a","response":{}}', csrf="x"),
    _page("/certificates", before=f"2026-01-01T00:00:00+00:00~{_SERIAL}"),
    _form("/certificates/contact", email="a@example.cz", csrf="{csrf}"),
    _page("/certificates/new/system"), _page(f"/certificates/{_SERIAL}"),
    _form("/certificates/new/system", name="IS", request="-----BEGIN CERTIFICATE REQUEST-----\n"
          "MAA=\n-----END CERTIFICATE REQUEST-----", csrf="{csrf}"),
    _form("/certificates/new/person", krzp="100000017", given="A", family="B", request="x",
          csrf="{csrf}"),
    _page(f"/certificates/{_SERIAL}/file", form="pem"), _page(f"/certificates/{_SERIAL}/renew"),
    _form(f"/certificates/{_SERIAL}/renew", request="x", csrf="{csrf}"),
    _page(f"/certificates/{_SERIAL}/revoke"), _page("/certificates/servers"),
    _form(f"/certificates/{_SERIAL}/revoke", reason="keyCompromise", csrf="{csrf}"),
    _page("/certificates/servers/new"), _page("/certificates/servers/x/end"),
    _form("/certificates/servers/new", hosts="is.example.cz", csrf="{csrf}"),
    _form("/certificates/servers/x/end", csrf="{csrf}"),
    _page("/patient/will"), _page("/patient/will/history"),
    _page("/patient/will/new", document="x"),
    _form("/patient/will/new", topic="category", effect="deny", category="laboratory-report",
          document="x", who="provider", typed="12345679", step="save", **_PERIOD),
    _form("/patient/will/end", consent="x", id="x", csrf="{csrf}"), _page("/patient/notices"),
    _page("/patient/proxies"), _form("/patient/proxies", rid="2066425387", family="N",
                                     born="1980-02-01", **_PERIOD),
    *(_form(f"/patient/proxies/{act}", id=_UUID, csrf="{csrf}") for act in ("act", "end", "open")),
    _page("/patient/directives"), _page("/patient/directives/x/paper"),
    _form("/patient/directives", title="Přání", text="Bez resuscitace.", **_PERIOD),
    *(_page(f"/patient/documents/fuzz/{way}") for way in ("json", "pdf", "original/0")),
    _page("/professional/emergency", patient="fuzz"),
    _page("/patient/register", attribute="name"), _page("/professional/register/fuzz"),
    *(_form(f"/{way}", attribute="birthDate", text="O den dříve", csrf="{csrf}")
      for way in ("patient/register", "professional/register/fuzz")),
    _page("/registry"), _form("/registry", number="2066425387", family="Nová", given="Eva",
                              born="1980-02-01", postcode="70200", csrf="{csrf}"),
    _page("/registry/persons/fuzz", valid="2020-01-01", known="2021-01-01"),
    _page("/registry/cases", view="decided", reason="possible", score="weak", age="day",
          source="documents", taken="mine",
          after="2026-01-01T00:00:00+00:00~1"), _page("/registry/cases", after="1.5~1"),
    _page("/registry/cases/1", candidate="1", done="1"), _page("/registry/statistics", days="7"),
    _form("/registry/cases/1", version="1", other="1", decision="match", note="n", until="7",
          csrf="{csrf}"), _form("/registry/cases/1/undo", version="1", csrf="{csrf}"),
    _page("/registry/disputes", after=_UUID), _page(f"/registry/disputes/{_UUID}"),
    _form(f"/registry/disputes/{_UUID}", version="1", state="kept", answer="ano", csrf="{csrf}"),
    _page("/mandates", after="x", done="made"),
    _form("/mandates", rid="2066425387", family="Nováková", born="1980-02-01", key=_UUID,
          reference="PM 1", until="2030-01-01", csrf="{csrf}", **{"s-submit": "1"}),
    _form("/mandates/end", id="here:x", csrf="{csrf}"),
    *(_page(f"/registry/persons/fuzz/{act}")
      for act in ("merge", "split", "cancel", "representatives")),
    _form("/registry/persons/fuzz/representatives", kind="parent", rid="2066425387",
          born="1980-02-01", proof="RL 1/2020", since="2026-01-01", until="", csrf="{csrf}"),
    _form("/registry/persons/fuzz/representatives/end", id=_UUID, csrf="{csrf}"),
    _form("/registry/persons/fuzz/merge", other="2066425387", step="do", kind="merge",
          survivor="fuzz", version="1", versions="1", reason="omyl", csrf="{csrf}"),
    *(_form(f"/registry/persons/fuzz/{act}", step="do", reason="omyl", csrf="{csrf}")
      for act in ("split", "cancel")),
    _page(f"/registry/acts/{_UUID}/undo"), _form(f"/registry/acts/{_UUID}/undo", csrf="{csrf}"),
    _form("/professional/emergency", patient="fuzz", step="open", hours="4", csrf="{csrf}",
          reason="unconscious, allergies needed"),
    _page("/privacy", taken="1", before="x"), _page(f"/privacy/accesses/{_UUID}"),
    _form(f"/privacy/accesses/{_UUID}", verdict="justified", note="ok", csrf="{csrf}"),
    _form(f"/privacy/accesses/{_UUID}/undo", csrf="{csrf}"),
)  # fmt: skip
"""What people, providers and their systems fill in; the tests see that every route stands here."""
ENTRANCES: Final = (
    *PAGES,
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
    _page("/basic-registers"), _page("/simulator/registers"),
    _form("/simulator/registers", rob="ok", died="x", renamed="x", ended="x", csrf="{csrf}"),
    _page("/simulator/registers/rob/changes", after="1", count="10"),
    _page("/simulator/registers/reza/mandates", after="1", count="10"),
    _page("/simulator/registers/ros/changes", after="1", count="10"),
    _page("/simulator/registers/ruian/addresses/1"),
    _page("/simulator/registers/ros/businesses/27000010"),
    *(Entrance("POST", f"/simulator/registers/rob/{each}", (),
               b'{"pseudonym": "x", "family": "x", "document": {"type": "idcard"}}', _JSON)
      for each in ("find", "read")),
    _page("/simulator/identity/logout", post_logout_redirect_uri="http://127.0.0.1/"),
    Entrance("POST", "/pki/ocsp", (), OWN["ocsp"][0], {"content-type": "application/ocsp-request"}),
    _page("/pki/ocsp/MEIwQDA%2BMDwwOjAJBgUrDgMCGgU="), _page("/pki/issuing.crl"),
    *(Entrance("POST", f"/acme/{path}", (), OWN["acme"][0], JOSE)
      for path in ("account", "order", "order/x/finalize", "proof/x/http-01", "revoke")),
    _page("/acme/directory"), _page("/acme/nonce"),
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
    client = httpx.Client(base_url=running.url, timeout=PATIENCE)

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
