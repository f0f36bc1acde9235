"""Questions and answers about certificates (OCSP, RFC 6960): bytes in, bytes out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from asn1crypto import core
from asn1crypto import ocsp as asn1
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from pater.trust.ca.certificates import der
from pater.trust.ca.signer import Signer
from pater.trust.ca.tables import Status

LONGEST: Final = 16_384  # bytes of a question
MOST: Final = 20  # certificates asked about at once
_LONGEST_NONCE: Final = 128  # RFC 9654
_DIGESTS: Final = {
    "sha1": hashlib.sha1,
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
    "sha512": hashlib.sha512,
}
# everything that reading foreign ASN.1 has been seen to raise
_UNREADABLE: Final = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip
_REASONS: Final = {
    "keyCompromise": "key_compromise",
    "affiliationChanged": "affiliation_changed",
    "superseded": "superseded",
    "cessationOfOperation": "cessation_of_operation",
    "privilegeWithdrawn": "privilege_withdrawn",
}


class RefusedError(ValueError):
    """A question that gets no answer but a status: malformed_request, unauthorized, try_later."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Asked:
    """One certificate that is asked about: its issuer's hashes and its serial number."""

    algorithm: str
    name_hash: bytes
    key_hash: bytes
    serial: int
    der: bytes  # the CertID as it came


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked. Repeating the nonce shows that the answer is no old one."""

    asked: tuple[Asked, ...]
    nonce: bytes | None


def read(data: bytes) -> Question:
    """The question of an OCSPRequest in DER; a signature on it is not looked at.

    Raises RefusedError.
    """
    if not 0 < len(data) <= LONGEST:
        raise RefusedError("malformed_request")
    try:
        tbs = asn1.OCSPRequest.load(data, strict=True)["tbs_request"]
        if not 0 < len(tbs["request_list"]) <= MOST:
            raise RefusedError("malformed_request")
        asked = tuple(_asked(one["req_cert"]) for one in tbs["request_list"])
        for one in tbs["request_list"]:
            _extensions(one["single_request_extensions"])
        return Question(asked, _extensions(tbs["request_extensions"]))
    except RefusedError:
        raise
    except _UNREADABLE as error:
        raise RefusedError("malformed_request") from error


def _asked(found: asn1.CertId) -> Asked:
    return Asked(
        algorithm=found["hash_algorithm"]["algorithm"].native,
        name_hash=found["issuer_name_hash"].native,
        key_hash=found["issuer_key_hash"].native,
        serial=found["serial_number"].native,
        der=found.dump(),
    )


def _extensions(found: core.SequenceOf) -> bytes | None:
    """The nonce among them. What is critical and not known must not be passed over."""
    nonce = None
    if isinstance(found, core.Void):
        return None
    for one in found:
        if one["extn_id"].native == "nonce":
            nonce = one["extn_value"].parsed.native
            if not isinstance(nonce, bytes) or not 0 < len(nonce) <= _LONGEST_NONCE:
                raise RefusedError("malformed_request")
        elif one["critical"].native:
            raise RefusedError("malformed_request")
    return nonce


@dataclass(frozen=True, slots=True)
class Ours:
    """The hashes by which questions name our issuing authority."""

    hashes: dict[str, tuple[bytes, bytes]]

    @classmethod
    def of(cls, issuer: x509.Certificate) -> Ours:
        parsed = asn1_x509.Certificate.load(der(issuer))
        name = parsed.subject.dump()
        key = bytes(parsed.public_key["public_key"])
        made: dict[str, tuple[bytes, bytes]] = {}
        for algorithm, digest in _DIGESTS.items():
            made[algorithm] = (digest(name).digest(), digest(key).digest())
        return cls(made)

    def names(self, asked: Asked) -> bool:
        """Whether the certificate asked about would be one of ours."""
        return self.hashes.get(asked.algorithm) == (asked.name_hash, asked.key_hash)


def answer(
    question: Question,
    status_of: Callable[[Asked], Status | None],
    signer: Signer,
    certificate: x509.Certificate,
    now: datetime,
    until: datetime,
) -> bytes:
    """The signed answer in DER; `status_of` gives None for a certificate nobody issued."""
    at, holds = now.replace(microsecond=0), until.replace(microsecond=0)
    singles = [
        asn1.SingleResponse(
            {
                "cert_id": asn1.CertId.load(asked.der),
                "cert_status": _status(status_of(asked)),
                "this_update": at,
                "next_update": holds,
            }
        )
        for asked in question.asked
    ]
    by = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    data = {
        "responder_id": asn1.ResponderId(name="by_key", value=core.OctetString(by)),
        "produced_at": at,
        "responses": singles,
    }
    if question.nonce is not None:
        data["response_extensions"] = [
            {"extn_id": "nonce", "critical": False, "extn_value": core.OctetString(question.nonce)}
        ]
    signed = asn1.ResponseData(data)
    kind = "rsa" if isinstance(signer.public_key, rsa.RSAPublicKey) else "ecdsa"
    basic = asn1.BasicOCSPResponse(
        {
            "tbs_response_data": signed,
            "signature_algorithm": {"algorithm": f"{signer.digest.name}_{kind}"},
            "signature": signer.sign(signed.dump()),
            "certs": [asn1_x509.Certificate.load(der(certificate))],
        }
    )
    whole = asn1.OCSPResponse(
        {
            "response_status": "successful",
            "response_bytes": {"response_type": "basic_ocsp_response", "response": basic},
        }
    )
    made: bytes = whole.dump()
    return made


def _status(status: Status | None) -> asn1.CertStatus:
    if status is None:
        return asn1.CertStatus(name="unknown", value=core.Null())
    if status.revoked is None:
        return asn1.CertStatus(name="good", value=core.Null())
    info: dict[str, object] = {"revocation_time": status.revoked.replace(microsecond=0)}
    if status.reason in _REASONS:
        info["revocation_reason"] = _REASONS[status.reason]
    return asn1.CertStatus(name="revoked", value=asn1.RevokedInfo(info))


def refusal(status: str) -> bytes:
    """An answer that is a status only; it is not signed (RFC 6960 2.3)."""
    made: bytes = asn1.OCSPResponse({"response_status": status}).dump()
    return made


def serials(asked: Sequence[Asked]) -> list[int]:
    """The serial numbers that one of ours could have."""
    return [one.serial for one in asked if 0 < one.serial < 1 << 160]
