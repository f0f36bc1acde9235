"""Systems that come with a certificate: who they are, tokens bound to it, and stolen tokens."""

from __future__ import annotations

import asyncio
import base64
import secrets
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import RSAKey

from pater.access import client_tls, clients, gateway
from pater.access.client_tls import BY_AUTHORITY, BY_FINGERPRINT, thumbprint_of
from pater.access.clients import ClientError
from pater.access.peer import networks, read_header
from pater.access.smart import OAuthError
from pater.app import House, build, now, open_house
from pater.certifying import certification
from pater.serving import _config
from pater.settings import Settings
from pater.store.database import Database
from pater.trust.ca.profiles import Subject
from pater.trust.ca.tables import Operator
from tests.access.test_smart import HOSPITAL, sign

BASE = "http://127.0.0.1:8080"
OPERATOR = Operator("tests", "Tests")
PROXY = "10.1.2.3"
KEY = ec.generate_private_key(ec.SECP256R1())


def request_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.PEM)


def self_signed(days: int = 30, key: ec.EllipticCurvePrivateKey = KEY) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "own")])
    moment = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(secrets.randbits(60) + 1)
        .not_valid_before(moment - timedelta(days=60))
        .not_valid_after(moment + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def shown(certificate: x509.Certificate | bytes | None) -> dict[str, str]:
    """The header that a proxy writes (RFC 9440)."""
    if certificate is None:
        return {}
    raw = certificate if isinstance(certificate, bytes) else der(certificate)
    return {"Client-Cert": f":{base64.b64encode(raw).decode()}:"}


@dataclass
class Desk:
    """A house behind a proxy that ends TLS, and the authority of the house."""

    house: House
    app: Any

    def http(self, source: str = PROXY) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, client=(source, 1))
        return httpx.AsyncClient(transport=transport, base_url=BASE)

    async def issue(self, name: str) -> tuple[str, x509.Certificate]:
        who = Subject(name=name, ico="27520536", organization="Nemocnice")
        return await self.issue_to("system", who)

    async def issue_to(self, profile: str, who: Subject) -> tuple[str, x509.Certificate]:
        authority = certification(self.house.settings, self.house.db, now)
        key = ec.generate_private_key(ec.SECP256R1())
        kept = await authority.issue(OPERATOR, profile, who, request_of(key))
        assert kept.der is not None
        return kept.serial, x509.load_der_x509_certificate(kept.der)

    async def revoke(self, serial: str) -> None:
        authority = certification(self.house.settings, self.house.db, now)
        await authority.revoke(OPERATOR, serial, "cessationOfOperation")

    async def client(self, id: str, certificate: x509.Certificate, method: str) -> None:
        await clients.register(self.house.db, replace(HOSPITAL, id=id), now)
        await client_tls.register(self.house.db, id, pem(certificate), method, now)

    async def token(
        self, id: str, certificate: Any, source: str = PROXY, **changes: str
    ) -> httpx.Response:
        form = {"grant_type": "client_credentials", "client_id": id, "scope": "system/*.rs",
                "purpose_of_use": "TREAT", **changes}  # fmt: skip
        async with self.http(source) as http:
            return await http.post("/oauth/token", data=form, headers=shown(certificate))

    async def read(self, token: str, certificate: Any, source: str = PROXY) -> int:
        headers = {"Authorization": f"Bearer {token}", **shown(certificate)}
        async with self.http(source) as http:
            return (await http.get("/fhir/Organization?_count=1", headers=headers)).status_code


@pytest.fixture(scope="module")
async def desk(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Desk]:
    folder: Path = tmp_path_factory.mktemp("tls")
    settings = Settings(
        data=folder, demo=True, policy="declared", certificate_proxies="10.1.2.0/24"
    )
    async with open_house(settings, module_database.dsn) as house:
        yield Desk(house, build(house))


