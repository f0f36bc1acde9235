"""Checks a password and a one-time code: slowly for guessers, alike for whoever asks."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Literal

import pyotp
from argon2.exceptions import Argon2Error, InvalidHashError

from pater.access.accounts import (
    HASHER,
    LONGEST_LOGIN,
    LONGEST_PASSWORD,
    Account,
    account_of,
    normal_login,
    normal_password,
)
from pater.store.database import Database, Record
from pater.trust.keys import Keys, KeysError

MOST_FAILURES: Final = 10
LOCKED_FOR: Final = timedelta(minutes=5)
_STEP: Final = 30  # seconds of one one-time code (RFC 6238, section 4.1)
_STEPS: Final = (0, -1, 1)  # one step of clock drift either way (RFC 6238, section 5.2)

# The hash of a password that nobody has, with the parameters of HASHER: an unknown login name
# costs the same work as a wrong password.
NOBODY: Final = (
    "$argon2id$v=19$m=32768,t=3,p=1$"
    "F7J17DzD8agEgB3qY08VvA$0enmkIetstbm91oO7+kg797f71neCNfGm30csboDgjQ"
)

LoginReason = Literal["login-failed", "login-locked", "login-code"]


class LoginError(Exception):
    """The login is refused. `reason` is a key of `policy_texts` and for the journal only: who
    tries is told nothing but that it failed. `account` is whose login name it was, if anybody's.
    """

    def __init__(self, reason: LoginReason, account: Account | None = None) -> None:
        super().__init__("the login name, password or code is wrong, or the account is locked")
        self.reason = reason
        self.account = account


async def authenticate(
    db: Database,
    keys: Keys,
    login: str,
    password: str,
    code: str,
    clock: Callable[[], datetime],
    *,
    single_use_codes: bool = True,
) -> Account:
    """Check all at once; an account without a one-time-code secret needs no code.

    Raises LoginError. `Account.two_factors` tells how strong the login was.
    """
    account = await check_password(db, login, password, clock)
    if not account.two_factors:
        return account
    return await check_code(db, keys, account.id, code, clock, single_use_codes=single_use_codes)


async def check_password(
    db: Database, login: str, password: str, clock: Callable[[], datetime]
) -> Account:
    """First step of a login: name and password. Raises LoginError.

    The attempt is counted before the password is looked at, so that a thousand attempts at once
    are not a thousand guesses; a right password takes its own count back.
    """
    name = normal_login(login[: LONGEST_LOGIN * 4]).replace("\0", "")
    row, locked = await _attempt(db, "login", name, clock())
    secret = normal_password(password[: LONGEST_PASSWORD * 4])
    right = await asyncio.to_thread(
        _matches, row["password_hash"] if row and not locked else NOBODY, secret
    )
    if row is None:
        raise LoginError("login-failed")
    if locked:
        raise LoginError("login-locked", account_of(row))
    if not right or len(secret) > LONGEST_PASSWORD or not row["active"]:
        raise LoginError("login-failed", account_of(row))
    account = account_of(row)
    await _succeeded(db, account.id, wholly=not account.two_factors)
    return account


async def check_code(
    db: Database,
    keys: Keys,
    account_id: str,
    code: str,
    clock: Callable[[], datetime],
    *,
    single_use_codes: bool = True,
) -> Account:
    """Second step of a login: the one-time code. Raises LoginError.

    With `single_use_codes` a code is accepted once, also by two requests at the same moment, and
    none older than the last one (RFC 6238, section 5.2).
    """
    now = clock()
    row, locked = await _attempt(db, "id", account_id, now)
    if row is None:
        raise LoginError("login-failed")
    if locked:
        raise LoginError("login-locked", account_of(row))
    step = _step_of(_secret(keys, row), code, now)
    if step is None or not row["active"]:
        raise LoginError("login-code", account_of(row))
    if single_use_codes:
        used = await db.fetchval(
            "update account set totp_step = $2 where id = $1 and totp_step < $2 returning id",
            row["id"],
            step,
        )
        if used is None:
            raise LoginError("login-code", account_of(row))
    await _succeeded(db, row["id"], wholly=True)
    return account_of(row)


_ATTEMPT = {
    column: f"""
        update account
        set failures = case when locked_until is null then failures + 1 else 1 end,
            locked_until = case
                when locked_until is null and failures + 1 >= $2 then $4::timestamptz
            end
        where {column} = $1 and (locked_until is null or locked_until <= $3)
        returning *
    """  # noqa: S608 (the column is one of two constants)
    for column in ("login", "id")
}
_FIND = {
    column: f"select * from account where {column} = $1"  # noqa: S608 (as above)
    for column in ("login", "id")
}


async def _attempt(
    db: Database, column: Literal["login", "id"], value: str, now: datetime
) -> tuple[Record | None, bool]:
    """Count an attempt; gives the account and whether it is locked.

    The tenth attempt in a row locks before it is checked and, if right, unlocks again. A count
    that a crash loses is no harm, so nobody waits for the disk here: an attempt at a name that
    exists takes no longer than at one that does not.
    """
    async with db.transaction() as connection:
        await connection.execute("set local synchronous_commit = off")
        row = await connection.fetchrow(
            _ATTEMPT[column], value, MOST_FAILURES, now, now + LOCKED_FOR
        )
        if row is not None:
            return row, False
        return await connection.fetchrow(_FIND[column], value), True


async def _succeeded(db: Database, account_id: str, *, wholly: bool) -> None:
    """Take back the count of a right step; the whole login clears what was counted before.

    The right password alone must not clear wrong codes, or codes could be guessed for ever.
    """
    await db.execute(
        """
        update account
        set failures = case when $2 then 0 else greatest(failures - 1, 0) end, locked_until = null
        where id = $1
        """,
        account_id,
        wholly,
    )


def _matches(hashed: str, secret: bytes) -> bool:
    try:
        return HASHER.verify(hashed, secret)
    except (Argon2Error, InvalidHashError):
        return False


def _secret(keys: Keys, row: Record) -> str:
    """The account's one-time-code secret, or an empty text that no code fits."""
    if row["totp"] is None:
        return ""
    try:
        return keys.decrypt(row["totp"], row["id"].encode()).decode()
    except KeysError:
        return ""


def _step_of(secret: str, code: str, now: datetime) -> int | None:
    """The time step whose code this is; every step is compared, in constant time."""
    if not secret:
        return None
    given = "".join(code.split()).encode("utf-8", "replace")
    generator = pyotp.TOTP(secret)
    current = int(now.timestamp()) // _STEP
    found: int | None = None
    for offset in _STEPS:
        expected = generator.generate_otp(current + offset).encode()
        if hmac.compare_digest(expected, given) and found is None:
            found = current + offset
    return found
