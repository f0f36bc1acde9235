"""SMART scopes with search arguments at the gate: which resources they show, and may change.

The policy decides about the type; this room about the single resource. Searches carry the same
conditions in their SQL (`store.search.Scope.narrow`), so what a scope leaves out is not there for
totals, pages, chains and includes either. Without arguments there is no filter and no cost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from pater.access.caller import Caller, Kind
from pater.access.policy import Action
from pater.access.scopes import narrowing
from pater.fhir.search.narrowing import Narrowing
from pater.store import read as store
from pater.store.database import Database
from pater.store.read import Stored

OUTSIDE = "no-scope"
"""The policy's reason when a resource is outside the scopes."""
ROUNDS = 20
"""Reads that fill one page; beyond them a short page with a cursor is given."""

_LETTERS: dict[Action, str] = {
    "read": "r", "search": "s", "create": "c", "update": "u", "delete": "d", "history": "r",
}  # fmt: skip

Place = TypeVar("Place")


def narrowed(caller: Caller, action: Action) -> Narrowing | None:
    """What the caller's scopes leave of each type for an action; None = all of it."""
    letter = _LETTERS.get(action)
    return None if letter is None else narrowing(caller.scopes, caller.kind, letter)


@dataclass(frozen=True, slots=True)
class Filter:
    """What is left of the data after the scopes of one or several actions (all must allow it)."""

    narrowings: tuple[Narrowing, ...]

    def touches(self, type: str) -> bool:
        """Whether resources of the type may be left out."""
        return any(each.touches(type) for each in self.narrowings)

    def shows(self, type: str, body: bytes) -> bool:
        """Whether the stored body of a resource may leave; a deletion has none and may not."""
        return all(each.holds_body(type, body) for each in self.narrowings)

    def holds(self, type: str, resource: dict[str, Any]) -> bool:
        """The same of a resource that is parsed already."""
        return all(each.holds(type, resource) for each in self.narrowings)

    async def visible(self, db: Database, versions: Sequence[Stored]) -> list[Stored]:
        """The versions that may leave, order kept: a deletion as what it deleted."""
        gone = [each for each in versions if each.deleted and self.touches(each.type)]
        deleted = await store.before(db, gone)
        kept = []
        for each in versions:
            content: Stored | None = each
            if each.deleted and self.touches(each.type):
                content = deleted.get((each.type, each.id, each.version))
            if content is not None and self.shows(content.type, content.body):
                kept.append(each)
        return kept


@lru_cache(maxsize=1024)
def _filter(scopes: tuple[str, ...], kind: Kind, letters: str) -> Filter | None:
    found = (narrowing(scopes, kind, letter) for letter in letters)
    kept = tuple(dict.fromkeys(each for each in found if each is not None))
    return Filter(kept) if kept else None


def filter_of(caller: Caller, *actions: Action) -> Filter | None:
    """The filter of a caller who needs all of these actions; None = nothing is left out."""
    letters = "".join(_LETTERS[each] for each in actions if each in _LETTERS)
    return _filter(caller.scopes, caller.kind, letters)


async def full_page(
    fetch: Callable[[Place | None, int], Awaitable[tuple[list[Stored], Place | None]]],
    keep: Callable[[Sequence[Stored]], Awaitable[Iterable[Stored]]],
    place: Place | None,
    count: int,
) -> tuple[list[Stored], Place | None]:
    """A page of `count` kept rows out of a walk, and its next place: None when none follows.

    `fetch` gives up to so many rows behind a place. That nothing more is kept is found out here,
    so that a link to a next page does not tell of what is left out.
    """
    found: list[Stored] = []
    after: Place | None = place
    for _ in range(ROUNDS):
        rows, after = await fetch(after, count - len(found))
        found += await keep(rows)
        if after is None:
            return found, None
        if len(found) == count:
            break
    ahead: Place | None = after
    for _ in range(ROUNDS):
        rows, ahead = await fetch(ahead, count)
        if list(await keep(rows)):
            return found, after
        if ahead is None:
            return found, None
    return found, after
