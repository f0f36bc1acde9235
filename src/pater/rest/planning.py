"""What a transaction comes to: its entries as changes with ids, claims and references in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pater.fhir.issues import Issue, has_errors
from pater.fhir.references import iter_references, parse_reference
from pater.records.changes import Change, Edit, Method
from pater.records.conditional import Meant
from pater.rest import conditional
from pater.rest import interactions as do
from pater.rest.entries import Entry
from pater.rest.errors import HttpError
from pater.rest.interactions import Api
from pater.rest.meanings import Meanings
from pater.rest.profiles import Check
from pater.rest.references_in_bundles import names_of, resolved
from pater.rest.requests import version_of
from pater.store.read import Stored
from pater.store.write import Written

METHODS: Final[dict[str, Method]] = {
    "DELETE": "delete",
    "POST": "create",
    "PUT": "update",
    "PATCH": "update",
}


def queries_of(api: Api, entries: Sequence[Entry], issues: list[Issue]) -> Meanings:
    """The queries that the entries and their references make, and what is wrong with both."""
    meanings = Meanings()
    places: dict[str, int] = {}
    known: set[str] = set()
    for entry in entries:
        if entry.method not in ("POST", "PUT"):
            continue
        if entry.full_url in places:
            text = f"entry {places[entry.full_url]} has the same fullUrl"
            issues.append(Issue("error", "duplicate", f"{entry.path}.fullUrl", text))
        elif entry.full_url:
            places[entry.full_url] = entry.position
        known.update(names_of(entry.full_url, ""))
    for entry in entries:
        if_none_exist = entry.headers.get("if-none-exist") if entry.method == "POST" else None
        query_text = entry.query if entry.method != "POST" else if_none_exist
        if query_text:
            place = "ifNoneExist" if entry.method == "POST" else "url"
            path = f"{entry.path}.request.{place}"
            query = meanings.ask(api, entry.type, query_text, path, issues)
            if query is not None:
                meanings.entries[entry.position] = query
        if entry.resource is not None and entry.type != "Bundle" and entry.method != "PATCH":
            path = f"{entry.path}.resource"
            meanings.ask_references(api, entry.resource, path, known, issues)
    return meanings


Planned = Change | Stored | tuple[str, str] | None
"""A change; or what is there already; or what another entry makes; or nothing to delete."""


def plan(
    api: Api,
    entries: Sequence[Entry],
    patches: Mapping[int, Edit],
    meanings: Meanings,
    check: Check | None = None,
) -> list[tuple[Entry, Planned]]:
    """The changes with ids given and references rewritten. Raises HttpError with all issues.

    `check` may find issues in what patches make."""
    issues: list[Issue] = []
    names = meanings.names()
    ids: dict[int, str] = {}
    first: dict[bytes, int] = {}  # the entry that creates what a query did not find
    for entry in entries:
        meant = meanings.of(entry.position)
        given = entry.resource.get("id") if entry.resource and entry.method == "PUT" else None
        if meant is not None and meant.stored is not None:
            id_ = meant.stored.id
        elif meant is not None and entry.method == "POST" and meant.key in first:
            id_ = ids[first[meant.key]]
        else:
            id_ = entry.id or (given if isinstance(given, str) else "") or api.gate.new_id()
            if meant is not None and entry.method in ("POST", "PUT"):
                first.setdefault(meant.key, entry.position)
        ids[entry.position] = id_
        if entry.method in ("DELETE", "PATCH"):
            continue
        address = f"{entry.type}/{id_}"
        names.update(dict.fromkeys(names_of(entry.full_url, address), address))
    planned: list[tuple[Entry, Planned]] = []
    for entry in entries:
        resource = None
        if entry.method in ("POST", "PUT") and entry.resource is not None:
            resource = entry.resource
            if entry.type != "Bundle":  # a Bundle has its own names, and they mean its own entries
                resource = resolved(resource, names)
        try:
            edit = patches.get(entry.position)
            change = _change(
                api, entry, ids[entry.position], resource, edit,
                meanings.of(entry.position), first, issues, check,
            )  # fmt: skip
            planned.append((entry, change))
        except HttpError as error:
            issues += error.issues
    issues += _gone(planned)
    issues += _overlaps(planned)
    issues += _dangling(planned, api.config.base_url)
    if has_errors(issues):
        raise HttpError(400, "invalid", "the transaction is not right", issues=issues)
    return planned


def _overlaps(planned: Sequence[tuple[Entry, Planned]]) -> list[Issue]:
    """Both places of each resource that two entries change (R4 3.1.0.11.2)."""
    first: dict[tuple[str, str | None], Entry] = {}
    issues: list[Issue] = []
    for entry, change in planned:
        if not isinstance(change, Change):
            continue
        other = first.setdefault((change.type, change.id), entry)
        if other is not entry:
            for here, there in ((other, entry), (entry, other)):
                text = f"{change.type}/{change.id} is changed by {there.path} too"
                issues.append(Issue("error", "duplicate", f"{here.path}.request", text))
    return issues


def _dangling(planned: Sequence[tuple[Entry, Planned]], base_url: str) -> list[Issue]:
    """References to what another entry deletes. A Provenance may tell of a deletion."""
    deleted = {
        (change.type, change.id): entry
        for entry, change in planned
        if isinstance(change, Change) and change.method == "delete"
    }
    issues: list[Issue] = []
    for entry, change in planned if deleted else ():
        if not isinstance(change, Change) or change.resource is None:
            continue
        if entry.type in ("Bundle", "Provenance"):
            continue
        for place, holder in iter_references(change.resource):
            ref = parse_reference(holder["reference"].removeprefix(f"{base_url}/"))
            other = deleted.get((ref.type or "", ref.id)) if ref.kind == "relative" else None
            if other is not None and ref.version is None:
                path = f"{entry.path}.resource{place[place.find('.') :]}.reference"
                text = f"{ref.type}/{ref.id} is deleted by {other.path}"
                issues.append(Issue("error", "not-found", path, text))
    return issues


def _gone(planned: Sequence[tuple[Entry, Planned]]) -> list[Issue]:
    """Entries that are content with what another entry deletes (R4 3.1.0.11.2: no overlaps)."""
    deleted = {
        (change.type, change.id)
        for _, change in planned
        if isinstance(change, Change) and change.method == "delete"
    }
    return [
        Issue("error", "duplicate", f"{entry.path}.request.ifNoneExist",
              f"{found.type}/{found.id} is deleted by another entry")
        for entry, found in planned
        if deleted and isinstance(found, Stored) and (found.type, found.id) in deleted
    ]  # fmt: skip


def _change(
    api: Api,
    entry: Entry,
    id: str,
    resource: dict[str, Any] | None,
    edit: Edit | None,
    meant: Meant | None,
    first: Mapping[bytes, int],
    issues: list[Issue],
    check: Check | None,
) -> Planned:
    """What one entry comes to. Raises HttpError; and PreconditionFailed for a conditional one."""
    path = f"{entry.path}.resource"
    expected = _expected(entry, issues)
    stored = meant.stored if meant is not None else None
    if edit is not None:
        if meant is not None and stored is None:
            raise HttpError(404, "not-found", f"the query means no {entry.type}", path=path)
        return conditional.patch_change(api, entry.type, id, edit, expected, path, check)
    if entry.method == "DELETE":
        if meant is None:
            return Change("delete", entry.type, id, if_match=expected, path=path)
        return conditional.delete_change(entry.type, stored, expected) if stored else None
    if meant is not None and resource is not None:
        if entry.method == "PUT":
            change = conditional.update_change(api, entry.type, resource, meant, expected, path)
            return change if change.id is not None else replace(change, id=id)
        if stored is not None:
            return stored
        if first[meant.key] != entry.position:
            return entry.type, id
    claims = do.claims_of(api, entry.type)
    return Change(
        METHODS[entry.method],
        entry.type,
        id,
        resource,
        if_match=expected,
        path=path,
        claims_of=meant.claims_of(entry.type, claims) if meant is not None else claims,
    )


def as_it_stands(stored: Stored) -> Written:
    return Written(stored.type, stored.id, stored.version, stored.updated, False, stored.body)


def _expected(entry: Entry, issues: list[Issue]) -> int | None:
    if entry.headers.get("if-none-match") == "*":
        return 0
    text = entry.headers.get("if-match")
    if text is None or entry.method == "POST":
        return None
    try:
        return version_of(text)
    except HttpError as error:
        issues.append(Issue("error", "value", f"{entry.path}.request.ifMatch", str(error)))
        return None
