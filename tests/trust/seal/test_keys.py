"""Seal keys in files, in a PKCS #11 token, at a remote provider, and of our own authority."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from asn1crypto import algos
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from pater.store.database import Database
from pater.trust import ca
from pater.trust.seal import choosing, families, keys
from pater.trust.seal.model import (
    Algorithm,
    Content,
    Format,
    Level,
    Order,
    Packaging,
    Rules,
    SealError,
    SealKey,
)
from pater.trust.seal.own import Own
from tests.trust.seal.ground import DAY, START, Clock, Ground, Issued, pdf

ORDER = Order(Format.CADES, Level.B, Packaging.ATTACHED, (Content(b"a report"),))


async def seals(key: SealKey, ground: Ground) -> None:
    """The key makes seals that are good."""
    for order in (ORDER, replace(ORDER, format=Format.PADES, packaging=Packaging.ENVELOPED,
                                 content=(Content(pdf()),))):  # fmt: skip
        made = await families.create(order, replace(ground.tools(), key=key))
        report = await families.validate(made, ground.rules())
        assert report.passed, report.as_dict()


def kinds() -> list[ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]:
    return [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
    ]


def pem(leaf: Issued, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption) + b"".join(
        one.public_bytes(Encoding.PEM) for one in (*leaf.chain, leaf.certificate)
    )


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("kind", range(3))
async def test_pem_and_pkcs12(kind: int, tmp_path: Path) -> None:
    ground = Ground()
    leaf = ground.leaf("Filed", key=kinds()[kind])
    await seals(keys.of_file(written(tmp_path / "plain.pem", pem(leaf))), ground)
    locked = written(tmp_path / "locked.pem", pem(leaf, b"secret"))
    await seals(keys.of_file(locked, b"secret"), ground)
    p12 = pkcs12.serialize_key_and_certificates(
        b"seal", leaf.key, leaf.certificate, leaf.chain, BestAvailableEncryption(b"secret")
    )
    path = written(tmp_path / "seal.p12", p12)
    await seals(keys.of_file(path, b"secret"), ground)
    for wrong in (b"other", None):
        for file in (path, locked):
            with pytest.raises(SealError) as refused:
                keys.of_file(file, wrong)
            assert "secret" not in refused.value.text.en


def test_files_that_are_refused(tmp_path: Path) -> None:
    ground = Ground()
    leaf, other = ground.leaf("One"), ground.leaf("Other")
    not_its_own = pem(Issued(other.certificate, leaf.key, other.issuer))
    short = ground.leaf("Short", key=rsa.generate_private_key(65537, 1024))
    for data in (not_its_own, pem(short), b"", b"nothing", leaf.der):
        with pytest.raises(SealError):
            keys.of_file(written(tmp_path / "key", data))
    open_to_all = written(tmp_path / "open.pem", pem(leaf))
    open_to_all.chmod(0o644)
    with pytest.raises(SealError, match="chmod 600"):
        keys.of_file(open_to_all)
    with pytest.raises(SealError):
        keys.of_file(tmp_path / "missing.pem")


def test_a_password_comes_from_a_file(tmp_path: Path) -> None:
    file = written(tmp_path / "password", b"secret\n")
    assert choosing.password_of("", str(file)) == "secret"
    assert choosing.password_of("said", str(file)) == "said"
    with pytest.raises(SealError):
        choosing.password_of("", str(tmp_path / "missing"))


# PKCS #11 ---------------------------------------------------------------------------------------

PLACES = (
    os.environ.get("PATER_SOFTHSM", ""),
    ".tools/softhsm/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/softhsm/libsofthsm2.so",
)


@dataclass
class Token:
    module: str
    pin_file: Path

    def uri(self, label: str) -> str:
        return (
            f"pkcs11:token=pater;object={label}"
            f"?module-path={self.module}&pin-source=file:{self.pin_file}"
        )


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Token]:
    """A token of SoftHSM in a folder of its own."""
    module = next((str(Path(one).absolute()) for one in PLACES if one and Path(one).exists()), None)
    if module is None:
        pytest.skip("SoftHSM is not here: tools/softhsm.sh unpacks it")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    config = folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(config)
    root = Path(module).parents[3]
    util = root / "usr/bin/softhsm2-util" if (root / "usr/bin/softhsm2-util").exists() else None
    command = str(util or "softhsm2-util")
    done = subprocess.run(
        [command, "--module", module, "--init-token", "--free", "--label", "pater",
         "--pin", "1234", "--so-pin", "4321"], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pin = folder / "pin"
    pin.write_text("1234\n")
    yield Token(module, pin)
    del os.environ["SOFTHSM2_CONF"]


def put(token: Token, label: str, leaf: Issued) -> None:
    """Writes a key and its certificates into the token, as an operator does with a tool."""
    import pkcs11
    from pkcs11.util.ec import decode_ec_private_key
    from pkcs11.util.rsa import decode_rsa_private_key
    from pkcs11.util.x509 import decode_x509_certificate

    der = leaf.key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    decode = decode_rsa_private_key if isinstance(leaf.key, rsa.RSAPrivateKey) else None
    attributes = decode(der) if decode else decode_ec_private_key(der)
    found = pkcs11.lib(token.module).get_token(token_label="pater")
    try:
        session = found.open(rw=True, user_pin="1234")
    except pkcs11.exceptions.UserAlreadyLoggedIn:  # a key of another test is still in use
        session = found.open(rw=True)
    with session:
        stored = {pkcs11.Attribute.TOKEN: True}
        session.create_object(
            {**attributes, **stored, pkcs11.Attribute.LABEL: label, pkcs11.Attribute.SIGN: True,
             pkcs11.Attribute.SENSITIVE: True}
        )  # fmt: skip
        for name, one in ((label, leaf.certificate), ("issuing", leaf.chain[0])):
            session.create_object(
                {**decode_x509_certificate(one.public_bytes(Encoding.DER)), **stored,
                 pkcs11.Attribute.LABEL: name}
            )  # fmt: skip


@pytest.mark.parametrize("kind", range(3))
async def test_a_key_in_a_token(kind: int, token: Token) -> None:
    ground = Ground()
    leaf = ground.leaf("In a token", key=kinds()[kind])
    put(token, f"seal-{kind}", leaf)
    key = await choosing.key_of(token.uri(f"seal-{kind}"), "", None, None)  # type: ignore[arg-type]
    assert key.certificate == leaf.der
    await seals(key, ground)
    again = await choosing.key_of(token.uri(f"seal-{kind}"), "1234", None, None)  # type: ignore[arg-type]
    await seals(again, ground)  # while the first still holds its session
    if kind == 2:
        await seals(replace(again, algorithm=Algorithm.PSS_SHA256), ground)  # type: ignore[type-var]


async def test_keys_in_tokens_that_are_refused(token: Token) -> None:
    for uri in (
        token.uri("nobody"),
        token.uri("seal-0").replace("token=pater", "token=another"),
        "pkcs11:token=pater;object=seal-0",
        "pkcs11:token=pater;object=x;pin-value=1234?module-path=/x.so",
        "pkcs11:object=x?module-path=/nowhere.so",
    ):
        with pytest.raises(SealError) as refused:
            await choosing.key_of(uri, "", None, None)  # type: ignore[arg-type]
        assert "1234" not in refused.value.text.en


# a remote provider ------------------------------------------------------------------------------


class Simulator:
    """A provider of remote signatures (CSC API v2), as far as a service needs it."""

    def __init__(self, leaf: Issued) -> None:
        self.leaf, self.mode, self.seen, self.breaks = leaf, "implicit", [], ""
        paths = {
            "oauth2/token": self.token, "credentials/info": self.info,
            "credentials/authorize": self.authorize, "signatures/signHash": self.sign,
        }  # fmt: skip
        app = Starlette(
            routes=[Route(f"/csc/v2/{path}", one, methods=["POST"]) for path, one in paths.items()]
        )
        self.transport = httpx.ASGITransport(app)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self.transport)

    async def token(self, request: Request) -> JSONResponse:
        form = await request.form()
        if (form["client_id"], form["client_secret"]) != ("pater", "s3cret"):
            return JSONResponse({"error": "invalid_client"}, 401)
        return JSONResponse({"access_token": "bearer", "token_type": "Bearer", "expires_in": 60})

    async def body(self, request: Request) -> Any:
        assert request.headers["authorization"] == "Bearer bearer"
        found = await request.json()
        self.seen.append(found)
        assert found["credentialID"] == "cred 1"
        return found

    async def info(self, request: Request) -> JSONResponse:
        await self.body(request)
        ders = [self.leaf.der, *(one.public_bytes(Encoding.DER) for one in self.leaf.chain)]
        algo = {
            True: ["1.2.840.113549.1.1.1"],
            False: ["1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3"],
        }[isinstance(self.leaf.key, rsa.RSAPrivateKey)]
        return JSONResponse(
            {
                "key": {"status": "enabled", "algo": algo, "len": 2048},
                "cert": {"certificates": [base64.b64encode(one).decode() for one in ders]},
                "auth": {"mode": self.mode},
            }
        )

    async def authorize(self, request: Request) -> JSONResponse:
        found = await self.body(request)
        return JSONResponse({"SAD": "sad-of-" + found["hashes"][0]})

    async def sign(self, request: Request) -> JSONResponse:
        found = await self.body(request)
        assert found["SAD"] == "sad-of-" + found["hashes"][0]
        digest = base64.b64decode(found["hashes"][0])
        name = algos.DigestAlgorithmId(found["hashAlgorithmOID"]).native
        prehashed = Prehashed(getattr(hashes, name.upper())())
        if isinstance(self.leaf.key, rsa.RSAPrivateKey):
            value = self.leaf.key.sign(digest, padding.PKCS1v15(), prehashed)
        else:
            value = self.leaf.key.sign(digest, ec.ECDSA(prehashed))
        if self.breaks:
            return JSONResponse({"signatures": [self.breaks]})
        return JSONResponse({"signatures": [base64.b64encode(value).decode()]})


@pytest.mark.parametrize("kind", range(3))
async def test_a_key_at_a_remote_provider(kind: int) -> None:
    ground = Ground()
    provider = Simulator(ground.leaf("Remote", key=kinds()[kind]))
    address = "csc+https://provider.test/csc/v2#cred 1"
    key = await choosing.key_of(address, "pater:s3cret", None, provider.client)  # type: ignore[arg-type]
    await seals(key, ground)
    assert "a report" not in str(provider.seen)  # only hashes leave the house
    provider.breaks = "not Base64!"
    with pytest.raises(SealError):
        await key.sign(b"data", key.algorithm)


async def test_providers_that_are_refused() -> None:
    ground = Ground()
    provider = Simulator(ground.seal)
    address = "csc+https://provider.test/csc/v2#cred 1"

    async def refused(address: str, password: str) -> None:
        with pytest.raises(SealError) as error:
            await choosing.key_of(address, password, None, provider.client)  # type: ignore[arg-type]
        assert "s3cret" not in error.value.text.en

    await refused(address, "pater:wrong")
    await refused(address, "pater")
    await refused("csc+https://provider.test/csc/v2", "pater:s3cret")
    await refused("csc+https://provider.test/other#cred 1", "pater:s3cret")
    provider.mode = "oauth2code"  # a person must confirm
    await refused(address, "pater:s3cret")


# our own authority ------------------------------------------------------------------------------


async def test_the_key_of_our_own_authority(database: Database, tmp_path: Path) -> None:
    clock = Clock(START)
    authority = ca.Authority(
        database, ca.FileSigners(tmp_path / "ca"), "https://pater.example", clock
    )
    own = Own(authority, clock)
    assert await own.anchors() == ()
    key = await choosing.key_of("", "", own, None)  # type: ignore[arg-type]
    made = await families.create(
        replace(ORDER, level=Level.LTA),
        replace(Ground(clock).tools(), key=key, stamper=own, rules=await rules(own, clock)),
    )
    report = await families.validate(made, await rules(own, clock))
    assert (report.passed, report.signatures[0].level) == (True, Level.LTA)
    assert "Páteř" in report.signatures[0].subject
    assert (await own.key()).certificate == key.certificate
    operator = ca.ITSELF
    serial = (await ca.tables.listing(database, holder="service:Páteř pečeť", count=1))[0].serial
    clock.forward(DAY)
    await authority.revoke(operator, serial, "superseded")
    assert (await families.validate(made, await rules(own, clock))).passed
    unstamped = await families.create(ORDER, replace(Ground(clock).tools(), key=key))
    report = await families.validate(unstamped, await rules(own, clock))
    assert report.sub == "REVOKED_NO_POE"
    assert (await own.key()).certificate != key.certificate


async def rules(own: Own, clock: Clock) -> Rules:
    return Rules(at=clock(), anchors=await own.anchors(), evidence=own)


def test_a_signature_is_over_the_data_that_was_given() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    value = keys.sign_with(key, b"data", Algorithm.ECDSA_SHA256)
    digest = hashlib.sha256(b"data").digest()
    key.public_key().verify(value, digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    with pytest.raises(SealError):
        keys.sign_with(key, b"data", Algorithm.RSA_SHA256)
