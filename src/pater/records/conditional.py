"""Conditional interactions: what a query means now, and the claim that lets one writer win.

Two clients that both find nothing must not both create. Whoever creates because a query found
nothing therefore claims the query in the same write set, and names the holder of that claim as it
was before the search. When another came first the claim has another holder by then, the set
fails, and the loser looks again. Exact over several processes, without a lock that anybody holds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pater.access.caller import Caller
from pater.fhir.issues import Issue
from pater.fhir.json import parse
from pater.fhir.search.query import SearchRequest
from pater.records import searching
from pater.records.changes import ClaimsOf
from pater.records.errors import AlreadyClaimed, Ambiguous, PreconditionFailed, Unprocessable
from pater.records.patient_names import is_merged
from pater.records.ports import Ports
from pater.records.search_terms import pairs
from pater.store.read import Stored, claim_holder
from pater.store.write import Claim, claim_key

ATTEMPTS = 5
"""How often a conditional interaction is tried when others come first."""
PAGES = 20
"""Pages of hits that the recheck drops which one query may cost."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Meant:
    """The one resource that a query means (`stored`), or the right to create it.

    `key` is the claim of the query, `holder` who held it before the search ("" = nobody).
    """

    stored: Stored | None
    key: bytes
    holder: str

    def claims_of(self, type: str, more: ClaimsOf | None = None) -> ClaimsOf:
        """A `Change.claims_of` that claims the query for what is created, beside `more`."""

        def claims(resource: dict[str, Any], person: int, id: str) -> Sequence[Claim]:
            mine = Claim(self.key, person, f"{type}/{id}", instead=self.holder)
            return [*(more(resource, person, id) if more else ()), mine]

        return claims


async def meant(ports: Ports, caller: Caller, request: SearchRequest) -> Meant:
    """Searches as the caller (decided and recorded as any search). Raises Ambiguous.

    A Patient that was merged is not meant beside the one that it leads to.
    """
    query = sorted(f"{name}={value}" for name, value in pairs(request.conditions))
    key = claim_key("conditional", request.type, *query)
    holder = await claim_holder(ports.db, key)  # before the search: see above
    found: list[Stored] = []
    merged: list[Stored] = []
    for _ in range(PAGES):
        page = await searching.search(ports, caller, request, 2)
        for each in page.matches:
            gone = each.type == "Patient" and is_merged(parse(each.body))
            (merged if gone else found).append(each)
        if len(found) > 1:
            raise Ambiguous(request.type)
        if page.next is None:
            found = found or merged
            if len(found) > 1:
                raise Ambiguous(request.type)
            return Meant(found[0] if found else None, key, holder)
        request = replace(request, cursor=page.next)
    text = "the query is too wide for a conditional interaction"
    raise Unprocessable([Issue("error", "too-costly", "", text)])


async def settle(once: Callable[[], Awaitable[Result]]) -> Result:
    """Does `once` (look, then write) again as long as somebody else came in between.

    Raises what the last attempt raises: AlreadyClaimed, PreconditionFailed.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return await once()
        except (AlreadyClaimed, PreconditionFailed):
            continue
    return await once()
