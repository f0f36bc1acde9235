"""Patients who are one: the one that survives, and all that were merged into it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pater.fhir.definitions import TYPE_NUMBER
from pater.store.read import Stored
from pater.store.search.rows import Reader

_PATIENT = "Patient"
_LINKED = b'"replaced-by"', b'"replaces"'

# All of them stand with one person number.
_FAMILIES = """
select r.id, min(a.survivor) || array_agg(a.patient) as names
from resource r join alias a on a.person = r.person
where r.type = $1::smallint and r.id = any($2::text[]) group by r.id
"""


async def families(reader: Reader, patients: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Those of the ids that are of Patients who are one with others, each with the ids of all: that
    of the survivor first.
    """
    rows = await reader.fetch(_FAMILIES, TYPE_NUMBER[_PATIENT], sorted(patients), kept=True)
    return {row["id"]: tuple(row["names"]) for row in rows}


async def with_families(reader: Reader, patients: set[str]) -> set[str]:
    """The ids, and those of all Patients who are one with theirs."""
    if not patients:
        return patients
    one = await families(reader, patients)
    return patients.union(*one.values())


async def families_on(reader: Reader, page: Sequence[Stored]) -> Mapping[str, tuple[str, ...]]:
    """As `families`, of the Patients of a page; who is one with others says so in `link`."""
    linked = [each.id for each in page if each.type == _PATIENT and is_linked(each)]
    return await families(reader, linked) if linked else {}


def is_linked(patient: Stored) -> bool:
    """Whether a Patient may be one with others."""
    return any(each in patient.body for each in _LINKED)
