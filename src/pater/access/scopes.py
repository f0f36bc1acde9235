"""SMART App Launch 2.x scopes: what a token may be used for, apart from what its bearer may do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl

from pater.access.caller import Kind
from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER
from pater.fhir.search.narrowing import Alternatives, Narrowing
from pater.fhir.search.query import Condition, SearchError, StringTerm, parse_search

LETTERS = "cruds"
MOST_ARGUMENTS: Final = 10
"""Conditions in one scope; each costs every search that the token is used for."""
_LONGEST_TEXT = 100

SEAL: Final = "seal"
SERVICES: Final = frozenset({SEAL})
"""Scopes of services that are not records: no other scope covers them, they cover no other."""

# SMART 1 wrote words where SMART 2 writes letters; both are accepted (SMART 2, "v1 scopes").
_WORDS = {"read": "rs", "write": "cud", "*": "cruds"}
_SHAPE = re.compile(
    r"(system|user|patient)/([A-Z][A-Za-z]{1,63}|\*)\.([a-z*]{1,5})(?:\?([!-~]{1,1000}))?", re.ASCII
)
# What an argument may be: something that one resource says of itself.
_KINDS = frozenset(
    {"token", "string", "date", "reference", "number", "quantity", "uri", "id", "lastUpdated"}
)
_MODIFIERS = frozenset({None, "not", "missing", "contains", "identifier"})

# A scope speaks for one kind of bearer; `user` and `patient` need a person behind them.
_CONTEXTS: dict[Kind, frozenset[str]] = {
    "system": frozenset({"system"}),
    "person": frozenset({"user", "patient"}),
}


class ScopeError(ValueError):
    """A scope that is not of the form `context/Type.letters` or `context/Type.letters?query`."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope: `context` is system, user or patient; `type` a resource type or `*`.

    `arguments` are names and (decoded) values of search parameters that a resource has to meet,
    all of them.
    """

    context: str
    type: str
    letters: str
    arguments: tuple[tuple[str, str], ...] = ()


@lru_cache(maxsize=1024)
def parse_scope(text: str) -> Scope:
    """Read one scope (SMART App Launch 2, section 3.0.2); raises ScopeError.

    Letters must stand in the order `cruds`. The arguments must be search parameters that one
    resource answers by itself (no chains, no result parameters); for `*` those that every type
    has. Nothing is ignored: a scope that cannot be held to exactly is no scope.
    """
    found = _SHAPE.fullmatch(text)
    if not found:
        raise ScopeError("not a SMART scope of the form context/Type.cruds")
    context, type_, letters, query = found.groups()
    if query is not None and letters in _WORDS:
        raise ScopeError("search arguments follow the letters of SMART 2, not a word of SMART 1")
    letters = _WORDS.get(letters, letters)
    if letters != "".join(letter for letter in LETTERS if letter in letters):
        raise ScopeError("permissions of a scope must be letters of 'cruds' in this order")
    if query is None:
        return Scope(context, type_, letters)
    arguments = _arguments(query)
    conditions_of(type_, arguments)
    return Scope(context, type_, letters, arguments)


def _arguments(query: str) -> tuple[tuple[str, str], ...]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError as error:
        raise ScopeError("the arguments of a scope cannot be read") from error
    if len(pairs) > MOST_ARGUMENTS:
        raise ScopeError(f"a scope has at most {MOST_ARGUMENTS} arguments")
    return tuple(sorted(dict.fromkeys(pairs)))


@lru_cache(maxsize=1024)
def conditions_of(type: str, arguments: tuple[tuple[str, str], ...]) -> tuple[Condition, ...]:
    """The conditions that the arguments of a scope are for a type; raises ScopeError.

    Those of `*` are the same for every type: what all resources have (`_id`, `_tag` …).
    """
    if type == "*" and not all(name.startswith("_") for name, _ in arguments):
        raise ScopeError("a scope of all types is narrowed by parameters that every type has")
    if type != "*" and type not in TYPE_NUMBER:
        raise ScopeError("R4 has no such resource type")
    try:
        request = parse_search("Basic" if type == "*" else type, arguments)
    except SearchError as error:
        raise ScopeError(f"an argument of a scope on {type} is not understood: {error}") from error
    if len(request.conditions) != len(arguments):
        raise ScopeError("the arguments of a scope must be search parameters of the resource")
    for condition in request.conditions:
        if (
            condition.kind not in _KINDS
            or condition.loose
            or not (
                condition.modifier in _MODIFIERS
                or (condition.kind == "reference" and condition.modifier in TYPE_NUMBER)
            )
        ):
            raise ScopeError(f"{condition.param}: this kind of argument is not for a scope")
        if any(isinstance(v, StringTerm) and len(v.text) > _LONGEST_TEXT for v in condition.values):
            raise ScopeError(f"{condition.param}: the text is too long for a scope")
    return request.conditions


def allows(scopes: Iterable[str], kind: Kind, type: str, letters: str) -> bool:
    """Whether any scope fits the kind of bearer and gives one of the letters on the type.

    Perhaps on some resources of the type only: `narrowing` says on which.
    """
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


@lru_cache(maxsize=1024)
def narrowing(scopes: tuple[str, ...], kind: Kind, letter: str) -> Narrowing | None:
    """Which resources the scopes give a letter on, beside `allows`; None = all of each type.

    The arguments of one scope must all be met, and one of several scopes is enough.
    """
    if not any("?" in text for text in scopes):
        return None
    held: list[Scope] = []
    for text in scopes:
        try:
            scope = parse_scope(text)
        except ScopeError:
            continue
        if scope.context in _CONTEXTS[kind] and letter in scope.letters:
            held.append(scope)
    return _narrowing(tuple((scope.type, scope.arguments) for scope in held))


@lru_cache(maxsize=256)
def _narrowing(held: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]) -> Narrowing | None:
    """The same for the same types and arguments, whatever the letters they came with."""
    by_type: dict[str, Alternatives] = {}
    for type_ in RESOURCE_TYPES:
        mine = [(named, arguments) for named, arguments in held if named in ("*", type_)]
        if mine and all(arguments for _, arguments in mine):
            found = (conditions_of(named, arguments) for named, arguments in mine)
            by_type[type_] = tuple(dict.fromkeys(found))
    return Narrowing(MappingProxyType(by_type)) if by_type else None


def covers(granted: Iterable[str], wanted: str) -> bool:
    """Whether the registered scopes together give every letter of the wanted one.

    A registered scope with arguments covers what asks for the same arguments, or for more.
    """
    if wanted in SERVICES:
        return wanted in granted
    want = parse_scope(wanted)
    given: set[str] = set()
    for text in granted:
        if text in SERVICES:
            continue
        have = parse_scope(text)
        if (
            have.context == want.context
            and have.type in ("*", want.type)
            and set(have.arguments) <= set(want.arguments)
        ):
            given.update(have.letters)
    return given.issuperset(want.letters)


def at_least(granted: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether the granted scopes give all that the wanted ones do.

    So that what one token had made is not fetched by a narrower one.
    """
    held = [text for text in granted if _is_scope(text)]
    return all(covers(held, text) for text in wanted if _is_scope(text))


def _is_scope(text: str) -> bool:
    try:
        parse_scope(text)
    except ScopeError:
        return False  # e.g. `openid`: it says nothing about records
    return True
