"""Compartments over HTTP: `Patient/id/*` and, of all five compartments of R4, `…/id/Type?…`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pater.access.caller import Caller
from pater.domain import OperationRequest
from pater.fhir.definitions import compartment as compartment_of
from pater.fhir.search.query import SearchRequest, parse_search
from pater.records.everything import COMPARTMENT, MAX_COUNT, Wish
from pater.rest.errors import HttpError
from pater.rest.interactions import Api, Parameters
from pater.rest.operations.inputs import Kind, read_inputs, refused
from pater.rest.own_addresses import with_own_addresses
from pater.rest.requests import is_id
from pater.rest.responses import Reply
from pater.rest.sealed_links import PAGE, seal, unseal
from pater.rest.search_bundle import CURSOR, searchset
from pater.store.record import RecordPlace

_TAKES: Final[Mapping[str, Kind]] = {
    "_since": "text", "_type": "text", "_count": "number", CURSOR: "text",
}  # fmt: skip

COMPARTMENTS: Final = frozenset({"Patient", "Encounter", "Practitioner", "RelatedPerson", "Device"})
"""The types whose resources have a compartment in R4."""


async def compartment(api: Api, caller: Caller, id: str, parameters: Parameters) -> Reply:
    """Patient/id/*: all of the record, without what it refers to elsewhere (R4 3.1.0.11)."""
    inputs = read_inputs(OperationRequest("GET", "Patient", id, parameters, None, b""), _TAKES)
    cursor = inputs.one(CURSOR)
    if cursor is not None and not RecordPlace.of(cursor.value):
        raise refused(f"{CURSOR} is none that this server gave", cursor.path)
    wish = Wish(
        types=inputs.types(),
        since=inputs.start("_since"),
        count=inputs.number("_count", MAX_COUNT, least=1),
        cursor=cursor.value if cursor else None,
        referred=False,
        name="*",
    )
    page = await api.gate.everything(caller, _id(id), wish)
    links = _links(parameters, page.next)
    body = searchset(api.config.base_url, f"Patient/{id}/*", links, SearchRequest("Patient"), page)
    return Reply(200, body)


async def search(
    api: Api,
    caller: Caller,
    whose: str,
    id: str,
    type: str,
    parameters: Parameters,
    *,
    private: bool = False,
) -> Reply:
    """`whose`/id/Type?… : a search of one compartment alone (FHIR R4 3.1.0.11).

    A patient's is the record itself. The others are the resources that refer to the Encounter,
    Practitioner, RelatedPerson or Device as the definition says, within the caller's rights.
    """
    path, key = f"{whose}/{id}/{type}", api.config.link_key
    if not is_id(id):
        raise HttpError(404, "not-found", f"{whose} has no resource of this id")
    if key and len(parameters) == 1 and parameters[0][0] == PAGE:
        parameters = unseal(parameters[0][1], path, key)
        private = True
    types = COMPARTMENT if whose == "Patient" else compartment_of(whose)
    if type not in types or type == "AuditEvent":  # the journal is asked by its own address
        raise HttpError(404, "not-supported", f"the compartment of {whose} has no such type")
    narrow = [] if whose == "Patient" else [("_filter", _referring(whose, id, type))]
    request = with_own_addresses(
        parse_search(type, [*parameters, *narrow], custom=api.gate.custom, whole=True),
        api.config.base_url,
    )
    page = await api.gate.search(caller, request, within=id if whose == "Patient" else None)
    links = _links(parameters, page.next)
    if private and key:
        links = [(relation, [(PAGE, seal(pairs, path, key))]) for relation, pairs in links]
    return Reply(200, searchset(api.config.base_url, path, links, request, page))


def _referring(whose: str, id: str, type: str) -> str:
    """The `_filter` of what stands in a compartment; `{def}` is the resource itself."""
    return " or ".join(
        f"_id eq {id}" if code == "{def}" else f"{code} eq {whose}/{id}"
        for code in compartment_of(whose)[type]
    )


def _links(parameters: Parameters, following: str | None) -> list[tuple[str, Parameters]]:
    links: list[tuple[str, Parameters]] = [("self", parameters)]
    if following is not None:
        again = [pair for pair in parameters if pair[0] != CURSOR]
        links.append(("next", [*again, (CURSOR, following)]))
    return links


def _id(id: str) -> str:
    if not is_id(id):
        raise HttpError(404, "not-found", "Patient has no resource of this id")
    return id
