"""Reading one resource: its current version, a past one, its history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pater.access.caller import Caller
from pater.access.policy import Action
from pater.fhir.issues import Issue
from pater.records import journal_search
from pater.records.changes import HistoryPage
from pater.records.errors import Forbidden, Gone, NotFound, Unprocessable
from pater.records.ports import DONE, REFUSED, Ports
from pater.records.scope_filter import OUTSIDE, filter_of, full_page
from pater.records.sight import Sight
from pater.store import read as store
from pater.store.history import Key, Period, Place, counted_of_one, of_one, revived
from pater.store.journal import JournalEntry
from pater.store.read import Stored
from pater.store.veils import Veils

AUDIT = "AuditEvent"
MAX_HISTORY = 1000


async def read(ports: Ports, caller: Caller, type: str, id: str) -> Stored:
    """The current version; the attempt is in the journal before anything is returned."""
    if type == AUDIT:
        return await journal_search.read(ports, caller, id)
    sight = Sight(ports.policy, ports.standing, caller)
    if filter_of(caller, "read") is None:
        stored = await sight.read(ports.db, type, id)
    else:
        stored = await store.read(ports.db, type, id, guarded=False)
    return await _shown(ports, sight, "read", type, id, stored)


async def read_all(
    ports: Ports, caller: Caller, keys: Collection[tuple[str, str]]
) -> dict[tuple[str, str], Stored]:
    """The current versions of those that are there and that the caller may see, by (type, id).

    All are decided and recorded as single reads are, together.
    """
    wanted = {key for key in keys if key[0] != AUDIT}
    there = {
        (each.type, each.id): each
        for each in await store.read_many(ports.db, wanted, guarded=False)
        if not each.deleted
    }
    sight = await ports.sight(caller, {each.person for each in there.values()})
    shown = await visible(ports, sight, list(there.values()), "read")
    await store.guard(ports.db, shown)
    seen = {(each.type, each.id): each for each in shown}
    persons = {each.person for each in there.values() if each.person}
    names = await _names(ports, sight, persons, all_seen=len(seen) == len(wanted))
    # what is not there is recorded too: it takes what somebody withheld takes
    await ports.record(
        ports.entry(
            caller,
            "read",
            DONE if key in seen else REFUSED,
            _why(sight, there.get(key), shown=key in seen),
            person=there[key].person if key in there else 0,
            patient=names.get(there[key].person, "") if key in there else "",
            type=key[0],
            id=key[1],
            version=there[key].version if key in there else 0,
        )
        for key in sorted(wanted)
    )
    return seen


def _why(sight: Sight, stored: Stored | None, *, shown: bool) -> str:
    """The reason that the journal gives for one of several that were read."""
    if stored is None:
        return "not-found"
    if shown:
        return sight.decide("read", stored.type, stored.person).reason
    return sight.refusal(stored, "read") or OUTSIDE


async def visible(
    ports: Ports, sight: Sight, versions: Sequence[Stored], *actions: Action
) -> list[Stored]:
    """The versions with which the caller may do all of this, by policy, will and scopes."""
    allowed = await sight.shown(versions, *actions)
    outside = filter_of(sight.caller, *actions)
    return allowed if outside is None else await outside.visible(ports.db, allowed)


async def _names(
    ports: Ports, sight: Sight, persons: Collection[int], *, all_seen: bool
) -> dict[int, str]:
    """The Patient ids of persons of whom not all may be shown."""
    if sight.asks or not all_seen:
        return await ports.names.anew(ports.db, persons)
    return await ports.names.of_all(ports.db, persons) if persons else {}


async def vread(ports: Ports, caller: Caller, type: str, id: str, version: int) -> Stored:
    """One version, current or superseded."""
    if type == AUDIT:
        stored = await journal_search.read(ports, caller, id)
        if version != stored.version:
            raise NotFound(type, id)
        return stored
    found = await store.read_version(ports.db, type, id, version, guarded=False)
    sight = Sight(ports.policy, ports.standing, caller)
    return await _shown(ports, sight, "vread", type, id, found)


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
    if only is not None:
        only = [key for key in only if key[:2] == (type, id)]
    asked = _Asked(type, id, period or Period(), Place.of(cursor) if cursor else None, only)
    interaction = "history-instance"
    sight = Sight(ports.policy, ports.standing, caller)
    page: list[Stored] = []
    after: Place | None = None
    general = ports.policy.decide(caller, "history", type)
    everybody = general.persons is None and not (general.patient_bound or sight.asks)
    if not general.allowed:
        newest = await store.read(ports.db, type, id, guarded=False)
    elif not everybody or filter_of(caller, "history") is not None:
        page, after, newest = await _kept(ports, sight, asked, count)
    elif count:
        page, after = await asked.page(ports, asked.before, min(count, MAX_HISTORY))
        newest = page[0] if page else await store.read(ports.db, type, id)
    else:
        newest = await store.read(ports.db, type, id, guarded=False)
    reason = await _allowed(ports, sight, "history", interaction, type, id, newest)
    # a record may have been moved to another person: older versions stay with the former one
    shown = [each for each in page if not sight.refusal(each, "history")]
    total = len(shown) if after is None and asked.before is None else None
    if not count:
        total = await _counted(ports, sight, asked, newest, total)
    latest = {each.person: each for each in reversed(shown)}
    if not page and newest is not None:
        latest = {newest.person: newest}  # that nothing was written then is an answer too
    await ports.record(
        [
            await _entry(ports, caller, "history", interaction, each, reason)
            for each in latest.values()
        ]
    )
    if not count:
        return HistoryPage([], None, total)
    return HistoryPage(
        shown, after.text() if after else None, total, await revived(ports.db, shown)
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which versions of one resource a history is about, and behind which place."""

    type: str
    id: str
    period: Period
    before: Place | None
    only: Collection[Key] | None

    async def page(
        self, ports: Ports, place: Place | None, size: int, veils: Veils = ()
    ) -> tuple[list[Stored], Place | None]:
        """Up to so many of them behind a place, whoever they belong to."""
        return await of_one(
            ports.db, self.type, self.id, self.period, place, size, self.only, veils=veils
        )


