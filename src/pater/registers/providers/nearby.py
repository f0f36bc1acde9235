"""Which facilities near a place offer something and are open: the nearest first, true distances.

The index gives places in the order of the plane, a few per cent off; as many are asked for as it
takes until none that was not looked at can be nearer than the last one given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pater.registers.providers.hours import minute_of_week
from pater.registers.providers.plane import DEGREE, distance, flat, skew
from pater.store.database import Database, Record

MOST: Final = 200
"""Facilities that one question gives at most."""
WIDEST: Final = 1_000_000.0
"""Metres within which the nearest are found."""
_MOST_LOOKED_AT: Final = 20_000
_FIRST: Final = 300
"""Services, open or not, among which the first look expects enough open ones."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is looked for.

    `at` is latitude and longitude, `within` metres (None = up to `WIDEST`). `code` is what is
    offered ("" = anything), of a `system` ("" = any). `open_at` is an aware moment (None =
    whenever). `words` are normalised beginnings of words. Without `at` the order is by name, and
    `after` is the name and id of the last facility of the page before.
    """

    at: tuple[float, float] | None = None
    within: float | None = None
    code: str = ""
    system: str = ""
    open_at: datetime | None = None
    words: tuple[str, ...] = ()
    count: int = 20
    after: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Facility:
    """One that was found, with one of its services that fit ("" = none was asked for)."""

    place: str
    organization: str
    name: str
    provider: str
    kind: str
    address: str
    lat: float | None
    lon: float | None
    metres: float | None
    service: str = ""
    title: str = ""


_PLACE = "p.place, p.organization, p.name, p.provider, p.kind, p.address, p.lat, p.lon"


async def find(db: Database, wish: Wish) -> list[Facility]:
    """The facilities that fit, `wish.count` of them at most (and at most `MOST`)."""
    count = max(0, min(wish.count, MOST))
    if count == 0:
        return []
    if wish.at is None:
        rows = await db.ask(*_by_name(wish, count))
        return [_facility(row, None) for row in rows]
    within = min(WIDEST, WIDEST if wish.within is None else wish.within)
    if wish.code and wish.open_at is not None:
        # By day most are open: among the nearest that offer it there are enough.
        rows = await db.ask(*_nearest(wish, wish.at, within, _FIRST, whenever=True))
        some = [row for row in rows if row["open"]]
        found = _sorted(wish.at, some, within)
        if len(rows) < _FIRST or _enough(wish.at, found, count, rows):
            return found[:count]
    looked_at = count + count // 2 + 20
    while True:
        rows = await db.ask(*_nearest(wish, wish.at, within, looked_at))
        found = _sorted(wish.at, rows, within)
        last = len(rows) < looked_at or looked_at >= _MOST_LOOKED_AT
        if last or _enough(wish.at, found, count, rows):
            return found[:count]
        looked_at *= 4


def _enough(
    at: tuple[float, float], found: Sequence[Facility], count: int, rows: Sequence[Record]
) -> bool:
    """Whether the first `count` are right: what is nearer than the last of them stands before the
    last row of the plane."""
    if len(found) < count:
        return False
    last = found[count - 1].metres or 0.0
    return last / DEGREE * skew(at[0], last) <= float(rows[-1]["planar"])


def _sorted(at: tuple[float, float], rows: Sequence[Record], within: float) -> list[Facility]:
    """By true distance, each facility once, none beyond."""
    seen: dict[str, Facility] = {}
    for row in rows:
        if row["place"] not in seen:
            seen[row["place"]] = _facility(row, distance(at, (row["lat"], row["lon"])))
    near = [each for each in seen.values() if (each.metres or 0) <= within]
    return sorted(near, key=lambda each: (each.metres or 0, each.place))


def _nearest(
    wish: Wish, at: tuple[float, float], within: float, count: int, *, whenever: bool = False
) -> tuple[str, *tuple[Any, ...]]:
    """The statement for the nearest; `whenever` = also closed ones, with `open` told."""
    args: list[Any] = []
    x, y = flat(*at)
    here = f"point({_arg(args, x)}::float8, {_arg(args, y)}::float8)"
    offered = bool(wish.code or wish.open_at)
    table = "o" if offered else "p"
    conditions = ["p.active", f"{table}.at is not null", *_worded(wish, args)]
    if within < WIDEST:
        radius = within / DEGREE * skew(at[0], within)
        conditions.append(f"{table}.at <@ circle({here}, {_arg(args, radius)}::float8)")
    wanted, source = _source(offered)
    codes, times = _coded(wish, args), _open(wish, args)
    if whenever:
        wanted += f", coalesce({' and '.join(times)}, false) as open"
        conditions += codes
    elif wish.code and wish.open_at:
        # Few of the nearest may be open: all that offer it are fewer than what a walk by distance
        # would pass. The planner cannot know how many are open at a minute, so it is told.
        own = " and ".join(codes + times)
        inner = f"(select * from provider_offer o where {own} offset 0)"  # noqa: S608 constants
        source = source.replace("provider_offer", inner, 1)
    else:
        conditions += codes + times
    return (
        f"select {wanted}, {table}.at <-> {here} as planar from {source}"  # noqa: S608 constants
        f" where {' and '.join(conditions)} order by {table}.at <-> {here}"
        f" limit {_arg(args, count)}::int",
        *args,
    )


def _by_name(wish: Wish, count: int) -> tuple[str, *tuple[Any, ...]]:
    args: list[Any] = []
    conditions = ["p.active"]
    if wish.after is not None:
        name, place = (_arg(args, each) for each in wish.after)
        conditions.append(f"(p.name, p.place) > ({name}::text, {place}::text)")
    if wish.code or wish.open_at:
        inner = ["o.place = p.place", *_coded(wish, args), *_open(wish, args)]
        source = (
            "provider_place p cross join lateral (select o.service, o.title from"  # noqa: S608
            f" provider_offer o where {' and '.join(inner)} limit 1) o"
        )
        wanted = f"{_PLACE}, o.service, o.title"
    else:
        wanted, source = _source(offered=False)
    conditions += _worded(wish, args)
    return (
        f"select {wanted} from {source} where {' and '.join(conditions)}"  # noqa: S608 constants
        f" order by p.name, p.place limit {_arg(args, count)}::int",
        *args,
    )


def _source(offered: bool) -> tuple[str, str]:
    if not offered:
        return f"{_PLACE}, '' as service, '' as title", "provider_place p"
    return (
        f"{_PLACE}, o.service, o.title",
        "provider_offer o join provider_place p on p.place = o.place",
    )


def _coded(wish: Wish, args: list[Any]) -> list[str]:
    found = [f"o.code = {_arg(args, wish.code)}"] if wish.code else []
    return [*found, f"o.system = {_arg(args, wish.system)}"] if wish.system else found


def _open(wish: Wish, args: list[Any]) -> list[str]:
    if wish.open_at is None:
        return []
    return [
        f"o.hours @> {_arg(args, minute_of_week(wish.open_at))}::int4",
        f"not o.closed @> {_arg(args, wish.open_at)}::timestamptz",
    ]


def _worded(wish: Wish, args: list[Any]) -> list[str]:
    if not wish.words:
        return []
    # letters and digits only: nothing that a tsquery could take for its own
    query = " & ".join(f"{word}:*" for word in wish.words if word.isalnum())
    return [f"p.words @@ {_arg(args, query)}::tsquery"]


def _arg(args: list[Any], value: Any) -> str:
    args.append(value)
    return f"${len(args)}"


def _facility(row: Record, metres: float | None) -> Facility:
    return Facility(
        row["place"], row["organization"], row["name"], row["provider"], row["kind"],
        row["address"], row["lat"], row["lon"], metres, row["service"], row["title"],
    )  # fmt: skip
