"""Looks up the entries of one document Bundle and follows references inside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_DEPTH = 64


def obj(value: Any) -> Json:
    """The value when it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Json]:
    """The objects of a list; a lone object counts as a list of one."""
    if isinstance(value, dict):
        return [value]
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    """The value when it is a string, stripped, else ""."""
    return value.strip() if isinstance(value, str) else ""


def texts(value: Any) -> list[str]:
    """The strings of a list that say something."""
    return [one for one in map(text, value) if one] if isinstance(value, list) else []


def choice(resource: Json, name: str) -> tuple[str, Any]:
    """The type and value of a choice element `name[x]`; ("", None) when absent."""
    for key, value in resource.items():
        kind = key[len(name) :]
        if key.startswith(name) and kind[:1].isupper():
            return kind, value
    return "", None


class BundleIndex:
    """The entries of a document by every name under which a reference may call them."""

    def __init__(self, bundle: Json) -> None:
        self.bundle = bundle
        self.entries: list[Json] = []
        self._by_name: dict[str, int] = {}
        for entry in items(bundle.get("entry")):
            resource = obj(entry.get("resource"))
            if not text(resource.get("resourceType")):
                continue
            position = len(self.entries)
            self.entries.append(resource)
            kind, own = text(resource.get("resourceType")), text(resource.get("id"))
            full = text(entry.get("fullUrl"))
            for name in (full, "/".join(full.rsplit("/", 2)[-2:]), f"{kind}/{own}" if own else ""):
                if name:
                    self._by_name.setdefault(name, position)
        self._position = {id(resource): n for n, resource in enumerate(self.entries)}
        first = self.entries[0] if self.entries else {}
        self.composition = (
            first
            if first.get("resourceType") == "Composition"
            else next((e for e in self.entries if e.get("resourceType") == "Composition"), {})
        )

    def position(self, resource: Json) -> int:
        """The number of the entry that is this very object, -1 for contained ones."""
        return self._position.get(id(resource), -1)

    def resolve(self, reference: Any, holder: Json | None = None) -> Json:
        """The resource a Reference means, of the Bundle or contained in `holder`; {} when none."""
        target = text(obj(reference).get("reference"))
        if not target:
            return {}
        if target.startswith("#"):
            contained = items((holder or {}).get("contained"))
            return next((one for one in contained if one.get("id") == target[1:]), {})
        target = target.split("/_history/", 1)[0]
        for name in (target, "/".join(target.rsplit("/", 2)[-2:])):
            position = self._by_name.get(name)
            if position is not None:
                return self.entries[position]
        return {}

    def referenced(self) -> frozenset[int]:
        """The numbers of the entries that some other entry refers to."""
        found: set[int] = set()
        for resource in self.entries:
            own = self.position(resource)
            for holder in _holders(resource, 0):
                position = self.position(self.resolve(holder, resource))
                if position >= 0 and position != own:
                    found.add(position)
        return frozenset(found)


def _holders(value: Any, depth: int) -> Iterator[Json]:
    if depth > _DEPTH:
        return
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value
        for one in value.values():
            if isinstance(one, (dict, list)):
                yield from _holders(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            if isinstance(one, (dict, list)):
                yield from _holders(one, depth + 1)
