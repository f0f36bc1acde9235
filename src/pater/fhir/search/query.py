"""Search requests: from parameters to conditions, and whether a resource meets one."""

from __future__ import annotations

from pater.fhir.search.match import matches
from pater.fhir.search.parse import parse_search
from pater.fhir.search.request import (
    Chain,
    Condition,
    DateTerm,
    Include,
    MissingTerm,
    NumberTerm,
    ReferenceTerm,
    SearchError,
    SearchRequest,
    Sort,
    StringTerm,
    TokenTerm,
    UriTerm,
    Value,
)

__all__ = [
    "Chain",
    "Condition",
    "DateTerm",
    "Include",
    "MissingTerm",
    "NumberTerm",
    "ReferenceTerm",
    "SearchError",
    "SearchRequest",
    "Sort",
    "StringTerm",
    "TokenTerm",
    "UriTerm",
    "Value",
    "matches",
    "parse_search",
]
