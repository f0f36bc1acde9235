"""Searching: within what the caller may see, and one journal entry for each person shown."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import NoReturn

from pater.access.binding import MOST_NAMED
from pater.access.caller import Caller
from pater.access.policy import PUBLIC_TYPES, Decision, decide, group, is_bound, is_personal
from pater.fhir.definitions import RESOURCE_TYPES
from pater.fhir.search.query import Condition, ReferenceTerm, SearchRequest
from pater.records import journal_search
from pater.records.coded_terms import looked_up
from pater.records.errors import Forbidden
from pater.records.everything import person_of
from pater.records.ports import DONE, REFUSED, Ports
from pater.records.scope_filter import narrowed
from pater.records.search_terms import journal_query, pairs
from pater.store import read as store
from pater.store import search as store_search
from pater.store.journal import JournalEntry, together
from pater.store.remembered import remembered
from pater.store.search import Page, Scope

DEFAULT_COUNT = 50
MAX_COUNT = 1000
MOST_PERSONS = MOST_NAMED
"""Persons whose data one search that has to name the patient may concern."""
_NAMES = frozenset({"family", "name", "birthdate"})


async def search(
    ports: Ports,
    caller: Caller,
    request: SearchRequest,
    count: int | None,
    within: str | None = None,
    *,
    told: bool = True,
) -> Page:
    """Decides, searches and records; see `Gate.search`.

    Not `told`: the page leaves the gate with nobody, and is not recorded.
    """
    if within is not None:
        return await _search_within(ports, caller, request, count, within)
    if request.type == "AuditEvent":
        return await journal_search.search(ports, caller, request, count)
    query = journal_query(request, ports.cursor_key)
    decision = decide(caller, "search", request.type, person=None)
    if not decision.allowed:
        await _refuse(ports, caller, request, decision.reason, query)
    naming = _naming(request) if is_personal(request.type) else ()
    if decision.patient_bound and not naming:
        await _refuse(ports, caller, request, "not-bound", query)
    scope = _scope(caller, request, decision)
    if decision.patient_bound and _combines(request):
        # what is combined with the named patients is looked for with them, not with others
        named = await _meant(ports, caller, request, naming)
        if len(named) > MOST_PERSONS:
            await _refuse(ports, caller, request, "not-bound", query)
        scope = replace(scope, persons=named | {0})
    if request.coded:
        request = await looked_up(ports.db, ports.terms, request)
    size = page_size(request, count)
    if not size and request.total == "none":
        request = replace(request, total="accurate")  # the number is all that was asked for
    page = await store_search.search(
        ports.db, request, scope, count=size, cursor_key=ports.cursor_key, now=ports.clock()
    )
    if decision.patient_bound and await _lists(ports, caller, request, naming, page):
        await _refuse(ports, caller, request, "not-bound", query)
    if told:
        await _record(ports, caller, request, naming, decision, page, query)
    return page


async def _search_within(
    ports: Ports, caller: Caller, request: SearchRequest, count: int | None, patient: str
) -> Page:
    """A search of one patient's record; chains and includes stay with the person, or nobody."""
    person = await person_of(ports, caller, "search", request.type, patient, "search-type")
    decision = decide(caller, "search", request.type, person=person)
    wide = _scope(caller, request, decide(caller, "search", request.type, person=None))
    persons = frozenset({person})
    if request.type not in PUBLIC_TYPES:
        persons |= {0}
    scope = replace(wide, persons=persons, ownerless=PUBLIC_TYPES)
    query = journal_query(request, ports.cursor_key)
    if request.coded:
        request = await looked_up(ports.db, ports.terms, request)
    size = page_size(request, count)
    if not size and request.total == "none":
        request = replace(request, total="accurate")
    page = await store_search.search(
        ports.db, request, scope, count=size, cursor_key=ports.cursor_key, now=ports.clock()
    )
    await ports.record(
        [
            ports.entry(
                caller,
                "search",
                DONE,
                decision.reason,
                person=person,
                patient=patient,
                type=request.type,
                query=query,
            )
        ]
    )
    return page


async def _refuse(
    ports: Ports, caller: Caller, request: SearchRequest, reason: str, query: str
) -> NoReturn:
    await ports.refused(caller, "search", request.type, reason, query=query)
    raise Forbidden(reason)


@remembered
def _naming(request: SearchRequest) -> tuple[Condition, ...]:
    """The conditions that say which patients or records are meant; none = the search names none."""
    one = tuple(c for c in request.conditions if is_bound(request.type, pairs((c,))))
    if one:
        return one
    several = tuple(c for c in request.conditions if c.param in _NAMES)
    return several if is_bound(request.type, pairs(several)) else ()


def _names_patients(condition: Condition) -> bool:
    """Whether a naming condition names its patients one by one, so that they are few for sure."""
    return condition.param in ("patient", "subject") and condition.modifier != "identifier"


def _combines(request: SearchRequest) -> bool:
    """Whether chains, `_has` or containers lead further than to the Patient who is named."""
    return request.contained != "false" or any(
        condition.kind == "has"
        or any(chain.condition.kind in ("chain", "has") for chain in condition.chain)
        or (condition.kind == "chain" and condition.param not in ("patient", "subject"))
        for condition in request.every_condition()
    )


