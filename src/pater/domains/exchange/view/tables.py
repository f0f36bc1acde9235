"""Lays out the entries of a section as tables, one for each kind of resource."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from pater.domains.exchange.view import kinds, medication, observation
from pater.domains.exchange.view.bundle import Json, items, text
from pater.domains.exchange.view.model import Row, Table
from pater.domains.exchange.view.values import Wording
from pater.domains.exchange.view.words import caption

_Rows = Callable[[Wording, Json], Row]


def _medication(wording: Wording, resource: Json) -> Row:
    return medication.medication_row(wording, resource, 0)


_KINDS: Final[Mapping[str, tuple[tuple[str, ...], _Rows]]] = MappingProxyType(
    {
        "Condition": (
            ("diagnosis", "clinical_status", "onset", "abatement", "severity", "note"),
            kinds.condition,
        ),
        "Procedure": (
            ("procedure", "body_site", "date", "performer", "reason", "outcome", "note"),
            kinds.procedure,
        ),
        "AllergyIntolerance": (
            ("substance", "criticality", "reaction", "clinical_status", "onset", "note"),
            kinds.allergy,
        ),
        "Immunization": (
            ("vaccine", "date", "dose", "lot", "performer", "note"),
            kinds.immunization,
        ),
        "Device": (("device", "device_id", "provider", "date", "note"), kinds.device),
        "DeviceUseStatement": (
            ("device", "body_site", "device_id", "date", "status", "note"),
            kinds.device_use,
        ),
        "CarePlan": (("name", "activity", "period", "status", "note"), kinds.care_plan),
        "Goal": (("goal", "target", "date", "status", "note"), kinds.goal),
        "FamilyMemberHistory": (("relative", "condition", "note"), kinds.family),
        "Encounter": (("kind", "period", "department", "reason", "status"), kinds.encounter),
        "Flag": (("alert", "category", "period", "status"), kinds.flag),
        "Consent": (("consent", "date", "status", "document"), kinds.consent),
        "DiagnosticReport": (
            ("report", "date", "conclusion", "performer", "results", "status"),
            kinds.report,
        ),
        "Coverage": (("payer", "insured_id", "kind", "period"), kinds.coverage),
        "Medication": (("medication", "composition", "form"), kinds.product),
        "MedicationStatement": (medication.COLUMNS, _medication),
        "MedicationRequest": (medication.COLUMNS, _medication),
        "MedicationAdministration": (medication.COLUMNS, _medication),
        "MedicationDispense": (medication.COLUMNS, _medication),
    }
)
_GENERIC: Final[tuple[tuple[str, ...], _Rows]] = (
    ("entry", "date", "detail", "identifier", "status"),
    kinds.generic,
)


def tables(wording: Wording, resources: Iterable[Json], seen: set[int]) -> tuple[Table, ...]:
    """The tables of the given entries in the order in which their kinds first appear.

    Adds the numbers of all entries shown, members of groups included, to `seen`.
    """
    grouped: dict[str, list[Json]] = {}
    members: set[int] = set()
    chosen = list(resources)
    for resource in chosen:
        position = wording.index.position(resource)
        seen.add(position)
        grouped.setdefault(text(resource.get("resourceType")), []).append(resource)
        members |= _members(wording, resource) - {position}
    found = []
    columns: tuple[str, ...]
    for kind, group in grouped.items():
        if kind == "Observation":
            # A member listed beside its group is told once: under the group.
            told: set[int] = set()
            rows: list[Row] = []
            for one in sorted(group, key=lambda one: wording.index.position(one) in members):
                position = wording.index.position(one)
                if position < 0 or position not in told:
                    told.add(position)
                    rows += observation.observation_rows(wording, one, 0, told)
            seen |= told
            columns = observation.COLUMNS
        else:
            columns, write = _KINDS.get(kind, _GENERIC)
            rows = [write(wording, one) for one in group]
        found.append(_table(wording, kind, columns, rows))
    return tuple(found)


def _members(wording: Wording, resource: Json) -> set[int]:
    return {
        wording.index.position(wording.index.resolve(one, resource))
        for one in items(resource.get("hasMember"))
    }


def _table(wording: Wording, kind: str, columns: tuple[str, ...], rows: list[Row]) -> Table:
    # A column in which nobody says anything is noise; the first always stays.
    kept = [n for n in range(len(columns)) if n == 0 or any(row.cells[n] for row in rows)]
    return Table(
        kind,
        caption(kind, wording.lang),
        tuple(wording.w[columns[n]] for n in kept),
        tuple(Row(tuple(row.cells[n] for n in kept), row.level, row.group) for row in rows),
    )
