"""Both kinds of PATCH as one thing: what makes the new version of a resource of the current one."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from pater.fhir import patch as fhirpath_patch
from pater.fhir.issues import Issue
from pater.fhir.json import JsonError
from pater.fhir.patch import PatchError
from pater.records.changes import Edit
from pater.rest import json_patch
from pater.rest.errors import HttpError
from pater.rest.outcomes import json_issue
from pater.rest.requests import parse_media_type

PATCH_TYPES: Final = (
    json_patch.MEDIA_TYPE,
    "application/fhir+json",
    "application/fhir+xml",
)
"""What CapabilityStatement.patchFormat names."""


def is_json_patch(headers: Mapping[str, str]) -> bool:
    """Whether the body is said to be a JSON Patch in UTF-8. Raises HttpError 415."""
    kind, parameters = parse_media_type(headers.get("content-type", ""))
    if kind != json_patch.MEDIA_TYPE:
        return False
    if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise HttpError(415, "not-supported", f"send {json_patch.MEDIA_TYPE} in UTF-8")
    return True


def json_edit(raw: bytes) -> Edit:
    """A JSON Patch. Raises JsonError, HttpError 400."""
    steps = json_patch.read_patch(raw)
    return lambda resource: json_patch.apply(resource, steps)


def fhirpath_edit(parameters: Mapping[str, Any], at: str = "Parameters") -> Edit:
    """A FHIRPath Patch that stands at a path in what was sent. Raises HttpError 400."""
    try:
        operations = fhirpath_patch.read_patch(parameters, at)
    except PatchError as error:
        raise _http(error) from None

    def edit(resource: dict[str, Any]) -> dict[str, Any]:
        try:
            return fhirpath_patch.apply(resource, operations)
        except PatchError as error:
            raise _http(error) from None

    return edit


def _http(error: PatchError) -> HttpError:
    code = "structure" if error.malformed else "processing"
    return HttpError(400 if error.malformed else 422, code, error.text, path=error.path)


def edit_of(resource: Mapping[str, Any], path: str, issues: list[Issue]) -> Edit | None:
    """The patch in an entry of a Bundle: Parameters, or a Binary of a JSON Patch (R4 3.1.0.8.2)."""
    try:
        if resource.get("resourceType") == "Parameters":
            return fhirpath_edit(resource, path)
        data = resource.get("data")
        if resource.get("contentType") != json_patch.MEDIA_TYPE or not isinstance(data, str):
            text = f"a PATCH is Parameters, or a Binary of {json_patch.MEDIA_TYPE} with data"
            issues.append(Issue("error", "value", path, text))
            return None
        try:
            return json_edit(base64.b64decode(data, validate=True))
        except JsonError as error:
            issues.append(json_issue(error))
        except ValueError as error:
            issues.append(Issue("error", "structure", f"{path}.data", str(error)))
    except HttpError as error:
        issues += [
            each if each.path else Issue(each.severity, each.code, f"{path}.data", each.text)
            for each in error.issues
        ]
    return None
