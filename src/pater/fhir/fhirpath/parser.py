"""FHIRPath text to a syntax tree: a lexer and a Pratt parser for the whole operator grammar."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

_MAX_LENGTH = 20_000
_MAX_DEPTH = 60
_MAX_LINKS = 200
"""Steps of one path, operators of one chain; a tree of them is as deep as they are long."""


class FhirPathError(ValueError):
    """An expression that cannot be parsed, or that uses what this engine does not know."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, boolean or number."""

    value: str | bool | int | Decimal


@dataclass(frozen=True, slots=True)
class Measure:
    """A quantity: a number with a UCUM unit in quotes or a calendar word (`4 days`)."""

    value: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Moment:
    """A date, dateTime or time literal, without its `@` (`2014-01-25T14:30`, `T14:30`)."""

    text: str


@dataclass(frozen=True, slots=True)
class Empty:
    """The empty collection `{}`."""


@dataclass(frozen=True, slots=True)
class Variable:
    """`$this`, `$index`, `$total` or an environment variable such as `%resource`."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`target.name`; without target the name is looked up on the focus (or is its type)."""

    target: Node | None
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """`target.name(arguments)`."""

    target: Node | None
    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """`target[index]`."""

    target: Node
    index: Node


@dataclass(frozen=True, slots=True)
class Unary:
    """`+operand` or `-operand`."""

    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class TypeTest:
    """`operand is type` or `operand as type`; `namespace` is FHIR, System or "" (not said)."""

    operator: str
    operand: Node
    type: str
    namespace: str = ""


Node = (
    Literal
    | Measure
    | Moment
    | Empty
    | Variable
    | Member
    | Call
    | Index
    | Unary
    | Binary
    | TypeTest
)

_CALENDAR = frozenset(
    f"{word}{ending}"
    for word in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for ending in ("", "s")
)

# Binding powers, loosest first (FHIRPath N1, "Operator Precedence").
_POWER = {
    operator: power
    for power, operators in enumerate(
        (
            ("implies",),
            ("or", "xor"),
            ("and",),
            ("in", "contains"),
            ("=", "~", "!=", "!~"),
            (">", "<", ">=", "<="),
            ("|",),
            ("is", "as"),
            ("+", "-", "&"),
            ("*", "/", "div", "mod"),
        ),
        start=1,
    )
    for operator in operators
}
_UNARY_POWER = 20

