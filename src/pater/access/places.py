"""From where people log in: the browser in a few words, and whether a place is new to them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from pater.store.database import Database

KEPT: Final = timedelta(days=400)
MOST_SHOWN: Final = 20

# The first that fits; others' browsers name Chrome and Safari as well.
_BROWSERS: Final = (
    ("Edg", "Edge"), ("OPR", "Opera"), ("SamsungBrowser", "Samsung Internet"),
    ("Seznam", "Seznam.cz"), ("Firefox", "Firefox"), ("FxiOS", "Firefox"), ("CriOS", "Chrome"),
    ("Chrome", "Chrome"), ("Safari", "Safari"),
)  # fmt: skip
_SYSTEMS: Final = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
    ("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A browser on a network from which a person logged in, first and last."""

    source: str
    agent: str
    first: datetime
    last: datetime


def browser(user_agent: str) -> str:
    """A browser in a few words, such as `Firefox, Windows`; of its header nothing else is kept."""
    text = user_agent[:500]
    found = [
        next((name for mark, name in names if re.search(rf"\b{re.escape(mark)}", text)), "")
        for names in (_BROWSERS, _SYSTEMS)
    ]
    return ", ".join(name for name in found if name)


async def arrived(db: Database, account: str, source: str, agent: str, now: datetime) -> bool:
    """Remember a login; True when the account has others, and this place is new to it."""
    key = hashlib.sha256(f"{agent}\0{_network(source)}".encode()).digest()
    row = await db.fetchrow(
        """
        with before as (select exists (select 1 from login_place where account = $1) as any_place)
        insert into login_place as p (account, key, source, agent, first, last)
        values ($1, $2, $3, $4, $5, $5)
        on conflict (account, key) do update set last = $5, source = $3
        returning p.xmax = 0 as new, (select any_place from before) as known
        """,
        account,
        key,
        source,
        agent,
        now,
    )
    return bool(row and row["new"] and row["known"])


async def places_of(db: Database, account: str) -> list[Place]:
    """The places of an account, the last used first."""
    rows = await db.fetch(
        """
        select source, agent, first, last from login_place
        where account = $1 order by last desc, key limit $2
        """,
        account,
        MOST_SHOWN,
    )
    return [Place(row["source"], row["agent"], row["first"], row["last"]) for row in rows]


async def purge(db: Database, now: datetime) -> None:
    """Forget the places that were not used for more than a year."""
    await db.execute("delete from login_place where last < $1", now - KEPT)


def _network(source: str) -> str:
    """The network of an address: home connections change their last digits."""
    try:
        address = ip_address(source)
    except ValueError:
        return ""
    return address.packed[: 3 if address.version == 4 else 6].hex()
