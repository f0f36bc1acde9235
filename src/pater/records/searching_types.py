"""One page over searches of several types, in one order: looked at first, then read and recorded.

What a page does not show must not stand in the journal as shown. So the places of the next
resources are found by searches that leave the gate with nothing; each type is then asked for
exactly those of its own that the page has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter
from typing import Any

from pater.access.caller import Caller
from pater.fhir.search.query import SearchRequest, Sort
from pater.records import searching
from pater.records.ports import Ports
from pater.store.read import Stored
from pater.store.search import Page

ORDERS = ("_id", "_lastUpdated")
"""What resources of several types can be sorted by together."""


@dataclass(frozen=True, slots=True)
class Part:
    """One type's share of a page; `more` = it goes on at `cursor` (None: at its beginning)."""

    page: Page
    more: bool
    cursor: str | None


async def search(
    ports: Ports, caller: Caller, requests: Sequence[SearchRequest], size: int
) -> list[Part]:
    """The next `size` resources of all searches together, each with its cursor, which have the
    same sort of ORDERS. Raises as `Gate.search`.
    """
    keys: list[tuple[Any, ...]] = []
    for number, request in enumerate(requests):
        plain = replace(request, includes=(), total="none")
        seen = await searching.search(ports, caller, plain, size, told=False)
        keys += [(number, *(_key(key, each) for key in request.sort)) for each in seen.matches]
    sort = requests[0].sort if requests else ()
    for place, key in reversed(list(enumerate(sort, start=1))):
        keys.sort(key=itemgetter(place), reverse=key.descending)
    shares = [number for number, *_ in keys[:size]]
    held = {number for number, *_ in keys}
    parts = []
    for number, request in enumerate(requests):
        share = shares.count(number)
        if share or number not in held:
            # of what has nothing it is recorded that it was asked for
            page = await searching.search(ports, caller, request, share or size)
            parts.append(Part(page, page.next is not None, page.next))
        else:
            parts.append(Part(Page([], [], None, None), True, request.cursor))
    return parts


def in_order(matches: list[Stored], sort: Sequence[Sort]) -> list[Stored]:
    """Resources of several types by the keys of the sort."""
    for key in reversed(sort):
        matches = sorted(matches, key=partial(_key, key), reverse=key.descending)
    return matches


def _key(key: Sort, stored: Stored) -> Any:
    """All texts or all times for one key."""
    return stored.id if key.param == "_id" else stored.updated
