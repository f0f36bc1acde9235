"""The search of the whole system (`GET [base]?_type=A,B&…`, `POST [base]/_search`).

Without `_sort` one type after the other, in the order in which they are named: a page may end in
one type and the next begin in the following. Sorted by `_id` and `_lastUpdated` they are one list.
Takes what each of the types takes; an inclusion counts for the types that it is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pater.access.caller import Caller
from pater.access.policy import group
from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER
from pater.fhir.issues import Issue
from pater.fhir.search.parameters import indexed_parameters
from pater.fhir.search.query import SearchError, SearchRequest, parse_search
from pater.records.searching_types import ORDERS, in_order
from pater.rest.errors import HttpError
from pater.rest.interactions import Api, Parameters
from pater.rest.own_addresses import with_own_addresses
from pater.rest.responses import Reply
from pater.rest.sealed_links import PAGE, seal, unseal
from pater.rest.search_bundle import CURSOR, searchset
from pater.store.read import Stored
from pater.store.search import Page

_COUNT = 50
_MOST = 1000
_BETWEEN = "~"
_TOGETHER = "!"
_MOST_SORTED = 20


async def search(
    api: Api,
    caller: Caller,
    parameters: Parameters,
    *,
    private: bool = False,
    lenient: bool = False,
) -> Reply:
    """A searchset over several types. Raises HttpError 400, SearchError, Forbidden."""
    key = api.config.link_key
    if key and len(parameters) == 1 and parameters[0][0] == PAGE:
        parameters = unseal(parameters[0][1], "", key)
        private = True
    types = await _types(api, caller, parameters)
    kept = [pair for pair in parameters if pair[0] not in ("_type", CURSOR)]
    _check_includes(types, kept)
    requests = [_request(api, type_, _meant_for(type_, kept), lenient) for type_ in types]
    if any(request.contained != "false" for request in requests):
        text = "contained resources are searched one type at a time"
        raise HttpError(400, "not-supported", text, path="http._contained")
    cursors = [v for name, v in parameters if name == CURSOR]
    if requests and requests[0].sort:
        page = await _sorted_page(api, caller, requests, cursors)
    else:
        page = await _page(api, caller, requests, cursors)
    shown_already = {(each.type, each.id) for each in page.matches}
    beside = {(each.type, each.id): each for each in page.included}
    included = [each for key, each in beside.items() if key not in shown_already]
    page = Page(page.matches, included, page.total, page.next)
    shown = requests[0] if requests else SearchRequest("Basic")
    unread = {name for name, _ in shown.ignored}
    said = [pair for pair in parameters if pair[0] not in unread]
    links = [("self", said)]
    if page.next is not None:
        links.append(("next", [*(p for p in said if p[0] != CURSOR), (CURSOR, page.next)]))
    if private and key:
        links = [(relation, [(PAGE, seal(pairs, "", key))]) for relation, pairs in links]
    return Reply(200, searchset(api.config.base_url, "", links, shown, page))


async def _types(api: Api, caller: Caller, parameters: Parameters) -> list[str]:
    """The types that are named; without a name those whose every resource the caller may find."""
    named = [value for name, value in parameters if name == "_type"]
    if not named:
        held = await api.gate.types_held()
        return [type_ for type_ in RESOURCE_TYPES if type_ in held and _open(api, caller, type_)]
    types = list(dict.fromkeys(each for value in named for each in value.split(",")))
    if any(each not in TYPE_NUMBER for each in types):
        raise HttpError(400, "value", "_type: R4 has no such resource type")
    return types


def _open(api: Api, caller: Caller, type_: str) -> bool:
    decision = api.gate.decide(caller, "search", type_)
    return decision.allowed and not decision.patient_bound and group(type_) != "audit"


def _request(api: Api, type_: str, parameters: Parameters, lenient: bool) -> SearchRequest:
    try:
        found = parse_search(
            type_, parameters, custom=api.gate.custom, lenient=lenient, whole=True
        )  # fmt: skip
    except SearchError as error:
        issues = [replace(issue, text=f"{type_}: {issue.text}") for issue in error.issues]
        raise SearchError(issues) from error
    return with_own_addresses(found, api.config.base_url)


def _check_includes(types: Sequence[str], parameters: Parameters) -> None:
    """Refuses an inclusion that is about none of the types."""
    for name, value in parameters:
        if _includes(name) and not any(_about(type_, name, value) for type_ in types):
            plain = name.partition(":")[0]
            text = f"{plain}: this is about none of the types that are searched"
            raise HttpError(400, "value", text, path=f"http.{plain}")


def _meant_for(type_: str, parameters: Parameters) -> Parameters:
    """The parameters of one type's search."""
    return [
        (name, value)
        for name, value in parameters
        if not _includes(name) or _about(type_, name, value)
    ]


