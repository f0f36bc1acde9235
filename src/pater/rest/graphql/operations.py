"""`$graphql` as an operation: reads the request, runs the query, says what went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from graphql import GraphQLError, parse
from graphql.language import ast

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest
from pater.fhir import json
from pater.fhir.definitions import RESOURCE_TYPES
from pater.fhir.issues import operation_outcome
from pater.records.gate import Gate
from pater.rest.graphql.loading import Loading
from pater.rest.graphql.running import Run, refused
from pater.rest.operations.places import resource_id
from pater.rest.outcomes import CLIENT_ERRORS, describe

_LONGEST: Final = 20_000
_MOST_TOKENS: Final = 5_000
_DEFINITION: Final = "http://hl7.org/fhir/OperationDefinition/Resource-graphql"
_TYPE: Final = {"Content-Type": "application/json"}


def operations(gate: Gate, base_url: str) -> Sequence[Operation]:
    """On the system and at every instance."""

    async def run(caller: Caller, request: OperationRequest) -> Answer:
        try:
            data = await _answer(gate, base_url, caller, request)
        except CLIENT_ERRORS as error:
            status, issues, headers = describe(error)
            outcome = operation_outcome(issues)
            said = {"message": issues[0].text, "extensions": {"resource": outcome}}
            more = {name.decode(): value.decode() for name, value in headers}
            return Answer(status, orjson.dumps({"errors": [said]}), {**more, **_TYPE})
        return Answer(200, json.dumps({"data": data}), _TYPE)

    methods = frozenset({"GET", "POST"})
    types = frozenset(RESOURCE_TYPES) - {"AuditEvent"}
    return (
        Operation("graphql", run, methods=methods, definition=_DEFINITION),
        Operation("graphql", run, types, instance=True, methods=methods, definition=_DEFINITION),
    )


async def _answer(
    gate: Gate, base_url: str, caller: Caller, request: OperationRequest
) -> dict[str, Any]:
    text, variables, name = _asked(request)
    operation, fragments = _read(text, name)
    run = Run(Loading(gate, caller, base_url), base_url, _given(operation, variables), fragments)
    if not request.id:
        return await run.of_system(operation.selection_set)
    stored = await gate.read(caller, request.type, resource_id(request.type, request.id))
    return await run.of_resource(json.parse(stored.body), operation.selection_set)


def _asked(request: OperationRequest) -> tuple[str, Mapping[str, Any], str]:
    """Query, variables and name of the operation: of the address, or of a JSON body."""
    given: dict[str, Any] = dict(request.parameters)
    if request.resource is not None:
        given |= request.resource
    variables = given.get("variables")
    if isinstance(variables, str) and variables:
        try:
            variables = orjson.loads(variables)
        except orjson.JSONDecodeError:
            raise refused("the variables are a JSON object") from None
    if variables is not None and variables != "" and not isinstance(variables, dict):
        raise refused("the variables are a JSON object")
    text, name = given.get("query"), given.get("operationName") or ""
    if not isinstance(text, str) or not text.strip() or not isinstance(name, str):
        raise refused("a request has a query", "required")
    if len(text) > _LONGEST:
        raise refused(f"a query has at most {_LONGEST} characters", "too-long")
    return text, variables or {}, name


def _read(
    text: str, name: str
) -> tuple[ast.OperationDefinitionNode, dict[str, ast.FragmentDefinitionNode]]:
    try:
        document = parse(text, no_location=True, max_tokens=_MOST_TOKENS)
    except (GraphQLError, RecursionError) as error:
        said = error.message if isinstance(error, GraphQLError) else "nested too deep"
        raise refused(f"the query cannot be read: {said}") from None
    found = [d for d in document.definitions if isinstance(d, ast.OperationDefinitionNode)]
    chosen = [
        each for each in found if not name or (each.name is not None and each.name.value == name)
    ]
    if len(chosen) != 1:
        raise refused("say with operationName which one of the queries is meant")
    if chosen[0].operation is not ast.OperationType.QUERY:
        raise refused("there are queries only, no mutations", "not-supported")
    fragments = {
        each.name.value: each
        for each in document.definitions
        if isinstance(each, ast.FragmentDefinitionNode)
    }
    return chosen[0], fragments


def _given(operation: ast.OperationDefinitionNode, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables with their defaults."""
    out: dict[str, Any] = {}
    for each in operation.variable_definitions or ():
        name = each.variable.name.value
        if name in variables:
            out[name] = variables[name]
        elif each.default_value is not None:
            default = each.default_value
            out[name] = getattr(default, "value", None)
            if isinstance(default, ast.IntValueNode):
                out[name] = int(default.value[:18])
        elif not isinstance(each.type, ast.NonNullTypeNode):
            out[name] = None
        else:
            raise refused(f"the variable {name[:64]} has no value", "required")
    return out
