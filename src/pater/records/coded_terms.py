"""What `:in`, `:not-in`, `:above` and `:below` of a search mean: codes, places, organisations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pater.fhir.issues import Issue
from pater.fhir.json import parse
from pater.fhir.references import parse_reference
from pater.fhir.search.query import (
    And,
    Chain,
    Condition,
    Node,
    Not,
    Or,
    ReferenceTerm,
    SearchError,
    SearchRequest,
    TokenTerm,
    UriTerm,
)
from pater.store import hierarchy
from pater.store.database import Database
from pater.store.read import read
from pater.terminology.issues import TxError
from pater.terminology.service import Terminology

MOST_CODES = 5_000
"""Codes that one condition may come to."""
_LOOKED_UP = ("in", "not-in", "above", "below")


async def looked_up(db: Database, terms: Terminology, request: SearchRequest) -> SearchRequest:
    """The request with the codes themselves. Raises SearchError for what is not known."""
    reader = _Reader(db, terms)
    conditions = [await reader.condition(each) for each in request.conditions]
    tree = None if request.filter is None else await reader.node(request.filter)
    return replace(request, conditions=tuple(conditions), filter=tree, coded=False)


class _Reader:
    def __init__(self, db: Database, terms: Terminology) -> None:
        self._db = db
        self._terms = terms

    async def node(self, node: Node) -> Node:
        match node:
            case And(parts):
                return And(tuple([await self.node(part) for part in parts]))
            case Or(parts):
                return Or(tuple([await self.node(part) for part in parts]))
            case Not(part):
                return Not(await self.node(part))
            case _:
                return await self.condition(node)

    async def condition(self, condition: Condition) -> Condition:
        if condition.chain:
            chain = [
                Chain(each.type, await self.condition(each.condition)) for each in condition.chain
            ]
            return replace(condition, chain=tuple(chain))
        if condition.kind == "reference" and condition.modifier in ("above", "below"):
            return await self._parts(condition)
        if condition.kind != "token" or condition.modifier not in _LOOKED_UP:
            return condition
        try:
            codes = await self._codes(condition)
        except TxError as problem:
            text = f"Parameter {condition.param}:{condition.modifier}: {problem}"
            raise SearchError([Issue("error", "not-found", "", text)]) from problem
        modifier = "not" if condition.modifier == "not-in" else None
        return replace(condition, modifier=modifier, values=codes)

    async def _parts(self, condition: Condition) -> Condition:
        """A reference to places or organisations as to all that are part of them (or above)."""
        walk = hierarchy.below if condition.modifier == "below" else hierarchy.above
        found: list[ReferenceTerm] = []
        for type_ in hierarchy.PARENTS:
            terms = [t for t in condition.values if isinstance(t, ReferenceTerm)]
            ids = [term.id for term in terms if term.id and term.types == (type_,)]
            kin = await walk(self._db, type_, ids, limit=MOST_CODES) if ids else ()
            found += [ReferenceTerm((type_,), id_, None) for id_ in sorted(kin)]
        if len(found) > MOST_CODES:
            raise _refused(condition, "too many parts", "too-costly")
        return replace(condition, modifier=None, values=tuple(found))

    async def _codes(self, condition: Condition) -> tuple[TokenTerm, ...]:
        found: dict[TokenTerm, None] = {}
        for value in condition.values:
            if isinstance(value, UriTerm):
                address = await self._canonical(value.value)
                members = await self._terms.expand_codes(address, limit=MOST_CODES)
                found.update(dict.fromkeys(TokenTerm(*each) for each in sorted(members)))
            elif isinstance(value, TokenTerm):
                found.update(dict.fromkeys(await self._kin(condition, value)))
        if len(found) > MOST_CODES:
            raise _refused(condition, "too many codes", "too-costly")
        return tuple(found)

    async def _kin(self, condition: Condition, value: TokenTerm) -> Sequence[TokenTerm]:
        if not value.system or not value.code:
            raise _refused(condition, "expected system|code", "value")
        if condition.modifier == "below":
            codes = await self._terms.descendants(value.system, value.code, limit=MOST_CODES)
        else:
            codes = await self._terms.ancestors(value.system, value.code)
        return [TokenTerm(value.system, code) for code in sorted(codes)]

    async def _canonical(self, text: str) -> str:
        """The canonical address of a value set, of `ValueSet/id` the one that it states."""
        ref = parse_reference(text)
        if ref.kind != "relative" or ref.type != "ValueSet" or ref.id is None:
            return text
        stored = await read(self._db, "ValueSet", ref.id)
        address = None if stored is None or stored.deleted else parse(stored.body).get("url")
        return address if isinstance(address, str) else text


def _refused(condition: Condition, text: str, code: str) -> SearchError:
    name = f"{condition.param}:{condition.modifier}"
    return SearchError([Issue("error", code, "", f"Parameter {name}: {text}")])
