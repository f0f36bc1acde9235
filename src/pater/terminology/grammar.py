"""Code systems whose codes follow a grammar and cannot be listed: units, languages, media types."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from babel import Locale

from pater.fhir import ucum
from pater.terminology.builtin import VALUE_SETS
from pater.terminology.model import (
    Concept,
    Designation,
    Filter,
    Page,
    Query,
    SystemInfo,
    UnknownFilterError,
)

UCUM: Final = "http://unitsofmeasure.org"
LANGUAGES: Final = "urn:ietf:bcp:47"
MEDIA_TYPES: Final = "urn:ietf:bcp:13"

# RFC 5646 2.1, without the extension and private-use singletons' inner rules
_LANGUAGE: Final = re.compile(
    r"(?P<language>[a-z]{2,3})(?:-(?P<script>[A-Z][a-z]{3}))?"
    r"(?:-(?P<region>[A-Z]{2}|\d{3}))?(?P<rest>(?:-(?:[a-z0-9]{5,8}|\d[a-z0-9]{3}))*"
    r"(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?)"
)
# RFC 6838 4.2, with the parameters that a Content-Type may carry
_MEDIA_TYPE: Final = re.compile(
    r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/(?:\*|[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126})"
    r"(?:\s*;\s*[A-Za-z0-9-]+=[^;]+)*"
)


@lru_cache(maxsize=2)
def _names(language: str) -> Locale:
    return Locale(language)


def language_concept(code: str) -> Concept | None:
    """A language tag with its English name and a Czech designation, or None when it is none."""
    match = _LANGUAGE.fullmatch(code)
    if match is None:
        return None
    spoken = {}
    for tongue in ("en", "cs"):
        locale = _names(tongue)
        base = locale.languages.get(match["language"])
        if base is None:
            return None
        more = [
            locale.scripts.get(match["script"] or "", match["script"]),
            locale.territories.get(match["region"] or "", match["region"]),
        ]
        added = ", ".join(each for each in more if each)
        spoken[tongue] = f"{base} ({added})" if added else base
    known = _names("en")
    if match["region"] and match["region"] not in known.territories:
        return None
    return Concept(code, spoken["en"], designations=(Designation(spoken["cs"], "cs"),))


def media_type_concept(code: str) -> Concept | None:
    """A media type, its own name, or None when it is none."""
    return Concept(code, code) if len(code) < 300 and _MEDIA_TYPE.fullmatch(code) else None


def unit_concept(code: str) -> Concept | None:
    """A UCUM unit, its own name, or None when it is none."""
    return Concept(code, code) if ucum.is_valid(code) else None


class GrammarSystem:
    """Implements `model.CodeSystem` by a function that knows a code when it sees it.

    `common` is the value set whose codes stand for all when somebody wants a list.
    """

    def __init__(
        self, info: SystemInfo, check: Callable[[str], Concept | None], common: str = ""
    ) -> None:
        self.info = info
        self.common = common
        self._check = check

    async def locate(self, codes: Collection[str]) -> dict[str, Concept]:
        """See `model.CodeSystem`."""
        found = ((code, self._check(code)) for code in codes)
        return {code: concept for code, concept in found if concept is not None}

    async def page(self, query: Query) -> Page:
        """Always empty: the caller lists `common` instead."""
        for each in query.filters:
            raise UnknownFilterError(self.info.url, each)
        return Page((), 0)

    async def among(self, codes: Collection[str], filters: tuple[Filter, ...]) -> frozenset[str]:
        """See `model.CodeSystem`."""
        for each in filters:
            raise UnknownFilterError(self.info.url, each)
        return frozenset(await self.locate(codes))

    async def ancestors(self, code: str) -> frozenset[str]:
        """See `model.CodeSystem`."""
        return frozenset()

    async def children(self, code: str, limit: int) -> Sequence[Concept]:
        """See `model.CodeSystem`."""
        return ()


def _info(url: str, name: str, version: str = "", language: str = "en") -> SystemInfo:
    return SystemInfo(url, version, name, name, language, status="active", grammar=True)


@lru_cache(maxsize=1)
def grammar_systems() -> Mapping[str, GrammarSystem]:
    """The systems by address."""
    systems = (
        GrammarSystem(_info(UCUM, "UCUM", "2.2"), unit_concept, VALUE_SETS + "ucum-common"),
        GrammarSystem(_info(LANGUAGES, "BCP47"), language_concept, VALUE_SETS + "languages"),
        GrammarSystem(_info(MEDIA_TYPES, "MIMETypes"), media_type_concept),
    )
    return MappingProxyType({each.info.url: each for each in systems})
