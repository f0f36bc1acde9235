"""What a question of the register of patients says of itself: number, moment, purpose.

Each request says who asks for what: `zadostInfo` (datum, ucel, zadostId) and `zadostData`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from pater.access.caller import Caller
from pater.domain import Services
from pater.rest.bulk.http import guarded
from pater.rest.errors import HttpError
from pater.rest.native import MOST_BODY, Envelope, answered, problems, read_envelope

Json = dict[str, Any]

PURPOSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "LECBA": "TREAT",
        "URGENT": "ETREAT",
        "SPRAVA": "HOPERAT",
        "TREAT": "TREAT",
        "ETREAT": "ETREAT",
        "HOPERAT": "HOPERAT",
    }
)
"""`ucel` of a question -> the purpose that its token was given for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: its number (a UUID), the purpose as it was said, what is asked."""

    number: str
    purpose: str
    data: Json

    def query(self, kind: str) -> str:
        """What stands in the journal of a question, beside whom it was about."""
        return f"krp {kind} {self.purpose} {self.number}"


Answering = Callable[[Caller, Asked], Awaitable[Json]]


def endpoint(
    services: Services, answer: Answering, *, status: int = 200, most: int = MOST_BODY
) -> Callable[[Request], Awaitable[Response]]:
    """A route of a question."""

    async def run(request: Request, caller: Caller) -> Response:
        asked = read(await read_envelope(request, most), caller)
        return answered(asked.number, services.new_id(), await answer(caller, asked), status)

    return problems(guarded(services, run))


def read(envelope: Envelope, caller: Caller) -> Asked:
    """The question in an envelope. Raises HttpError."""
    info = envelope.info
    try:
        datetime.fromisoformat(str(info.get("datum")))
    except ValueError as error:
        raise HttpError(400, "value", "a date and time", path="zadostInfo.datum") from error
    said = purpose(info.get("ucel"), caller, "zadostInfo.ucel")
    return Asked(envelope.number, said, envelope.data)


def purpose(said: Any, caller: Caller, path: str) -> str:
    """A purpose for which the caller's token was given. Raises HttpError 400, 403."""
    meant = PURPOSES.get(said) if isinstance(said, str) else None
    if meant is None:
        text = f"the purpose is one of {', '.join(PURPOSES)}"
        raise HttpError(400, "value", text, path=path)
    if meant != caller.purpose:
        text = f"the token was given for another purpose than {said}"
        raise HttpError(403, "forbidden", text, path=path)
    return str(said)
