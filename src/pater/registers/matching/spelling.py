"""One name in other scripts and by other rules of spelling: Шевченко, Shevchenko, Ševčenko.

Pure. Cyrillic and Greek become Latin as in passports (ICAO Doc 9303 part 3 section 6); `readings`
says what a name may stand for, so that two spellings of one name share a reading.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Set
from functools import lru_cache
from typing import Final

from pater.fhir.search.text import normalise

_CYRILLIC: Final = {
    "а": "a", "б": "b", "в": "v", "г": "h", "ґ": "g", "д": "d", "е": "e", "ё": "e", "є": "ie",
    "ж": "zh", "з": "z", "и": "i", "і": "i", "ї": "i", "й": "i", "к": "k", "л": "l", "м": "m",
    "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ў": "u", "ф": "f",
    "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ы": "y", "ь": "", "э": "e",
    "ю": "iu", "я": "ia", "ђ": "d", "ј": "j", "љ": "lj", "њ": "nj", "ћ": "c", "џ": "dz",
    "ѓ": "g", "ќ": "k", "ѕ": "dz", "'": "", "’": "", "ʼ": "",
}  # fmt: skip
_GREEK: Final = {
    "α": "a", "β": "v", "γ": "g", "δ": "d", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i",
    "κ": "k", "λ": "l", "μ": "m", "ν": "n", "ξ": "x", "ο": "o", "π": "p", "ρ": "r", "σ": "s",
    "ς": "s", "τ": "t", "υ": "y", "φ": "f", "χ": "ch", "ψ": "ps", "ω": "o",
}  # fmt: skip
_GREEK_PAIRS: Final = tuple(
    (re.compile(pattern), latin)
    for pattern, latin in (
        ("ου", "ou"), ("^μπ", "b"), ("γγ", "ng"), ("γχ", "nch"),
        ("(?<=[αεη])υ(?=[αβγδεζηιλμνορωυ])", "v"), ("(?<=[αεη])υ", "f"),
    )
)  # fmt: skip
_LATIN: Final = {
    "đ": "d", "ł": "l", "ø": "o", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "ı": "i", "ħ": "h",
    "ŋ": "n", "ə": "a",
}  # fmt: skip
_LETTERS: Final = str.maketrans(_CYRILLIC | _GREEK | _LATIN)
_OTHER: Final = re.compile("[\u0370-\u052f]")
_RUSSIAN: Final = re.compile("[ыэъё]")  # and no letter of these in Ukrainian, where г is h
_UKRAINIAN: Final = re.compile("[іїєґ]")
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
_UMLAUT: Final = re.compile("([aou])e")

_SOUNDS: Final = {
    "shch": "sc", "szcz": "sc", "schtsch": "sc", "tsch": "c", "tch": "c", "cz": "c", "ts": "c",
    "tz": "c", "cs": "c", "sch": "s", "sh": "s", "sz": "s", "zh": "z", "zs": "z", "kh": "h",
    "ph": "f", "th": "t", "gh": "g", "qu": "kv", "q": "k", "x": "ks", "w": "v", "y": "i", "j": "i",
}  # fmt: skip
_WRITTEN: Final = re.compile("|".join(sorted((*_SOUNDS, "ch"), key=len, reverse=True)))
_CZECH: Final = {**_SOUNDS, "ch": "h"}
_ENGLISH: Final = {**_SOUNDS, "ch": "c"}
_LONG: Final = re.compile("ii+")


def other_script(text: str) -> bool:
    """Whether there are letters of Cyrillic or Greek in a text."""
    return _OTHER.search(text) is not None


def latin(text: str) -> str:
    """A text without case in Latin letters, marks kept where there are; others stay as they are.

    г is h as in Ukrainian and Belarusian, but g beside letters that only Russian and Bulgarian
    have; ъ is a before a consonant, as in Bulgarian, and silent elsewhere.
    """
    if text.isascii():
        return text.replace("'", "")
    if other_script(text):
        text = unicodedata.normalize("NFC", text)
        if _RUSSIAN.search(text) and not _UKRAINIAN.search(text):
            text = text.replace("г", "g")
        text = re.sub("ъ(?=[бвгджзклмнпрстфхцчшщ])", "a", text).replace("ъ", "")
        text = _greek(text)
    return text.translate(_LETTERS)


def _greek(text: str) -> str:
    """Greek without its accents, and its pairs of letters in Latin."""
    text = "".join(
        unicodedata.normalize("NFD", c)[0] if "\u0370" <= c < "\u0400" else c for c in text
    )
    for pattern, pair in _GREEK_PAIRS:
        text = pattern.sub(pair, text)
    return text


def plain(text: str) -> str:
    """In Latin letters without marks and case."""
    return normalise(latin(text.casefold()))


def canonical(name: str, *, czech: bool) -> str:
    """A name without marks by one rule of spelling.

    ch is h as in Czech (Chomenko, Khomenko), or c as in English (Tkachenko, Tkačenko).
    """
    sounds = _CZECH if czech else _ENGLISH
    return _LONG.sub("i", _WRITTEN.sub(lambda found: sounds[found[0]], name))


@lru_cache(maxsize=16_384)
def readings(name: str) -> frozenset[str]:
    """What a name (no case, perhaps with marks or in another script) may stand for; at most 12.

    Two spellings of one name have a reading in common; so have some names that are two.
    """
    bases = {plain(name)}
    if not name.isascii():
        written = name.translate(_UMLAUTS)
        if written != name:
            bases.add(plain(written))
        if "г" in name:
            bases.add(plain(name.replace("г", "g")))
    for each in tuple(bases):
        bases.add(_UMLAUT.sub(r"\1", each))
    found = {canonical(each, czech=True) for each in bases}
    return frozenset(found | {canonical(each, czech=False) for each in bases if "ch" in each})


def in_common(one: Set[str], other: Set[str]) -> bool:
    """Whether two persons' names (no case) have one in common, however it is spelled."""
    if not one.isdisjoint(other):
        return True
    mine, theirs = (frozenset().union(*map(readings, names)) for names in (one, other))
    return not mine.isdisjoint(theirs)
