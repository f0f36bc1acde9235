"""Whole records: of a patient, of all patients, of an encounter; and what they refer to."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from pater.access.caller import Caller
from pater.access.policy import PUBLIC_TYPES, Action, group
from pater.fhir.definitions import compartment
from pater.records.errors import Forbidden, NotFound
from pater.records.ports import DONE, Ports
from pater.records.scope_filter import OUTSIDE, filter_of, full_page
from pater.records.sight import Sight
from pater.store import record as store
from pater.store.read import Stored, persons_of, read_many
from pater.store.record import Care, EverybodyPlace, RecordPlace
from pater.store.search import Page
from pater.store.veils import Veils

MAX_COUNT = 1000
MOST_REFERRED = 1000
"""Resources of the directories that one page brings along."""
_ROUNDS = 3  # a role, its organisation, the organisation's parent
_REFERENCE = re.compile(
    rb'"reference"\s*:\s*"([^"]{1,500}/)?([A-Z][A-Za-z]{2,40})/([A-Za-z0-9\-.]{1,64})'
    rb'(?:/_history/[0-9]{1,9})?"'
)
_BOTH: tuple[Action, ...] = ("search", "read")
_Place = TypeVar("_Place", RecordPlace, EverybodyPlace)
COMPARTMENT = frozenset(
    type_ for type_ in (*compartment("Patient"), "Patient") if group(type_) != "audit"
)
"""The types that may stand in a Patient compartment; the journal is asked by itself."""
ENCOUNTER = frozenset({*compartment("Encounter"), "Patient"})
"""The types that `$everything` of an Encounter gives."""


async def person_of(
    ports: Ports, caller: Caller, action: Action, type: str, patient: str, interaction: str
) -> tuple[int, Sight]:
    """The person of a Patient whose data of a type the caller may see, and the caller's sight.

    Raises Forbidden, and NotFound when there is no such Patient or it is withheld.
    """
    decision = ports.policy.decide(caller, action, type)
    sight = Sight(ports.policy, ports.standing, caller)
    person = 0
    failure: Exception | None = None
    if not decision.allowed:
        failure = Forbidden(decision.reason)
    else:
        person = (await persons_of(ports.db, [patient])).get(patient, 0)
        await sight.meet({person})
        decision = sight.decide(action, type, person)
        if not person or not decision.allowed:
            failure = NotFound("Patient", patient)
    if failure is not None:
        reason = decision.reason if person or isinstance(failure, Forbidden) else "not-found"
        await ports.refused(
            caller, action, type, reason, person=person, id=patient, interaction=interaction
        )
        if isinstance(failure, NotFound):
            await ports.missed(caller, [patient])
        raise failure
    return person, sight


@dataclass(frozen=True, slots=True)
class Wish:
    """What part of a record is asked for: `types` empty = all; `referred` = what it refers to."""

    types: Collection[str] = ()
    since: datetime | None = None
    care: Care | None = None
    count: int = MAX_COUNT
    cursor: str | None = None
    referred: bool = True
    name: str = "$everything"  # as the journal calls it

    @property
    def size(self) -> int:
        """Resources of one page."""
        return max(1, min(self.count, MAX_COUNT))


async def of_patient(ports: Ports, caller: Caller, patient: str, wish: Wish) -> Page:
    """A page of the patient's record. One journal entry a page.

    The record is what belongs to the person. `referred` brings along what its resources name in
    the directories (of nobody, or of this record), as far as the caller may read it.
    """
    person, sight = await person_of(ports, caller, "search", "Patient", patient, "operation")
    await _not_outside(ports, caller, person, "Patient", patient, patient)
    wanted, veils = _wanted(sight, person, wish)
    care, db = wish.care, ports.db
    page, place = await _filtered(
        ports,
        caller,
        lambda place, size: store.record(
            db, person, wanted, wish.since, place, size, care, veils=veils
        ),
        RecordPlace.of(wish.cursor) if wish.cursor else None,
        wish.size,
    )
    await _told(ports, sight, "Patient", patient, {person: patient}, wish.name)
    beside = await _beside(ports, sight, page, wish)
    return Page(page, beside, None, place.text() if place else None)


async def of_everybody(ports: Ports, caller: Caller, wish: Wish) -> Page:
    """A page of the records that the caller may see all of: everybody's, or the own one.

    One journal entry for each person on the page. Raises Forbidden.
    """
    decision = ports.policy.decide(caller, "search", "Patient")
    outside = filter_of(caller, *_BOTH)
    refusal = "" if decision.allowed else decision.reason
    if decision.allowed and decision.patient_bound:
        refusal = "not-bound"
    if outside is not None and outside.touches("Patient"):
        refusal = refusal or OUTSIDE
    if not refusal and decision.persons is not None:
        if caller.patient and caller.person in decision.persons:
            return await of_patient(ports, caller, caller.patient, wish)
        refusal = "no-person"
    if refusal:
        await ports.refused(caller, "search", "Patient", refusal, interaction="operation")
        raise Forbidden(refusal)
    sight = Sight(ports.policy, ports.standing, caller)
    wanted, _ = _wanted(sight, None, wish)
    page, place = await _filtered(
        ports,
        caller,
        lambda place, size: store.everybody(ports.db, wanted, wish.since, place, size, wish.care),
        EverybodyPlace.of(wish.cursor) if wish.cursor else None,
        wish.size,
    )
    persons = {each.person for each in page}
    names = await ports.names.of_all(ports.db, persons) if persons else {}
    await _told(ports, sight, "Patient", "", names or {0: ""}, wish.name)
    beside = await _beside(ports, sight, page, wish)
    return Page(page, beside, None, place.text() if place else None)


async def of_encounter(ports: Ports, caller: Caller, id: str, wish: Wish) -> Page:
    """A page of what belongs to an Encounter: it, its patient, its compartment (R4 section 5.10).

    Raises NotFound when there is none or it is withheld, Forbidden.
    """
    decision = ports.policy.decide(caller, "search", "Encounter")
    sight = Sight(ports.policy, ports.standing, caller)
    found = [each for each in await read_many(ports.db, [("Encounter", id)]) if not each.deleted]
    person = found[0].person if found else 0
    failure: Exception | None = None
    reason = "not-found"
    if not decision.allowed:
        failure, reason = Forbidden(decision.reason), decision.reason
    else:
        await sight.meet({person})
        refusal = sight.refusal(found[0], *_BOTH) if found else "not-found"
        if refusal:
            failure, reason = NotFound("Encounter", id), refusal
    if failure is not None:
        await ports.refused(
            caller, "search", "Encounter", reason, person=person, id=id, interaction="operation"
        )
        raise failure
    patient = await ports.patient_of(person)
    await _not_outside(ports, caller, person, "Encounter", id, patient)
    wanted, veils = _wanted(sight, person, wish, ENCOUNTER)
    base = ports.base_url
    page, place = await _filtered(
        ports,
        caller,
        lambda place, size: store.of_encounter(
            ports.db, person, id, base, wanted, wish.since, place, size, veils=veils
        ),
        RecordPlace.of(wish.cursor) if wish.cursor else None,
        wish.size,
    )
    await _told(ports, sight, "Encounter", id, {person: patient}, wish.name)
    beside = await _beside(ports, sight, page, wish)
    return Page(page, beside, None, place.text() if place else None)


async def _not_outside(
    ports: Ports, caller: Caller, person: int, type: str, id: str, patient: str
) -> None:
    """Refuses a record whose head the caller's scopes do not show: as if there were none."""
    outside = filter_of(caller, *_BOTH)
    if outside is None:
        return
    head = await read_many(ports.db, [(type, id), ("Patient", patient)])
    if len(await outside.visible(ports.db, head)) < len(head):
        await ports.refused(
            caller, "search", type, OUTSIDE, person=person, id=id, interaction="operation"
        )
        raise NotFound(type, id)


