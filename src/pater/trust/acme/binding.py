"""Keys that bind an ACME account to a provider (RFC 8555, section 7.3.4), and what they allow.

Each opens one account and says whose certificates that gets: the IČO and the hosts. Its secret is
made of its id, so it is kept nowhere and can be shown to whom it belongs.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from pater.store.database import Database
from pater.trust.acme import tables
from pater.trust.acme.jose import encoded
from pater.trust.acme.tables import Key
from pater.trust.ca import CaError, Operator, Subject
from pater.trust.ca import tables as ca
from pater.trust.ca.authority import AUTOMATIC
from pater.trust.ca.profiles import checked, profile_of

OPENS_WITHIN: Final = timedelta(days=30)
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def is_id(text: str) -> bool:
    """Whether a text can be an id of ours at all."""
    return _ID.fullmatch(text) is not None


def new_id() -> str:
    """A fresh id that nobody guesses."""
    return secrets.token_urlsafe(16)


class Binding:
    """Gives out the keys and ends them. Errors: CaError.

    `master` is a key of the installation, of 32 bytes, for this purpose alone.
    """

    def __init__(self, db: Database, master: bytes, clock: Callable[[], datetime]) -> None:
        self._db, self._master, self._clock = db, master, clock

    def secret(self, id: str) -> bytes:
        """What the holder of a key authenticates with (HMAC)."""
        return hmac.digest(self._master, id.encode(), "sha256")

    def shown(self, id: str) -> str:
        """The secret as ACME clients take it: base64url."""
        return encoded(self.secret(id))

    async def give(
        self, operator: Operator, ico: str, organization: str, hosts: Sequence[str]
    ) -> Key:
        """A new key for a provider's hosts (DNS names)."""
        who = checked(
            profile_of(AUTOMATIC), Subject(ico=ico, organization=organization, hosts=tuple(hosts))
        )
        if not who.ico:
            raise CaError("subject", "a key is given to an organisation: say its IČO")
        for host in who.hosts:
            if _is_literal(host):
                raise CaError("subject", "hosts are DNS names: an address proves nothing here")
        now = self._clock()
        key = Key(
            new_id(), who.ico, who.organization, tuple(sorted(who.hosts)), now, operator.id,
            now + OPENS_WITHIN, None,
        )  # fmt: skip
        async with self._db.transaction() as connection:
            await tables.add_key(connection, key)
            detail = f"key={key.id}&ico={key.ico}"
            await ca.journal(connection, operator, "acme-key", now, detail=detail)
        return key

    async def listing(self, ico: str = "", count: int = tables.MOST_KEYS) -> list[Key]:
        """The newest keys, of one provider or of all; 200 at most."""
        return await tables.keys(self._db, ico, count)

    async def find(self, id: str) -> Key | None:
        """One key."""
        return await tables.key(self._db, id) if is_id(id) else None

    async def end(self, operator: Operator, id: str) -> None:
        """Ends a key and with it its account; certificates stay until they end or are revoked."""
        if await self.find(id) is None:
            raise CaError("unknown", "there is no such key")
        now = self._clock()
        async with self._db.transaction() as connection:
            if await tables.end_key(connection, id, now):
                await ca.journal(connection, operator, "acme-key-end", now, detail=f"key={id}")


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
