"""The entries of a transaction or batch as they are read: what each asks for, and of what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import unquote

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.issues import Issue
from pater.rest.everything import COMPARTMENTS
from pater.rest.requests import is_id

ORDER: Final = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}
"""The order in which the methods of a Bundle are done (FHIR R4 3.1.0.11.2)."""

_WHOLE: Final = ("", "_search", "_history", "metadata")
"""What can be read that is of no type: a search of all, the history of all, what the API is."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: what it asks for. `id` is "" for the type's own address."""

    position: int
    method: str
    type: str
    id: str
    rest: tuple[str, ...]  # further segments of the address: `_history`, a version
    query: str
    headers: dict[str, str]
    full_url: str
    resource: dict[str, Any] | None
    operation: str = ""  # without its $
    head: bool = False  # a GET of which only the response is wanted

    @property
    def path(self) -> str:
        """The FHIRPath of the entry."""
        return f"Bundle.entry[{self.position}]"


def read_entries(bundle: dict[str, Any], issues: list[Issue], base_url: str) -> Iterable[Entry]:
    """The entries of a Bundle that can be understood; issues of all."""
    for position, raw in enumerate(bundle.get("entry") or ()):
        entry = read_entry(position, raw, issues, base_url)
        if entry is not None:
            yield entry


def read_entry(position: int, raw: Any, issues: list[Issue], base_url: str) -> Entry | None:
    """One entry read; None with issues when its request cannot be understood."""
    path = f"Bundle.entry[{position}]"

    def wrong(code: str, place: str, text: str) -> None:
        issues.append(Issue("error", code, f"{path}{place}", text))

    request = raw.get("request") if isinstance(raw, dict) else None
    method = request.get("method") if isinstance(request, dict) else None
    url = request.get("url") if isinstance(request, dict) else None
    if not isinstance(request, dict) or not isinstance(method, str) or not isinstance(url, str):
        wrong("required", ".request", "an entry has a request with method and url")
        return None
    if method not in ORDER:
        known = "a method is DELETE, POST, PUT, PATCH, GET or HEAD"
        wrong("not-supported", ".request.method", known)
        return None
    resource = raw.get("resource")
    if resource is not None and not isinstance(resource, dict):
        wrong("structure", ".resource", "a resource is a JSON object")
        return None
    headers: dict[str, str] = {}
    for element, header in (
        ("ifMatch", "if-match"),
        ("ifNoneMatch", "if-none-match"),
        ("ifModifiedSince", "if-modified-since"),
        ("ifNoneExist", "if-none-exist"),
    ):
        value = request.get(element)
        if isinstance(value, str):
            headers[header] = _http_date(value) if element == "ifModifiedSince" else value
    relative = url.removeprefix(base_url).lstrip("/") if url.startswith(base_url) else url
    address, _, query = relative.partition("?")
    segments = [unquote(part) for part in address.lstrip("/").split("/")]
    operation = ""
    if segments[-1].startswith("$"):
        operation = segments.pop()[1:]
    if segments[3:] == ["_search"] and method in ("GET", "HEAD"):
        segments.pop()  # of a compartment
    type_, id_, *rest = [*segments, "", ""][: max(2, min(len(segments), 5))]
    entry = Entry(
        position=position,
        method="GET" if method == "HEAD" else method,
        type=type_,
        id=id_,
        rest=tuple(part for part in rest if part),
        query=query,
        headers=headers,
        full_url=raw["fullUrl"] if isinstance(raw.get("fullUrl"), str) else "",
        resource=resource,
        operation=operation,
        head=method == "HEAD",
    )
    _address_issues(entry, issues)
    return entry


def _http_date(instant: str) -> str:
    """An instant as HTTP writes it; another text as it is, which counts for nothing."""
    try:
        at = datetime.fromisoformat(instant)
        return format_datetime(at.astimezone(UTC), usegmt=True) if at.tzinfo else instant
    except (ValueError, OverflowError):
        return instant


def _address_issues(entry: Entry, issues: list[Issue]) -> None:
    """Whether method and address go together."""
    url = f"{entry.path}.request.url"
    if entry.operation:
        placed = (entry.type in TYPE_NUMBER and not entry.rest) or not entry.type
        if not placed or entry.method not in ("GET", "POST") or (entry.id and not is_id(entry.id)):
            text = "an operation is called by GET or POST at Type/id/$name, Type/$name or $name"
            issues.append(Issue("error", "value", url, text))
        return
    if entry.method == "GET" and not entry.id and entry.type in _WHOLE:
        return
    if entry.type not in TYPE_NUMBER:
        issues.append(Issue("error", "not-found", url, "the address names no resource type"))
        return
    if entry.method == "GET":
        if entry.type in COMPARTMENTS and len(entry.rest) == 1 and entry.rest[0] in TYPE_NUMBER:
            return
        if entry.type == "Patient" and entry.rest == ("*",):
            return
        if entry.id and entry.rest and (entry.rest[0] != "_history" or len(entry.rest) > 2):
            issues.append(Issue("error", "not-supported", url, "this is no address to read"))
        return
    by_query = bool(entry.query) and entry.method != "POST" and not entry.id
    if entry.query and not by_query:
        issues.append(Issue("error", "value", url, "this address takes no parameters"))
    elif entry.rest or (entry.method == "POST" or by_query) != (not entry.id):
        text = "POST goes to the type, PUT, PATCH and DELETE to the type and id or to a query"
        issues.append(Issue("error", "value", url, text))
    elif entry.id and not is_id(entry.id):
        issues.append(Issue("error", "value", url, "an id has 1 to 64 of A-Z a-z 0-9 - ."))
    if entry.method == "DELETE":
        return
    if entry.resource is None:
        issues.append(
            Issue("error", "required", f"{entry.path}.resource", "the entry has a resource")
        )
    elif entry.method == "PATCH":
        if entry.resource.get("resourceType") not in ("Binary", "Parameters"):
            text = "the resource of a PATCH is Parameters or a Binary"
            issues.append(Issue("error", "value", f"{entry.path}.resource", text))
    elif entry.resource.get("resourceType") != entry.type:
        text = f"the resource is a {entry.type}, as its address says"
        issues.append(Issue("error", "value", f"{entry.path}.resource", text))
    elif entry.method == "PUT" and entry.id and entry.resource.get("id") != entry.id:
        text = "the resource has the same id as its address"
        issues.append(Issue("error", "value", f"{entry.path}.resource.id", text))
