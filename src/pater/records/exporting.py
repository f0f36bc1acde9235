"""Bulk export: decided once for the caller, and recorded; what the job then may walk."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, NoReturn

from pater.access.binding import MOST_NAMED
from pater.access.caller import Caller
from pater.access.policy import Decision, group
from pater.fhir.definitions import RESOURCE_TYPES
from pater.records.errors import Forbidden, NotFound
from pater.records.everything import COMPARTMENT, person_of
from pater.records.ports import DONE, Ports
from pater.records.sight import Sight
from pater.store.journal import together
from pater.store.patients import every_patient
from pater.store.read import persons_of

MOST_PATIENTS: Final = 100_000
"""Patients that one export may name (the members of a Group)."""
_ENTRIES: Final = 1_000
_TOGETHER: Final = 20_000
_INTERACTION: Final = "operation"


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What an export may contain: types of everybody, and those `shared` of nobody only.

    `persons` None = everybody; else those alone. `personal` = nothing that belongs to nobody.
    """

    types: tuple[str, ...]
    shared: tuple[str, ...]
    persons: tuple[int, ...] | None
    personal: bool
    reason: str

    def as_json(self) -> dict[str, Any]:
        """Plain data, for a job's payload."""
        return asdict(self)

    @staticmethod
    def of(data: Mapping[str, Any]) -> ExportPlan:
        """The plan of `as_json`."""
        persons = data["persons"]
        return ExportPlan(
            tuple(data["types"]),
            tuple(data["shared"]),
            None if persons is None else tuple(persons),
            data["personal"],
            data["reason"],
        )


async def plan(
    ports: Ports,
    caller: Caller,
    *,
    types: Collection[str],
    patients: Collection[str] | None,
    personal: bool,
    query: str,
    only_known: bool = False,
) -> ExportPlan:
    """What the caller may export of the types (empty = of all), recorded before it returns.

    `patients` are the ids of the only patients meant, None = everybody; `personal` = only the
    compartments of patients. Whoever has to name the patient in a search may export few named
    ones. An export of named patients is recorded at each of them now, one of everybody when it is
    written (`told_everybody`), and every file that is fetched as one entry more. Raises Forbidden
    (also when one of the types is
    refused), NotFound (a named patient who is not known, or withheld); with `only_known` patients
    who are not here are left out (former members of a Group).
    """
    if patients is not None and only_known:
        patients = (await persons_of(ports.db, patients)).keys()
    persons = await _persons(ports, caller, patients)
    if persons is None and personal:
        persons = ports.policy.decide(caller, "search", "Patient").persons
    sight = await ports.sight(caller, persons or ())
    wide: list[str] = []
    shared: list[str] = []
    reason = refusal = ""
    for type_ in sorted(types or RESOURCE_TYPES):
        if (personal or persons is not None) and type_ not in COMPARTMENT:
            continue
        decision = _judge(sight, type_, persons)
        refused = "" if decision.allowed else decision.reason
        if decision.patient_bound and (persons is None or len(persons) > MOST_NAMED):
            refused = "not-bound"
        if refused and types:
            await _refuse(ports, caller, type_, refused, query)
        if refused:
            refusal = refusal or refused
            continue
        reason = reason or decision.reason
        (wide if decision.persons is None or persons is not None else shared).append(type_)
    if not (wide or shared):
        await _refuse(ports, caller, "", refusal or "not-bound", query)
    names = await ports.names.of_all(ports.db, persons) if persons else {}
    told = sorted(persons or {0})
    for first in range(0, len(told), _ENTRIES):
        await ports.record(
            ports.entry(
                caller, "search", DONE, reason, person=person, patient=names.get(person, ""),
                query=query, interaction=_INTERACTION,
            )
            for person in told[first : first + _ENTRIES]
        )  # fmt: skip
    named = None if persons is None else tuple(sorted(persons))
    return ExportPlan(tuple(wide), tuple(shared), named, personal or named is not None, reason)


async def told_everybody(ports: Ports, caller: Caller, plan: ExportPlan) -> None:
    """Records an export of everybody at each person, before its files can be fetched."""
    if plan.persons is not None or not plan.types:
        return
    async for some in every_patient(ports.db, _TOGETHER):
        one = ports.entry(caller, "search", DONE, plan.reason, interaction=_INTERACTION)
        await ports.record(together(one, some))


async def fetched(ports: Ports, caller: Caller, plan: ExportPlan, name: str) -> None:
    """Records that a file of an export is handed out."""
    await ports.record(
        [ports.entry(caller, "search", DONE, plan.reason, query=name, interaction=_INTERACTION)]
    )


async def _persons(
    ports: Ports, caller: Caller, patients: Collection[str] | None
) -> frozenset[int] | None:
    """The persons of the patients who are named. Raises NotFound, Forbidden."""
    if patients is None:
        return None
    if len(patients) <= MOST_NAMED:
        return frozenset(
            [
                (await person_of(ports, caller, "search", "Patient", each, _INTERACTION))[0]
                for each in sorted(patients)
            ]
        )
    decision = ports.policy.decide(caller, "search", "Patient")
    if not decision.allowed or decision.persons is not None or decision.patient_bound:
        await _refuse(ports, caller, "Patient", decision.reason if not decision.allowed
                      else "not-bound", "")  # fmt: skip
    found = await persons_of(ports.db, patients)
    missing = set(patients) - found.keys()
    if missing:
        raise NotFound("Patient", min(missing))
    return frozenset(found.values())


def _judge(sight: Sight, type: str, persons: frozenset[int] | None) -> Decision:
    """The policy's word on searching and reading the type, of one of these persons at least or of
    everybody. What of each person may really be written the walk decides when it meets it."""
    if group(type) not in ("personal", "public"):
        return Decision(False, "no-role", frozenset(), False)
    refusal: Decision | None = None
    several: list[int | None] = [*sorted(persons)] if persons else [None]
    for person in several:
        search = sight.decide("search", type, person)
        read = sight.decide("read", type, person)
        if search.allowed and read.allowed:
            break
        refusal = refusal or (read if search.allowed else search)
    else:
        return refusal or Decision(False, "no-role", frozenset(), False)
    for found in (search, read):
        if found.persons is not None and persons is not None and not persons <= found.persons:
            return Decision(False, "other-person", frozenset(), False)
        if found.persons is not None and persons is None and 0 not in found.persons:
            return Decision(False, "not-bound", frozenset(), False)
    whose = search.persons if search.persons is not None else read.persons
    return Decision(True, search.reason, whose, search.patient_bound)


async def _refuse(ports: Ports, caller: Caller, type: str, reason: str, query: str) -> NoReturn:
    await ports.refused(caller, "search", type, reason, query=query, interaction=_INTERACTION)
    raise Forbidden(reason)
