"""The doors of the house: which portal a role enters and what its navigation offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NavItem:
    """One entry of a portal's navigation."""

    url: str
    title: Mapping[str, str]  # by language


@dataclass(frozen=True, slots=True)
class Portal:
    """A set of pages for some roles: its front page, name, picture and navigation."""

    roles: frozenset[str]
    home: str
    title: Mapping[str, str]
    summary: Mapping[str, str]
    icon: str
    nav: Sequence[NavItem] = ()


PATIENT = Portal(
    roles=frozenset({"patient"}),
    home="/patient",
    title={"cs": "Portál pacienta", "en": "Patient portal"},
    summary={
        "cs": "Vaše zdravotní dokumentace na jednom místě. A přehled o tom, kdo do ní nahlížel.",
        "en": "Your health records in one place. And an overview of who has looked at them.",
    },
    icon="art-doc-health",
    nav=(
        NavItem("/patient", {"cs": "Moje záznamy", "en": "My records"}),
        NavItem("/patient/access", {"cs": "Kdo nahlížel", "en": "Who looked"}),
    ),
)
PROFESSIONAL = Portal(
    roles=frozenset({"clinician"}),
    home="/professional",
    title={"cs": "Portál zdravotníka", "en": "Professional portal"},
    summary={
        "cs": "Zprávy o vašich pacientech ze všech nemocnic, čitelně a ve chvíli, kdy je třeba.",
        "en": "Reports about your patients from every hospital, readable and when you need them.",
    },
    icon="art-health",
    nav=(
        NavItem("/professional", {"cs": "Najít pacienta", "en": "Find a patient"}),
        NavItem("/professional/arrivals", {"cs": "Odeslané dokumenty", "en": "Sent documents"}),
    ),
)
PORTALS: tuple[Portal, ...] = (PATIENT, PROFESSIONAL)


def portal_of(portals: Sequence[Portal], role: str) -> Portal | None:
    """The portal which a role enters."""
    return next((portal for portal in portals if role in portal.roles), None)
