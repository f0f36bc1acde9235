"""One search parameter of a request to a Condition, chains and `_has` included."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from pater.fhir.definitions import TYPE_NUMBER, search_parameters
from pater.fhir.search.parameters import Indexed, indexed_parameters
from pater.fhir.search.request import Chain, Condition, Kind, MissingTerm, Value
from pater.fhir.search.terms import (
    BadValueError,
    date_term,
    id_term,
    number_term,
    quantity_term,
    reference_term,
    split_values,
    string_term,
    token_term,
    uri_term,
)

_MAX_VALUES = 1000
_MAX_CHAIN = 4
_MAX_BRANCHES = 20
# A chain over a reference to anything is tried on each type it may mean; a request may try as
# many (well below a hundredth of a second), then it is too costly.
_MAX_STEPS = 5000
_MODIFIERS = {
    "token": ("not",),
    "string": ("exact", "contains"),
    "reference": ("identifier",),
    "id": ("not",),
}


class RefusalError(Exception):
    """One thing that is wrong with a parameter: the code of its issue and its text."""

    def __init__(self, text: str, code: str = "invalid") -> None:
        super().__init__(text)
        self.code = code


class ConditionReader:
    """Reads the conditions of one request; keeps count of how much they ask to be tried."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._steps = 0

    def read(self, type_name: str, name: str, value: str, depth: int = 0) -> Condition:
        """The condition of a parameter of `type_name`; `depth` counts the links before it.

        Raises RefusalError and BadValueError.
        """
        self._steps += 1
        if depth > _MAX_CHAIN or self._steps > _MAX_STEPS:
            raise RefusalError("too many chains, or a chain with too many links", "too-costly")
        if name.startswith("_has:"):
            return self._has(type_name, name, value, depth)
        head, dot, rest = name.partition(".")
        code, colon, modifier = head.partition(":")
        if colon and not modifier:
            raise RefusalError("a modifier is missing")
        if dot:
            return self._chain(type_name, code, modifier, rest, value, depth)
        if code == "_id":
            return _simple(code, "id", modifier, value, id_term)
        if code == "_lastUpdated":
            return _simple(code, "lastUpdated", modifier, value, date_term)
        return _indexed(code, _parameter(type_name, code), modifier, value, self._base_url)

    def _chain(
        self, type_name: str, code: str, modifier: str, rest: str, value: str, depth: int
    ) -> Condition:
        parameter = _parameter(type_name, code)
        if parameter.definition.type != "reference":
            raise RefusalError("this is no reference: nothing can follow it")
        targets = parameter.targets
        if modifier:
            if modifier not in targets:
                raise RefusalError("this parameter does not refer to such a type", "value")
            targets = (modifier,)
        links, problem = self._links(targets, rest, value, depth)
        if not links:
            raise problem or RefusalError("no resource it refers to has such a parameter")
        if len(links) > _MAX_BRANCHES:
            raise RefusalError(
                f"too many types have it: name one as in {code}:Patient.…", "too-costly"
            )
        return Condition(code, "chain", modifier or None, chain=tuple(links))

    def _links(
        self, targets: tuple[str, ...], rest: str, value: str, depth: int
    ) -> tuple[list[Chain], Exception | None]:
        """What the rest means for each target type that knows it; else the most telling fault."""
        links: list[Chain] = []
        problem: Exception | None = None
        for target in targets:
            try:
                links.append(Chain(target, self.read(target, rest, value, depth + 1)))
            except (RefusalError, BadValueError) as refused:
                # An unknown parameter says less than a bad value of a known one.
                known = not isinstance(refused, RefusalError) or refused.code != "not-supported"
                problem = refused if problem is None or known else problem
                if isinstance(refused, RefusalError) and refused.code == "too-costly":
                    raise
            if len(links) > _MAX_BRANCHES:
                break
        return links, problem

    def _has(self, type_name: str, name: str, value: str, depth: int) -> Condition:
        """`_has:Observation:patient:code=…`: what refers to the searched type, and how."""
        parts = name.split(":", 3)
        if len(parts) != 4:
            raise RefusalError("expected _has:Type:reference:parameter")
        _, source, code, rest = parts
        if source not in TYPE_NUMBER:
            raise RefusalError("R4 has no such resource type", "value")
        parameter = _parameter(source, code)
        if parameter.definition.type != "reference" or type_name not in parameter.targets:
            raise RefusalError(f"it does not refer to {type_name}", "value")
        return Condition(
            code, "has", chain=(Chain(source, self.read(source, rest, value, depth + 1)),)
        )


def _parameter(type_name: str, code: str) -> Indexed:
    found = indexed_parameters(type_name).get(code)
    if found is not None:
        return found
    if code in search_parameters(type_name):
        raise RefusalError("not supported in this release", "not-supported")
    raise RefusalError(f"{type_name} has no such search parameter", "not-supported")


def _indexed(code: str, parameter: Indexed, modifier: str, value: str, base_url: str) -> Condition:
    kind = cast(Kind, parameter.definition.type)
    term: Callable[[str], Value]
    match kind:
        case "token":
            term = token_term
        case "string":
            return _simple(code, kind, modifier, value, lambda text: string_term(text, modifier))
        case "date":
            term = date_term
        case "number":
            term = number_term
        case "quantity":
            term = quantity_term
        case "uri":
            term = uri_term
        case _ if modifier == "identifier":
            term = token_term
        case _:
            return _reference(code, parameter, modifier, value, base_url)
    return _simple(code, kind, modifier, value, term)


def _reference(
    code: str, parameter: Indexed, modifier: str, value: str, base_url: str
) -> Condition:
    targets = parameter.targets
    wanted = modifier if modifier in TYPE_NUMBER else None
    if wanted is not None and wanted not in targets:
        raise RefusalError(f"this parameter does not refer to {wanted}", "value")

    def term(text: str) -> Value:
        return reference_term(text, wanted, targets, base_url)

    return _simple(code, "reference", modifier, value, term, allowed=wanted)


def _simple(
    code: str,
    kind: Kind,
    modifier: str,
    value: str,
    term: Callable[[str], Value],
    *,
    allowed: str | None = None,
) -> Condition:
    if modifier == "missing":
        if value not in ("true", "false"):
            raise RefusalError("expected true or false", "value")
        return Condition(code, kind, modifier, (MissingTerm(value == "true"),))
    if modifier and modifier != allowed and modifier not in _MODIFIERS.get(kind, ()):
        raise RefusalError("this modifier is not supported here", "not-supported")
    texts = split_values(value)
    if len(texts) > _MAX_VALUES:
        raise RefusalError(f"more than {_MAX_VALUES} values", "too-costly")
    return Condition(code, kind, modifier or None, tuple(dict.fromkeys(map(term, texts))))
