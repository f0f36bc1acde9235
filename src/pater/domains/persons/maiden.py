"""The search parameter `mothersMaidenName` of Patient, which PDQm asks for and R4 leaves to guides.

It is an ordinary SearchParameter resource, written when a house begins that has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from pater.access.caller import Caller
from pater.domain import Services
from pater.records.changes import Change
from pater.records.errors import Conflict, PreconditionFailed

ID: Final = "patient-mothers-maiden-name"
PARAMETER: Final[dict[str, Any]] = {
    "resourceType": "SearchParameter",
    "id": ID,
    "url": "http://hl7.org/fhir/SearchParameter/patient-extensions-Patient-mothersMaidenName",
    "name": "mothersMaidenName",
    "status": "active",
    "description": "Mother's maiden (unmarried) name, said to tell people of one name apart",
    "code": "mothersMaidenName",
    "base": ["Patient"],
    "type": "string",
    "expression": "Patient.extension"
    "('http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName').value",
}
_REGISTER: Final = Caller(
    kind="system", id="register", name="register", role="loader", purpose="SYSADMIN", strength=3,
    scopes=("system/*.cruds",),
)  # fmt: skip


def task(services: Services) -> Callable[[asyncio.Event], Awaitable[None]]:
    """What writes it once; every process may try."""

    async def write(stop: asyncio.Event) -> None:
        change = Change("update", "SearchParameter", ID, PARAMETER, if_match=0)
        try:
            await services.gate.commit(_REGISTER, [change])
        except (PreconditionFailed, Conflict):
            return  # it is there, or somebody changed it on purpose

    return write
