"""A narrowed type in SQL: the same alternatives that `Narrowing.holds` looks for in a body."""

from __future__ import annotations

from collections.abc import Iterable

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.search.narrowing import Narrowing
from pater.store.search.sql import Args, condition_sql


def narrowed(narrow: Narrowing | None, type_: str, args: Args, row: str) -> list[str]:
    """What rows of the type (called `row`) have to meet: one text in brackets, or nothing."""
    alternatives = None if narrow is None else narrow.of(type_)
    if alternatives is None:
        return []
    either = [
        " and ".join(f"({condition_sql(type_, each, args, row)})" for each in conditions)
        for conditions in alternatives
    ]
    return [f"({' or '.join(either)})"]


def narrowed_among(
    narrow: Narrowing | None, types: Iterable[str], args: Args, row: str
) -> list[str]:
    """The same for rows that may be of any of these types."""
    found = []
    for type_ in sorted(set(types)):
        for text in narrowed(narrow, type_, args, row):
            number = args.add(TYPE_NUMBER[type_], "smallint")
            found.append(f"({row}.type <> {number} or {text})")
    return found
