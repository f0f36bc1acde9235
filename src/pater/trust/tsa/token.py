"""Writes time-stamp tokens: CMS SignedData over a TSTInfo (RFC 3161, 2.4.2; RFC 5652, 5).

Written by hand because every document that arrives gets a stamp: what changes from one token to
the next is a few fields, and a general ASN.1 library takes a hundred times as long to say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final

from asn1crypto import algos, cms, core
from asn1crypto import x509 as asn1_x509

_INTEGER, _OCTETS, _OID, _TIME = 0x02, 0x04, 0x06, 0x18
_SEQUENCE, _SET, _TAGGED = 0x30, 0x31, 0xA0
_NULL: Final = b"\x05\x00"


def _der(tag: int, *parts: bytes) -> bytes:
    """One value of DER: tag, length, content."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _integer(value: int) -> bytes:
    return _der(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


@lru_cache(maxsize=64)
def _oid(dotted: str) -> bytes:
    return bytes(core.ObjectIdentifier(dotted).dump())


@lru_cache(maxsize=8)
def _hash(name: str) -> bytes:
    """The AlgorithmIdentifier of a hash, without parameters (RFC 5754, 2)."""
    return _der(_SEQUENCE, _oid(algos.DigestAlgorithmId.unmap(name)))


def tst_info(
    policy: str,
    algorithm: str,
    digest: bytes,
    serial: int,
    time: datetime,
    accuracy: int,
    nonce: int | None,
) -> bytes:
    """A TSTInfo (RFC 3161, 2.4.2); `time` in whole seconds, `accuracy` in seconds."""
    return _der(
        _SEQUENCE,
        _integer(1),
        _oid(policy),
        _der(_SEQUENCE, _hash(algorithm), _der(_OCTETS, digest)),
        _integer(serial),
        _der(_TIME, time.astimezone(UTC).strftime("%Y%m%d%H%M%SZ").encode()),
        _der(_SEQUENCE, _integer(accuracy)),
        b"" if nonce is None else _integer(nonce),
    )


class Former:
    """What all tokens of one certificate have in common."""

    def __init__(self, certificate: bytes, chain: Sequence[bytes]) -> None:
        parsed = asn1_x509.Certificate.load(certificate)
        issuer = parsed.issuer.dump()
        serial = _integer(parsed.serial_number)
        name = _der(0xA4, issuer)  # GeneralName, directoryName
        # ESSCertIDv2 with its default hash, SHA-256 (RFC 5035, 4)
        which = _der(
            _SEQUENCE,
            _der(_OCTETS, sha256(certificate).digest()),
            _der(_SEQUENCE, _der(_SEQUENCE, name), serial),
        )
        kind = cms.ContentType.unmap
        attribute = cms.CMSAttributeType.unmap
        self._content_type = _oid(kind("tst_info"))
        self._type_attribute = _der(
            _SEQUENCE, _oid(attribute("content_type")), _der(_SET, self._content_type)
        )
        self._digest_attribute = _oid(attribute("message_digest"))
        self._certificate_attribute = _der(
            _SEQUENCE,
            _oid(attribute("signing_certificate_v2")),
            _der(_SET, _der(_SEQUENCE, _der(_SEQUENCE, which))),
        )
        self._signed_data = _oid(kind("signed_data"))
        self._signer = _der(_SEQUENCE, issuer, serial)
        if parsed.public_key.algorithm == "rsa":
            self._algorithm = _der(_SEQUENCE, _oid("1.2.840.113549.1.1.11"), _NULL)
        else:
            self._algorithm = _der(_SEQUENCE, _oid("1.2.840.10045.4.3.2"))
        # a SET OF in DER is in the order of its encodings (X.690, 11.6)
        self._certificates = _der(_TAGGED, *sorted((certificate, *chain)))

    def attributes(self, content: bytes) -> bytes:
        """The signed attributes over a TSTInfo, as they are signed (a SET OF)."""
        digest = _der(
            _SEQUENCE, self._digest_attribute, _der(_SET, _der(_OCTETS, sha256(content).digest()))
        )
        return _der(_SET, *sorted((self._type_attribute, digest, self._certificate_attribute)))

    def token(
        self, content: bytes, attributes: bytes, signature: bytes, *, certificates: bool
    ) -> bytes:
        """The whole token, a ContentInfo."""
        info = _der(
            _SEQUENCE,
            _integer(1),
            self._signer,
            _hash("sha256"),
            bytes((_TAGGED,)) + attributes[1:],  # [0] IMPLICIT in place of the SET OF
            self._algorithm,
            _der(_OCTETS, signature),
        )
        data = _der(
            _SEQUENCE,
            _integer(3),
            _der(_SET, _hash("sha256")),
            _der(_SEQUENCE, self._content_type, _der(_TAGGED, _der(_OCTETS, content))),
            self._certificates if certificates else b"",
            _der(_SET, info),
        )
        return _der(_SEQUENCE, self._signed_data, _der(_TAGGED, data))
