"""FHIRPath functions whose arguments are expressions, evaluated for each item or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cmp_to_key
from itertools import repeat
from types import MappingProxyType

from pater.fhir.fhirpath.comparing import Seen, order_items
from pater.fhir.fhirpath.items import (
    EvaluationError,
    Item,
    Items,
    Scope,
    boolean,
    single,
    text_of,
    truth,
)
from pater.fhir.fhirpath.parser import (
    Binary,
    Call,
    FhirPathError,
    Index,
    Member,
    Node,
    TypeTest,
    Unary,
    Variable,
)
from pater.fhir.fhirpath.parts import Fn, Kinds, Part, Place

Compile = Callable[[Node, Place], Part]
_BOOLEAN: Kinds = frozenset(("System.Boolean",))
_MOST = 100_000
_MOST_SELECTED = 1_000_000


def iteration(
    name: str, target: Part, arguments: tuple[Node, ...], place: Place, compile_part: Compile
) -> Part | None:
    """The function of that name on a compiled target; None when it is not one of these."""
    count = len(arguments)
    maker = _MAKERS.get(name)
    if maker is None or (name == "exists" and count == 0):
        return None
    least, most, make = maker
    if not least <= count <= most:
        raise FhirPathError(f"there is no function {name}() with {count} arguments")
    return make(_counted(target), arguments, place, compile_part)


def _counted(target: Part) -> Part:
    before = target.fn

    def run(focus: Items, scope: Scope) -> Items:
        items = before(focus, scope)
        scope.environment.spend(len(items))
        return items

    return Part(run, target.kinds)


def _uses_index(node: Node | None) -> bool:
    match node:
        case Variable():
            return node.name == "$index"
        case Member() | Index():
            inner = node.index if isinstance(node, Index) else None
            return _uses_index(node.target) or _uses_index(inner)
        case Call():
            return any(map(_uses_index, (node.target, *node.arguments)))
        case Binary():
            return _uses_index(node.left) or _uses_index(node.right)
        case Unary() | TypeTest():
            return _uses_index(node.operand)
    return False


def _scopes(argument: Node) -> Callable[[Items, Scope], Iterable[Scope]]:
    """The scope of each item: the same one as long as the argument does not ask for its index."""
    if not _uses_index(argument):
        return lambda items, scope: repeat(scope, len(items))
    return lambda items, scope: [
        Scope(scope.environment, place, scope.total) for place in range(len(items))
    ]


def _where(target: Part, arguments: tuple[Node, ...], place: Place, compile_part: Compile) -> Part:
    before = target.fn
    test = compile_part(arguments[0], place._replace(focus=target.kinds)).fn
    if not _uses_index(arguments[0]):
        return Part(
            lambda focus, scope: [
                item for item in before(focus, scope) if truth(test([item], scope)) is True
            ],
            target.kinds,
        )
    scopes = _scopes(arguments[0])

    def run(focus: Items, scope: Scope) -> Items:
        items = before(focus, scope)
        return [
            item
            for item, own in zip(items, scopes(items, scope), strict=True)
            if truth(test([item], own)) is True
        ]

    return Part(run, target.kinds)


def _exists(target: Part, arguments: tuple[Node, ...], place: Place, compile_part: Compile) -> Part:
    found = _where(target, arguments, place, compile_part).fn
    return Part(lambda focus, scope: boolean(bool(found(focus, scope))), _BOOLEAN)


def _all(target: Part, arguments: tuple[Node, ...], place: Place, compile_part: Compile) -> Part:
    before = target.fn
    found = _where(
        Part(lambda focus, scope: focus, target.kinds), arguments, place, compile_part
    ).fn

    def run(focus: Items, scope: Scope) -> Items:
        items = before(focus, scope)
        return boolean(len(found(items, scope)) == len(items))

    return Part(run, _BOOLEAN)


def _select(target: Part, arguments: tuple[Node, ...], place: Place, compile_part: Compile) -> Part:
    before = target.fn
    part = compile_part(arguments[0], place._replace(focus=target.kinds))
    project, scopes = part.fn, _scopes(arguments[0])

    def run(focus: Items, scope: Scope) -> Items:
        items = before(focus, scope)
        out: Items = []
        for item, own in zip(items, scopes(items, scope), strict=True):
            out += project([item], own)
            if len(out) > _MOST_SELECTED:
                raise EvaluationError("select() gives too many items")
        return out

    return Part(run, part.kinds)


def _repeat(target: Part, arguments: tuple[Node, ...], place: Place, compile_part: Compile) -> Part:
    before = target.fn
    project = compile_part(arguments[0], place._replace(focus=None)).fn

    def run(focus: Items, scope: Scope) -> Items:
        out: Items = []
        seen = Seen()
        todo = before(focus, scope)
        while todo:
            fresh: Items = []
            scope.environment.spend(len(todo))
            for item in todo:
                for found in project([item], scope):
                    if found not in seen:
                        seen.add(found)
                        fresh.append(found)
            out += fresh
            if len(out) > _MOST:
                raise EvaluationError("repeat() finds no end")
            todo = fresh
        return out

    return Part(run, None)


def _aggregate(
    target: Part, arguments: tuple[Node, ...], place: Place, compile_part: Compile
) -> Part:
    before = target.fn
    step = compile_part(arguments[0], place._replace(focus=target.kinds)).fn
    first = compile_part(arguments[1], place).fn if len(arguments) == 2 else None

    def run(focus: Items, scope: Scope) -> Items:
        total = [] if first is None else first(focus, scope)
        for index, item in enumerate(before(focus, scope)):
            total = step([item], Scope(scope.environment, index, total))
        return total

    return Part(run, None)


def _iif(target: Part, arguments: tuple[Node, ...], place: Place, compile_part: Compile) -> Part:
    before = target.fn
    inner = place._replace(focus=target.kinds)
    parts = [compile_part(each, inner) for each in arguments]
    test, then = parts[0].fn, parts[1].fn
    other = parts[2].fn if len(parts) == 3 else None
    kinds: Kinds = frozenset()
    for part in parts[1:]:
        kinds = None if kinds is None or part.kinds is None else kinds | part.kinds

    def run(focus: Items, scope: Scope) -> Items:
        items = before(focus, scope)
        single(items, "iif()")
        answer = single(test(items, scope), "the condition of iif()")
        if answer is not None and not isinstance(answer[1], bool):
            raise EvaluationError("the condition of iif() is no boolean")
        if answer is not None and answer[1]:
            return then(items, scope)
        return [] if other is None else other(items, scope)

    return Part(run, kinds)


def _trace(target: Part, arguments: tuple[Node, ...], place: Place, compile_part: Compile) -> Part:
    before, name = target.fn, compile_part(arguments[0], place).fn
    shown = None
    if len(arguments) == 2:
        shown = compile_part(arguments[1], place._replace(focus=target.kinds)).fn

    def run(focus: Items, scope: Scope) -> Items:
        items = before(focus, scope)
        trace = scope.environment.trace
        if trace is not None:
            said = items if shown is None else [e for i in items for e in shown([i], scope)]
            trace(text_of(name(focus, scope), "trace()") or "", [each[1] for each in said])
        return items

    return Part(run, target.kinds)


def _sort(target: Part, arguments: tuple[Node, ...], place: Place, compile_part: Compile) -> Part:
    before = target.fn
    inner = place._replace(focus=target.kinds)
    keys: list[tuple[Fn, int]] = []
    for each in arguments:
        down = isinstance(each, Unary) and each.operator == "-"
        node = each.operand if isinstance(each, Unary) else each
        keys.append((compile_part(node, inner).fn, -1 if down else 1))
    if not keys:
        keys.append((lambda focus, scope: focus, 1))

    def run(focus: Items, scope: Scope) -> Items:
        rows = [
            (item, [single(key([item], scope), "sort()") for key, _ in keys])
            for item in before(focus, scope)
        ]

        def compare(
            left: tuple[Item, list[Item | None]], right: tuple[Item, list[Item | None]]
        ) -> int:
            for one, two, (_, sign) in zip(left[1], right[1], keys, strict=True):
                if one is None or two is None:
                    found = (one is not None) - (two is not None)
                else:
                    found = order_items(one, two) or 0
                if found:
                    return found * sign
            return 0

        return [item for item, _ in sorted(rows, key=cmp_to_key(compare))]

    return Part(run, target.kinds)


_Maker = Callable[[Part, tuple[Node, ...], Place, Compile], Part]
_MAKERS: Mapping[str, tuple[int, int, _Maker]] = MappingProxyType(
    {
        "where": (1, 1, _where),
        "exists": (1, 1, _exists),
        "all": (1, 1, _all),
        "select": (1, 1, _select),
        "repeat": (1, 1, _repeat),
        "aggregate": (1, 2, _aggregate),
        "iif": (2, 3, _iif),
        "trace": (1, 2, _trace),
        "sort": (0, 9, _sort),
    }
)
