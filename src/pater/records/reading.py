"""Reading one resource: its current version, a past one, its history."""

from __future__ import annotations

from collections.abc import Collection

from pater.access.caller import Caller
from pater.access.policy import Action, decide
from pater.fhir.issues import Issue
from pater.records import journal_search
from pater.records.changes import HistoryPage
from pater.records.errors import Forbidden, Gone, NotFound, Unprocessable
from pater.records.ports import DONE, REFUSED, Ports
from pater.records.scope_filter import OUTSIDE, Filter, filter_of, full_page
from pater.store import read as store
from pater.store.history import Key, Period, Place, counted_of_one, of_one, revived
from pater.store.journal import JournalEntry
from pater.store.read import Stored

AUDIT = "AuditEvent"
MAX_HISTORY = 1000


async def read(ports: Ports, caller: Caller, type: str, id: str) -> Stored:
    """The current version; the attempt is in the journal before anything is returned."""
    if type == AUDIT:
        return await journal_search.read(ports, caller, id)
    stored = await store.read(ports.db, type, id)
    return await _shown(ports, caller, "read", "read", type, id, stored)


async def read_all(
    ports: Ports, caller: Caller, keys: Collection[tuple[str, str]]
) -> dict[tuple[str, str], Stored]:
    """The current versions of those that are there and that the caller may see, by (type, id).

    All are decided and recorded as single reads are, together.
    """
    there = await store.read_many(ports.db, [key for key in keys if key[0] != AUDIT])
    there = [each for each in there if not each.deleted]
    allowed = [e for e in there if decide(caller, "read", e.type, person=e.person).allowed]
    outside = filter_of(caller, "read")
    shown = allowed if outside is None else await outside.visible(ports.db, allowed)
    seen = {(each.type, each.id): each for each in shown}
    persons = {each.person for each in there if each.person}
    names = await ports.names.of_all(ports.db, persons) if persons else {}
    await ports.record(
        ports.entry(
            caller,
            "read",
            DONE if (each.type, each.id) in seen else REFUSED,
            decision.reason if (each.type, each.id) in seen or not decision.allowed else OUTSIDE,
            person=each.person,
            patient=names.get(each.person, ""),
            type=each.type,
            id=each.id,
            version=each.version,
        )
        for each in there
        for decision in (decide(caller, "read", each.type, person=each.person),)
    )
    return seen


async def vread(ports: Ports, caller: Caller, type: str, id: str, version: int) -> Stored:
    """One version, current or superseded."""
    if type == AUDIT:
        stored = await journal_search.read(ports, caller, id)
        if version != stored.version:
            raise NotFound(type, id)
        return stored
    found = await store.read_version(ports.db, type, id, version)
    return await _shown(ports, caller, "read", "vread", type, id, found)


async def history(
    ports: Ports,
    caller: Caller,
    type: str,
    id: str,
    count: int,
    cursor: str | None,
    period: Period | None = None,
    only: Collection[Key] | None = None,
) -> HistoryPage:
    """Versions newest first; the cursor is the place where the last page ended.

    A cursor needs no seal: it says when a version was written, and every page is decided anew.
    """
    if type == AUDIT:
        audit = [await journal_search.read(ports, caller, id)]
        return HistoryPage(audit if count else [], None, len(audit))
    number_only = count == 0
    count = MAX_HISTORY if number_only else min(count, MAX_HISTORY)
    before = Place.of(cursor) if cursor else None
    outside = filter_of(caller, "history")
    if only is not None:
        only = [key for key in only if key[:2] == (type, id)]
    if outside is None and not (number_only and only is None):
        page, after = await of_one(ports.db, type, id, period or Period(), before, count, only)
        newest = page[0] if page else await store.read(ports.db, type, id)
    elif outside is None:
        page, after = [], None
        newest = await store.read(ports.db, type, id)
    else:
        page, after = await _within(
            ports, outside, type, id, period or Period(), before, count, only
        )
        some = page or (await _within(ports, outside, type, id, Period(), None, 1))[0]
        newest = some[0] if some else None
    interaction = "history-instance"
    reason = await _allowed(ports, caller, "history", interaction, type, id, newest)
    # a record may have been moved to another person: older versions stay with the former one
    shown = [each for each in page if decide(caller, "history", type, person=each.person).allowed]
    total = len(shown) if after is None and before is None else None
    if number_only and outside is None and only is None:
        counted = await counted_of_one(ports.db, type, id, period or Period())
        total = sum(
            number
            for person, number in counted.items()
            if decide(caller, "history", type, person=person).allowed
        )
    elif number_only and total is None:
        raise uncounted(MAX_HISTORY)
    latest = {each.person: each for each in reversed(shown)}
    if not page and newest is not None:
        latest = {newest.person: newest}  # that nothing was written then is an answer too
    await ports.record(
        [
            await _entry(ports, caller, "history", interaction, each, reason)
            for each in latest.values()
        ]
    )
    if number_only:
        return HistoryPage([], None, total)
    return HistoryPage(
        shown, after.text() if after else None, total, await revived(ports.db, shown)
    )


