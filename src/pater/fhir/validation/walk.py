"""Walks a whole resource and holds each element against what R4 and known definitions ask of it:
declared profiles, extensions, codes, references, attachments, rules of its type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from pater.fhir.definitions import Element, element_table
from pater.fhir.fhirpath.items import Field, Item, fields_by_key, values_at
from pater.fhir.fhirpath.types import TypeRef, resource_type
from pater.fhir.issues import Issue, Severity
from pater.fhir.validation.content import TYPE_CHECKS
from pater.fhir.validation.extensions import check_extension
from pater.fhir.validation.rules import GENERAL, RESOURCE_RULES
from pater.fhir.validation.run import Frame, Run
from pater.fhir.validation.types import LIMIT, Findings

_DEEPEST = 100


class Holder(NamedTuple):
    """Where an element is: the element around it, its name there, its type."""

    above: Holder | None
    name: str
    kind: str
    item: Item

    def paths(self) -> list[str]:
        """All names of this place: by the resource, by each data type around it, by its type."""
        out = [self.kind]
        here: Holder | None = self
        tail = ""
        while here is not None and here.above is not None:
            tail = f".{here.name}{tail}"
            out.append(here.above.kind + tail)
            here = here.above
            if here.kind[:1].isupper() and here.above is None:
                break
        return out


@cache
def _rows(kind: str) -> Mapping[str, tuple[Field, Element | None]]:
    """JSON key → its field and its row in the element table."""
    root = kind.partition(".")[0]
    try:
        table = {row.path: row for row in element_table(root)}
    except KeyError:
        table = {}
    out: dict[str, tuple[Field, Element | None]] = {}
    for key, field in fields_by_key(kind).items():
        row = table.get(f"{kind}.{field.key}")
        if row is None:
            row = next(
                (
                    each for path, each in table.items()
                    if path.endswith("[x]") and path.rpartition(".")[0] == kind
                    and field.key.startswith(path.rpartition(".")[2][:-3])
                ),
                None,
            )  # fmt: skip
        out[key] = field, row
    return out


_KEEPS: Final = frozenset(("document", "collection", "message"))


def entries_kept(resource: Mapping[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The entries with a resource of a Bundle whose entries are kept with it, and their places."""
    if resource.get("resourceType") != "Bundle" or str(resource.get("type")) not in _KEEPS:
        return
    entries = resource.get("entry")
    for place, entry in enumerate(entries if isinstance(entries, list) else ()):
        inner = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get("resourceType"), str):
            yield place, entry


def declares(resource: Mapping[str, Any]) -> bool:
    """Whether a resource, or what is kept in it, declares a profile."""
    meta = resource.get("meta")
    if isinstance(meta, dict) and meta.get("profile"):
        return True
    return any(declares(entry["resource"]) for _, entry in entries_kept(resource))


class Walker:
    """One walk; `issues` are what it found."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.issues: list[Issue] = []
        self._seen: set[Issue] = set()
        self._unknown: set[str] = set()

    def add(self, path: str, findings: Findings) -> None:
        """Findings below a path; what was said already is not said again."""
        for each in findings or ():
            self.say(each.severity, each.code, path + each.path, each.text)

    def say(self, severity: Severity, code: str, path: str, text: str) -> None:
        """One issue."""
        issue = Issue(severity, code, path, text)
        if issue not in self._seen and len(self.issues) <= LIMIT:
            self._seen.add(issue)
            self.issues.append(issue)

    def resource(
        self, resource: dict[str, Any], path: str, frame: Frame, asked: tuple[str, ...] = ()
    ) -> None:
        """A resource: the profiles it declares or is asked for, the rules of its type, all
        below."""
        kind = resource_type(resource)
        item: Item = (kind, resource, None)
        self._profiles(item, path, frame, asked)
        for rule in (*GENERAL, *RESOURCE_RULES.get(kind.name, ())):
            self.add(path, rule(self.run, resource, frame))
        top = Holder(None, "", kind.name, item)
        self._children(item, path, frame, top, 0)

    def declared(self, resource: dict[str, Any], path: str, frame: Frame) -> None:
        """Only the profiles that a resource declares; of a Bundle that keeps resources together
        also those that its entries declare."""
        self._profiles((resource_type(resource), resource, None), path, frame, ())
        for place, entry in entries_kept(resource):
            inner = self.run.inner(frame, "resource", entry, entry["resource"])
            self.declared(entry["resource"], f"{path}.entry[{place}].resource", inner)

    def _profiles(self, item: Item, path: str, frame: Frame, asked: tuple[str, ...]) -> None:
        meta = item[1].get("meta")
        declared = meta.get("profile") if isinstance(meta, dict) else None
        listed = declared if isinstance(declared, list) else []
        for url in dict.fromkeys([*asked, *(each for each in listed if isinstance(each, str))]):
            profile = self.run.profiles.get(url)
            place = path if url in asked else f"{path}.meta.profile"
            if profile is None:
                if url not in asked and url in self._unknown:
                    continue
                self._unknown.add(url)
                self.say("error" if url in asked else "warning", "not-found", place,
                         f"The profile {url[:200]} is not known and was not checked.")  # fmt: skip
            elif profile.type not in (item[0].name, "Resource", "DomainResource"):
                text = f"The profile {url} is for {profile.type}, not for {item[0].name}."
                self.say("error", "value", place, text)
            elif not profile.plain:
                self.add(path, self.run.conforms(item, frame, profile))

    def _children(self, item: Item, path: str, frame: Frame, holder: Holder, depth: int) -> None:
        value = item[1] if type(item[1]) is dict else item[2]
        if type(value) is not dict or depth > _DEEPEST or len(self.issues) > LIMIT:
            return
        kind = item[0].name if type(item[1]) is dict else "Element"
        rows = _rows(kind)
        for key, given in value.items():
            found = rows.get(key)
            if found is None:
                continue
            field, row = found
            if key != field.key and field.key in value:
                continue  # what extends a primitive is met with it
            simple = type(given) is not dict and type(given) is not list
            if simple and field.hidden not in value:
                check = TYPE_CHECKS.get(field.type.name)
                if check is not None:
                    self.add(
                        f"{path}.{key}", check(self.run, (field.type, given, None), frame, row)
                    )
                continue
            many = type(given) is list
            for place, child in enumerate(values_at(value, field)):
                where = f"{path}.{field.key}[{place}]" if many else f"{path}.{field.key}"
                if field.resource:
                    if isinstance(child[1], dict):
                        inner = self.run.inner(frame, field.key, value, child[1])
                        self.resource(child[1], where, inner)
                    continue
                self._element(child, where, frame, row, field, holder, depth)

    def _element(
        self, child: Item, where: str, frame: Frame, row: Element | None, field: Field,
        holder: Holder, depth: int,
    ) -> None:  # fmt: skip
        kind: TypeRef = child[0]
        check = TYPE_CHECKS.get(kind.name)
        if check is not None and child[1] is not None:
            self.add(where, check(self.run, child, frame, row))
        if kind.name == "Extension" and isinstance(child[1], dict):
            found = check_extension(
                self.run, child, frame, holder, modifier=field.key == "modifierExtension"
            )
            self.add(where, found)
        name = field.key
        if row is not None and row.path.endswith("[x]"):
            name = row.path.rpartition(".")[2][:-3]
        self._children(child, where, frame, Holder(holder, name, kind.name, child), depth + 1)