async def _lists(
    ports: Ports, caller: Caller, request: SearchRequest, naming: tuple[Condition, ...], page: Page
) -> bool:
    """Whether one identifier turned out to mean so many people that the answer would list them."""
    if any(_names_patients(condition) for condition in naming):
        return False
    shown = {each.person for each in page.matches}
    if len(shown) <= MOST_PERSONS and page.next is None and not page.total:
        return False
    return len(await _meant(ports, caller, request, naming)) > MOST_PERSONS


async def _meant(
    ports: Ports, caller: Caller, request: SearchRequest, naming: tuple[Condition, ...]
) -> frozenset[int]:
    """The persons whose records the naming conditions mean, one more than are allowed at most."""
    return await store_search.persons(
        ports.db,
        SearchRequest(request.type, naming),
        most=MOST_PERSONS + 1,
        scope=Scope(narrow=narrowed(caller, "search")),
    )


def page_size(request: SearchRequest, count: int | None) -> int:
    """How many matches one page has; 0 when only their number was asked for."""
    if request.summary == "count":
        return 0
    wanted = count if count is not None else request.count
    return max(0, min(DEFAULT_COUNT if wanted is None else wanted, MAX_COUNT))


def _scope(caller: Caller, request: SearchRequest, decision: Decision) -> Scope:
    narrow = narrowed(caller, "search")
    if (
        not request.includes
        and request.contained == "false"
        and all(c.kind not in ("chain", "has") for c in request.every_condition())
    ):
        return Scope(decision.persons, narrow=narrow)
    # the request and the address do not matter to the policy: without them the answer is shared
    who = replace(caller, request_id="", source="", name="", organization_name="")
    wide = _wide_scope(who, is_personal(request.type), decision)
    return wide if narrow is None else replace(wide, narrow=narrow)


@lru_cache(maxsize=1024)
def _wide_scope(caller: Caller, personal: bool, decision: Decision) -> Scope:
    """The scope of a search that reaches other types (chains, includes).

    A caller who may search personal data only of a named patient cannot reach them from a search
    of something else (all Observations that a Practitioner made): there they take no part. From
    a search of the named patient none reaches another patient by way of includes (everything
    that a doctor of the record ever did, the other members of a group).
    """
    excluded = {"AuditEvent"}
    for type_ in RESOURCE_TYPES:
        found = decide(caller, "search", type_, person=None)
        others = group(type_) == "owned" and found.persons is not None
        if not found.allowed or others or (found.patient_bound and not personal):
            excluded.add(type_)
    if decision.persons is None:
        return Scope(None, frozenset(excluded), together=decision.patient_bound)
    # person 0 stands for organisations, code systems and the like; a record of a personal type
    # that belongs to nobody is not shown to whom only own data are
    return Scope(decision.persons | {0}, frozenset(excluded), ownerless=PUBLIC_TYPES)


async def _record(
    ports: Ports,
    caller: Caller,
    request: SearchRequest,
    naming: tuple[Condition, ...],
    decision: Decision,
    page: Page,
    query: str,
) -> None:
    """One entry for each person shown, counted or named."""
    shown: dict[int, str] = {}  # person -> Patient id where the page itself tells it
    for stored in (*page.matches, *page.included):
        if stored.type == "Patient":
            shown[stored.person] = stored.id
        elif stored.person:
            shown.setdefault(stored.person, "")
    outcomes = dict.fromkeys(shown, DONE)
    own = decision.persons
    # whoever was named and is not shown was asked about too: that there is nothing is an answer
    if naming and (own is not None or not outcomes or any(len(c.values) > 1 for c in naming)):
        for person in sorted(await _asked(ports, request, naming) - outcomes.keys()):
            outcomes[person] = DONE if own is None or person in own else REFUSED
    if not outcomes and own is not None:
        outcomes = dict.fromkeys(own - {0}, DONE)
    unnamed = [person for person in outcomes if not shown.get(person)]
    names = await ports.names.of_all(ports.db, unnamed) if unnamed else {}
    entries: list[JournalEntry] = []
    for outcome, reason in ((DONE, decision.reason), (REFUSED, "other-person")):
        those = [
            (person, shown.get(person) or names.get(person, ""))
            for person, found in (outcomes or {0: DONE}).items()
            if found == outcome
        ]
        if those:
            one = ports.entry(caller, "search", outcome, reason, type=request.type, query=query)
            entries += together(one, those)
    await ports.record(entries)


async def _asked(
    ports: Ports, request: SearchRequest, naming: tuple[Condition, ...]
) -> frozenset[int]:
    """The persons whom a search named, as far as the store knows them, whatever it found.

    Everybody's index is asked here, beyond the caller's scope: nothing of the answer leaves, and
    the person learns that somebody tried.
    """
    ids: set[str] = set()
    persons: set[int] = set()
    for condition in naming:
        for value in condition.values:
            if isinstance(value, ReferenceTerm) and value.id and "Patient" in value.types:
                ids.add(value.id)
        for chain in condition.chain:
            if chain.type == "Patient":
                there = SearchRequest("Patient", (chain.condition,))
                persons |= await store_search.persons(ports.db, there, most=MOST_PERSONS)
        if not _names_patients(condition):
            alone = SearchRequest(request.type, (condition,))
            persons |= await store_search.persons(ports.db, alone, most=MOST_PERSONS)
    persons.update((await store.persons_of(ports.db, sorted(ids)[:MOST_PERSONS])).values())
    return frozenset(persons - {0})