async def _filtered(
    ports: Ports,
    caller: Caller,
    fetch: Callable[[_Place | None, int], Awaitable[tuple[list[Stored], _Place | None]]],
    after: _Place | None,
    size: int,
) -> tuple[list[Stored], _Place | None]:
    """A page of what the caller's scopes show."""
    outside = filter_of(caller, *_BOTH)
    if outside is None:
        return await fetch(after, size)
    return await full_page(fetch, lambda found: outside.visible(ports.db, found), after, size)


def _wanted(
    sight: Sight, person: int | None, wish: Wish, among: frozenset[str] = COMPARTMENT
) -> tuple[list[str], Veils]:
    """The types of which there may be something to show, and what of it is held back."""
    allowed, veil = sight.alike(person, among, *_BOTH)
    wanted = [each for each in among if each in allowed and (not wish.types or each in wish.types)]
    return wanted, () if veil is None or person is None else ((person, veil),)


async def _told(
    ports: Ports, sight: Sight, type: str, id: str, patients: Mapping[int, str], name: str
) -> None:
    """A journal entry for each person: (person, Patient id)."""
    await ports.record(
        ports.entry(
            sight.caller,
            "search",
            DONE,
            sight.decide("search", type, person or None).reason,
            person=person,
            patient=patient,
            type=type,
            id=id,
            query=name,
            interaction="operation",
        )
        for person, patient in sorted(patients.items())
    )


async def _beside(ports: Ports, sight: Sight, page: Sequence[Stored], wish: Wish) -> list[Stored]:
    if not wish.referred:
        return []
    found = await referred(ports, sight, page, PUBLIC_TYPES)
    return [each for each in found if not wish.types or each.type in wish.types]


async def referred(
    ports: Ports,
    sight: Sight,
    page: Sequence[Stored],
    types: Collection[str],
    *,
    rounds: int = _ROUNDS,
    most: int = MOST_REFERRED,
) -> list[Stored]:
    """What the resources of a page refer to, and that in turn: of these types, of the persons of
    the page or of nobody, as far as the caller may read it. Nothing is recorded here."""
    here = (None, f"{ports.base_url}/".encode())
    outside = filter_of(sight.caller, *_BOTH)
    persons = {0, *(each.person for each in page)}
    await sight.meet(persons)
    found: list[Stored] = []
    known = {(each.type, each.id) for each in page}
    last = list(page)
    for _ in range(rounds):
        named = {
            (match[2].decode("ascii"), match[3].decode("ascii"))
            for each in last
            for match in _REFERENCE.finditer(each.body)
            if match[1] in here
        }
        keys = sorted(key for key in named - known if key[0] in types)
        keys = keys[: most - len(found)]
        if not keys:
            break
        known |= set(keys)
        last = [
            each
            for each in await read_many(ports.db, keys)
            if not each.deleted
            and each.person in persons
            and not sight.refusal(each, "read")
            and (outside is None or outside.shows(each.type, each.body))
        ]
        found += sorted(last, key=lambda each: (each.type, each.id))
    return found
