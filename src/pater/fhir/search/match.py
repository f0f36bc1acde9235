"""Whether a resource meets a search condition: the recheck of a hit against what it says."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from datetime import datetime
from typing import Any

from pater.fhir.references import parse_reference
from pater.fhir.search.composites import Composite, composites, elements
from pater.fhir.search.dates import date_span
from pater.fhir.search.extract import raw_values, values_of
from pater.fhir.search.parameters import Indexed, asked_as, indexed_parameters
from pater.fhir.search.places import metres_between, position_of
from pater.fhir.search.request import (
    And,
    CompositeTerm,
    Condition,
    DateTerm,
    MissingTerm,
    NearTerm,
    Node,
    Not,
    NumberTerm,
    Or,
    ReferenceTerm,
    StringTerm,
    TokenTerm,
    UriTerm,
    WordsTerm,
)
from pater.fhir.search.text import normalise
from pater.fhir.search.values import IndexValues, NumberValue, ReferenceValue, TokenValue
from pater.fhir.search.words import resource_words, words_match, words_of


def matches(condition: Condition, resource: dict[str, Any], index: IndexValues) -> bool:
    """Whether a resource, whose index values are `index`, meets a condition.

    Raises ValueError for conditions that reach beyond the resource (`chain`, `has`).
    """
    if condition.kind in ("chain", "has"):
        raise ValueError("a chained condition looks at other resources")
    if isinstance(condition.source, Indexed):
        index = values_of(condition.param, condition.source, resource)
    if condition.modifier == "missing":
        there = _present(condition, resource, index)
        return any(
            isinstance(term, MissingTerm) and term.missing is not there for term in condition.values
        )
    if condition.modifier == "not":
        return not _met(condition, resource, index)
    return _met(condition, resource, index)


def meets(node: Node, resource: dict[str, Any], index: IndexValues) -> bool | None:
    """As `matches` of a whole filter; None when that depends on other resources."""
    match node:
        case And(parts):
            found = [meets(part, resource, index) for part in parts]
            return False if False in found else None if None in found else True
        case Or(parts):
            found = [meets(part, resource, index) for part in parts]
            return True if True in found else None if None in found else False
        case Not(part):
            inner = meets(part, resource, index)
            return None if inner is None else not inner
        case Condition(kind="chain" | "has"):
            return None
        case _:
            return matches(node, resource, index)


def _present(condition: Condition, resource: dict[str, Any], index: IndexValues) -> bool:
    params = _params(condition, resource)
    match condition.kind:
        case "token" | "near":
            return any(value.param in params for value in index.tokens)
        case "reference":
            return any(value.param in params for value in index.references)
        case "string":
            return any(value.param in params for value in index.strings)
        case "date":
            return any(value.param in params for value in index.dates)
        case "number" | "quantity":
            return any(value.param in params for value in index.numbers)
        case "uri":
            return any(value.param in params for value in index.uris)
        case "id":
            return "id" in resource
        case _:
            return _updated(resource) is not None


def _params(condition: Condition, resource: dict[str, Any]) -> tuple[str, ...]:
    return asked_as(str(resource.get("resourceType")), condition.param)


def _met(condition: Condition, resource: dict[str, Any], index: IndexValues) -> bool:
    params, terms = _params(condition, resource), condition.values
    match condition.kind:
        case "token" | "reference" | "string" if condition.modifier == "text":
            texts = list(_texts(condition, resource))
            return any(
                text_matches(term, text)
                for term in terms
                if isinstance(term, StringTerm)
                for text in texts
            )
        case "composite":
            return _any_element(condition, resource)
        case "words":
            found, narrative = resource_words(resource)
            there = narrative if condition.param == "_text" else found
            return any(isinstance(t, WordsTerm) and words_match(t, there) for t in terms)
        case "token" if condition.modifier == "of-type":
            return _any_token(terms, [f"{param}:of-type" for param in params], index)
        case "token":
            return _any_token(terms, params, index)
        case "reference" if condition.modifier == "identifier":
            return _any_token(terms, [f"{param}:identifier" for param in params], index)
        case "reference":
            references = [value for value in index.references if value.param in params]
            return any(
                reference_matches(term, value)
                and (term.version is None or _states(term, condition, resource))
                for term in terms
                if isinstance(term, ReferenceTerm)
                for value in references
            )
        case "string":
            strings = [value.value for value in index.strings if value.param in params]
            return any(
                string_matches(term, condition.modifier, text)
                for term in terms
                if isinstance(term, StringTerm)
                for text in strings
            )
        case "date":
            spans = [(v.low, v.high) for v in index.dates if v.param in params]
            return _any_date(terms, spans)
        case "number" | "quantity":
            numbers = [value for value in index.numbers if value.param in params]
            return any(
                number_matches(term, value)
                for term in terms
                if isinstance(term, NumberTerm)
                for value in numbers
            )
        case "uri":
            uris = {value.value for value in index.uris if value.param in params}
            return any(
                isinstance(term, UriTerm) and uri_matches(term, condition.modifier, uri)
                for term in terms
                for uri in uris
            )
        case "near":
            at = position_of(resource)
            near = [term for term in terms if isinstance(term, NearTerm)]
            return at is not None and any(
                metres_between(at, (t.latitude, t.longitude)) <= t.metres for t in near
            )
        case "id":
            ident = resource.get("id")
            return any(isinstance(term, TokenTerm) and term.code == ident for term in terms)
        case _:
            updated = _updated(resource)
            return updated is not None and _any_date(terms, [updated])


def _updated(resource: dict[str, Any]) -> tuple[datetime, datetime] | None:
    meta = resource.get("meta")
    stated = meta.get("lastUpdated") if isinstance(meta, dict) else None
    if not isinstance(stated, str):
        return None
    try:
        # The very instant, as the store's column has it: not the span of its milliseconds.
        low = date_span(stated)[0]
    except ValueError:
        return None
    return low, low


def _any_element(condition: Condition, resource: dict[str, Any]) -> bool:
    """Whether one element has all the values of an alternative of a composite condition."""
    made = condition.source
    if not isinstance(made, Composite):
        made = composites(str(resource.get("resourceType")))[condition.param]
    alternatives = [term for term in condition.values if isinstance(term, CompositeTerm)]
    return any(
        all(
            _met(part, resource, values)
            for part, values in zip(term.parts, each, strict=True)
        )
        for each in elements(made, resource)
        for term in alternatives
    )  # fmt: skip


def _texts(condition: Condition, resource: dict[str, Any]) -> Iterator[str]:
    """How the codes, identifiers, references or texts of a parameter are shown to people."""
    known = indexed_parameters(str(resource.get("resourceType")))
    for param in _params(condition, resource):
        parameter = condition.source if condition.source is not None else known[param]
        for value in raw_values(parameter, resource):
            yield from _shown(value)


def _states(term: ReferenceTerm, condition: Condition, resource: dict[str, Any]) -> bool:
    """Whether a reference names the version that is asked for."""
    known = indexed_parameters(str(resource.get("resourceType")))
    for param in _params(condition, resource):
        parameter = condition.source if condition.source is not None else known[param]
        for value in raw_values(parameter, resource):
            text = value.get("reference") if isinstance(value, dict) else value
            ref = parse_reference(text) if isinstance(text, str) else None
            if ref and ref.id == term.id and ref.type in term.types and ref.version == term.version:
                return True
    return False


def _shown(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        return
    if not isinstance(value, dict):
        return
    for key in ("text", "display"):
        if isinstance(value.get(key), str):
            yield value[key]
    codings = value.get("coding")
    for coding in codings if isinstance(codings, list) else ():
        yield from _shown(coding)
    if isinstance(value.get("type"), dict):  # of an Identifier
        yield from _shown(value["type"])
    for key in ("family", "given", "line", "city"):
        part = value.get(key)
        yield from (each for each in (part if isinstance(part, list) else [part])
                    if isinstance(each, str))  # fmt: skip


def _any_token(terms: Iterable[object], params: Container[str], index: IndexValues) -> bool:
    tokens = [value for value in index.tokens if value.param in params]
    return any(
        token_matches(term, value)
        for term in terms
        if isinstance(term, TokenTerm)
        for value in tokens
    )


def _any_date(terms: Iterable[object], spans: list[tuple[datetime, datetime]]) -> bool:
    return any(
        date_matches(term, low, high)
        for term in terms
        if isinstance(term, DateTerm)
        for low, high in spans
    )


def token_matches(term: TokenTerm, value: TokenValue) -> bool:
    """`code` in any system, `system|code`, `|code` without system, `system|` with any code."""
    if term.code is not None and term.code != value.code:
        return False
    return term.system is None or term.system == (value.system or "")


def reference_matches(term: ReferenceTerm, value: ReferenceValue) -> bool:
    """The same resource here, or literally the same URL."""
    if term.id is not None:
        return value.id == term.id and value.type in term.types
    return value.url is not None and value.url == term.url


def string_matches(term: StringTerm, modifier: str | None, text: str) -> bool:
    """Begins with (default), is exactly, or contains; but for `exact` case and marks are equal."""
    if modifier == "exact":
        return text == term.text
    wanted, found = normalise(term.text), normalise(text)
    match modifier:
        case "contains":
            return wanted in found
        case "equal":
            return found == wanted
        case "ends":
            return found.endswith(wanted)
    return found.startswith(wanted)


def text_matches(term: StringTerm, text: str) -> bool:
    """`:text`: every word asked for begins a word of the text."""
    found = words_of(text)
    return all(any(each.startswith(word) for each in found) for word in words_of(term.text))


def uri_matches(term: UriTerm, modifier: str | None, uri: str) -> bool:
    """The same URI; `below` one that goes on behind it at a slash; `above` the other way round."""
    if modifier == "below":
        return uri == term.value or uri.startswith(f"{term.value.rstrip('/')}/")
    if modifier == "above":
        return uri == term.value or term.value.startswith(f"{uri.rstrip('/')}/")
    return uri == term.value


def date_matches(term: DateTerm, low: datetime, high: datetime) -> bool:
    """A prefix over a span of time, all ends included (FHIR R4 search, "Prefixes")."""
    inside = term.low <= low and high <= term.high
    match term.prefix:
        case "eq":
            return inside
        case "ne":
            return not inside
        case "gt":
            return high > term.high
        case "lt":
            return low < term.low
        case "ge":
            return inside or high > term.high
        case "le":
            return inside or low < term.low
        case "sa":
            return low > term.high
        case "eb":
            return high < term.low
        case "ap":
            return low <= term.high and high >= term.low


def number_matches(term: NumberTerm, value: NumberValue) -> bool:
    """A prefix over a number or range, of the unit asked for (FHIR R4 search, "Prefixes")."""
    if (term.system, term.code) != (value.system, value.code):
        return False
    inside = term.low <= value.low and value.high < term.high
    match term.prefix:
        case "eq":
            return inside
        case "ne":
            return not inside
        case "gt":
            return value.high > term.value
        case "lt":
            return value.low < term.value
        case "ge":
            return value.high >= term.value
        case "le":
            return value.low <= term.value
        case "sa":
            return value.low > term.value
        case "eb":
            return value.high < term.value
        case "ap":
            return value.low <= term.high and value.high >= term.low
