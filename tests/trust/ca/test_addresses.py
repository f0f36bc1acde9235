"""The public addresses: what `openssl ocsp` and others get there, whatever they send."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from asn1crypto import ocsp as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pater.trust.ca.ocsp import MOST, RefusedError, read
from tests.trust.ca.conftest import OPERATOR, Pki, certificate
from tests.trust.ca.keys import openssl


async def ask(
    pki: Pki, *names: str, words: tuple[str, ...] = ("-nonce",), get: bool = False
) -> str:
    """What `openssl ocsp` says of certificate files after it has checked the answer.

    The last of `words` is about the nonce, which is in the question when that is read again.
    """
    issuing, root = await pki.chain_files()
    question, answer = pki.files / "question.der", pki.files / "answer.der"
    which = [word for name in names for word in ("-cert", str(pki.files / name))]
    openssl("ocsp", "-issuer", issuing, *words, *which, "-reqout", question)
    if get:
        path = quote(base64.b64encode(question.read_bytes()).decode(), safe="")
        reply = await pki.http.get(f"/pki/ocsp/{path}")
    else:
        reply = await pki.http.post(
            "/pki/ocsp",
            content=question.read_bytes(),
            headers={"content-type": "application/ocsp-request"},
        )
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/ocsp-response"
    answer.write_bytes(reply.content)
    at = str(int(pki.clock().timestamp()))
    return openssl(
        "ocsp", "-issuer", issuing, *words[:-1], "-no_nonce", *which,
        "-reqin", question, "-respin", answer, "-CAfile", root,
        "-attime", at, "-validity_period", str(10**9),
    )  # fmt: skip


@pytest.mark.parametrize("get", [False, True], ids=["POST", "GET"])
@pytest.mark.parametrize("digest", ["-sha1", "-sha256"])
async def test_openssl_learns_how_a_certificate_stands(pki: Pki, get: bool, digest: str) -> None:
    kept = await pki.system()
    pki.pem("one.pem", kept)
    said = await ask(pki, "one.pem", words=(digest, "-nonce"), get=get)
    assert "Response verify OK" in said
    assert "one.pem: good" in said
    assert "Nonce" not in said
    await pki.authority.revoke(OPERATOR, kept.serial, "cessationOfOperation")
    said = await ask(pki, "one.pem", words=(digest, "-no_nonce"), get=get)
    assert "Response verify OK" in said
    assert "one.pem: revoked" in said
    assert "cessationOfOperation" in said


async def test_several_certificates_are_asked_about_at_once(pki: Pki) -> None:
    good, gone = await pki.system(), await pki.system()
    await pki.authority.revoke(OPERATOR, gone.serial, "unspecified")
    pki.pem("good.pem", good)
    pki.pem("gone.pem", gone)
    said = await ask(pki, "good.pem", "gone.pem")
    assert "good.pem: good" in said
    assert "gone.pem: revoked" in said


async def test_what_nobody_issued_and_what_others_issued_is_unknown(pki: Pki) -> None:
    kept = await pki.system()
    issuing, root = await pki.authority.chain()
    for subject, issuer in ((1, issuing), (int(kept.serial, 16), root), (1 << 159, issuing)):
        builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
            *_hashes(issuer), subject, hashes.SHA256()
        )
        found = await _answered(pki, builder.build().public_bytes(Encoding.DER))
        assert found.certificate_status is ocsp.OCSPCertStatus.UNKNOWN
        assert found.serial_number == subject


async def test_an_order_that_is_not_signed_yet_is_unknown(pki: Pki) -> None:
    kept = await pki.system()
    await pki.db.execute("update ca_certificate set state = 'InProgress'")
    issuing, _ = await pki.authority.chain()
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate(kept), issuing, hashes.SHA1())
    found = await _answered(pki, builder.build().public_bytes(Encoding.DER))
    assert found.certificate_status is ocsp.OCSPCertStatus.UNKNOWN


async def test_the_nonce_comes_back_and_only_answers_without_one_are_kept(pki: Pki) -> None:
    question, _ = await _question(pki, b"\x01" * 128)
    reply = await pki.http.post("/pki/ocsp", content=question)
    found = ocsp.load_der_ocsp_response(reply.content)
    nonce = found.extensions.get_extension_for_class(x509.OCSPNonce)
    assert nonce.value.nonce == b"\x01" * 128
    assert reply.headers["cache-control"] == "no-store"
    plain, _ = await _question(pki, None)
    path = base64.b64encode(plain).decode()
    cached = await pki.http.get(f"/pki/ocsp/{quote(path, safe='')}")
    assert "public, max-age=300" in cached.headers["cache-control"]
    assert (await pki.http.get(f"/pki/ocsp/{path}")).status_code == 200  # slashes as they are


async def test_an_answer_says_until_when_it_holds_and_who_signed_it(pki: Pki) -> None:
    question, _ = await _question(pki, None)
    found = await _answered(pki, question)
    now = pki.clock()
    assert found.this_update_utc == now
    assert found.next_update_utc is not None
    assert found.next_update_utc > now
    (signer,) = found.certificates
    issuing, _ = await pki.authority.chain()
    signer.verify_directly_issued_by(issuing)
    of = signer.extensions.get_extension_for_class
    assert list(of(x509.ExtendedKeyUsage).value) == [x509.OID_OCSP_SIGNING]
    assert of(x509.OCSPNoCheck)


async def test_what_is_no_question_is_called_so(pki: Pki) -> None:
    question, _ = await _question(pki, None)
    long_nonce, _ = await _question(pki, b"\x01" * 129)
    many = asn1.OCSPRequest.load(question)
    one = many["tbs_request"]["request_list"][0]
    many["tbs_request"]["request_list"] = [one.copy() for _ in range(MOST + 1)]
    for data in (b"", b"hello", b"0" * 100_000, question + b"x", long_nonce, many.dump(True)):
        reply = await pki.http.post("/pki/ocsp", content=data)
        assert reply.status_code == 200
        assert _status(reply) is ocsp.OCSPResponseStatus.MALFORMED_REQUEST
    for path in ("%00", "a", "=", "áé", "A" * 60_000):
        assert _status(await pki.http.get(f"/pki/ocsp/{path}")) is (
            ocsp.OCSPResponseStatus.MALFORMED_REQUEST
        )
    assert (await pki.http.get("/pki/ocsp")).status_code == 405


async def test_before_there_is_an_authority_nothing_is_found_and_nothing_made(pki: Pki) -> None:
    for name in ("root.cer", "issuing.cer", "chain.pem", "root.crl", "issuing.crl"):
        assert (await pki.http.get(f"/pki/{name}")).status_code == 404
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        b"0" * 32, b"0" * 32, 1, hashes.SHA256()
    )
    reply = await pki.http.post("/pki/ocsp", content=builder.build().public_bytes(Encoding.DER))
    assert _status(reply) is ocsp.OCSPResponseStatus.UNAUTHORIZED
    assert not pki.folder.exists()


async def test_certificates_and_lists_are_fetched_from_where_certificates_say(pki: Pki) -> None:
    kept = await pki.system()
    issuing, root = await pki.authority.chain()
    reply = await pki.http.get(str(_addresses(certificate(kept))[0]))
    assert reply.headers["content-type"] == "application/pkix-cert"
    assert x509.load_der_x509_certificate(reply.content) == issuing
    assert (await pki.http.get("/pki/root.cer")).content == root.public_bytes(Encoding.DER)
    chain = await pki.http.get("/pki/chain.pem")
    assert x509.load_pem_x509_certificates(chain.content) == [issuing, root]
    for made, by in ((certificate(kept), issuing), (issuing, root)):
        crl = await pki.http.get(_addresses(made)[1])
        assert crl.headers["content-type"] == "application/pkix-crl"
        found = x509.load_der_x509_crl(crl.content)
        assert found.issuer == by.subject
        assert found.is_signature_valid(by.public_key())  # type: ignore[arg-type]


async def test_a_list_is_sent_again_only_when_it_is_another(pki: Pki) -> None:
    kept = await pki.system()
    first = await pki.http.get("/pki/issuing.crl")
    same = {"If-None-Match": first.headers["etag"]}
    assert (await pki.http.get("/pki/issuing.crl", headers=same)).status_code == 304
    await pki.again().revoke(OPERATOR, kept.serial, "superseded")  # in another process
    other = await pki.http.get("/pki/issuing.crl", headers=same)
    assert other.status_code == 200
    assert len(x509.load_der_x509_crl(other.content)) == 1
    pki.clock.move(days=2)
    newer = await pki.http.get("/pki/issuing.crl")
    assert newer.headers["etag"] not in (first.headers["etag"], other.headers["etag"])


async def test_the_responder_goes_on_when_its_certificate_was_renewed(pki: Pki) -> None:
    pki.pem("one.pem", await pki.system())
    for _ in range(3):
        assert "one.pem: good" in await ask(pki, "one.pem")
        pki.clock.move(days=25)


async def test_without_its_key_the_authority_says_so_and_serves_what_it_signed(pki: Pki) -> None:
    question, _ = await _question(pki, None)
    crl = await pki.http.get("/pki/issuing.crl")
    (pki.folder / "issuing.key").unlink()
    pki.clock.move(days=1)
    await pki.authority.keep_up()
    assert (await pki.http.get("/pki/issuing.crl")).content == crl.content
    reply = await pki.http.post("/pki/ocsp", content=question)
    assert _status(reply) is ocsp.OCSPResponseStatus.TRY_LATER


def _hashes(issuer: x509.Certificate) -> tuple[bytes, bytes]:
    """Name and key hash of an issuer by SHA-256."""
    made = ocsp.OCSPRequestBuilder().add_certificate(issuer, issuer, hashes.SHA256()).build()
    return made.issuer_name_hash, made.issuer_key_hash


def _addresses(made: x509.Certificate) -> tuple[str, str]:
    """Where the issuer and the list of a certificate are, without the host."""
    of = made.extensions.get_extension_for_class
    access = of(x509.AuthorityInformationAccess).value
    (issuers,) = [
        one.access_location.value
        for one in access
        if one.access_method == x509.AuthorityInformationAccessOID.CA_ISSUERS
    ]
    names = of(x509.CRLDistributionPoints).value[0].full_name
    assert names
    return issuers, str(names[0].value)


async def _question(pki: Pki, nonce: bytes | None) -> tuple[bytes, x509.Certificate]:
    made = certificate(await pki.system())
    issuing, _ = await pki.authority.chain()
    builder = ocsp.OCSPRequestBuilder().add_certificate(made, issuing, hashes.SHA1())
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), False)
    return builder.build().public_bytes(Encoding.DER), made


async def _answered(pki: Pki, question: bytes) -> Any:
    reply = await pki.http.post("/pki/ocsp", content=question)
    found = ocsp.load_der_ocsp_response(reply.content)
    assert found.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    return found


def _status(reply: httpx.Response) -> ocsp.OCSPResponseStatus:
    return ocsp.load_der_ocsp_response(reply.content).response_status


_builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
    b"n" * 20, b"k" * 20, 0x1234567890, hashes.SHA1()
)
_SAMPLE = _builder.add_extension(x509.OCSPNonce(b"nonce"), False).build().public_bytes(Encoding.DER)


@given(
    data=st.binary(max_size=300)
    | st.tuples(st.integers(0, len(_SAMPLE) - 1), st.binary(max_size=6), st.integers(0, 6)).map(
        lambda cut: _SAMPLE[: cut[0]] + cut[1] + _SAMPLE[cut[0] + cut[2] :]
    )
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_are_a_question_or_refused(data: bytes) -> None:
    try:
        found = read(data)
    except RefusedError:
        return
    assert 0 < len(found.asked) <= MOST
    assert all(isinstance(one.serial, int) for one in found.asked)
