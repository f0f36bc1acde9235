"""The queries of subscriptions and topics: search conditions that one resource alone can answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.search.index import index_values
from pater.fhir.search.query import Condition, SearchError, SearchRequest, matches, parse_search
from pater.rest.own_addresses import with_own_addresses

LONGEST: Final = 4000
_MOST: Final = 40


class CriteriaError(ValueError):
    """A query that cannot be followed; the text says why and repeats no value of it."""


def split_criteria(text: str) -> tuple[str, str]:
    """`Type?query` as type and query; the query may be absent. Raises CriteriaError."""
    type_, _, query = text.partition("?")
    if type_ not in TYPE_NUMBER:
        raise CriteriaError("expected Type?parameters of an R4 resource type, or a known topic")
    return type_, query


def parse_pairs(query: str) -> list[tuple[str, str]]:
    """The parameters of a query text, decoded. Raises CriteriaError."""
    if len(query) > LONGEST:
        raise CriteriaError(f"the query is longer than {LONGEST} characters")
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MOST)
    except ValueError:
        raise CriteriaError("the query cannot be read") from None


@lru_cache(maxsize=4096)
def conditions_of(type: str, query: str, base_url: str = "") -> tuple[Condition, ...]:
    """The conditions of a query on a type. Raises CriteriaError.

    Only what can be told from the resource itself: no chains, no `_has`, nothing about the answer.
    """
    return read_conditions(type, parse_pairs(query), base_url)


def read_conditions(
    type: str, pairs: Sequence[tuple[str, str]], base_url: str = ""
) -> tuple[Condition, ...]:
    """As `conditions_of`, of parameters that are decoded already."""
    if not pairs:
        return ()
    try:
        request = with_own_addresses(parse_search(type, pairs), base_url)
    except SearchError as error:
        raise CriteriaError("; ".join(issue.text for issue in error.issues)) from None
    if request.coded:
        raise CriteriaError("value sets and hierarchies of codes are not followed")
    if any(each.kind in ("chain", "has") for each in request.conditions):
        raise CriteriaError("chained parameters and _has look at other resources: not followed")
    if request != SearchRequest(type, request.conditions):
        raise CriteriaError("only search parameters of the resource itself can be followed")
    probe = {"resourceType": type}
    try:
        for condition in request.conditions:
            matches(condition, probe, index_values(type, probe))
    except ValueError:
        raise CriteriaError("this parameter looks beyond the resource: not followed") from None
    return request.conditions
