"""Searches for a code over everybody, in order of time: answered from `code_index`.

Only what this index answers well comes here: one code with its system, alone or with quantities
or a chain to the Patient that owns the record; and Patients that have a resource with such a code.
Everything else, and whatever is doubtful, is left to the general search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pater.fhir.definitions import TYPE_NUMBER, search_parameters
from pater.fhir.search.query import Condition, SearchRequest, TokenTerm
from pater.store.codes import CLASSES, ordered_by
from pater.store.database import Database, Record
from pater.store.read import Stored
from pater.store.search.cursor import Position
from pater.store.search.moved import SEEN, Seen, unseen_sql
from pater.store.search.order import Order, orders
from pater.store.search.recheck import Recheck, is_cut
from pater.store.search.rows import Reader
from pater.store.search.sql import Args, condition_sql, led_by_low, side_rows
from pater.store.search.where import CHAIN_LIMIT, ROW, Scope, owner_params
from pater.store.tokens import present_hash, system_code_hash

_SIDE = ("number", "quantity")
_PATIENT = "Patient"

_SOON = 500
"""Rows of a code that are walked before the amounts beside it are looked at by themselves."""
_FEW = 8000
"""Rows with an amount that are all looked at; with more a walk by code meets a page soon."""

Found = tuple[list[Stored], list[Stored], int | None, Position | None]


@dataclass(frozen=True, slots=True)
class _Plan:
    """`row` gives the order; `type` is the one whose codes have to be all in the index."""

    row: str
    type: str
    code: TokenTerm
    others: tuple[Condition, ...]
    has: Condition | None = None


async def classed_search(
    db: Database,
    request: SearchRequest,
    scope: Scope,
    count: int,
    after: Position | None,
    now: datetime | None,
) -> Found | None:
    """Matches, nothing included, total, end; None when the general search has to be asked.

    It has to be when a match was changed since the first page and the order is one that moves.
    """
    plan = _plan(request, scope) if count else None
    if plan is None:
        return None
    reader = Reader(db)
    recheck = Recheck(
        request.conditions, request.type, began=None if after is None else after.began
    )
    hits: list[Stored] = []
    ends: list[tuple[Record, Order, int, str]] = []  # where each hit stands
    begun = None if after is None else Seen.of(after.began, after.seen)
    mark = "" if after is None else after.seen
    marked = after is None and now is not None and bool(request.sort)
    total: int | None = None
    phase = 0 if after is None else after.phase
    while len(hits) <= count:
        args = Args()
        # The order is the general search's, which may have made the page before this one.
        order = orders(request.type, request.sort, args, plan.row, phase, bound=False)
        if order is None:
            break
        sql = _sql(plan, request, order, args, after, count + 1 - len(hits), begun, marked)
        rows = await reader.fetch(sql, *args.values, kept=True)
        if (rows and rows[0]["doubtful"]) or (not rows and (not hits or begun is not None)):
            return None
        if marked and rows and not mark:
            mark = rows[0]["seen"]
        if rows and request.total == "accurate":
            total = rows[0]["total"]
        for row, each in zip(rows, await reader.stored(rows), strict=True):
            if not recheck.holds(each) or (begun is not None and each.updated > begun.at):
                return None
            hits.append(each)
            ends.append((row, order, phase, mark))
        after, phase = None, phase + 1
    return hits[:count], [], total, _place(*ends[count - 1]) if len(hits) > count else None


def _place(row: Record, order: Order, phase: int, mark: str) -> Position:
    values = tuple(row[f"s{n}"] for n in range(len(order.keys)))
    return Position(phase, values, row["rid"], seen=mark)


def _plan(request: SearchRequest, scope: Scope) -> _Plan | None:
    if scope.persons is not None or scope.narrow is not None or scope.veils:
        return None
    if request.filter is not None:
        return None
    if request.includes or request.total not in ("none", "accurate") or len(request.sort) > 1:
        return None
    type_ = request.type
    if type_ in scope.exclude_types or any(map(is_cut, request.conditions)):
        return None
    if not ordered_by(type_, request.sort):
        return None
    if type_ == _PATIENT:
        return _plan_of_patients(request, scope)
    codes = [c for c in request.conditions if _code(type_, c) is not None]
    if not codes:
        return None
    code = _code(type_, codes[0])
    assert code is not None
    others = tuple(c for c in request.conditions if c is not codes[0])
    if all(_side(c) or _of_owner(type_, c, scope) for c in others):
        return _Plan("c", type_, code, others)
    return None


def _plan_of_patients(request: SearchRequest, scope: Scope) -> _Plan | None:
    if len(request.conditions) != 1 or request.total != "none":
        return None
    [has] = request.conditions
    if has.kind != "has" or len(has.chain) != 1:
        return None
    [far] = has.chain
    code = _code(far.type, far.condition)
    if code is None or far.type in scope.exclude_types:
        return None
    if has.param not in owner_params(far.type):
        return None
    return _Plan("r", far.type, code, (), has)


def _code(type_: str, condition: Condition) -> TokenTerm | None:
    """The code of a condition that means just one, with its system."""
    if condition.kind != "token" or condition.modifier is not None:
        return None
    if condition.param != CLASSES.get(type_) or len(condition.values) != 1:
        return None
    [term] = condition.values
    return term if isinstance(term, TokenTerm) and term.system and term.code else None


def _side(condition: Condition) -> bool:
    return condition.kind in _SIDE and condition.modifier is None


def _of_owner(type_: str, condition: Condition, scope: Scope) -> bool:
    """A chain to the owner by something that many Patients may have."""
    if condition.kind != "chain" or len(condition.chain) != 1:
        return False
    [far] = condition.chain
    if far.type != _PATIENT or _PATIENT in scope.exclude_types:
        return False
    simple = far.condition.kind == "date" and far.condition.modifier is None
    return simple and condition.param in owner_params(type_)


def _sql(
    plan: _Plan,
    request: SearchRequest,
    order: Order,
    args: Args,
    after: Position | None,
    limit: int,
    begun: Seen | None,
    marked: bool,
) -> str:
    code = system_code_hash(
        plan.type, CLASSES[plan.type], plan.code.system or "", plan.code.code or ""
    )
    token = args.add(code, "bigint")
    number = args.add(TYPE_NUMBER[plan.type], "smallint")
    uncoded = (
        f"exists (select from resource u where u.type = {number} and not u.coded and not u.deleted)"
    )
    if begun is not None:
        row = args.add(TYPE_NUMBER[request.type], "smallint")
        # By what was changed since, never by the code: all that have it may be half the table.
        coded = f" and coalesce(m.tokens @> array[{token}], false)" if plan.has is None else ""
        uncoded += (
            f" or exists (select from resource m where m.type = {row} and not m.deleted"
            f" and {unseen_sql(begun, args, 'm')}{coded})"
        )
    page = [order.only] if order.only else []
    if after is not None:
        page.append(order.after(after, args, plan.row))
    ending = f" order by {order.by(plan.row)} limit {args.add(limit, 'int')}"
    columns = f"{ROW}, r.rid{order.columns()}{f', {SEEN}' if marked else ''}"
    if plan.has is not None:
        # Their persons first, as long as they are few: the newest Patients may be others' all.
        there = _names_patient(plan.type, plan.has.param, args, "f")
        # A sub-select of each row: joined, the whole table might be read for it.
        far = (
            f"select distinct c.person from code_index c where c.token = {token}"  # noqa: S608
            f" and c.person <> 0 and (select {there} from resource f where f.rid = c.rid)"
            f" limit {CHAIN_LIMIT + 1}"
        )
        tests = [
            f"r.type = {args.add(TYPE_NUMBER[_PATIENT], 'smallint')} and not r.deleted",
            "r.person = any(array(select person from far))",
            *page,
        ]
        many = f"(select count(*) from far) > {CHAIN_LIMIT}"  # noqa: S608 constants only
        return (
            f"with far as materialized ({far}) select {columns}, {uncoded} or {many} as doubtful"  # noqa: S608
            f" from resource r where {' and '.join(tests)}{ending}"
        )
    tests = [f"c.token = {token}", *_other_tests(plan, request.type, args)]
    columns += f", {uncoded} as doubtful"
    if any(c.kind == "chain" for c in plan.others):
        joined = "code_index c join resource r on r.rid = c.rid"
        if request.total == "accurate":
            columns += f", (select count(*) from {joined} where {' and '.join(tests)}) as total"  # noqa: S608
        return f"select {columns} from {joined} where {' and '.join([*tests, *page])}{ending}"  # noqa: S608
    # Nothing of the resource decides: only those of the page are looked at.
    at = ordered_by(request.type, request.sort)
    ordering = "c.rid" if at == "rid" else f"c.rid, c.{at}"
    few = next(filter(led_by_low, plan.others), None)
    first = ""
    if request.total == "accurate" and plan.others:
        all_of_them = f"select {ordering} from code_index c where {' and '.join(tests)}"  # noqa: S608
        if few is not None:
            looked, fewer, more = _few(request.type, few, args)
            first = f"{looked}, "
            all_of_them = f"{all_of_them} and {fewer} union all {all_of_them} and {more}"
        first = f"with {first}found as materialized ({all_of_them}) "
        columns += ", (select count(*) from found) as total"
        some = f"select {ordering} from found c where {' and '.join(page) or 'true'}{ending}"  # noqa: S608
    else:
        if request.total == "accurate":
            columns += f", (select count(*) from code_index c where {tests[0]}) as total"  # noqa: S608
        some = f"select {ordering} from code_index c where {' and '.join([*tests, *page])}"  # noqa: S608
        if few is None:
            some += ending
        else:
            looked, fewer, more = _few(request.type, few, args)
            soon = " and ".join([tests[0], *page])
            most = args.add(limit, "int")
            first = (
                f"with soon as materialized (select {ordering} from (select {ordering}"  # noqa: S608
                f" from code_index c where {soon} order by {order.by(plan.row)} limit {_SOON}) c"
                f" where {' and '.join(tests[1:])}{ending}), {looked} "
            )
            short = f"(select count(*) from soon) < {most}"  # noqa: S608
            some = (
                f"select * from soon where not {short}"  # noqa: S608
                f" union all ({some} and {short} and {fewer}{ending})"
                f" union all ({some} and {short} and {more}{ending})"
            )
    by = order.by(plan.row)
    return (
        f"{first}select {columns} from ({some}) c"  # noqa: S608 constants and argument numbers
        f" join resource r on r.rid = c.rid order by {by}"
    )


def _few(type_: str, condition: Condition, args: Args) -> tuple[str, str, str]:
    """A table expression of the rows with an amount, as long as they are few; the condition of
    codes `c` to be among them then, and the one that they are too many.

    Of a common code with a rare amount either all rows of the code would be walked, or these.
    """
    rows = side_rows(type_, condition, args, _FEW + 1, once=False)
    number = "(select count(*) from few)"
    return (
        f"few as materialized ({rows})",
        f"{number} <= {_FEW} and c.rid = any(array(select rid from few))",  # noqa: S608
        f"{number} > {_FEW}",
    )


def _other_tests(plan: _Plan, type_: str, args: Args) -> Sequence[str]:
    tests = []
    for condition in plan.others:
        if condition.kind != "chain":
            tests.append(condition_sql(type_, condition, args, "c"))
            continue
        [chain] = condition.chain
        far = args.alias()
        inner = condition_sql(_PATIENT, chain.condition, args, far)
        tests.append(_names_patient(type_, condition.param, args, "r"))
        tests.append(
            f"exists (select from resource {far} where {far}.person = c.person"
            f" and {far}.person <> 0"
            f" and {far}.type = {args.add(TYPE_NUMBER[_PATIENT], 'smallint')}"
            f" and not {far}.deleted and {inner})"
        )
    return tests


def _names_patient(type_: str, param: str, args: Args, row: str) -> str:
    """The reference names a Patient; written so that the planner weighs no statistics for it."""
    told = "patient" if "patient" in search_parameters(type_) else param
    token = args.add(present_hash(type_, told), "bigint")
    return f"array_position({row}.tokens, {token}) is not null"
