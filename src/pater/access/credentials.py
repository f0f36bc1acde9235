"""What accounts prove themselves by, changed by their person or by an operator."""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyotp

from pater.access import lockout, single_codes
from pater.access.accounts import HASHER, Account, normal_login, normal_password
from pater.access.login import NOBODY
from pater.store.database import Database
from pater.trust.keys import Keys

_STEP: Final = 30  # seconds of one one-time code


@dataclass(frozen=True, slots=True)
class Factors:
    """What second factors an account has."""

    totp: bool
    passkeys: int
    codes: single_codes.Left
    operator_code: bool
    password_changed: datetime | None
    password: bool = True  # False for who came by a provider of identities and has none

    @property
    def any(self) -> bool:
        """Whether there is something that a login can be finished with, again and again."""
        return self.totp or self.passkeys > 0


async def factors(db: Database, account: str, now: datetime) -> Factors:
    """What the account has."""
    row = await db.fetchrow(
        """
        select a.totp is not null as totp, a.password_changed, a.password_hash <> $3 as password,
               (select count(*) from passkey p where p.account = a.id) as passkeys,
               exists (select 1 from single_code c where c.account = a.id and c.operator
                       and c.used is null and c.expires > $2) as operator_code
        from account a where a.id = $1
        """,
        account,
        now,
        NOBODY,
    )
    codes = await single_codes.left(db, account)
    if row is None:
        return Factors(False, 0, codes, False, None)
    return Factors(
        row["totp"],
        row["passkeys"],
        codes,
        row["operator_code"],
        row["password_changed"],
        row["password"],
    )


async def set_password(db: Database, account: str, password: str, now: datetime) -> None:
    """Another password, whose fitness was checked (`passwords.fault`)."""
    hashed = await asyncio.to_thread(HASHER.hash, normal_password(password))
    await db.execute(
        "update account set password_hash = $2, password_changed = $3, updated = $3 where id = $1",
        account,
        hashed,
        now,
    )


async def set_totp(
    db: Database, keys: Keys, account: str, secret: str, code: str, now: datetime
) -> bool:
    """An authenticator app with this base32 secret, proved by a code of it; False for a wrong one.

    The code that proved it is no code for a login any more.
    """
    step = int(now.timestamp()) // _STEP
    given = "".join(code.split()).encode("utf-8", "replace")
    generator = pyotp.TOTP(secret)
    fits = [
        step + offset
        for offset in (-1, 0, 1)
        if hmac.compare_digest(generator.generate_otp(step + offset).encode(), given)
    ]
    if not fits:
        return False
    await db.execute(
        "update account set totp = $2, totp_step = $3, updated = $4 where id = $1",
        account,
        keys.encrypt(secret.encode(), account.encode()),
        fits[-1],
        now,
    )
    return True


async def set_active(db: Database, account: Account, active: bool, now: datetime) -> None:
    """An operator closes an account, which ends its sessions, or opens it again.

    Opening also forgets refused attempts, and those only when it was open.
    """
    async with db.transaction() as connection:
        await connection.execute(
            "update account set active = $2, updated = $3 where id = $1", account.id, active, now
        )
        if not active:
            await connection.execute("delete from session where account = $1", account.id)
    if active:
        await lockout.clear(db, lockout.name_key(normal_login(account.login)))


async def reset(db: Database, keys: Keys, account: str, now: datetime) -> str:
    """Take away every second factor and session; gives a code that works once instead of one."""
    async with db.transaction() as connection:
        await connection.execute(
            "update account set totp = null, updated = $2 where id = $1", account, now
        )
        await connection.execute("delete from passkey where account = $1", account)
        await connection.execute("delete from single_code where account = $1", account)
        await connection.execute("delete from session where account = $1", account)
        return await single_codes.hand_out(connection, keys, account, now)
