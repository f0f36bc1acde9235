"""The plain tables of this domain: warnings that were given, and where to write them to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pater.store.database import Database


@dataclass(frozen=True, slots=True)
class Due:
    """A certificate that ends within so many days, and its owner's IČO."""

    serial: str
    days: int
    owner: str


async def warn(
    db: Database,
    found: Sequence[Due],
    letter: Callable[[Due, str], tuple[str, Sequence[object]]],
    now: datetime,
) -> list[Due]:
    """Notes what nobody was warned of, and hands a letter to each owner with an address.

    `letter` gives the statement that hands one over; it stands or falls with the note, so several
    processes warn once. The new ones are given back.
    """
    async with db.transaction() as connection:
        rows = await connection.fetch(
            """
            with new as (
                insert into certificate_warning (serial, days, at)
                select serial, days, $4 from unnest($1::text[], $2::int[]) as t(serial, days)
                on conflict do nothing returning serial, days
            )
            select n.serial, n.days, t.owner, c.address from new n
            join unnest($1::text[], $2::int[], $3::text[]) as t(serial, days, owner)
                on t.serial = n.serial
            left join certificate_contact c on c.organization = t.owner
            """,
            [one.serial for one in found],
            [one.days for one in found],
            [one.owner for one in found],
            now,
        )
        told = []
        for row in rows:
            one = Due(row["serial"], row["days"], row["owner"])
            told.append(one)
            if row["address"]:
                sql, args = letter(one, row["address"])
                await connection.execute(sql, *args)
    return told


async def contact(db: Database, organization: str) -> str:
    """Where an organisation wants its warnings; "" when it did not say."""
    found = await db.fetchval(
        "select address from certificate_contact where organization = $1", organization
    )
    return str(found or "")


async def set_contact(
    db: Database, organization: str, address: str, account: str, now: datetime
) -> None:
    """Keeps the address; an empty one ends the letters."""
    if not address:
        await db.execute("delete from certificate_contact where organization = $1", organization)
        return
    await db.execute(
        "insert into certificate_contact (organization, address, account, updated)"
        " values ($1, $2, $3, $4) on conflict (organization) do update"
        " set address = excluded.address, account = excluded.account, updated = excluded.updated",
        organization,
        address,
        account,
        now,
    )
