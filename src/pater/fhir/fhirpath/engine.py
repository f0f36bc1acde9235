"""FHIRPath syntax trees to closures over typed items: the whole language.

`compile` beside it is the straight way for the paths of search parameters, over bare values.
"""

from __future__ import annotations

from collections.abc import Callable

from pater.fhir.definitions import type_kind
from pater.fhir.fhirpath import arithmetic, collections, conversion, strings
from pater.fhir.fhirpath.comparing import distinct, equal, equivalent, order, same_item
from pater.fhir.fhirpath.compile import names_type, reference_type
from pater.fhir.fhirpath.items import (
    S_BOOLEAN,
    S_DATE,
    S_DATE_TIME,
    S_TIME,
    Items,
    Scope,
    boolean,
    children_named,
    fields,
    integer_of,
    moment,
    number,
    quantity,
    single,
    string,
    truth,
)
from pater.fhir.fhirpath.iteration import iteration
from pater.fhir.fhirpath.outside import FUNCTIONS as OUTSIDE
from pater.fhir.fhirpath.outside import constant, items_of, resolve
from pater.fhir.fhirpath.parser import (
    Binary,
    Call,
    Empty,
    FhirPathError,
    Index,
    Literal,
    Measure,
    Member,
    Moment,
    Node,
    TypeTest,
    Unary,
    Variable,
    type_parts,
)
from pater.fhir.fhirpath.parts import Fn, Kinds, Part, Place
from pater.fhir.fhirpath.types import is_a

_BOOLEAN: Kinds = frozenset((S_BOOLEAN.name,))
_RESOURCE = Variable("%resource")
_ABSTRACT = frozenset(("Resource", "DomainResource", "Element", "BackboneElement"))
_SYSTEM = frozenset(
    ("Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity")
)
_PURE = {
    **arithmetic.FUNCTIONS, **strings.FUNCTIONS, **conversion.FUNCTIONS, **collections.FUNCTIONS,
}  # fmt: skip
_GROWING = frozenset(
    ("children", "combine", "descendants", "encode", "join", "replace", "replaceMatches", "split",
     "toChars", "union")
)  # fmt: skip


def compile_part(node: Node, place: Place) -> Part:
    """The closure of a syntax tree; raises FhirPathError for what cannot be or is not known."""
    match node:
        case Member():
            return _member(node, place)
        case Call():
            return _call(node, place)
        case Binary():
            return _binary(node, place)
        case TypeTest():
            return _type_test(node.operator, node.operand, (node.namespace, node.type), place)
        case Index():
            return _index(node, place)
        case Unary():
            inner = compile_part(node.operand, place)
            if node.operator == "+":
                return inner
            before, negate = inner.fn, arithmetic.negate
            return Part(lambda focus, scope: negate(before(focus, scope)), inner.kinds)
        case Variable():
            return _variable(node.name, place)
    return _constant(_literal(node))


def _constant(items: Items) -> Part:
    return Part(lambda focus, scope: items, frozenset(item[0].name for item in items))


def _literal(node: Node) -> Items:
    if isinstance(node, Measure):
        return quantity(node.value, node.unit)
    if isinstance(node, Moment):
        text = node.text
        if text.startswith("T"):
            return moment(text[1:], S_TIME)
        return moment(text.removesuffix("T"), S_DATE_TIME if "T" in text else S_DATE)
    if isinstance(node, Literal):
        value = node.value
        if isinstance(value, bool):
            return boolean(value)
        return string(value) if isinstance(value, str) else number(value)
    if isinstance(node, Empty):
        return []
    raise FhirPathError("not an expression")


def _focus(focus: Items, scope: Scope) -> Items:
    return focus


def _variable(name: str, place: Place) -> Part:
    address = constant(name)
    if address is not None:
        return _constant(string(address))
    if name == "$this":
        return Part(_focus, place.focus)
    if name == "$index":
        return Part(lambda focus, scope: number(scope.index), None)
    if name == "$total":
        return Part(lambda focus, scope: scope.total, None)
    if name == "%resource":
        return Part(lambda focus, scope: items_of(scope.environment.resource), place.resource)
    if name == "%rootResource":
        return Part(lambda focus, scope: items_of(scope.environment.root), None)
    if name == "%context":
        return Part(lambda focus, scope: scope.environment.context, None)
    bare = name[1:]
    if name.startswith("%") and bare in place.variables:
        return Part(lambda focus, scope: items_of(scope.environment.variables.get(bare)), None)
    raise FhirPathError(f"the variable {name} is not known")


# --- paths ------------------------------------------------------------------------------------


def _target(node: Node | None, place: Place) -> Part:
    return Part(_focus, place.focus) if node is None else compile_part(node, place)


