"""FHIRPath functions on texts (FHIRPath N1, section 5.6)."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import re2  # type: ignore[import-untyped]  # the package ships no types

from pater.fhir.fhirpath.items import (
    EvaluationError,
    Items,
    boolean,
    integer_of,
    longest,
    number,
    string,
    text_of,
)


def _texts(name: str, work: Callable[..., Items]) -> Callable[..., Items]:
    """A function of texts only; an empty operand gives nothing."""

    def run(items: Items, *arguments: Items) -> Items:
        values = [text_of(each, name) for each in (items, *arguments)]
        return [] if None in values else work(*values)

    return run


@lru_cache(maxsize=512)
def _pattern(text: str) -> Any:
    """A compiled pattern whose time is linear in the text, whoever wrote it."""
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    options.max_mem = 4 << 20
    try:
        return re2.compile(text, options)
    except (re2.error, UnicodeEncodeError) as problem:
        raise EvaluationError(f"not a regular expression that is known: {text[:80]}") from problem


def _replace(text: str, part: str, by: str) -> Items:
    longest(len(text) + text.count(part) * (len(by) - len(part)))
    return string(text.replace(part, by))


def _substring(items: Items, start: Items, length: Items | None = None) -> Items:
    text, place = text_of(items, "substring()"), integer_of(start, "substring()")
    if text is None or place is None or not 0 <= place < len(text):
        return []
    count = None if length is None else integer_of(length, "substring()")
    return string(text[place:] if count is None else text[place : place + max(0, count)])


def _replace_matches(text: str, pattern: str, by: str) -> Items:
    # `$1` and `${name}` are the groups of FHIRPath.
    parts = _GROUP.split(by)
    names = [each.strip("{}") for each in parts[1::2]]
    wanted = [int(each) if each.isdecimal() else each for each in names]
    out: list[str] = []
    length = end = 0
    for found in _pattern(pattern).finditer(text):
        try:
            groups = [found.group(each) or "" for each in wanted]
        except (IndexError, KeyError, re2.error) as problem:
            raise EvaluationError("not a replacement: there is no such group") from problem
        pieces = [text[end : found.start()], parts[0]]
        for group, rest in zip(groups, parts[2::2], strict=True):
            pieces += group, rest
        length += sum(map(len, pieces))
        longest(length)
        out += pieces
        end = found.end()
    return string("".join([*out, text[end:]]))


_GROUP = re.compile(r"\$(\d{1,3}|\{\w{1,64}\})", re.ASCII)
_ENCODE: Mapping[str, Callable[[bytes], bytes]] = MappingProxyType(
    {"base64": base64.b64encode, "urlbase64": base64.urlsafe_b64encode, "hex": binascii.hexlify}
)
_DECODE: Mapping[str, Callable[[str], bytes]] = MappingProxyType(
    {
        "base64": lambda text: base64.b64decode(text, validate=True),
        "urlbase64": base64.urlsafe_b64decode,
        "hex": binascii.unhexlify,
    }
)


def _encode(text: str, form: str) -> Items:
    work = _ENCODE.get(form)
    return [] if work is None else string(work(text.encode()).decode("ascii"))


def _decode(text: str, form: str) -> Items:
    work = _DECODE.get(form)
    try:
        return [] if work is None else string(work(text).decode())
    except ValueError as problem:
        raise EvaluationError(f"not {form} of a text") from problem


def _escape(text: str, form: str) -> Items:
    if form == "html":
        return string(html.escape(text))
    return string(json.dumps(text, ensure_ascii=False)[1:-1]) if form == "json" else []


def _unescape(text: str, form: str) -> Items:
    if form == "html":
        return string(html.unescape(text))
    if form != "json":
        return []
    try:
        return string(str(json.loads(f'"{text}"')))
    except ValueError as problem:
        raise EvaluationError("not the text of a JSON string") from problem


def _join(items: Items, separator: Items | None = None) -> Items:
    between = "" if separator is None else text_of(separator, "join()") or ""
    texts = [text for item in items if (text := text_of([item], "join()")) is not None]
    longest(sum(map(len, texts)) + len(between) * len(texts))
    return string(between.join(texts)) if items else []


def _split(text: str, separator: str) -> Items:
    parts = text.split(separator) if separator else list(text)
    return [item for part in parts for item in string(part)]


FUNCTIONS: Mapping[str, tuple[int, int, Callable[..., Items]]] = MappingProxyType(
    {
        "substring": (1, 2, _substring),
        "join": (0, 1, _join),
        **{
            name: (count, count, _texts(f"{name}()", work))
            for name, count, work in (
                ("length", 0, lambda text: number(len(text))),
                ("upper", 0, lambda text: string(text.upper())),
                ("lower", 0, lambda text: string(text.lower())),
                ("trim", 0, lambda text: string(text.strip())),
                ("toChars", 0, lambda text: _split(text, "")),
                ("indexOf", 1, lambda text, part: number(text.find(part))),
                ("lastIndexOf", 1, lambda text, part: number(text.rfind(part))),
                ("startsWith", 1, lambda text, part: boolean(text.startswith(part))),
                ("endsWith", 1, lambda text, part: boolean(text.endswith(part))),
                ("contains", 1, lambda text, part: boolean(part in text)),
                ("matches", 1, lambda text, rule: boolean(bool(_pattern(rule).search(text)))),
                (
                    "matchesFull",
                    1,
                    lambda text, rule: boolean(bool(_pattern(rule).fullmatch(text))),
                ),
                ("replace", 2, _replace),
                ("replaceMatches", 2, _replace_matches),
                ("split", 1, _split),
                ("encode", 1, _encode),
                ("decode", 1, _decode),
                ("escape", 1, _escape),
                ("unescape", 1, _unescape),
            )
        },
    }
)
"""Name → least and most arguments, function of the focus and the arguments."""
