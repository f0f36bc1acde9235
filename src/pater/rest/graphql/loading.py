"""What a query reads of the gate: references together, searches counted, all of it bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from pater.access.caller import Caller
from pater.fhir.json import parse
from pater.fhir.search.query import parse_search
from pater.records.gate import Gate, Page
from pater.rest.errors import HttpError
from pater.rest.own_addresses import with_own_addresses

MOST_READS: Final = 1000
MOST_SEARCHES: Final = 50
MOST_FOUND: Final = 2000
Key = tuple[str, str]


class Loading:
    """The reads of one query. What is asked for in one turn of the event loop is read at once."""

    def __init__(self, gate: Gate, caller: Caller, base_url: str) -> None:
        self._gate = gate
        self._caller = caller
        self._base_url = base_url
        self._waiting: dict[Key, asyncio.Future[dict[str, Any] | None]] = {}
        self._known: dict[Key, asyncio.Future[dict[str, Any] | None]] = {}
        self._searches = 0
        self._found = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def resource(self, type: str, id: str) -> dict[str, Any] | None:
        """A resource, None when it is not there or withheld. Raises HttpError 413."""
        key = (type, id)
        if key not in self._known:
            if len(self._known) >= MOST_READS:
                raise HttpError(413, "too-costly", f"a query reads at most {MOST_READS} resources")
            loop = asyncio.get_running_loop()
            self._known[key] = self._waiting[key] = loop.create_future()
            if len(self._waiting) == 1:
                loop.call_soon(self._start)
        return await asyncio.shield(self._known[key])

    def _start(self) -> None:
        task = asyncio.get_running_loop().create_task(self._load())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load(self) -> None:
        wanted, self._waiting = self._waiting, {}
        try:
            found = await self._gate.read_all(self._caller, list(wanted))
        except Exception as error:
            for future in wanted.values():
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # whoever asked may have gone
            return
        for key, future in wanted.items():
            stored = found.get(key)
            future.set_result(None if stored is None else parse(stored.body))

    async def search(
        self, type: str, parameters: Sequence[tuple[str, str]]
    ) -> tuple[list[dict[str, Any]], Page]:
        """The resources of one page of a search. Raises SearchError, Forbidden, HttpError 413."""
        self._searches += 1
        if self._searches > MOST_SEARCHES:
            raise HttpError(413, "too-costly", f"a query has at most {MOST_SEARCHES} searches")
        asked = parse_search(type, parameters, custom=self._gate.custom)
        request = replace(with_own_addresses(asked, self._base_url), includes=())
        page = await self._gate.search(self._caller, request)
        self._found += len(page.matches)
        if self._found > MOST_FOUND:
            raise HttpError(413, "too-costly", f"a query finds at most {MOST_FOUND} resources")
        return [parse(each.body) for each in page.matches], page
