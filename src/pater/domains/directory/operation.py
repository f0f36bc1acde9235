"""`HealthcareService/$nearby`: which facilities near a place offer something and are open."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest, Parameter, Services
from pater.fhir.json import dumps, parse
from pater.registers.providers.index import words_of
from pater.registers.providers.nearby import MOST, WIDEST, Facility, Wish, find
from pater.rest.operations.inputs import Inputs, read_inputs, refused

_NEAR: Final = re.compile(
    r"(-?\d{1,2}(?:\.\d{1,12})?)\|(-?\d{1,3}(?:\.\d{1,12})?)(?:\|(\d{1,6}(?:\.\d{1,6})?)(?:\|(km|m))?)?"
)
_DISTANCE: Final = "http://hl7.org/fhir/StructureDefinition/location-distance"
_MOST_WORDS: Final = 8


def operation(services: Services) -> Operation:
    """GET or POST; `near` = latitude|longitude[|distance[|km]] as in a search of Location.

    `service` = code or system|code, `open` = a moment, `text` = beginnings of words. The answer is
    a searchset: Locations with their distance, nearest first, and the services that fit.
    """

    async def run(caller: Caller, request: OperationRequest) -> Answer:
        inputs = read_inputs(
            request,
            {"near": "text", "service": "text", "open": "text", "text": "text", "_count": "number"},
        )
        wish = _wish(inputs)
        for type_ in ("Location", "HealthcareService"):
            await services.gate.require(caller, "search", type_, whole=True)
        found = await find(services.db, wish)
        body = await _bundle(services, caller, found)
        return Answer(200, body, {"content-type": "application/fhir+json"})

    return Operation(
        "nearby", run, frozenset({"HealthcareService"}), methods=frozenset({"GET", "POST"}),
        text="Which facilities near a place offer a service and are open, the nearest first.",
        takes=(
            Parameter("near", "string", "latitude|longitude[|distance[|km]]"),
            Parameter("service", "string", "what they offer: code or system|code"),
            Parameter("open", "dateTime", "when they are open"),
            Parameter("text", "string", "beginnings of words of their names and places"),
            Parameter("_count", "integer", f"how many, up to {MOST}"),
        ),
        gives=(Parameter("return", "Bundle", "Locations with their distance, and services", 1),),
    )  # fmt: skip


def _wish(inputs: Inputs) -> Wish:
    near = inputs.one("near")
    at, within = None, None
    if near is not None:
        found = _NEAR.fullmatch(str(near.value))
        if found is None or abs(float(found[1])) > 85 or abs(float(found[2])) > 180:
            raise refused("near is latitude|longitude|distance|km", near.path)
        at = (float(found[1]), float(found[2]))
        if found[3]:
            within = float(found[3]) * (1 if found[4] == "m" else 1_000)
            if not 0 < within <= WIDEST:
                raise refused(f"the distance is up to {WIDEST / 1000:.0f} km", near.path)
    system, bar, code = inputs.text("service").rpartition("|")
    service = inputs.one("service")
    if service is not None and (not code or len(code) > 200):
        raise refused("service is a code or system|code", service.path)
    words = words_of(inputs.text("text"))[:_MOST_WORDS]
    given = inputs.one("text")
    if given is not None and not words:
        raise refused("text has no letters or digits", given.path)
    return Wish(
        at, within, code, system if bar else "", inputs.start("open"), words,
        inputs.number("_count", 20, least=1, most=MOST),
    )  # fmt: skip


async def _bundle(services: Services, caller: Caller, found: Sequence[Facility]) -> bytes:
    """The facilities as resources that the gate hands out; one that is gone meanwhile is not."""
    keys = [("Location", each.place) for each in found]
    keys += [("HealthcareService", each.service) for each in found if each.service]
    there = await services.gate.read_all(caller, keys)
    entries = []
    for each in found:
        place = there.get(("Location", each.place))
        if place is None:
            continue
        search: dict[str, object] = {"mode": "match"}
        if each.metres is not None:
            distance = {"value": round(each.metres / 1000, 3), "unit": "km",
                        "system": "http://unitsofmeasure.org", "code": "km"}  # fmt: skip
            search["extension"] = [{"url": _DISTANCE, "valueDistance": distance}]
        url = f"{services.base_url}/Location/{each.place}"
        entries.append({"fullUrl": url, "resource": parse(place.body), "search": search})
    for each in found:
        offer = there.get(("HealthcareService", each.service))
        if offer is not None:
            url = f"{services.base_url}/HealthcareService/{each.service}"
            entries.append(
                {"fullUrl": url, "resource": parse(offer.body), "search": {"mode": "include"}}
            )
    bundle: dict[str, object] = {"resourceType": "Bundle", "type": "searchset"}
    if entries:
        bundle["entry"] = entries
    return dumps(bundle)
