"""Who is meant: the persons whose records a search names, found before it is made."""

from __future__ import annotations

from pater.fhir.search.query import Condition, SearchRequest
from pater.store.beside import Beside
from pater.store.database import Database, Record
from pater.store.search.led import led_on
from pater.store.search.rows import Reader
from pater.store.search.sql import Args
from pater.store.search.where import PATIENTS, Scope, build_where, identifies
from pater.store.wall import wall


async def persons(
    db: Database, request: SearchRequest, *, most: int, scope: Scope | None = None
) -> frozenset[int]:
    """The persons (of everybody, or of the scope) whose resources meet the conditions, `most`.

    By the index alone: a hit may be more than there is (see `recheck`), never less. Raises
    SearchError as `search`.
    """
    scope = scope or Scope()
    with wall(scope.seen):
        reader = Reader(db)
        args = Args()
        where = await build_where(reader, scope, request.type, request.conditions, args, "r")
        if reader.led:
            return await persons(db, led_on(request, reader.led), most=most, scope=scope)
        if where.empty:
            return frozenset()
        sql = (
            f"select distinct r.person from resource r"  # noqa: S608 (as in `_Run`)
            f" where {where.text(request.type, args, 'r')} limit {args.add(most, 'int')}"
        )
        rows = await reader.fetch(sql, *args.values, kept=where.exact)
        return frozenset(row["person"] for row in rows)


async def patients(
    db: Database, condition: Condition, *, most: int, beside: Beside
) -> list[Record] | None:
    """The Patients (id, person) whom a condition means, one that was merged as the one it leads
    to, each with what is told of the person. None when the condition is not an exact identifier.
    """
    if not identifies(condition):
        return None
    reader, args = Reader(db), Args()
    where = await build_where(reader, Scope(), "Patient", (condition,), args, "r")
    rows = (
        f"select {PATIENTS} from resource r where {where.text('Patient', args, 'r')}"  # noqa: S608
        f" limit {args.add(most, 'int')}"
    )
    return await reader.fetch(beside.sql(rows, args), *args.values, kept=True)
