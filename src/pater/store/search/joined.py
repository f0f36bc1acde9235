"""Includes that stay within the record: read by the very statement that finds the matches.

A resource about a Patient has that Patient's person, so `_include` of the Patient and
`_revinclude` of what is about a Patient need not wait for the matches to come back: everything of
these types and persons comes along, and what is not really referred to is left out here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.search.query import Include, SearchRequest
from pater.store.read import Stored
from pater.store.search.families import is_linked
from pater.store.search.rows import indexed
from pater.store.search.sql import Args
from pater.store.search.where import Scope, owner_params
from pater.store.veils import Veils, shown_sql

_PATIENT = "Patient"


@dataclass(frozen=True, slots=True)
class Joined:
    """The includes of one search that can come along with its matches."""

    params: tuple[tuple[str, str], ...]  # type that refers, parameter by which it does
    types: tuple[str, ...]  # what comes along
    reverse: bool
    veils: Veils = ()

    def sql(self, args: Args, columns: str, limit: int) -> str:
        """The rows that come along with the rows `hits`; `columns` of rows called x."""
        types = args.add([TYPE_NUMBER[type_] for type_ in self.types], "smallint[]")
        return (
            f"select {columns} from resource x where x.type = any({types}) and not x.deleted"  # noqa: S608
            " and x.person = any(array(select h.person from hits h where h.person <> 0))"
            f"{shown_sql(self.veils, args, 'x')}"
            # `+ 0` keeps the planner from walking the index of row numbers to meet these few.
            f" order by x.rid + 0 limit {args.add(limit, 'int')}"
        )

    def of(self, matches: Sequence[Stored], beside: Sequence[Stored]) -> list[Stored] | None:
        """Those of `beside` that the includes of the matches mean; None when that cannot be told
        from them (a match refers to something else, belongs to nobody, or is one with others).
        """
        if self.reverse:
            if not all(each.person for each in matches) or any(map(is_linked, matches)):
                return None
            ids = _ids_by_person(matches)
            return [
                each
                for each in beside
                if not ids[each.person].isdisjoint(self._named(each, ids[each.person]))
            ]
        patients = {each.id: each for each in beside}
        ids = _ids_by_person(beside)
        found: dict[str, Stored] = {}
        for match in matches:
            named = self._named(match, ids[match.person])
            if not named or not all(id_ in patients for id_ in named):
                return None
            found |= {id_: patients[id_] for id_ in named}
        return list(found.values())

    def _named(self, stored: Stored, known: Iterable[str]) -> set[str]:
        """The Patients that a resource names by the parameter; `known` are looked for first."""
        body = stored.body
        for id_ in known:
            text = f'{{"reference":"{_PATIENT}/{id_}"'.encode()
            if b'"subject":' + text in body or b'"patient":' + text in body:
                return {id_}
        params = {param for type_, param in self.params if type_ == stored.type}
        return {
            ref.id
            for ref in indexed(stored).references
            if ref.param in params and ref.type == _PATIENT and ref.id is not None
        }


def _ids_by_person(patients: Iterable[Stored]) -> defaultdict[int, set[str]]:
    found: defaultdict[int, set[str]] = defaultdict(set)
    for each in patients:
        found[each.person].add(each.id)
    return found


def joined(request: SearchRequest, scope: Scope) -> Joined | None:
    """How the includes of a search can come along with its matches; None when they cannot."""
    includes = request.includes
    if not includes or scope.apart or scope.narrow is not None or request.total != "none":
        return None
    if request.type == _PATIENT:
        if all(i.reverse and _owning(i) and i.target in (None, _PATIENT) for i in includes):
            taken = [i for i in includes if i.source_type not in scope.exclude_types]
            types = tuple(dict.fromkeys(i.source_type for i in taken))
            params = tuple((i.source_type, i.param) for i in taken)
            return Joined(params, types, True, scope.veils) if types else None
        return None
    if _PATIENT in scope.exclude_types:
        return None
    if all(not i.reverse and _owning(i) and i.source_type == request.type for i in includes) and (
        all(i.target == _PATIENT or i.param == "patient" for i in includes)
    ):
        params = tuple((i.source_type, i.param) for i in includes)
        return Joined(params, (_PATIENT,), reverse=False)
    return None


def _owning(include: Include) -> bool:
    if include.iterate or include.source is not None:
        return False
    return include.param in owner_params(include.source_type)
