"""Which name of a concept a reader gets: wishes as in Accept-Language, best match first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pater.terminology.model import Concept, Designation, SystemInfo

_TAG: Final = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*\Z")
_WEIGHT: Final = re.compile(r"q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\Z")
MAINTENANCE: Final = "http://terminology.hl7.org/CodeSystem/hl7TermMaintInfra"
PREFERRED: Final = {
    "system": MAINTENANCE,
    "code": "preferredForLanguage",
    "display": "Preferred For Language",
}
_DISPLAYS: Final = frozenset(
    {
        (MAINTENANCE, "preferredForLanguage"),
        ("http://terminology.hl7.org/CodeSystem/designation-usage", "display"),
        ("http://snomed.info/sct", "900000000000013009"),
        ("http://snomed.info/sct", "900000000000003001"),
    }
)


class BadLanguageError(Exception):
    """A language wish that cannot be read."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The languages wanted, best first; `hard` = rather no name than one in another language."""

    text: str = ""
    tags: tuple[str, ...] = ()
    hard: bool = False

    @property
    def shown(self) -> str:
        """The languages as messages name them."""
        return ", ".join(self.tags) or "--"


NO_WISH: Final = Wish()


@lru_cache(maxsize=256)
def wish(text: str) -> Wish:
    """Reads `de, en;q=0.5, *;q=0`. Raises BadLanguageError."""
    weighed: list[tuple[float, int, str]] = []
    hard = False
    for place, part in enumerate(text.split(",")[:20]):
        tag, _, rest = (piece.strip() for piece in part.partition(";"))
        weight = 1.0
        if rest:
            match = _WEIGHT.match(rest)
            if match is None:
                raise BadLanguageError(text)
            weight = float(match[1])
        if tag == "*":
            hard = weight == 0
        elif _TAG.match(tag):
            if weight > 0:
                weighed.append((-weight, place, tag))
        else:
            raise BadLanguageError(text)
    return Wish(text, tuple(tag for _, _, tag in sorted(weighed)), hard)


def fits(language: str, tag: str) -> bool:
    """Whether a name in `language` answers a wish for `tag`: `de-CH` answers `de`."""
    have, wanted = language.casefold(), tag.casefold()
    return have == wanted or have.startswith(wanted + "-") or wanted.startswith(have + "-")


def is_display(designation: Designation) -> bool:
    """Whether a designation is a name to show, and not one for some other use."""
    use = designation.use
    return use is None or (use.get("system"), use.get("code")) in _DISPLAYS


def own_display(concept: Concept, info: SystemInfo) -> Designation:
    """The display as a designation of its own."""
    return Designation(concept.display, info.language)


def all_displays(concept: Concept, info: SystemInfo) -> list[Designation]:
    """Every name to show, the display first."""
    own = [own_display(concept, info)] if concept.display else []
    return own + [each for each in concept.designations if is_display(each)]


def choose(concept: Concept, info: SystemInfo, wanted: Wish) -> Designation | None:
    """The name for a reader, or None when there is none that they would take."""
    have = all_displays(concept, info)
    current = [each for each in have if not each.status] or have
    for tag in wanted.tags:
        exact = [each for each in current if each.language.casefold() == tag.casefold()]
        found = exact or [each for each in current if each.language and fits(each.language, tag)]
        if found:
            return found[0]
    if wanted.hard and wanted.tags:
        neutral = [each for each in current if not each.language]
        return neutral[0] if neutral else None
    return current[0] if current else None


def shown_designations(
    concept: Concept, info: SystemInfo, chosen: Designation | None, kinds: Sequence[str]
) -> list[dict[str, Any]]:
    """The other names as FHIR designations; `kinds` (`system|code`) restricts them."""
    out = []
    own = own_display(concept, info) if concept.display else None
    if own is not None and own != chosen:
        out.append(Designation(own.value, own.language, PREFERRED))
    out += [each for each in concept.designations if each is not chosen]
    return [rendered(each) for each in out if not kinds or _wanted(each, kinds)]


def _wanted(designation: Designation, kinds: Iterable[str]) -> bool:
    for kind in kinds:
        system, bar, code = kind.partition("|")
        if not bar:
            system, code = "urn:ietf:bcp:47", system
        if system == "urn:ietf:bcp:47":
            if designation.language.casefold() == code.casefold():
                return True
        elif designation.use and designation.use.get("system") == system:
            return not code or designation.use.get("code") == code
    return False


_ECHOED: Final = frozenset(
    {
        "http://hl7.org/fhir/StructureDefinition/coding-sctdescid",
        "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status",
    }
)


def rendered(designation: Designation) -> dict[str, Any]:
    """A designation of an expansion."""
    out: dict[str, Any] = {}
    kept = [dict(each) for each in designation.extensions if each.get("url") in _ECHOED]
    if kept:
        out["extension"] = kept
    if designation.language:
        out["language"] = designation.language
    if designation.use:
        out["use"] = dict(designation.use)
    return {**out, "value": designation.value}
