"""The doors of the house: which portal a role enters and what its navigation offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pater.domain import NavEntry


@dataclass(frozen=True, slots=True)
class Portal:
    """A set of pages for some roles: its front page, name, picture and navigation."""

    name: str
    roles: frozenset[str]
    home: str
    title: Mapping[str, str]
    summary: Mapping[str, str]
    icon: str
    nav: Sequence[NavEntry] = ()
    door: bool = True  # whether people come in by it, and are not led there from another


PATIENT = Portal(
    name="patient",
    roles=frozenset({"patient"}),
    home="/patient",
    title={"cs": "Portál pacienta", "en": "Patient portal"},
    summary={
        "cs": "Vaše zdravotní dokumentace na jednom místě. A přehled o tom, kdo do ní nahlížel.",
        "en": "Your health records in one place. And an overview of who has looked at them.",
    },
    icon="art-doc-health",
)
PROXY = replace(PATIENT, name="proxy", roles=frozenset({"proxy"}), door=False)
PROFESSIONAL = Portal(
    name="professional",
    roles=frozenset({"clinician", "rescue"}),
    home="/professional",
    title={"cs": "Portál zdravotníka", "en": "Professional portal"},
    summary={
        "cs": "Zprávy o vašich pacientech ze všech nemocnic, čitelně a ve chvíli, kdy je třeba.",
        "en": "Reports about your patients from every hospital, readable and when you need them.",
    },
    icon="art-health",
)
PRIVACY = Portal(
    name="privacy",
    roles=frozenset({"privacy-officer"}),
    home="/privacy",
    title={"cs": "Ochrana soukromí", "en": "Privacy"},
    summary={
        "cs": "Prověrka přístupů, které zdravotníci otevřeli v nouzi.",
        "en": "Review of what professionals opened in an emergency.",
    },
    icon="art-secured",
)
ADMINISTRATION = Portal(
    name="administration",
    roles=frozenset({"administrator"}),
    home="/certificates",
    title={"cs": "Správa poskytovatele", "en": "Provider administration"},
    summary={
        "cs": "Certifikáty systémů a lidí vaší organizace.",
        "en": "Certificates of the systems and people of your organisation.",
    },
    icon="art-secured",
)
REGISTRY = Portal(
    name="registry",
    roles=frozenset({"registrar"}),
    home="/registry",
    title={"cs": "Registr pacientů", "en": "Register of patients"},
    summary={
        "cs": "Kdo je kdo: osoby, jejich zdroje a případy k posouzení.",
        "en": "Who is who: persons, their sources and cases to be decided.",
    },
    icon="art-doc-health",
)
DIRECTORY = Portal(
    name="directory",
    roles=frozenset(),  # nobody logs in for it
    home="/directory",
    title={"cs": "Zdravotní péče v okolí", "en": "Health care near you"},
    summary={
        "cs": "Kdo co nabízí, kde a kdy má otevřeno. Bez přihlášení.",
        "en": "Who offers what, where, and when they are open. Without a login.",
    },
    icon="art-health",
)
PORTALS: tuple[Portal, ...] = (
    PATIENT,
    PROXY,
    PROFESSIONAL,
    PRIVACY,
    ADMINISTRATION,
    REGISTRY,
    DIRECTORY,
)


def furnished(portals: Sequence[Portal], entries: Sequence[NavEntry]) -> tuple[Portal, ...]:
    """The portals with the navigation that domains bring.

    A portal that nobody brings a page to has no door.
    """
    filled = (replace(portal, nav=_nav(portal, entries)) for portal in portals)
    return tuple(portal for portal in filled if portal.nav)


def _nav(portal: Portal, entries: Sequence[NavEntry]) -> list[NavEntry]:
    """The entries of a portal: its front page first, the others as the domains bring them."""
    own = [entry for entry in entries if entry.portal == portal.name]
    return sorted(own, key=lambda entry: entry.url != portal.home)


def portal_of(portals: Sequence[Portal], role: str) -> Portal | None:
    """The portal which a role enters."""
    return next((portal for portal in portals if role in portal.roles), None)
