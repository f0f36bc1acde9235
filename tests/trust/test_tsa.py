"""The time-stamp authority, judged by the openssl command and by our own verification."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from pater.trust.keys import KeysError
from pater.trust.tsa import self_made
from pater.trust.tsa.authority import LONGEST_REQUEST, Authority, RefusalError, Response, key_signer
from pater.trust.tsa.client import QUERY, REPLY, own, remote
from pater.trust.tsa.http import routes
from pater.trust.tsa.verifying import StampError, token_of, verify

NOW = datetime(2026, 11, 23, 8, 30, 15, tzinfo=UTC)
DIGEST = sha256(b"what is stamped").digest()


def clock() -> datetime:
    return NOW


PEM = self_made.new(NOW)
AUTHORITY = self_made.read(PEM, clock)
ROOT = AUTHORITY.signer.chain[-1]


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)


def request(**changes: object) -> bytes:
    imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": DIGEST}
    fields = {"version": "v1", "message_imprint": imprint, "cert_req": True, **changes}
    return bytes(tsp.TimeStampReq(fields).dump())


def rsa_authority(usage: list[x509.ObjectIdentifier], critical: bool = True) -> Authority:
    """An authority with an RSA key under itself, as another product would make one."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Another authority")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage(usage), critical=critical)
        .sign(key, hashes.SHA256())
    )
    return Authority(key_signer(key, certificate), "1.2.3", clock)


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("extra", [[], ["-cert"], ["-cert", "-no_nonce"]])
def test_openssl_accepts_our_stamps(tmp_path: Path, algorithm: str, extra: list[str]) -> None:
    data, query, reply = (tmp_path / name for name in ("data", "query", "reply"))
    data.write_bytes(b"a document")
    root, own_certificate = tmp_path / "root.pem", tmp_path / "tsa.pem"
    root.write_bytes(ROOT.public_bytes(Encoding.PEM))
    own_certificate.write_bytes(AUTHORITY.signer.certificate.public_bytes(Encoding.PEM))
    made = openssl("ts", "-query", "-data", data, f"-{algorithm}", *extra, "-out", query)
    assert made.returncode == 0, made.stderr
    reply.write_bytes(AUTHORITY.answer(query.read_bytes()))
    how = ["-CAfile", root, "-untrusted", own_certificate, "-attime", str(int(NOW.timestamp()))]
    good = openssl("ts", "-verify", "-queryfile", query, "-in", reply, *how)
    assert good.returncode == 0, good.stderr
    text = openssl("ts", "-reply", "-in", reply, "-text").stdout
    assert "Nov 23 08:30:15 2026 GMT" in text
    assert "Accuracy: 0x01 seconds" in text
    data.write_bytes(b"another document")
    bad = openssl("ts", "-verify", "-data", data, "-in", reply, *how)
    assert bad.returncode != 0


def test_openssl_accepts_a_stamp_of_an_rsa_key(tmp_path: Path) -> None:
    authority = rsa_authority([ExtendedKeyUsageOID.TIME_STAMPING])
    reply, root = tmp_path / "reply", tmp_path / "root.pem"
    reply.write_bytes(authority.answer(request()))
    root.write_bytes(authority.signer.certificate.public_bytes(Encoding.PEM))
    good = openssl(
        "ts", "-verify", "-digest", DIGEST.hex(), "-in", reply, "-CAfile", root,
        "-attime", str(int(NOW.timestamp())),
    )  # fmt: skip
    assert good.returncode == 0, good.stderr
    token = token_of(reply.read_bytes())
    assert verify(token, DIGEST, [authority.signer.certificate]).policy == "1.2.3"


