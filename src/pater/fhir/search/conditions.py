"""One search parameter of a request to a Condition, chains and `_has` included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from pater.fhir.definitions import TYPE_NUMBER, search_parameters
from pater.fhir.search.composites import Composite, composites
from pater.fhir.search.custom import NONE, Custom
from pater.fhir.search.functional_lists import FUNCTIONAL
from pater.fhir.search.parameters import Indexed, indexed_parameters
from pater.fhir.search.places import NEAR
from pater.fhir.search.request import (
    Chain,
    CompositeTerm,
    Condition,
    DateTerm,
    Kind,
    MissingTerm,
    ReferenceTerm,
    Value,
)
from pater.fhir.search.terms import (
    BadValueError,
    boolean_term,
    components,
    date_term,
    id_term,
    near_term,
    number_term,
    of_type_term,
    quantity_term,
    reference_term,
    search_words,
    shown_term,
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
    "token": ("not", "text", "code-text", "in", "not-in", "above", "below", "of-type"),
    "string": ("exact", "contains", "text"),
    "reference": ("identifier", "text", "code-text", "above", "below"),
    "uri": ("above", "below"),
    "id": ("not",),
}
_SHOWN = ("text", "code-text")
HIERARCHIES = ("Location", "Organization")
"""What a reference with `:above` and `:below` can name (R4 search, "Searching Hierarchies")."""
_LOOKED_UP = ("in", "not-in", "above", "below")
_PREFIXES = ("gt", "lt", "ge", "le", "sa", "eb", "ap", "ne")


class RefusalError(Exception):
    """One thing that is wrong with a parameter: the code of its issue and its text."""

    def __init__(self, text: str, code: str = "invalid") -> None:
        super().__init__(text)
        self.code = code


class ConditionReader:
    """Reads the conditions of one request; keeps count of how much they ask to be tried."""

    def __init__(self, base_url: str, custom: Custom = NONE, *, whole: bool = False) -> None:
        self._base_url = base_url
        self._custom = custom
        self._whole = whole
        self._steps = 0
        self.words = False
        """Whether a condition looks at the words of resources."""
        self.coded = False
        """Whether a condition has to be looked up in the terminology."""

    def read(
        self, type_name: str, name: str, value: str, depth: int = 0, operator: str = ""
    ) -> Condition:
        """The condition of a parameter of `type_name`; `depth` counts the links before it.

        With the `operator` of a filter the value is one, in the filter's way of writing.
        Raises RefusalError and BadValueError.
        """
        found = self._one(type_name, name, value, depth, operator)
        if found.kind == "words" or found.modifier == "text":
            self.words = True
        elif found.kind in ("token", "reference") and found.modifier in _LOOKED_UP:
            self.coded = True
        if (self.words or self.coded) and not self._whole:
            raise RefusalError("this is not supported here", "not-supported")
        return found

    def _one(self, type_name: str, name: str, value: str, depth: int, operator: str) -> Condition:
        self._steps += 1
        if depth > _MAX_CHAIN or self._steps > _MAX_STEPS:
            raise RefusalError("too many chains, or a chain with too many links", "too-costly")
        if name.startswith("_has:"):
            return self._has(type_name, name, value, depth, operator)
        head, dot, rest = name.partition(".")
        code, colon, modifier = head.partition(":")
        if colon and not modifier:
            raise RefusalError("a modifier is missing")
        if dot:
            return self._chain(type_name, code, modifier, rest, value, depth, operator)
        if operator:
            return self._filtered(type_name, code, modifier, operator, value)
        if code == "_id":
            return _simple(code, "id", modifier, value, id_term)
        if code == "_lastUpdated":
            return _simple(code, "lastUpdated", modifier, value, date_term)
        if code in ("_text", "_content"):
            return _simple(code, "words", modifier, value, search_words)
        if code == "_list":
            return self._list(type_name, modifier, value, depth)
        if code == NEAR and type_name == "Location":
            return _near(modifier, value)
        return self._leaf(type_name, code, modifier, value)

    def _leaf(self, type_name: str, code: str, modifier: str, value: str) -> Condition:
        found, source = self.parameter(type_name, code)
        if isinstance(found, Composite):
            return self._composite(type_name, code, found, modifier, value, source)
        return _indexed(code, found, modifier, value, self._base_url, source)

    def parameter(self, type_name: str, code: str) -> tuple[Indexed | Composite, object]:
        """A parameter, and its definition once more when it is not one of R4. RefusalError."""
        found: Indexed | Composite | None = indexed_parameters(type_name).get(code)
        if found is not None:
            return found, None
        found = composites(type_name).get(code)
        if found is not None:
            return found, None
        if code in search_parameters(type_name):
            raise RefusalError("not supported in this release", "not-supported")
        found = self._custom.of(type_name).get(code)
        if found is None:
            raise RefusalError(f"{type_name} has no such search parameter", "not-supported")
        progress = self._custom.progress.get((type_name, code))
        if progress is not None:
            raise RefusalError(f"its index is being built, {progress}: ask later", "transient")
        return found, found

    def _composite(
        self, type_name: str, code: str, made: Composite, modifier: str, value: str, source: object
    ) -> Condition:
        if modifier:
            raise RefusalError("a composite parameter takes no modifier", "not-supported")
        texts = split_values(value)
        if len(texts) > _MAX_VALUES:
            raise RefusalError(f"more than {_MAX_VALUES} values", "too-costly")
        terms = []
        for text in texts:
            parts = components(text)
            if len(parts) != len(made.components) or not all(parts):
                raise BadValueError(f"expected {len(made.components)} values with $ between")
            conditions = []
            for component, part in zip(made.components, parts, strict=True):
                self._steps += 1
                own = self._custom.of(type_name).get(component.code)
                one = component.code, component.parameter, "", part, self._base_url, own
                # an unescaped comma parted the alternatives before
                conditions.append(_indexed(*one, several=False))
            terms.append(CompositeTerm(tuple(conditions)))
        values = tuple(dict.fromkeys(terms))
        return Condition(
            code, "composite", None, values, loose=not made.whole, source=source
        )  # fmt: skip

    def _list(self, type_name: str, modifier: str, value: str, depth: int) -> Condition:
        """`_list=42`: the resources that the List names."""
        if modifier:
            raise RefusalError("this modifier is not supported here", "not-supported")
        if value.startswith("$"):
            raise RefusalError("such a list cannot be asked for here", "not-supported")
        return self._has(type_name, "_has:List:item:_id", value, depth, "")

    def _filtered(
        self, type_name: str, code: str, modifier: str, operator: str, value: str
    ) -> Condition:
        """One comparison of a `_filter` (R4 3.1.3), but for `ne` of what has no order."""
        if modifier:
            raise RefusalError("a filter takes no modifiers")
        plain = value.replace("\\", "\\\\").replace("$", "\\$")
        if code == "_id":
            return _compared(code, "id", operator, {"eq": ("", id_term)}, value, None)
        if code == "_lastUpdated":
            return _by_date(code, "lastUpdated", operator, value, None)
        if code in ("_text", "_content"):
            ways: _Ways = {"eq": ("", search_words), "co": ("", search_words)}
            return _compared(code, "words", operator, ways, plain, None)
        if code == NEAR and type_name == "Location" and operator != "pr":
            return _compared(code, NEAR, operator, {"eq": ("", near_term)}, value, None)
        found, source = self.parameter(type_name, code)
        if isinstance(found, Composite):
            raise RefusalError("a composite parameter is not compared in a filter")
        kind = cast(Kind, found.definition.type)
        if operator == "pr":
            turned = {"true": "false", "false": "true"}.get(value, value)
            return _indexed(code, found, "missing", turned, self._base_url, source)
        match kind:
            case "date":
                return _by_date(code, kind, operator, value, source)
            case "number" | "quantity":
                term = number_term if kind == "number" else quantity_term
                if operator != "eq" and operator not in _PREFIXES:
                    raise _no_operator(operator, kind)
                return _simple(code, kind, "", operator + value, term, source=source, several=False)
            case "string":
                ways = {
                    "eq": ("equal", lambda text: string_term(text, "")),
                    "co": ("contains", lambda text: string_term(text, "contains")),
                    "sw": ("", lambda text: string_term(text, "")),
                    "ew": ("ends", lambda text: string_term(text, "ends")),
                }
                return _compared(code, kind, operator, ways, plain, source)
            case "token":
                ways = {
                    "eq": ("", boolean_term if _boolean(found) else token_term),
                    "in": ("in", uri_term),
                    "ss": ("below", token_term),
                    "sb": ("above", token_term),
                    "co": ("text", shown_term),
                }
                return _compared(code, kind, operator, ways, value, source)
            case "uri":
                ways = {"eq": ("", uri_term), "sw": ("below", uri_term)}
                return _compared(code, kind, operator, ways, value, source)
        if operator not in ("eq", "re"):
            raise _no_operator(operator, kind)
        return _reference(code, found, "", value, self._base_url, source)

    def _chain(
        self, type_name: str, code: str, modifier: str, rest: str, value: str, depth: int,
        operator: str,
    ) -> Condition:  # fmt: skip
        parameter, _ = self.parameter(type_name, code)
        if isinstance(parameter, Composite) or parameter.definition.type != "reference":
            raise RefusalError("this is no reference: nothing can follow it")
        targets = parameter.targets
        if modifier:
            if modifier not in targets:
                raise RefusalError("this parameter does not refer to such a type", "value")
            targets = (modifier,)
        links, problem = self._links(targets, rest, value, depth, operator)
        if not links:
            raise problem or RefusalError("no resource it refers to has such a parameter")
        if len(links) > _MAX_BRANCHES:
            raise RefusalError(
                f"too many types have it: name one as in {code}:Patient.…", "too-costly"
            )
        return Condition(code, "chain", modifier or None, chain=tuple(links))

    def _links(
        self, targets: tuple[str, ...], rest: str, value: str, depth: int, operator: str
    ) -> tuple[list[Chain], Exception | None]:
        """What the rest means for each target type that knows it; else the most telling fault."""
        links: list[Chain] = []
        problem: Exception | None = None
        for target in targets:
            try:
                links.append(Chain(target, self.read(target, rest, value, depth + 1, operator)))
            except (RefusalError, BadValueError) as refused:
                # An unknown parameter says less than a bad value of a known one.
                known = not isinstance(refused, RefusalError) or refused.code != "not-supported"
                problem = refused if problem is None or known else problem
                if isinstance(refused, RefusalError) and refused.code == "too-costly":
                    raise
            if len(links) > _MAX_BRANCHES:
                break
        return links, problem

    def _has(self, type_name: str, name: str, value: str, depth: int, operator: str) -> Condition:
        """`_has:Observation:patient:code=…`: what refers to the searched type, and how."""
        parts = name.split(":", 3)
        if len(parts) != 4:
            raise RefusalError("expected _has:Type:reference:parameter")
        _, source, code, rest = parts
        if source not in TYPE_NUMBER:
            raise RefusalError("R4 has no such resource type", "value")
        parameter, own = self.parameter(source, code)
        if (
            isinstance(parameter, Composite)
            or parameter.definition.type != "reference"
            or type_name not in parameter.targets
        ):
            raise RefusalError(f"it does not refer to {type_name}", "value")
        inner = self.read(source, rest, value, depth + 1, operator)
        return Condition(code, "has", chain=(Chain(source, inner),), source=own)


def functional_list(type_name: str, value: str) -> tuple[tuple[str, str], ...]:
    """The parameters that `_list=$…` stands for, searched of one type. Raises RefusalError."""
    if value not in FUNCTIONAL:
        raise RefusalError(f"the lists that are functions are {', '.join(FUNCTIONAL)}", "value")
    found = FUNCTIONAL[value].get(type_name)
    if found is None:
        types = " and ".join(FUNCTIONAL[value])
        raise RefusalError(f"on {value} are resources of type {types}", "value")
    return found


def _near(modifier: str, value: str) -> Condition:
    found = _simple(NEAR, NEAR, modifier, value, near_term)
    # the cells that the index knows are more than the circle
    return found if modifier else replace(found, loose=True)


def _boolean(parameter: Indexed) -> bool:
    kinds = (each.code.type for each in parameter.alternatives)
    return any(kind is not None and kind.name == "boolean" for kind in kinds)


_Ways = dict[str, tuple[str, Callable[[str], Value]]]


def _no_operator(operator: str, kind: str) -> RefusalError:
    return RefusalError(f"{operator} does not compare a parameter of type {kind}", "not-supported")


def _compared(
    code: str, kind: Kind, operator: str, ways: _Ways, value: str, source: object
) -> Condition:
    if operator not in ways:
        raise _no_operator(operator, kind)
    modifier, term = ways[operator]
    loose = modifier == "text" or kind == NEAR
    return Condition(code, kind, modifier or None, (term(value),), loose=loose, source=source)


def _by_date(code: str, kind: Kind, operator: str, value: str, source: object) -> Condition:
    if operator == "po":  # the periods have some time in common
        term = date_term(value)
        overlap = DateTerm("ap", term.low, term.high)
        return Condition(code, kind, None, (overlap,), source=source)
    if operator != "eq" and operator not in _PREFIXES:
        raise _no_operator(operator, kind)
    return _simple(code, kind, "", operator + value, date_term, source=source, several=False)


def _indexed(
    code: str,
    parameter: Indexed,
    modifier: str,
    value: str,
    base_url: str,
    source: object = None,
    *,
    several: bool = True,
) -> Condition:
    kind = cast(Kind, parameter.definition.type)
    term: Callable[[str], Value]
    match kind:
        case "token" | "reference" | "string" if modifier in _SHOWN:
            term = shown_term
        case "token" if modifier in ("in", "not-in"):
            term = uri_term
        case "token" if modifier == "of-type":
            term = of_type_term
        case "token":
            term = boolean_term if _boolean(parameter) else token_term
        case "string":
            return _simple(
                code, kind, modifier, value, lambda text: string_term(text, modifier),
                source=source, several=several,
            )  # fmt: skip
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
            return _reference(
                code, parameter, modifier, value, base_url, source, several=several
            )  # fmt: skip
    return _simple(code, kind, modifier, value, term, source=source, several=several)


def _reference(
    code: str,
    parameter: Indexed,
    modifier: str,
    value: str,
    base_url: str,
    source: object = None,
    *,
    several: bool = True,
) -> Condition:
    targets = parameter.targets
    wanted = modifier if modifier in TYPE_NUMBER else None
    if wanted is not None and wanted not in targets:
        raise RefusalError(f"this parameter does not refer to {wanted}", "value")

    def term(text: str) -> Value:
        return reference_term(text, wanted, targets, base_url)

    found = _simple(
        code, "reference", modifier, value, term, allowed=wanted, source=source, several=several
    )
    if modifier in ("above", "below"):
        return _hierarchical(found)
    # the index knows no versions
    exact = any(isinstance(each, ReferenceTerm) and each.version for each in found.values)
    return replace(found, loose=True) if exact else found


def _hierarchical(condition: Condition) -> Condition:
    """Only what is part of its like has something above and below it."""
    values: list[Value] = []
    for term in condition.values:
        known = term.types if isinstance(term, ReferenceTerm) and term.id else ()
        types = tuple(each for each in known if each in HIERARCHIES)
        if not isinstance(term, ReferenceTerm) or len(types) != 1:
            raise BadValueError(f"expected the address of one of {', '.join(HIERARCHIES)} here")
        values.append(ReferenceTerm(types, term.id, None))
    return replace(condition, values=tuple(values))


def _simple(
    code: str,
    kind: Kind,
    modifier: str,
    value: str,
    term: Callable[[str], Value],
    *,
    allowed: str | None = None,
    source: object = None,
    several: bool = True,
) -> Condition:
    if modifier == "missing":
        if value not in ("true", "false"):
            raise RefusalError("expected true or false", "value")
        missing = (MissingTerm(value == "true"),)
        return Condition(code, kind, modifier, missing, source=source)
    if modifier and modifier != allowed and modifier not in _MODIFIERS.get(kind, ()):
        raise RefusalError("this modifier is not supported here", "not-supported")
    texts = split_values(value) if several else [value]
    if len(texts) > _MAX_VALUES:
        raise RefusalError(f"more than {_MAX_VALUES} values", "too-costly")
    values = tuple(dict.fromkeys(map(term, texts)))
    if modifier in _SHOWN:
        return Condition(code, kind, "text", values, loose=True, source=source)
    return Condition(code, kind, modifier or None, values, source=source)
