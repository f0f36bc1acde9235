"""Whose record a token speaks of, when persons were merged or parted since it was issued.

An access token names its person by number and lives for minutes. Which numbers changed hands within
this time is known in memory, asked for each second and told at once by the process that did it, so
that a request of anybody else asks the database nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from pater.access import accounts, grants
from pater.access.caller import Caller
from pater.access.tokens import LIFETIME
from pater.store.database import Database
from pater.store.read import leading

EVERY: Final = 1.0  # seconds
_SPAN: Final = 2 * LIFETIME  # an act is dated when it begins
_TRUSTED_FOR: Final = timedelta(seconds=30)
MOST: Final = 10_000
"""Acts of a span that are kept in mind; with more of them every caller is looked up."""
_LATELY: Final = """
select person, former from merge where at > $1
union select person, former from merge where undone > $1 limit $2
"""
_log = structlog.get_logger("pater.registers")


class Bearers:
    """The person numbers that changed hands within the life of an access token."""

    def __init__(self, db: Database, clock: Callable[[], datetime]) -> None:
        self._db = db
        self._clock = clock
        self._changed: dict[int, datetime] = {}
        self._heard: datetime | None = None

    def note(self, *persons: int) -> None:
        """Remembers that the records of these persons were joined or parted."""
        now = self._clock()
        self._changed.update(dict.fromkeys(persons, now))

    async def present(self, caller: Caller) -> Caller:
        """The caller with the record that is theirs now."""
        numbers = {caller.person, caller.context} - {None}
        if not numbers or (self._certain() and numbers.isdisjoint(self._changed)):
            return caller
        if caller.context is not None:
            grant = await grants.find(self._db, UUID(caller.grant))
            if grant is not None and grant.person is not None:
                caller = replace(caller, context=grant.person)
        if caller.person is None:
            return caller
        own = caller.kind == "person" and caller.role == "patient"
        account = await accounts.find(self._db, caller.id) if own else None
        if account is not None and account.person is not None:
            return replace(caller, person=account.person, patient=account.patient)
        patient = caller.patient or ""
        found = (await leading(self._db, [patient])).get(patient)
        if found is None:
            return caller
        person, survivor = found
        return replace(caller, person=person, patient=survivor or patient)

    def _certain(self) -> bool:
        return self._heard is not None and self._clock() - self._heard <= _TRUSTED_FOR

    async def refresh(self) -> None:
        """Asks the database once."""
        now = self._clock()
        rows = await self._db.fetch(_LATELY, now - _SPAN, MOST)
        if len(rows) >= MOST:
            self._heard = None
            return
        # what was noted while the question was under way is kept
        known = {person: at for person, at in self._changed.items() if at >= now - _SPAN}
        lately = {each for row in rows for each in (row["person"], row["former"])}
        self._changed = known | dict.fromkeys(lately - known.keys(), now)
        self._heard = now

    async def follow(self, stop: asyncio.Event) -> None:
        """Asks again and again until told to stop; a failure is logged and tried again."""
        while not stop.is_set():
            try:
                await self.refresh()
            except Exception as error:
                _log.error("merged persons are not known", kind=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY)
