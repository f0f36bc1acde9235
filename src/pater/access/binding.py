"""Whether a search names a patient, so that a reader of records cannot list people."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from pater.fhir.search.text import normalise

_KEYS = frozenset({"_id", "identifier"})
_REFERENCES = frozenset({"patient", "subject"})
_NAMES = frozenset({"family", "name"})
_SHORTEST_NAME = 2
MOST_NAMED = 50
"""Patients that one search may name; more is no longer the care of one's patients but a list."""
# Alternatives are parted by commas; a backslash takes the meaning from what follows it.
_ALTERNATIVE = re.compile(r"(?:^|,)((?:\\.|[^,\\])*)", re.DOTALL)
_DAY = re.compile(r"(?:eq)?\d{4}-\d{2}-\d{2}", re.ASCII)


def is_bound(type: str, parameters: Iterable[tuple[str, str]]) -> bool:
    """Whether the (AND-ed) parameters of a search on `type` identify a patient or one record.

    `parameters` are name and value as in a query string (`patient.identifier`, `system|code`,
    commas between alternatives, `\\,` for a comma). Binding are `_id`, `identifier`, `patient`,
    `subject`, `patient:identifier`, `patient.identifier`, `subject.identifier`, `patient._id`,
    `subject._id`; every alternative must carry its value (`system|` alone would list everybody),
    and at most MOST_NAMED may stand there (random ids of records, `_id`, cannot be guessed: any
    number). For Patient also one `family` or `name` together with one full `birthdate`. Negations,
    `:missing`, `_has`, prefixes and partial dates do not bind.
    """
    named = born = False
    for name, value in parameters:
        if _is_key(name) and _every(value, _says_which, None if name == "_id" else MOST_NAMED):
            return True
        base, _, modifier = name.partition(":")
        if base in _NAMES and modifier in ("", "exact"):
            named = named or _every(value, _is_name, 1)
        elif name == "birthdate":
            # all days of a century as alternatives would be everybody
            born = born or _every(value, _is_day, 1)
    return type == "Patient" and named and born


def _is_key(name: str) -> bool:
    head, dot, tail = name.partition(".")
    base, _, modifier = head.partition(":")
    if dot:
        return base in _REFERENCES and modifier in ("", "Patient") and tail in _KEYS
    if base in _REFERENCES:
        return modifier in ("", "Patient", "identifier")
    return name in _KEYS


def _every(value: str, test: Callable[[str], bool], most: int | None) -> bool:
    parts = _ALTERNATIVE.findall(value)
    return (most is None or len(parts) <= most) and all(test(part) for part in parts)


def _says_which(part: str) -> bool:
    """A token with its code (`system|code`, `code`) or a reference with its id."""
    code = part.rsplit("|", 1)[-1].strip()
    return bool(code) and not code.endswith("/")


def _is_name(part: str) -> bool:
    # as it will be searched: of accents and blanks alone nothing is left, which begins every name
    return sum(map(str.isalnum, normalise(part))) >= _SHORTEST_NAME


def _is_day(part: str) -> bool:
    return _DAY.fullmatch(part) is not None
