"""Search: a request and a scope in, a page of current resources out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pater.fhir.search.query import Condition, SearchRequest
from pater.store.database import Database, Record
from pater.store.read import Stored
from pater.store.search.cursor import Position, seal, unseal
from pater.store.search.errors import too_costly
from pater.store.search.include import included
from pater.store.search.order import NEWEST_FIRST, Order, orders
from pater.store.search.recheck import Recheck
from pater.store.search.rows import Reader, open_reader
from pater.store.search.sort import SORT_LIMIT, Placed, in_order, placed, sorts_by_body
from pater.store.search.sql import Args
from pater.store.search.where import ROW, Scope, Where, build_where

__all__ = ["NEWEST_FIRST", "Page", "Scope", "persons", "search"]

ESTIMATE_LIMIT = 10_000
"""`_total=estimate` counts this far and gives no total beyond."""
TOTAL_LIMIT = 20_000
"""Bodies that an accurate total may have to read when the index alone cannot answer."""
TOTAL_STEP = 1_000
ROUNDS = 10
"""Reads that fill one page when rechecking drops hits; then a short page with `next` is given."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page: matches in order, included resources, the total if asked for, the next cursor."""

    matches: list[Stored]
    included: list[Stored]
    total: int | None
    next: str | None


async def search(
    db: Database, request: SearchRequest, scope: Scope, *, count: int, cursor_key: bytes
) -> Page:
    """One page of up to `count` matches (0 = the total only), as FHIR R4 "Search" defines them.

    Everything (chains, total, includes) is read from one snapshot and only from persons of the
    scope. `next` is a sealed cursor, to be given back as `request.cursor` of the same request.
    Raises SearchError: a cursor that is not of this search, what the index cannot answer, what
    would need more rows than one request may read.
    """
    after = None if request.cursor is None else unseal(request.cursor, request, cursor_key)
    async with open_reader(db) as reader:
        args = Args()
        where = await build_where(reader, scope, request.type, request.conditions, args, "r")
        run = _Run(reader, request, where, args)
        if where.empty:
            return Page([], [], None if request.total == "none" else 0, None)
        matches, end = await run.page(count, after) if count else ([], None)
        total = await run.total()
        beside = scope.beside(each.person for each in matches)
        more = await included(reader, beside, request.includes, matches)
    return Page(matches, more, total, None if end is None else seal(end, request, cursor_key))


async def persons(db: Database, request: SearchRequest, *, most: int) -> frozenset[int]:
    """The persons among everybody whose resources meet the conditions, at most `most` of them.

    By the index alone: a hit may be more than there is (see `recheck`), never less. Raises
    SearchError as `search`.
    """
    async with open_reader(db) as reader:
        args = Args()
        where = await build_where(reader, Scope(), request.type, request.conditions, args, "r")
        if where.empty:
            return frozenset()
        sql = (
            f"select distinct r.person from resource r"  # noqa: S608 (as in `_Run`)
            f" where {where.text(request.type, args, 'r')} limit {args.add(most, 'int')}"
        )
        return frozenset(row["person"] for row in await reader.fetch(sql, *args.values))


