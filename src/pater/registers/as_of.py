"""A person as they were at a date: as it was true then (`valid_at`), as it was known (`known_at`).

Both are told apart: a marriage in May that was reported in July is valid in June, and known in
June it is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from pater.access.caller import Caller
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.json import parse
from pater.fhir.search.dates import date_span
from pater.records.gate import Gate
from pater.registers import sources
from pater.registers.surviving import LISTED, Resource, Said, survive
from pater.store.database import Database, Record

_PATIENT: Final = TYPE_NUMBER["Patient"]
# The master as it stood at a moment; versions of a moved Patient are those of its id.
_THEN: Final = """
select v.person, v.dict, v.body, v.deleted from (
  select r.person, r.version, r.updated, r.dict, r.body, r.deleted from resource r
  where r.type = $1 and r.id = $2 and r.updated <= $3
  union all
  select h.person, h.version, h.updated, h.dict, h.body, h.deleted from history h
  where h.type = $1 and h.id = $2 and h.updated <= $3
) v order by v.version desc limit 1
"""


async def as_of(
    gate: Gate, db: Database, caller: Caller, patient: str, valid_at: date, known_at: datetime
) -> Resource | None:
    """A Patient as it was at a date, as far as was known at a moment; None = not known then.

    Decided and recorded as a read of the Patient is, and raises what that raises.
    """
    await gate.read(caller, "Patient", patient)
    row = await db.fetchrow(_THEN, _PATIENT, patient, known_at)
    if row is None or row["deleted"]:
        return None
    said = await sources.known_at(db, row["person"], known_at)
    return view(await _parsed(db, row), said, valid_at)


def view(master: Resource, said: Sequence[Said], valid_at: date) -> Resource:
    """A master Patient and its sources, as they hold at a date. Pure.

    What a source says holds from `valid_from` until `valid_to`; what carries a period, in it.
    """
    holding = [each for each in said if _in_time(each, valid_at)]
    made = survive(master, holding) if holding else dict(master)
    for attribute in LISTED:
        if attribute in made:
            made[attribute] = [each for each in made[attribute] if holds(each, valid_at)]
            if not made[attribute]:
                del made[attribute]
    died = made.get("deceasedDateTime")
    if isinstance(died, str) and _begins_after(died, valid_at):
        for each in ("deceasedDateTime", "_deceasedDateTime"):
            made.pop(each, None)
    return made


def holds(element: Mapping[str, Any], at: date) -> bool:
    """Whether an element holds at a date, by its period; without one, unless it is former."""
    period = element.get("period")
    if not isinstance(period, dict) or not period:
        return element.get("use") != "old"
    start, end = period.get("start"), period.get("end")
    if isinstance(start, str) and _begins_after(start, at):
        return False
    return not (isinstance(end, str) and _ends_before(end, at))


def _in_time(said: Said, at: date) -> bool:
    if said.valid_from is not None and said.valid_from.date() > at:
        return False
    return said.valid_to is None or said.valid_to.date() >= at


def _begins_after(text: str, at: date) -> bool:
    try:
        return date_span(text)[0].date() > at
    except ValueError:
        return False


def _ends_before(text: str, at: date) -> bool:
    try:
        return date_span(text)[1].date() < at  # the end is within a period (FHIR R4 Period.end)
    except ValueError:
        return False


async def _parsed(db: Database, row: Record) -> Resource:
    await db.bodies.ensure(db, {row["dict"]})
    return parse(db.bodies.decompress(row["dict"], row["body"]))
