"""The demonstration region: invented hospitals and patients with their discharge reports."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from pater.domains.exchange.demo import reports_a, reports_b, reports_svobodova
from pater.domains.exchange.demo.builder import build
from pater.domains.exchange.demo.people import (
    DOCTORS,
    HOSPITALS,
    PERSONS,
    REGION,
    Doctor,
    Hospital,
    Person,
)
from pater.domains.exchange.demo.report import Report


@dataclass(frozen=True, slots=True)
class Region:
    """All of the demonstration region; nobody and nothing in it exists.

    `documents` are FHIR R4 document Bundles as bytes in the order in which they were issued;
    `senders` names the hospital ("a" or "b") that sends each of them. The persons with the keys
    `patient` and `patient-2` are those who can sign in.
    """

    name: str
    hospitals: tuple[Hospital, ...]
    practitioners: tuple[Doctor, ...]
    patients: tuple[Person, ...]
    documents: tuple[bytes, ...]
    senders: tuple[str, ...]


def reports() -> tuple[Report, ...]:
    """The reports as written down, in the order of issue."""
    everything = (
        *reports_svobodova.REPORTS,
        *reports_a.REPORTS,
        *reports_b.REPORTS,
    )
    return tuple(sorted(everything, key=lambda one: (one.issued or one.end, one.key)))


@lru_cache(maxsize=1)
def demo_region() -> Region:
    """The region, made without chance or clock: every call everywhere gives the same bytes."""
    written = reports()
    by_key = {one.key: one for one in written}
    return Region(
        REGION,
        tuple(HOSPITALS.values()),
        tuple(DOCTORS.values()),
        tuple(PERSONS.values()),
        tuple(build(one, by_key.get(one.replaces)) for one in written),
        tuple(one.hospital for one in written),
    )
