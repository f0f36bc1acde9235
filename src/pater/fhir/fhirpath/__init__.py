"""FHIRPath over plain JSON: compile an expression for a type once, evaluate it often.

The subset that R4 search parameters and simple conditions use: paths with choice elements,
unions, indexers, literals, comparisons, boolean logic, types (`is`, `as`, `ofType`,
`resolve() is T`), `where`, `select`, `exists`, `all`, `extension` and the functions of
`functions`. Anything else is refused when it is compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pater.fhir.fhirpath.compile import Code, Context, compile_node, mixed, plain
from pater.fhir.fhirpath.operators import truth
from pater.fhir.fhirpath.parser import FhirPathError, parse
from pater.fhir.fhirpath.types import TypeRef

__all__ = ["Expression", "FhirPathError", "compile_expression", "parse"]


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression; safe to share, it keeps no state."""

    text: str
    code: Code

    def evaluate(self, value: Any) -> list[Any]:
        """The resulting collection of plain JSON values, in order."""
        return plain(self.code)(_start(value), value)

    def typed(self, value: Any) -> list[tuple[TypeRef, Any]]:
        """The resulting collection with the FHIR type of each value."""
        return mixed(self.code)(_start(value), value)

    def holds(self, value: Any) -> bool:
        """Whether the expression is true of the value (empty is not)."""
        return truth(self.evaluate(value)) is True


def _start(value: Any) -> list[Any]:
    return [] if value is None else [value]


@lru_cache(maxsize=4096)
def compile_expression(text: str, type_name: str) -> Expression:
    """Compile an expression that starts from a resource or data type of that name.

    Raises FhirPathError when it cannot be parsed, names an element the type does not have, or
    uses what this engine does not support.
    """
    start = TypeRef(type_name)
    return Expression(text, compile_node(parse(text), Context(start, start)))
