"""Rules of Bundles (R4 section 2.36): identities of entries, links, documents, search results."""

from __future__ import annotations

from typing import Any

from pater.fhir.references import iter_references, parse_reference
from pater.fhir.validation.run import Frame, Run, base_of
from pater.fhir.validation.types import Finding, Findings

Json = dict[str, Any]

_NO_IDENTITY = frozenset(("batch", "transaction", "batch-response", "transaction-response"))
_ONCE = frozenset(("self", "first", "previous", "prev", "next", "last"))
_SEARCH_LIKE = frozenset(("searchset", "history"))


def entries_of(bundle: Json) -> list[Json]:
    """The entries that are objects."""
    found = bundle.get("entry")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def bundle_rules(run: Run, bundle: Json, frame: Frame) -> Findings:
    """What is wrong with a Bundle as a whole."""
    kind = bundle.get("type")
    out: list[Finding] = []
    out += _links(bundle)
    for place, entry in enumerate(entries_of(bundle)):
        found = _identity(entry, str(kind))
        if kind == "searchset":
            found += _result(entry)
        out += [each._replace(path=f".entry[{place}]{each.path}") for each in found]
    if kind == "document":
        out += _document(run, bundle)
    elif kind == "message":
        first = entries_of(bundle)[:1]
        if first and _type(first[0]) != "MessageHeader":
            text = "The first entry of a message is its MessageHeader."
            out.append(Finding(".entry[0]", "invariant", text))
    return out or None


def _type(entry: Json) -> Any:
    resource = entry.get("resource")
    return resource.get("resourceType") if isinstance(resource, dict) else None


def _links(bundle: Json) -> list[Finding]:
    out: list[Finding] = []
    seen: set[str] = set()
    links = bundle.get("link")
    for place, link in enumerate(links if isinstance(links, list) else ()):
        relation = link.get("relation") if isinstance(link, dict) else None
        if not isinstance(relation, str):
            continue
        if relation in seen and relation in _ONCE:
            text = f"There is one link {relation} at most."
            out.append(Finding(f".link[{place}].relation", "value", text))
        seen.add(relation)
    return out


def _identity(entry: Json, kind: str) -> list[Finding]:
    """The fullUrl of an entry: absolute, and in accord with the resource."""
    resource, url = entry.get("resource"), entry.get("fullUrl")
    if not isinstance(resource, dict):
        return []
    if not isinstance(url, str):
        search = entry.get("search")
        outcome = isinstance(search, dict) and search.get("mode") == "outcome"
        if kind in _NO_IDENTITY or outcome or resource.get("resourceType") == "OperationOutcome":
            return []
        return [Finding(".fullUrl", "required", f"An entry of a {kind} has a fullUrl.")]
    ref = parse_reference(url)
    if ref.kind not in ("absolute", "urn"):
        return [Finding(".fullUrl", "value", "The fullUrl is an absolute address.")]
    if not base_of(url) or kind in _NO_IDENTITY:
        return []
    name, ident = resource.get("resourceType"), resource.get("id")
    if ident is None:
        text = "The fullUrl is an address on a server, so the resource has its id."
        return [Finding(".fullUrl", "value", text)]
    if (ref.type, ref.id) != (name, ident):
        return [Finding(".fullUrl", "value", f"The fullUrl ends with {name}/{ident}.")]
    return []


def _result(entry: Json) -> list[Finding]:
    """An entry of a search result."""
    search, resource = entry.get("search"), entry.get("resource")
    mode = search.get("mode") if isinstance(search, dict) else None
    if not isinstance(resource, dict):
        return []
    name = resource.get("resourceType")
    if mode == "outcome" and name != "OperationOutcome":
        return [Finding(".resource", "value", f"An outcome is an OperationOutcome, not a {name}.")]
    if mode != "outcome" and name != "OperationOutcome" and "id" not in resource:
        return [Finding(".resource.id", "required", "A resource that was found has an id.")]
    return []


def _document(run: Run, bundle: Json) -> list[Finding]:
    """The references of the Composition lead to one entry each."""
    entries = entries_of(bundle)
    if not entries or _type(entries[0]) != "Composition":
        text = "The first entry of a document is its Composition."
        return [Finding(".entry[0]", "invariant", text)]
    index = run.index(bundle)
    start = str(entries[0].get("fullUrl", ""))
    out: list[Finding] = []
    composition: Json = entries[0]["resource"]
    for path, holder in iter_references(composition):
        text = holder["reference"]
        if text.startswith("#") or ".contained" in path or ".extension" in path:
            continue
        found = index.find(text, start)
        where = f".entry[0].resource{path.removeprefix('Composition')}.reference"
        if not found:
            said = f"The document has no entry {text[:200]}."
            out.append(Finding(where, "not-found", said))
        elif len(found) > 1:
            said = f"The document has {len(found)} entries {text[:200]}."
            out.append(Finding(where, "multiple-matches", said))
    return out
