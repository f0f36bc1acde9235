"""`$meta`, `$meta-add`, `$meta-delete`: profiles, tags and security labels of a resource.

A change makes a new version, as every change does: what a version says never changes. `$meta` of a
type or of the whole system reads what the caller may find, and refuses where that is too much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest
from pater.fhir.definitions import RESOURCE_TYPES
from pater.fhir.issues import Issue, has_errors
from pater.fhir.json import parse
from pater.fhir.validation import validate
from pater.records.changes import Change
from pater.rest import whole_search
from pater.rest.errors import HttpError
from pater.rest.interactions import Api, checked, claims_of, search
from pater.rest.operations.inputs import Given, Kind, read_inputs, refused
from pater.rest.operations.places import parameters, resource_id
from pater.rest.requests import expected_version

_TAKES: Final[Mapping[str, Kind]] = {"meta": "complex"}
_PAGE: Final = 500
_MOST_READ: Final = 2_000
_LISTS: Final = ("profile", "security", "tag")
_DEFINITION: Final = "http://hl7.org/fhir/OperationDefinition/Resource-meta"
Turn = Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]


def operations(api: Api) -> Sequence[Operation]:
    """Reading everywhere, the other two at every instance but the journal's."""

    async def meta(caller: Caller, request: OperationRequest) -> Answer:
        read_inputs(request, {})
        stored = await api.gate.read(caller, request.type, resource_id(request.type, request.id))
        return _answer(parse(stored.body).get("meta", {}))

    async def collected(caller: Caller, request: OperationRequest) -> Answer:
        read_inputs(request, {})
        return _answer(await _in_use(api, caller, request.type))

    def turning(turn: Turn) -> Callable[[Caller, OperationRequest], Any]:
        async def run(caller: Caller, request: OperationRequest) -> Answer:
            type, id = request.type, resource_id(request.type, request.id)
            given = _meta(read_inputs(request, _TAKES).needed("meta"))
            await api.gate.require(caller, "update", type)

            def edit(resource: dict[str, Any]) -> dict[str, Any]:
                kept = turn(resource.get("meta", {}), given)
                rest = {key: value for key, value in resource.items() if key != "meta"}
                turned = {**rest, "meta": kept} if kept else rest
                checked(turned)
                return turned

            change = Change(
                "update", type, id, edit=edit, claims_of=claims_of(api, type),
                if_match=expected_version(dict(request.headers)),
            )  # fmt: skip
            (written,) = await api.gate.commit(caller, [change], interaction="operation")
            return _answer(parse(written.body).get("meta", {}))

        return run

    everywhere = frozenset(RESOURCE_TYPES)
    written = everywhere - {"AuditEvent"}
    return (
        Operation("meta", meta, everywhere, instance=True,
                  methods=frozenset({"GET", "POST"}), definition=_DEFINITION),
        Operation("meta", collected, frozenset({"", *written}),
                  methods=frozenset({"GET", "POST"}), definition=_DEFINITION),
        Operation("meta-add", turning(_added), written, instance=True,
                  definition=f"{_DEFINITION}-add"),
        Operation("meta-delete", turning(_taken), written, instance=True,
                  definition=f"{_DEFINITION}-delete"),
    )  # fmt: skip


async def _in_use(api: Api, caller: Caller, type: str) -> dict[str, Any]:
    """Everything that the Metas of a type ("" = of all) hold, each once.

    Raises HttpError 422 when there are too many to be read, and as a search does.
    """
    found: dict[str, dict[tuple[str, ...], Any]] = {name: {} for name in _LISTS}
    parameters: list[tuple[str, str]] | None = [("_count", str(_PAGE))]
    read = 0
    while parameters is not None:
        if type:
            reply = await search(api, caller, type, parameters)
        else:
            reply = await whole_search.search(api, caller, parameters)
        bundle = parse(reply.body)
        for entry in bundle.get("entry", ()):
            meta = entry["resource"].get("meta", {})
            for name in _LISTS:
                for value in meta.get(name, ()):
                    found[name].setdefault(_key(value), value)
        read += len(bundle.get("entry", ()))
        links = {each["relation"]: each["url"] for each in bundle["link"]}
        parameters = parse_qsl(urlsplit(links["next"]).query) if "next" in links else None
        if parameters is not None and read >= _MOST_READ:
            text = (
                f"there are more than {_MOST_READ} resources, too many to be read: $meta of one of"
                " them is answered, and _profile, _tag and _security search by what they hold"
            )
            raise HttpError(422, "too-costly", text)
    return {name: [by[key] for key in sorted(by)] for name, by in found.items() if by}


def _answer(meta: Mapping[str, Any]) -> Answer:
    return parameters({"name": "return", "valueMeta": dict(meta)})


def _meta(given: Given) -> Mapping[str, Any]:
    """The lists of a Meta that may be added or taken. Raises HttpError 400."""
    meta: Mapping[str, Any] = given.value
    unfit = sorted(set(meta) - {*_LISTS, "versionId", "lastUpdated"})
    if unfit:
        raise refused("profiles, tags and security labels are what can be changed", given.path)
    found = {name: meta[name] for name in _LISTS if name in meta}
    issues = validate({"resourceType": "Basic", "code": {"text": "x"}, "meta": found})
    if has_errors(issues):
        inside = [
            Issue(each.severity, each.code, each.path.replace("Basic.meta", f"{given.path}.value"),
                  each.text)
            for each in issues
        ]  # fmt: skip
        raise HttpError(400, "invalid", "the Meta is not valid", issues=inside)
    return found


def _added(meta: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(meta)
    for name in _LISTS:
        there = {_key(each) for each in meta.get(name, ())}
        fresh = _distinct(each for each in given.get(name, ()) if _key(each) not in there)
        if fresh:
            out[name] = [*meta.get(name, ()), *fresh]
    return out


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list({_key(each): each for each in values}.values())


def _taken(meta: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(meta)
    for name in _LISTS:
        away = {_key(each) for each in given.get(name, ())}
        if name in meta:
            out[name] = [each for each in meta[name] if _key(each) not in away]
            if not out[name]:
                del out[name]
    return out


def _key(value: Any) -> tuple[str, ...]:
    """What makes a profile, tag or label the same one: the address, or system and code."""
    if isinstance(value, dict):
        return str(value.get("system", "")), str(value.get("code", ""))
    return (str(value),)
