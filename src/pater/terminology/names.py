"""Gives a code its Czech or English name, and says which document types are one and the same."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import Final, Literal, NamedTuple

from pater.fhir.definitions import code_display

Language = Literal["cs", "en"]

LOINC: Final = "http://loinc.org"

# One kind of document goes by several LOINC codes: the profiles, the Czech value set of document
# types and the European health data API each chose their own. A search for one finds them all.
_EQUIVALENT: Final[tuple[frozenset[str], ...]] = (
    frozenset({"34105-7", "18842-5", "100719-4"}),  # hospital discharge report
    frozenset({"34108-1", "67781-5"}),  # report of an ambulatory examination
    frozenset({"11502-2", "26436-6"}),  # laboratory report
)


class _Names(NamedTuple):
    systems: dict[str, tuple[str, str]]
    codes: dict[str, dict[str, tuple[str, str]]]


@lru_cache(maxsize=1)
def _names() -> _Names:
    raw = json.loads(resources.files(__package__).joinpath("names.json").read_bytes())
    aliases: dict[str, str] = raw["aliases"]
    codes = {
        system: {code: (pair[0], pair[1]) for code, pair in names.items()}
        for system, names in raw["codes"].items()
    }
    for alias, system in aliases.items():
        codes[alias] = codes[system]
    return _Names({uri: (pair[0], pair[1]) for uri, pair in raw["systems"].items()}, codes)


def own_name(system: str | None, code: str, lang: Language) -> str | None:
    """The name Páteř itself ships for the code in the reader's language, or None."""
    known = _names().codes.get(system or "", {})
    # Hospital systems often send MKN-10 without its dot.
    pair = known.get(code) or (known.get(f"{code[:3]}.{code[3:]}") if len(code) > 3 else None)
    return None if pair is None else pair[1 if lang == "en" else 0]


def display(system: str | None, code: str, lang: Language) -> str | None:
    """The name of a code for a reader of `lang`: ours, else the English one of FHIR itself."""
    return own_name(system, code, lang) or (code_display(system, code) if system else None)


def system_name(system: str | None, lang: Language) -> str:
    """The short name of a code or identifier system as people say it, "" when there is none."""
    pair = _names().systems.get(system or "")
    return "" if pair is None else pair[1 if lang == "en" else 0]


def document_types(code: str) -> frozenset[str]:
    """All LOINC codes under which the same kind of document travels, the given one included."""
    return next((group for group in _EQUIVALENT if code in group), frozenset({code}))
