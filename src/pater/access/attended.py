"""Standing with an ear: who must know that somebody asks about one person hears it first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping

from pater.access.caller import Caller
from pater.access.facts import Facts, Standing

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
