"""Reads a JAdES seal: what it is over, what it says, whether hashes and signature agree.

A key comes from a certificate that the signed header holds or names by its hash, never from an
address, a name or a bare key in it; and an algorithm only fits the kind of key it is for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509

from pater.trust.seal.broken import Broken
from pater.trust.seal.jades_making import (
    BY_URI_HASH,
    HASH_NAMES,
    MOST_CONTENTS,
    members,
)
from pater.trust.seal.jose import (
    ALGORITHMS,
    JoseProblem,
    Jws,
    coded,
    decoded,
    der_of,
    fits,
    verified,
)
from pater.trust.seal.model import MOST_CERTIFICATES, Algorithm, Content, Material, Sub

_UNDERSTOOD: Final = frozenset(
    {
        "b64",
        "sigD",
        "sigT",
        "iat",
        "x5t#o",
        "sigX5ts",
        "srCms",
        "sigPl",
        "srAts",
        "sigPId",
        "adoTst",
    }
)
"""What `crit` may ask for (RFC 7515, 4.1.11); the names of RFC 7515 itself never stand there."""
_KEYS: Final = frozenset({"jwk", "jku"})
_BY_NAME: Final = {short: name for name, short in HASH_NAMES.items()}
_STAMPS: Final = {"sigTst": "signature", "arcTst": "archive"}


@dataclass(slots=True)
class Read:
    """One signature that was taken apart."""

    jws: Jws
    algorithm: Algorithm | None = None
    certificates: list[bytes] = field(default_factory=list)
    certificate: bytes = b""
    claimed: datetime | None = None
    covers: list[str] = field(default_factory=list)
    contents: list[Content] = field(default_factory=list)  # in the order of the seal


def taken_apart(found: Read, content: Sequence[Content], pool: Sequence[bytes]) -> None:
    """Checks header, content and signature value; what is known so far stays in `found`.

    `pool` are further certificates among which the named one may be. Raises Broken.
    """
    try:
        _check_header(found.jws.header)
        found.claimed = _claimed(found.jws.header)
        _certificate(found, pool)
        payload = _payload(found, content)
        _check_signature(found, payload)
    except JoseProblem as problem:
        raise Broken(Sub.FORMAT_FAILURE, str(problem)) from problem


def _check_header(header: dict[str, Any]) -> None:
    name = header.get("alg")
    if not isinstance(name, str):
        raise JoseProblem("the header names no algorithm of a signature")
    if name not in ALGORITHMS:
        if name not in ("none", "") and not name.startswith("HS"):
            raise Broken(Sub.CRYPTO_CONSTRAINTS_FAILURE, "the signature algorithm is not safe")
        raise JoseProblem("the header names no algorithm of a signature")
    if _KEYS & header.keys():
        raise JoseProblem("the header brings a bare key; a seal is by a certificate")
    critical = header.get("crit", [])
    if not isinstance(critical, list) or ("crit" in header and not critical):
        raise JoseProblem("crit is not a list of names")
    if not all(isinstance(one, str) for one in critical) or len(set(critical)) != len(critical):
        raise JoseProblem("crit does not hold names, each once")
    if any(one not in header or one not in _UNDERSTOOD for one in critical):
        raise JoseProblem("crit asks for what is not understood here, or is not there")
    if not isinstance(header.get("b64", True), bool):
        raise JoseProblem("b64 is true or false")
    if "b64" in header and "b64" not in critical:
        raise JoseProblem("b64 stands in the header but not in crit")


def _claimed(header: dict[str, Any]) -> datetime | None:
    """The signing time that the signer states: iat, in older seals sigT."""
    seconds, text = header.get("iat"), header.get("sigT")
    try:
        if isinstance(seconds, (int, float)) and not isinstance(seconds, bool):
            return datetime.fromtimestamp(seconds, UTC)
        if isinstance(text, str):
            when = datetime.fromisoformat(text)
            return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise JoseProblem("the signing time cannot be read") from error
    if seconds is not None or text is not None:
        raise JoseProblem("the signing time cannot be read")
    return None


def _certificate(found: Read, pool: Sequence[bytes]) -> None:
    header = found.jws.header
    chain = header.get("x5c", [])
    if not isinstance(chain, list) or len(chain) > MOST_CERTIFICATES:
        raise JoseProblem("x5c is not a list of certificates")
    found.certificates = [der_of(one) for one in chain]
    named = _thumbprints(header)
    if not named and not found.certificates:
        raise Broken(Sub.SIG_CONSTRAINTS_FAILURE, "the signed header names no certificate")
    held = found.certificates[:1] or [one for one in pool if _is(one, named)][:1]
    if not held:
        raise Broken(Sub.NO_SIGNING_CERTIFICATE_FOUND, "the certificate that is named is not there")
    if not _is(held[0], named):
        raise Broken(
            Sub.SIG_CONSTRAINTS_FAILURE, "the header holds another certificate than it names"
        )
    try:
        x509.load_der_x509_certificate(held[0])
    except (ValueError, x509.InvalidVersion) as error:
        raise JoseProblem("the certificate cannot be read") from error
    found.certificate = held[0]


def _thumbprints(header: dict[str, Any]) -> list[tuple[str, bytes]]:
    """The hashes that name the signing certificate: x5t#S256, x5t#o, the first of sigX5ts."""
    named: list[tuple[str, bytes]] = []
    if "x5t#S256" in header:
        named.append(("sha256", decoded(header["x5t#S256"])))
    others = header.get("sigX5ts")
    further = [header["x5t#o"]] if "x5t#o" in header else []
    further += others[:1] if isinstance(others, list) else []
    for one in further:
        name = _BY_NAME.get(str(one.get("digAlg"))) if isinstance(one, dict) else None
        if name is None:
            raise Broken(
                Sub.CRYPTO_CONSTRAINTS_FAILURE, "the certificate is named by an unsafe hash"
            )
        named.append((name, decoded(one.get("digVal"))))
    return named


