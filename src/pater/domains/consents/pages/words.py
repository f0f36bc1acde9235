"""Declarations in plain words, for whoever reads the pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pater.domains.consents.declaration import Declaration
from pater.web.i18n import N_

CATEGORY_NAMES: Final[Mapping[str, str]] = {
    "patient-summary": N_("Patient summaries"),
    "ambulatory-report": N_("Reports of outpatient visits"),
    "discharge-report": N_("Hospital discharge reports"),
    "laboratory-order": N_("Orders of laboratory tests"),
    "laboratory-report": N_("Laboratory results"),
    "imaging-order": N_("Orders of imaging"),
    "imaging-report": N_("Results of imaging"),
    "medication": N_("Medicines"),
    "vaccination": N_("Vaccinations"),
    "other": N_("Other records"),
    "identification": N_("Personal data"),
    "advance-directive": N_("Advance directives"),
    "epidemiology": N_("Records of public health"),
    "consent": N_("Declarations"),
    "notice": N_("Notices"),
    "care-relation": N_("Records of who cares for you"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One declaration as a page shows it."""

    id: str
    version: int
    permits: bool
    what: str
    whom: str
    since: datetime | None
    until: datetime | None
    at: datetime | None
    ended: datetime | None
    waits: bool  # begins later
    over: bool  # its time is over, though nobody ended it


def line_of(declaration: Declaration, now: datetime, gettext: Callable[[str], str]) -> Line:
    """A declaration in the reader's language."""
    return Line(
        id=declaration.id,
        version=declaration.version,
        permits=declaration.permits,
        what=_what(declaration, gettext),
        whom=_whom(declaration, gettext),
        since=declaration.since,
        until=declaration.until,
        at=declaration.at,
        ended=declaration.ended,
        waits=declaration.active and declaration.since is not None and declaration.since > now,
        over=declaration.active and declaration.until is not None and declaration.until < now,
    )


def _what(declaration: Declaration, gettext: Callable[[str], str]) -> str:
    named = [gettext(CATEGORY_NAMES[c]) for c in declaration.categories if c in CATEGORY_NAMES]
    named += [name or gettext(N_("one document")) for _, name in declaration.documents]
    if not declaration.plain:
        named.append(gettext(N_("more than this page can show; see the data of the record")))
    return _listed(named) or gettext(N_("The whole record"))


def _whom(declaration: Declaration, gettext: Callable[[str], str]) -> str:
    return _listed([party.name or party.value for party in declaration.parties]) or gettext(
        N_("everybody")
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
