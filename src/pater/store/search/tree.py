"""`_filter` as SQL: a tree of conditions, each as it would stand alone."""

from __future__ import annotations

from pater.fhir.search.query import And, Condition, Node, Not, Or, SearchRequest, leaves
from pater.store.search.errors import not_supported
from pater.store.search.recheck import is_cut
from pater.store.search.rows import Reader
from pater.store.search.sql import FALSE, Args
from pater.store.search.where import Scope, build_where


async def filter_sql(
    reader: Reader, scope: Scope, request: SearchRequest, args: Args, row: str
) -> str:
    """The filter of a request over the rows called `row`, never NULL where it is turned round.

    Raises SearchError for what the index cannot answer within its bounds.
    """
    assert request.filter is not None
    parts = request.filter.parts if isinstance(request.filter, And) else (request.filter,)
    for part in parts:
        inner = list(leaves(part))
        if any(map(is_cut, inner)) and any(each.kind in ("chain", "has") for each in inner):
            # of the hits the body tells one half, only other resources the other
            raise not_supported(
                "_filter that joins chains by `or` or `not` with what is compared with the body"
            )
    tree = _Tree(reader, scope, request.type, args, row)
    return await tree.sql(request.filter, positive=True)


class _Tree:
    def __init__(self, reader: Reader, scope: Scope, type_: str, args: Args, row: str) -> None:
        self._reader = reader
        self._scope = scope
        self._type = type_
        self._args = args
        self._row = row

    async def sql(self, node: Node, *, positive: bool) -> str:
        """At least what meets the node; at most, where it stands under an odd number of `not`."""
        match node:
            case And(parts):
                texts = [await self.sql(part, positive=positive) for part in parts]
                return "(" + " and ".join(texts) + ")"
            case Or(parts):
                texts = [await self.sql(part, positive=positive) for part in parts]
                return "(" + " or ".join(texts) + ")"
            case Not(part):
                return f"({await self.sql(part, positive=not positive)} is not true)"
            case _:
                return await self._condition(node, positive=positive)

    async def _condition(self, condition: Condition, *, positive: bool) -> str:
        if not positive and is_cut(condition):
            return FALSE  # the body decides
        where = await build_where(
            self._reader, self._scope, self._type, (condition,), self._args, self._row
        )
        if where.empty:
            return FALSE
        texts = [f"({each})" for each in where.clauses]
        if where.persons is not None:
            persons = self._args.add(sorted(where.persons), "bigint[]")
            texts.append(f"{self._row}.person = any({persons})")
        return "(" + " and ".join(texts) + ")" if texts else "true"