def uncounted(most: int) -> Unprocessable:
    """The refusal to count what may be more than can be counted at once."""
    text = f"there are more than {most} versions, which are not counted: ask for a shorter period"
    return Unprocessable([Issue("error", "too-costly", "", text)])


async def _within(
    ports: Ports,
    outside: Filter,
    type: str,
    id: str,
    period: Period,
    before: Place | None,
    count: int,
    only: Collection[Key] | None = None,
) -> tuple[list[Stored], Place | None]:
    """A page of the versions that the caller's scopes show."""
    return await full_page(
        lambda place, size: of_one(ports.db, type, id, period, place, size, only),
        lambda versions: outside.visible(ports.db, versions),
        before,
        count,
    )


async def _shown(
    ports: Ports,
    caller: Caller,
    action: Action,
    interaction: str,
    type: str,
    id: str,
    stored: Stored | None,
) -> Stored:
    reason = await _allowed(ports, caller, action, interaction, type, id, stored)
    assert stored is not None  # _allowed does not come back from nothing
    if stored.deleted:
        await ports.refused(
            caller, action, type, "deleted", person=stored.person, id=id, interaction=interaction
        )
        raise Gone(type, id, stored.version)
    if type == "Patient" and stored.person:
        ports.names.learn(stored.person, id)
    await ports.record([await _entry(ports, caller, action, interaction, stored, reason)])
    return stored


async def _entry(
    ports: Ports, caller: Caller, action: Action, interaction: str, stored: Stored, reason: str
) -> JournalEntry:
    return ports.entry(
        caller,
        action,
        DONE,
        reason,
        person=stored.person,
        patient=await ports.patient_of(stored.person),
        type=stored.type,
        id=stored.id,
        version=stored.version,
        interaction=interaction,
    )


async def _allowed(
    ports: Ports,
    caller: Caller,
    action: Action,
    interaction: str,
    type: str,
    id: str,
    stored: Stored | None,
) -> str:
    """The reason why the caller may see it.

    Raises Forbidden when the type is closed to the caller whatever the record, and NotFound when
    the record does not exist or is another person's: the two cannot be told apart from outside.
    """
    person = stored.person if stored else 0
    decision = decide(caller, action, type, person=None)
    failure: Exception | None = None
    if not decision.allowed:
        failure = Forbidden(decision.reason)
    elif stored is None:
        failure = NotFound(type, id)
    else:
        decision = decide(caller, action, type, person=person)
        failure = None if decision.allowed else NotFound(type, id)
    reason = decision.reason if stored or not decision.allowed else "not-found"
    outside = filter_of(caller, action) if failure is None else None
    if outside is not None and stored and not await outside.visible(ports.db, [stored]):
        failure, reason = NotFound(type, id), OUTSIDE
    if failure is not None:
        await ports.refused(
            caller, action, type, reason, person=person, id=id, interaction=interaction
        )
        raise failure
    return reason
