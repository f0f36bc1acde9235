"""What the register says in Czech, for readers of English: the sets of words that it is made of.

The national lists of kinds of facilities and professions and the words of the published files are
fixed sets and have English names here (`english.json`). What is in none of them stays Czech and is
marked so, that it is read aloud as Czech.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from markupsafe import Markup, escape

from pater.domains.directory.lookups import name_of, text_of
from pater.fhir.search.text import normalise

ENGLISH: Final = "en"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Words:
    """A text, and the language it is in when that is not the page's ("" = the page's)."""

    text: str
    lang: str = ""

    def __str__(self) -> str:
        return self.text

    def __bool__(self) -> bool:
        return bool(self.text)

    def __html__(self) -> str:
        if not self.lang:
            return str(escape(self.text))
        return str(Markup('<span lang="{}">{}</span>').format(self.lang, self.text))


@dataclass(frozen=True, slots=True)
class _Known:
    codes: Mapping[str, Mapping[str, str]]
    words: Mapping[str, str]


@lru_cache(maxsize=1)
def _known() -> _Known:
    raw = json.loads(resources.files(__package__).joinpath("english.json").read_bytes())
    return _Known(raw["codes"], {normalise(text): name for text, name in raw["words"].items()})


def said(text: str, lang: str) -> Words:
    """Czech words of the register for a reader of `lang`."""
    if lang != ENGLISH or not text:
        return Words(text)
    found = _known().words.get(normalise(text))
    return Words(_cased(found, text)) if found else Words(text, "cs")


def concept(value: Json | None, lang: str) -> Words:
    """A CodeableConcept of the register for a reader of `lang`: by its words, else by its codes."""
    words = said(text_of(value), lang)
    if not words.lang:
        return words
    for coding in (value or {}).get("coding", ()):
        found = _known().codes.get(coding.get("system", ""), {}).get(coding.get("code", ""))
        if found:
            return Words(_cased(found, words.text))
    return words


def named(resource: Json, lang: str) -> Words:
    """The name of a service: as it is translated in the resource, else by its words."""
    own = name_of(resource, lang)
    return Words(own) if own != str(resource.get("name", "")) else said(own, lang)


def _cased(found: str, like: str) -> str:
    """A name that begins as the Czech one does."""
    return found[:1].upper() + found[1:] if like[:1].isupper() else found
