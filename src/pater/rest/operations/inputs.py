"""What an operation was called with: the query of a GET and the Parameters of a POST as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from pater.domain import OperationRequest
from pater.fhir.definitions import TYPE_NUMBER
from pater.rest.errors import HttpError
from pater.rest.history_query import span

Kind = Literal["text", "number", "boolean", "resource", "complex"]


class Given(NamedTuple):
    """One value, and the FHIRPath of where it stands."""

    value: Any
    path: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """The parameters by name, each of the kind that the operation takes; in the order given."""

    given: Mapping[str, Sequence[Given]]
    query: Sequence[tuple[str, str]]
    """The plain ones as a query, for the links of an answer that has pages."""

    def one(self, name: str) -> Given | None:
        """The only value. Raises HttpError 400 when there are several."""
        found = self.given.get(name, ())
        if len(found) > 1:
            raise refused(f"{name} stands here once", found[1].path)
        return found[0] if found else None

    def text(self, name: str, default: str = "") -> str:
        """The only value as a text."""
        found = self.one(name)
        return default if found is None else str(found.value)

    def flag(self, name: str, default: bool = False) -> bool:
        """The only value as a boolean."""
        found = self.one(name)
        return default if found is None else bool(found.value)

    def number(self, name: str, default: int, *, least: int = 0, most: int = 2**31 - 1) -> int:
        """The only value as a whole number within bounds. Raises HttpError 400."""
        found = self.one(name)
        if found is None:
            return default
        if not least <= found.value <= most:
            raise refused(f"{name} is a number from {least} to {most}", found.path)
        return int(found.value)

    def needed(self, name: str) -> Given:
        """The only value. Raises HttpError 400 when there is none."""
        found = self.one(name)
        if found is None:
            raise HttpError(400, "required", f"the parameter {name} is missing", path=_place(name))
        return found

    def types(self, name: str = "_type") -> frozenset[str]:
        """The resource types that the values name, parted by commas too. Raises HttpError 400."""
        found: set[str] = set()
        for value, path in self.given.get(name, ()):
            for each in str(value).split(","):
                if each not in TYPE_NUMBER:
                    raise refused(f"{each[:64]} is no resource type of R4", path)
                found.add(each)
        return frozenset(found)

    def start(self, name: str) -> datetime | None:
        """The first moment of the only value, a date or time. Raises HttpError 400."""
        found = self.one(name)
        return None if found is None else span(name, str(found.value), found.path)[0]

    def end(self, name: str) -> datetime | None:
        """The last moment of the only value. Raises HttpError 400."""
        found = self.one(name)
        return None if found is None else span(name, str(found.value), found.path)[1]


def read_inputs(request: OperationRequest, takes: Mapping[str, Kind]) -> Inputs:
    """The inputs of an operation that takes these parameters. Raises HttpError 400 with a path."""
    given: dict[str, list[Given]] = {}
    query: list[tuple[str, str]] = []
    for name, value in request.parameters:
        path = _place(name)
        kind = takes.get(name)
        if kind is None or kind in ("resource", "complex"):
            raise HttpError(400, "not-supported", f"there is no parameter {name[:64]} here",
                            path=path)  # fmt: skip
        given.setdefault(name, []).append(Given(_of_text(name, value, kind, path), path))
        query.append((name, value))
    for path, name, part in _parts(request):
        kind = takes.get(name)
        if kind is None:
            text = f"the operation has no parameter {name[:64]}"
            raise HttpError(400, "not-supported", text, path=path)
        value = _value(part, kind, name, path)
        given.setdefault(name, []).append(Given(value, path))
        if kind not in ("resource", "complex"):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            query.append((name, text))
    return Inputs(given, query)


def refused(text: str, path: str, code: str = "value") -> HttpError:
    """400 at a place."""
    return HttpError(400, code, text, path=path)


def _place(name: str) -> str:
    shown = name[:64].replace("\\", "").replace("'", "")
    return f"Parameters.parameter.where(name='{shown}')"


def _of_text(name: str, text: str, kind: Kind, path: str) -> Any:
    if kind == "number":
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise refused(f"{name} is a whole number", path)
        return int(text)
    if kind == "boolean":
        if text not in ("true", "false"):
            raise refused(f"{name} is true or false", path)
        return text == "true"
    return text


def _parts(request: OperationRequest) -> list[tuple[str, str, Mapping[str, Any]]]:
    body = request.resource
    if body is None:
        return []
    listed = body.get("parameter", [])
    if body.get("resourceType") != "Parameters":
        raise refused("an operation takes Parameters", "resourceType", "invalid")
    if not isinstance(listed, list):
        raise refused("it is an array", "Parameters.parameter", "structure")
    found: list[tuple[str, str, Mapping[str, Any]]] = []
    for number, part in enumerate(listed):
        path = f"Parameters.parameter[{number}]"
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(name, str):
            raise refused("a parameter has a name", path, "required")
        found.append((path, name, part))
    return found


def _value(part: Mapping[str, Any], kind: Kind, name: str, path: str) -> Any:
    if kind == "resource":
        resource = part.get("resource")
        if not isinstance(resource, dict) or str(resource.get("resourceType")) not in TYPE_NUMBER:
            raise refused(f"{name} is a resource", path)
        return resource
    keys = [key for key in part if key.startswith("value")]
    value = part[keys[0]] if len(keys) == 1 else None
    fits = {
        "text": isinstance(value, str),
        "number": isinstance(value, int) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "complex": isinstance(value, dict),
    }
    if not fits[kind]:
        raise refused(f"{name} has one value, and of another type", path)
    return value
