"""`Composition/$document`: the document that a Composition is the head of (R4 section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest
from pater.fhir.json import dumps, parse
from pater.records.changes import Change
from pater.records.gate import Gate
from pater.rest.errors import HttpError
from pater.rest.interactions import checked
from pater.rest.operations.inputs import Inputs, Kind, read_inputs
from pater.rest.operations.places import reference, resource_id
from pater.rest.responses import version_path
from pater.store.read import Stored

_TAKES: Final[Mapping[str, Kind]] = {"persist": "boolean"}
_DEFINITION: Final = "http://hl7.org/fhir/OperationDefinition/Composition-document"


def operations(gate: Gate, base_url: str) -> Sequence[Operation]:
    """At an instance; on the type with the parameter `id`."""

    async def document(caller: Caller, request: OperationRequest) -> Answer:
        inputs = read_inputs(request, _TAKES if request.id else {**_TAKES, "id": "text"})
        id = resource_id("Composition", request.id or _named(inputs, base_url))
        found = await gate.document(caller, id)
        moment = gate.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        bundle = {
            "resourceType": "Bundle",
            "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{gate.new_id()}"},
            "type": "document",
            "timestamp": moment,
            "entry": [_entry(base_url, each) for each in found],
        }
        if not inputs.flag("persist"):
            return Answer(200, dumps(bundle))
        checked(bundle)
        change = Change("create", "Bundle", None, bundle, person=found[0].person)
        (written,) = await gate.commit(caller, [change])
        path = version_path("Bundle", written.id, written.version)
        headers = {"Location": f"{base_url}/{path}", "ETag": f'W/"{written.version}"'}
        return Answer(201, written.body, headers)

    methods = frozenset({"GET", "POST"})
    types = frozenset({"Composition"})
    return (
        Operation("document", document, types, instance=True, methods=methods,
                  definition=_DEFINITION),
        Operation("document", document, types, methods=methods, definition=_DEFINITION),
    )  # fmt: skip


def _named(inputs: Inputs, base_url: str) -> str:
    given = inputs.needed("id")
    text = str(given.value)
    if "/" not in text:
        return text
    type, id, version = reference(text, base_url, given.path)
    if type != "Composition" or version is not None:
        raise HttpError(400, "value", "this is a Composition here", path=given.path)
    return id


def _entry(base_url: str, stored: Stored) -> dict[str, Any]:
    return {
        "fullUrl": f"{base_url}/{stored.type}/{stored.id}",
        "resource": parse(stored.body),
    }
