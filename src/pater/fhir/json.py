"""Reads and writes FHIR JSON strictly and without losing a digit of any decimal (R4 section 2.6.2).

The fast path is orjson. It silently accepts duplicate keys and keeps decimals as binary floats,
so a text that does not come back the same is read again by a slower, exact reader.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from pater.fhir.json_place import duplicate_key, path_at, too_deep

BLANK = b" \t\r\n"
LONGEST_NUMBER = 1000
"""Characters of one number; no measurement needs them, and long ones cost quadratic time."""
LARGEST_EXPONENT = 6144
"""That of IEEE 754 decimal128; beyond it a short literal could be made to fill the memory."""
_SURROGATE = re.compile("[\ud800-\udfff]")


class JsonError(ValueError):
    """A text that is not acceptable JSON.

    `line` and `column` count from 1 (0 = the place is not known), `path` is the FHIRPath-like
    place (`Patient.name[0]`; "" = not known or the whole).
    """

    def __init__(self, message: str, line: int = 0, column: int = 0, path: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.path = path


class LiteralDecimal(Decimal):
    """A decimal that remembers how it was written, where `str` would write it differently."""

    literal: str


def parse(data: bytes, *, max_depth: int = 64) -> dict[str, Any]:
    """The JSON object in `data` (UTF-8 without a byte order mark).

    A number is an int or float when that writes back to the very same literal, else a
    `decimal.Decimal` that does. Refused with JsonError: what is not UTF-8 or not JSON (RFC 8259),
    duplicate keys at any depth, NaN and Infinity, nesting deeper than `max_depth`, a top level
    that is not an object.
    """
    value: dict[str, Any]
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as problem:
        if "infinity" not in str(problem):  # a literal such as 1e400 is good JSON
            raise _syntax_error(data, problem) from None
        value = _parse_exactly(data)
        _check(value, data, max_depth)
        if _SURROGATE.search(json.dumps(value, ensure_ascii=False, default=str)):
            raise JsonError("A string holds half of a surrogate pair.") from None
        return value
    _check(value, data, max_depth)
    # Blanks are removed inside strings too, on both sides alike: the texts are equal only when
    # every number is written the same and no repeated key was dropped.
    written = orjson.dumps(value)
    if written != data.rstrip(BLANK) and written.translate(None, BLANK) != data.translate(
        None, BLANK
    ):
        value = _parse_exactly(data)
    return value


def dumps(value: Any, *, indent: bool = False) -> bytes:
    """Compact UTF-8 JSON, key order kept; a Decimal is written as its own literal.

    With `indent` in lines, for people. Raises TypeError for what JSON cannot say.
    """
    if indent:
        return orjson.dumps(value, default=_fragment, option=orjson.OPT_INDENT_2)
    return orjson.dumps(value, default=_fragment)


def _fragment(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(value.literal if isinstance(value, LiteralDecimal) else str(value))
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


def _check(value: Any, data: bytes, max_depth: int) -> None:
    """Refuses a top level that is not an object, and one that is too deep."""
    if not isinstance(value, dict):
        raise JsonError("The top level must be a JSON object.", 1, 1)
    if data.count(b"{") + data.count(b"[") <= max_depth:
        return
    if _surely_flat(value, max_depth):
        return
    level: list[Any] = [value]
    for _ in range(max_depth):
        level = [
            child
            for each in level
            for child in (each.values() if type(each) is dict else each)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return
    raise _depth_error(data.decode(), max_depth)


def _surely_flat(value: Any, max_depth: int) -> bool:
    """Whether nothing at all stands as deep as `max_depth`: written with indents, no line does.

    Twice as fast as walking; a line break cannot stand inside a string of JSON.
    """
    try:
        lines = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    except TypeError:  # exact numbers, or deeper than the library writes
        return False
    return b"\n" + b"  " * max_depth not in lines


def _depth_error(text: str, max_depth: int) -> JsonError:
    position, path = too_deep(text, max_depth)
    return JsonError(f"Nested deeper than {max_depth} levels.", *_line(text, position), path)


def _parse_exactly(data: bytes) -> Any:
    """The same value with exact numbers; raises JsonError for duplicate keys."""
    text = data.decode()
    repeated = False

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        out = dict(pairs)
        repeated = repeated or len(out) != len(pairs)
        return out

    try:
        value = json.loads(
            text,
            object_pairs_hook=members,
            parse_int=_number,
            parse_float=_number,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as problem:
        raise JsonError(
            f"Not valid JSON: {problem.msg}.", problem.lineno, problem.colno,
            path_at(text, problem.pos),
        ) from None  # fmt: skip
    except RecursionError:
        raise JsonError("Nested too deep.") from None
    if repeated:
        position, path, key = duplicate_key(text)
        named = f"The key {key[:64]!r}" if position >= 0 else "A key"
        raise JsonError(f"{named} occurs twice.", *_line(text, position), path)
    return value


def _constant(text: str) -> Any:
    raise JsonError(f"Not valid JSON: {text} is not a number.")


def _number(literal: str) -> int | float | Decimal:
    """int or float when it writes back as `literal`, else an exact decimal."""
    if len(literal) > LONGEST_NUMBER:
        raise JsonError(f"A number is longer than {LONGEST_NUMBER} characters.")
    try:
        simple = orjson.loads(literal)
        if orjson.dumps(simple).decode() == literal:
            number: int | float = simple
            return number
    except orjson.JSONDecodeError:
        pass  # beyond the range of a float: the decimal below takes it
    try:
        exact = Decimal(literal)
    except InvalidOperation:
        raise JsonError("A number is out of range.") from None
    if exact and abs(exact.adjusted()) > LARGEST_EXPONENT:
        raise JsonError("A number is out of range.")
    if str(exact) == literal:
        return exact
    kept = LiteralDecimal(literal)
    kept.literal = literal
    return kept


def _syntax_error(data: bytes, problem: orjson.JSONDecodeError) -> JsonError:
    if data.startswith(b"\xef\xbb\xbf"):
        return JsonError("A byte order mark is not allowed before JSON.", 1, 1)
    try:
        text = data.decode()
    except UnicodeDecodeError as bad:
        before = data[: bad.start].decode()
        return JsonError("The text is not UTF-8.", *_line(before, len(before)))
    if not text.strip():
        return JsonError("The body is empty; a JSON object was expected.", 1, 1)
    if "depth" in problem.msg:
        return JsonError("Nested too deep.", *_line(text, problem.pos))
    place = path_at(text, problem.pos)
    # The message names the fault and no content of the text.
    message = problem.msg.partition(": line")[0]
    return JsonError(f"Not valid JSON: {message}.", *_line(text, problem.pos), place)


def _line(text: str, position: int) -> tuple[int, int]:
    """Line and column, from 1; zeros for a place that is not known."""
    if position < 0:
        return 0, 0
    position = min(position, len(text))
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
