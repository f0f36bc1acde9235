"""Search: a request and a scope in, a page of current resources out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from pater.fhir.search.query import Condition, SearchRequest
from pater.store.beside import Given
from pater.store.database import Database, Record
from pater.store.read import Stored
from pater.store.search.classed import classed_search
from pater.store.search.contained import with_contained
from pater.store.search.cursor import Position, seal, unseal
from pater.store.search.errors import outlived, too_costly
from pater.store.search.families import families
from pater.store.search.include import INCLUDE_LIMIT, included
from pater.store.search.joined import Joined, joined
from pater.store.search.led import led_on, patients_of
from pater.store.search.lookup import patients, persons
from pater.store.search.moved import SEEN, Changed, Places, Seen, changed, met
from pater.store.search.order import Order, orders
from pater.store.search.recheck import Recheck, is_cut
from pater.store.search.rows import Reader, open_reader
from pater.store.search.sort import SORT_LIMIT, Placed, in_order, placed, sorts_by_body
from pater.store.search.sql import Args
from pater.store.search.tree import filter_sql
from pater.store.search.where import ROW, Ends, Scope, Where, build_where
from pater.store.text_index import make_current
from pater.store.veils import hidden
from pater.store.wall import wall

__all__ = ["Ends", "Page", "Scope", "confirmed", "patients", "persons", "search"]

ESTIMATE_LIMIT = 10_000
"""`_total=estimate` counts this far and gives no total beyond."""
TOTAL_LIMIT = 20_000
"""Bodies that an accurate total may have to read when the index alone cannot answer."""
TOTAL_STEP = 1_000
ROUNDS = 10
"""Reads that fill one page when rechecking drops hits; then a short page with `next` is given."""

CURSOR_LIFE = timedelta(days=1)
"""How long after its first page a search can be gone on with."""

# Told from the row itself or few others: no whole index of another table might be begun with.
_PLAIN = frozenset({"token", "reference", "uri", "date", "id", "lastUpdated", "chain"})


@dataclass(frozen=True, slots=True)
class Page:
    """One page: matches in order, included resources, the total if asked for, the next cursor."""

    matches: list[Stored]
    included: list[Stored]
    total: int | None
    next: str | None


async def search(
    db: Database,
    request: SearchRequest,
    scope: Scope,
    *,
    count: int,
    cursor_key: bytes,
    now: datetime | None = None,
) -> Page:
    """One page of up to `count` matches (0 = the total only), as FHIR R4 "Search" defines them.

    Matches, total and includes agree with each other: they are read by one statement or from one
    snapshot, and only from persons of the scope. `next` is a sealed cursor, to be given back as
    `request.cursor` of the same request. With `now` given, the pages are those of the moment of
    the first one (see `moved`): what is created later is on none of them, what is changed keeps
    its place. Raises SearchError: a cursor that is not of this search or too old, what the index
    cannot answer, what would need more rows than one request may read.
    """
    after = None if request.cursor is None else unseal(request.cursor, request, cursor_key)
    if after and after.began and now and now - after.began > CURSOR_LIFE:
        raise outlived()
    if request.words:
        await make_current(db)
    with wall(scope.seen):
        if request.contained == "false":
            found = await _ordinary(db, request, scope, count, after, now)
        else:
            first = partial(_ordinary, db, request, scope, now=now)
            found = await with_contained(Reader(db), request, scope, count, after, first)
    matches, more, total, end = found
    if end is not None:
        end = replace(end, began=now if after is None else after.began)
    return Page(matches, more, total, None if end is None else seal(end, request, cursor_key))


_Found = tuple[list[Stored], list[Stored], int | None, Position | None]


async def _ordinary(
    db: Database,
    request: SearchRequest,
    scope: Scope,
    count: int,
    after: Position | None,
    now: datetime | None,
) -> _Found:
    named = patients_of(request)
    if named:
        request = led_on(request, await families(Reader(db), named))
    found = await classed_search(db, request, scope, count, after, now)
    if found is None:
        found = await _search(db, request, scope, count, after, now, believing=True)
    if found is None:
        found = await _search(db, request, scope, count, after, now, believing=False)
    assert found is not None  # nothing was believed
    return found


async def _search(
    db: Database,
    request: SearchRequest,
    scope: Scope,
    count: int,
    after: Position | None,
    now: datetime | None,
    *,
    believing: bool,
) -> _Found | None:
    """Matches, included resources, total, end.

    None when `believing` was too much: there is nothing, which may be due to what was believed, or
    the includes lead out of the record.
    """
    along = joined(request, scope) if believing else None
    async with _reader(db, request, along, believing) as reader:
        args = Args()
        where = await build_where(reader, scope, request.type, request.conditions, args, "r")
        if request.filter is not None and not where.empty:
            where.clauses.append(await filter_sql(reader, scope, request, args, "r"))
        if scope.given is not None and not where.empty:
            where.clauses.append(scope.given.sql(args))
        if reader.led:
            anew = led_on(request, reader.led)
            return await _search(db, anew, scope, count, after, now, believing=believing)
        began = None if after is None else after.began
        run = _Run(reader, request, where, args, scope, along, began, now)
        if where.empty:
            if reader.believed:
                return None
            return [], [], None if request.total == "none" else 0, None
        matches, end = await run.page(count, after) if count else ([], None)
        total = await run.total()
        if reader.believed and not matches and not total:
            return None
        if along is not None:
            beside = run.beside(matches)
            return None if beside is None else (matches, beside, total, end)
        near = scope.beside(each.person for each in matches)
        more = await included(reader, near, request.includes, matches)
    return matches, more, total, end


async def confirmed(
    db: Database,
    request: SearchRequest,
    scope: Scope,
    given: Given,
    *,
    count: int,
    cursor_key: bytes,
    now: datetime,
) -> Page | None:
    """The first page of a plain search (see `records.believing`) if the condition `given` holds.

    None when there is no match: whether the condition holds is not known then.
    """
    with wall(scope.seen):
        try:
            scope = replace(scope, given=given)
            found = await _search(db, request, scope, count, None, now, believing=True)
        except _Further:
            return None
    if found is None or not found[0]:
        return None
    matches, _, _, end = found
    end = None if end is None else replace(end, began=now)
    return Page(matches, [], None, None if end is None else seal(end, request, cursor_key))


class _Further(Exception):  # noqa: N818 (no failure)
    """One statement was not enough, and what it had confirmed may be otherwise for the next."""


def _reader(
    db: Database, request: SearchRequest, along: Joined | None, believing: bool
) -> AbstractAsyncContextManager[Reader]:
    """A snapshot where several statements have to agree; opening and closing it costs two more."""
    if request.includes and along is None:
        return open_reader(db, believing=believing)
    if request.total == "estimate" or request.filter is not None:
        return open_reader(db, believing=believing)
    if request.total == "accurate" and any(map(is_cut, request.conditions)):
        return open_reader(db, believing=believing)
    return nullcontext(Reader(db, believing=believing))


class _Run:
    """One search with its conditions compiled; `page` and `total` share them."""

    def __init__(
        self,
        reader: Reader,
        request: SearchRequest,
        where: Where,
        args: Args,
        scope: Scope,
        along: Joined | None,
        began: datetime | None,
        now: datetime | None,
    ) -> None:
        self._reader = reader
        self._joined = along
        self._along: list[Stored] | None = None if along is None else []
        self._request = request
        self._where = where.text(request.type, args, "r")
        self._args = args
        self._recheck = Recheck(
            request.conditions, request.type, scope.narrow, request.filter, began=began
        )
        by_id = _by_id(request.conditions)
        self._bound = where.persons is not None or where.exact or by_id
        # Where a search begins is then plain: no value of it would make another plan better.
        plain = all(each.kind in _PLAIN for each in request.conditions)
        self._kept = self._bound and plain and request.filter is None
        self._total: int | None = None
        self._once = scope.given is not None
        self._veils = scope.veils
        # The order that nobody asked for is that of row numbers, which no update changes.
        self._moves = bool(request.sort)
        self._now = now

    async def page(
        self, count: int, after: Position | None
    ) -> tuple[list[Stored], Position | None]:
        """Up to `count` matches behind a position, and where they end when more follow."""
        if sorts_by_body(self._request.type, self._request.sort):
            return await self._page_by_body(count, after)
        start, seen, mark = after, self._seen(after), "" if after is None else after.seen
        marking = after is None and self._moves and self._now is not None
        hits: list[Stored] = []
        ends: list[tuple[Record, Order, int, str]] = []  # where each hit stands
        phase = 0 if after is None else after.phase
        rounds = 0
        while True:
            args = self._args.copy()
            order = orders(
                self._request.type, self._request.sort, args, "r", phase, bound=self._bound
            )
            if order is None:
                if start is None and rounds <= 1:
                    seen = None  # one statement agrees with itself
                return await self._at_their_places(seen, start, hits, ends, None, count)
            if rounds and self._once:
                raise _Further
            limit = count + 1 - len(hits)
            rows = await self._rows(order, args, after, limit, seen, marking=marking)
            found = await self._reader.stored(rows)
            late = None if seen is None else seen.at
            if marking and rows:
                mark, marking = rows[0]["seen"], False
                seen = Seen.of(self._now, mark)  # a further statement is as a further page
            if self._joined is not None:
                rows, found = self._split(rows, found)
            for row, each in zip(rows, found, strict=True):
                if (late is None or each.updated <= late) and self._recheck.holds(each):
                    hits.append(each)
                    ends.append((row, order, phase, mark))
            rounds += 1
            if len(hits) > count:
                if start is None and rounds == 1:
                    seen = None  # one statement agrees with itself
                last = _place(*ends[-1])
                return await self._at_their_places(seen, start, hits, ends, last, count)
            after = _place(rows[-1], order, phase, mark) if len(rows) == limit else None
            phase += after is None
            if rounds >= ROUNDS and after is not None:
                return await self._at_their_places(seen, start, hits, ends, after, count)

    def _seen(self, after: Position | None) -> Seen | None:
        if after is None or not self._moves:
            return None
        return Seen.of(after.began, after.seen)

    async def _changed(self, seen: Seen) -> list[Changed]:
        return await changed(
            self._reader, self._request.type, self._where, self._args.copy(), seen, kept=self._kept
        )

    async def _at_their_places(
        self,
        seen: Seen | None,
        start: Position | None,
        hits: list[Stored],
        ends: list[tuple[Record, Order, int, str]],
        last: Position | None,
        count: int,
    ) -> tuple[list[Stored], Position | None]:
        """A page behind `start`, cut to its size, with what was changed since the first one where
        it stood then. `last`: up to where rows have been read, None when there are no more.
        """
        # Asked after the page's rows: what is changed in between is on both and put right here.
        moved = [] if seen is None else await self._changed(seen)
        if not moved:
            if len(hits) > count:
                return hits[:count], _place(*ends[count - 1])
            return hits, last
        self._along = None
        type_, sort = self._request.type, self._request.sort
        places = Places(type_, sort, bound=self._bound)
        away = {each.rid for each in moved}
        page = [
            (_place(*end), hit)
            for end, hit in zip(ends, hits, strict=True)
            if end[0]["rid"] not in away
        ]
        mark = ends[0][3] if start is None and ends else "" if start is None else start.seen
        for each in moved:
            if each.was is None or not self._still(each.now, each.was):
                continue
            place = replace(places.of(each.was, each.rid, self._reader.custom), seen=mark)
            if start is not None and places.compared(place, start) <= 0:
                continue
            if last is None or places.compared(place, last) <= 0:
                page.append((place, each.now))
        page = places.ordered(page)
        if len(page) > count:
            return [hit for _, hit in page[:count]], page[count - 1][0]
        return [hit for _, hit in page], last

    def _still(self, now: Stored, was: Stored) -> bool:
        """Whether a resource meets the search now and did so for the first page."""
        if hidden(self._veils, was.person, was.type, was.label):
            return False
        return self._recheck.holds(now) and met(was, self._request.conditions)

    async def _page_by_body(
        self, count: int, after: Position | None
    ) -> tuple[list[Stored], Position | None]:
        args, sort = self._args.copy(), self._request.sort
        marked = f", {SEEN}" if after is None and self._now is not None else ""
        sql = (
            f"select {ROW}, r.rid{marked} from resource r where {self._where}"  # noqa: S608
            f" limit {args.add(SORT_LIMIT + 1, 'int')}"
        )
        rows = await self._reader.fetch(sql, *args.values)
        if len(rows) > SORT_LIMIT:
            keys = ",".join(key.param for key in sort)
            raise too_costly(f"_sort={keys} needs a search of at most {SORT_LIMIT} matches")
        found = zip(await self._reader.stored(rows), rows, strict=True)
        seen, mark = self._seen(after), "" if after is None else after.seen
        if marked and rows:
            mark = rows[0]["seen"]
        moved = [] if seen is None else await self._changed(seen)
        away = {each.rid for each in moved}
        hits = [
            placed(each, row["rid"], sort)
            for each, row in found
            if (seen is None or each.updated <= seen.at)
            and row["rid"] not in away
            and self._recheck.holds(each)
        ]
        hits += [
            Placed(placed(each.was, each.rid, sort).place, each.now)
            for each in moved
            if each.was is not None and self._still(each.now, each.was)
        ]
        if after is not None:
            # The end of the last page takes its place among the hits, as the row it was made of.
            hits = [hit for hit in hits if hit.place.rid != after.rid]
            hits = in_order([*hits, Placed(after)], sort)
            hits = hits[next(n for n, hit in enumerate(hits) if hit.stored is None) + 1 :]
        else:
            hits = in_order(hits, sort)
        page = [hit.stored for hit in hits[:count] if hit.stored is not None]
        return page, replace(hits[count - 1].place, seen=mark) if len(hits) > count else None

    async def total(self) -> int | None:
        """The number of all matches as `_total` asks for it."""
        if self._request.total == "none":
            return None
        if self._approximate:
            return await self._total_of_bodies()
        found = f"from resource r where {self._where}"
        if self._request.total == "accurate":
            if self._total is not None:
                return self._total
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
        self,
        order: Order,
        args: Args,
        after: Position | None,
        limit: int,
        seen: Seen | None,
        *,
        marking: bool,
    ) -> list[Record]:
        tests = [self._where]
        if order.only:
            tests.append(order.only)
        if after is not None:
            tests.append(order.after(after, args, "r"))
        if seen is not None and self._request.sort[0].param == "_lastUpdated":
            tests.append(f"r.updated <= {args.add(seen.at, 'timestamptz')}")
        marked = f", {SEEN}" if marking else ""
        counted = ""
        if self._request.total == "accurate" and not self._approximate:
            counted = f", (select count(*) from resource r where {self._where}) as total"  # noqa: S608
        sql = (
            f"select {ROW}, r.rid{order.columns()}{counted}{marked}"  # noqa: S608
            f" from resource r{order.joins}"
            f" where {' and '.join(tests)} order by {order.by('r')}"
            f" limit {args.add(limit, 'int')}"
        )
        if self._joined is not None:
            nothing = "".join(f", null::{key.cast}" for key in order.keys)
            columns = f"{ROW.replace('r.', 'x.')}, x.rid{nothing}"
            columns += ", null::bigint" if counted else ""
            columns += ", null::text" if marked else ""
            beside = self._joined.sql(args, f"{columns}, null::bigint", INCLUDE_LIMIT + 1)
            sql = (
                f"with hits as materialized ({sql})"  # noqa: S608 (as above)
                f" select *, row_number() over () as place from hits union all ({beside})"
            )
        rows = await self._reader.fetch(sql, *args.values, kept=self._kept)
        if counted and rows:
            self._total = rows[0]["total"]
        return rows

    def _split(self, rows: list[Record], found: list[Stored]) -> tuple[list[Record], list[Stored]]:
        """The matches in order; what came along with them is put aside."""
        both = list(zip(rows, found, strict=True))
        matches = [pair for pair in both if pair[0]["place"] is not None]
        matches.sort(key=lambda pair: int(pair[0]["place"]))
        beside = [each for row, each in both if row["place"] is None]
        if len(beside) > INCLUDE_LIMIT:
            self._along = None
        elif self._along is not None:
            self._along += beside
        return [row for row, _ in matches], [each for _, each in matches]

    def beside(self, matches: Sequence[Stored]) -> list[Stored] | None:
        """What the includes bring, None when they have to be asked for."""
        if self._joined is None or self._along is None:
            return None
        return self._joined.of(matches, self._along)

    @property
    def _approximate(self) -> bool:
        return bool(self._recheck.approximate or self._recheck.parts)


def _place(row: Record, order: Order, phase: int, mark: str) -> Position:
    values = tuple(row[f"s{n}"] for n in range(len(order.keys)))
    return Position(phase, values, row["rid"], seen=mark)


def _by_id(conditions: Sequence[Condition]) -> bool:
    return any(each.kind == "id" and each.modifier is None for each in conditions)
