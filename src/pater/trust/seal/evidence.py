"""Certificates, lists and OCSP answers from the addresses that certificates name.

An address in a stranger's certificate is a stranger's address: only origins that the operator
allows are asked, without redirects, with bounds on size and time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import httpx
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from pater.trust.seal.certificates import UNREADABLE, pem_or_der
from pater.trust.seal.model import Material, SealError
from pater.trust.seal.origins import origin
from pater.trust.seal.revocation import LONGEST_CRL, LONGEST_OCSP

_SECONDS: Final = 10.0
_LONGEST_CERTIFICATE: Final = 64 * 1024
_MOST_ADDRESSES: Final = 4  # of each kind that one certificate names
_HELD: Final = timedelta(minutes=10)
_MOST_HELD: Final = 32


@dataclass(slots=True)
class Fetched:
    """Evidence by HTTP. `new_client` makes a client without redirects and cookies.

    What was fetched is kept for some minutes, so that many seals of one authority ask once.
    """

    origins: frozenset[str]
    new_client: Callable[[], httpx.AsyncClient]
    clock: Callable[[], datetime]
    _held: dict[bytes, tuple[datetime, bytes]] = field(default_factory=dict)

    async def issuers(self, certificate: bytes) -> Sequence[bytes]:
        found: list[bytes] = []
        for address in _access(certificate, AuthorityInformationAccessOID.CA_ISSUERS):
            data = await self._get(address, _LONGEST_CERTIFICATE)
            if data is not None:
                found += _certificates(data)
        return found[:_MOST_ADDRESSES]

    async def revocation(self, certificate: bytes, issuer: bytes) -> Material:
        """Answers first; lists are asked for too, because they hold longer in an archive."""
        answers, lists = await asyncio.gather(
            self._answers(certificate, issuer), self._lists(certificate)
        )
        return Material(crls=tuple(lists), ocsps=tuple(answers))

    async def _answers(self, certificate: bytes, issuer: bytes) -> list[bytes]:
        addresses = _access(certificate, AuthorityInformationAccessOID.OCSP)
        if not addresses:
            return []
        try:
            builder = ocsp.OCSPRequestBuilder().add_certificate(
                x509.load_der_x509_certificate(certificate),
                x509.load_der_x509_certificate(issuer),
                hashes.SHA256(),
            )
            question = builder.build().public_bytes(Encoding.DER)
        except UNREADABLE:
            return []
        for address in addresses:
            answer = await self._get(address, LONGEST_OCSP, question)
            if answer is not None:
                return [answer]
        return []

    async def _lists(self, certificate: bytes) -> list[bytes]:
        for address in _points(certificate):
            found = await self._get(address, LONGEST_CRL)
            if found is not None:
                return [_der_of_list(found)]
        return []

    async def _get(self, address: str, longest: int, question: bytes | None = None) -> bytes | None:
        """What is at an address, when its origin is allowed; None for any trouble."""
        if origin(address) not in self.origins:
            return None
        key, now = address.encode() + b"\0" + (question or b""), self.clock()
        held = self._held.get(key)
        if held is not None and now < held[0]:
            return held[1]
        try:
            async with asyncio.timeout(_SECONDS), self.new_client() as client:
                data = await _body(client, address, longest, question)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError):
            return None
        if data is not None:
            while len(self._held) >= _MOST_HELD:
                self._held.pop(next(iter(self._held)))
            self._held[key] = now + _HELD, data
        return data


async def _body(
    client: httpx.AsyncClient, address: str, longest: int, question: bytes | None
) -> bytes | None:
    kind = {"Content-Type": "application/ocsp-request"} if question is not None else {}
    method = "POST" if question is not None else "GET"
    async with client.stream(
        method, address, content=question, headers=kind, follow_redirects=False
    ) as answer:
        if answer.status_code != 200:
            return None
        data = bytearray()
        async for part in answer.aiter_bytes():
            data += part
            if len(data) > longest:
                return None
    return bytes(data)


def _access(certificate: bytes, method: x509.ObjectIdentifier) -> list[str]:
    try:
        found = x509.load_der_x509_certificate(certificate)
        access = found.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except UNREADABLE:
        return []
    named = (one.access_location for one in access if one.access_method == method)
    return _addresses(named)


def _points(certificate: bytes) -> list[str]:
    try:
        found = x509.load_der_x509_certificate(certificate)
        points = found.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except UNREADABLE:
        return []
    return _addresses(name for point in points for name in point.full_name or ())


def _addresses(names: Iterable[x509.GeneralName]) -> list[str]:
    found = []
    for one in names:
        if isinstance(one, x509.UniformResourceIdentifier) and _readable(one.value):
            found.append(one.value)
    return found[:_MOST_ADDRESSES]


def _readable(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _certificates(data: bytes) -> list[bytes]:
    """A certificate, or a bag of them (RFC 5280, 4.2.2.1: `.cer` or certs-only CMS)."""
    try:
        return pem_or_der(data)
    except SealError:
        pass
    try:
        bag = cms.ContentInfo.load(data)["content"]["certificates"]
        return [one.chosen.dump() for one in bag][:_MOST_ADDRESSES]
    except UNREADABLE:
        return []


def _der_of_list(data: bytes) -> bytes:
    if not data.lstrip().startswith(b"-----BEGIN"):
        return data
    try:
        return x509.load_pem_x509_crl(data).public_bytes(Encoding.DER)
    except UNREADABLE:
        return data  # says nothing, and is passed over where it is read