_TIME = r"[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?"
_TOKEN = re.compile(
    r"""
      (?P<space>\s+|//[^\n]*|/\*.*?\*/)
    | (?P<moment>@(?:T"""
    + _TIME
    + r"""
          |[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?
           (?:T(?:"""
    + _TIME
    + r""")?(?:Z|[+\-][0-9]{2}:[0-9]{2})?)?))
    | (?P<number>[0-9]+(?:\.[0-9]+)?)
    | (?P<string>'(?:[^'\\]|\\.)*')
    | (?P<quoted>`(?:[^`\\]|\\.)*`)
    | (?P<variable>\$[a-z]+|%[A-Za-z_][A-Za-z0-9_\-]*|%`[^`]*`)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<symbol>!=|!~|>=|<=|[.,()\[\]{}|=~<>+\-*/&])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}


def parse(text: str) -> Node:
    """The syntax tree of an expression; raises FhirPathError with the place of the fault."""
    if len(text) > _MAX_LENGTH:
        raise FhirPathError(f"expression longer than {_MAX_LENGTH} characters")
    parser = _Parser(_tokens(text))
    node = parser.expression(0)
    if parser.kind != "end":
        raise parser.fault("an operator or the end")
    return node


def _tokens(text: str) -> list[tuple[str, str, int]]:
    tokens: list[tuple[str, str, int]] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise FhirPathError(f"unexpected {text[place]!r} at character {place + 1}")
        if match.lastgroup != "space":
            tokens.append((match.lastgroup or "", match.group(), place))
        place = match.end()
    tokens.append(("end", "", place))
    return tokens


def _unescape(text: str) -> str:
    def replace(match: re.Match[str]) -> str:
        found = match[1]
        if len(found) == 5:
            return chr(int(found[1:], 16))
        return _ESCAPED.get(found, found)

    return _ESCAPE.sub(replace, text[1:-1])


def _linked(links: int) -> int:
    if links >= _MAX_LINKS:
        raise FhirPathError(f"a chain of more than {_MAX_LINKS} steps")
    return links + 1


class _Parser:
    """A cursor over the tokens; `expression` is the Pratt loop, `_primary` what starts a term."""

    def __init__(self, tokens: list[tuple[str, str, int]]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0
        self.kind, self.text, self._place = tokens[0]

    def fault(self, expected: str) -> FhirPathError:
        found = repr(self.text) if self.text else "the end"
        return FhirPathError(f"expected {expected}, found {found} at character {self._place + 1}")

    def _advance(self) -> str:
        text = self.text
        self._next += 1
        self.kind, self.text, self._place = self._tokens[self._next]
        return text

    def _take(self, symbol: str) -> bool:
        if self.kind == "symbol" and self.text == symbol:
            self._advance()
            return True
        return False

    def _need(self, symbol: str) -> None:
        if not self._take(symbol):
            raise self.fault(repr(symbol))

    def expression(self, power: int) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise FhirPathError(f"expression nested deeper than {_MAX_DEPTH}")
        left = self._unary()
        links = 0
        while self.kind in ("symbol", "name"):
            operator = self.text
            own = _POWER.get(operator)
            if own is None or own <= power:
                break
            self._advance()
            links = _linked(links)
            if operator in ("is", "as"):
                namespace, name = self._type()
                left = TypeTest(operator, left, name, namespace)
            else:
                left = Binary(operator, left, self.expression(own))
        self._depth -= 1
        return left

    def _unary(self) -> Node:
        if self.kind == "symbol" and self.text in "+-":
            return Unary(self._advance(), self.expression(_UNARY_POWER))
        node = self._primary()
        links = 0
        while True:
            links = _linked(links)
            if self._take("."):
                node = self._invocation(node)
            elif self._take("["):
                node = Index(node, self.expression(0))
                self._need("]")
            else:
                return node

    def _primary(self) -> Node:
        kind = self.kind
        if kind == "string":
            return Literal(_unescape(self._advance()))
        if kind == "number":
            return self._number()
        if kind == "moment":
            return Moment(self._advance()[1:])
        if kind == "variable":
            return Variable(self._advance().replace("`", ""))
        if kind == "name" and self.text in ("true", "false"):
            return Literal(self._advance() == "true")
        if kind in ("name", "quoted"):
            return self._invocation(None)
        return self._group()

    def _number(self) -> Node:
        text = self._advance()
        if self.kind == "string":
            return Measure(Decimal(text), _unescape(self._advance()))
        if self.kind == "name" and self.text in _CALENDAR:
            return Measure(Decimal(text), self._advance())
        return Literal(Decimal(text) if "." in text else int(text))

    def _group(self) -> Node:
        if self._take("("):
            node = self.expression(0)
            self._need(")")
            return node
        if self._take("{"):
            self._need("}")
            return Empty()
        raise self.fault("a term")

    def _invocation(self, target: Node | None) -> Node:
        name = self._name()
        if not self._take("("):
            return Member(target, name)
        arguments: list[Node] = []
        if not self._take(")"):
            arguments.append(self.expression(0))
            while self._take(","):
                arguments.append(self.expression(0))
            self._need(")")
        return Call(target, name, tuple(arguments))

    def _name(self) -> str:
        if self.kind == "name":
            return self._advance()
        if self.kind == "quoted":
            return _unescape(self._advance())
        raise self.fault("a name")

    def _type(self) -> tuple[str, str]:
        namespace, name = "", self._name()
        while self._take("."):
            namespace, name = name, self._name()
        return namespace, name


def type_name(node: Node) -> str:
    """The type that an argument names (`as(FHIR.Quantity)` → "Quantity")."""
    return type_parts(node)[1]


def type_parts(node: Node) -> tuple[str, str]:
    """Namespace ("" = not said) and name of the type an argument names."""
    if isinstance(node, Member) and node.target is None:
        return "", node.name
    if isinstance(node, Member) and isinstance(node.target, Member):
        return node.target.name, node.name
    raise FhirPathError("a type name is expected")


def alternatives(node: Node) -> list[Node]:
    """The operands of the unions at the top of the tree, left to right."""
    found: list[Node] = []
    while isinstance(node, Binary) and node.operator == "|":
        found.append(node.right)
        node = node.left
    found.append(node)
    return found[::-1]