async def _kept(
    ports: Ports, sight: Sight, asked: _Asked, count: int
) -> tuple[list[Stored], Place | None, Stored | None]:
    """A page of what the caller may see, its end, and the version that decides about the whole:
    the current one; by scopes the newest one that they show.
    """

    async def keep(versions: Sequence[Stored]) -> list[Stored]:
        return await visible(ports, sight, versions, "history")

    newest = await store.read(ports.db, asked.type, asked.id, guarded=False)
    await sight.meet({newest.person} if newest else ())
    if newest is None or sight.refusal(newest, "history"):
        return [], None, newest
    outside = filter_of(sight.caller, "history")
    if not count and outside is None and asked.only is None:
        return [], None, newest
    size, veils = min(count or MAX_HISTORY, MAX_HISTORY), _veils(sight, newest)
    page, after = await full_page(
        lambda place, size: asked.page(ports, place, size, veils), keep, asked.before, size
    )
    if outside is None:
        return page, after, newest
    if page:
        return page, after, page[0]
    every = _Asked(asked.type, asked.id, Period(), None, None)
    some, _ = await full_page(
        lambda place, size: every.page(ports, place, size, veils), keep, None, 1
    )
    return page, after, some[0] if some else None


def _veils(sight: Sight, newest: Stored | None) -> Veils:
    """What the person of a resource holds back of it."""
    if newest is None or not sight.asks or newest.type == "Patient":
        return ()
    veil = sight.decide("history", newest.type, newest.person).veil
    return () if veil is None else ((newest.person, veil),)


async def _counted(
    ports: Ports, sight: Sight, asked: _Asked, newest: Stored | None, total: int | None
) -> int:
    """How many versions there are; `total` where all have been read. Raises Unprocessable."""
    if filter_of(sight.caller, "history") is None and asked.only is None:
        veils = _veils(sight, newest)
        found = await counted_of_one(ports.db, asked.type, asked.id, asked.period, veils=veils)
        await sight.meet(found.keys() or {0})
        whose = {person: sight.decide("history", asked.type, person) for person in found}
        veiled = dict(veils)
        # of a former owner's versions it is not known how many are held back: of those none
        return sum(
            found[person]
            for person, each in whose.items()
            if each.allowed and each.veil == veiled.get(person)
        )
    if total is None:
        raise uncounted(MAX_HISTORY)
    return total


def uncounted(most: int) -> Unprocessable:
    """The refusal to count what may be more than can be counted at once."""
    text = f"there are more than {most} versions, which are not counted: ask for a shorter period"
    return Unprocessable([Issue("error", "too-costly", "", text)])


async def _shown(
    ports: Ports,
    sight: Sight,
    interaction: str,
    type: str,
    id: str,
    stored: Stored | None,
) -> Stored:
    caller = sight.caller
    reason = await _allowed(ports, sight, "read", interaction, type, id, stored)
    assert stored is not None  # _allowed does not come back from nothing
    if stored.deleted:
        await ports.refused(
            caller, "read", type, "deleted", person=stored.person, id=id, interaction=interaction
        )
        raise Gone(type, id, stored.version)
    await store.guard(ports.db, [stored])
    if type == "Patient" and stored.person and b'"replaced-by"' not in stored.body:
        ports.names.learn(stored.person, id)
    await ports.record([await _entry(ports, caller, "read", interaction, stored, reason)])
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
    sight: Sight,
    action: Action,
    interaction: str,
    type: str,
    id: str,
    stored: Stored | None,
) -> str:
    """The reason why the caller may see it.

    Raises Forbidden when the type is closed to the caller whatever the record, and NotFound when
    the record does not exist, is another person's or held back: these cannot be told apart from
    outside.
    """
    caller = sight.caller
    person = stored.person if stored else 0
    decision = ports.policy.decide(caller, action, type)
    failure: Exception | None = None
    reason = "not-found"
    if not decision.allowed:
        failure, reason = Forbidden(decision.reason), decision.reason
    else:
        await sight.meet({person})
        if stored is None:
            failure = NotFound(type, id)
        else:
            refusal = sight.refusal(stored, action)
            reason = refusal or sight.decide(action, type, person).reason
            failure = NotFound(type, id) if refusal else None
    outside = filter_of(caller, action) if failure is None else None
    if outside is not None and stored and not await outside.visible(ports.db, [stored]):
        failure, reason = NotFound(type, id), OUTSIDE
    if failure is not None:
        await ports.refused(
            caller, action, type, reason, person=person, id=id, interaction=interaction
        )
        if type == "Patient" and isinstance(failure, NotFound):
            await ports.missed(caller, [id])
        raise failure
    return reason
