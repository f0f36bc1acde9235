"""Whether somebody still works where their account says: asked of the registers, if there are any.

`access` keeps no register. The roof hands in who knows; without it everybody works where the
operator wrote.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from pater.access.accounts import Account

Employed = Callable[[Account], Awaitable[Account | None]]
"""The account as the registers know it (its employer follows from them where the account names
none); None when its employment has ended, so that nobody can act by it."""

PROFESSIONS: Final = ("clinician", "rescue")
"""Roles that people have by working somewhere."""


async def as_written(account: Account) -> Account | None:
    """What stands in the account is true."""
    return account
