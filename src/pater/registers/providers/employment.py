"""Where a professional works now, as the register says: what a session's role and employer are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from pater.access.accounts import Account
from pater.access.employed import PROFESSIONS
from pater.registers.providers import tables
from pater.store.database import Database


@dataclass(frozen=True, slots=True)
class Employer:
    """A provider, by IČO."""

    ico: str
    name: str


class Employments:
    """Asks the register; it never says more than what stands there."""

    def __init__(self, db: Database, clock: Callable[[], datetime]) -> None:
        self._db, self._clock = db, clock

    async def of(self, practitioner: str) -> tuple[Employer, ...] | None:
        """The employers of a Practitioner (by id) now; None = the register knows no employment of
        theirs at all, neither now nor ended."""
        rows = await tables.roles_of(self._db, practitioner, self._clock())
        if not rows:
            return None
        now = {row["ico"]: row["name"] for row in rows if row["now"] and row["ico"]}
        return tuple(Employer(ico, name) for ico, name in sorted(now.items()))

    async def employed(self, account: Account) -> Account | None:
        """The account with its employer, None when the register says that they left.

        Only of professionals whose account names their Practitioner. Of whom the register knows no
        employment it cannot say that it ended: what the operator wrote holds.
        """
        if account.role not in PROFESSIONS or not account.practitioner:
            return account
        employers = await self.of(account.practitioner)
        if employers is None:
            return account
        if account.organization:
            here = any(each.ico == account.organization for each in employers)
            return account if here else None
        if len(employers) == 1:
            [only] = employers
            return replace(account, organization=only.ico, organization_name=only.name)
        return account if employers else None
