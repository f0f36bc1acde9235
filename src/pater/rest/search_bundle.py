"""Bundles of results, built by joining the stored bytes: bodies are neither parsed nor copied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote, urlencode

from pater.fhir.issues import Issue, operation_outcome
from pater.fhir.json import dumps
from pater.fhir.search.query import SearchRequest
from pater.records.changes import HistoryPage
from pater.rest.projection import project
from pater.rest.responses import etag
from pater.store.read import Stored
from pater.store.search import Page

CURSOR = "_cursor"


def searchset(
    base_url: str,
    type: str,
    links: Iterable[tuple[str, Sequence[tuple[str, str]]]],
    request: SearchRequest,
    page: Page,
    remarks: Sequence[Issue] = (),
) -> bytes:
    """A Bundle of type searchset (FHIR R4 3.1.1.4): links, total when asked, entries with mode.

    `links` are relations and the parameters of a search of the type ("" = of the whole system).
    """
    here = f"{base_url}/{type}" if type else base_url
    urls = [(relation, _link(here, parameters)) for relation, parameters in links]
    summary = request.summary if request.summary not in (None, "false", "count") else ""
    entries: list[bytes] = []
    prefix = f'{{"fullUrl":"{base_url}/'.encode()
    for mode, resources in (("match", page.matches), ("include", page.included)):
        suffix = b',"search":{"mode":"%s"}}' % mode.encode("ascii")
        for stored in resources:
            body = stored.body
            if summary or request.elements:
                body = project(body, stored.type, summary or "", request.elements)
            address = f'{stored.type}/{stored.id}","resource":'.encode("ascii")
            entries.append(b"".join((prefix, address, body, suffix)))
    if request.ignored or remarks:
        entries.append(_remarks(request.ignored, remarks))
    return _bundle("searchset", page.total, urls, entries)


def _remarks(ignored: Iterable[tuple[str, str]], remarks: Sequence[Issue]) -> bytes:
    """The entry that says what a lenient search left out, and what can find nothing (R4
    3.1.1.4.2, mode `outcome`).
    """
    issues = [Issue("warning", "not-supported", "", text) for _, text in ignored]
    issues += remarks
    return dumps({"resource": operation_outcome(issues), "search": {"mode": "outcome"}})


def history_bundle(
    base_url: str, path: str, parameters: Sequence[tuple[str, str]], page: HistoryPage
) -> bytes:
    """A Bundle of type history (FHIR R4 3.1.0.9): each version with its request and response.

    `path` is the address of the history, `parameters` those that all its pages have in common.
    """
    here = f"{base_url}/{path}"
    links = [("self", _link(here, parameters))]
    if page.next is not None:
        links.append(("next", _link(here, [*parameters, (CURSOR, page.next)])))
    entries = [
        _version(base_url, each, (each.type, each.id, each.version) in page.revived)
        for each in page.versions
    ]
    return _bundle("history", page.total, links, entries)


def _version(base_url: str, stored: Stored, revived: bool) -> bytes:
    created = (stored.version == 1 or revived) and not stored.deleted
    address = f"{stored.type}/{stored.id}"
    request = {
        "method": stored.method,
        "url": stored.type if stored.method == "POST" else address,
    }
    response = {
        "status": "204" if stored.deleted else "201" if created else "200",
        "etag": etag(stored.version).decode("ascii"),
        "lastModified": stored.updated.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    parts = [b'{"fullUrl":', dumps(f"{base_url}/{address}")]
    if not stored.deleted:
        parts += [b',"resource":', stored.body]
    parts += [b',"request":', dumps(request), b',"response":', dumps(response), b"}"]
    return b"".join(parts)


def _bundle(
    kind: str, total: int | None, links: Iterable[tuple[str, str]], entries: Sequence[bytes]
) -> bytes:
    parts = [b'{"resourceType":"Bundle","type":"', kind.encode("ascii"), b'"']
    if total is not None:
        parts.append(b',"total":%d' % total)
    said = [{"relation": relation, "url": url} for relation, url in links]
    parts += [b',"link":', dumps(said)]
    if entries:
        parts += [b',"entry":[', b",".join(entries), b"]"]
    parts.append(b"}")
    return b"".join(parts)


def _link(address: str, parameters: Sequence[tuple[str, str]]) -> str:
    if not parameters:
        return address
    return f"{address}?{urlencode(parameters, quote_via=quote, safe=':/|,$')}"
