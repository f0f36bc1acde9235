"""FHIRPath over plain JSON: compile an expression for a type once, evaluate it often.

The whole of FHIRPath N1 as R4 uses it, and of the later drafts what the public suite asks for.
Paths that no value of the type can have are refused when compiled. `engine` is the language;
`compile` is the straight way for the paths of search parameters, over bare values.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pater.fhir.definitions import type_kind
from pater.fhir.fhirpath.engine import compile_part
from pater.fhir.fhirpath.items import Environment, EvaluationError, Items, Quantity, Scope, truth
from pater.fhir.fhirpath.parser import FhirPathError, parse
from pater.fhir.fhirpath.parts import Fn, Place
from pater.fhir.fhirpath.types import TypeRef, resource_type

__all__ = [
    "Environment",
    "EvaluationError",
    "Expression",
    "FhirPathError",
    "Quantity",
    "compile_expression",
    "parse",
]


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression; safe to share, it keeps no state.

    Every way to evaluate it raises EvaluationError where the language says that there is an
    error (several values where one is wanted, types that an operator has no meaning for).
    """

    text: str
    type_name: str
    fn: Fn

    def items(self, value: Any, environment: Environment | None = None) -> Items:
        """The resulting collection: type, value and what extends a primitive."""
        own = Environment(value) if environment is None else environment
        start: Items = []
        if value is not None:
            kind = TypeRef(self.type_name)
            if self.type_name in ("Resource", "DomainResource"):
                kind = resource_type(value)
            start = [(kind, value, None)]
        if not own.context:
            own.context = start
        return self.run(start, Scope(own, 0, []))

    def run(self, focus: Items, scope: Scope) -> Items:
        """As `items`, for a caller that has items already."""
        try:
            return self.fn(focus, scope)
        except (ArithmeticError, TypeError, RecursionError) as problem:
            # A value that is not what its type says, or a number out of all range.
            raise EvaluationError(f"these values do not fit their types: {problem}") from problem

    def evaluate(self, value: Any, environment: Environment | None = None) -> list[Any]:
        """The resulting collection of plain JSON values, in order."""
        return [_plain(each) for _, each, _ in self.items(value, environment) if each is not None]

    def typed(
        self, value: Any, environment: Environment | None = None
    ) -> list[tuple[TypeRef, Any]]:
        """The resulting collection with the FHIR or System type of each value."""
        return [
            (kind, each) for kind, each, _ in self.items(value, environment) if each is not None
        ]

    def holds(self, value: Any, environment: Environment | None = None) -> bool:
        """Whether the expression is true of the value (empty is not)."""
        return truth(self.items(value, environment)) is True


def _plain(value: Any) -> Any:
    if isinstance(value, Quantity):
        return {"value": value.value, "unit": value.unit}
    return value


@lru_cache(maxsize=4096)
def compile_expression(
    text: str, type_name: str, variables: frozenset[str] = frozenset()
) -> Expression:
    """Compile an expression that starts from a resource or data type of that name.

    `variables` are the names (without `%`) that the environment will bring. Raises FhirPathError
    when it cannot be parsed, names an element the type does not have, or what R4 does not know.
    """
    known = None if type_name in ("Resource", "DomainResource") else frozenset((type_name,))
    resource = known if type_kind(type_name) == "resource" else None
    try:
        part = compile_part(parse(text), Place(known, resource, variables))
    except RecursionError as problem:
        raise FhirPathError("the expression is nested too deep") from problem
    return Expression(text, type_name, part.fn)
