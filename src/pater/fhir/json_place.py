"""Finds where in a JSON text something happened, as a path; only for texts already refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)
_LONGEST_NAME = 64
# Looking takes a microsecond a token; a refused text must not cost more than a good one.
_TOKENS = 500_000
_CHARACTERS = 500_000


@dataclass(slots=True)
class _Frame:
    """An open object or array: its kind, where we are in it, the keys seen."""

    is_object: bool
    key: str = ""
    index: int = 0
    expects_key: bool = True
    keys: set[str] = field(default_factory=set)


def duplicate_key(text: str) -> tuple[int, str, str]:
    """Position, path and name of the first repeated key; -1, "", "" when it stands too far."""
    root = _root(text)
    for position, frames, repeated in _steps(text):
        if repeated is not None:
            return position, _path(root, frames), repeated
    return -1, "", ""


def path_at(text: str, position: int) -> str:
    """The path of the element that is being read at a position; "" when it stands too far."""
    if position > _CHARACTERS:
        return ""
    frames: list[_Frame] = []
    for _, frames, _ in _steps(text[:position]):  # noqa: B007 - only the last one counts
        pass
    return _path(_root(text), frames)


def too_deep(text: str, limit: int) -> tuple[int, str]:
    """Position and path of the first place deeper than `limit`; -1, "" when it stands too far."""
    for position, frames, _ in _steps(text):
        if len(frames) > limit:
            return position, _path(_root(text), frames)
    return -1, ""


def _steps(text: str) -> Iterator[tuple[int, list[_Frame], str | None]]:
    """After each token its position, the open frames, and the repeated key when it was one.

    The list of frames is one and the same throughout. Stops where brackets do not match.
    """
    frames: list[_Frame] = []
    for match in islice(_TOKEN.finditer(text), _TOKENS):
        mark, repeated = match.group(), None
        if mark in ("}", "]"):
            if not frames:
                return
            frames.pop()
        elif frames:
            top = frames[-1]
            if mark == ",":
                top.expects_key = True
                top.index += 1
            elif top.is_object and top.expects_key and mark.startswith('"'):
                top.key, top.expects_key = _text(mark), False
                repeated = top.key if top.key in top.keys else None
                top.keys.add(top.key)
        if mark in ("{", "["):
            frames.append(_Frame(is_object=mark == "{"))
        yield match.start(), frames, repeated


def _path(root: str, frames: list[_Frame]) -> str:
    out = root
    for frame in frames:
        if not frame.is_object:
            out += f"[{frame.index}]"
        elif frame.key:
            name = frame.key[:_LONGEST_NAME]
            out += f".{name}" if out else name
    return out


def _root(text: str) -> str:
    """The resource type the text begins with; "" when it does not say so at once."""
    found = re.match(r'\s*\{\s*"resourceType"\s*:\s*"([A-Za-z]{1,64})"', text)
    return found.group(1) if found else ""


def _text(literal: str) -> str:
    try:
        return str(json.loads(literal))
    except ValueError:
        return literal[1:-1]
