"""Searching: within what the caller may see, and one journal entry for each person shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from pater.access.caller import Caller
from pater.access.policy import Decision, decide, is_bound, is_personal
from pater.fhir.definitions import RESOURCE_TYPES
from pater.fhir.search_query import Condition, ReferenceTerm, SearchRequest, TokenTerm
from pater.records import journal_search
from pater.records.errors import Forbidden
from pater.records.ports import DONE, REFUSED, Ports
from pater.records.search_terms import journal_query, pairs
from pater.store import read as store
from pater.store import search as store_search
from pater.store.search import Page, Scope

DEFAULT_COUNT = 50
MAX_COUNT = 1000
_ASKED_LIMIT = 20  # persons named by a search that finds nothing, who each get an entry


async def search(ports: Ports, caller: Caller, request: SearchRequest, count: int | None) -> Page:
    """Decides, searches and records; see `Gate.search`."""
    if request.type == "AuditEvent":
        return await journal_search.search(ports, caller, request, count)
    query = journal_query(request, ports.cursor_key)
    decision = decide(caller, "search", request.type, person=None)
    if not decision.allowed:
        await ports.refused(caller, "search", request.type, decision.reason, query=query)
        raise Forbidden(decision.reason)
    if decision.patient_bound and not is_bound(request.type, pairs(request)):
        await ports.refused(caller, "search", request.type, "not-bound", query=query)
        raise Forbidden("not-bound")
    scope = _scope(caller, request, decision.persons)
    size = page_size(request, count)
    if not size and request.total == "none":
        request = replace(request, total="accurate")  # the number is all that was asked for
    page = await store_search.search(
        ports.db, request, scope, count=size, cursor_key=ports.cursor_key
    )
    page = _visible(page, decision, scope)
    await _record(ports, caller, request, scope, page, decision.reason, query)
    return page


def page_size(request: SearchRequest, count: int | None) -> int:
    """How many matches one page has; 0 when only their number was asked for."""
    if request.summary == "count":
        return 0
    wanted = count if count is not None else request.count
    return max(0, min(DEFAULT_COUNT if wanted is None else wanted, MAX_COUNT))


def _scope(caller: Caller, request: SearchRequest, persons: frozenset[int] | None) -> Scope:
    if not request.includes and all(c.kind not in ("chain", "has") for c in request.conditions):
        return Scope(persons)
    # the request and the address do not matter to the policy: without them the answer is shared
    who = replace(caller, request_id="", source="", name="", organization_name="")
    return _wide_scope(who, is_personal(request.type))


@lru_cache(maxsize=1024)
def _wide_scope(caller: Caller, personal: bool) -> Scope:
    """The scope of a search that reaches other types (chains, includes).

    A caller who may search personal data only of a named patient cannot reach them from a search
    of something else (all Observations that a Practitioner made): there they take no part.
    """
    persons: set[int] | None = None
    excluded = {"AuditEvent"}
    for type_ in RESOURCE_TYPES:
        decision = decide(caller, "search", type_, person=None)
        if not decision.allowed or (decision.patient_bound and not personal):
            excluded.add(type_)
        elif decision.persons is not None:
            # person 0 stands for organisations, code systems and the like
            persons = (persons or {0}) | decision.persons
    return Scope(None if persons is None else frozenset(persons), frozenset(excluded))


def _visible(page: Page, decision: Decision, scope: Scope) -> Page:
    """The page without what the scope alone could not leave out.

    A caller with a right to own data only does not see a record of a personal type that belongs to
    nobody (person 0, which the scope needs for organisations and the like). A caller who has to
    name the patient sees no other patient's record by way of includes (everything that a doctor
    of the record ever did, the other members of a group).
    """
    matches, included = page.matches, page.included
    if decision.persons is not None or scope.persons is not None:
        matches = [each for each in matches if each.person or not is_personal(each.type)]
        included = [each for each in included if each.person or not is_personal(each.type)]
    if decision.patient_bound and included:
        persons = {each.person for each in matches} | {0}
        included = [each for each in included if each.person in persons]
    return replace(page, matches=matches, included=included)


async def _record(
    ports: Ports,
    caller: Caller,
    request: SearchRequest,
    scope: Scope,
    page: Page,
    reason: str,
    query: str,
) -> None:
    shown: dict[int, str] = {}  # person -> Patient id where the page itself tells it
    for stored in (*page.matches, *page.included):
        if stored.type == "Patient":
            shown[stored.person] = stored.id
        elif stored.person:
            shown.setdefault(stored.person, "")
    outcomes = dict.fromkeys(shown, DONE)
    if not outcomes and is_personal(request.type):
        for person in await _asked(ports, request):
            withheld = scope.persons is not None and person not in scope.persons
            outcomes[person] = REFUSED if withheld else DONE
    unnamed = [person for person in outcomes if not shown.get(person)]
    names = await ports.names.of_all(ports.db, unnamed) if unnamed else {}
    await ports.record(
        ports.entry(
            caller,
            "search",
            outcome,
            "other-person" if outcome == REFUSED else reason,
            person=person,
            patient=shown.get(person) or names.get(person, ""),
            type=request.type,
            query=query,
        )
        for person, outcome in (outcomes or {0: DONE}).items()
    )


async def _asked(ports: Ports, request: SearchRequest) -> list[int]:
    """The persons whom a search without hits named, as far as the store knows them."""
    ids: set[str] = set()
    chained: list[Condition] = []
    for condition in request.conditions:
        if condition.modifier in ("not", "missing", "identifier"):
            continue
        for value in condition.values:
            if isinstance(value, ReferenceTerm) and value.id and "Patient" in value.types:
                ids.add(value.id)
            elif isinstance(value, TokenTerm) and condition.kind == "id" and value.code:
                ids.update({value.code} if request.type == "Patient" else ())
        if condition.kind == "chain" and condition.param in ("patient", "subject"):
            chained += [c.condition for c in condition.chain if c.type == "Patient"]
    persons = set((await store.persons_of(ports.db, _first(ids))).values())
    for condition in chained[:_ASKED_LIMIT]:
        # the whole person index may be asked here, beyond the caller's scope: nothing of the
        # answer leaves, and the person learns that somebody tried
        found = await store_search.search(
            ports.db,
            SearchRequest(type="Patient", conditions=(condition,)),
            Scope(None),
            count=_ASKED_LIMIT,
            cursor_key=ports.cursor_key,
        )
        persons.update(each.person for each in found.matches)
    return sorted(persons)[:_ASKED_LIMIT]


def _first(ids: Iterable[str]) -> list[str]:
    return sorted(ids)[:_ASKED_LIMIT]
