"""How a caller stood to a person when they were last asked about: believed, and confirmed.

A search of a record that was searched before need not ask first what the caller may see of it: it
asks by what is remembered, and its own statement compares that with what is so at this moment (the
function `standing_of`). Of whatever has changed, in whichever process, nothing is found then, and
the search begins anew in the ordinary way. So nothing is ever decided by what is stale.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pater.access.caller import Caller
from pater.fhir.definitions import TYPE_NUMBER
from pater.store.beside import Given

CONFIRMED: Final = "(select standing_of({0}, {1}, {2}, {3}, {4}, {5}, {6}, {7})) = {8}"
_PRACTITIONER: Final = TYPE_NUMBER["Practitioner"]
_MOST: Final = 20_000


@dataclass(frozen=True, slots=True)
class Stood:
    """What is remembered: the relations then, and whether anybody ever had an emergency access."""

    relations: frozenset[str]
    told: bool


class Memory:
    """How callers stood to persons, the last so many of them."""

    def __init__(self) -> None:
        self._stood: OrderedDict[tuple[str, str, str, str | None, int], Stood] = OrderedDict()

    def keep(self, caller: Caller, person: int, stood: Stood) -> None:
        """Remembers what was just found."""
        key = _key(caller, person)
        self._stood.pop(key, None)
        self._stood[key] = stood
        if len(self._stood) > _MOST:
            self._stood.popitem(last=False)

    def of(self, caller: Caller, person: int) -> Stood | None:
        """What was found the last time."""
        return self._stood.get(_key(caller, person))


def given(
    caller: Caller,
    person: int,
    now: datetime,
    names: Collection[str],
    stood: Stood,
    stamp: int | None,
    version: int | None,
) -> Given:
    """The condition that all this is so: relations, the stamp of the will, the professional."""
    kinds = ",".join(sorted(stood.relations - {"override"}))
    parts = (
        kinds,
        "t" if "override" in stood.relations else "f",
        _text(stood.told) if stamp is None else str(stamp),
        "" if version is None else str(version),
    )
    values = (
        (person, "bigint"), (now, "timestamptz"), (caller.organization, "text"),
        (sorted(names), "text[]"), (caller.kind, "text"), (caller.id, "text"),
        (_PRACTITIONER, "smallint"), (caller.practitioner or "", "text"), ("|".join(parts), "text"),
    )  # fmt: skip
    return Given(CONFIRMED, values)


def _text(value: bool) -> str:
    return "true" if value else "false"


def _key(caller: Caller, person: int) -> tuple[str, str, str, str | None, int]:
    return caller.kind, caller.id, caller.organization, caller.practitioner, person