def _is(der: bytes, named: Sequence[tuple[str, bytes]]) -> bool:
    return all(hashlib.new(name, der).digest() == value for name, value in named)


def _payload(found: Read, content: Sequence[Content]) -> bytes:
    """The payload as it is signed; the content that was brought is compared."""
    jws = found.jws
    detached = jws.header.get("sigD")
    if detached is not None:
        if jws.payload is not None:
            raise JoseProblem("a detached seal has a payload")
        _check_detached(found, detached, content)
        return b""
    if jws.payload is None:
        return _brought(found, content)
    attached = jws.content or b""
    if any(one.data is not None and one.data != attached for one in content):
        raise Broken(Sub.HASH_FAILURE, "the content that was brought is not what is sealed")
    found.covers.append("")
    found.contents.append(Content(attached))
    return jws.payload.encode()


def _brought(found: Read, content: Sequence[Content]) -> bytes:
    """A seal without payload and without sigD is over the one content that was brought."""
    if len(content) != 1 or content[0].data is None:
        raise Broken(Sub.SIGNED_DATA_NOT_FOUND, "what was sealed was not brought")
    found.covers.append(content[0].name)
    found.contents.append(content[0])
    return content[0].data if found.jws.plain else coded(content[0].data).encode()


def _check_detached(found: Read, detached: Any, content: Sequence[Content]) -> None:
    if not isinstance(detached, dict) or "sigD" not in found.jws.header.get("crit", []):
        raise JoseProblem("sigD is not as it should be, or not in crit")
    if detached.get("mId") != BY_URI_HASH:
        raise Broken(
            Sub.SIGNED_DATA_NOT_FOUND, "this way of naming detached content is not supported"
        )
    names, values = detached.get("pars"), detached.get("hashV")
    if (
        not isinstance(names, list)
        or not isinstance(values, list)
        or not 0 < len(names) <= MOST_CONTENTS
        or len(names) != len(values)
        or not all(isinstance(one, str) for one in names)
        or len(set(names)) != len(names)
    ):
        raise JoseProblem("sigD does not name its contents one by one")
    hash_name = _BY_NAME.get(str(detached.get("hashM")))
    if hash_name is None:
        raise Broken(Sub.CRYPTO_CONSTRAINTS_FAILURE, "the hash algorithm is not safe")
    for name, value in zip(names, values, strict=True):
        one = _named(content, name, alone=len(names) == 1)
        if one is None:
            raise Broken(Sub.SIGNED_DATA_NOT_FOUND, "what was sealed was not brought")
        if _digest(found.jws, one, hash_name) != decoded(value):
            raise Broken(Sub.HASH_FAILURE, "the hash of what was sealed does not agree")
        found.covers.append(name)
        found.contents.append(one)


