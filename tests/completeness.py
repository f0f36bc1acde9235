"""Whatever patient data left in an answer has its entry in the journal: held over the whole suite.

Every application that tests speak to is watched: what of a person stands in an answer, and the id
of the request. When its database goes, each of those persons has to stand in the journal under
that request. Houses in the test's own process are compared when their database is dropped,
demonstrations when they are stopped; they write down what left in a file.

Notifications of subscriptions are no answers; the tests of subscriptions look at their entries.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import zlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import zstandard

import pater.app
import pater.rest.app
from pater.access.policy import is_personal
from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER
from pater.store.connections import Connections
from pater.store.write import Committer

FILE = "PATER_TESTS_LEFT"
"""The environment variable that names the file in which a demonstration writes what left."""

_PERSONAL = [TYPE_NUMBER[name] for name in RESOURCE_TYPES if is_personal(name)]
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_XML_ID = re.compile(r'<id value="([A-Za-z0-9.-]{1,64})"')
_SHOWN = ("text/html", "text/csv", "application/pdf", "application/octet-stream", "image/")
_IGNORED = ("/assets/", "/static/", "/fhir/metadata", "/fhir/openapi", "/health", "/audit/log/")
_MOST = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Left:
    """One answer with data: its request, what it was, and the resources that stood in it.

    A key without a type is the id of whatever is a person's and has it.
    """

    dsn: str
    request: str
    what: str
    keys: tuple[tuple[str, str], ...]


_databases: ContextVar[set[str] | None] = ContextVar("databases", default=None)
_left: dict[str, list[Left]] = defaultdict(list)
counted = 0
"""Answers with patient data that were compared with a journal in this process."""


def install() -> None:
    """Watches every application from now on, and which database an answer was made of."""
    Connections._take = _noting(Connections._take, lambda pool: pool._dsn)  # type: ignore[method-assign]
    for name in ("commit", "journal_only"):  # written by a task of its own
        noted = _noting(getattr(Committer, name), lambda committer: committer._db.dsn)
        setattr(Committer, name, noted)
    begin = httpx.ASGITransport.__init__

    def watched_transport(self: httpx.ASGITransport, app: Any, *more: Any, **named: Any) -> None:
        begin(self, Watched(app), *more, **named)

    httpx.ASGITransport.__init__ = watched_transport  # type: ignore[method-assign]
    pater.app.build = _watching(pater.app.build)
    pater.rest.app.fhir_app = _watching(pater.rest.app.fhir_app)


def _noting(method: Callable[..., Any], dsn: Callable[[Any], str]) -> Callable[..., Any]:
    def noted(self: Any, *arguments: Any, **named: Any) -> Any:
        used = _databases.get()
        if used is not None:
            used.add(dsn(self))
        return method(self, *arguments, **named)

    return noted


def _watching(make: Callable[..., Any]) -> Callable[..., Any]:
    def made(*arguments: Any, **named: Any) -> Any:
        return Watched(make(*arguments, **named))

    return made


class Watched:
    """An application whose answers are looked at as they leave."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http" or scope.get("tests.watched"):
            await self._app(scope, receive, send)
            return
        used: set[str] = set()
        token = _databases.set(used)
        status, headers, body = 0, dict[str, str](), bytearray()

        async def looking(message: Any) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = {
                    name.decode("latin-1").lower(): value.decode("latin-1")
                    for name, value in message.get("headers", ())
                }
            elif message["type"] == "http.response.body" and len(body) < _MOST:
                body.extend(message.get("body", b""))
                if not message.get("more_body", False) and status < 400:
                    _note(scope, headers, bytes(body), used)
            await send(message)

        try:
            await self._app({**scope, "tests.watched": True}, receive, looking)
        finally:
            _databases.reset(token)


def _note(
    scope: MutableMapping[str, Any], headers: dict[str, str], body: bytes, used: set[str]
) -> None:
    path = f"{scope.get('root_path', '')}{scope['path'].removeprefix(scope.get('root_path', ''))}"
    if not body or path.startswith(_IGNORED):
        return
    kind = headers.get("content-type", "").partition(";")[0]
    keys = frozenset(_keys(kind, path, _unpacked(body, headers.get("content-encoding", ""))))
    if not keys:
        return
    request = headers.get("x-request-id", "")
    for dsn in used:
        left = Left(dsn, request, f"{scope['method']} {path}", tuple(sorted(keys)))
        file = os.environ.get(FILE)
        if file:
            with Path(file).open("ab") as target:
                target.write(orjson.dumps(asdict(left)) + b"\n")
        else:
            _left[dsn].append(left)


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return zlib.decompress(body) if encoding == "deflate" else body


def _keys(kind: str, path: str, body: bytes) -> Iterator[tuple[str, str]]:
    """The resources that an answer holds, by what can be told from it alone."""
    if kind.endswith("xml"):
        yield from (("", id) for id in _XML_ID.findall(body.decode("utf-8", "replace")))
    elif kind.endswith("ndjson"):
        for line in body.splitlines():
            with suppress(ValueError):  # a part of a file begins and ends where it was asked to
                yield from _resources(orjson.loads(line))
    elif kind.endswith("json"):
        try:
            value = json.loads(body) if body[:1] in b"{[" else None
        except ValueError:
            return
        if "$graphql" in path and isinstance(value, dict):
            yield from (("", id) for id in _ids(value.get("data")) if _UUID.fullmatch(id))
        yield from _resources(value)
    elif kind.startswith(_SHOWN):
        text = body.decode("utf-8", "replace") if kind.startswith("text/") else ""
        yield from (("", id) for id in _UUID.findall(f"{path} {text}"))


