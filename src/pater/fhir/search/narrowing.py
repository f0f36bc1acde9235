"""Narrowing: of some types only those resources that meet one of several sets of conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pater.fhir.json import parse
from pater.fhir.search.index import index_values
from pater.fhir.search.match import matches
from pater.fhir.search.request import Condition

Alternatives = tuple[tuple[Condition, ...], ...]
"""Any of these (OR), each of which wants all of its conditions (AND)."""


@dataclass(frozen=True, slots=True, eq=False)
class Narrowing:
    """By resource type what a resource has to meet; a type that is not named is not narrowed.

    The conditions look at one resource alone: no chains, no `_has`. Compared by identity: whoever
    makes one for the same rights gives the same one again.
    """

    by_type: Mapping[str, Alternatives]

    def of(self, type: str) -> Alternatives | None:
        """The alternatives of a type; None = every resource of it."""
        return self.by_type.get(type)

    def touches(self, type: str) -> bool:
        """Whether some resources of the type may be outside; a Bundle is as far as its parts."""
        return type in self.by_type or type == "Bundle"

    def holds(self, type: str, resource: dict[str, Any]) -> bool:
        """Whether a resource of the type is within; a Bundle only with all of its parts."""
        alternatives = self.by_type.get(type)
        if alternatives is not None:
            index = index_values(type, resource)
            if not any(
                all(matches(condition, resource, index) for condition in conditions)
                for conditions in alternatives
            ):
                return False
        return type != "Bundle" or all(
            self.holds(str(part.get("resourceType")), part) for part in _parts(resource)
        )

    def holds_body(self, type: str, body: bytes) -> bool:
        """As `holds`, of a stored body; one without content (a deletion) is not within."""
        if not self.touches(type):
            return True
        return bool(body) and self.holds(type, parse(body))


def _parts(bundle: dict[str, Any]) -> Iterator[dict[str, Any]]:
    entries = bundle.get("entry")
    for entry in entries if isinstance(entries, list) else ():
        part = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(part, dict):
            yield part
