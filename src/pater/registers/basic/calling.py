"""The basic registers over HTTP: small JSON, within seconds, with a bearer token.

| Question | Answer |
|---|---|
| `POST /rob/find` a question | 200 a person, 404 nobody, 409 several |
| `POST /rob/read` `{"pseudonym"}` | 200 a person, 404 |
| `GET /rob/changes?after=&count=` | 200 `{"changes": [{"pseudonym"}], "cursor"}` |
| `GET /ruian/addresses/{code}` | 200 an address, 404 |
| `GET /ros/businesses/{ico}` | 200 a business, 404 |
| `GET /ros/changes?after=&count=` | 200 `{"changes": [{"ico"}], "cursor"}`, 404: it tells none |
| `GET /reza/mandates?after=&count=` | 200 `{"changes": [a mandate], "cursor"}` |

Persons are asked for by POST: what names somebody stands in no address. The shapes are in `told`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import httpx
import orjson

from pater.registers.basic.ports import Question
from pater.registers.basic.told import (
    Address,
    Business,
    Changed,
    Down,
    Person,
    Unusable,
    read_address,
    read_business,
    read_changes,
    read_ico,
    read_mandate,
    read_person,
    read_pseudonym,
)

PATIENCE: Final = 5.0
"""Seconds in which a register has to answer."""
_LONGEST: Final = 4 * 1024 * 1024
_NOBODY: Final = (404, 409)


class Calling:
    """All four registers at one base address, as the state's interface offers them."""

    def __init__(self, http: httpx.AsyncClient, base: str, token: str = "") -> None:
        self._http, self._base = http, base.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    async def find(self, question: Question) -> Person | None:
        """See `ports.Persons`."""
        found = await self._ask("POST", "/rob/find", question)
        return None if found is None else read_person(found)

    async def read(self, pseudonym: str) -> Person | None:
        """See `ports.Persons`."""
        found = await self._ask("POST", "/rob/read", {"pseudonym": pseudonym})
        if found is None:
            return None
        person = read_person(found)
        if person.pseudonym != pseudonym:
            raise Unusable("another person was asked for")
        return person

    async def changes(self, after: str, count: int) -> Changed:
        """See `ports.Persons`."""
        page = await self._page("/rob/changes", after, count)
        return Changed(tuple(map(read_pseudonym, page.items)), page.cursor)

    async def address(self, code: str) -> Address | None:
        """See `ports.Addresses`."""
        found = await self._ask("GET", f"/ruian/addresses/{code}")
        return None if found is None else read_address(found, code)

    async def business(self, ico: str) -> Business | None:
        """See `ports.Businesses`."""
        found = await self._ask("GET", f"/ros/businesses/{ico}")
        return None if found is None else read_business(found, ico)

    async def business_changes(self, after: str, count: int) -> Changed:
        """See `ports.Businesses`; a gateway may tell no changes."""
        found = await self._ask("GET", "/ros/changes", query=_asked(after, count))
        if found is None:
            return Changed((), after)
        page = read_changes(found, count)
        return Changed(tuple(map(read_ico, page.items)), page.cursor)

    async def mandates(self, after: str, count: int) -> Changed:
        """See `ports.Mandates`."""
        page = await self._page("/reza/mandates", after, count)
        return Changed(tuple(map(read_mandate, page.items)), page.cursor)

    async def _page(self, path: str, after: str, count: int) -> Changed:
        found = await self._ask("GET", path, query=_asked(after, count))
        if found is None:
            raise Unusable("there are no changes at this address")
        return read_changes(found, count)

    async def _ask(
        self,
        method: str,
        path: str,
        body: Question | None = None,
        query: dict[str, str] | None = None,
    ) -> Any:
        """The JSON of an answer, None for nobody. Raises Down, Unusable."""
        try:
            async with (
                asyncio.timeout(PATIENCE),
                self._http.stream(
                    method, self._base + path, json=body, params=query, headers=self._headers,
                    timeout=PATIENCE, follow_redirects=False,
                ) as answer,
            ):  # fmt: skip
                if answer.status_code in _NOBODY:
                    return None
                if answer.status_code != 200:
                    raise Down(f"it answered {answer.status_code}")
                content = bytearray()
                async for chunk in answer.aiter_bytes():
                    content += chunk
                    if len(content) > _LONGEST:
                        raise Unusable("the answer is too long")
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Down("it did not answer in time") from error
        except httpx.HTTPError as error:
            raise Down("it cannot be reached") from error
        try:
            return orjson.loads(bytes(content))
        except orjson.JSONDecodeError as error:
            raise Unusable("the answer is no JSON") from error


def _asked(after: str, count: int) -> dict[str, str]:
    return {"after": after, "count": str(count)}
