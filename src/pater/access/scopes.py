"""SMART App Launch 2.x scopes: what a token may be used for, apart from what its bearer may do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from pater.access.caller import Kind

LETTERS = "cruds"

# SMART 1 wrote words where SMART 2 writes letters; both are accepted (SMART 2, "v1 scopes").
_WORDS = {"read": "rs", "write": "cud", "*": "cruds"}
_SHAPE = re.compile(r"(system|user|patient)/([A-Z][A-Za-z]{1,63}|\*)\.([a-z*]{1,5})", re.ASCII)

# A scope speaks for one kind of bearer; `user` and `patient` need a person behind them.
_CONTEXTS: dict[Kind, frozenset[str]] = {
    "system": frozenset({"system"}),
    "person": frozenset({"user", "patient"}),
}


class ScopeError(ValueError):
    """A scope that is not of the form `context/Type.letters`."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope: `context` is system, user or patient; `type` a resource type or `*`."""

    context: str
    type: str
    letters: str


@lru_cache(maxsize=1024)
def parse_scope(text: str) -> Scope:
    """Read one scope (SMART App Launch 2, section 3.0.2); raises ScopeError.

    Letters must stand in the order `cruds`. A scope narrowed by a query (`?category=…`) is
    refused rather than widened by ignoring the query.
    """
    found = _SHAPE.fullmatch(text)
    if not found:
        raise ScopeError("not a SMART scope of the form context/Type.cruds")
    context, type_, letters = found.groups()
    letters = _WORDS.get(letters, letters)
    if letters != "".join(letter for letter in LETTERS if letter in letters):
        raise ScopeError("permissions of a scope must be letters of 'cruds' in this order")
    return Scope(context, type_, letters)


def allows(scopes: Iterable[str], kind: Kind, type: str, letters: str) -> bool:
    """Whether any scope fits the kind of bearer and gives one of the letters on the type."""
    for text in scopes:
        try:
            scope = parse_scope(text)
        except ScopeError:
            continue  # e.g. `openid`: it says nothing about records
        if (
            scope.context in _CONTEXTS[kind]
            and scope.type in ("*", type)
            and any(letter in scope.letters for letter in letters)
        ):
            return True
    return False


def covers(granted: Iterable[str], wanted: str) -> bool:
    """Whether the registered scopes together give every letter of the wanted one."""
    want = parse_scope(wanted)
    given: set[str] = set()
    for text in granted:
        have = parse_scope(text)
        if have.context == want.context and have.type in ("*", want.type):
            given.update(have.letters)
    return given.issuperset(want.letters)
