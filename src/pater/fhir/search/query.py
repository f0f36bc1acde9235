"""Search requests: from parameters to conditions, and whether a resource meets one."""

from __future__ import annotations

from pater.fhir.search.match import matches, meets
from pater.fhir.search.parse import parse_search
from pater.fhir.search.request import (
    And,
    Chain,
    CompositeTerm,
    Condition,
    DateTerm,
    Include,
    MissingTerm,
    Node,
    Not,
    NumberTerm,
    Or,
    ReferenceTerm,
    SearchError,
    SearchRequest,
    Sort,
    StringTerm,
    TokenTerm,
    UriTerm,
    Value,
    Word,
    WordsTerm,
    leaves,
)

__all__ = [
    "And",
    "Chain",
    "CompositeTerm",
    "Condition",
    "DateTerm",
    "Include",
    "MissingTerm",
    "Node",
    "Not",
    "NumberTerm",
    "Or",
    "ReferenceTerm",
    "SearchError",
    "SearchRequest",
    "Sort",
    "StringTerm",
    "TokenTerm",
    "UriTerm",
    "Value",
    "Word",
    "WordsTerm",
    "leaves",
    "matches",
    "meets",
    "parse_search",
]
