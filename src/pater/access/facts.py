"""How a caller and one person stand to each other: what the policy is told when it decides."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from pater.access.caller import Caller
from pater.fhir.labels import Veil


@dataclass(frozen=True, slots=True)
class Facts:
    """How a caller stands to a person at this moment.

    `relations` are kinds of relation that hold now: `registered` (the person's registered
    provider), `encounter` (in care there now, or shortly before), `referral`, `prescription`,
    `care-team`, `author` (the provider wrote of the person before), `override` (an emergency
    access with a reason is open), `territory` (the person lives where the caller has powers),
    `insured` (the caller's insurance company is the person's), `proxy` (acts for the person).
    `veil` is what the person holds back from this caller; None = nothing.
    """

    relations: frozenset[str] = frozenset()
    veil: Veil | None = None


NOTHING = Facts()
"""Of a person of whom nothing is known: no relation."""


class Standing(Protocol):
    """Looks up how callers stand to persons."""

    async def of(self, caller: Caller, persons: Collection[int]) -> Mapping[int, Facts]:
        """The facts of each of the persons (all are in the answer), as of now."""
        ...


class NoStanding:
    """Knows nothing of anybody: for rooms that are tried without the tables of `access`."""

    async def of(self, caller: Caller, persons: Collection[int]) -> Mapping[int, Facts]:
        """Of nobody anything."""
        return dict.fromkeys(persons, NOTHING)