class _Run:
    """One search with its conditions compiled; `page` and `total` share them."""

    def __init__(self, reader: Reader, request: SearchRequest, where: Where, args: Args) -> None:
        self._reader = reader
        self._request = request
        self._where = where.text(request.type, args, "r")
        self._args = args
        self._recheck = Recheck(request.conditions)
        self._bound = where.persons is not None or _by_id(request.conditions)

    async def page(
        self, count: int, after: Position | None
    ) -> tuple[list[Stored], Position | None]:
        """Up to `count` matches behind a position, and where they end when more follow."""
        if sorts_by_body(self._request.type, self._request.sort):
            return await self._page_by_body(count, after)
        hits: list[tuple[Stored, Position]] = []
        phase = 0 if after is None else after.phase
        rounds = 0
        while True:
            args = self._args.copy()
            order = orders(
                self._request.type, self._request.sort, args, "r", phase, bound=self._bound
            )
            if order is None:
                return [hit for hit, _ in hits], None
            limit = count + 1 - len(hits)
            rows = await self._rows(order, args, after, limit)
            places = [_place(row, order, phase) for row in rows]
            stored = await self._reader.stored(rows)
            hits += [
                (each, place)
                for each, place in zip(stored, places, strict=True)
                if self._recheck.holds(each)
            ]
            if len(hits) > count:
                return [hit for hit, _ in hits[:count]], hits[count - 1][1]
            after = places[-1] if len(rows) == limit else None
            phase += after is None
            rounds += 1
            if rounds >= ROUNDS and after is not None:
                return [hit for hit, _ in hits], after

    async def _page_by_body(
        self, count: int, after: Position | None
    ) -> tuple[list[Stored], Position | None]:
        args, sort = self._args.copy(), self._request.sort
        sql = (
            f"select {ROW}, r.rid from resource r where {self._where}"  # noqa: S608
            f" limit {args.add(SORT_LIMIT + 1, 'int')}"
        )
        rows = await self._reader.fetch(sql, *args.values)
        if len(rows) > SORT_LIMIT:
            keys = ",".join(key.param for key in sort)
            raise too_costly(f"_sort={keys} needs a search of at most {SORT_LIMIT} matches")
        hits = [
            placed(each, row["rid"], sort)
            for each, row in zip(await self._reader.stored(rows), rows, strict=True)
            if self._recheck.holds(each)
        ]
        if after is not None:
            # The end of the last page takes its place among the hits, as the row it was made of.
            hits = [hit for hit in hits if hit.place.rid != after.rid]
            hits = in_order([*hits, Placed(after)], sort)
            hits = hits[next(n for n, hit in enumerate(hits) if hit.stored is None) + 1 :]
        else:
            hits = in_order(hits, sort)
        page = [hit.stored for hit in hits[:count] if hit.stored is not None]
        return page, hits[count - 1].place if len(hits) > count else None

    async def total(self) -> int | None:
        """The number of all matches as `_total` asks for it."""
        if self._request.total == "none":
            return None
        if self._recheck.approximate:
            return await self._total_of_bodies()
        found = f"from resource r where {self._where}"
        if self._request.total == "accurate":
            rows = await self._reader.fetch(f"select count(*) as n {found}", *self._args.values)
            return int(rows[0]["n"])
        args = self._args.copy()
        limit = args.add(ESTIMATE_LIMIT + 1, "int")
        rows = await self._reader.fetch(
            f"select count(*) as n from (select 1 {found} limit {limit}) hits",  # noqa: S608
            *args.values,
        )
        return None if rows[0]["n"] > ESTIMATE_LIMIT else int(rows[0]["n"])

    async def _total_of_bodies(self) -> int | None:
        total, end = 0, None
        for _ in range(TOTAL_LIMIT // TOTAL_STEP):
            hits, end = await self.page(TOTAL_STEP, end)
            total += len(hits)
            if end is None:
                return total
        if self._request.total == "estimate":
            return None
        raise too_costly("the total of this search needs too many resources to be read: narrow it")

    async def _rows(
        self, order: Order, args: Args, after: Position | None, limit: int
    ) -> list[Record]:
        tests = [self._where]
        if order.only:
            tests.append(order.only)
        if after is not None:
            tests.append(order.after(after, args, "r"))
        sql = (
            f"select {ROW}, r.rid{order.columns()} from resource r{order.joins}"  # noqa: S608
            f" where {' and '.join(tests)} order by {order.by('r')}"
            f" limit {args.add(limit, 'int')}"
        )
        return await self._reader.fetch(sql, *args.values)


def _place(row: Record, order: Order, phase: int) -> Position:
    return Position(phase, tuple(row[f"s{n}"] for n in range(len(order.keys))), row["rid"])


def _by_id(conditions: Sequence[Condition]) -> bool:
    return any(each.kind == "id" and each.modifier is None for each in conditions)
