"""From the feed to events: each write is compared once, and numbered once for each subscriber.

One process at a time does it, under a lock that ends with its transaction; events and the cursor
are written together. A process that is killed leaves nothing behind, and the next goes on from the
cursor: no write is missed, none is numbered twice.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from pater.access.caller import Caller
from pater.fhir.json import parse
from pater.rest.subscriptions import tables
from pater.rest.subscriptions.keeping import asked_of
from pater.rest.subscriptions.matching import Families, Index, Version, Write
from pater.rest.subscriptions.ports import Ports
from pater.rest.subscriptions.rights import Owner, callers_of
from pater.rest.subscriptions.topics import Topic
from pater.store.database import Connection
from pater.store.feed import Change, FeedEvent, advance, read_feed
from pater.store.read import Stored
from pater.store.search.families import families
from pater.store.search.rows import Reader
from pater.store.versions import read_versions

_BATCH: Final = 200
_MOST_CHANGES: Final = 2_000
_YIELD_EVERY: Final = 50
# While nobody subscribes the cursor is only moved along now and then.
_IDLE_LOOK: Final = 2.0
_PATIENTS: Final = re.compile(rb'[/"]Patient/([A-Za-z0-9\-.]{1,64})["/]')
_OURS: Final = frozenset({"Subscription", "Basic"})
_log = structlog.get_logger("pater.subscriptions")

Found = tuple[str, datetime, str, str, int, str]
"""(subscription, at, type, id, version, method)"""


@dataclass(slots=True)
class Follower:
    """Follows the feed for all subscriptions, in one of the processes."""

    ports: Ports
    index: Index = field(init=False)
    owners: dict[str, Owner] = field(default_factory=dict)
    types: dict[str, set[str]] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)
    place: tuple[int, int] = (-1, -1)

    def __post_init__(self) -> None:
        self.index = Index(self.ports.base_url)

    async def run(self, stop: asyncio.Event) -> None:
        """Follows until told to stop; a failure is logged and tried again."""
        failures = 0
        while not stop.is_set():
            pause = self.ports.pace.look
            try:
                if await self.step():
                    pause = 0.0
                elif not self.revisions:
                    pause = max(pause, min(_IDLE_LOOK, 8 * pause))
                failures = 0
            except Exception as error:
                failures += 1
                _log.error("subscriptions: following failed", kind=type(error).__name__)
                pause = min(2.0**failures, 60.0)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)

    async def step(self) -> bool:
        """Turns one batch of the feed into events; False when there is nothing (more) to do."""
        async with self.ports.db.transaction() as connection:
            if not await tables.follow_alone(connection):
                return False
            if await tables.cursor_of(connection) != self.place:
                await self._learn(await tables.revisions(connection))  # another process was here
            if not self.revisions:
                await tables.skip(self.ports.db)
            events = _bounded(await read_feed(self.ports.db, tables.LISTENER, _BATCH))
            if not events:
                return False
            if any(change.type in _OURS for event in events for change in event.changes):
                await self._learn(await tables.revisions(connection))
            await self._write(connection, events, await self._compare(events))
        self.place = events[-1].xid, events[-1].seq
        return True

    async def _learn(self, revisions: dict[str, int]) -> None:
        """Brings the index to the subscriptions that live now."""
        for id_ in self.revisions.keys() - revisions.keys():
            self._drop(id_)
        changed = [id_ for id_, number in revisions.items() if self.revisions.get(id_) != number]
        topics: dict[str, Topic | None] = {}
        for start in range(0, len(changed), 500):
            some = changed[start : start + 500]
            for number, kept in enumerate(await tables.find(self.ports.db, some)):
                if number % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)  # requests go first
                asked = await asked_of(self.ports, kept, topics)
                self.index.add(kept.id, asked.watches if asked else ())
                self.owners[kept.id] = kept.owner
                self.types[kept.id] = {w.trigger.type for w in asked.watches} if asked else set()
                self.revisions[kept.id] = revisions[kept.id]

    def _drop(self, id: str) -> None:
        self.index.remove(id)
        del self.revisions[id]
        self.owners.pop(id, None)
        self.types.pop(id, None)

    async def _compare(self, events: Sequence[FeedEvent]) -> list[tuple[int, Found]]:
        """The events that the batch makes, each with the transaction it was written in."""
        wanted = [
            (event, change)
            for event in events
            for change in event.changes
            if self.index.follows(change.type)
        ]
        keys = []
        for _, change in wanted:
            keys.append((change.type, change.id, change.version))
            if change.version > 1 and (
                change.method == "DELETE" or self.index.needs_previous(change.type)
            ):
                keys.append((change.type, change.id, change.version - 1))
        stored = await read_versions(self.ports.db, keys)
        linked = await self._families(stored)
        found: list[tuple[int, Found]] = []
        told: list[tuple[Found, Stored]] = []
        for number, (event, change) in enumerate(wanted, start=1):
            if number % _YIELD_EVERY == 0:
                await asyncio.sleep(0)  # requests go first
            now = stored.get((change.type, change.id, change.version))
            before = stored.get((change.type, change.id, change.version - 1))
            write = _write(change, now, before, linked)
            if now is None or write is None:
                continue  # expunged meanwhile
            for id_ in self.index.events(change.type, write):
                one = (id_, event.at, change.type, change.id, change.version, change.method)
                found.append((event.xid, one))
                told.append((one, now))
        return await self._allowed(found, told)

    async def _families(self, stored: Mapping[tuple[str, str, int], Stored]) -> Families:
        """Of the Patients that these versions name or are, those who are one with others."""
        named = {id_ for type_, id_, _ in stored if type_ == "Patient"}
        for number, each in enumerate(stored.values(), start=1):
            named.update(found.decode() for found in _PATIENTS.findall(each.body))
            if number % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
        return await families(Reader(self.ports.db), named) if named else {}

    async def _allowed(
        self, found: list[tuple[int, Found]], told: Sequence[tuple[Found, Stored]]
    ) -> list[tuple[int, Found]]:
        """Those events that their subscribers may know of: only they get a number."""
        if not found:
            return []
        owners = {self.owners[one[0]] for one, _ in told}
        callers = await callers_of(self.ports.db, owners, self.ports.employed)
        for_owner: dict[Owner, list[Stored]] = {}
        for one, stored in told:
            for_owner.setdefault(self.owners[one[0]], []).append(stored)
        told_of: set[tuple[Owner, str, str, int]] = set()
        for owner, versions in for_owner.items():
            caller = callers[owner]
            if caller is not None:
                for each in await self.ports.gate.visible(caller, versions):
                    told_of.add((owner, each.type, each.id, each.version))
        # that nothing is left of the rights is the deliverer's to find out, with an error to tell
        over = {one[0] for _, one in found if self._ended(one[0], callers[self.owners[one[0]]])}
        return [
            (xid, one)
            for xid, one in found
            if one[0] in over or (self.owners[one[0]], one[2], one[3], one[4]) in told_of
        ]

    def _ended(self, id: str, caller: Caller | None) -> bool:
        gate = self.ports.gate
        return caller is None or all(gate.open_to(caller, type_) for type_ in self.types[id])

    async def _write(
        self,
        connection: Connection,
        events: Sequence[FeedEvent],
        found: Sequence[tuple[int, Found]],
    ) -> None:
        if found:
            since = await tables.started(connection, {one[0] for _, one in found})
            await tables.tell(
                connection,
                [one for xid, one in found if one[0] in since and xid > since[one[0]]],
            )
        await advance(connection, tables.LISTENER, events[-1])


def _bounded(events: list[FeedEvent]) -> list[FeedEvent]:
    """The first events of a batch that together hold not too many changes; at least one."""
    total = 0
    for number, event in enumerate(events):
        total += len(event.changes)
        if total > _MOST_CHANGES and number:
            return events[:number]
    return events


def _write(
    change: Change, now: Stored | None, before: Stored | None, linked: Families
) -> Write | None:
    previous = None
    if before is not None and not before.deleted:
        previous = Version.of(parse(before.body), linked)
    if now is None:
        return None
    if now.deleted:
        return Write("delete", previous, None) if previous else None
    created = change.version == 1 or (before is not None and before.deleted)
    return Write("create" if created else "update", previous, Version.of(parse(now.body), linked))
