"""Histories of a type and of the system: for who may see everybody's data, or one's own record."""

from __future__ import annotations

from collections.abc import Collection

from pater.access.caller import Caller
from pater.access.policy import group
from pater.fhir.definitions import RESOURCE_TYPES
from pater.fhir.labels import Veil
from pater.records.changes import HistoryPage
from pater.records.errors import Forbidden
from pater.records.ports import DONE, Ports
from pater.records.reading import uncounted
from pater.records.scope_filter import filter_of, full_page
from pater.records.sight import Sight
from pater.store import history as store
from pater.store.history import Key, Period, Place, revived
from pater.store.read import Stored

MAX_COUNT = 1000
DIRECTORY = frozenset(
    {
        "Endpoint", "HealthcareService", "Location", "Organization", "OrganizationAffiliation",
        "Practitioner", "PractitionerRole",
    }
)  # fmt: skip
"""Types of a directory that others keep a copy of (IHE mCSD, ITI-91): what of them belongs to
nobody is told to systems and professionals who may read it. What came in a document is its
patient's."""
MOST_COUNTED = 1_000_000


async def walk(
    ports: Ports,
    caller: Caller,
    type: str,
    count: int,
    cursor: str | None,
    period: Period,
    only: Collection[Key] | None = None,
) -> HistoryPage:
    """The versions of a type ("" = of all), newest first, and one journal entry a person shown.

    A history names no patient. Who has to name one (see `access.binding`) therefore gets none, and
    what belongs to nobody is shown only to whom everything is, but for `DIRECTORY`. Raises
    Forbidden.
    """
    interaction = "history-type" if type else "history-system"
    wanted = (type,) if type else RESOURCE_TYPES
    types: list[str] = []
    persons: frozenset[int] | None = frozenset()
    reason = refusal = ""
    for each in wanted:
        decision = ports.policy.decide(caller, "history", each)
        search = ports.policy.decide(caller, "search", each)
        whose = decision.persons
        if whose is not None and not (type in DIRECTORY and whose == {0}):
            whose -= {0}  # who has a record of their own is shown that
        if not (decision.allowed and search.allowed):
            refusal = refusal or (decision.reason if not decision.allowed else search.reason)
        elif group(each) == "audit":
            continue  # the journal has no versions
        elif group(each) == "owned" and not type and whose is not None:
            continue  # asked for by its type: it is nobody's record
        elif search.patient_bound or whose == frozenset():
            refusal = "not-bound"
        else:
            types.append(each)
            reason = reason or decision.reason
            persons = None if persons is None or whose is None else persons | whose
    if not types:
        refusal = refusal or "not-bound"
        await ports.refused(caller, "history", type, refusal, interaction=interaction)
        raise Forbidden(refusal)
    sight = Sight(ports.policy, ports.standing, caller)
    veils: list[tuple[int, Veil]] = []
    known = sorted(each for each in persons or () if each > 0)
    if sight.asks and known:
        await sight.meet(known)
        for person in known:
            shown_types, veil = sight.alike(person, frozenset(types), "history", "search")
            types = [each for each in types if each in shown_types]
            if veil is not None:
                veils.append((person, veil))
    held = tuple(veils)
    number_only = count == 0
    count = MAX_COUNT if number_only else min(count, MAX_COUNT)
    before = Place.of(cursor) if cursor else None
    outside = filter_of(caller, "history", "search")
    total: int | None = None
    page: list[Stored] = []
    after: Place | None = None
    if number_only and outside is None and only is None:
        total = await store.counted(ports.db, types, persons, period, MOST_COUNTED, veils=held)
        if total > MOST_COUNTED:
            raise uncounted(MOST_COUNTED)
    elif outside is None:
        page, after = await store.walk(
            ports.db, types, persons, period, before, count, only, veils=held
        )
    else:
        page, after = await full_page(
            lambda place, size: store.walk(
                ports.db, types, persons, period, place, size, only, veils=held
            ),
            lambda versions: outside.visible(ports.db, versions),
            before,
            count,
        )
    if total is None and after is None and before is None:
        total = len(page)
    if number_only and total is None:
        raise uncounted(MAX_COUNT)
    shown = {each.person for each in page}
    if not shown and persons is not None:
        shown = set(persons)
    names = await ports.names.of_all(ports.db, shown - {0}) if shown - {0} else {}
    await ports.record(
        ports.entry(
            caller,
            "history",
            DONE,
            reason,
            person=person,
            patient=names.get(person, ""),
            type=type,
            interaction=interaction,
        )
        for person in sorted(shown or {0})
    )
    if number_only:
        return HistoryPage([], None, total)
    return HistoryPage(page, after.text() if after else None, total, await revived(ports.db, page))
