"""`GET Bundle/{id}/$seal`: the seal of a received document, and what is to be thought of it now."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest, Parameter, Services
from pater.domains.exchange import tables
from pater.fhir.issues import Issue, operation_outcome
from pater.fhir.json import dumps
from pater.trust.seal.model import Content, Report
from pater.trust.seal.service import Service

JOSE = "application/jose+json"
_GIVES = (
    Parameter("state", "code", "waiting (not sealed yet) or sealed", 1),
    Parameter("seal", "Binary", "the detached JAdES seal over the document as it was received"),
    Parameter("indication", "code", "what is to be thought of the seal"),
    Parameter("subIndication", "code", "why it is thought"),
    Parameter("level", "code", "B, T, LT or LTA"),
    Parameter("signedBy", "string", "whose certificate it is"),
    Parameter("sealed", "instant", "when it was sealed"),
    Parameter("proved", "instant", "the earliest time that is proved"),
    Parameter("check", "", "one thing that was looked at", 0, "*", (
        Parameter("code", "code", "what", 1),
        Parameter("passed", "boolean", "how it came out", 1),
        Parameter("text", "string", "in the language of Accept-Language, cs or en", 1),
    )),
    Parameter("ownSignature", "string", "what is to be thought of the document's own signature"),
)  # fmt: skip


def seal_operation(services: Services, service: Service) -> Operation:
    """The operation; who may read the document may see its seal."""
    return Operation(
        "seal",
        _run(services, service),
        frozenset({"Bundle"}),
        instance=True,
        methods=frozenset({"GET"}),
        text="The seal of a received document, and what is to be thought of it now"
        " (EN 319 102-1). For who may read the document.",
        gives=_GIVES,
    )


def _run(
    services: Services, service: Service
) -> Callable[[Caller, OperationRequest], Awaitable[Answer]]:
    async def run(caller: Caller, request: OperationRequest) -> Answer:
        stored = await services.gate.vread(caller, "Bundle", request.id, 1)
        kept = (await tables.seals_of(services.db, [request.id])).get(request.id)
        if kept is None:
            issue = Issue("error", "not-found", "", "this Bundle did not arrive as a document")
            return Answer(404, dumps(operation_outcome([issue])))
        if kept.seal is None:
            parameters = [{"name": "state", "valueCode": "waiting"}]
            return _answer([*parameters, *_own(kept)])
        report = await service.validate(kept.seal, (Content(stored.body),))
        czech = request.headers.get("accept-language", "").lower().startswith("cs")
        return _answer([*_parameters(kept, kept.seal, report, czech), *_own(kept)])

    return run


def _answer(parameters: list[dict[str, Any]]) -> Answer:
    return Answer(200, dumps({"resourceType": "Parameters", "parameter": parameters}))


def _own(kept: tables.Sealed) -> list[dict[str, Any]]:
    return [{"name": "ownSignature", "valueString": kept.own}] if kept.own else []


def _parameters(
    kept: tables.Sealed, seal: bytes, report: Report, czech: bool
) -> list[dict[str, Any]]:
    one = report.signatures[0]
    data = base64.b64encode(seal).decode()
    found: list[dict[str, Any]] = [
        {"name": "state", "valueCode": "sealed"},
        {
            "name": "seal",
            "resource": {"resourceType": "Binary", "contentType": JOSE, "data": data},
        },
        {"name": "indication", "valueCode": report.indication.value},
        {"name": "level", "valueCode": one.level.name},
        {"name": "signedBy", "valueString": one.subject},
    ]
    if report.sub is not None:
        found.append({"name": "subIndication", "valueCode": report.sub.value})
    for name, when in (("sealed", kept.sealed), ("proved", one.proved)):
        if when is not None:
            found.append({"name": name, "valueInstant": when.isoformat()})
    found += [
        {
            "name": "check",
            "part": [
                {"name": "code", "valueCode": check.code},
                {"name": "passed", "valueBoolean": check.passed},
                {"name": "text", "valueString": check.text.cs if czech else check.text.en},
            ],
        }
        for check in one.checks
    ]
    return found
