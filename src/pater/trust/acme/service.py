"""What ACME clients ask for (RFC 8555): accounts, orders, proofs, certificates, revocation.

Messages are verified before they come here; each act on an account gets the account. An order goes
the way of every other at the certification authority and is in the journal like them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pater.store.database import Database
from pater.trust.acme import tables
from pater.trust.acme.binding import Binding, is_id, new_id
from pater.trust.acme.errors import AcmeError, malformed, rejected
from pater.trust.acme.jose import (
    MACS,
    AccountKey,
    account_key,
    decoded,
    message_of,
    verify_mac,
)
from pater.trust.acme.proving import Prover
from pater.trust.acme.requests import certificate_of, contacts_of, hosts_of, request_of
from pater.trust.acme.tables import PENDING, Account, Order, Proof
from pater.trust.ca import Authority, CaError, Operator, Subject
from pater.trust.ca import tables as ca
from pater.trust.ca.authority import AUTOMATIC
from pater.trust.ca.requests import key_hash
from pater.trust.ca.tables import ISSUED, REVOKED

ORDER_LIVES: Final = timedelta(days=7)
MOST_A_DAY: Final = 100  # orders of one account
_DAY: Final = timedelta(days=1)
# RFC 5280, section 5.3.1
_REASONS: Final[Mapping[int, str]] = {
    0: "unspecified", 1: "keyCompromise", 3: "affiliationChanged", 4: "superseded",
    5: "cessationOfOperation", 9: "privilegeWithdrawn",
}  # fmt: skip
_HOLDER: Final = Operator("acme", "who holds the key", kind="system", role="service")


class Acme:
    """The work behind the addresses. Errors: AcmeError, KeysError."""

    def __init__(
        self,
        authority: Authority,
        binding: Binding,
        prover: Prover,
        clock: Callable[[], datetime],
    ) -> None:
        self.binding = binding
        self._authority, self._prover, self._clock = authority, prover, clock

    @property
    def db(self) -> Database:
        """The database of the authority."""
        return self._authority.db

    async def account(self, id: str) -> Account:
        """An account in force. Raises AcmeError."""
        found = await tables.account(self.db, id) if is_id(id) else None
        if found is None:
            raise _no_account()
        return in_force(found)

    async def known(self, key: AccountKey) -> Account | None:
        """The account of a public key, in whatever state."""
        return await tables.account_of(self.db, key.thumbprint)

    async def open_account(
        self, key: AccountKey, payload: Mapping[str, Any], url: str, source: str
    ) -> tuple[Account, bool]:
        """The account of a key, and whether it is new (section 7.3).

        A new one needs the key that an operator gave out (section 7.3.4).
        """
        found = await self.known(key)
        if found is not None:
            return in_force(found), False
        if payload.get("onlyReturnExisting") is True:
            raise _no_account()
        contact = contacts_of(payload)
        given = await self._bound(payload.get("externalAccountBinding"), key, url)
        now = self._clock()
        id = new_id()
        async with self.db.transaction() as connection:
            made = await tables.add_account(
                connection, id, given.id, key.thumbprint, key.jwk, contact, now
            )
            if made:
                operator = _operator(id, given.ico, given.organization, source)
                detail = f"account={id}&key={given.id}"
                await ca.journal(connection, operator, "acme-account", now, detail=detail)
        found = await self.known(key)
        if found is None:  # somebody else's account came of the same key
            raise AcmeError("unauthorized", "this key has opened an account already", 403)
        return in_force(found), made

    async def _bound(self, binding: object, key: AccountKey, url: str) -> tables.Key:
        """The binding key that allows the account. Raises AcmeError."""
        if binding is None:
            raise AcmeError(
                "externalAccountRequired",
                "an account is opened with a key of the operator (external account binding)",
                403,
            )
        message = message_of(binding)
        if message.text("alg") not in MACS or message.text("url") != url:
            raise malformed("externalAccountBinding: alg is HS256, url is that of newAccount")
        found = await self.binding.find(message.text("kid"))
        refused = AcmeError("unauthorized", "this key opens no account", 403)
        # an unknown key costs the same work as a wrong secret
        try:
            verify_mac(message, self.binding.secret(found.id if found else ""))
        except AcmeError:
            raise refused from None
        now = self._clock()
        if found is None or found.ended is not None or found.until < now or found.account:
            raise refused
        if account_key(message.object()).thumbprint != key.thumbprint:
            raise malformed("externalAccountBinding: its payload is the account's public key")
        return found

    async def change_account(
        self, account: Account, payload: Mapping[str, Any], source: str
    ) -> Account:
        """New contacts, or the end of the account (sections 7.3.2, 7.3.6)."""
        state = payload.get("status")
        if state not in (None, "valid", "deactivated"):
            raise malformed("status can become deactivated, nothing else")
        if state == "deactivated":
            async with self.db.transaction() as connection:
                if await tables.deactivate(connection, account.id):
                    await ca.journal(
                        connection, self._operator(account, source), "acme-account-end",
                        self._clock(), detail=f"account={account.id}",
                    )  # fmt: skip
            return replace(account, state="deactivated")
        if "contact" in payload:
            contact = contacts_of(payload)
            await tables.set_contact(self.db, account.id, contact)
            return replace(account, contact=contact)
        return account

    async def change_key(self, account: Account, new: AccountKey, source: str) -> Account | None:
        """Gives the account a new key; None when it is done, else whose the key is (7.3.5)."""
        taken = await self.known(new)
        if taken is not None:
            return taken
        async with self.db.transaction() as connection:
            done = await tables.change_key(
                connection, account.id, account.thumbprint, new.thumbprint, new.jwk
            )
            if not done:
                raise AcmeError("unauthorized", "the key of the account was changed before", 403)
            await ca.journal(
                connection, self._operator(account, source), "acme-key-change", self._clock(),
                detail=f"account={account.id}",
            )  # fmt: skip
        return None

    async def order(self, account: Account, payload: Mapping[str, Any]) -> Order:
        """A new order (section 7.4): each host has to be allowed, and then to be proved."""
        hosts = hosts_of(payload)
        foreign = [host for host in hosts if host not in account.hosts]
        if foreign:
            why = "no certificate is given to this account for this host"
            raise rejected([("rejectedIdentifier", host, why) for host in foreign])
        now = self._clock()
        id, expires = new_id(), now.replace(microsecond=0) + ORDER_LIVES
        proofs = tuple(
            Proof(new_id(), id, account.id, host, new_id(), PENDING, expires, None, None)
            for host in hosts
        )
        made = Order(id, account.id, hosts, PENDING, expires, None, None, proofs)
        async with self.db.transaction() as connection:
            await tables.lock_account(connection, account.id)
            made_today = await tables.orders_since(connection, account.id, now - _DAY, MOST_A_DAY)
            if made_today >= MOST_A_DAY:
                raise AcmeError(
                    "rateLimited", f"an account makes {MOST_A_DAY} orders a day", 429,
                    headers={"Retry-After": "3600"},
                )  # fmt: skip
            await tables.add_order(connection, made, now)
        return made

    async def order_of(self, account: Account, id: str) -> Order:
        """An order of the account; others' are not there."""
        found = await tables.order(self.db, id, self._clock()) if is_id(id) else None
        if found is None or found.account != account.id:
            raise _not_there()
        return found

    async def proof_of(self, account: Account, id: str) -> Proof:
        """An authorization of the account; others' are not there."""
        found = await tables.proof(self.db, id) if is_id(id) else None
        if found is None or found.account != account.id:
            raise _not_there()
        return found

    async def orders(
        self, account: Account, before: tuple[datetime, str] | None, count: int
    ) -> list[tuple[datetime, str]]:
        """Time and id of the account's orders, newest first."""
        return await tables.orders(self.db, account.id, before, count)

    async def check(self, account: Account, proof: Proof) -> Proof:
        """Asks the host for the proof, once (section 7.5.1), and says how it stands then."""
        if proof.state != PENDING:
            return proof
        now = self._clock()
        if proof.expires < now:
            raise malformed("the authorization has expired: make a new order")
        if proof.host not in account.hosts:
            raise AcmeError("unauthorized", "the host is not this account's any more", 403)
        wanted = f"{proof.token}.{account.thumbprint}".encode()
        try:
            said = await self._prover.answer(proof.host, proof.token)
            if not hmac.compare_digest(said, wanted):
                raise AcmeError("unauthorized", "the host answers something else", 403)
        except AcmeError as error:
            await tables.settle(self.db, proof.id, tables.INVALID, now, error.problem())
        else:
            await tables.settle(self.db, proof.id, tables.VALID, now)
        return await self.proof_of(account, proof.id)

    async def give_up(self, account: Account, proof: Proof) -> Proof:
        """Deactivates an authorization (section 7.5.2)."""
        await tables.deactivate_proof(self.db, proof.id)
        return await self.proof_of(account, proof.id)

    async def finalize(
        self, account: Account, order: Order, payload: Mapping[str, Any], source: str
    ) -> Order:
        """Certifies the key of a request for the hosts that were proved (section 7.4).

        The same request again, a minute later, goes on where it was broken off.
        """
        request = request_of(decoded(payload.get("csr")), order.hosts, account.jwk)
        digest = hashlib.sha256(request).digest()
        again = order.state == tables.PROCESSING and order.request == digest
        if order.state != tables.READY and not again:
            raise AcmeError("orderNotReady", f"the order is {order.state}, not ready", 403)
        if not await tables.begin(self.db, order.id, digest, self._clock()):
            raise AcmeError("orderNotReady", "another request of this order is under way", 403)
        subject = Subject(ico=account.ico, organization=account.organization, hosts=order.hosts)
        before = await tables.before(self.db, account.id, order.hosts, self._clock())
        try:
            made = await self._authority.enrol(
                self._operator(account, source), subject, request, before
            )
        except CaError as error:
            await tables.reopen(self.db, order.id)
            raise AcmeError("badCSR", str(error)) from error
        await tables.complete(self.db, order.id, made.serial)
        return await self.order_of(account, order.id)

    async def certificate(self, order: Order) -> bytes:
        """The certificate of an order and the issuing authority, PEM (section 7.4.2)."""
        kept = await self._authority.find(order.serial) if order.serial else None
        if kept is None or kept.der is None:
            raise _not_there()
        found = [x509.load_der_x509_certificate(kept.der), *(await self._authority.chain())[:1]]
        return b"".join(one.public_bytes(Encoding.PEM) for one in found)

    async def revoke(
        self,
        payload: Mapping[str, Any],
        account: Account | None,
        key: AccountKey | None,
        source: str,
    ) -> None:
        """Ends a certificate: its account asks for it, or who holds its key (section 7.6)."""
        reason = payload.get("reason", 0)
        if isinstance(reason, bool) or not isinstance(reason, int) or reason not in _REASONS:
            raise AcmeError("badRevocationReason", f"reasons are {', '.join(map(str, _REASONS))}")
        der, serial = certificate_of(decoded(payload.get("certificate")))
        kept = await ca.find(self.db, ca.serial_text(serial))
        if kept is None or kept.der != der or kept.profile != AUTOMATIC:
            raise AcmeError("unauthorized", "this certificate did not come by ACME from here", 403)
        if account is not None:
            entitled = await tables.holder(self.db, kept.serial) == account.id
            operator = self._operator(account, source)
        else:
            entitled = key is not None and key_hash(kept.public_key) == key_hash(key.spki)
            operator = replace(_HOLDER, organization=kept.owner, source=source)
        if not entitled:
            raise AcmeError("unauthorized", "this certificate is somebody else's", 403)
        if kept.recorded == REVOKED:
            raise AcmeError("alreadyRevoked", "the certificate was revoked before")
        if kept.recorded != ISSUED:
            raise _not_there()
        await self._authority.revoke(operator, kept.serial, _REASONS[reason])

    @staticmethod
    def _operator(account: Account, source: str) -> Operator:
        return _operator(account.id, account.ico, account.organization, source)


def in_force(account: Account) -> Account:
    """The account. Raises AcmeError when it has ended."""
    if account.state != tables.VALID:
        raise AcmeError("unauthorized", f"the account is {account.state}", 403)
    return account


def _operator(account: str, ico: str, organization: str, source: str) -> Operator:
    """An account as the journal names it."""
    return Operator(
        f"acme:{account}", f"{organization or ico} (ACME)", kind="system", role="service",
        organization=ico, organization_name=organization, source=source,
    )  # fmt: skip


def _no_account() -> AcmeError:
    return AcmeError("accountDoesNotExist", "there is no such account")


def _not_there() -> AcmeError:
    return AcmeError("malformed", "there is nothing at this address", 404)
