"""The plain tables of this domain: notices that were seen, emergency accesses and their review."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pater.domain import PersonTable
from pater.fhir.definitions import TYPE_NUMBER
from pater.store.database import Database, Record

PERSONS: Final = (
    PersonTable(
        "notice", "t.communication",
        resource=(str(TYPE_NUMBER["Communication"]), "t.communication"),
    ),
)  # fmt: skip

INSERT_NOTICE: Final = (
    "insert into notice (communication, person, kind, about, sent) values ($1, $2, $3, $4, $5)"
)
FORGET_NOTICES: Final = "delete from notice where communication = any($1::text[])"
INSERT_ACCESS: Final = (
    "insert into emergency_access (id, person, agent_kind, agent, agent_name, organization,"
    " reason, since, until) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
)
PAGE: Final = 50
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ACCESS: Final = (
    "id, person, agent_kind, agent, agent_name, organization, reason, since, until, ended,"
    " reviewed, reviewer, verdict, note"
)


@dataclass(frozen=True, slots=True)
class Access:
    """One emergency access: who opened whose record, why, for how long, and what became of it.

    `verdict` is justified or not-justified once it was `reviewed`.
    """

    id: str
    person: int
    agent_kind: str
    agent: str
    agent_name: str
    organization: str
    reason: str
    since: datetime
    until: datetime
    ended: datetime | None
    reviewed: datetime | None
    reviewer: str | None
    verdict: str | None
    note: str | None

    @property
    def over(self) -> datetime:
        """When it ended, or will end."""
        return min(self.until, self.ended) if self.ended else self.until


@dataclass(frozen=True, slots=True)
class Counts:
    """How the reviews stand: waiting, and what was found since a moment."""

    waiting: int
    oldest: datetime | None
    justified: int
    not_justified: int


def _access(row: Record) -> Access:
    return Access(**dict(row))


async def open_access(
    db: Database, person: int, kind: str, agent: str, now: datetime
) -> Access | None:
    """The emergency access to a person that a caller has open."""
    row = await db.fetchrow(
        f"select {_ACCESS} from emergency_access"  # noqa: S608 constants
        " where person = $1 and agent = $2 and agent_kind = $3 and until > $4 and ended is null"
        " order by until desc limit 1",
        person,
        agent,
        kind,
        now,
    )
    return _access(row) if row else None


async def access(db: Database, id: str) -> Access | None:
    """One emergency access."""
    row = await db.fetchrow(
        f"select {_ACCESS} from emergency_access where id = $1",  # noqa: S608 constants
        id,
    )
    return _access(row) if row else None


async def waiting(db: Database, after: tuple[datetime, str] | None = None) -> list[Access]:
    """Accesses that nobody has judged, oldest first; up to one more than a page."""
    since, id = after or (_EPOCH, "")
    rows = await db.fetch(
        f"select {_ACCESS} from emergency_access where reviewed is null"  # noqa: S608 constants
        " and (since, id) > ($1, $2) order by since, id limit $3",
        since,
        id,
        PAGE + 1,
    )
    return [_access(row) for row in rows]


async def judged(db: Database, since: datetime) -> list[Access]:
    """Accesses that were judged since a moment, the last first; up to a page."""
    rows = await db.fetch(
        f"select {_ACCESS} from emergency_access where reviewed >= $1"  # noqa: S608 constants
        " order by reviewed desc, since desc limit $2",
        since,
        PAGE,
    )
    return [_access(row) for row in rows]


async def counts(db: Database, since: datetime) -> Counts:
    """How many wait, and what was found since a moment."""
    row = await db.fetchrow(
        "select (select count(*) from emergency_access where reviewed is null) as waiting,"
        " (select min(since) from emergency_access where reviewed is null) as oldest,"
        " (select count(*) from emergency_access where reviewed >= $1 and verdict = 'justified')"
        " as justified,"
        " (select count(*) from emergency_access where reviewed >= $1"
        " and verdict = 'not-justified') as not_justified",
        since,
    )
    return Counts(**dict(row)) if row else Counts(0, None, 0, 0)


async def judge(
    db: Database, id: str, reviewer: str, verdict: str, note: str, now: datetime
) -> bool:
    """Writes a verdict down; False when somebody has judged it already (or there is none)."""
    return bool(
        await db.fetchval(
            "update emergency_access set reviewed = $2, reviewer = $3, verdict = $4, note = $5"
            " where id = $1 and reviewed is null returning true",
            id,
            now,
            reviewer,
            verdict,
            note,
        )
    )


async def unjudge(db: Database, id: str, reviewer: str, since: datetime) -> bool:
    """Takes back what the same reviewer found since a moment; False when there is nothing."""
    return bool(
        await db.fetchval(
            "update emergency_access"
            " set reviewed = null, reviewer = null, verdict = null, note = null"
            " where id = $1 and reviewer = $2 and reviewed >= $3 returning true",
            id,
            reviewer,
            since,
        )
    )


async def unseen(db: Database, person: int) -> int:
    """How many notices a person has not seen; counted to 100."""
    found: int = await db.fetchval(
        "select count(*) from (select from notice where person = $1 and seen is null limit 100) n",
        person,
    )
    return found


async def unseen_among(db: Database, person: int, ids: Collection[str]) -> frozenset[str]:
    """Those of the notices that the person has not seen."""
    rows = await db.fetch(
        "select communication from notice"
        " where person = $1 and seen is null and communication = any($2::text[])",
        person,
        list(ids),
    )
    return frozenset(row["communication"] for row in rows)


async def see(db: Database, person: int, ids: Collection[str], now: datetime) -> None:
    """Marks notices as seen."""
    await db.execute(
        "update notice set seen = $3"
        " where person = $1 and seen is null and communication = any($2::text[])",
        person,
        list(ids),
        now,
    )
