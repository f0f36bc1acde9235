"""SNOMED CT's Expression Constraint Language, the common part of it, as SQL over loaded concepts.

Hierarchy, AND, OR, MINUS, brackets, and attributes outside of groups. What needs more than the
tables hold (reference sets, groups, cardinalities, terms) is refused and never guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pater.terminology.model import BadFilterError

MOST: Final = 10_000
"""Characters of an expression."""
_DEEPEST: Final = 20
_MOST_CONCEPTS: Final = 500
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<comment>/\*.*?\*/)|(?P<op><<!|>>!|<!|>!|<<|>>|<|>)|(?P<code>\d{6,18})"
    r"(?:\s*\|[^|]*\|)?|(?P<word>and|or|minus)\b|(?P<sign>!=|[=:,()*]))",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Concepts:
    """A concept, or with an operator those around it; code "*" = every concept."""

    op: str
    code: str


@dataclass(frozen=True, slots=True)
class Joined:
    """Parts joined by `and`, `or` or `minus`."""

    how: str
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Attribute:
    """Concepts with an attribute whose value is (or with `other`: is not) among some concepts."""

    name: str
    value: Node
    other: bool


Node = Concepts | Joined | Attribute


@dataclass(frozen=True, slots=True)
class Known:
    """A concept as it is loaded: its number and those above it."""

    nr: int
    parents: Sequence[int]
    ancestors: Sequence[int]


def parse(text: str) -> Node:
    """An expression as a tree. Raises BadFilterError, saying where it is not understood."""
    if len(text) > MOST:
        raise BadFilterError(f"An expression constraint may have {MOST} characters")
    reader = _Reader(text)
    node = reader.expression(0)
    if reader.kind:
        raise reader.wrong()
    return node


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text.rstrip()
        self._at = self._next = self._concepts = 0
        self.kind = self.value = ""
        self._move()

    def _move(self) -> None:
        while True:
            self._at = self._next
            self.kind = self.value = ""
            if self._at >= len(self._text):
                return
            found = _TOKEN.match(self._text, self._at)
            if found is None:
                raise self.wrong()
            self._next = found.end()
            if found.lastgroup != "comment":
                self.kind = found.lastgroup or ""
                self.value = found[self.kind].lower()
                return

    def wrong(self) -> BadFilterError:
        rest = self._text[self._at : self._at + 40].strip()
        where = f"at '{rest}'" if rest else "at its end"
        return BadFilterError(f"The expression constraint is not understood here {where}")

    def _take(self, *values: str) -> str:
        """The token, if it is one of these; then the next is looked at."""
        if self.kind in ("", "code") or self.value not in values:
            return ""
        value = self.value
        self._move()
        return value

    def expression(self, depth: int) -> Node:
        first = self._part(depth)
        if self._take(":"):
            return Joined("and", (first, self._attributes(depth)))
        return self._joined(first, lambda: self._part(depth), ("and", ",", "or", "minus"))

    def _attributes(self, depth: int) -> Node:
        return self._joined(
            self._attribute(depth), lambda: self._attribute(depth), ("and", ",", "or")
        )

    def _joined(self, first: Node, read: Callable[[], Node], words: tuple[str, ...]) -> Node:
        """One kind of joining without brackets; `minus` joins just two."""
        word = self._take(*words)
        if not word:
            return first
        same = ("and", ",") if word in ("and", ",") else (word,)
        parts = [first, read()]
        while word != "minus" and self._take(*same):
            parts.append(read())
        return Joined("and" if word == "," else word, tuple(parts))

    def _attribute(self, depth: int) -> Node:
        if self.kind != "code":
            raise self.wrong()
        name = self.value
        self._move()
        sign = self._take("=", "!=")
        if not sign:
            raise self.wrong()
        return Attribute(name, self._part(depth), sign == "!=")

    def _part(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise BadFilterError("The expression constraint is nested too deep")
        op = ""
        if self.kind == "op":
            op = self._take(self.value)
        at = self._at
        if self._take("("):
            inner = self.expression(depth + 1)
            if not self._take(")"):
                raise self.wrong()
            if not op:
                return inner
            found = _each_around(op, inner)
            if found is None:
                self._at = at
                raise self.wrong()
            return found
        if self.kind == "code":
            self._concepts += 1
            if self._concepts > _MOST_CONCEPTS:
                raise BadFilterError(f"An expression may name {_MOST_CONCEPTS} concepts")
            code = self.value
            self._move()
            return Concepts(op, code)
        if not op and self._take("*"):
            return Concepts("", "*")
        raise self.wrong()


def _each_around(op: str, inner: Node) -> Node | None:
    """An operator before brackets: what is around any of the concepts that stand in them."""
    match inner:
        case Concepts("", code) if code != "*":
            return Concepts(op, code)
        case Joined("or", parts):
            found = [_each_around(op, part) for part in parts]
            kept = tuple(part for part in found if part is not None)
            return Joined("or", kept) if len(kept) == len(found) else None
    return None


def codes(node: Node) -> Iterator[str]:
    """The codes of all concepts that an expression names; not those of attributes."""
    match node:
        case Concepts(_, code):
            if code != "*":
                yield code
        case Joined(_, parts):
            for part in parts:
                yield from codes(part)
        case Attribute(_, value, _):
            yield from codes(value)


def condition(
    node: Node, known: Mapping[str, Known], add: Callable[[object], str], row: str = "c"
) -> str:
    """An expression as the condition of a concept called `row`; `$1` is the system's number.

    `add` takes a value and gives its place. What is not known is no concept, and has none around.
    """
    inner = _condition(node, known, add, row)
    return f"({inner} and not {row}.inactive)"


def _condition(
    node: Node, known: Mapping[str, Known], add: Callable[[object], str], row: str
) -> str:
    match node:
        case Concepts(_, "*"):
            return "true"
        case Concepts(op, code):
            return _around(op, known[code], add, row) if code in known else "false"
        case Joined("minus", (first, second)):
            one = _condition(first, known, add, row)
            return f"({one} and not {_condition(second, known, add, row)})"
        case Joined(how, parts):
            return "(" + f" {how} ".join(_condition(p, known, add, row) for p in parts) + ")"
        case Attribute(name, value, other):
            inner = _condition(value, known, add, f"{row}v")
            return (
                f"exists (select from term_property p join term_concept {row}v"
                f" on {row}v.system = p.system and {row}v.code = p.value"
                f" where p.system = $1 and p.nr = {row}.nr and p.code = {add(name)}"
                f" and {'not ' if other else ''}{inner})"
            )
    raise AssertionError(node)


def _around(op: str, known: Known, add: Callable[[object], str], row: str) -> str:
    # our own number, and in the text: the planner then knows how much is below just this one
    own = f"{row}.nr = {int(known.nr)}"
    one = f"array[{int(known.nr)}]"
    match op.rstrip("!")[:1], "!" in op:
        case "<", False:
            found = f"{row}.ancestors @> {one}"
        case "<", True:
            found = f"{row}.parents @> {one}"
        case ">", False:
            found = f"{row}.nr = any({add(list(known.ancestors))}::int[])"
        case ">", True:
            found = f"{row}.nr = any({add(list(known.parents))}::int[])"
        case _:
            return own
    return f"({found} or {own})" if op[:2] in ("<<", ">>") else found
