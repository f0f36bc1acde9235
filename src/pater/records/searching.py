"""Searching: within what the caller may see, and one journal entry for each person shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import NoReturn

from pater.access.binding import MOST_NAMED
from pater.access.caller import Caller
from pater.access.policy import PUBLIC_TYPES, Decision, Policy, group, is_personal
from pater.fhir.definitions import RESOURCE_TYPES
from pater.fhir.labels import Veil
from pater.fhir.search.query import Condition, ReferenceTerm, SearchRequest
from pater.records import journal_search
from pater.records.believing import believed
from pater.records.coded_terms import looked_up
from pater.records.errors import Forbidden
from pater.records.everything import person_of
from pater.records.naming import (
    combines,
    guesses,
    names_patients,
    naming_of,
    patients_described,
    patients_named,
    reaches,
)
from pater.records.ports import DONE, REFUSED, Ports
from pater.records.scope_filter import narrowed
from pater.records.search_terms import journal_query
from pater.records.sight import NOBODY_KNOWN, Sight
from pater.store import read as store
from pater.store import search as store_search
from pater.store.journal import JournalEntry, together
from pater.store.search import Ends, Page, Scope

DEFAULT_COUNT = 50
MAX_COUNT = 1000
MOST_PERSONS = MOST_NAMED
"""Persons whose data one search that has to name the patient may concern."""
_TYPES = frozenset(RESOURCE_TYPES)
_NUMBERS = 4
"""Identifiers of one person that may stand in one question."""


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
    decision = ports.policy.decide(caller, "search", request.type)
    if not decision.allowed:
        await _refuse(ports, caller, request, decision.reason, query)
    naming = naming_of(request) if is_personal(request.type) else ()
    if decision.patient_bound and not naming:
        await _refuse(ports, caller, request, "not-bound", query)
    if decision.patient_bound:
        ports.admit(caller)
    sight = Sight(ports.policy, ports.standing, caller)
    named: frozenset[int] | None = None
    ends: Ends | None = None
    size = page_size(request, count)
    one = patients_named(request.type, naming) if decision.patient_bound and sight.asks else ()
    if len(one) == 1:
        [patient] = one
        cut = partial(_cut, sight, request, Scope(decision.persons))
        found = await believed(ports, sight, request, patient, size, cut)
        if found is not None:
            if told:
                await _record(ports, sight, request, naming, decision, found, query)
            return found
    if decision.patient_bound and (combines(request) or _needs_facts(sight, request)):
        # what is combined with the named patients is looked for with them, not with others
        ends = await _ends(ports, sight, request, naming)
        if ends is None:
            named = await _named(ports, caller, request, naming)
        else:
            named = frozenset(person for _, person in ends.found)
        if len(named) > MOST_PERSONS:
            await _refuse(ports, caller, request, "not-bound", query)
    scope = await _scope(sight, request, decision, named)
    if ends is not None:
        scope = replace(scope, ends=ends)
    if named is not None and _by_rows(sight, request, naming):
        # a record must not be told of by what is held back of it: whose rows may be seen is meant
        named = await _meant(ports, caller, request, naming, scope)
        scope = await _scope(sight, request, decision, named)
    if named is not None and len(one) == len(named) == 1:
        sight.remember(*named)
    coded = await looked_up(ports.db, ports.terms, request) if request.coded else request
    if not size and coded.total == "none":
        coded = replace(coded, total="accurate")  # the number is all that was asked for
    page = await _found(ports, coded, scope, size)
    if sight.asks and named and not (page.matches or page.total):
        # whose a Patient is may have been remembered wrongly: merged or parted since
        anew = (
            await _named(ports, caller, request, naming, afresh=True)
            if patients_named(request.type, naming)
            else named
        )
        if anew != named:
            scope = await _scope(sight, request, decision, anew)
            page = await _found(ports, coded, scope, size)
    if (
        decision.patient_bound
        and named is None
        and await _lists(ports, caller, request, naming, page)
    ):
        await _refuse(ports, caller, request, "not-bound", query)
    if sight.asks and page.included:
        # in the order of the storage they would tell of rows in between
        beside = sorted(page.included, key=lambda each: (each.type, each.id))
        page = replace(page, included=beside)
    if told:
        await _record(ports, sight, request, naming, decision, page, query)
    return page


async def _found(ports: Ports, request: SearchRequest, scope: Scope, size: int) -> Page:
    return await store_search.search(
        ports.db, request, scope, count=size, cursor_key=ports.cursor_key, now=ports.clock()
    )


async def _search_within(
    ports: Ports, caller: Caller, request: SearchRequest, count: int | None, patient: str
) -> Page:
    """A search of one patient's record; chains and includes stay with the person, or nobody."""
    person, sight = await person_of(ports, caller, "search", request.type, patient, "search-type")
    decision = sight.decide("search", request.type, person)
    general = ports.policy.decide(caller, "search", request.type)
    wide = await _scope(sight, request, general, frozenset({person}))
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
    page = await _found(ports, request, scope, size)
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


