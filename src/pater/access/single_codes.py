"""Codes that work once: the ten recovery codes of a person, and one that an operator hands out.

A code has 80 random bits. Only its HMAC under a key of the service is kept, so it is shown once.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pater.store.database import Connection, Database
from pater.trust.keys import Keys

HOW_MANY: Final = 10
OPERATORS: Final = timedelta(days=7)  # how long an operator's code waits to be used
# Crockford's base 32: without letters that look like digits or like one another.
_LETTERS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH: Final = 16
_READ_AS: Final = str.maketrans({"o": "0", "i": "1", "l": "1"})


@dataclass(frozen=True, slots=True)
class Left:
    """How many recovery codes still work, and when they were made (None = never)."""

    count: int
    made: datetime | None


def new_code() -> str:
    """A fresh code in groups of four, as people copy it."""
    text = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    return "-".join(text[i : i + 4] for i in range(0, _LENGTH, 4))


def normal(code: str) -> str:
    """A code as it is compared: without spaces, hyphens and case; look-alikes are the digits.

    An empty text when it cannot be a code.
    """
    text = "".join(code[:100].split()).replace("-", "").lower().translate(_READ_AS)
    return text if len(text) == _LENGTH and set(text) <= set(_LETTERS) else ""


def looks_like(code: str) -> bool:
    """Whether a text could be such a code (and is no six digits of an authenticator app)."""
    return bool(normal(code))


async def renew(db: Database, keys: Keys, account: str, now: datetime) -> list[str]:
    """Ten new recovery codes, to be shown once; those of before are void."""
    codes = [new_code() for _ in range(HOW_MANY)]
    async with db.transaction() as connection:
        # two at once: the later one's are the ten
        await connection.execute("select 1 from account where id = $1 for update", account)
        await connection.execute(
            "delete from single_code where account = $1 and not operator", account
        )
        await _keep(connection, keys, account, codes, now, None)
    return codes


async def hand_out(connection: Connection, keys: Keys, account: str, now: datetime) -> str:
    """A code for an operator to hand to the person; one given before is void."""
    code = new_code()
    await connection.execute("delete from single_code where account = $1 and operator", account)
    await _keep(connection, keys, account, [code], now, now + OPERATORS)
    return code


async def _keep(
    connection: Connection,
    keys: Keys,
    account: str,
    codes: list[str],
    now: datetime,
    expires: datetime | None,
) -> None:
    await connection.executemany(
        """
        insert into single_code (code_hash, account, operator, created, expires)
        values ($1, $2, $3, $4, $5)
        """,
        [(_hash(keys, account, code), account, expires is not None, now, expires)
         for code in codes],
    )  # fmt: skip


async def use(db: Database, keys: Keys, account: str, code: str, now: datetime) -> bool:
    """Whether this is an unused code of the account; it is used by that, once also at once."""
    if not looks_like(code):
        return False
    used = await db.fetchval(
        """
        update single_code set used = $3
        where code_hash = $1 and account = $2 and used is null
        and (expires is null or expires > $3) returning true
        """,
        _hash(keys, account, code),
        account,
        now,
    )
    return bool(used)


async def left(db: Database, account: str) -> Left:
    """How many recovery codes of the account still work."""
    row = await db.fetchrow(
        """
        select count(*) filter (where used is null) as count, max(created) as made
        from single_code where account = $1 and not operator
        """,
        account,
    )
    return Left(row["count"], row["made"]) if row else Left(0, None)


def _hash(keys: Keys, account: str, code: str) -> bytes:
    text = f"{account}\0{normal(code)}".encode()
    return hmac.digest(keys.derived("single codes"), text, "sha256")
