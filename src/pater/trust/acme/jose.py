"""Reads the signed messages of ACME (flattened JWS, RFC 7515) and the public keys of accounts."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, RSAKey
from joserfc.jws import JWSRegistry

from pater.trust.acme.errors import AcmeError, malformed
from pater.trust.ca import CaError
from pater.trust.ca.requests import check_key, spki_of
from pater.trust.ca.signer import PublicKey

SIGNATURES: Final = ("ES256", "RS256", "ES384")
MACS: Final = ("HS256", "HS384", "HS512")
LONGEST: Final = 65_536  # bytes of one message
_LONGEST_MEMBER: Final = 1024
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*")
_MEMBERS: Final = {"protected", "payload", "signature"}
_CURVES: Final = {"secp256r1": ("P-256", 32, "ES256"), "secp384r1": ("P-384", 48, "ES384")}


@dataclass(frozen=True, slots=True)
class Message:
    """A JWS whose signature nobody has looked at yet."""

    header: Mapping[str, Any]
    payload: bytes
    compact: bytes

    def text(self, name: str) -> str:
        """A member of the header that is a text; "" when it is not there or no text."""
        found = self.header.get(name)
        return found if isinstance(found, str) else ""

    def object(self) -> dict[str, Any]:
        """The payload as a JSON object. Raises AcmeError."""
        return _object(self.payload, "the payload")


@dataclass(frozen=True, slots=True)
class AccountKey:
    """The public key of an account: its JWK in the one form of RFC 7638, and that one's hash."""

    jwk: str
    thumbprint: str
    algorithm: str
    spki: bytes


def decoded(text: object) -> bytes:
    """base64url without padding (RFC 8555, section 6.1). Raises AcmeError."""
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        raise malformed("expected base64url without padding")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def read(data: bytes) -> Message:
    """The message of a request's body. Raises AcmeError."""
    return message_of(_object(data, "the body"))


def message_of(found: object) -> Message:
    """The message of a parsed flattened JWS; whatever else it holds is refused."""
    if not isinstance(found, dict) or found.keys() != _MEMBERS:
        raise malformed("expected a flattened JWS: protected, payload and signature, nothing else")
    parts = [found[name] for name in ("protected", "payload", "signature")]
    header = _object(decoded(parts[0]), "the protected header")
    if "crit" in header or "b64" in header:
        raise malformed("this extension of JWS is not known here")
    decoded(parts[2])
    return Message(header, decoded(parts[1]), ".".join(parts).encode("ascii"))


def account_key(jwk: object) -> AccountKey:
    """The key of a JWK (RFC 7517): EC on P-256 or P-384, or RSA. Raises AcmeError."""
    if not isinstance(jwk, dict) or any(
        isinstance(value, str) and len(value) > _LONGEST_MEMBER for value in jwk.values()
    ):
        raise _bad_key("expected a JWK")
    if "d" in jwk or "k" in jwk:
        raise _bad_key("this holds a secret key: make a new one and send the public part only")
    plain = {name: jwk[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in jwk}
    try:
        key = _imported(plain).public_key
    except (JoseError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, AttributeError) as e:
        raise _bad_key("this is no public key") from e
    return _described(key)


def verify(message: Message, key: AccountKey) -> None:
    """Whether the key signed the message. Raises AcmeError."""
    if message.text("alg") not in SIGNATURES:
        raise AcmeError(
            "badSignatureAlgorithm",
            "messages are signed by ES256, RS256 or ES384",
            more={"algorithms": list(SIGNATURES)},
        )
    members = orjson.loads(key.jwk)
    _verify(message, _imported(members), (key.algorithm,))


def verify_mac(message: Message, secret: bytes) -> None:
    """Whether the message was authenticated by a shared secret. Raises AcmeError."""
    _verify(message, OctKey.import_key(secret), MACS)


def _imported(jwk: dict[str, Any]) -> ECKey | RSAKey:
    if jwk.get("kty") == "EC":
        return ECKey.import_key(jwk)
    if jwk.get("kty") == "RSA":
        return RSAKey.import_key(jwk)
    raise _bad_key("the key is EC (P-256, P-384) or RSA")


def _verify(message: Message, key: RSAKey | ECKey | OctKey, algorithms: Sequence[str]) -> None:
    registry = JWSRegistry(algorithms=algorithms, strict_check_header=False)
    registry.max_header_length = registry.max_payload_length = LONGEST
    try:
        jws.deserialize_compact(message.compact, key, registry=registry)
    except (JoseError, UnsupportedAlgorithm, ValueError, TypeError, KeyError) as error:
        raise malformed("the signature does not hold") from error


def _described(key: object) -> AccountKey:
    checked = _checked(key)
    if isinstance(checked, ec.EllipticCurvePublicKey):
        point = checked.public_numbers()
        name, size, algorithm = _CURVES[checked.curve.name]
        members = {
            "crv": name,
            "kty": "EC",
            "x": encoded(point.x.to_bytes(size, "big")),
            "y": encoded(point.y.to_bytes(size, "big")),
        }
    else:
        numbers = checked.public_numbers()
        algorithm = "RS256"
        members = {"e": _number(numbers.e), "kty": "RSA", "n": _number(numbers.n)}
    jwk = orjson.dumps(members, option=orjson.OPT_SORT_KEYS)
    thumbprint = encoded(hashlib.sha256(jwk).digest())
    return AccountKey(jwk.decode(), thumbprint, algorithm, spki_of(checked))


def _checked(key: object) -> PublicKey:
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return key
    try:
        found = check_key(key)
    except CaError as error:
        raise _bad_key(str(error)) from error
    if isinstance(found, rsa.RSAPublicKey) and found.public_numbers().e.bit_length() > 64:
        raise _bad_key("the exponent of the RSA key is needlessly large")
    return found


def _number(value: int) -> str:
    return encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _bad_key(text: str) -> AcmeError:
    return AcmeError("badPublicKey", text)


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except (ValueError, RecursionError) as error:
        raise malformed(f"{what} is not JSON") from error
    if not isinstance(found, dict):
        raise malformed(f"{what} is no JSON object")
    return found
