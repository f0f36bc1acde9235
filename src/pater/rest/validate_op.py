"""`$validate`: says everything that is wrong with a resource and stores nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pater.access.caller import Caller
from pater.fhir.issues import Issue, has_errors
from pater.fhir.json import JsonError, parse
from pater.fhir.validation import validate
from pater.fhir.xml import XmlError
from pater.rest.errors import HttpError
from pater.rest.interactions import Api, Parameters, parse_body
from pater.rest.outcomes import json_issue
from pater.rest.requests import is_id
from pater.rest.responses import Reply, outcome

_MODES = frozenset({"create", "update", "delete", "profile"})


async def validate_sent(
    api: Api,
    caller: Caller,
    type: str,
    raw: bytes,
    parameters: Parameters,
    id: str = "",
    *,
    read: Callable[[bytes], dict[str, Any]] = parse_body,
) -> Reply:
    """POST /type/$validate with a resource, or Parameters holding one (R4 Resource-validate).

    At /type/id/$validate (`id`) the resource is checked as the new content of that address.
    `read` makes the tree of the body, in the format in which it was sent.
    Always 200 when the check could be made: what it found is in the OperationOutcome, a text that
    is no JSON (or XML) too. 400 for wrong parameters.
    """
    await api.gate.require(caller, "validate", type)
    try:
        body = read(raw)
    except JsonError as error:
        return Reply(200, outcome([json_issue(error)]))
    except XmlError as error:
        return Reply(200, outcome(error.issues))
    issues = _asked(parameters)
    resource = body
    if body.get("resourceType") == "Parameters" and type != "Parameters":
        resource, more = _unwrap(body)
        issues += more
    if resource.get("resourceType") != type:
        text = f"this address takes a resource of type {type}"
        issues.append(Issue("error", "invalid", "resourceType", text))
    else:
        if id and resource.get("id") != id:
            text = "the resource has the same id as the address it is sent to"
            issues.append(Issue("error", "value", f"{type}.id", text))
        issues += _all(api, type, resource)
    return Reply(200, outcome(issues))


async def validate_stored(
    api: Api, caller: Caller, type: str, id: str, parameters: Parameters
) -> Reply:
    """GET or POST without a body at /type/id/$validate: checks what is stored."""
    if not is_id(id):
        raise HttpError(404, "not-found", f"{type} has no resource of this id")
    issues = _asked(parameters)
    stored = await api.gate.read(caller, type, id)
    return Reply(200, outcome([*issues, *_all(api, type, parse(stored.body))]))


def _all(api: Api, type: str, resource: dict[str, Any]) -> list[Issue]:
    issues = validate(resource)
    if not has_errors(issues):
        for check in api.checks.get(type, ()):
            issues += check(resource)
    return issues


def _asked(parameters: Parameters) -> list[Issue]:
    issues: list[Issue] = []
    for name, value in parameters:
        if name == "profile":
            issues.append(_no_profile(value))
        elif name != "mode" or value not in _MODES:
            raise HttpError(400, "not-supported", f"$validate takes no {name[:64]} like this")
    return issues


def _no_profile(url: object) -> Issue:
    shown = url[:200] if isinstance(url, str) else "?"
    return Issue(
        "warning",
        "not-supported",
        "",
        f"the profile {shown} was not checked: this release checks base FHIR R4",
    )


def _unwrap(body: dict[str, Any]) -> tuple[dict[str, Any], list[Issue]]:
    """The resource of a Parameters and remarks on what else it asks for."""
    issues: list[Issue] = []
    resource: dict[str, Any] | None = None
    listed = body.get("parameter")
    for part in listed if isinstance(listed, list) else ():
        if not isinstance(part, dict):
            continue
        if part.get("name") == "resource" and isinstance(part.get("resource"), dict):
            resource = part["resource"]
        elif part.get("name") == "profile":
            issues.append(_no_profile(part.get("valueUri") or part.get("valueCanonical")))
    if resource is None:
        text = "Parameters for $validate have a parameter `resource` with the resource"
        raise HttpError(400, "required", text, path="Parameters.parameter")
    return resource, issues
