"""What other rooms add to a look-up: columns about the person of its rows, or a condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Arguments(Protocol):
    """Numbered arguments of a statement: `add` gives the text that stands for a value."""

    def add(self, value: object, cast: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Beside:
    """Further columns of a look-up, about the `person` of each of its rows, which are called `p`.

    `columns` is a constant text, in which `{0}`, `{1}` … stand for the `values`, each given with
    its SQL type.
    """

    columns: str
    values: tuple[tuple[object, str], ...]

    def sql(self, rows: str, args: Arguments) -> str:
        """The look-up `rows` with the further columns."""
        said = [args.add(value, cast) for value, cast in self.values]
        columns = self.columns.format(*said)
        return f"select p.*, {columns} from ({rows}) p"  # noqa: S608 constants


@dataclass(frozen=True, slots=True)
class Given:
    """A condition that has nothing to do with single rows: where it does not hold, there are none.

    `text` is constant; `{0}`, `{1}` … stand in it for the `values`, each given with its SQL type.
    """

    text: str
    values: tuple[tuple[object, str], ...]

    def sql(self, args: Arguments) -> str:
        """The condition, as a clause of a WHERE."""
        return self.text.format(*(args.add(value, cast) for value, cast in self.values))
