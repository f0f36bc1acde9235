"""Checks a password and a second factor: slowly for guessers, alike for whoever asks."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal

import pyotp
from argon2.exceptions import Argon2Error, InvalidHashError

from pater.access import lockout, single_codes
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

_STEP: Final = 30  # seconds of one one-time code (RFC 6238, section 4.1)
_STEPS: Final = (0, -1, 1)  # one step of clock drift either way (RFC 6238, section 5.2)

# The hash of a password that nobody has, with the parameters of HASHER: an unknown login name
# costs the same work as a wrong password.
NOBODY: Final = (
    "$argon2id$v=19$m=32768,t=3,p=1$"
    "F7J17DzD8agEgB3qY08VvA$0enmkIetstbm91oO7+kg797f71neCNfGm30csboDgjQ"
)

LoginReason = Literal["login-failed", "login-locked", "login-code", "login-source"]


class LoginError(Exception):
    """The login is refused. `reason` is a key of `policy_texts` and for the journal only: who
    tries is told nothing but that it failed, or `until` when the name or their network address is
    locked, which is the same for names that nobody has. `account` is whose login name it was, if
    anybody's.
    """

    def __init__(
        self,
        reason: LoginReason,
        account: Account | None = None,
        until: datetime | None = None,
    ) -> None:
        super().__init__("the login name, password or code is wrong, or the account is locked")
        self.reason = reason
        self.account = account
        self.until = until


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
    db: Database,
    login: str,
    password: str,
    clock: Callable[[], datetime],
    *,
    source: str = "",
) -> Account:
    """First step of a login: name and password. Raises LoginError.

    The attempt is counted before the password is looked at, so that a thousand attempts at once
    are not a thousand guesses; a right password takes its own count back. `source` is the network
    address, counted as well when it is one.
    """
    name = normal_login(login[: LONGEST_LOGIN * 4]).replace("\0", "")
    problem, until = await _counted(db, name, source, clock())
    row = await db.fetchrow("select * from account where login = $1", name)
    secret = normal_password(password[: LONGEST_PASSWORD * 4])
    right = await asyncio.to_thread(
        _matches, row["password_hash"] if row and not problem else NOBODY, secret
    )
    if problem:
        raise LoginError(problem, account_of(row) if row else None, until)
    if row is None:
        raise LoginError("login-failed")
    if not right or len(secret) > LONGEST_PASSWORD or not row["active"]:
        raise LoginError("login-failed", account_of(row))
    account = account_of(row)
    await _succeeded(db, name, source, wholly=not account.two_factors)
    return account


async def check_code(
    db: Database,
    keys: Keys,
    account_id: str,
    code: str,
    clock: Callable[[], datetime],
    *,
    single_use_codes: bool = True,
    source: str = "",
) -> Account:
    """Second step of a login: the one-time code of the authenticator app. Raises LoginError.

    With `single_use_codes` a code is accepted once, also by two requests at the same moment, and
    none older than the last one (RFC 6238, section 5.2).
    """
    now = clock()
    row = await _counted_account(db, account_id, source, now)
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
    await _succeeded(db, row["login"], source, wholly=True)
    return account_of(row)


async def check_single_code(
    db: Database,
    keys: Keys,
    account_id: str,
    code: str,
    clock: Callable[[], datetime],
    *,
    source: str = "",
) -> Account:
    """Second step with a recovery code, or with the code that an operator gave; LoginError."""
    now = clock()
    row = await _counted_account(db, account_id, source, now)
    if not row["active"] or not await single_codes.use(db, keys, account_id, code, now):
        raise LoginError("login-code", account_of(row))
    await _succeeded(db, row["login"], source, wholly=True)
    return account_of(row)


async def _counted_account(db: Database, account_id: str, source: str, now: datetime) -> Record:
    row = await db.fetchrow("select * from account where id = $1", account_id)
    if row is None:
        raise LoginError("login-failed")
    problem, until = await _counted(db, row["login"], source, now)
    if problem:
        raise LoginError(problem, account_of(row), until)
    return row


async def _counted(
    db: Database, login: str, source: str, now: datetime
) -> tuple[LoginReason | None, datetime | None]:
    """Count an attempt; gives why and until when it is not looked at, if so.

    From a locked address nothing is counted against a name: there, nobody locks others out.
    """
    key = lockout.source_key(source)
    if key is not None:
        until = await lockout.attempt(db, key, lockout.SOURCE, now)
        if until is not None:
            return "login-source", until
    until = await lockout.attempt(db, lockout.name_key(login), lockout.NAME, now)
    return ("login-locked", until) if until is not None else (None, None)


async def _succeeded(db: Database, login: str, source: str, *, wholly: bool) -> None:
    """Take back the count of a right step; the whole login clears what was counted before.

    The right password alone must not clear wrong codes, or codes could be guessed for ever; nor
    does a login clear its network address, or guesses could hide between one's own logins.
    """
    key = lockout.source_key(source)
    if key is not None:
        await lockout.take_back(db, key)
    settle = lockout.clear if wholly else lockout.take_back
    await settle(db, lockout.name_key(login))


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
