"""Accounts of people: their names, roles, hashed passwords and encrypted one-time-code secrets."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyotp
from argon2 import PasswordHasher
from argon2.low_level import Type

from pater.access.policy import ROLES
from pater.access.representation import ACTING
from pater.store.database import Database, Record
from pater.trust.keys import Keys

SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 1024  # bytes; hashing more would only cost time
LONGEST_LOGIN: Final = 200

# Above OWASP's least for argon2id (19 MiB, 2 passes); a login costs about 50 ms.
HASHER: Final = PasswordHasher(
    time_cost=3, memory_cost=32 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
)


class AccountError(ValueError):
    """An account cannot be kept like this; the text says why (never with the password)."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person who can log in.

    `organization` is an IČO; `practitioner` a Practitioner id; `person` and `patient` the
    compartment number and Patient id of somebody who looks at their own record. `two_factors`
    says whether the account has a one-time-code secret.
    """

    id: str
    login: str
    name: str
    role: str
    organization: str = ""
    organization_name: str = ""
    practitioner: str | None = None
    person: int | None = None
    patient: str | None = None
    two_factors: bool = False
    active: bool = True


def normal_login(login: str) -> str:
    """A login name as it is compared: NFKC, case folded, without spaces at its ends."""
    text = login.encode("utf-8", "replace").decode()  # a lone surrogate has no place in a database
    return unicodedata.normalize("NFKC", text).strip().casefold()


def normal_password(password: str) -> bytes:
    """The bytes of a password, the same on every keyboard (NFKC, RFC 8265 in spirit)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace")


def totp_secret() -> str:
    """A fresh base32 secret for one-time codes (RFC 6238), 160 bits."""
    return pyotp.random_base32()


async def save(
    db: Database,
    keys: Keys,
    account: Account,
    password: str,
    totp: str | None,
    clock: Callable[[], datetime],
) -> Account:
    """Create the account or replace it by id, with a new password, and end its sessions.

    `totp` is a base32 secret or None. Raises AccountError for a short or overlong password, an
    unknown role or an unusable login, and for a login that another account has.
    """
    login = normal_login(account.login)
    secret = normal_password(password)
    if not 0 < len(login) <= LONGEST_LOGIN or not login.isprintable():
        raise AccountError("a login name is one line of 1 to 200 characters")
    if account.role not in ROLES or account.role == ACTING:
        raise AccountError(f"there is no role {account.role!r}")
    if len(password) < SHORTEST_PASSWORD or len(secret) > LONGEST_PASSWORD:
        raise AccountError(f"a password has at least {SHORTEST_PASSWORD} characters")
    sealed = keys.encrypt(totp.encode(), account.id.encode()) if totp else None
    async with db.transaction() as connection:
        taken = await connection.fetchval(
            "select 1 from account where login = $1 and id <> $2", login, account.id
        )
        if taken:
            raise AccountError("another account has this login name")
        row = await connection.fetchrow(
            """
            insert into account (id, login, name, role, organization, organization_name,
                                 practitioner, person, patient, password_hash, totp, active,
                                 updated)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            on conflict (id) do update
            set login = excluded.login, name = excluded.name, role = excluded.role,
                organization = excluded.organization,
                organization_name = excluded.organization_name,
                practitioner = excluded.practitioner, person = excluded.person,
                patient = excluded.patient, password_hash = excluded.password_hash,
                totp = excluded.totp, active = excluded.active, updated = excluded.updated,
                failures = 0, locked_until = null
            returning *
            """,
            account.id,
            login,
            account.name,
            account.role,
            account.organization,
            account.organization_name,
            account.practitioner,
            account.person,
            account.patient,
            HASHER.hash(secret),
            sealed,
            account.active,
            clock(),
        )
        await connection.execute("delete from session where account = $1", account.id)
    if row is None:
        raise AccountError("the account was not written")
    return account_of(row)


async def tie(db: Database, account_id: str, person: int, patient: str) -> None:
    """Tie an account to the person and the Patient id of its own record."""
    await db.execute(
        "update account set person = $2, patient = $3 where id = $1", account_id, person, patient
    )


async def find(db: Database, account_id: str) -> Account | None:
    """The account of an id, active or not."""
    row = await db.fetchrow("select * from account where id = $1", account_id)
    return None if row is None else account_of(row)


async def find_many(db: Database, ids: Collection[str]) -> dict[str, Account]:
    """The accounts of several ids, active or not, in one look."""
    rows = await db.fetch("select * from account where id = any($1)", list(ids)) if ids else []
    return {row["id"]: account_of(row) for row in rows}


async def find_by_login(db: Database, login: str) -> Account | None:
    """The account of a login name, active or not."""
    row = await db.fetchrow("select * from account where login = $1", normal_login(login))
    return None if row is None else account_of(row)


async def current_code(
    db: Database, keys: Keys, login: str, clock: Callable[[], datetime]
) -> str | None:
    """The one-time code valid now, for the demonstration's page only; None without a secret."""
    row = await db.fetchrow("select id, totp from account where login = $1", normal_login(login))
    if row is None or row["totp"] is None:
        return None
    secret = keys.decrypt(row["totp"], row["id"].encode()).decode()
    return pyotp.TOTP(secret).at(clock())


def account_of(row: Record) -> Account:
    """The account of a table row."""
    return Account(
        id=row["id"],
        login=row["login"],
        name=row["name"],
        role=row["role"],
        organization=row["organization"],
        organization_name=row["organization_name"],
        practitioner=row["practitioner"],
        person=row["person"],
        patient=row["patient"],
        two_factors=row["totp"] is not None,
        active=row["active"],
    )
