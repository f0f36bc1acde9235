"""What an import of a file is asked to do, what became of each row, and of all of them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

Outcome = Literal["new", "matched", "possible", "unchanged", "repeated", "refused"]

OUTCOMES: Final[tuple[Outcome, ...]] = (
    "new", "matched", "possible", "unchanged", "repeated", "refused",
)  # fmt: skip
_MOST_REASONS: Final = 50
_MOST_SHOWN: Final = 100
_OTHER_REASONS: Final = "other reasons"


@dataclass(frozen=True, slots=True)
class Task:
    """A file, whose it is (IČO), and the system of the numbers in it; `dry` = write nothing."""

    path: Path
    source: str
    system: str
    dry: bool = False
    encoding: str = ""  # "" = to be found out


@dataclass(slots=True)
class Report:
    """What came of a run, or would: rows by outcome, reasons of refusals, remarks.

    `examples` are the first rows that were refused: line, column, reason.
    """

    file: str = ""
    encoding: str = ""
    delimiter: str = ""
    ignored: list[str] = field(default_factory=list)
    dry: bool = False
    rows: int = 0
    lines: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    possible: Counter[str] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)
    examples: list[tuple[int, str, str]] = field(default_factory=list)
    stopped: str = ""

    def as_json(self) -> dict[str, Any]:
        """For the state and the result of a job."""
        plain = {name: getattr(self, name) for name in Report.__slots__}
        return {n: dict(v) if isinstance(v, Counter) else v for n, v in plain.items()}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Report:
        """What `as_json` gave."""
        made = cls(**data)
        for name in ("outcomes", "refused", "possible", "remarks"):
            setattr(made, name, Counter(getattr(made, name)))
        made.examples = [(int(line), place, why) for line, place, why in made.examples]
        return made

    def note(self, fate: Fate) -> None:
        """Counts a row."""
        self.rows += 1
        self.outcomes[fate.outcome] += 1
        if fate.outcome == "refused":
            _count(self.refused, fate.said)
            if len(self.examples) < _MOST_SHOWN:
                self.examples.append((fate.line, fate.place, fate.reason))
        elif fate.outcome == "possible":
            _count(self.possible, fate.reason)
        for each in fate.remarks:
            _count(self.remarks, each)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a row, or would; `place` is the column a reason is about, "" for the row."""

    line: int
    number: str
    outcome: Outcome
    reason: str = ""
    place: str = ""
    remarks: tuple[str, ...] = ()
    twice: bool = False  # the file says two things under one number

    @property
    def said(self) -> str:
        """The reason with its column."""
        return f"{self.place}: {self.reason}" if self.place else self.reason


def _count(counter: Counter[str], text: str) -> None:
    known = text in counter or len(counter) < _MOST_REASONS
    counter[text if known else _OTHER_REASONS] += 1