def _ids(value: Any) -> Iterator[str]:
    """What stands under the name `id`, wherever it is."""
    if isinstance(value, list):
        for each in value:
            yield from _ids(each)
    elif isinstance(value, dict):
        if isinstance(value.get("id"), str):
            yield value["id"]
        for each in value.values():
            yield from _ids(each)


def _resources(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for each in value:
            yield from _resources(each)
        return
    if not isinstance(value, dict):
        return
    type, id = value.get("resourceType"), value.get("id")
    if isinstance(type, str) and isinstance(id, str) and type in TYPE_NUMBER:
        yield type, id
    if type == "Bundle" and value.get("type") == "document":
        return  # what stands in it has the ids of its author
    for name, each in value.items():
        if name != "contained" and isinstance(each, dict | list):
            yield from _resources(each)


# What was moved to another person is in the history of both.
_PERSONS = """
select k.type, k.id, r.person
from unnest($1::smallint[], $2::text[]) as k(type, id)
join resource r on r.type = k.type and r.id = k.id
where r.person > 0 and r.type = any($3::smallint[])
union
select k.type, k.id, h.person
from unnest($1::smallint[], $2::text[]) as k(type, id)
join history h on h.type = k.type and h.id = k.id
where h.person > 0 and h.type = any($3::smallint[])
union
select -1, k.id, r.person
from unnest($4::text[]) as k(id)
join resource r on r.type = any($3::smallint[]) and r.id = k.id
where r.person > 0
"""
# A file of an export, or an answer that was waited for, is recorded under the request for it.
_LATER = re.compile(r"/(?:bulk|async)/([0-9a-f-]{36})")
_JOBS = """
select id::text, payload::json #>> '{caller,request_id}' as request from job
where id = any($1::uuid[])
"""
_RECORDED = """
select distinct request_id, person from journal_entry
where request_id = any($1) and person > 0 and outcome = '0'
"""


async def _joined(db: asyncpg.Connection[Any]) -> dict[int, set[int]]:
    """The numbers that were, for a time or still, those of one person: entries stay where they are
    when persons are merged or parted."""
    if await db.fetchval("select to_regclass('merge') is null"):
        return {}
    found: dict[int, set[int]] = {}
    for one, other in await db.fetch("select person, former from merge where kind <> 'link'"):
        both = found.get(one, {one}) | found.get(other, {other})
        found |= dict.fromkeys(both, both)
    return found


async def unrecorded(db: asyncpg.Connection[Any], left: Iterable[Left]) -> list[str]:
    """The answers that showed data of somebody for whom the journal has no entry."""
    global counted
    left = list(left)
    typed = {key for one in left for key in one.keys if key[0]}
    bare = {id for one in left for type, id in one.keys if not type}
    rows = await db.fetch(
        _PERSONS,
        [TYPE_NUMBER[type] for type, _ in typed],
        [id for _, id in typed],
        _PERSONAL,
        list(bare),
    )
    persons: dict[tuple[int, str], set[int]] = defaultdict(set)
    for row in rows:
        persons[row[0], row[1]].add(row[2])
    one_person = await _joined(db)
    for numbers in persons.values():
        numbers |= {each for number in [*numbers] for each in one_person.get(number, ())}
    later = {one: job[1] for one in left if (job := _LATER.search(one.what))}
    jobs = dict(await db.fetch(_JOBS, list(set(later.values()))))
    left = [
        replace(one, request=jobs.get(later[one], "")) if one in later else one
        for one in left
        if one not in later or later[one] in jobs  # the job is ended: nobody knows whose it was
    ]
    requests = list({one.request for one in left})
    recorded = {tuple(row) for row in await db.fetch(_RECORDED, requests)}
    found = []
    for one in left:
        shown = {
            key: whose
            for key in one.keys
            if (whose := persons.get((TYPE_NUMBER.get(key[0], -1), key[1])))
        }
        counted += bool(shown)
        missing = [
            f"{type}/{id}"
            for (type, id), whose in shown.items()
            if not any((one.request, person) in recorded for person in whose)
        ]
        if missing:
            what = ", ".join(missing[:5])
            found.append(f"{one.what} showed {what} and has no entry ({one.request})")
    return found


def forget(dsn: str) -> None:
    """For tests that tamper with the journal: what left their database is not compared."""
    for each in [each for each in _left if _name(each) == _name(dsn)]:
        del _left[each]


async def hold(dsn: str) -> None:
    """Compares what left a database of this process with its journal, and forgets it."""
    mine = [each for each in _left if _name(each) == _name(dsn)]
    left = [one for each in mine for one in _left.pop(each)]
    if not left:
        return
    connection = await asyncpg.connect(dsn)
    try:
        missing = await unrecorded(connection, left)
    finally:
        await connection.close()
    assert not missing, "\n".join(missing)


def _name(dsn: str) -> str:
    return dsn.partition("?")[0].rpartition("/")[2]


def hold_file(file: Path) -> None:
    """The same for a demonstration that runs and has written into the file.

    It has one database. After a restart that is found in another place: the last one named.
    """
    if not file.exists():
        return
    left: list[Left] = []
    for line in file.read_bytes().splitlines():
        said = orjson.loads(line)
        said["keys"] = tuple(map(tuple, said["keys"]))
        left.append(Left(**said))
    file.unlink()

    async def compare() -> list[str]:
        connection = await asyncpg.connect(left[-1].dsn)
        try:
            return await unrecorded(connection, left)
        finally:
            await connection.close()

    # in a thread of its own: there may be a loop in this one
    with ThreadPoolExecutor(1) as thread:
        problems = thread.submit(lambda: asyncio.run(compare())).result()
    assert not problems, "\n".join(problems)
