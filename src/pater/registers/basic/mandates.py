"""Whether somebody looks after a provider by a mandate, asked at each of their requests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from pater.access.accounts import Account
from pater.access.employed import Employed
from pater.registers.basic.authorisations import ADMINISTRATION, mandated
from pater.store.database import Database

ROLE: Final = "administrator"


def by_mandate(db: Database, clock: Callable[[], datetime], further: Employed) -> Employed:
    """Asks `further`, and of an administrator who is a person of the register for a mandate.

    An account that names no person is as the operator wrote it: there is nobody to ask about.
    """

    async def employed(account: Account) -> Account | None:
        if account.role == ROLE and account.person and account.organization:
            wanted = (account.person, account.organization)
            found = await mandated(db, [wanted[0]], [wanted[1]], ADMINISTRATION, clock())
            if wanted not in found:
                return None
        return await further(account)

    return employed
