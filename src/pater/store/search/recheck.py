"""Whether a hit is one: what a hash or a cut text in the index could have got wrong.

A token is a 64-bit hash. When another value had the same hash, the value asked for would not stand
in the body; so looking for its bytes there (forty times faster) settles nearly every hit, and
only what it cannot settle is parsed and compared. Texts are kept normalised and cut: `:exact` and
texts longer than the cut are always compared with the body.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pater.fhir.json import parse
from pater.fhir.search.index import index_values, normalise
from pater.fhir.search.narrowing import Narrowing
from pater.fhir.search.query import (
    Condition,
    Node,
    ReferenceTerm,
    StringTerm,
    TokenTerm,
    UriTerm,
    leaves,
    matches,
    meets,
)
from pater.store.read import Stored
from pater.store.search.sql import STRING_LENGTH

_HASHED = ("token", "reference", "uri")


class Recheck:
    """The conditions of one search, prepared for looking at many hits."""

    def __init__(
        self,
        conditions: Sequence[Condition],
        type: str = "",
        narrow: Narrowing | None = None,
        filter: Node | None = None,
        *,
        began: datetime | None = None,
    ) -> None:
        self._began = began  # when the first page was read
        self._narrow = narrow
        self._filter = filter
        within = () if filter is None else tuple(leaves(filter))
        self._filtered = [each for each in within if is_cut(each)]
        self.parts = narrow is not None and type == "Bundle"
        """Whether hits may fall out by what they hold inside, which no index knows."""
        self._hashed = [
            (condition, _literals(condition))
            for condition in conditions
            if condition.kind in _HASHED and condition.modifier not in ("missing", "not", "text")
        ]
        # Several moments of a Timing make one span in the date columns.
        self._dates = [c for c in conditions if c.kind == "date" and c.modifier is None]
        self._spans = bool(self._dates) or filter is not None
        self._cut = [condition for condition in conditions if is_cut(condition)]
        self.approximate = [*self._cut, *self._filtered]
        """Conditions that the index answers with more than the truth."""

    def holds(self, stored: Stored) -> bool:
        """Whether a resource that the index gave meets the conditions."""
        if self._began is not None and stored.version == 1 and stored.updated > self._began:
            return False
        body = stored.body
        if self._narrow is not None and not self._narrow.holds_body(stored.type, body):
            return False
        doubtful: list[Condition] = []
        for condition, literals in self._hashed:
            for literal in literals:
                if literal in body:
                    break
            else:
                doubtful.append(condition)
        doubtful += self._cut
        timed = self._spans and b"Timing" in body
        if timed:
            doubtful += self._dates
        filtered = bool(self._filtered) or (timed and self._filter is not None)
        if not doubtful and not filtered:
            return True
        resource = parse(body)
        index = index_values(stored.type, resource)
        if filtered and self._filter and meets(self._filter, resource, index) is False:
            return False
        return all(matches(condition, resource, index) for condition in doubtful)


def _literals(condition: Condition) -> list[bytes]:
    """For each alternative the bytes of its value; a body with none of them is parsed."""
    found: list[str] = []
    for value in condition.values:
        match value:
            case TokenTerm(_, str(code)) if code and condition.modifier == "of-type":
                found.append(code.partition("|")[2])
            case TokenTerm(_, str(code)) if code:
                found.append(code)
            case TokenTerm(str(system), _) if system:
                found.append(system)
            case ReferenceTerm(_, str(id_), _):
                found.append(id_)
            case ReferenceTerm(_, _, str(url)):
                found.append(url)
            case UriTerm(text):
                found.append(text)
    return [text.encode(errors="replace") for text in found]


def is_cut(condition: Condition) -> bool:
    """Whether the index may give more than what meets a condition."""
    if condition.loose:
        return True
    if condition.kind != "string" or condition.modifier == "missing":
        return False
    return condition.modifier in ("exact", "ends") or any(
        isinstance(term, StringTerm) and len(normalise(term.text)) > STRING_LENGTH
        for term in condition.values
    )
