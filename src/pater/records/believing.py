"""Searches of a record that was searched before: by what is remembered of it, in one statement.

Only plain ones, which one statement answers: that statement confirms what was believed, or finds
nothing (see `access.believing`). Then the search is made in the ordinary way.
"""

from __future__ import annotations

from collections.abc import Callable

from pater.fhir.search.query import SearchRequest
from pater.records.ports import Ports
from pater.records.scope_filter import narrowed
from pater.records.sight import Sight
from pater.store import search as store_search
from pater.store.remembered import remembered
from pater.store.search import Page, Scope
from pater.store.search.led import patients_of

_KINDS = frozenset({"reference", "token"})


@remembered
def plain(request: SearchRequest) -> bool:
    """Whether one statement answers the first page of a search, and exactly."""
    return (
        not request.sort
        and not request.includes
        and not request.coded
        and not request.words
        and request.cursor is None
        and request.filter is None
        and request.contained == "false"
        and request.total == "none"
        and not patients_of(request)
        and all(
            each.kind in _KINDS and not each.loose and not each.chain
            and each.modifier in (None, "Patient")
            for each in request.conditions
        )
    )  # fmt: skip


async def believed(
    ports: Ports,
    sight: Sight,
    request: SearchRequest,
    patient: str,
    size: int,
    cut: Callable[[int], Scope],
) -> Page | None:
    """The page of a search of one patient's record; None = it has to be made in the ordinary way.

    `cut` is the scope of a person who was met.
    """
    person = ports.db.owners.get(patient)
    if not size or not person or not plain(request) or narrowed(sight.caller, "search"):
        return None
    given = await sight.believe(person, request.type)
    if given is None:
        return None
    page = await store_search.confirmed(
        ports.db, request, cut(person), given,
        count=size, cursor_key=ports.cursor_key, now=ports.clock(),
    )  # fmt: skip
    if page is None:
        sight.doubt(person)
    return page
