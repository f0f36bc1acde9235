"""The items FHIRPath works on: a value with its type and, beside a primitive, what extends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from pater.fhir.definitions import type_kind
from pater.fhir.fhirpath.parser import FhirPathError
from pater.fhir.fhirpath.types import TypeRef, children, is_a, resource_type

Item = tuple[TypeRef, Any, Any]
"""Type, plain JSON value (None: a primitive that has only extensions), the `_name` beside it."""

Items = list[Item]


class EvaluationError(FhirPathError):
    """An expression that cannot be carried out on these values (FHIRPath N1: "an error")."""


class Quantity(NamedTuple):
    """A System.Quantity; `unit` is a UCUM code or the word of a calendar duration."""

    value: Decimal
    unit: str


S_STRING = TypeRef("System.String")
S_BOOLEAN = TypeRef("System.Boolean")
S_INTEGER = TypeRef("System.Integer")
S_DECIMAL = TypeRef("System.Decimal")
S_DATE = TypeRef("System.Date")
S_DATE_TIME = TypeRef("System.DateTime")
S_TIME = TypeRef("System.Time")
S_QUANTITY = TypeRef("System.Quantity")
S_TYPE = TypeRef("System.TypeInfo")

_CATEGORY = {
    "boolean": "boolean", "System.Boolean": "boolean",
    "integer": "number", "positiveInt": "number", "unsignedInt": "number", "decimal": "number",
    "System.Integer": "number", "System.Decimal": "number",
    "date": "moment", "dateTime": "moment", "instant": "moment", "time": "moment",
    "System.Date": "moment", "System.DateTime": "moment", "System.Time": "moment",
    "Quantity": "quantity", "System.Quantity": "quantity", "System.String": "string",
}  # fmt: skip


@cache
def category(name: str) -> str:
    """boolean, number, moment, quantity, string, or complex: how values of a type compare."""
    found = _CATEGORY.get(name)
    if found is not None:
        return found
    if type_kind(name) == "primitive":
        return "string"
    return "quantity" if is_a(name, "Quantity") else "complex"


def string(value: str) -> Items:
    """One System.String."""
    return [(S_STRING, value, None)]


def boolean(value: bool | None) -> Items:
    """One System.Boolean; None gives no item."""
    return [] if value is None else [(S_BOOLEAN, value, None)]


def number(value: int | Decimal) -> Items:
    """One System.Integer or System.Decimal."""
    return [(S_INTEGER if isinstance(value, int) else S_DECIMAL, value, None)]


def quantity(value: Decimal, unit: str) -> Items:
    """One System.Quantity."""
    return [(S_QUANTITY, Quantity(value, unit), None)]


def moment(text: str, kind: TypeRef) -> Items:
    """One System.Date, DateTime or Time."""
    return [(kind, text, None)]


def single(items: Items, what: str) -> Item | None:
    """The only item, None when there is none; more than one is an error."""
    if not items:
        return None
    if len(items) > 1:
        raise EvaluationError(f"{what} wants one value, not {len(items)}")
    return items[0]


def text_of(items: Items, what: str) -> str | None:
    """The only item as text; None when there is none; another type is an error."""
    item = single(items, what)
    if item is None or item[1] is None:
        return None
    if not isinstance(item[1], str):
        raise EvaluationError(f"{what} wants a string")
    return item[1]


def exact(value: Any) -> Any:
    """A float as the decimal its shortest text says; everything else as it is."""
    return Decimal(repr(value)) if isinstance(value, float) else value


def number_of(items: Items, what: str) -> int | Decimal | None:
    """The only item as an exact number; None when there is none; another type is an error."""
    item = single(items, what)
    if item is None or item[1] is None:
        return None
    value = exact(item[1])
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise EvaluationError(f"{what} wants a number")
    return value


def integer_of(items: Items, what: str) -> int | None:
    """The only item as a whole number; None when there is none; another type is an error."""
    value = number_of(items, what)
    if value is not None and not isinstance(value, int):
        raise EvaluationError(f"{what} wants a whole number")
    return value


def truth(items: Items) -> bool | None:
    """A collection as a condition: None when empty; one item that is no boolean counts as true."""
    if not items:
        return None
    if len(items) > 1:
        raise EvaluationError(f"a condition wants one value, not {len(items)}")
    value = items[0][1]
    return value if isinstance(value, bool) else True


# --- the tree ---------------------------------------------------------------------------------


class Field(NamedTuple):
    """One JSON key: the name of what extends it, the type it holds, whether that is a resource."""

    key: str
    hidden: str
    type: TypeRef
    resource: bool


@cache
def fields(type_name: str) -> Mapping[str, tuple[Field, ...]]:
    """Element name → its JSON keys (a choice element has several), of a type or backbone."""
    return {
        name: tuple(
            Field(key, f"_{key}", kind, kind.name in ("Resource", "DomainResource"))
            for key, kind in edges
        )
        for name, edges in children(type_name).items()
    }


@cache
def fields_by_key(type_name: str) -> Mapping[str, Field]:
    """JSON key → its field; the key of what extends a primitive included."""
    out: dict[str, Field] = {}
    for found in fields(type_name).values():
        for field in found:
            out[field.key] = field
            out[field.hidden] = field
    return out


def values_at(holder: dict[str, Any], field: Field) -> Iterator[Item]:
    """The items under one key of an object, each with what extends it."""
    value = holder.get(field.key)
    extra = holder.get(field.hidden)
    kind = field.type
    if extra is None:
        if value is None:
            return
        for each in value if type(value) is list else (value,):
            if each is not None:
                yield (resource_type(each) if field.resource else kind, each, None)
        return
    if isinstance(value, list) or isinstance(extra, list):
        values = value if isinstance(value, list) else []
        extras = extra if isinstance(extra, list) else []
        for place in range(max(len(values), len(extras))):
            one = values[place] if place < len(values) else None
            beside = extras[place] if place < len(extras) else None
            if one is not None or beside is not None:
                yield kind, one, beside
    else:
        yield kind, value, extra


_EXTENSION = Field("extension", "_extension", TypeRef("Extension"), False)
_ID = Field("id", "_id", TypeRef("string"), False)
_TYPE_FIELDS = frozenset(("namespace", "name", "baseType"))


def children_named(item: Item, name: str) -> Iterator[Item]:
    """The children of an item with that element name (without the type of a choice)."""
    kind, value, extra = item
    if type(value) is dict:
        if kind is S_TYPE:
            if name in _TYPE_FIELDS:
                yield S_STRING, value[name], None
            return
        for field in fields(kind.name).get(name, ()):
            if field.key in value or field.hidden in value:
                yield from values_at(value, field)
    elif type(extra) is dict:
        if name == "extension":
            yield from values_at(extra, _EXTENSION)
        elif name == "id":
            yield from values_at(extra, _ID)


def children_of(item: Item) -> Iterator[Item]:
    """All children of an item, in the order of the JSON."""
    kind, value, extra = item
    if type(value) is dict:
        known = fields_by_key(kind.name)
        for key in value:
            field = known.get(key)
            if field is not None and (key == field.key or field.key not in value):
                yield from values_at(value, field)
    elif type(extra) is dict:
        yield from values_at(extra, _ID)
        yield from values_at(extra, _EXTENSION)


MOST_STEPS = 10_000_000
"""Items that one evaluation may look at: nested loops multiply, and a client may write them."""
LONGEST_TEXT = 8_000_000
"""Characters of one text that an expression puts together."""


def longest(length: int) -> None:
    """Refuses (EvaluationError) to put together a text of more than LONGEST_TEXT characters."""
    if length > LONGEST_TEXT:
        raise EvaluationError("the text grows too long")


class Environment:
    """What an evaluation may ask of the outside; one for each evaluation.

    `resource` is `%resource`, `root` `%rootResource`, `context` the item of `%context`.
    `resolver` answers the resource a reference text points to, `clock` the time for now(),
    `member_of` whether a code, Coding or CodeableConcept is in a value set, `conforms_to`
    whether a value satisfies a profile (both None: not known); `trace` is shown what trace()
    names. `descendants` keeps those of `%resource` once they are asked for.
    """

    __slots__ = (
        "_now", "clock", "conforms_to", "context", "descendants", "member_of", "resolver",
        "resource", "root", "steps", "trace", "variables",
    )  # fmt: skip

    def __init__(
        self,
        resource: Any,
        *,
        root: Any = None,
        variables: Mapping[str, Any] | None = None,
        resolver: Callable[[str], dict[str, Any] | None] | None = None,
        clock: Callable[[], Any] | None = None,
        member_of: Callable[[Any, str], bool | None] | None = None,
        conforms_to: Callable[[Any, str], bool | None] | None = None,
        trace: Callable[[str, list[Any]], None] | None = None,
    ) -> None:
        self.resource = resource
        self.root = resource if root is None else root
        self.context: Items = []
        self.variables: Mapping[str, Any] = variables or {}
        self.resolver = resolver
        self.clock = clock
        self.member_of = member_of
        self.conforms_to = conforms_to
        self.trace = trace
        self.descendants: Items | None = None
        self.steps = 0
        self._now: str | None = None

    def spend(self, steps: int) -> None:
        """Counts the items that were looked at. Raises EvaluationError when they are too many."""
        self.steps += steps
        if self.steps > MOST_STEPS:
            raise EvaluationError("this takes too much work")

    def now(self) -> str:
        """The time of this evaluation, always the same one (dateTime with offset)."""
        if self._now is None:
            if self.clock is None:
                raise EvaluationError("now() and today() want a clock")
            self._now = self.clock().isoformat(timespec="milliseconds")
        return str(self._now)


class Scope:
    """What stands behind $index and $total, and the environment; never changed."""

    __slots__ = ("environment", "index", "total")

    def __init__(self, environment: Environment, index: int, total: Items) -> None:
        self.environment = environment
        self.index = index
        self.total = total
