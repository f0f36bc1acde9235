"""What the operations share: ids of addresses, references to versions, answers of Parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pater.domain import Answer
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.json import dumps
from pater.rest.errors import HttpError
from pater.rest.requests import is_id

_REFERENCE: Final = re.compile(
    r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/([0-9]{1,9}))?\Z"
)


def resource_id(type: str, id: str) -> str:
    """The id of an address. Raises HttpError 404 for what cannot be one."""
    if not is_id(id):
        raise HttpError(404, "not-found", f"{type} has no resource of this id")
    return id


def reference(text: str, base_url: str, path: str) -> tuple[str, str, int | None]:
    """Type, id and version of `Type/id`, `Type/id/_history/n`. Raises HttpError 400."""
    found = _REFERENCE.match(text.removeprefix(f"{base_url}/"))
    if not found or found[1] not in TYPE_NUMBER:
        text = "this is a reference to a resource here: Type/id or Type/id/_history/version"
        raise HttpError(400, "value", text, path=path)
    return found[1], found[2], int(found[3]) if found[3] else None


def parameters(*listed: Mapping[str, Any]) -> Answer:
    """200 with Parameters."""
    body: dict[str, Any] = {"resourceType": "Parameters"}
    if listed:
        body["parameter"] = list(listed)
    return Answer(200, dumps(body))