@pytest.mark.parametrize("method", [BY_AUTHORITY, BY_FINGERPRINT])
async def test_a_certificate_is_enough_and_the_token_is_bound_to_it(
    desk: Desk, method: str
) -> None:
    _, ours = await desk.issue(f"nis-{method[0]}")
    certificate = ours if method == BY_AUTHORITY else self_signed()
    id = f"by-{method}"
    await desk.client(id, certificate, method)
    answer = await desk.token(id, certificate)
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    payload = token.split(".")[1]
    claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["cnf"] == {"x5t#S256": thumbprint_of(der(certificate))}
    assert await desk.read(token, certificate) == 200
    assert await desk.read(token, certificate) == 200
    # stolen: without the certificate, with another one, or from who is no proxy
    _, other = await desk.issue("thief")
    for with_it, source in ((None, PROXY), (other, PROXY), (self_signed(), PROXY),
                            (certificate, "192.0.2.7"), (None, "192.0.2.7")):  # fmt: skip
        assert await desk.read(token, with_it, source) == 401
    told = await desk.house.db.fetchval(
        "select count(*) from journal_entry where agent = $1 and reason = 'token'", id
    )
    assert told == 1


async def test_other_certificates_prove_nobody(desk: Desk) -> None:
    _, certificate = await desk.issue("nis-x")
    await desk.client("nis-x", certificate, BY_AUTHORITY)
    _, other = await desk.issue("somebody")
    jana = Subject(krzp="112345673", given="Jana", family="Dvořáková")
    _, person = await desk.issue_to("person", jana)
    forged = (
        x509.CertificateBuilder()
        .subject_name(certificate.subject)
        .issuer_name(certificate.issuer)
        .public_key(KEY.public_key())
        .serial_number(certificate.serial_number)
        .not_valid_before(certificate.not_valid_before_utc)
        .not_valid_after(certificate.not_valid_after_utc)
        .sign(KEY, hashes.SHA256())
    )
    for wrong in (None, other, person, forged, self_signed(), b"x", b"", b"0" * 40_000):
        answer = await desk.token("nis-x", wrong)
        assert answer.status_code == 401 or wrong is None, wrong
        assert answer.json()["error"] in ("invalid_client", "invalid_request")
    assert (await desk.token("nis-x", certificate, "192.0.2.7")).status_code == 401
    assert (await desk.token("nobody", certificate)).status_code == 401
    assert (await desk.token("nis-x", certificate)).status_code == 200


async def test_a_client_with_a_certificate_gets_no_token_without_it(desk: Desk) -> None:
    """Also when it proves itself by its key as well: what is stolen must not work elsewhere."""
    certificate = self_signed()
    await desk.client("hospital-b", certificate, BY_FINGERPRINT)
    moment = int(now().timestamp())

    def assertion() -> str:
        return sign({
            "iss": "hospital-b", "sub": "hospital-b", "aud": BASE + "/oauth/token",
            "exp": moment + 300, "jti": secrets.token_hex(8),
        })  # fmt: skip

    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    by_key = {"client_assertion_type": kind}
    bare = await desk.token("hospital-b", None, client_assertion=assertion(), **by_key)
    assert bare.status_code == 401
    both = await desk.token("hospital-b", certificate, client_assertion=assertion(), **by_key)
    assert both.status_code == 200
    assert await desk.read(both.json()["access_token"], None) == 401
    await client_tls.remove(desk.house.db, "hospital-b", thumbprint_of(der(certificate)))
    free = await desk.token("hospital-b", None, client_assertion=assertion(), **by_key)
    assert await desk.read(free.json()["access_token"], None) == 200


async def test_a_revoked_certificate_opens_nothing_any_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    serial, certificate = await desk.issue("nis-r")
    await desk.client("nis-r", certificate, BY_AUTHORITY)
    token = (await desk.token("nis-r", certificate)).json()["access_token"]
    assert await desk.read(token, certificate) == 200
    await desk.revoke(serial)
    assert (await desk.token("nis-r", certificate)).status_code == 401
    # what was known of it is forgotten within seconds
    monkeypatch.setattr(client_tls, "FRESH", timedelta(0))
    assert await desk.read(token, certificate) == 401
    # a renewed one of the same subject counts without being written down
    _, renewed = await desk.issue("nis-r")
    again = await desk.token("nis-r", renewed)
    assert again.status_code == 200
    assert await desk.read(again.json()["access_token"], renewed) == 200


