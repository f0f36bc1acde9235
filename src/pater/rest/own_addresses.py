"""Addresses of this server in a search: the same as `Type/id` (FHIR R4 search, "reference")."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pater.fhir.references import parse_reference
from pater.fhir.search.query import Condition, ReferenceTerm, SearchRequest, Value
from pater.fhir.search.request import with_leaves


def with_own_addresses(request: SearchRequest, base_url: str) -> SearchRequest:
    """The search with references to `base_url`/Type/id also asked for as Type/id.

    The address itself stays asked for: a resource may have been stored with it.
    """
    base = f"{base_url}/"
    conditions = tuple(_condition(each, base) for each in request.conditions)
    if request.filter is not None:
        changed = with_leaves(request.filter, lambda each: _condition(each, base))
        request = replace(request, filter=changed)
    return request if conditions == request.conditions else replace(request, conditions=conditions)


def _condition(condition: Condition, base: str) -> Condition:
    values = tuple(value for given in condition.values for value in _values(given, base))
    chain = tuple(
        replace(each, condition=_condition(each.condition, base)) for each in condition.chain
    )
    # the index knows no versions
    exact = any(isinstance(each, ReferenceTerm) and each.version for each in values)
    return replace(condition, values=values, chain=chain, loose=condition.loose or exact)


def _values(value: Value, base: str) -> Iterator[Value]:
    yield value
    if isinstance(value, ReferenceTerm) and value.url and value.url.startswith(base):
        ref = parse_reference(value.url.removeprefix(base))
        if ref.kind == "relative" and ref.type in value.types:
            yield ReferenceTerm((ref.type,), ref.id, None, ref.version)
