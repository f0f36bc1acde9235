"""Who acts for whom: parents for children, guardians, persons whom a patient authorised.

A representation gives reading for the time it says and of the categories it says. A parent's ends
on the child's birthday of the policy's age; from an earlier one the categories that the policy
names are hidden from the parent, until the child shows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from pater.access.caller import Caller
from pater.access.deciding import Ages
from pater.access.facts import NOTHING, Facts
from pater.access.relations import EVER
from pater.fhir.labels import (
    CATEGORY_MASK,
    CONFIDENTIALITY_MASK,
    RESTRICTED,
    VERY_RESTRICTED,
    Level,
    Veil,
    category_bits,
)
from pater.store.database import Database, Record
from pater.store.write import Statement

Kind = Literal["parent", "guardian", "authorised"]

ACTING: Final = "proxy"
"""The role of a caller who acts for somebody, and the relation that it needs."""
REGISTER: Final = "register"
"""The source of what an official entered."""
REZA: Final = "reza"
"""The source of what the state's register of rights and mandates says."""
MOST: Final = 200
"""Representations of one person, or by one person, that are listed."""
ZONE: Final = ZoneInfo("Europe/Prague")
"""Where a day begins."""

_COLUMNS: Final = (
    "id, person, patient, person_name, agent, agent_name, kind, source, reference, categories,"
    " born, opened, since, least(until, '9999-12-31 UTC') as until, ended, recorded"
)
_HOLDS: Final = "ended is null and since <= $2 and until > $2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Representation:
    """That `agent` acts for `person` from `since` until `until` (not within) or `ended`."""

    id: str
    person: int
    patient: str
    person_name: str
    agent: int
    agent_name: str
    kind: Kind
    source: str
    since: datetime
    recorded: datetime
    until: datetime = EVER
    reference: str = ""
    categories: frozenset[str] = frozenset()
    born: date | None = None
    opened: datetime | None = None
    ended: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it holds at a moment."""
        over = self.until if self.ended is None else min(self.until, self.ended)
        return self.since <= now < over


def birthday(born: date, age: int) -> datetime:
    """The moment when somebody reaches an age: the beginning of that day here.

    Who was born on 29 February does so on 28 February where there is no such day (Civil Code, act
    89/2012, section 605: a time counted in years ends on the last day of the month then).
    """
    try:
        day = born.replace(year=born.year + age)
    except ValueError:
        day = date(born.year + age, 2, 28)
    return datetime.combine(day, time(), ZONE)


def has_own_say(one: Representation, now: datetime, ages: Ages) -> bool:
    """Whether a parent acts for a child who is old enough to have secrets."""
    return one.kind == "parent" and one.born is not None and now >= birthday(one.born, ages.own_say)


def facts_of(one: Representation, now: datetime, ages: Ages) -> Facts:
    """How the one who acts stands to the represented at a moment."""
    if not one.holds(now):
        return NOTHING
    if one.kind == "parent" and (one.born is None or now >= birthday(one.born, ages.until)):
        return NOTHING
    return Facts(frozenset({ACTING}), _veil(one, now, ages))


def _veil(one: Representation, now: datetime, ages: Ages) -> Veil:
    nothing: frozenset[int] = frozenset()
    if has_own_say(one, now, ages) and not (one.opened and one.opened <= now):
        marked = frozenset({RESTRICTED << 6, VERY_RESTRICTED << 6})
        hidden = frozenset(map(category_bits, ages.hides))
        return Veil(
            (
                Level(CONFIDENTIALITY_MASK, nothing, marked),
                Level(CATEGORY_MASK, nothing, hidden),
            )
        )
    if one.categories:
        shown = frozenset(map(category_bits, one.categories | {"identification"}))
        return Veil((Level(CATEGORY_MASK, shown, nothing),), otherwise=True)
    return Veil(())


def first_moment(day: date) -> datetime:
    """When a day begins here."""
    return datetime.combine(day, time(), ZONE)


def moment_after(day: date) -> datetime:
    """When a day is over here."""
    return first_moment(day + timedelta(days=1))


async def represented(db: Database, agent: int, now: datetime) -> list[Representation]:
    """For whom a person acts at a moment; by name, at most `MOST`."""
    rows = await db.fetch(
        f"select {_COLUMNS} from representation"  # noqa: S608 constants
        f" where agent = $1 and {_HOLDS} order by person_name, id limit $3",
        agent,
        now,
        MOST,
    )
    return [of_row(row) for row in rows]


async def representatives(db: Database, person: int, now: datetime) -> list[Representation]:
    """Who acts for a person at a moment or will later; by name, at most `MOST`."""
    rows = await db.fetch(
        f"select {_COLUMNS} from representation"  # noqa: S608 constants
        " where person = $1 and ended is null and until > $2 order by agent_name, id limit $3",
        person,
        now,
        MOST,
    )
    return [of_row(row) for row in rows]


async def history(db: Database, person: int) -> list[Representation]:
    """All that was ever said of who acts for a person, the newest first, at most `MOST`."""
    rows = await db.fetch(
        f"select {_COLUMNS} from representation"  # noqa: S608 constants
        " where person = $1 order by since desc, id limit $2",
        person,
        MOST,
    )
    return [of_row(row) for row in rows]


async def find(db: Database, id: str) -> Representation | None:
    """One representation, whether it holds or not."""
    row = await db.fetchrow(
        f"select {_COLUMNS} from representation where id = $1",  # noqa: S608 constants
        id,
    )
    return of_row(row) if row else None


async def between(db: Database, agent: int, person: int, at: datetime) -> Representation | None:
    """How one person acts for another at a moment; else how they last did or will."""
    rows = await db.fetch(
        f"select {_COLUMNS} from representation"  # noqa: S608 constants
        " where agent = $1 and person = $2 order by since desc, id limit $3",
        agent,
        person,
        MOST,
    )
    found = [of_row(row) for row in rows]
    return next((one for one in found if one.holds(at)), found[0] if found else None)


def stepped_in(caller: Caller, one: Representation) -> Caller:
    """The caller as who acts under a representation."""
    return replace(
        caller, role=ACTING, person=one.person, patient=one.patient, acting=one.id,
        acting_for=one.person_name,
    )  # fmt: skip


async def standing_of(db: Database, id: str, persons: Sequence[int]) -> Representation | None:
    """A representation if it is of one of the persons; by a kept plan."""
    rows = await db.look_up(_STANDING, id, list(persons))
    return of_row(rows[0]) if rows else None


_STANDING: Final = (
    f"select {_COLUMNS} from representation"  # noqa: S608 constants
    " where id = $1 and person = any($2::bigint[])"
)


def made(one: Representation) -> Statement:
    """Writes a new representation down."""
    return Statement(
        "insert into representation (id, person, patient, person_name, agent, agent_name, kind,"
        " source, reference, categories, born, since, until, recorded)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,"
        " case when $13 >= '9999-12-31 UTC'::timestamptz then 'infinity' else $13 end, $14)",
        (
            one.id, one.person, one.patient, one.person_name, one.agent, one.agent_name, one.kind,
            one.source, one.reference, sorted(one.categories), one.born, one.since, one.until,
            one.recorded,
        ),
    )  # fmt: skip


def end(id: str, now: datetime) -> Statement:
    """Ends a representation; one that has ended stays as it is."""
    return Statement(
        "update representation set ended = $2 where id = $1 and ended is null", (id, now)
    )


def open_to(id: str, since: datetime | None) -> Statement:
    """Shows a parent everything from a moment on, or (None) no longer."""
    return Statement("update representation set opened = $2 where id = $1", (id, since))


def of_row(row: Record) -> Representation:
    """A representation as it stands in its table."""
    values: dict[str, Any] = dict(row)
    values["categories"] = frozenset(values["categories"])
    return Representation(**values)
