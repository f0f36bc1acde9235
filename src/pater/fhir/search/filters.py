"""`_filter` (FHIR R4 3.1.3): its grammar, and the tree of conditions that a text comes to."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import orjson

from pater.fhir.search.conditions import ConditionReader, RefusalError
from pater.fhir.search.request import And, Condition, Node, Not, Or

MOST: Final = 60
"""Comparisons of one filter."""
_DEPTH: Final = 20
_OPERATORS: Final = frozenset(
    ("eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le", "ap", "sa", "eb", "pr", "po", "ss",
     "sb", "in", "re")
)  # fmt: skip
_PATH = re.compile(r"(_has:)?[A-Za-z_][A-Za-z0-9_\-:]*(\.[A-Za-z_][A-Za-z0-9_\-:]*)*")
_WORD = re.compile(r"[a-z]+")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
# R4 ends a token at `]` too; UCUM codes have it, and paths with brackets are not read here.
_TOKEN = re.compile(r"[^\s)]+")
_BLANK = re.compile(r"\s*")

Read = Callable[[str, str, str], Condition]


def parse_filter(text: str, type_name: str, reader: ConditionReader) -> Node:
    """The tree of a filter for one type. Raises RefusalError (with the place) and BadValueError."""

    def read(path: str, operator: str, value: str) -> Condition:
        return reader.read(type_name, path, value, 0, operator)

    return _Parser(text, read).whole()


class _Parser:
    """`and` and `or` go from left to right, neither before the other (R4 3.1.3)."""

    def __init__(self, text: str, read: Read) -> None:
        self._text = text
        self._read = read
        self._place = 0
        self._depth = 0
        self._count = 0

    def whole(self) -> Node:
        found = self._filter()
        self._blank()
        if self._place < len(self._text):
            raise self._problem("expected `and`, `or` or the end")
        return found

    def _filter(self) -> Node:
        found = self._part()
        while True:
            place = self._place
            word = self._word()
            if word == "and":
                found = And((*found.parts, self._part()) if isinstance(found, And)
                            else (found, self._part()))  # fmt: skip
            elif word == "or":
                found = Or((*found.parts, self._part()) if isinstance(found, Or)
                           else (found, self._part()))  # fmt: skip
            else:
                self._place = place
                return found

    def _part(self) -> Node:
        self._blank()
        place = self._place
        if self._word() == "not":
            self._blank()
            if self._text.startswith("(", self._place):
                return Not(self._group())
        self._place = place
        if self._text.startswith("(", self._place):
            return self._group()
        return self._comparison()

    def _group(self) -> Node:
        self._depth += 1
        if self._depth > _DEPTH:
            raise self._problem("too many parentheses")
        self._place += 1
        found = self._filter()
        self._blank()
        if not self._text.startswith(")", self._place):
            raise self._problem("a closing parenthesis is missing")
        self._place += 1
        self._depth -= 1
        # what stands in parentheses is not to be joined with what follows them
        return And((found,)) if isinstance(found, And) else found

    def _comparison(self) -> Node:
        self._count += 1
        if self._count > MOST:
            raise RefusalError(f"more than {MOST} comparisons", "too-costly")
        start = self._place
        path = _PATH.match(self._text, self._place)
        if path is None:
            raise self._problem("expected a parameter")
        self._place = path.end()
        if self._text.startswith("[", self._place):
            raise RefusalError("a filter inside a path is not supported", "not-supported")
        operator = self._word()
        if operator not in _OPERATORS:
            raise self._problem("expected an operator such as eq")
        self._blank()
        value = self._value()
        try:
            if operator == "ne":
                return self._unequal(path[0], value)
            return self._read(path[0], operator, value)
        except RefusalError as problem:
            raise RefusalError(f"at character {start + 1}: {problem}", problem.code) from problem

    def _unequal(self, path: str, value: str) -> Node:
        """`ne`: a value there is, and none is equal; of dates and numbers one that is not."""
        try:
            same = self._read(path, "eq", value)
        except RefusalError:
            return self._read(path, "ne", value)
        far = same
        while far.chain:
            far = far.chain[0].condition
        if far.kind in ("date", "lastUpdated", "number", "quantity"):
            return self._read(path, "ne", value)
        if far.kind in ("id", "words"):
            return Not(same)
        return And((self._read(path, "pr", "true"), Not(same)))

    def _value(self) -> str:
        text = _STRING.match(self._text, self._place)
        if text is not None:
            self._place = text.end()
            try:
                return str(orjson.loads(text[0]))
            except orjson.JSONDecodeError:
                raise self._problem("a text is a JSON string") from None
        token = _TOKEN.match(self._text, self._place)
        if token is None or token[0].startswith('"'):
            raise self._problem("expected a value")
        self._place = token.end()
        return token[0]

    def _word(self) -> str:
        """A word of small letters with a blank or parenthesis behind it, or ""."""
        self._blank()
        found = _WORD.match(self._text, self._place)
        if found is None or not re.match(r"[\s(]", self._text[found.end() : found.end() + 1]):
            return ""
        self._place = found.end()
        return found[0]

    def _blank(self) -> None:
        found = _BLANK.match(self._text, self._place)
        if found is not None:
            self._place = found.end()

    def _problem(self, text: str) -> RefusalError:
        return RefusalError(f"at character {self._place + 1}: {text}")
