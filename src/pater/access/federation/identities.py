"""Which accounts somebody known to a provider has here: links, and a patient's first account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final
from uuid import uuid4

from pater.access.accounts import Account, account_of
from pater.access.login import NOBODY
from pater.store.database import Database

MOST: Final = 10
_TOUCH: Final = timedelta(minutes=1)


async def linked(db: Database, issuer: str, subject: str) -> list[Account]:
    """The accounts that are linked with a provider's `sub` (at most 10), active or not."""
    rows = await db.fetch(
        """
        select a.* from federated_identity f join account a on a.id = f.account
        where f.issuer = $1 and f.subject = $2 order by f.linked, a.id limit $3
        """,
        issuer,
        subject,
        MOST,
    )
    return [account_of(row) for row in rows]


async def link(db: Database, issuer: str, subject: str, account: str, now: datetime) -> bool:
    """Link an account with a `sub`, or note that the link was used; True when it is new."""
    row = await db.fetchrow(
        """
        insert into federated_identity as f (issuer, subject, account, linked, used)
        values ($1, $2, $3, $4, $4)
        on conflict (issuer, subject, account) do update set used = $4 where f.used < $5
        returning f.xmax = 0 as new
        """,
        issuer,
        subject,
        account,
        now,
        now - _TOUCH,
    )
    return bool(row and row["new"])


async def issuers_of(db: Database, account: str) -> list[str]:
    """The providers by which an account is known."""
    rows = await db.fetch(
        "select distinct issuer from federated_identity"
        " where account = $1 order by issuer limit $2",
        account,
        MOST,
    )
    return [row["issuer"] for row in rows]


async def of_person(db: Database, person: int) -> list[Account]:
    """The accounts with which a person sees their own record, active or not."""
    rows = await db.fetch(
        "select * from account where person = $1 and role = 'patient' order by id limit $2",
        person,
        MOST,
    )
    return [account_of(row) for row in rows]


async def of_professional(db: Database, number: str) -> list[Account]:
    """The accounts of a professional by their number, one for each employer, active or not."""
    rows = await db.fetch(
        """
        select * from account where professional = $1 and professional <> ''
        order by organization_name, id limit $2
        """,
        number,
        MOST,
    )
    return [account_of(row) for row in rows]


async def professional_numbers(db: Database, accounts: Sequence[str]) -> dict[str, str]:
    """The number of each of the accounts, "" for who is no professional."""
    rows = await db.fetch(
        "select id, professional from account where id = any($1)", list(accounts)
    )  # fmt: skip
    return {row["id"]: row["professional"] for row in rows}


async def set_professional(db: Database, account: str, number: str, now: datetime) -> None:
    """The number by which providers name a professional."""
    await db.execute(
        "update account set professional = $2, updated = $3 where id = $1", account, number, now
    )


async def open_patient(
    db: Database, person: int, patient: str, name: str, now: datetime
) -> tuple[Account, bool]:
    """The account of a person, made when there is none; of two at once one makes it.

    It has no password: nobody's hash, so that trying one takes as long as for any other. The
    second value tells whether it is new.
    """
    key = int.from_bytes(blake2b(f"patient account {person}".encode(), digest_size=8).digest())
    async with db.transaction() as connection:
        await connection.execute("select pg_advisory_xact_lock($1)", key - (1 << 63))
        found = await connection.fetchrow(
            "select * from account where person = $1 and role = 'patient' order by id limit 1",
            person,
        )
        if found is not None:
            return account_of(found), False
        id = str(uuid4())
        row = await connection.fetchrow(
            """
            insert into account (id, login, name, role, organization, organization_name, person,
                                 patient, password_hash, active, updated)
            values ($1, $1, $2, 'patient', '', '', $3, $4, $5, true, $6) returning *
            """,
            id,
            name,
            person,
            patient,
            NOBODY,
            now,
        )
    if row is None:
        raise LookupError(id)
    return account_of(row), True
