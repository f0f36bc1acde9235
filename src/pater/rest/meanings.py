"""What the conditional entries and references of a transaction mean when it is written."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pater.access.caller import Caller
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.issues import Issue
from pater.fhir.references import iter_references, parse_reference
from pater.fhir.search.query import SearchError, SearchRequest
from pater.records.conditional import Meant
from pater.records.errors import Ambiguous
from pater.rest.conditional import query_of, query_request
from pater.rest.errors import HttpError
from pater.rest.interactions import Api

_AT_ONCE: Final = 8
MOST_QUERIES: Final = 1000
"""Different queries that the entries and references of one transaction may make."""

Query = tuple[str, str]
"""A type and the query text that is looked for in it."""


@dataclass(slots=True)
class Meanings:
    """The queries of a transaction: what was asked, where it stands, and what it means."""

    requests: dict[Query, SearchRequest] = field(default_factory=dict)
    places: dict[Query, str] = field(default_factory=dict)
    entries: dict[int, Query] = field(default_factory=dict)  # by the entry's position
    references: dict[str, Query] = field(default_factory=dict)  # by the reference's text
    referring: dict[Query, str] = field(default_factory=dict)  # where the first of them stands
    meant: Mapping[Query, Meant] = field(default_factory=dict)

    def of(self, position: int) -> Meant | None:
        """What the entry's query means; None for an entry without one."""
        query = self.entries.get(position)
        return None if query is None else self.meant[query]

    def names(self) -> dict[str, str]:
        """Conditional references -> the addresses that they mean."""
        found = {text: self.meant[query].stored for text, query in self.references.items()}
        return {text: f"{each.type}/{each.id}" for text, each in found.items() if each}

    def ask(self, api: Api, type: str, text: str, path: str, issues: list[Issue]) -> Query | None:
        """Notes one query; None with an issue when it is none that can be asked."""
        query = (type, text)
        if query in self.requests:
            return query
        if len(self.requests) >= MOST_QUERIES:
            issues.append(Issue("error", "too-costly", path, f"more than {MOST_QUERIES} queries"))
            return None
        try:
            self.requests[query] = query_request(api, type, query_of(type, text))
        except HttpError as error:
            issues += [Issue("error", each.code, path, each.text) for each in error.issues]
            return None
        except SearchError as error:
            issues += [Issue("error", each.code, path, each.text) for each in error.issues]
            return None
        self.places[query] = path
        return query

    def ask_references(
        self,
        api: Api,
        resource: dict[str, Any],
        path: str,
        known: Collection[str],
        issues: list[Issue],
    ) -> None:
        """Notes the conditional references (`Type?query`) of a resource.

        `known` are the names of the Bundle's own entries; another `urn:` leads to nothing.
        """
        root = str(resource.get("resourceType", ""))
        for place, holder in iter_references(resource):
            text = holder["reference"]
            where = f"{path}{place.removeprefix(root)}.reference"
            if text in known or text in self.references:
                continue
            if text[:4].lower() == "urn:":
                gone = "the reference leads to no entry of the Bundle"
                issues.append(Issue("error", "not-found", where, gone))
            elif "?" in text and parse_reference(text).kind == "logical":
                self._ask_reference(api, text, where, issues)

    def _ask_reference(self, api: Api, text: str, where: str, issues: list[Issue]) -> None:
        type_, _, query = text.partition("?")
        if type_ not in TYPE_NUMBER:
            form = "a conditional reference is a resource type, `?` and search parameters"
            issues.append(Issue("error", "value", where, form))
            return
        # a reference is JSON text: what an address would have encoded may stand as it is
        plain = query if query.isascii() else _encoded(query)
        asked = self.ask(api, type_, plain, where, issues)
        if asked is not None:
            self.references[text] = asked
            self.referring.setdefault(asked, where)

    async def look(self, api: Api, caller: Caller) -> None:
        """Asks all queries now. Raises HttpError 412 when one means several, or a reference none.

        Policy and journal are those of searches by the caller.
        """
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(query: Query, request: SearchRequest) -> Meant:
            async with limit:
                try:
                    return await api.gate.meant(caller, request)
                except Ambiguous as error:
                    raise HttpError(
                        412, "multiple-matches", str(error), path=self.places[query]
                    ) from error

        queries = list(self.requests.items())
        answers = await asyncio.gather(
            *(one(query, request) for query, request in queries), return_exceptions=True
        )
        meant: dict[Query, Meant] = {}
        for (query, _), answer in zip(queries, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            meant[query] = answer
        missing = self._missing(self.references.values(), meant)
        if missing:
            raise HttpError(412, "not-found", "a reference means nothing", issues=missing)
        self.meant = meant

    def _missing(self, queries: Iterable[Query], meant: Mapping[Query, Meant]) -> Sequence[Issue]:
        text = "the conditional reference means nothing that is here"
        none = dict.fromkeys(query for query in queries if meant[query].stored is None)
        return [Issue("error", "not-found", self.referring[query], text) for query in none]


def _encoded(query: str) -> str:
    """Letters beyond ASCII percent-encoded; what is encoded already stays."""
    return "".join(
        char if char.isascii() else "".join(f"%{byte:02X}" for byte in char.encode())
        for char in query
    )
