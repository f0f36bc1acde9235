"""`$convert`: the same resource in the other format, and `$versions`: which FHIR is spoken here."""

from __future__ import annotations

from collections.abc import Sequence

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.json import dumps
from pater.rest.errors import HttpError
from pater.rest.operations.inputs import read_inputs
from pater.rest.operations.places import parameters

_DEFINITION = "http://hl7.org/fhir/OperationDefinition/"


def operations() -> Sequence[Operation]:
    """Both, on the system."""
    return (
        Operation("convert", _convert, definition=f"{_DEFINITION}Resource-convert"),
        Operation(
            "versions",
            _versions,
            methods=frozenset({"GET", "POST"}),
            definition=f"{_DEFINITION}CapabilityStatement-versions",
        ),
    )


async def _convert(caller: Caller, request: OperationRequest) -> Answer:
    """Says again what was sent; the edge of the API writes it in the format that is accepted."""
    for name, _ in request.parameters:
        raise HttpError(400, "not-supported", f"$convert has no parameter {name[:64]}")
    resource = request.resource
    if resource is None or str(resource.get("resourceType")) not in TYPE_NUMBER:
        raise HttpError(400, "required", "$convert takes a resource", path="resourceType")
    return Answer(200, dumps(resource))


async def _versions(caller: Caller, request: OperationRequest) -> Answer:
    read_inputs(request, {})
    return parameters(
        {"name": "version", "valueCode": "4.0"}, {"name": "default", "valueCode": "4.0"}
    )
