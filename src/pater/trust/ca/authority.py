"""The authority at work: makes itself on first use, takes orders, issues, renews, revokes, lists.

An order is written with its serial number before anything is signed, so no certificate exists
that is not known here; who orders the same again gets the same, also after a crash in between.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key

from pater.store.database import Connection, Database
from pater.trust.ca import certificates, tables
from pater.trust.ca.certificates import REASONS, Issuer, der
from pater.trust.ca.errors import CaError
from pater.trust.ca.profiles import Profile, Subject, checked, holder_of, profile_of
from pater.trust.ca.requests import check_key, key_hash, public_key_of, read_request, spki_of
from pater.trust.ca.signer import Signer, Signers
from pater.trust.ca.tables import ISSUED, ITSELF, REVOKED, Crl, Kept, Operator
from pater.trust.keys import KeysError

ROOT: Final = "root"
ISSUING: Final = "issuing"
AUTHORITIES: Final = (ROOT, ISSUING)
AUTOMATIC: Final = "acme-server"  # the profile of what servers get by themselves
_log = structlog.get_logger("pater.ca")

# A list is signed anew each half day, and holds long enough to get over a bad weekend. The root's
# holds longer, because its key may be kept somewhere else.
CRL_EVERY: Final = timedelta(hours=12)
CRL_HOLDS: Final = {ROOT: timedelta(days=180), ISSUING: timedelta(days=4)}
# What has expired is on a list for a while still (RFC 5280 3.3: on one at least).
_AFTER_EXPIRY: Final = timedelta(days=7)
_TRIES: Final = 8

# Services of Páteř with certificates of its own authority: profile, name, days left to renew at.
_SERVICES: Final = {
    "ocsp": ("ocsp-signer", "Páteř OCSP", 10),
    "tsa": ("timestamping", "Páteř TSA", 365),
    "seal": ("service-seal", "Páteř pečeť", 60),
}


@dataclass(frozen=True, slots=True)
class Identity:
    """A service with its key, its certificate, and the authorities above it, nearest first."""

    signer: Signer
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]


class Authority:
    """The certification authority of one installation. Errors: CaError, KeysError.

    `base_url` is the public address without a slash at the end; certificates say it.
    """

    def __init__(
        self,
        db: Database,
        signers: Signers,
        base_url: str,
        clock: Callable[[], datetime],
        random_serial: Callable[[], int] = x509.random_serial_number,
    ) -> None:
        self.db = db
        self._signers = signers
        self._base = base_url + "/pki"
        self._clock = clock
        self._random_serial = random_serial

    async def begin(self, operator: Operator, name: str = "Páteř") -> tuple[x509.Certificate, ...]:
        """Makes the authority when there is none; its chain, issuing first, root last."""
        found = await self.chain()
        if found:
            return found
        name = checked(profile_of("ocsp-signer"), Subject(name=name)).name
        if len(name) > 40:
            raise CaError("name", "the name of the authority has at most 40 characters")
        async with self.db.transaction() as connection:
            await tables.lock(connection)
            await self._begin(connection, operator, name)
        return await self.chain()

    async def _begin(self, connection: Connection, operator: Operator, name: str) -> None:
        if await tables.authority(connection, ISSUING) is not None:
            return
        now = self._clock()
        signer = self._signers.signer(ROOT, create=True)
        made = certificates.root(name, signer, self._random_serial(), now)
        await tables.add_authority(connection, ROOT, der(made), now)
        below = self._signers.signer(ISSUING, create=True)
        by = self._issuer(ROOT, made, signer)
        issuing = certificates.issuing(name, by, below, self._random_serial(), now)
        await tables.add_authority(connection, ISSUING, der(issuing), now)
        await self._sign_crl(connection, by, ROOT, operator)
        await self._sign_crl(connection, self._issuer(ISSUING, issuing, below), ISSUING, operator)
        await tables.journal(connection, operator, "certification-authority", now)

    async def chain(self) -> tuple[x509.Certificate, ...]:
        """The issuing authority and the root; empty when there is none yet."""
        return await self._chain(self.db)

    async def _chain(self, db: Database | Connection) -> tuple[x509.Certificate, ...]:
        found = [await tables.authority(db, name) for name in reversed(AUTHORITIES)]
        return tuple(x509.load_der_x509_certificate(one) for one in found if one is not None)

    async def issue(
        self, operator: Operator, profile_name: str, subject: Subject, request: bytes
    ) -> Kept:
        """A certificate for the key of a certification request (PKCS #10, PEM or DER)."""
        try:
            profile = profile_of(profile_name)
            if not profile.by_hand:
                raise CaError("profile", f"certificates of {profile.name} are made by Páteř itself")
            return await self._issue(
                operator, profile, subject, request, None, operator.organization
            )
        except CaError as error:
            await self._refused(operator, "certificate-issue", error)
            raise

    async def enrol(
        self, operator: Operator, subject: Subject, request: bytes, renews: str | None
    ) -> Kept:
        """A certificate for a server that proved its hosts by itself; `renews` is the serial
        number of the one before it.
        """
        try:
            profile = profile_of(AUTOMATIC)
            return await self._issue(
                operator, profile, subject, request, renews, operator.organization
            )
        except CaError as error:
            await self._refused(operator, "certificate-issue", error)
            raise

    async def renew(self, operator: Operator, serial: str, request: bytes) -> Kept:
        """A further certificate for the same holder and use; the old one holds until its end."""
        try:
            old = await self._known(serial)
            if old.state(self._clock()) != ISSUED:
                raise CaError(
                    "not-valid", "only a valid certificate is renewed; this one is "
                    f"{old.state(self._clock())}: have a new one issued",
                )  # fmt: skip
            profile = profile_of(old.profile)
            if not profile.by_hand or old.ordered_by == ITSELF.id:
                raise CaError("profile", "certificates of services and of ACME renew themselves")
            return await self._issue(operator, profile, old.subject, request, old.serial, old.owner)
        except CaError as error:
            await self._refused(operator, "certificate-renew", error)
            raise

    async def _issue(
        self,
        operator: Operator,
        profile: Profile,
        subject: Subject,
        request: bytes,
        renews: str | None,
        owner: str,
    ) -> Kept:
        who = checked(profile, subject)
        spki = read_request(request).spki
        await self.begin(operator)
        serial = await self._order(operator, profile, who, spki, renews, owner or who.ico)
        return await self._complete(operator, serial)

    async def _order(
        self,
        operator: Operator,
        profile: Profile,
        subject: Subject,
        spki: bytes,
        renews: str | None,
        owner: str = "",
    ) -> str:
        """Writes the order, or finds the same one; its serial number."""
        now = self._clock()
        said = [profile.name, subject.as_dict(), spki.hex(), renews or ""]
        if owner != subject.ico:  # two employers of one person have an order each
            said.append(owner)
        request_hash = hashlib.sha256(orjson.dumps(said)).digest()
        holder, hashed = holder_of(subject), key_hash(spki)
        async with self.db.transaction() as connection:
            await tables.lock(connection)
            issuer = (await self._chain(connection))[0]
            begin, end = certificates.span(now, profile.days, issuer)
            same = await tables.same_order(connection, request_hash, now)
            if same is not None:
                return same.serial
            bad, others = await tables.key_is(connection, hashed, holder, now)
            if bad:
                raise CaError("key-compromised", "this key was compromised: make a new one")
            if others:
                raise CaError("key-taken", "this key belongs to somebody else: make a new one")
            for _ in range(_TRIES):
                kept = Kept(
                    serial=tables.serial_text(self._random_serial()), issuer=ISSUING,
                    profile=profile.name, recorded=tables.NEW, holder=holder, subject=subject,
                    public_key=spki, not_before=begin, not_after=end, ordered=now,
                    ordered_by=operator.id, der=None, renews=renews, revoked=None, reason=None,
                    owner=owner,
                )  # fmt: skip
                if await tables.insert(connection, kept, hashed, request_hash):
                    detail = f"profile={profile.name}" + (f"&renews={renews}" if renews else "")
                    await tables.journal(
                        connection, operator, "certificate-order", now,
                        serial=kept.serial, detail=detail,
                    )  # fmt: skip
                    return kept.serial
        raise CaError("serial", "no free serial number was found")

    async def _complete(self, operator: Operator, serial: str) -> Kept:
        """Signs what was ordered, once: who comes second waits and gets what the first made."""
        async with self.db.transaction() as connection:
            await tables.begin(connection, serial)
        async with self.db.transaction() as connection:
            kept = await tables.find(connection, serial, alone=True)
            if kept is None:
                raise CaError("unknown", "there is no certificate with this serial number")
            if kept.der is None:
                now = self._clock()
                by = await self._at_work(connection, ISSUING)
                profile = profile_of(kept.profile)
                valid = certificates.span(now, profile.days, by.certificate)
                key = check_key(load_der_public_key(kept.public_key))
                made = certificates.leaf(
                    profile, kept.subject, key, by, int(kept.serial, 16), valid
                )
                await tables.complete(connection, serial, der(made), valid)
                await tables.journal(
                    connection, operator, "certificate-issue", now,
                    serial=serial, detail=f"profile={profile.name}",
                )  # fmt: skip
        return await self._known(serial)

    async def revoke(self, operator: Operator, serial: str, reason: str) -> Kept:
        """Ends a certificate for good and signs a new list; the same again changes nothing."""
        try:
            if reason not in REASONS:
                raise CaError("reason", f"the reasons are: {', '.join(REASONS)}")
            serial = (await self._known(serial)).serial
            async with self.db.transaction() as connection:
                by = await self._at_work(connection, ISSUING)
                kept = await tables.find(connection, serial, alone=True)
                if kept is None or kept.recorded not in (ISSUED, REVOKED):
                    raise CaError("not-issued", "this certificate has not been issued yet")
                if kept.recorded == ISSUED:
                    now = self._clock()
                    await tables.revoke(connection, serial, now, reason)
                    await tables.journal(
                        connection, operator, "certificate-revoke", now,
                        serial=serial, detail=f"reason={reason}",
                    )  # fmt: skip
                    await self._sign_crl(connection, by, ISSUING, operator)
            return await self._known(serial)
        except CaError as error:
            await self._refused(operator, "certificate-revoke", error)
            raise

    async def find(self, serial: str) -> Kept | None:
        """One certificate by its serial number: hexadecimal, also with colons, spaces, capitals."""
        plain = serial.translate({ord(c): None for c in ": -"}).lower().removeprefix("0x")
        digits = plain.lstrip("0")
        if not digits or len(digits) > 40 or not set(digits) <= set("0123456789abcdef"):
            return None
        return await tables.find(self.db, digits.rjust(40, "0"))

    async def _known(self, serial: str) -> Kept:
        found = await self.find(serial)
        if found is None:
            raise CaError("unknown", "there is no certificate with this serial number")
        return found

    async def crl(self, name: str) -> Crl | None:
        """The list in force of an authority, signed anew when it has become old; None = no CA."""
        stands = await tables.crl_number(self.db, name)
        if stands is None:
            return None
        if self._clock() - stands[1] >= CRL_EVERY:
            try:
                await self.sign_crl(ITSELF, name, unless_newer_than=CRL_EVERY)
            except KeysError:
                pass  # the key is kept elsewhere; what it signed last says until when it holds
        return await tables.crl(self.db, name)

    async def sign_crl(
        self, operator: Operator, name: str, *, unless_newer_than: timedelta = timedelta(0)
    ) -> None:
        """Signs a list now, unless somebody else just did."""
        async with self.db.transaction() as connection:
            by = await self._at_work(connection, name)
            await self._sign_crl(connection, by, name, operator, unless_newer_than)

    async def _sign_crl(
        self,
        connection: Connection,
        by: Issuer,
        name: str,
        operator: Operator,
        unless_newer_than: timedelta = timedelta(0),
    ) -> None:
        number, last = await tables.next_crl(connection, name)
        now = self._clock()
        if last is not None and now - last < unless_newer_than:
            return
        lines = await tables.revoked(connection, name, now - _AFTER_EXPIRY)
        until = now + CRL_HOLDS[name]
        made = await asyncio.to_thread(certificates.revocation_list, by, number, lines, now, until)
        await tables.keep_crl(connection, name, Crl(number, now, until, made))
        await tables.journal(
            connection, operator, "certificate-revocation-list", now,
            detail=f"authority={name}&number={number}",
        )  # fmt: skip

    async def identity(self, name: str) -> Identity | None:
        """A service of Páteř (`ocsp`, `tsa`, `seal`) with a certificate that holds; None = no CA.

        The certificate is made, and renewed in time, on asking.
        """
        chain = await self.chain()
        if not chain:
            return None
        profile_name, title, margin = _SERVICES[name]
        profile, subject = profile_of(profile_name), Subject(name=title)
        signer = self._signers.signer(name, create=True)
        spki = spki_of(signer.public_key)
        kept = await tables.newest_of_key(self.db, holder_of(subject), key_hash(spki))
        if kept is None or kept.not_after - self._clock() < timedelta(days=margin):
            old = kept.serial if kept else None
            serial = await self._order(ITSELF, profile, subject, spki, old)
            kept = await self._complete(ITSELF, serial)
        if kept.der is None:
            raise CaError("not-issued", "the certificate of the service has not been issued")
        return Identity(signer, x509.load_der_x509_certificate(kept.der), chain)

    async def keep_up(self) -> None:
        """What is due: lists signed anew, the responder's certificate renewed. Does not begin.

        What cannot be done is logged and tried again the next time.
        """
        try:
            for name in AUTHORITIES:
                await self.crl(name)
            await self.identity("ocsp")
        except (CaError, KeysError) as error:
            _log.error("the certification authority cannot keep up", kind=type(error).__name__)

    async def _at_work(self, connection: Connection, name: str) -> Issuer:
        found = await tables.authority(connection, name)
        if found is None:
            raise CaError("no-authority", "there is no certification authority yet: pater ca init")
        certificate = x509.load_der_x509_certificate(found)
        signer = self._signers.signer(name, create=False)
        if spki_of(signer.public_key) != spki_of(public_key_of(certificate)):
            raise KeysError(
                f"the key {name} is not the one of the authority's certificate",
                "Restore the key that belongs to this database from the backup.",
            )
        return self._issuer(name, certificate, signer)

    def _issuer(self, name: str, certificate: x509.Certificate, signer: Signer) -> Issuer:
        if not self._base.isascii():
            raise CaError("address", "the public address is written in ASCII (xn--…)")
        return Issuer(
            certificate,
            signer,
            f"{self._base}/{name}.crl",
            f"{self._base}/{name}.cer",
            f"{self._base}/ocsp" if name == ISSUING else "",
        )

    async def _refused(self, operator: Operator, act: str, error: CaError) -> None:
        await tables.journal(self.db, operator, act, self._clock(), refused=error.code)