async def _lists(
    ports: Ports, caller: Caller, request: SearchRequest, naming: tuple[Condition, ...], page: Page
) -> bool:
    """Whether one identifier turned out to mean so many people that the answer would list them."""
    if any(names_patients(condition) for condition in naming):
        return False
    shown = {each.person for each in page.matches}
    if len(shown) <= MOST_PERSONS and page.next is None and not page.total:
        return False
    return len(await _meant(ports, caller, request, naming)) > MOST_PERSONS


async def _meant(
    ports: Ports,
    caller: Caller,
    request: SearchRequest,
    naming: tuple[Condition, ...],
    within: Scope | None = None,
) -> frozenset[int]:
    """The persons whose records the naming conditions mean, one more than are allowed at most;
    `within` a scope, else of everybody.
    """
    return await store_search.persons(
        ports.db,
        SearchRequest(request.type, naming),
        most=MOST_PERSONS + 1,
        scope=within or Scope(narrow=narrowed(caller, "search")),
    )


def page_size(request: SearchRequest, count: int | None) -> int:
    """How many matches one page has; 0 when only their number was asked for."""
    if request.summary == "count":
        return 0
    wanted = count if count is not None else request.count
    return max(0, min(DEFAULT_COUNT if wanted is None else wanted, MAX_COUNT))


def _needs_facts(sight: Sight, request: SearchRequest) -> bool:
    """Whether it matters how the caller stands to the patients who are named.

    It does not where Patients alone are searched, and shown to whoever names them.
    """
    if not sight.asks:
        return False
    return (
        request.type != "Patient"
        or reaches(request)
        or not sight.decide("search", "Patient", NOBODY_KNOWN).allowed
    )


async def _named(
    ports: Ports,
    caller: Caller,
    request: SearchRequest,
    naming: tuple[Condition, ...],
    *,
    afresh: bool = False,
) -> frozenset[int]:
    """The persons whose records the naming conditions mean, by memory where they name Patients
    (not when `afresh`).

    Whose a Patient is may be remembered wrongly: then nothing is found, as the search itself
    looks whether it is so.
    """
    ids = patients_named(request.type, naming)
    if ids:
        owners = ports.db.owners
        missing = sorted(each for each in ids if afresh or owners.get(each) is None)
        if missing:
            owners.learn(await store.persons_of(ports.db, missing))
        return frozenset(person for each in ids if (person := owners.get(each)))
    chain = patients_described(request.type, naming)
    if chain is not None:
        there = SearchRequest("Patient", (chain,))
        return await store_search.persons(ports.db, there, most=MOST_PERSONS + 1)
    return await _meant(ports, caller, request, naming)


async def _ends(
    ports: Ports, sight: Sight, request: SearchRequest, naming: tuple[Condition, ...]
) -> Ends | None:
    """The Patients whom a chain over an identifier means, and in the same statement how the caller
    stands to the one person; None where that cannot be.
    """
    chain = (
        None if patients_named(request.type, naming) else patients_described(request.type, naming)
    )
    along = None if chain is None else await sight.along()
    if chain is None or along is None:
        return None
    rows = await store_search.patients(ports.db, chain, most=MOST_PERSONS + 1, beside=along.beside)
    if rows is None:
        return None
    if len({row["person"] for row in rows}) == 1:
        sight.told(rows[0]["person"], await along.facts(rows[0]), request.type)
    return Ends(chain, tuple((row["id"], row["person"]) for row in rows))


def _by_rows(sight: Sight, request: SearchRequest, naming: tuple[Condition, ...]) -> bool:
    """Whether rows that may be held back said who is meant, in a search that leads further."""
    return (
        sight.asks
        and request.type != "Patient"
        and reaches(request)
        and not patients_named(request.type, naming)
        and patients_described(request.type, naming) is None
    )


