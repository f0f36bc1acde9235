"""A patient's compartment: whose it is, all of it, and what it refers to in the directories."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import datetime

from pater.access.caller import Caller
from pater.access.policy import PUBLIC_TYPES, Action, decide, group
from pater.fhir.definitions import compartment
from pater.records.errors import Forbidden, NotFound
from pater.records.ports import DONE, Ports
from pater.store import record as store
from pater.store.read import Stored, persons_of, read_many
from pater.store.record import RecordPlace
from pater.store.search import Page

MAX_COUNT = 1000
MOST_REFERRED = 1000
"""Resources of the directories that one page brings along."""
_ROUNDS = 3  # a role, its organisation, the organisation's parent
_REFERENCE = re.compile(
    rb'"reference"\s*:\s*"([^"]{1,500}/)?([A-Z][A-Za-z]{2,40})/([A-Za-z0-9\-.]{1,64})'
    rb'(?:/_history/[0-9]{1,9})?"'
)
COMPARTMENT = frozenset(
    type_ for type_ in (*compartment("Patient"), "Patient") if group(type_) != "audit"
)
"""The types that may stand in a Patient compartment; the journal is asked by itself."""


async def person_of(
    ports: Ports, caller: Caller, action: Action, type: str, patient: str, interaction: str
) -> int:
    """The person of a Patient whose data of a type the caller may see.

    Raises Forbidden, and NotFound when there is no such Patient or it is withheld.
    """
    decision = decide(caller, action, type, person=None)
    person = 0
    failure: Exception | None = None
    if not decision.allowed:
        failure = Forbidden(decision.reason)
    else:
        person = (await persons_of(ports.db, [patient])).get(patient, 0)
        decision = decide(caller, action, type, person=person)
        if not person or not decision.allowed:
            failure = NotFound("Patient", patient)
    if failure is not None:
        reason = decision.reason if person or isinstance(failure, Forbidden) else "not-found"
        await ports.refused(
            caller, action, type, reason, person=person, id=patient, interaction=interaction
        )
        raise failure
    return person


async def everything(
    ports: Ports,
    caller: Caller,
    patient: str,
    *,
    types: Collection[str],
    since: datetime | None,
    count: int,
    cursor: str | None,
    referred: bool,
) -> Page:
    """A page of the patient's record; `types` empty = all. One journal entry a page.

    The record is what belongs to the person. `referred` brings along what its resources name in
    the directories (of nobody, or of this record), as far as the caller may read it.
    """
    person = await person_of(ports, caller, "search", "Patient", patient, "operation")
    allowed = [each for each in COMPARTMENT if _may(caller, each, person)]
    wanted = [each for each in allowed if not types or each in types]
    after = RecordPlace.of(cursor) if cursor else None
    size = max(1, min(count, MAX_COUNT))
    page, place = await store.record(ports.db, person, wanted, since, after, size)
    beside = await _referred(ports, caller, person, page) if referred else []
    if types:
        beside = [each for each in beside if each.type in types]
    await ports.record(
        [
            ports.entry(
                caller,
                "search",
                DONE,
                decide(caller, "search", "Patient", person=person).reason,
                person=person,
                patient=patient,
                type="Patient",
                id=patient,
                query="$everything" if referred else "*",
                interaction="operation",
            )
        ]
    )
    return Page(page, beside, None, place.text() if place else None)


def _may(caller: Caller, type: str, person: int) -> bool:
    return all(decide(caller, a, type, person=person).allowed for a in _BOTH)


_BOTH: tuple[Action, ...] = ("search", "read")


async def _referred(
    ports: Ports, caller: Caller, person: int, page: Iterable[Stored]
) -> list[Stored]:
    here = (None, f"{ports.base_url}/".encode())
    found: list[Stored] = []
    known = {(each.type, each.id) for each in page}
    last = list(page)
    for _ in range(_ROUNDS):
        named = {
            (match[2].decode("ascii"), match[3].decode("ascii"))
            for each in last
            for match in _REFERENCE.finditer(each.body)
            if match[1] in here
        }
        keys = sorted(key for key in named - known if key[0] in PUBLIC_TYPES)
        keys = keys[: MOST_REFERRED - len(found)]
        if not keys:
            break
        known |= set(keys)
        last = [
            each
            for each in await read_many(ports.db, keys)
            if not each.deleted
            and each.person in (0, person)
            and decide(caller, "read", each.type, person=each.person).allowed
        ]
        found += sorted(last, key=lambda each: (each.type, each.id))
    return found
