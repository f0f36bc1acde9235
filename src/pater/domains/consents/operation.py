"""`Patient/$emergency-access`: a system says why it must read a record now, and for how long."""

from __future__ import annotations

from datetime import datetime

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest, Parameter
from pater.domains.consents.emergency import (
    HOURS,
    LONGEST,
    MOST_HOURS,
    RESCUE,
    SHORTEST,
    Desk,
    plain_reason,
    readable,
)
from pater.domains.consents.tables import Access
from pater.fhir.json import dumps
from pater.rest.operations.inputs import read_inputs, refused


def operation(desk: Desk) -> Operation:
    """The operation on one Patient, by POST."""

    async def run(caller: Caller, request: OperationRequest) -> Answer:
        inputs = read_inputs(request, {"reason": "text", "hours": "number"})
        hours = inputs.number("hours", HOURS, least=1, most=MOST_HOURS)
        if caller.role == "rescue" and inputs.one("reason") is None:
            reason = RESCUE
        else:
            given = inputs.needed("reason")
            reason = plain_reason(str(given.value))
            if len(str(given.value)) > LONGEST or not readable(reason):
                text = f"say why in {SHORTEST} to {LONGEST} characters that can be read"
                raise refused(text, given.path)
        access = await desk.open(caller, request.id, reason, hours)
        return Answer(200, dumps(_told(access)), {"content-type": "application/fhir+json"})

    return Operation(
        "emergency-access", run, frozenset({"Patient"}), instance=True, methods=frozenset({"POST"}),
        text="Says why a record must be read now, past what the patient holds back, for some hours."
        " The patient is told, and a privacy officer looks at it.",
        takes=(
            Parameter("reason", "string", "why; rescue services need none", 0),
            Parameter("hours", "integer", f"for how long, up to {MOST_HOURS}"),
        ),
        gives=(
            Parameter("id", "id", "number of the access", 1),
            Parameter("since", "instant", "from when", 1),
            Parameter("until", "instant", "until when", 1),
            Parameter("reason", "string", "the reason as it was taken", 1),
        ),
        changes=True,
    )  # fmt: skip


def _told(access: Access) -> dict[str, object]:
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "id", "valueId": access.id},
            {
                "name": "since",
                "valueInstant": _instant(access.since),
            },
            {
                "name": "until",
                "valueInstant": _instant(access.until),
            },
            {"name": "reason", "valueString": access.reason},
        ],
    }


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
