"""How a caller and one person stand to each other: what the policy is told when it decides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pater.access.caller import Caller
from pater.fhir.labels import Veil
from pater.store.beside import Beside, Given


@dataclass(frozen=True, slots=True)
class Facts:
    """How a caller stands to a person at this moment.

    `relations` are kinds of relation that hold now: `registered` (the person's registered
    provider), `encounter` (in care there now, or shortly before), `referral`, `prescription`,
    `care-team`, `author` (the provider wrote of the person before), `override` (an emergency
    access with a reason is open), `territory` (the person lives where the caller has powers),
    `outbreak` (the caller ordered a measure about the person that is in force),
    `insured` (the caller's insurance company is the person's), `proxy` (acts for the person).
    `veil` is what the person holds back from this caller; None = nothing.
    """

    relations: frozenset[str] = frozenset()
    veil: Veil | None = None


NOTHING = Facts()
"""Of a person of whom nothing is known: no relation."""


@dataclass(frozen=True, slots=True)
class Along:
    """How facts come along with a look-up: `beside` are the columns, `facts` reads a row.

    What it says of a row is what `Standing.of` would say, or None: then that has to be asked.
    """

    beside: Beside
    facts: Callable[[Any], Awaitable[Facts | None]]


@dataclass(frozen=True, slots=True)
class Belief:
    """Facts that hold if a statement with the condition `given` finds anything."""

    facts: Facts
    given: Given


class Standing(Protocol):
    """Looks up how callers stand to persons."""

    async def of(self, caller: Caller, persons: Collection[int]) -> Mapping[int, Facts]:
        """The facts of each of the persons (all are in the answer), as of now."""
        ...

    async def along(self, caller: Caller) -> Along | None:
        """How the facts of one person can come along with a look-up of that person's rows."""
        ...

    async def believed(self, caller: Caller, person: int) -> Belief | None:
        """What is remembered of one person, to be confirmed; None = it has to be asked."""
        ...

    def remember(self, caller: Caller, person: int, facts: Facts) -> None:
        """Remembers what `of` or a look-up just said, to be believed the next time."""
        ...


class NoStanding:
    """Knows nothing of anybody: for rooms that are tried without the tables of `access`."""

    async def of(self, caller: Caller, persons: Collection[int]) -> Mapping[int, Facts]:
        """Of nobody anything."""
        return dict.fromkeys(persons, NOTHING)

    async def along(self, caller: Caller) -> Along | None:
        """In no way."""
        return None

    async def believed(self, caller: Caller, person: int) -> Belief | None:
        """Nothing."""
        return None

    def remember(self, caller: Caller, person: int, facts: Facts) -> None:
        """Forgets it."""
