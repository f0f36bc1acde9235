"""Whether a search names a patient, so that a reader of records cannot list people."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_KEYS = frozenset({"_id", "identifier"})
_REFERENCES = frozenset({"patient", "subject"})
_NAMES = frozenset({"family", "name"})
_SHORTEST_NAME = 2
# Alternatives are parted by commas; a backslash takes the meaning from what follows it.
_ALTERNATIVE = re.compile(r"(?:^|,)((?:\\.|[^,\\])*)", re.DOTALL)
_DAY = re.compile(r"(?:eq)?\d{4}-\d{2}-\d{2}", re.ASCII)


def is_bound(type: str, parameters: Iterable[tuple[str, str]]) -> bool:
    """Whether the (AND-ed) parameters of a search on `type` identify a patient or one record.

    `parameters` are name and value as in a query string (`patient.identifier`, `system|code`,
    commas between alternatives, `\\,` for a comma). Binding are `_id`, `identifier`, `patient`,
    `subject`, `patient:identifier`, `patient.identifier`, `subject.identifier`, `patient._id`,
    `subject._id`; every alternative must carry its value (`system|` alone would list everybody).
    For Patient also `family` or `name` together with a full `birthdate`. Negations, `:missing`,
    `_has`, prefixes and partial dates do not bind.
    """
    named = born = False
    for name, value in parameters:
        if _is_key(name) and _every(value, _says_which):
            return True
        base, _, modifier = name.partition(":")
        if base in _NAMES and modifier in ("", "exact"):
            named = named or _every(value, _is_name)
        elif name == "birthdate":
            born = born or _every(value, _is_day)
    return type == "Patient" and named and born


def _is_key(name: str) -> bool:
    head, dot, tail = name.partition(".")
    base, _, modifier = head.partition(":")
    if dot:
        return base in _REFERENCES and modifier in ("", "Patient") and tail in _KEYS
    if base in _REFERENCES:
        return modifier in ("", "Patient", "identifier")
    return name in _KEYS


def _every(value: str, test: Callable[[str], bool]) -> bool:
    return all(test(part) for part in _ALTERNATIVE.findall(value))


def _says_which(part: str) -> bool:
    """A token with its code (`system|code`, `code`) or a reference with its id."""
    code = part.rsplit("|", 1)[-1].strip()
    return bool(code) and not code.endswith("/")


def _is_name(part: str) -> bool:
    return len(part.strip()) >= _SHORTEST_NAME


def _is_day(part: str) -> bool:
    return _DAY.fullmatch(part) is not None
