"""Whether a time-stamp token is good: over these bytes, by an authority under a known root."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from asn1crypto import cms, tsp
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from pater.trust.tsa.authority import Response

LONGEST_TOKEN: Final = 64 * 1024
_MOST_CERTIFICATES: Final = 10
_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


class StampError(Exception):
    """A token, or an answer that should hold one, that is not good; the text says why."""


class OtherError(StampError):
    """A token that is over something else."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a good token says: when, by whom, under which number and policy."""

    time: datetime
    authority: str
    serial: int
    policy: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A token whose signature holds: what it says, and by whom; the chain is not looked at."""

    stamp: Stamp
    certificate: x509.Certificate
    others: tuple[x509.Certificate, ...]


def token_of(response: bytes) -> bytes:
    """The token of a TimeStampResp. Raises StampError with what the authority says instead."""
    if len(response) > LONGEST_TOKEN:
        raise StampError("the answer of the authority is too long")
    try:
        answer = Response.load(response, strict=True)
        status = answer["status"].native
        if status["status"] not in ("granted", "granted_with_mods"):
            words = ", ".join(status["status_string"] or ())
            failure = ", ".join(sorted(status["fail_info"] or ()))
            raise StampError(f"the authority refused: {words or failure or status['status']}")
        return bytes(answer["time_stamp_token"].dump())
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise StampError("the answer of the authority cannot be read") from error


def verify(
    token: bytes,
    digest: bytes,
    roots: Sequence[x509.Certificate],
    *,
    algorithm: str = "sha256",
    nonce: int | None = None,
) -> Stamp:
    """What a token over this digest says. Raises StampError when anything is wrong with it."""
    if len(token) > LONGEST_TOKEN:
        raise StampError("the time stamp is too long")
    opened = open_token(token, lambda name: digest if name == algorithm else None, nonce=nonce)
    with _readable():
        _check_chain(opened.certificate, opened.others, roots, opened.stamp.time)
    return opened.stamp


def open_token(
    token: bytes, digest_of: Callable[[str], bytes | None], *, nonce: int | None = None
) -> Opened:
    """A token over what has this digest (by hash name), signed with the key it names.

    Raises StampError. Whether its authority is to be believed is asked elsewhere.
    """
    if len(token) > LONGEST_TOKEN:
        raise StampError("the time stamp is too long")
    with _readable():
        return _opened(token, digest_of, nonce)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
        raise StampError("the time stamp cannot be read") from error
    except (
        x509.ExtensionNotFound, x509.DuplicateExtension, x509.InvalidVersion,
        UnsupportedAlgorithm, AttributeError, NotImplementedError,
    ) as error:  # fmt: skip
        raise StampError("the certificate of the time stamp cannot be used") from error


def _opened(token: bytes, digest_of: Callable[[str], bytes | None], nonce: int | None) -> Opened:
    content = cms.ContentInfo.load(token, strict=True)
    if content["content_type"].native != "signed_data":
        raise StampError("the time stamp is not signed data")
    signed = content["content"]
    if signed["encap_content_info"]["content_type"].native != "tst_info":
        raise StampError("what is signed is no time stamp")
    raw = bytes(signed["encap_content_info"]["content"])
    info = tsp.TSTInfo.load(raw, strict=True).native
    imprint = info["message_imprint"]
    name = imprint["hash_algorithm"]["algorithm"]
    if name not in _HASHES or digest_of(name) != imprint["hashed_message"]:
        raise OtherError("the time stamp is over something else")
    if nonce is not None and info["nonce"] != nonce:
        raise StampError("the time stamp answers another request")
    if len(signed["signer_infos"]) != 1:
        raise StampError("the time stamp has not exactly one signature")
    signer = signed["signer_infos"][0]
    certificates = _certificates(signed)
    attributes = {one["type"].native: one["values"] for one in signer["signed_attrs"]}
    certificate = _named(attributes, certificates)
    _check_signature(signer, attributes, raw, certificate)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    if list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING] or not usage.critical:
        raise StampError("the certificate is not one for time stamps alone")
    when: datetime = info["gen_time"]
    by = certificate.subject.rfc4514_string()
    stamp = Stamp(when, by, info["serial_number"], info["policy"])
    return Opened(stamp, certificate, tuple(certificates))


def _certificates(signed: cms.SignedData) -> list[x509.Certificate]:
    found = signed["certificates"]
    if found.native is None or not 0 < len(found) <= _MOST_CERTIFICATES:
        raise StampError("the time stamp does not hold the certificate of its authority")
    return [x509.load_der_x509_certificate(one.chosen.dump()) for one in found]


def _named(
    attributes: dict[str, Any], certificates: Sequence[x509.Certificate]
) -> x509.Certificate:
    """The certificate that the signature names by its hash (ESSCertIDv2, else ESSCertID)."""
    if "signing_certificate_v2" in attributes:
        first = attributes["signing_certificate_v2"][0]["certs"][0]
        name = first["hash_algorithm"].native["algorithm"]
        if name not in _HASHES:
            raise StampError(f"the certificate is named by {name}")
    else:
        first, name = attributes["signing_certificate"][0]["certs"][0], "sha1"
    wanted = first["cert_hash"].native
    for one in certificates:
        der = one.public_bytes(Encoding.DER)
        # an older authority names its certificate by SHA-1: a name only, the chain is checked
        if hashlib.new(name, der, usedforsecurity=False).digest() == wanted:
            return one
    raise StampError("the certificate that the time stamp names is not in it")


def _check_signature(
    signer: cms.SignerInfo, attributes: dict[str, Any], raw: bytes, certificate: x509.Certificate
) -> None:
    name = signer["digest_algorithm"]["algorithm"].native
    if name not in _HASHES:
        raise StampError(f"the time stamp is signed with {name}")
    if attributes["content_type"].native != ["tst_info"]:
        raise StampError("the signature is of another kind of content")
    if attributes["message_digest"].native != [hashlib.new(name, raw).digest()]:
        raise StampError("the time stamp was changed after it was signed")
    data = signer["signed_attrs"].untag().dump()
    signature, key = signer["signature"].native, certificate.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), _HASHES[name])
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(_HASHES[name]))
        else:
            raise StampError("the key of the authority is of an unknown kind")
    except InvalidSignature as error:
        raise StampError("the signature of the time stamp is wrong") from error


def _check_chain(
    certificate: x509.Certificate,
    others: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    when: datetime,
) -> None:
    """From the certificate to one of the roots, each valid at the time of the stamp."""
    current = certificate
    for _ in range(_MOST_CERTIFICATES):
        if not current.not_valid_before_utc <= when <= current.not_valid_after_utc:
            raise StampError("a certificate of the time stamp was not valid at its time")
        if current in roots or any(_issued(current, root, when) for root in roots):
            return
        above = next((one for one in others if _issued(current, one, when)), None)
        if above is None or above == current:
            break
        current = above
    raise StampError("the time stamp is by an authority that is not known here")


def _issued(certificate: x509.Certificate, by: x509.Certificate, when: datetime) -> bool:
    try:
        limits = by.extensions.get_extension_for_class(x509.BasicConstraints).value
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return limits.ca and by.not_valid_before_utc <= when <= by.not_valid_after_utc