def _member(node: Member, place: Place) -> Part:
    name = node.name
    if node.target is None and (names_type(name) or name in _ABSTRACT):
        return _named_type(name, place.focus)
    target = _target(node.target, place)
    kinds = _kinds_of(target.kinds, name)
    before = target.fn
    if node.target is None:
        return Part(
            lambda focus, scope: [child for item in focus for child in children_named(item, name)],
            kinds,
        )
    return Part(
        lambda focus, scope: [
            child for item in before(focus, scope) for child in children_named(item, name)
        ],
        kinds,
    )


def _named_type(name: str, kinds: Kinds) -> Part:
    """A type at the start of a path: the focus, as far as it is of the type."""
    if kinds is not None and not any(is_a(kind, name) for kind in kinds):
        raise FhirPathError(f"{name} is not what the path starts from")
    return Part(
        lambda focus, scope: [item for item in focus if is_a(item[0].name, name)],
        None if kinds is None or name in _ABSTRACT else frozenset((name,)),
    )


def _kinds_of(kinds: Kinds, name: str) -> Kinds:
    """What the children of that name can be; an error when none of the types has any."""
    if not kinds:
        return kinds
    if "System.TypeInfo" in kinds:
        return None
    found = [fields(kind).get(name) for kind in kinds]
    if not any(found):
        raise FhirPathError(f"{' or '.join(sorted(kinds)[:5])} has no element {name}")
    inner = frozenset(field.type.name for each in found if each for field in each)
    return None if "Resource" in inner else inner


def _index(node: Index, place: Place) -> Part:
    target, at = compile_part(node.target, place), compile_part(node.index, place)
    before, wanted = target.fn, at.fn

    def run(focus: Items, scope: Scope) -> Items:
        place = integer_of(wanted(focus, scope), "an index")
        items = before(focus, scope)
        return [] if place is None or place < 0 else items[place : place + 1]

    return Part(run, target.kinds)


# --- types ------------------------------------------------------------------------------------


def _type_check(namespace: str, name: str) -> Callable[[str], bool]:
    system = f"System.{name}"
    if namespace == "System":
        return lambda kind: kind == system
    if namespace in ("", "FHIR") and (type_kind(name) is not None or name in _ABSTRACT):
        also = system if not namespace and name in _SYSTEM else name
        return lambda kind: kind == also or is_a(kind, name)
    if not namespace and name in _SYSTEM:
        return lambda kind: kind == system
    raise FhirPathError(f"{name} is no type of R4")


def _type_test(operator: str, operand: Node | None, wanted: tuple[str, str], place: Place) -> Part:
    fits = _type_check(*wanted)
    if operator == "is" and isinstance(operand, Call) and operand.name == "resolve":
        return _resolves_to(operand.target, fits, place)
    target = _target(operand, place)
    before = target.fn
    if operator == "is":

        def test(focus: Items, scope: Scope) -> Items:
            item = single(before(focus, scope), "is")
            return [] if item is None else boolean(fits(item[0].name))

        return Part(test, _BOOLEAN)
    kinds = target.kinds
    return Part(
        lambda focus, scope: [item for item in before(focus, scope) if fits(item[0].name)],
        None if kinds is None else frozenset(kind for kind in kinds if fits(kind)),
    )


def _resolves_to(node: Node | None, fits: Callable[[str], bool], place: Place) -> Part:
    """`resolve() is T`: what cannot be resolved may still tell by its text or type."""
    before = _target(node, place).fn

    def test(focus: Items, scope: Scope) -> Items:
        for item in before(focus, scope):
            found = resolve([item], scope.environment)
            told = found[0][0].name if found else reference_type(item[1], scope.environment.root)
            if told is not None:
                return boolean(fits(told))
        return []

    return Part(test, _BOOLEAN)


# --- operators ----------------------------------------------------------------------------------


def _binary(node: Binary, place: Place) -> Part:
    one, two = compile_part(node.left, place), compile_part(node.right, place)
    left, right, operator = one.fn, two.fn, node.operator
    logic = _logic(operator, left, right)
    if logic is not None:
        return Part(logic, _BOOLEAN)
    if operator == "|":
        kinds = None if one.kinds is None or two.kinds is None else one.kinds | two.kinds
        return Part(lambda focus, scope: distinct(left(focus, scope) + right(focus, scope)), kinds)
    work = arithmetic.OPERATORS.get(operator)
    if work is not None:
        if operator in ("&", "+"):
            return Part(_spending(work, left, (right,)), None)
        return Part(lambda focus, scope: work(left(focus, scope), right(focus, scope)), None)
    compare = _comparison(operator)
    return Part(
        lambda focus, scope: boolean(compare(left(focus, scope), right(focus, scope))), _BOOLEAN
    )


