"""Finds and runs the operation of an address, for a request of its own or an entry of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pater.access.caller import Caller
from pater.domain import Operation, OperationRequest
from pater.fhir.json import dumps
from pater.rest import interactions as do
from pater.rest.errors import HttpError
from pater.rest.interactions import Api
from pater.rest.responses import Reply
from pater.rest.validate_op import validate_sent, validate_stored

Reader = Callable[[bytes], dict[str, Any]]
"""What makes the tree of a body, in the format in which it was sent."""


def methods(api: Api, name: str, type: str, id: str) -> Sequence[str]:
    """The methods that the operation takes there. Raises HttpError 404 when there is none."""
    if name == "validate" and type:
        return ("GET", "POST") if id else ("POST",)
    return sorted(_found(api, name, type, id).methods)


async def operate(
    api: Api,
    caller: Caller,
    name: str,
    method: str,
    type: str,
    id: str,
    parameters: Sequence[tuple[str, str]],
    raw: bytes,
    headers: Mapping[str, str],
    reader: Callable[[], Reader],
) -> Reply:
    """Runs it. `type` and `id` are "" on the system and on a type; `raw` is the body as it came.

    `reader` is asked only where there is a body to be read.
    """
    if name == "validate" and type:
        if id and not raw.strip():
            return await validate_stored(api, caller, type, id, parameters)
        return await validate_sent(api, caller, type, raw, parameters, id, read=reader())
    operation = _found(api, name, type, id)
    resource = None
    if raw.strip():
        read = reader()
        resource = read(raw)
        if read is not do.parse_body:
            raw = dumps(resource)
    request = OperationRequest(method, type, id, parameters, resource, raw, headers)
    return do.answered(await operation.run(caller, request))


def _found(api: Api, name: str, type: str, id: str) -> Operation:
    found = api.operations.get((name, type, bool(id)))
    if found is None and type:
        found = api.operations.get((name, "*", bool(id)))
    if found is None:
        raise HttpError(404, "not-supported", "there is no such operation here")
    return found
