"""Systems that prove themselves by a certificate in TLS (RFC 8705), and who may come with which.

A certificate counts when our own authority issued it and has not revoked it, or when it was
written down for a client by its fingerprint (self-signed). Its key was proved by TLS before.
"""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pater.access.clients import Client, ClientError, find
from pater.access.smart import OAuthError
from pater.store.database import Database, Record
from pater.trust.ca import tables as ca

BY_AUTHORITY: Final = "tls_client_auth"
BY_FINGERPRINT: Final = "self_signed_tls_client_auth"
METHODS: Final = (BY_AUTHORITY, BY_FINGERPRINT)
LONGEST: Final = 16_384  # bytes of one certificate
MOST: Final = 10
FRESH: Final = timedelta(seconds=20)
_MOST_KEPT: Final = 4096
_PROFILE: Final = "system"


@dataclass(frozen=True, slots=True)
class Presented:
    """A certificate whose private key the other side of the connection has shown to have.

    `thumbprint` is its SHA-256 as `x5t#S256` wants it (base64url without padding).
    """

    der: bytes
    thumbprint: str

    @classmethod
    def of(cls, der: bytes) -> Presented:
        """The certificate of these bytes, unread."""
        return cls(der, thumbprint_of(der))


def thumbprint_of(der: bytes) -> str:
    """`x5t#S256` (RFC 8705, section 3.1)."""
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def read(der: bytes) -> x509.Certificate | None:
    """The certificate; None for bytes that are none."""
    if not 0 < len(der) <= LONGEST:
        return None
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, TypeError, x509.InvalidVersion):
        return None


async def register(
    db: Database, client_id: str, certificate: bytes, method: str, clock: Callable[[], datetime]
) -> str:
    """Let a client come with a certificate (PEM); gives what it is known by. Raises ClientError.

    `tls_client_auth`: any certificate of our authority with the same subject, so a renewed one
    needs nothing; `self_signed_tls_client_auth`: this one alone. From now on the client gets no
    token that is not bound to a certificate.
    """
    if method not in METHODS:
        raise ClientError(f"a certificate proves a client by {' or '.join(METHODS)}")
    try:
        found = x509.load_pem_x509_certificate(certificate)
    except (ValueError, x509.InvalidVersion) as error:
        raise ClientError("the certificate cannot be read; it is PEM") from error
    der = found.public_bytes(Encoding.DER)
    if method == BY_AUTHORITY:
        if not await _of_authority(db, der, clock()):
            raise ClientError("our authority did not issue this certificate for a system")
        value = found.subject.rfc4514_string()
    else:
        if found.not_valid_after_utc <= clock():
            raise ClientError("the certificate has expired")
        value = thumbprint_of(der)
    if await find(db, client_id) is None:
        raise ClientError(f"there is no client {client_id!r}")
    taken = await db.fetch(
        "select client from client_tls where value = $1 and client <> $2 limit 1", value, client_id
    )
    if taken:
        raise ClientError("another client comes with this certificate")
    await db.execute(
        """
        insert into client_tls (client, method, value, added)
        select $1, $2, $3, $4 where (select count(*) from client_tls where client = $1) < $5
        on conflict (client, method, value) do nothing
        """,
        client_id,
        method,
        value,
        clock(),
        MOST,
    )
    return value


async def remove(db: Database, client_id: str, value: str) -> bool:
    """From now on the client does not come with this certificate; False when it did not."""
    return bool(
        await db.fetch(
            "delete from client_tls where client = $1 and value = $2 returning client",
            client_id,
            value,
        )
    )


async def of_client(db: Database, client_id: str) -> list[Record]:
    """What a client comes with: method, value, added."""
    return await db.fetch(
        "select method, value, added from client_tls where client = $1 order by added limit $2",
        client_id,
        MOST,
    )


async def authenticate(
    db: Database, client_id: str, presented: Presented, clock: Callable[[], datetime]
) -> Client:
    """The client whose certificate was presented (RFC 8705, section 2); raises OAuthError."""
    client = await find(db, client_id)
    if client is None or not client.active:
        raise _unproved("the client is not registered")
    if not await _is_of(db, client, presented, clock()):
        raise _unproved("the certificate is not one of the client", client)
    return client


async def binding(
    db: Database, client: Client, presented: Presented | None, clock: Callable[[], datetime]
) -> str:
    """The certificate to which a token of the client is bound, "" for one without certificates.

    Raises OAuthError when a client that has certificates comes without one of them.
    """
    if not await of_client(db, client.id):
        return ""
    if presented is None or not await _is_of(db, client, presented, clock()):
        raise _unproved("the client has to present its certificate", client)
    return presented.thumbprint


async def _is_of(db: Database, client: Client, presented: Presented, now: datetime) -> bool:
    certificate = read(presented.der)
    if certificate is None:
        return False
    known = {(row["method"], row["value"]) for row in await of_client(db, client.id)}
    if (BY_FINGERPRINT, presented.thumbprint) in known:
        return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc
    subject = (BY_AUTHORITY, certificate.subject.rfc4514_string())
    return subject in known and await _of_authority(db, presented.der, now)


async def _of_authority(db: Database, der: bytes, now: datetime) -> bool:
    """Whether our authority issued exactly this to a system, and it is in force."""
    certificate = read(der)
    if certificate is None:
        return False
    kept = await ca.find(db, ca.serial_text(certificate.serial_number))
    return (
        kept is not None
        and kept.der == der
        and kept.profile == _PROFILE
        and kept.state(now) == ca.ISSUED
        and kept.not_before <= now
    )


class Standing:
    """Whether a certificate is in force now, as known for at most twenty seconds."""

    def __init__(self, db: Database, clock: Callable[[], datetime]) -> None:
        self._db = db
        self._clock = clock
        self._known: OrderedDict[str, tuple[datetime, bool]] = OrderedDict()

    async def good(self, presented: Presented) -> bool:
        """Whether tokens that are bound to it may be used."""
        now = self._clock()
        kept = self._known.get(presented.thumbprint)
        if kept is not None and now - kept[0] < FRESH:
            return kept[1]
        good = await self._asked(presented, now)
        self._known[presented.thumbprint] = (now, good)
        self._known.move_to_end(presented.thumbprint)
        while len(self._known) > _MOST_KEPT:
            self._known.popitem(last=False)
        return good

    async def _asked(self, presented: Presented, now: datetime) -> bool:
        certificate = read(presented.der)
        if certificate is None or not (
            certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc
        ):
            return False
        # written down for a client still, by itself or by its subject
        subject = certificate.subject.rfc4514_string()
        rows = await self._db.fetch(
            "select distinct method from client_tls where (value = $1 and method = $2)"
            " or (value = $3 and method = $4)",
            presented.thumbprint,
            BY_FINGERPRINT,
            subject,
            BY_AUTHORITY,
        )
        methods = {row["method"] for row in rows}
        if BY_FINGERPRINT in methods:
            return True
        return BY_AUTHORITY in methods and await _of_authority(self._db, presented.der, now)


def _unproved(detail: str, client: Client | None = None) -> OAuthError:
    return OAuthError(
        "invalid_client",
        "client authentication failed",
        detail=detail,
        reason="token-client",
        client=client,
    )
