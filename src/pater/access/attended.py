"""Standing with an ear: who must know that somebody asks about one person hears it first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from pater.access.caller import Caller
from pater.access.facts import Along, Belief, Facts, Standing

Hearing = Callable[[Caller, int, Facts], Awaitable[bool]]
"""(caller, person, what is known) -> whether it did something that changes what is known."""


class Attended:
    """A `Standing` that tells of each question about exactly one person."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing
        self._hearing: list[Hearing] = []

    def tell(self, hearing: Hearing) -> None:
        """Tells `hearing` from now on; when it changed something, facts are looked up anew."""
        self._hearing.append(hearing)

    async def of(self, caller: Caller, persons: Collection[int]) -> Mapping[int, Facts]:
        """The facts of each of the persons, as of now."""
        found = await self._standing.of(caller, persons)
        if len(persons) != 1:
            return found
        for hearing in self._hearing:
            for person in persons:
                if await hearing(caller, person, found[person]):
                    found = await self._standing.of(caller, persons)
        return found

    async def along(self, caller: Caller) -> Along | None:
        """How facts come along with a look-up, and whoever must know hears of it."""
        known = await self._standing.along(caller)
        if known is None:
            return None

        async def heard(row: Any) -> Facts | None:
            facts = await known.facts(row)
            if facts is None:
                return None
            for hearing in self._hearing:
                if await hearing(caller, row["person"], facts):
                    return None
            return facts

        return Along(known.beside, heard)

    async def believed(self, caller: Caller, person: int) -> Belief | None:
        """What is remembered of one person, and whoever must know hears of it."""
        known = await self._standing.believed(caller, person)
        if known is not None:
            for hearing in self._hearing:
                if await hearing(caller, person, known.facts):
                    return None
        return known

    def remember(self, caller: Caller, person: int, facts: Facts) -> None:
        """Remembers what was just found."""
        self._standing.remember(caller, person, facts)
