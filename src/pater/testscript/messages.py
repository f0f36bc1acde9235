"""What goes over the wire in a test, and what the later steps of it can look at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pater.fhir.fhirpath import FhirPathError, compile_expression
from pater.fhir.json import dumps, parse
from pater.testscript.paths import find

_VARIABLE = re.compile(r"\$\{([^${}]{1,200})\}")


class ScriptError(Exception):
    """A script that cannot be carried out as it stands; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response: `status` 0 for a request and for a fixture.

    Header names are in lower case. `resource` is None when the body is none.
    """

    resource: dict[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 0
    method: str = ""
    url: str = ""
    body: bytes = b""


@dataclass(slots=True)
class State:
    """Everything a running script knows: fixtures and exchanges by id, the last exchange."""

    variables: Mapping[str, Mapping[str, Any]]  # the definitions, by name
    fixtures: dict[str, Message] = field(default_factory=dict)  # as they came with the script
    requests: dict[str, Message] = field(default_factory=dict)
    responses: dict[str, Message] = field(default_factory=dict)
    request: Message | None = None
    response: Message | None = None
    given: Mapping[str, str] = field(default_factory=dict)  # values from the command line

    def message(self, id: str) -> Message:
        """The latest message under an id: a response, a request, or a fixture."""
        for known in (self.responses, self.requests, self.fixtures):
            if id in known:
                return known[id]
        raise ScriptError(f"nothing is known under the id {id!r}")

    def resource(self, id: str) -> dict[str, Any]:
        """The resource of a message."""
        found = self.message(id).resource
        if found is None:
            raise ScriptError(f"{id!r} has no resource")
        return found

    def fill(self, text: str) -> str:
        """The text with its `${variables}` replaced by their values now. Raises ScriptError."""
        return _VARIABLE.sub(lambda match: self._value(match[1]), text)

    def filled(self, resource: dict[str, Any]) -> dict[str, Any]:
        """A resource with the variables in its texts replaced."""
        text = dumps(resource).decode()
        if "${" not in text:
            return resource
        return parse(_VARIABLE.sub(lambda m: _quoted(self._value(m[1])), text).encode())

    def _value(self, name: str) -> str:
        definition = self.variables.get(name)
        if name in self.given:
            return self.given[name]
        if definition is None:
            raise ScriptError(f"there is no variable {name!r}")
        found = self._found(definition)
        if found is None:
            found = definition.get("defaultValue")
        if found is None:
            raise ScriptError(f"the variable {name!r} has no value")
        return str(found)

    def _found(self, definition: Mapping[str, Any]) -> str | None:
        source = definition.get("sourceId")
        if source is not None and not any(
            source in known for known in (self.responses, self.requests, self.fixtures)
        ):
            return None
        message = self.message(source) if source else self.response
        if message is None:
            return None
        if "headerField" in definition:
            return message.headers.get(str(definition["headerField"]).lower())
        if message.resource is None:
            return None
        if "expression" in definition:
            values = evaluate(str(definition["expression"]), message.resource)
        elif "path" in definition:
            values = find(str(definition["path"]), message.resource)
        else:
            return None
        return plain(values[0]) if values else None


def evaluate(expression: str, resource: dict[str, Any]) -> list[Any]:
    """The values of a FHIRPath expression on a resource. Raises ScriptError."""
    type_ = resource.get("resourceType")
    try:
        return compile_expression(expression, str(type_)).evaluate(resource)
    except FhirPathError as error:
        raise ScriptError(f"the expression {expression!r} cannot be evaluated: {error}") from error


def plain(value: Any) -> str:
    """A value as scripts compare it: as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return dumps(value).decode()
    return str(value)


def _quoted(text: str) -> str:
    """As the inside of a JSON string."""
    return dumps(text).decode()[1:-1]
