"""Words: what a full text search looks for, and the words of a resource and of its narrative."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pater.fhir.search.request import Word, WordsTerm
from pater.fhir.search.text import normalise

LONGEST = 40
"""Characters of a word that count."""
MOST_WORDS = 5_000
"""Different words of one resource that are indexed."""
_WORD = re.compile(r"[^\W_]+")
_MARKUP = re.compile(r"<[^>]*>|&[#\w]{1,10};")
_PIECE = re.compile(r'"([^"]*)"|(\S+)')
# What is no text for people: addresses, ids, codes of form and content in base64.
_SKIPPED = frozenset(
    ("resourceType", "id", "versionId", "lastUpdated", "system", "url", "reference", "profile",
     "data", "fullUrl", "contentType", "hash", "div", "status", "use", "rank", "signature")
)  # fmt: skip
_OPAQUE = re.compile(
    r"\d{4}-\d\d(-\d\dT?|\Z)|[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-|urn:|https?:", re.ASCII
)
"""How dates, UUIDs and addresses begin."""


def words_of(text: str) -> list[str]:
    """The normalised words of a text, in order: without case and marks, cut to LONGEST."""
    return [word[:LONGEST] for word in _WORD.findall(normalise(text))]


def resource_words(resource: dict[str, Any]) -> tuple[set[str], set[str]]:
    """The words of all text of a resource (narrative included), and those of the narrative."""
    narrative = {word for text in _narratives(resource) for word in words_of(text)}
    found = set(narrative)
    for text in _texts(resource):
        found.update(_short_words(text) if len(text) <= LONGEST else words_of(text))
        if len(found) > MOST_WORDS:
            break
    return found, narrative


@lru_cache(maxsize=8_192)
def _short_words(text: str) -> tuple[str, ...]:
    """Displays and units come again and again."""
    return tuple(words_of(text))


def _narratives(resource: dict[str, Any]) -> Iterator[str]:
    """The narrative of the resource itself; a Composition has one in each section too."""
    holders = [resource]
    while holders:
        holder = holders.pop()
        text = holder.get("text")
        div = text.get("div") if isinstance(text, dict) else None
        if isinstance(div, str):
            yield _MARKUP.sub(" ", div)
        sections = holder.get("section")
        if isinstance(sections, list):
            holders += [each for each in sections if isinstance(each, dict)]


def _texts(value: Any) -> Iterator[str]:
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            stack += [each for key, each in one.items() if key not in _SKIPPED]
        elif isinstance(one, list):
            stack += one
        elif isinstance(one, str) and not _OPAQUE.match(one):
            yield one


def words_term(text: str) -> WordsTerm | None:
    """A search for words: AND unless `OR` stands between, `"whole"` in quotes, `-without`.

    A word is the beginning of what it finds, in every case and with or without marks. None when
    there is no word to be found.
    """
    groups: list[tuple[Word, ...]] = []
    group: list[Word] = []
    absent = False
    for quoted, bare in _PIECE.findall(text.replace("(", " ").replace(")", " ")):
        if bare in ("OR", "|"):
            groups.append(tuple(group))
            group = []
        elif bare == "NOT":
            absent = True
        elif bare not in ("AND", "&"):
            negated = absent or (bare.startswith("-") and len(bare) > 1)
            group += [Word(each, bool(quoted), negated) for each in words_of(quoted or bare)]
            absent = False
    groups.append(tuple(group))
    kept = tuple(dict.fromkeys(each for each in groups if any(not word.absent for word in each)))
    return WordsTerm(kept, text) if kept else None


def words_match(term: WordsTerm, words: set[str]) -> bool:
    """Whether the words of a resource meet a search for words."""
    return any(all(_there(word, words) is not word.absent for word in group)
               for group in term.groups)  # fmt: skip


def _there(word: Word, words: set[str]) -> bool:
    return word.text in words or (
        not word.whole and any(each.startswith(word.text) for each in words)
    )