def _logic(operator: str, left: Fn, right: Fn) -> Fn | None:
    """The boolean operators with three values; the right side is only asked when it matters."""

    def both(focus: Items, scope: Scope) -> Items:
        one = truth(left(focus, scope))
        if one is False:
            return boolean(False)
        two = truth(right(focus, scope))
        return boolean(False if two is False else True if one and two else None)

    def either(focus: Items, scope: Scope) -> Items:
        one = truth(left(focus, scope))
        if one:
            return boolean(True)
        two = truth(right(focus, scope))
        return boolean(True if two else False if one is False and two is False else None)

    def one_of(focus: Items, scope: Scope) -> Items:
        one, two = truth(left(focus, scope)), truth(right(focus, scope))
        return boolean(None if one is None or two is None else one is not two)

    def implies(focus: Items, scope: Scope) -> Items:
        one = truth(left(focus, scope))
        if one is False:
            return boolean(True)
        two = truth(right(focus, scope))
        return boolean(True if two else False if one and two is False else None)

    return {"and": both, "or": either, "xor": one_of, "implies": implies}.get(operator)


def _comparison(operator: str) -> Callable[[Items, Items], bool | None]:
    match operator:
        case "=":
            return equal
        case "!=":
            return lambda left, right: _opposite(equal(left, right))
        case "~":
            return equivalent
        case "!~":
            return lambda left, right: not equivalent(left, right)
        case "in":
            return _within
        case "contains":
            return lambda left, right: _within(right, left)
    accepted = {"<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (0, 1)}[operator]

    def ordered(left: Items, right: Items) -> bool | None:
        found = order(left, right)
        return None if found is None else found in accepted

    return ordered


def _opposite(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _within(left: Items, right: Items) -> bool | None:
    item = single(left, "in")
    return None if item is None else any(same_item(item, each) is True for each in right)


# --- functions ----------------------------------------------------------------------------------


def _call(node: Call, place: Place) -> Part:
    name, count = node.name, len(node.arguments)
    if name in ("is", "as", "ofType") and count == 1:
        operator = "is" if name == "is" else "as"
        return _type_test(operator, node.target, type_parts(node.arguments[0]), place)
    if name == "descendants" and node.target == _RESOURCE and not count:
        return Part(_all_inside, None)
    target = _target(node.target, place)
    iterating = iteration(name, target, node.arguments, place, compile_part)
    if iterating is not None:
        return iterating
    arguments = tuple(compile_part(each, place).fn for each in node.arguments)
    if name == "extension" and count == 1:
        return _extension(target, arguments[0])
    known = _PURE.get(name) or OUTSIDE.get(name)
    if known is None or not known[0] <= count <= known[1]:
        raise FhirPathError(f"there is no function {name}() with {count} arguments")
    kinds = target.kinds if name in collections.KEEPING else None
    if name in collections.TESTS:
        kinds = _BOOLEAN
    elif name in ("union", "combine"):
        other = compile_part(node.arguments[0], place).kinds
        kinds = None if other is None or target.kinds is None else target.kinds | other
    return Part(_application(name, known[2], target.fn, arguments), kinds)


def _all_inside(focus: Items, scope: Scope) -> Items:
    """`%resource.descendants()`, which dom-3 asks for several times for each contained one."""
    environment = scope.environment
    if environment.descendants is None:
        environment.descendants = collections.descendants(items_of(environment.resource))
    return environment.descendants


def _application(
    name: str, work: Callable[..., Items], before: Fn, arguments: tuple[Fn, ...]
) -> Fn:
    if name in OUTSIDE:
        return lambda focus, scope: work(
            before(focus, scope), scope.environment, *(each(focus, scope) for each in arguments)
        )
    if name in _GROWING:
        return _spending(work, before, arguments)
    if not arguments:
        return lambda focus, scope: work(before(focus, scope))
    return lambda focus, scope: work(
        before(focus, scope), *(each(focus, scope) for each in arguments)
    )


def _spending(work: Callable[..., Items], before: Fn, arguments: tuple[Fn, ...]) -> Fn:
    """What can give more than it was given: its result counts."""

    def run(focus: Items, scope: Scope) -> Items:
        found = work(before(focus, scope), *(each(focus, scope) for each in arguments))
        text = found[0][1] if len(found) == 1 else None
        scope.environment.spend(len(text) // 8 if isinstance(text, str) else len(found))
        return found

    return run


def _extension(target: Part, wanted: Fn) -> Part:
    before = target.fn

    def run(focus: Items, scope: Scope) -> Items:
        url = single(wanted(focus, scope), "extension()")
        return [
            child
            for item in before(focus, scope)
            for child in children_named(item, "extension")
            if url is not None and isinstance(child[1], dict) and child[1].get("url") == url[1]
        ]

    return Part(run, frozenset(("Extension",)))
