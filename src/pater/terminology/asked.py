"""What $validate-code is asked and what it answers, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pater.terminology.issues import TxIssue
from pater.terminology.languages import NO_WISH, Wish
from pater.terminology.model import CodeSystem, Concept
from pater.terminology.resource_system import dicts, text
from pater.terminology.versions import joined

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Coding:
    """One code as it was asked, and where it stands (`Coding`, `CodeableConcept.coding[0]`, "")."""

    system: str
    version: str
    code: str
    display: str
    path: str

    def at(self, element: str) -> str:
        """The path of one of its elements."""
        return f"{self.path}.{element}" if self.path else element

    @property
    def whole(self) -> str:
        """The path of the coding itself."""
        return self.path or "code"

    @property
    def shown(self) -> str:
        """`system|version#code ('display')`, as messages say it."""
        display = f" ('{self.display}')" if self.display else ""
        return f"{joined(self.system, self.version)}#{self.code}{display}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be validated; `concept` is the CodeableConcept where one was sent."""

    codings: tuple[Coding, ...]
    concept: Json | None = None
    infer: bool = False

    @classmethod
    def of_coding(cls, raw: Json, path: str = "Coding") -> Asked:
        """A Coding, or with path "" the parameters code, system, version and display."""
        return cls((_coding(raw, path),))

    @classmethod
    def of_concept(cls, raw: Json) -> Asked:
        """A CodeableConcept."""
        return cls(
            tuple(
                _coding(each, f"CodeableConcept.coding[{n}]")
                for n, each in enumerate(dicts(raw, "coding"))
            ),
            raw,
        )


def _coding(raw: Json, path: str) -> Coding:
    return Coding(
        text(raw, "system"), text(raw, "version"), text(raw, "code"), text(raw, "display"), path
    )


@dataclass(frozen=True, slots=True)
class Choices:
    """How strictly to look."""

    wish: Wish = NO_WISH
    lenient: bool = False  # a wrong display is a warning
    active_only: bool = False
    abstract: bool = True
    membership_only: bool = False


@dataclass(slots=True)
class Answer:
    """The outcome; the parameters of the response come from it."""

    issues: list[TxIssue] = field(default_factory=list)
    coding: Coding | None = None
    system: CodeSystem | None = None
    concept: Concept | None = None
    display: str = ""
    concept_asked: Json | None = None
    unknown: dict[str, None] = field(default_factory=dict)
    causes: dict[str, None] = field(default_factory=dict)
    undecided: bool = False

    @property
    def result(self) -> bool:
        """True when nothing is wrong."""
        return not any(each.severity in ("error", "fatal") for each in self.issues)

    @property
    def message(self) -> str:
        """Everything worth telling, in one line."""
        return "; ".join(sorted({each.text for each in self.issues if each.told}))