def test_we_accept_a_stamp_of_openssl(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
        "-subj", "/CN=TSA of openssl", "-days", "2",
        "-addext", "extendedKeyUsage=critical,timeStamping",
        "-addext", "basicConstraints=critical,CA:true",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    (tmp_path / "serial").write_text("01")
    (tmp_path / "tsa.cnf").write_text(
        f"[tsa]\nserial = {tmp_path}/serial\ncrypto_device = builtin\nsigner_cert = {certificate}\n"
        f"signer_key = {key}\nsigner_digest = sha256\ndefault_policy = 1.2.3.4\n"
        "digests = sha256\nordering = no\ness_cert_id_alg = sha256\n"
    )
    query, reply = tmp_path / "query", tmp_path / "reply"
    query.write_bytes(request(nonce=77))
    done = openssl(
        "ts", "-reply", "-config", tmp_path / "tsa.cnf", "-section", "tsa",
        "-queryfile", query, "-out", reply,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    roots = [x509.load_pem_x509_certificate(certificate.read_bytes())]
    token = token_of(reply.read_bytes())
    stamp = verify(token, DIGEST, roots, nonce=77)
    assert (stamp.policy, stamp.serial) == ("1.2.3.4", 2)
    with pytest.raises(StampError, match="another request"):
        verify(token, DIGEST, roots, nonce=78)


def test_serial_numbers_differ_and_the_nonce_comes_back() -> None:
    tokens = [token_of(AUTHORITY.answer(request(nonce=n))) for n in range(20)]
    stamps = [verify(token, DIGEST, [ROOT], nonce=n) for n, token in enumerate(tokens)]
    assert len({stamp.serial for stamp in stamps}) == 20
    assert {stamp.time for stamp in stamps} == {NOW}


@pytest.mark.parametrize(
    ("sent", "failure"),
    [
        (b"", "bad_data_format"),
        (b"\x30\x03\x02\x01\x01", "bad_data_format"),
        (request() + b"\x00", "bad_data_format"),
        (b"\x30" * (LONGEST_REQUEST + 1), "bad_data_format"),
        (request(req_policy="1.2.3.4"), "unaccepted_policy"),
        (request(nonce=-1), "bad_request"),
        (request(nonce=1 << 3000), "bad_request"),
        (
            request(
                message_imprint={
                    "hash_algorithm": {"algorithm": "sha1"},
                    "hashed_message": bytes(20),
                }
            ),
            "bad_alg",
        ),
        (
            request(
                message_imprint={
                    "hash_algorithm": {"algorithm": "sha256"},
                    "hashed_message": bytes(20),
                }
            ),
            "bad_data_format",
        ),
        (
            request(
                extensions=[
                    {"extn_id": "1.2.3", "critical": True, "extn_value": b"\x05\x00"}
                ]
            ),
            "unaccepted_extensions",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_stamped_is_refused_with_the_reason(sent: bytes, failure: str) -> None:
    answer = AUTHORITY.answer(sent)
    status = Response.load(answer)["status"].native
    assert (status["status"], status["fail_info"]) == ("rejection", {failure})
    with pytest.raises(StampError, match="refused"):
        token_of(answer)


@given(st.binary(max_size=120) | st.tuples(st.integers(0, 60), st.integers(0, 255)))
def test_any_request_gets_an_answer(change: bytes | tuple[int, int]) -> None:
    if isinstance(change, tuple):
        whole = bytearray(request(nonce=5))
        whole[change[0] % len(whole)] = change[1]
        change = bytes(whole)
    assert Response.load(AUTHORITY.answer(change))["status"]["status"].native in (
        "granted", "rejection",
    )  # fmt: skip


TOKEN = AUTHORITY.stamp(DIGEST)


@given(st.integers(0, len(TOKEN) - 1), st.integers(1, 255))
def test_a_token_with_any_byte_changed_is_refused_or_says_the_same(place: int, change: int) -> None:
    changed = bytearray(TOKEN)
    changed[place] ^= change
    try:
        stamp = verify(bytes(changed), DIGEST, [ROOT])
    except StampError:
        return
    # some bytes carry nothing that is signed or used (the root that goes along)
    assert stamp == verify(TOKEN, DIGEST, [ROOT])


def test_a_stamp_is_believed_under_a_known_root_only() -> None:
    assert verify(TOKEN, DIGEST, [ROOT]).time == NOW
    with pytest.raises(StampError, match="over something else"):
        verify(TOKEN, sha256(b"other").digest(), [ROOT])
    other = self_made.read(self_made.new(NOW), clock)
    with pytest.raises(StampError, match="not known"):
        verify(TOKEN, DIGEST, [other.signer.chain[-1]])
    late = Authority(AUTHORITY.signer, "1.2.3", lambda: NOW + timedelta(days=4000))
    with pytest.raises(StampError, match="not valid at its time"):
        verify(late.stamp(DIGEST), DIGEST, [ROOT])
    for usage, critical in (
        ([ExtendedKeyUsageOID.CLIENT_AUTH], True),
        ([ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CLIENT_AUTH], True),
        ([ExtendedKeyUsageOID.TIME_STAMPING], False),
    ):
        wrong = rsa_authority(usage, critical)
        with pytest.raises(StampError, match="for time stamps alone"):
            verify(wrong.stamp(DIGEST), DIGEST, [wrong.signer.certificate])
    swapped = key_signer(ec.generate_private_key(ec.SECP256R1()), AUTHORITY.signer.certificate)
    forged = Authority(swapped, "1.2.3", clock).stamp(DIGEST)
    with pytest.raises(StampError, match="signature"):
        verify(forged, DIGEST, [ROOT])
    bare = AUTHORITY.answer(request(cert_req=False))
    with pytest.raises(StampError, match="does not hold the certificate"):
        verify(token_of(bare), DIGEST, [ROOT])


def test_the_authority_of_a_folder_stays_the_same(tmp_path: Path) -> None:
    first = self_made.self_made(tmp_path, clock)
    again = self_made.self_made(tmp_path, clock)
    assert first.signer.certificate == again.signer.certificate
    assert (tmp_path / self_made.FILE).stat().st_mode & 0o777 == 0o600
    (tmp_path / self_made.FILE).write_bytes(b"not a key")
    with pytest.raises(KeysError, match="damaged"):
        self_made.self_made(tmp_path, clock)


async def test_the_client_asks_any_authority_and_believes_a_good_stamp_only() -> None:
    app = Starlette(routes=routes(AUTHORITY))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as http:
        token = await remote("http://tsa.test/tsa", [ROOT], http)(DIGEST)
        assert verify(token, DIGEST, [ROOT]).time == NOW
        other = self_made.read(self_made.new(NOW), clock).signer.chain[-1]
        with pytest.raises(StampError, match="not known"):
            await remote("http://tsa.test/tsa", [other], http)(DIGEST)
        with pytest.raises(StampError, match="405"):
            await remote("http://tsa.test/tsa/certificate", [ROOT], http)(DIGEST)
    assert verify(await own(AUTHORITY)(DIGEST), DIGEST, [ROOT]).time == NOW
    with pytest.raises(RefusalError):
        AUTHORITY.stamp(b"too short")


async def test_the_address_of_the_authority() -> None:
    app = Starlette(routes=routes(AUTHORITY))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://tsa.test") as http:
        kind = {"content-type": QUERY}
        good = await http.post("/tsa", content=request(), headers=kind)
        assert (good.status_code, good.headers["content-type"]) == (200, REPLY)
        broken = await http.post("/tsa", content=b"x", headers=kind)
        assert (broken.status_code, broken.headers["content-type"]) == (200, REPLY)
        assert (await http.post("/tsa", content=request())).status_code == 415
        long = await http.post("/tsa", content=bytes(LONGEST_REQUEST + 1), headers=kind)
        assert long.status_code == 413
        root = (await http.get("/tsa/certificate")).content
        assert x509.load_pem_x509_certificate(root) == ROOT