async def test_a_fingerprint_that_was_taken_away_ends_its_tokens(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed()
    await desk.client("taken", certificate, BY_FINGERPRINT)
    token = (await desk.token("taken", certificate)).json()["access_token"]
    assert await desk.read(token, certificate) == 200
    assert await client_tls.remove(desk.house.db, "taken", thumbprint_of(der(certificate)))
    monkeypatch.setattr(client_tls, "FRESH", timedelta(0))
    assert await desk.read(token, certificate) == 401


async def test_what_cannot_be_written_down(desk: Desk) -> None:
    db = desk.house.db
    _, certificate = await desk.issue("nis-w")
    await clients.register(db, replace(HOSPITAL, id="w"), now)
    for wrong, method in (
        (b"no", BY_FINGERPRINT),
        (pem(self_signed()), BY_AUTHORITY),
        (pem(self_signed(-1)), BY_FINGERPRINT),
        (pem(certificate), "magic"),
    ):
        with pytest.raises(ClientError):
            await client_tls.register(db, "w", wrong, method, now)
    with pytest.raises(ClientError):
        await client_tls.register(db, "nobody-at-all", pem(certificate), BY_AUTHORITY, now)
    await client_tls.register(db, "w", pem(certificate), BY_AUTHORITY, now)
    await clients.register(db, replace(HOSPITAL, id="w2"), now)
    with pytest.raises(ClientError):
        await client_tls.register(db, "w2", pem(certificate), BY_AUTHORITY, now)


async def test_an_assertion_of_a_certificate_that_the_authority_revoked(desk: Desk) -> None:
    """The gateway's way: the registered certificate was not revoked here, but by its authority."""
    authority = certification(desk.house.settings, desk.house.db, now)
    key = rsa.generate_private_key(65537, 2048)
    who = Subject(name="gateway", ico="27520536", organization="Nemocnice")
    kept = await authority.issue(OPERATOR, "system", who, request_of(key))
    assert kept.der is not None
    certificate = x509.load_der_x509_certificate(kept.der)
    await clients.register(desk.house.db, replace(HOSPITAL, id="by-gateway"), now)
    await gateway.register(desk.house.db, "by-gateway", "cert-1", pem(certificate), now)

    async def come() -> str:
        moment = int(now().timestamp())
        claims = {
            "iss": "by-gateway", "sub": "by-gateway", "aud": BASE, "iat": moment,
            "exp": moment + 60, "jti": secrets.token_hex(8), "purpose_of_use": "TREAT",
        }  # fmt: skip
        header = {"alg": "RS256", "kid": "cert-1"}
        token = jws.serialize_compact(
            header, orjson.dumps(claims), RSAKey.import_key(key), ["RS256"]
        )
        return (await gateway.verify(desk.house.db, token, {BASE}, now)).id

    assert await come() == "by-gateway"
    await desk.revoke(kept.serial)
    with pytest.raises(OAuthError) as caught:
        await come()
    assert "revoked" in caught.value.detail
    # a newer certificate of the same key is in force
    await authority.issue(OPERATOR, "system", who, request_of(key))
    assert await come() == "by-gateway"


async def test_the_documents_say_so(desk: Desk) -> None:
    async with desk.http() as http:
        told = (await http.get("/.well-known/smart-configuration")).json()
    assert told["tls_client_certificate_bound_access_tokens"] is True
    assert {BY_AUTHORITY, BY_FINGERPRINT} <= set(told["token_endpoint_auth_methods_supported"])
    async with desk.http() as http:
        security = (await http.get("/fhir/metadata")).json()["rest"][0]["security"]
    codes = {each["coding"][0]["code"] for each in security["service"]}
    assert codes == {"SMART-on-FHIR", "Certificates"}


def test_a_certificate_of_no_known_version_is_none() -> None:
    odd = der(self_signed()).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09", 1)
    armoured = b"\n".join(
        [b"-----BEGIN CERTIFICATE-----", base64.encodebytes(odd).strip(),
         b"-----END CERTIFICATE-----", b""]
    )  # fmt: skip
    assert client_tls.read(odd) is None
    assert read_header(quote(armoured).encode()) is None


def test_headers_of_proxies_are_read() -> None:
    raw = der(self_signed())
    assert read_header(f":{base64.b64encode(raw).decode()}:".encode()) == raw
    armoured = quote(pem(x509.load_der_x509_certificate(raw)).decode(), safe="")
    assert read_header(armoured.encode()) == raw
    for odd in (b"", b"::", b":x:", b"x", b"-----BEGIN%20CERTIFICATE-----", b":" * 100_000):
        assert read_header(odd) is None


@given(st.binary(max_size=400))
def test_odd_headers_are_no_certificates(data: bytes) -> None:
    for value in (data, b":" + data + b":", b"-----BEGIN%20CERTIFICATE-----" + data):
        found = read_header(value)
        assert found is None or isinstance(found, bytes)
        assert found is None or client_tls.read(found) is None


def test_networks_are_a_list() -> None:
    assert len(networks("10.0.0.0/8, ::1")) == 2 and networks("") == ()
    with pytest.raises(ValueError, match="no"):
        networks("no")


async def test_tls_of_our_own_tells_the_certificate(desk: Desk, tmp_path: Path) -> None:
    """No proxy: the connection itself says who comes."""
    authority = certification(desk.house.settings, desk.house.db, now)
    server_key = ec.generate_private_key(ec.SECP256R1())
    server = await authority.issue(
        OPERATOR, "tls-server", Subject(hosts=("localhost",)),
        request_of(server_key),
    )  # fmt: skip
    client_key = ec.generate_private_key(ec.SECP256R1())
    who = Subject(name="native", ico="27520536", organization="Nemocnice")
    kept = await authority.issue(OPERATOR, "system", who, request_of(client_key))
    assert server.der and kept.der
    chain = await authority.chain()
    certificate = x509.load_der_x509_certificate(kept.der)
    await desk.client("native", certificate, BY_AUTHORITY)
    files = {
        "server.pem": pem(x509.load_der_x509_certificate(server.der)) + pem(chain[0]),
        "server.key": _private(server_key),
        "client.pem": pem(certificate) + pem(chain[0]),
        "client.key": _private(client_key),
        "roots.pem": b"".join(pem(one) for one in chain),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    settings = replace(
        desk.house.settings,
        tls_certificate=str(tmp_path / "server.pem"),
        tls_key=str(tmp_path / "server.key"),
        tls_clients=str(tmp_path / "roots.pem"),
    )
    config = _config(settings, desk.app)
    config.loop = "none"
    running = uvicorn.Server(config)
    serving = asyncio.create_task(running.serve(sockets=[listener]))
    while not running.started:  # noqa: ASYNC110 (uvicorn has no event)
        await asyncio.sleep(0.02)
    url = f"https://localhost:{listener.getsockname()[1]}"
    try:
        trust = ssl.create_default_context(cafile=str(tmp_path / "roots.pem"))
        mutual = ssl.create_default_context(cafile=str(tmp_path / "roots.pem"))
        mutual.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
        form = {"grant_type": "client_credentials", "client_id": "native", "scope": "system/*.rs"}
        async with (
            httpx.AsyncClient(base_url=url, verify=mutual, trust_env=False) as own,
            httpx.AsyncClient(base_url=url, verify=trust, trust_env=False) as thief,
        ):
            given = await own.post("/oauth/token", data=form)
            assert given.status_code == 200, given.text
            bearer = {"Authorization": f"Bearer {given.json()['access_token']}"}
            assert (await own.get("/fhir/Organization", headers=bearer)).status_code == 200
            assert (await thief.get("/fhir/Organization", headers=bearer)).status_code == 401
            # nobody here is a proxy: a header says nothing
            lies = bearer | shown(certificate)
            assert (await thief.get("/fhir/Organization", headers=lies)).status_code == 401
            assert (await thief.post("/oauth/token", data=form)).status_code == 401
    finally:
        running.should_exit = True
        await serving


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
