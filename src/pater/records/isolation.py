"""Whether isolation or quarantine is ordered for a person: one question, answered yes or no.

An order is an active Flag or ServiceRequest whose code or category says so: SNOMED CT 40174006
(isolation procedure), or Z29.0 of ICD-10 or its Czech edition MKN-10 (isolation, which there covers
the time after contact with an infection, too).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pater.access.caller import Caller
from pater.access.relations import MEASURES, is_measure
from pater.fhir.json import parse
from pater.fhir.search.dates import date_span
from pater.records.errors import Forbidden
from pater.records.ports import DONE, Ports
from pater.records.sight import NOBODY_KNOWN
from pater.store.record import record

PURPOSE: Final = "PUBHLTH"
"""The purpose is the law's, not the caller's to choose."""
CODES: Final = MEASURES
_TYPES: Final = ("Flag", "ServiceRequest")
_ORDERED: Final = frozenset({"order", "directive", "original-order", "instance-order"})
_PAGE: Final = 200
_MOST_PAGES: Final = 50


async def ordered(ports: Ports, caller: Caller, person: int, patient: str) -> bool:
    """Whether an order is in force now; recorded. `person` 0 = nobody is known, which takes as
    much and is answered as no order is. Raises Forbidden."""
    for type_ in _TYPES:
        decision = ports.policy.decide(caller, "ask", type_, person=person or None)
        if not decision.allowed:
            await ports.refused(caller, "ask", type_, decision.reason)
            raise Forbidden(decision.reason)
    found = await _in_force(ports, person or NOBODY_KNOWN)
    asked = replace(caller, purpose=PURPOSE)
    await ports.record(
        [
            ports.entry(
                asked, "ask", DONE, decision.reason,
                person=person, patient=patient, query="isolation-ordered",
            )
        ]
    )  # fmt: skip
    return found


async def _in_force(ports: Ports, person: int) -> bool:
    now, after = ports.clock(), None
    for _ in range(_MOST_PAGES):
        page, after = await record(ports.db, person, _TYPES, None, after, _PAGE)
        if any(is_order(parse(each.body), now) for each in page):
            return True
        if after is None:
            break
    return False


def is_order(resource: Mapping[str, Any], now: datetime) -> bool:
    """Whether a Flag or ServiceRequest orders isolation or quarantine at a moment."""
    if resource.get("status") != "active":
        return False
    if resource.get("resourceType") == "ServiceRequest":
        if resource.get("intent") not in _ORDERED or resource.get("doNotPerform") is True:
            return False
        during = resource.get("occurrencePeriod")
        if during is None and "occurrenceDateTime" in resource:
            during = {"start": resource["occurrenceDateTime"]}
    else:
        during = resource.get("period")
    return is_measure(resource) and _within(during, now)


def _within(period: Mapping[str, Any] | None, now: datetime) -> bool:
    start, end = (period or {}).get("start"), (period or {}).get("end")
    if start and now < date_span(start)[0]:
        return False
    return not (end and date_span(end)[1] < now)
