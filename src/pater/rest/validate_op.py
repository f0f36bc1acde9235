"""`$validate`: says everything that is wrong with a resource and stores nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pater.access.caller import Caller
from pater.fhir.issues import Issue, has_errors
from pater.fhir.json import JsonError, parse
from pater.fhir.validation.base import validate_base
from pater.fhir.xml import XmlError
from pater.records.changes import Change, Method
from pater.records.errors import RecordsError
from pater.rest.errors import HttpError
from pater.rest.interactions import Api, Parameters, claims_of, parse_body
from pater.rest.outcomes import describe, json_issue
from pater.rest.requests import is_id
from pater.rest.responses import Reply, outcome

_MODES: Final = frozenset({"create", "update", "delete", "profile"})
_MOST_PROFILES: Final = 20


@dataclass(slots=True)
class _Asked:
    """What a client wants checked beside base R4 and what the resource declares itself."""

    profiles: list[str] = field(default_factory=list)
    must_support: bool = False
    mode: str = ""


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

    `profile` (several, `url|version`) names profiles of this server to hold it against, beside
    those it declares; `mustSupport=true` also tells which supported elements are absent.
    At /type/id/$validate (`id`) the resource is checked as the new content of that address.
    `mode` asks more: whether a create, an update or a delete of it would be accepted from the
    caller now (an update and a delete of the address or of the id in the resource); `profile`
    checks what is stored at the address.
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
    asked = _asked(parameters)
    resource = body
    if body.get("resourceType") == "Parameters" and type != "Parameters":
        unwrapped = _unwrap(body, asked)
        if unwrapped is None:
            return await validate_stored(api, caller, type, id, asked)
        resource = unwrapped
    if asked.mode in ("delete", "profile"):
        if not id or asked.mode == "profile":
            text = f"mode {asked.mode} is asked at an address, without a resource"
            raise HttpError(400, "invalid", text, path="Parameters.parameter.where(name='mode')")
        return Reply(200, outcome(await _rehearsed(api, caller, type, id, asked.mode)))
    issues: list[Issue] = []
    if resource.get("resourceType") != type:
        text = f"this address takes a resource of type {type}"
        issues.append(Issue("error", "invalid", "resourceType", text))
    else:
        if id and resource.get("id") != id:
            text = "the resource has the same id as the address it is sent to"
            issues.append(Issue("error", "value", f"{type}.id", text))
        issues += await _all(api, type, resource, asked)
        if asked.mode and not has_errors(issues):
            issues += await _rehearsed(api, caller, type, id, asked.mode, resource)
    return Reply(200, outcome(issues))


async def validate_stored(
    api: Api, caller: Caller, type: str, id: str, parameters: Parameters | _Asked
) -> Reply:
    """GET or POST without a resource at /type/id/$validate: checks what is stored, or (`mode`)
    whether it may be deleted."""
    asked = parameters if isinstance(parameters, _Asked) else _asked(parameters)
    if not id or asked.mode in ("create", "update"):
        text = "Parameters for $validate have a parameter `resource` with the resource"
        raise HttpError(400, "required", text, path="Parameters.parameter")
    if not is_id(id):
        raise HttpError(404, "not-found", f"{type} has no resource of this id")
    if asked.mode == "profile" and not asked.profiles:
        raise HttpError(
            400, "required", "mode profile names a profile", path="Parameters.parameter"
        )
    if asked.mode == "delete":
        return Reply(200, outcome(await _rehearsed(api, caller, type, id, asked.mode)))
    stored = await api.gate.read(caller, type, id)
    return Reply(200, outcome(await _all(api, type, parse(stored.body), asked)))


async def _rehearsed(
    api: Api,
    caller: Caller,
    type: str,
    id: str,
    mode: str,
    resource: dict[str, Any] | None = None,
) -> list[Issue]:
    """What would keep the caller from doing that now."""
    given = str((resource or {}).get("id", ""))
    if mode == "update" and not (id or given):
        text = "an update is of the address, or of the id in the resource"
        raise HttpError(400, "required", text, path=f"{type}.id")
    method: Method = "create" if mode == "create" else "update" if mode == "update" else "delete"
    change = Change(
        method,
        type,
        None if mode == "create" else id or given,
        resource,
        claims_of=claims_of(api, type),
    )
    try:
        return await api.gate.rehearse(caller, change)
    except RecordsError as error:
        return describe(error)[1]


async def _all(api: Api, type: str, resource: dict[str, Any], asked: _Asked) -> list[Issue]:
    profiles = api.config.profiles
    if profiles is None:
        issues = validate_base(resource)
    else:
        issues = await profiles.whole(resource, asked.profiles, must_support=asked.must_support)
    if not has_errors(issues):
        for check in api.checks.get(type, ()):
            issues += check(resource)
    return issues


def _asked(parameters: Parameters) -> _Asked:
    asked = _Asked()
    for name, value in parameters:
        _take(asked, name, value)
    return asked


def _take(asked: _Asked, name: object, value: object) -> None:
    """One parameter. Raises HttpError 400 for one that is unknown or makes no sense."""
    shown = name[:64] if isinstance(name, str) else "?"
    if name == "profile" and isinstance(value, str) and 0 < len(value) <= 1000:
        if value not in asked.profiles:
            asked.profiles.append(value)
        if len(asked.profiles) > _MOST_PROFILES:
            raise HttpError(400, "too-costly", f"at most {_MOST_PROFILES} profiles at once")
    elif name == "mustSupport" and str(value).lower() in ("true", "false"):
        asked.must_support = str(value).lower() == "true"
    elif name == "mode" and value in _MODES:
        asked.mode = str(value)
    else:
        raise HttpError(400, "not-supported", f"$validate takes no {shown} like this")


def _unwrap(body: dict[str, Any], asked: _Asked) -> dict[str, Any] | None:
    """The resource of a Parameters, if it has one; what else it asks for goes to `asked`."""
    resource: dict[str, Any] | None = None
    listed = body.get("parameter")
    for part in listed if isinstance(listed, list) else ():
        if not isinstance(part, dict):
            continue
        if part.get("name") == "resource" and isinstance(part.get("resource"), dict):
            resource = part["resource"]
        elif "name" in part:
            value = next((each for key, each in part.items() if key.startswith("value")), None)
            _take(asked, part["name"], value)
    return resource