def _includes(name: str) -> bool:
    return name.partition(":")[0] in ("_include", "_revinclude")


def _about(type_: str, name: str, value: str) -> bool:
    """Whether an inclusion may bring something beside resources of a type; what cannot be read
    is left to the parser."""
    source, _, rest = value.partition(":")
    if source == "*" or source not in TYPE_NUMBER or name.endswith(":iterate"):
        return True
    if name.startswith("_include"):
        return source == type_
    parameter = indexed_parameters(source).get(rest.partition(":")[0])
    return parameter is None or not parameter.targets or type_ in parameter.targets


async def _sorted_page(
    api: Api, caller: Caller, requests: Sequence[SearchRequest], cursors: Sequence[str]
) -> Page:
    first = requests[0]
    if any(key.param not in ORDERS for key in first.sort):
        text = f"several types are sorted by {' and '.join(ORDERS)} alone"
        raise HttpError(400, "not-supported", text, path="http._sort")
    if len(requests) > _MOST_SORTED:
        text = f"at most {_MOST_SORTED} types are sorted together: name them by _type"
        raise HttpError(400, "too-costly", text, path="http._sort")
    size = min(_COUNT if first.count is None else first.count, _MOST)
    if first.summary == "count" or not size:
        return Page([], [], await _total(api, caller, requests), None)
    places = _places(requests, cursors)
    asked = [
        replace(each, cursor=places[each.type], total="none")
        for each in requests
        if each.type in places
    ]
    parts = await api.gate.search_types(caller, asked, size)
    matches = in_order([one for part in parts for one in part.page.matches], first.sort)
    included = [one for part in parts for one in part.page.included]
    ends = [
        f"{request.type}{_BETWEEN}{part.cursor or ''}"
        for request, part in zip(asked, parts, strict=True)
        if part.more
    ]
    total = None if first.total == "none" else await _total(api, caller, requests)
    return Page(matches, included, total, _TOGETHER.join(ends) or None)


def _places(requests: Sequence[SearchRequest], cursors: Sequence[str]) -> dict[str, str | None]:
    """Where each type that has something left goes on."""
    if not cursors:
        return {request.type: None for request in requests}
    found: dict[str, str | None] = {}
    for each in cursors[0].split(_TOGETHER):
        type_, between, inner = each.partition(_BETWEEN)
        if not between or type_ in found or all(type_ != one.type for one in requests):
            raise _foreign()
        found[type_] = inner or None
    return found


async def _page(
    api: Api, caller: Caller, requests: Sequence[SearchRequest], cursors: Sequence[str]
) -> Page:
    if not requests:
        return Page([], [], 0, None)
    first = requests[0]
    size = min(_COUNT if first.count is None else first.count, _MOST)
    if first.summary == "count" or not size:
        return Page([], [], await _total(api, caller, requests), None)
    number, inner = _place(requests, cursors)
    matches: list[Stored] = []
    included: list[Stored] = []
    end: str | None = None
    while number < len(requests):
        request = replace(requests[number], cursor=inner, total="none")
        page = await api.gate.search(caller, request, count=size - len(matches))
        matches += page.matches
        included += page.included
        if page.next is not None:
            end = f"{requests[number].type}{_BETWEEN}{page.next}"
            break
        number, inner = number + 1, None
        if len(matches) >= size:
            end = f"{requests[number].type}{_BETWEEN}" if number < len(requests) else None
            break
    total = None if first.total == "none" else await _total(api, caller, requests)
    return Page(matches, included, total, end)


async def _total(api: Api, caller: Caller, requests: Sequence[SearchRequest]) -> int:
    pages = [
        await api.gate.search(caller, replace(each, total="accurate", includes=()), count=0)
        for each in requests
    ]
    return sum(page.total or 0 for page in pages)


def _place(requests: Sequence[SearchRequest], cursors: Sequence[str]) -> tuple[int, str | None]:
    """Where a page begins: the number of the request, and the cursor within it."""
    if not cursors:
        return 0, None
    type_, between, inner = cursors[0].partition(_BETWEEN)
    for number, request in enumerate(requests):
        if between and request.type == type_:
            return number, inner or None
    raise _foreign()


def _foreign() -> SearchError:
    return SearchError(
        [Issue("error", "invalid", "", "the page cursor does not belong to this search")]
    )