def _named(content: Sequence[Content], name: str, *, alone: bool) -> Content | None:
    found = next((one for one in content if one.name == name), None)
    if found is None and alone and len(content) == 1:
        return content[0]
    return found


def _digest(jws: Jws, content: Content, hash_name: str) -> bytes:
    """The hash of a detached content: of it as it is, or of its base64url (5.2.8.3.3)."""
    if content.data is not None:
        data = content.data if jws.plain else coded(content.data).encode()
        return hashlib.new(hash_name, data).digest()
    brought = dict(content.digests).get(hash_name)
    if brought is None or not jws.plain:
        raise Broken(Sub.SIGNED_DATA_NOT_FOUND, f"a {hash_name} hash was not brought")
    return brought


def _check_signature(found: Read, payload: bytes) -> None:
    name = found.jws.header["alg"]
    found.algorithm = ALGORITHMS[name]
    certificate = x509.load_der_x509_certificate(found.certificate)
    if not fits(name, certificate):
        raise Broken(Sub.SIG_CRYPTO_FAILURE, "the key of the certificate is of another kind")
    data = found.jws.protected.encode() + b"." + payload
    if not verified(found.algorithm, certificate, decoded(found.jws.signature), data):
        raise Broken(Sub.SIG_CRYPTO_FAILURE, "the signature does not agree")


def material_in(jws: Jws, before: int | None = None) -> Material:
    """The certificates, lists and answers that a seal brings (those before a place in etsiU).

    Raises JoseProblem.
    """
    certificates: list[bytes] = []
    crls: list[bytes] = []
    ocsps: list[bytes] = []
    for name, value in members(jws)[:before]:
        parts = [(name, value)]
        if name in ("tstVD", "anyValData") and isinstance(value, dict):
            parts = list(value.items())
        for kind, each in parts:
            if kind == "xVals":
                held = [_member(one, "x509Cert") for one in _list(each)]
                certificates += [_val(one) for one in held if one is not None]
            elif kind == "rVals" and isinstance(each, dict):
                crls += [_val(one) for one in _list(each.get("crlVals", []))]
                ocsps += [_val(one) for one in _list(each.get("ocspVals", []))]
    return Material(tuple(certificates), tuple(crls), tuple(ocsps))


def stamps_in(jws: Jws) -> list[tuple[int, str, bytes]]:
    """The time stamps: (place in etsiU, what they are over, token). Raises JoseProblem."""
    found: list[tuple[int, str, bytes]] = []
    for place, (name, value) in enumerate(members(jws)):
        if name in _STAMPS:
            tokens = value.get("tstTokens") if isinstance(value, dict) else None
            found += [(place, _STAMPS[name], _val(one)) for one in _list(tokens)]
    return found


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > MOST_CERTIFICATES:
        raise JoseProblem("a part of etsiU is not a list, or too long")
    return value


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _val(value: Any) -> bytes:
    text = _member(value, "val")
    if not isinstance(text, str):
        raise JoseProblem("a certificate, list or stamp has no value")
    return der_of(text)
