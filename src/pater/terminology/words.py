"""Makes the words that names are found by: no accents, no case, letters and digits only."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+")
_LONGEST: Final = 40
_MOST: Final = 12


def folded(text: str) -> str:
    """The text without accents and case."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()


def words(texts: Iterable[str]) -> list[str]:
    """The distinct words of some names, sorted; a long one is cut."""
    return sorted({word[:_LONGEST] for text in texts for word in _WORD.findall(folded(text))})


def asked(text: str) -> tuple[str, ...]:
    """The words of a text filter: each must begin some word of a concept's names or its code."""
    return tuple(words([text])[:_MOST])


def holds(wanted: tuple[str, ...], texts: Iterable[str]) -> bool:
    """Whether every wanted word begins some word of the names."""
    if not wanted:
        return True
    have = words(texts)
    return all(any(word.startswith(each) for word in have) for each in wanted)
