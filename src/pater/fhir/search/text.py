"""The one way texts are made comparable, for the index and for the query alike."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

_SHORT: Final = 40
"""Characters of a text that is remembered: names and towns come again and again."""


def normalise(text: str) -> str:
    """Without marks and case, with single blanks: NFKD, combining marks out, casefold.

    Search of strings ignores case, accents and surplus blanks (FHIR R4 search, "string").
    """
    if text.isascii():
        return " ".join(text.lower().split())
    return _remembered(text) if len(text) <= _SHORT else _plain(text)


def _plain(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(c for c in plain if not unicodedata.combining(c)).casefold()
    # Folding may bring marks back (İ) or decomposable letters; one more round settles it.
    if not plain.isascii():
        plain = unicodedata.normalize("NFKD", plain)
        plain = "".join(c for c in plain if not unicodedata.combining(c))
    return " ".join(plain.split())


_remembered = lru_cache(maxsize=16_384)(_plain)
