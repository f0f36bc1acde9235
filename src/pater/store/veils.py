"""What persons hold back, as a condition of the rows that a statement reads.

A veil becomes one CASE over the label of a row, whatever the number of its consents: so many
comparisons as it has levels, each with an array. Whatever reads rows of `resource` or `history`
for somebody writes it into its WHERE, so a row that is held back is not there for anything.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, Protocol

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.labels import Veil

Veils = tuple[tuple[int, Veil], ...]
"""What single persons hold back from one caller, sorted by person."""

_PATIENT: Final = TYPE_NUMBER["Patient"]


@dataclass(slots=True)
class After:
    """Further arguments of a statement whose first ones are always the same."""

    count: int
    values: list[object] = field(default_factory=list)

    def add(self, value: object, cast: str) -> str:
        """The text that stands for a value."""
        self.values.append(value)
        return f"${self.count + len(self.values)}::{cast}"


class Arguments(Protocol):
    """Numbered arguments of a statement: `add` gives the text that stands for a value."""

    def add(self, value: object, cast: str) -> str: ...


def held_sql(veil: Veil, args: Arguments, row: str, column: str = "label") -> str:
    """Whether a veil holds back a row with a label: `Veil.holds_back` in SQL."""
    # Both arrays always, also empty ones: few shapes of statements, so that they stay prepared.
    parts = []
    for level in veil.levels:
        part = f"{row}.{column} & {args.add(level.mask, 'bigint')}"
        shown = args.add(sorted(level.shown), "bigint[]")
        held = args.add(sorted(level.held), "bigint[]")
        parts.append(f" when {part} = any({shown}) then false when {part} = any({held}) then true")
    otherwise = args.add(veil.otherwise, "boolean")
    return f"case{''.join(parts)} else {otherwise} end" if parts else otherwise


def shown_clauses(
    veils: Veils,
    args: Arguments,
    row: str,
    *,
    type_: str = "",
    persons: Collection[int] | None = None,
    column: str = "label",
) -> list[str]:
    """What rows have to meet: one text for each different veil, nothing without any.

    `type_` is that of all the rows, "" when they may be of any; `persons` are the only ones that
    the statement can meet, None = anybody. A Patient is never held back.
    """
    if not veils or type_ == "Patient":
        return []
    groups: dict[Veil, list[int]] = {}
    for person, veil in veils:
        if persons is None or person in persons:
            groups.setdefault(veil, []).append(person)
    patient = "" if type_ else f"{row}.type = {_PATIENT} or "
    clauses = []
    for veil, whose in groups.items():
        held = held_sql(veil, args, row, column)
        # Of one person alone nothing needs to be compared.
        others = (
            ""
            if persons is not None and len(whose) == len(persons)
            else f"{row}.person <> all({args.add(whose, 'bigint[]')}) or "
        )
        clauses.append(f"({patient}{others}not {held})")
    return clauses


def shown_sql(
    veils: Veils,
    args: Arguments,
    row: str,
    *,
    type_: str = "",
    persons: Collection[int] | None = None,
    column: str = "label",
) -> str:
    """The same as the end of a WHERE: begins with `and`, "" without veils."""
    found = shown_clauses(veils, args, row, type_=type_, persons=persons, column=column)
    return "".join(f" and {each}" for each in found)


def past_sql(
    veils: Veils, args: Arguments, row: str, *, persons: Collection[int] | None = None
) -> str:
    """As `shown_sql` for superseded versions: the current version must not be held back either,
    or an old one would betray what is restricted now.
    """
    if not veils:
        return ""
    now = " and ".join(shown_clauses(veils, args, "now", persons=persons))
    return (
        f"{shown_sql(veils, args, row, persons=persons)} and exists (select from resource now"
        f" where now.type = {row}.type and now.id = {row}.id and {now or 'true'})"
    )


def veil_of(veils: Veils, person: int) -> Veil | None:
    """The veil of one person."""
    return next((veil for whose, veil in veils if whose == person), None)


def hidden(veils: Veils, person: int, type_: str, label: int) -> bool:
    """Whether a row is held back: what `shown_clauses` says, of one row in memory."""
    if not veils or type_ == "Patient":
        return False
    veil = veil_of(veils, person)
    return veil is not None and veil.holds_back(label)
