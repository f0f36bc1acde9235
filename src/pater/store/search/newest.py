"""The newest resources of each code, in one statement: every row is looked at once, in the index.

`code_index` knows the codes of each row and their dates, so no body is read to find out of which
kind a resource is. What has no code there (a text alone, a code without its system) comes along
whole, as long as it is little.
"""

from __future__ import annotations

from pater.fhir.search.query import SearchRequest
from pater.store.database import Database
from pater.store.read import Stored
from pater.store.search.recheck import Recheck
from pater.store.search.rows import Reader
from pater.store.search.sql import Args
from pater.store.search.where import ROW, Scope, build_where
from pater.store.wall import wall


async def newest_of_each(
    db: Database, request: SearchRequest, scope: Scope, each: int, *, most: int
) -> list[Stored] | None:
    """At least the `each` newest resources of every code among the matches, newest first.

    None when there would be more than `most`, or when only bodies can tell what matches. The
    request has conditions of its own type alone. Raises SearchError as `search`.
    """
    recheck = Recheck(request.conditions, request.type, scope.narrow)
    if recheck.approximate or recheck.parts:
        return None
    with wall(scope.seen):
        reader = Reader(db)
        args = Args()
        where = await build_where(reader, scope, request.type, request.conditions, args, "r")
        if where.empty:
            return []
        rank = "row_number() over (partition by c.token order by f.date desc nulls last, f.rid)"
        sql = (
            "with found as materialized (select r.rid, r.date from resource r"  # noqa: S608 (as in `_Run`)
            f" where {where.text(request.type, args, 'r')}),"
            f" coded as materialized (select f.rid, {rank} as place"
            " from found f join code_index c on c.rid = f.rid),"
            f" wanted as (select rid from coded where place <= {args.add(each, 'int')}"
            " union (select rid from found except select rid from coded)"
            f" limit {args.add(most + 1, 'int')})"
            f" select {ROW} from wanted w join resource r on r.rid = w.rid"
            " order by r.date desc nulls last, r.rid"
        )
        rows = await reader.fetch(sql, *args.values)
        if len(rows) > most:
            return None
        return [one for one in await reader.stored(rows) if recheck.holds(one)]
