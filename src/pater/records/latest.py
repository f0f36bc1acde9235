"""The most recent observations of each kind of one patient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pater.access.caller import Caller
from pater.fhir.issues import Issue
from pater.fhir.json import parse
from pater.fhir.search.query import Condition, SearchRequest, Sort, TokenTerm
from pater.records.errors import Unprocessable
from pater.records.everything import person_of
from pater.records.ports import DONE, Ports
from pater.records.scope_filter import narrowed
from pater.records.search_terms import journal_query
from pater.store import search as store_search
from pater.store.read import Stored
from pater.store.search import Page, Scope
from pater.store.search.newest import newest_of_each

PAGE = 200
MOST_READ = 20_000
MOST_FOUND = 2_000
MOST_INDEXED = 2 * MOST_FOUND
"""What the index may give: more than is shown where several codes turn out to be one kind."""
_NEWEST = (Sort("date", descending=True),)
_TYPE = "Observation"
Code = tuple[str, str]


async def latest(
    ports: Ports, caller: Caller, patient: str, request: SearchRequest, each: int
) -> Page:
    """Up to `each` observations of every code, codes in the order of their newest one.

    Observations that share a coding are of one kind; without codings the text decides. What has
    no date comes after what has one. Raises NotFound, Forbidden, SearchError; Unprocessable when
    it would be too much.
    """
    person, sight = await person_of(ports, caller, "search", _TYPE, patient, "operation")
    decision = sight.decide("search", _TYPE, person)
    scope = Scope(
        frozenset({person}),
        narrow=narrowed(caller, "search"),
        veils=() if decision.veil is None else ((person, decision.veil),),
    )
    kinds = _Kinds(each)
    found = await newest_of_each(ports.db, request, scope, each, most=MOST_INDEXED)
    if found is None:
        await _walked(ports, request, scope, kinds)
    else:
        for one in found:
            kinds.add(one)
    if kinds.taken > MOST_FOUND:
        raise _too_much()
    await ports.record(
        [
            ports.entry(
                caller,
                "search",
                DONE,
                decision.reason,
                person=person,
                patient=patient,
                type=_TYPE,
                query=f"$lastn&{journal_query(request, ports.cursor_key)}".rstrip("&"),
                interaction="operation",
            )
        ]
    )
    return Page(kinds.result(), [], None, None)


async def _walked(ports: Ports, request: SearchRequest, scope: Scope, kinds: _Kinds) -> None:
    """Newest first, page by page: for what the index of codes cannot tell."""
    read = 0
    while True:
        done = kinds.done()
        asked = replace(request, conditions=(*request.conditions, *_without(done)), sort=_NEWEST)
        again = False
        while True:
            page = await store_search.search(
                ports.db, asked, scope, count=PAGE, cursor_key=ports.cursor_key
            )
            read += len(page.matches)
            fresh = sum(kinds.add(one) for one in page.matches)
            if read > MOST_READ or kinds.taken > MOST_FOUND:
                raise _too_much()
            if page.next is None:
                break
            # rows of kinds that are full are better left out by the index than read
            again = fresh * 2 < len(page.matches) and len(kinds.done()) > len(done)
            if again:
                break
            asked = replace(asked, cursor=page.next)
        if not again:
            break


def _too_much() -> Unprocessable:
    text = f"this would be more than {MOST_FOUND} observations of {MOST_READ}: narrow it"
    return Unprocessable([Issue("error", "too-costly", "", text)])


def _without(codes: Sequence[Code]) -> tuple[Condition, ...]:
    if not codes:
        return ()
    terms = tuple(TokenTerm(system, code) for system, code in codes)
    return (Condition("code", "token", "not", terms),)


@dataclass(slots=True)
class _Kinds:
    """Observations by kind: each kind is a list of codes that were seen together."""

    most: int
    found: list[list[Stored]] = field(default_factory=list)
    kind_of: dict[Code, int] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    @property
    def taken(self) -> int:
        """Observations kept so far."""
        return sum(map(len, self.found))

    def add(self, stored: Stored) -> bool:
        """Keeps one more, when its kind has room. They come newest first."""
        if stored.id in self.seen:
            return False
        self.seen.add(stored.id)
        codes = list(_codes(parse(stored.body).get("code")))
        known = sorted({self.kind_of[code] for code in codes if code in self.kind_of})
        kind = known[0] if known else len(self.found)
        if not known:
            self.found.append([])
        for other in known[1:]:  # one that has the codes of two kinds makes them one
            self.found[kind] = [*self.found[kind], *self.found[other]]
            self.found[other] = []
            for code, number in self.kind_of.items():
                if number == other:
                    self.kind_of[code] = kind
        self.kind_of.update(dict.fromkeys(codes, kind))
        if len(self.found[kind]) >= self.most:
            return False
        self.found[kind].append(stored)
        return True

    def done(self) -> list[Code]:
        """The codings of the kinds that have all they can have."""
        return [
            code
            for code, kind in self.kind_of.items()
            if code[1] and not code[0].startswith(_TEXT) and len(self.found[kind]) >= self.most
        ]

    def result(self) -> list[Stored]:
        """Kind by kind."""
        return [one for kind in self.found for one in kind[: self.most]]


_TEXT = "\0text"


def _codes(concept: Any) -> Iterable[Code]:
    codings = concept.get("coding", ()) if isinstance(concept, dict) else ()
    found = [(c.get("system", ""), c["code"]) for c in codings if c.get("code")]
    if found:
        return found
    text = concept.get("text", "") if isinstance(concept, dict) else ""
    return [(_TEXT, text)]
