"""A patient's compartment over HTTP: `$everything`, `Patient/id/*` and `Patient/id/Type?…`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pater.access.caller import Caller
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.search.query import SearchRequest, parse_search
from pater.records.everything import COMPARTMENT
from pater.rest.errors import HttpError
from pater.rest.history_query import moment
from pater.rest.interactions import Api, Parameters
from pater.rest.own_addresses import with_own_addresses
from pater.rest.requests import is_id
from pater.rest.responses import Reply
from pater.rest.search_bundle import CURSOR, searchset
from pater.store.record import RecordPlace

_VALUES = {"_since": "valueInstant", "_type": "valueCode", "_count": "valueInteger"}


async def everything(
    api: Api, caller: Caller, id: str, parameters: Parameters, *, referred: bool = True
) -> Reply:
    """Patient/id/$everything (R4 Patient-everything); without `referred` Patient/id/*."""
    count, cursor = 1000, None
    since: datetime | None = None
    types: set[str] = set()
    for name, value in parameters:
        if name == "_count" and value.isascii() and value.isdigit() and 0 < len(value) < 7:
            count = int(value)
        elif name == "_since":
            since = moment(name, value)
        elif name == "_type" and all(each in TYPE_NUMBER for each in value.split(",")):
            types.update(value.split(","))
        elif name == CURSOR and RecordPlace.of(value):
            cursor = value
        else:
            raise HttpError(400, "not-supported", f"there is no parameter {name[:64]} like this")
    page = await api.gate.everything(
        caller, _id(id), types=types, since=since, count=count, cursor=cursor, referred=referred
    )
    path = f"Patient/{id}/{'$everything' if referred else '*'}"
    return Reply(200, searchset(api.config.base_url, path, _links(parameters, page.next),
                                SearchRequest("Patient"), page))  # fmt: skip


def posted(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The parameters of a POST of Parameters. Raises HttpError 400."""
    listed = body.get("parameter", [])
    if body.get("resourceType") != "Parameters" or not isinstance(listed, list):
        raise HttpError(400, "invalid", "an operation takes Parameters", path="resourceType")
    found: list[tuple[str, str]] = []
    for part in listed:
        name = part.get("name") if isinstance(part, dict) else None
        value = part.get(_VALUES.get(name, "")) if isinstance(name, str) else None
        if not isinstance(name, str) or isinstance(value, bool) or not isinstance(value, str | int):
            raise HttpError(400, "not-supported", "there is no such parameter of this type",
                            path="Parameters.parameter")  # fmt: skip
        found.append((name, str(value)))
    return found


async def search(api: Api, caller: Caller, id: str, type: str, parameters: Parameters) -> Reply:
    """Patient/id/Type?… : a search of the patient's record alone (FHIR R4 3.1.0.11)."""
    if type not in COMPARTMENT:
        raise HttpError(404, "not-supported", "a patient's compartment has no such type")
    request = with_own_addresses(parse_search(type, parameters), api.config.base_url)
    page = await api.gate.search(caller, request, within=_id(id))
    links = _links(parameters, page.next)
    path = f"Patient/{id}/{type}"
    return Reply(200, searchset(api.config.base_url, path, links, request, page))


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
