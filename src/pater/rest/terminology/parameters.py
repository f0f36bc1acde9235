"""Reads the parameters of a terminology operation, from an address or a Parameters resource."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pater.rest.errors import HttpError

Json = Mapping[str, Any]
_MISSING: Final = object()


class Given:
    """The parameters of one call; what comes later adds to what came before."""

    def __init__(self, rows: Sequence[tuple[str, Any]]) -> None:
        self._rows = list(rows)

    @classmethod
    def read(cls, query: Sequence[tuple[str, str]], body: Json | None) -> Given:
        """Of a call. A body is a Parameters resource, or the value set itself."""
        rows: list[tuple[str, Any]] = list(query)
        if body is not None:
            kind = body.get("resourceType")
            if kind == "Parameters":
                rows += _rows(body)
            elif kind == "ValueSet":
                rows.append(("valueSet", body))
            else:
                raise HttpError(400, "invalid", "send a Parameters resource", path="resourceType")
        return cls(rows)

    @classmethod
    def within(cls, outer: Given, body: Json) -> Given:
        """The parameters of one part of a batch: its own, then those of the whole."""
        own = list(_rows(body))
        names = {name for name, _ in own}
        shared = [(name, value) for name, value in outer if name not in names]
        return cls([*own, *shared])

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self._rows)

    def _one(self, name: str) -> Any:
        return next((value for each, value in self._rows if each == name), _MISSING)

    def text(self, *names: str) -> str:
        """A string, uri, code …; the first of the names that is there, else ""."""
        for name in names:
            value = self._one(name)
            if value is _MISSING:
                continue
            if not isinstance(value, str):
                raise _wrong(name, "a string")
            return value
        return ""

    def texts(self, name: str) -> list[str]:
        """All values of a repeating string."""
        found = [value for each, value in self._rows if each == name]
        if not all(isinstance(value, str) for value in found):
            raise _wrong(name, "a string")
        return found

    def flag(self, name: str) -> bool | None:
        """A boolean, None when it is not there."""
        value = self._one(name)
        if value is _MISSING:
            return None
        if value in (True, "true"):
            return True
        if value in (False, "false"):
            return False
        raise _wrong(name, "true or false")

    def number(self, name: str) -> int | None:
        """A whole number from 0 on, None when it is not there."""
        value = self._one(name)
        if value is _MISSING:
            return None
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
            return value
        raise _wrong(name, "a whole number from 0 on")

    def object(self, name: str) -> dict[str, Any] | None:
        """A Coding, CodeableConcept or resource; in an address a Coding is `system|code`."""
        value = self._one(name)
        if value is _MISSING:
            return None
        if isinstance(value, str) and name.lower().endswith(("coding", "codinga", "codingb")):
            system, bar, code = value.rpartition("|")
            return {"system": system, "code": code} if bar else {"code": code}
        if not isinstance(value, dict):
            raise _wrong(name, "an object")
        return value

    def objects(self, name: str) -> list[dict[str, Any]]:
        """All values of a repeating object."""
        found = [value for each, value in self._rows if each == name]
        if not all(isinstance(value, dict) for value in found):
            raise _wrong(name, "an object")
        return found


def _rows(body: Json) -> Iterator[tuple[str, Any]]:
    rows = body.get("parameter", [])
    if not isinstance(rows, list):
        raise HttpError(400, "structure", "parameter is a list", path="Parameters.parameter")
    for place, row in enumerate(rows):
        path = f"Parameters.parameter[{place}]"
        if not isinstance(row, dict) or not isinstance(row.get("name"), str):
            raise HttpError(400, "required", "a parameter has a name", path=f"{path}.name")
        if "resource" in row:
            if not isinstance(row["resource"], dict):
                raise HttpError(400, "structure", "a resource is an object", path=path)
            yield row["name"], row["resource"]
            continue
        value = next((v for k, v in row.items() if k.startswith("value")), _MISSING)
        if value is not _MISSING:
            yield row["name"], value


def _wrong(name: str, expected: str) -> HttpError:
    return HttpError(400, "value", f"the parameter {name} is {expected}", path=name)
