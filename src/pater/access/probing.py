"""Who goes through people: counts whom each client asked for and was shown nothing of.

A guess that finds nobody and one that finds somebody whose data are refused count alike, by what
was asked and not by whom it meant, so that reaching the limit tells nothing. Memory is bounded; the
first time that somebody goes beyond what care needs is a row that every process and operator sees.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from types import MappingProxyType
from typing import Final

import structlog

from pater.access import audit
from pater.access.caller import Caller
from pater.store.database import Database, Record
from pater.store.journal import JournalEntry

WINDOW: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Bound:
    """Different people of whom nothing was shown within the window: from `alarm` on somebody is
    told, from `most` on questions that name people wait."""

    alarm: int
    most: int


BOUNDS: Final[Mapping[str, Bound]] = MappingProxyType(
    {"system": Bound(200, 1_000), "person": Bound(50, 200)}
)
"""By kind of caller; `PATER_PROBING` replaces them."""
LARGEST: Final = 10_000
KEPT: Final = timedelta(days=400)
_MOST_WATCHED: Final = 1_000
"""Clients that are remembered, with their guesses."""
_NOT_COUNTED: Final = frozenset({"loader", "patient", "proxy"})
"""Who sees everybody, and who sees one record and nothing else."""

_log = structlog.get_logger("pater.access")

Journal = Callable[[Sequence[JournalEntry]], Awaitable[None]]


@dataclass(slots=True)
class _Asked:
    """What one client asked for in vain, in this window and the one before."""

    since: datetime
    now: set[int] = field(default_factory=set)
    before: set[int] = field(default_factory=set)
    alarmed: bool = False
    stopped: bool = False

    def turn(self, at: datetime, alarm: int) -> None:
        """Begins a new half of the window when the time of this one is over."""
        passed = at - self.since
        if passed < WINDOW / 2:
            return
        self.before = self.now if passed < WINDOW else set()
        self.now, self.since = set(), at
        if len(self.before) < alarm:
            self.alarmed = self.stopped = False

    @property
    def many(self) -> int:
        """Different guesses of the last half to whole window."""
        return len(self.now) + len(self.before)


class Probing:
    """The counts of one process, and the alarms of all."""

    def __init__(self, clock: Callable[[], datetime], bounds: Mapping[str, Bound] = BOUNDS) -> None:
        self._clock, self._bounds = clock, bounds
        self._asked: OrderedDict[tuple[str, str], _Asked] = OrderedDict()

    def wait(self, caller: Caller) -> int:
        """0 when the caller may name people now, else the seconds until it may.

        Emergencies never wait; their guesses count and are told of like all others.
        """
        known = self._asked.get((caller.kind, caller.id))
        if known is None or caller.purpose == "ETREAT":
            return 0
        at, bound = self._clock(), self._bounds[caller.kind]
        known.turn(at, bound.alarm)
        if known.many < bound.most:
            return 0
        return max(1, int((known.since + WINDOW / 2 - at).total_seconds()) + 1)

    async def missed(
        self, caller: Caller, guesses: Sequence[str], db: Database, journal: Journal
    ) -> None:
        """Counts people of whom the caller was shown nothing, each by the text that named it."""
        bound = self._bounds.get(caller.kind)
        if bound is None or caller.role in _NOT_COUNTED or not caller.id:
            return
        key, at = (caller.kind, caller.id), self._clock()
        known = self._asked.pop(key, None) or _Asked(at)
        self._asked[key] = known
        if len(self._asked) > _MOST_WATCHED:
            self._asked.popitem(last=False)
        known.turn(at, bound.alarm)
        for guess in guesses:
            if known.many >= bound.most:
                break
            digest = blake2b(guess.encode("utf-8", "replace"), digest_size=8).digest()
            number = int.from_bytes(digest, "big")
            if number not in known.before:
                known.now.add(number)
        if known.many >= bound.alarm and not known.alarmed:
            known.alarmed = True
            await _tell(caller, "alarm", known.many, at, db, journal)
        if known.many >= bound.most and not known.stopped:
            known.stopped = True
            await _tell(caller, "stopped", known.many, at, db, journal)


async def _tell(
    caller: Caller, kind: str, count: int, at: datetime, db: Database, journal: Journal
) -> None:
    """A row for the operator, a line in the log and an entry in the journal."""
    new = await db.fetchval(
        """
        insert into probing_alarm
          (at, kind, agent_kind, agent, agent_name, role, organization, source, people)
        select $1, $2, $3, $4, $5, $6, $7, $8, $9
        where not exists (
          select from probing_alarm where agent = $4 and agent_kind = $3 and kind = $2 and at > $10)
        returning true
        """,
        at, kind, caller.kind, caller.id, caller.name, caller.role, caller.organization,
        caller.source, count, at - WINDOW,
    )  # fmt: skip
    if not new:
        return  # another process told of it
    _log.warning("people.probed", what=kind, client=caller.id, kind=caller.kind, people=count)
    entry = audit.entry(
        caller, "E", "operation", audit.MINOR_FAILURE, clock=lambda: at, reason=f"probing-{kind}"
    )
    await journal([entry])


_ONE: Final = re.compile(r"([a-z]{1,20})=(?:([0-9]{1,9})/([0-9]{1,9})|off)", re.ASCII)


def read_bounds(text: str, *, demo: bool = False) -> Mapping[str, Bound]:
    """`BOUNDS` with those that a setting names: `system=200/1000 person=off`, the alarm and the
    end; raises ValueError. A demonstration, where people try things out, begins with ten times
    as much."""
    times = 10 if demo else 1
    found = {kind: Bound(each.alarm * times, each.most * times) for kind, each in BOUNDS.items()}
    for word in text.replace(",", " ").split():
        one = _ONE.fullmatch(word)
        if one is None or one[1] not in BOUNDS:
            raise ValueError(f"{word!r} is not system=ALARM/MOST, person=ALARM/MOST or …=off")
        kind, alarm, most = one.groups()
        if alarm is None:
            found.pop(kind, None)
        elif not 0 < int(alarm) <= int(most) <= LARGEST:
            raise ValueError(f"{word!r}: from 1 to {LARGEST} people, the alarm first")
        else:
            found[kind] = Bound(int(alarm), int(most))
    return MappingProxyType(found)


async def alarms(db: Database, since: datetime, most: int = 100) -> list[Record]:
    """The newest alarms since a moment: at, kind, agent_kind, agent, agent_name, role,
    organization, source, people."""
    return await db.fetch(
        "select * from probing_alarm where at >= $1 order by at desc limit $2", since, most
    )


async def purge(db: Database, now: datetime) -> None:
    """Takes away what nobody asks about any more."""
    await db.execute("delete from probing_alarm where at < $1", now - KEPT)
