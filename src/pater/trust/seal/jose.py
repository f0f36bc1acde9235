"""JSON Web Signatures as seals use them: read strictly, written plainly (RFC 7515, RFC 7797)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import orjson
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from pater.fhir.json import JsonError, parse
from pater.trust.seal.model import LONGEST, MOST_SIGNATURES, Algorithm

ALGORITHMS: Final = MappingProxyType(
    {
        "RS256": Algorithm.RSA_SHA256,
        "RS384": Algorithm.RSA_SHA384,
        "RS512": Algorithm.RSA_SHA512,
        "PS256": Algorithm.PSS_SHA256,
        "PS384": Algorithm.PSS_SHA384,
        "PS512": Algorithm.PSS_SHA512,
        "ES256": Algorithm.ECDSA_SHA256,
        "ES384": Algorithm.ECDSA_SHA384,
        "ES512": Algorithm.ECDSA_SHA512,
    }
)
"""What may sign, by its name in a header (RFC 7518, 3.1). `none` and HMAC are no seals."""
NAMES: Final = MappingProxyType({value: name for name, value in ALGORITHMS.items()})

HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_CURVES: Final = {"ES256": 256, "ES384": 384, "ES512": 521}
_CODED: Final = re.compile(r"[A-Za-z0-9_-]*")
_LONGEST_HEADER: Final = 1024 * 1024
_HEADER_DEPTH: Final = 16
_MEMBERS: Final = frozenset({"payload", "protected", "header", "signature"})


class JoseProblem(ValueError):  # noqa: N818 it is told in a report, not raised to callers
    """What cannot be read as a signature; the text says why, in English."""


@dataclass(frozen=True, slots=True)
class Jws:
    """One signature as it was written. Texts are base64url; `payload` is None when detached.

    `plain` says that the payload stands as it is (b64 = false).
    """

    protected: str
    header: dict[str, Any]
    payload: str | None
    signature: str
    unsigned: tuple[Any, ...] = ()  # the elements of etsiU
    compact: bool = False

    @property
    def plain(self) -> bool:
        """Whether the payload is signed as it is, not as base64url (RFC 7797)."""
        return self.header.get("b64") is False

    @property
    def content(self) -> bytes | None:
        """The attached payload. Raises JoseProblem."""
        if self.payload is None:
            return None
        return self.payload.encode() if self.plain else decoded(self.payload)


def coded(data: bytes) -> str:
    """base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: Any) -> bytes:
    """Bytes of base64url in its one right spelling. Raises JoseProblem."""
    if not isinstance(text, str) or not _CODED.fullmatch(text) or len(text) % 4 == 1:
        raise JoseProblem("a part is not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if coded(data) != text:
        raise JoseProblem("a part is not base64url in its one right spelling")
    return data


def der_of(text: Any) -> bytes:
    """Bytes of plain base64, as certificates and stamps stand in headers. Raises JoseProblem."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise JoseProblem("a certificate, list or stamp is not base64") from error


def read(data: bytes) -> list[Jws]:
    """The signatures of a compact, flattened or general serialization. Raises JoseProblem."""
    if len(data) > LONGEST:
        raise JoseProblem("the signature is too long")
    text = data.strip()
    if not text.startswith(b"{"):
        return [_compact(text)]
    whole = _object(text)
    if "signatures" not in whole:
        if not whole.keys() <= _MEMBERS:
            raise JoseProblem("the signature has members that no JWS has")
        return [_one(whole, whole.get("payload"))]
    signatures = whole["signatures"]
    if not whole.keys() <= {"payload", "signatures"}:
        raise JoseProblem("the signature has members that no JWS has")
    if not isinstance(signatures, list) or not 0 < len(signatures) <= MOST_SIGNATURES:
        raise JoseProblem(f"there are 1 to {MOST_SIGNATURES} signatures in one file")
    for each in signatures:
        if not isinstance(each, dict) or not each.keys() <= _MEMBERS - {"payload"}:
            raise JoseProblem("a signature has members that no JWS has")
    return [_one(each, whole.get("payload")) for each in signatures]


def _object(text: bytes) -> dict[str, Any]:
    try:
        return parse(text, max_depth=_HEADER_DEPTH)
    except JsonError as error:
        raise JoseProblem(f"this is not JSON as it should be: {error.message}") from error


def _compact(text: bytes) -> Jws:
    parts = text.split(b".")
    # a plain payload of a compact serialization has no dot in it (RFC 7797, 5.2)
    if len(parts) != 3 or not text.isascii():
        raise JoseProblem("a compact signature has three parts")
    protected, payload, signature = (part.decode() for part in parts)
    decoded(signature)
    return Jws(protected, _header(protected), payload or None, signature, compact=True)


def _one(each: dict[str, Any], payload: Any) -> Jws:
    if payload is not None and not isinstance(payload, str):
        raise JoseProblem("the payload is not a text")
    protected, header = each.get("protected"), each.get("header", {})
    if not isinstance(header, dict) or not header.keys() <= {"etsiU"}:
        # what nobody signed could lead to another key (TS 119 182-1, 5.3.1: etsiU and no other)
        raise JoseProblem("the unprotected header holds more than etsiU")
    unsigned = header.get("etsiU", [])
    if not isinstance(unsigned, list):
        raise JoseProblem("etsiU is not an array")
    decoded(each.get("signature"))
    return Jws(str(protected), _header(protected), payload, each["signature"], tuple(unsigned))


def _header(text: Any) -> dict[str, Any]:
    if isinstance(text, str) and len(text) > _LONGEST_HEADER:
        raise JoseProblem("the header is too long")
    return _object(decoded(text))


def write(jws: Jws) -> bytes:
    """The compact or the flattened JSON serialization (RFC 7515, 7.1 and 7.2.2)."""
    if jws.compact and not jws.unsigned:
        return f"{jws.protected}.{jws.payload or ''}.{jws.signature}".encode()
    return orjson.dumps({**_shared(jws), **_signature(jws)})


def write_all(signatures: list[Jws]) -> bytes:
    """One or more signatures over one payload; many take the general serialization."""
    if len(signatures) == 1:
        return write(signatures[0])
    return orjson.dumps(
        {**_shared(signatures[0]), "signatures": [_signature(each) for each in signatures]}
    )


def _shared(jws: Jws) -> dict[str, Any]:
    return {} if jws.payload is None else {"payload": jws.payload}


def _signature(jws: Jws) -> dict[str, Any]:
    header = {"header": {"etsiU": list(jws.unsigned)}} if jws.unsigned else {}
    return {"protected": jws.protected, **header, "signature": jws.signature}


def raw_signature(name: str, der: bytes) -> bytes:
    """An ECDSA value as JOSE has it: r and s side by side (RFC 7518, 3.4)."""
    size = (_CURVES[name] + 7) // 8
    return b"".join(number.to_bytes(size, "big") for number in decode_dss_signature(der))


def fits(name: str, certificate: x509.Certificate) -> bool:
    """Whether the key of the certificate can have made a signature of this algorithm."""
    key = certificate.public_key()
    if name in _CURVES:
        return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size == _CURVES[name]
    return name in ALGORITHMS and isinstance(key, rsa.RSAPublicKey)


def same_kind(algorithm: Algorithm, certificate: x509.Certificate) -> bool:
    """Whether the key of the certificate is of the kind that the algorithm is for."""
    key = certificate.public_key()
    return isinstance(
        key, ec.EllipticCurvePublicKey if algorithm.kind == "ecdsa" else rsa.RSAPublicKey
    )


def verified(
    algorithm: Algorithm, certificate: x509.Certificate, signature: bytes, data: bytes
) -> bool:
    """Whether the signature over the data is by the key of the certificate; ECDSA as r and s."""
    key, digest = certificate.public_key(), HASHES[algorithm.hash]
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and algorithm.kind == "ecdsa":
            size = (key.curve.key_size + 7) // 8
            if len(signature) != 2 * size:
                return False
            r, s = (int.from_bytes(part, "big") for part in (signature[:size], signature[size:]))
            key.verify(encode_dss_signature(r, s), data, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey) and algorithm.kind != "ecdsa":
            scheme = (
                padding.PSS(padding.MGF1(digest), digest.digest_size)
                if algorithm.kind == "pss"
                else padding.PKCS1v15()
            )
            key.verify(signature, data, scheme, digest)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True