async def _scope(
    sight: Sight, request: SearchRequest, decision: Decision, named: frozenset[int] | None
) -> Scope:
    """Whose records the search may see, and what of them: of the named, or of those whom the
    decision names, as far as the caller may see them; of everybody where nobody is asked for.
    """
    narrow = narrowed(sight.caller, "search")
    wide = Scope(decision.persons, narrow=narrow)
    if reaches(request):
        # the request and the address do not matter to the policy: without them it is shared
        who = replace(sight.caller, request_id="", source="", name="", organization_name="")
        wide = _wide_scope(sight.policy, who, is_personal(request.type), decision)
        wide = wide if narrow is None else replace(wide, narrow=narrow)
    if not sight.asks:
        return wide if named is None else replace(wide, persons=named | {0})
    persons = named if named is not None else decision.persons
    if persons is None:
        return wide
    known = sorted(each for each in persons if each > 0)
    if known or named is not None:
        await sight.meet(known)
    return _seen(sight, request, wide, persons, known)


def _cut(sight: Sight, request: SearchRequest, wide: Scope, person: int) -> Scope:
    return _seen(sight, request, wide, frozenset({person}), [person])


def _seen(
    sight: Sight,
    request: SearchRequest,
    wide: Scope,
    persons: frozenset[int],
    known: Sequence[int],
) -> Scope:
    """A scope cut to what the caller may see of each of the known persons."""
    others = (persons | (wide.persons or frozenset({0}))) - frozenset(known)
    veils: list[tuple[int, Veil]] = []
    if not reaches(request):
        shown = set()
        for person in known:
            found = sight.decide("search", request.type, person)
            if found.allowed:
                shown.add(person)
                if found.veil is not None:
                    veils.append((person, found.veil))
        return replace(wide, persons=others | shown, veils=tuple(veils))
    of_type: dict[str, set[int]] = {each: set() for each in _TYPES - wide.exclude_types}
    for person in known:
        types, veil = sight.alike(person, _TYPES, "search")
        for type_ in types & of_type.keys():
            of_type[type_].add(person)
        if veil is not None:
            veils.append((person, veil))
    whose = {type_: others | found for type_, found in of_type.items()}
    [(most, _)] = Counter(whose.values()).most_common(1)
    apart = tuple((type_, found) for type_, found in sorted(whose.items()) if found != most)
    return replace(wide, persons=most, apart=apart, veils=tuple(veils))


@lru_cache(maxsize=1024)
def _wide_scope(policy: Policy, caller: Caller, personal: bool, decision: Decision) -> Scope:
    """The scope of a search that reaches other types (chains, includes).

    A caller who may search personal data only of a named patient cannot reach them from a search
    of something else (all Observations that a Practitioner made): there they take no part. From
    a search of the named patient none reaches another patient by way of includes (everything
    that a doctor of the record ever did, the other members of a group).
    """
    excluded = {"AuditEvent"}
    for type_ in RESOURCE_TYPES:
        found = policy.decide(caller, "search", type_)
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
    sight: Sight,
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
    outcomes = dict.fromkeys(shown, (DONE, decision.reason))
    own = decision.persons
    # whoever was named and is not shown was asked about too: that there is nothing is an answer
    if naming and (own is not None or not outcomes or any(len(c.values) > 1 for c in naming)):
        asked = await _asked(ports, request, naming) - outcomes.keys()
        await sight.meet(asked)
        for person in sorted(asked):
            found = sight.decide("search", request.type, person)
            outcomes[person] = (DONE if found.allowed else REFUSED, found.reason)
    if decision.patient_bound:
        known = sum(outcome == DONE for outcome, _ in outcomes.values())
        await ports.missed(sight.caller, guesses(naming)[_NUMBERS * known :])
    if not outcomes and own is not None:
        outcomes = dict.fromkeys(own - {0}, (DONE, decision.reason))
    unnamed = [person for person in outcomes if not shown.get(person)]
    if sight.asks and not shown:
        names = await ports.names.anew(ports.db, unnamed)
    else:
        names = await ports.names.of_all(ports.db, unnamed) if unnamed else {}
    outcomes = outcomes or {0: (DONE, decision.reason)}
    entries: list[JournalEntry] = []
    for outcome, reason in dict.fromkeys(outcomes.values()):
        those = [
            (person, shown.get(person) or names.get(person, ""))
            for person, found in outcomes.items()
            if found == (outcome, reason)
        ]
        one = ports.entry(sight.caller, "search", outcome, reason, type=request.type, query=query)
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
        if not names_patients(condition):
            alone = SearchRequest(request.type, (condition,))
            persons |= await store_search.persons(ports.db, alone, most=MOST_PERSONS)
    persons.update((await store.persons_of(ports.db, sorted(ids)[:MOST_PERSONS])).values())
    return frozenset(persons - {0})
