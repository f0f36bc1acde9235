"""`$status`, `$events` and `$get-ws-binding-token` of the Subscriptions Backport guide (1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest
from pater.fhir.json import dumps
from pater.rest.errors import HttpError
from pater.rest.requests import is_id
from pater.rest.subscriptions import binding, tables
from pater.rest.subscriptions.definition import CONTENTS
from pater.rest.subscriptions.delivering import about, tellable
from pater.rest.subscriptions.keeping import asked_of
from pater.rest.subscriptions.notifications import bundle, moment, status
from pater.rest.subscriptions.ports import Ports
from pater.rest.subscriptions.rights import Owner
from pater.rest.subscriptions.tables import Kept

_OPERATION: Final = (
    "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-"
)
_JSON: Final = {"Content-Type": "application/fhir+json"}
_MOST_STATUS: Final = 1_000
_MOST_EVENTS: Final = 100
_READING: Final = frozenset({"GET", "POST"})


@dataclass(frozen=True, slots=True)
class Operations:
    """The operations over one room."""

    ports: Ports
    binding_key: bytes
    websocket_url: str

    def all(self) -> list[Operation]:
        """What stands at Subscription and at its instances."""
        return [
            Operation(
                name,
                run,
                frozenset({"Subscription"}),
                instance,
                _READING,
                definition=_OPERATION + name,
            )
            for name, run, instance in (
                ("status", self.status, False),
                ("status", self.status, True),
                ("events", self.events, True),
                ("get-ws-binding-token", self.token, False),
                ("get-ws-binding-token", self.token, True),
            )
        ]

    async def status(self, caller: Caller, request: OperationRequest) -> Answer:
        """How subscriptions are: state, number of events, last failure."""
        asked = _parameters(request, {"id", "status"})
        states = _split(asked, "status")
        found = [
            kept
            for kept in await self._meant(caller, request, _split(asked, "id"))
            if request.id or not states or kept.state in states
        ]
        entries = []
        for kept in found:
            facts = about(self.ports, kept, error=kept.error)
            entries.append(
                {
                    "fullUrl": f"urn:uuid:{status(facts, 'query-status')['id']}",
                    "resource": status(facts, "query-status"),
                    "search": {"mode": "match"},
                }
            )
        address = f"{self.ports.base_url}/Subscription{f'/{request.id}' if request.id else ''}"
        body = {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": len(entries),
            "link": [{"relation": "self", "url": f"{address}/$status"}],
            **({"entry": entries} if entries else {}),
        }
        return Answer(200, dumps(body), _JSON)

    async def events(self, caller: Caller, request: OperationRequest) -> Answer:
        """Events that have happened, by their numbers; at most 100, the first ones asked for."""
        asked = _parameters(request, {"eventsSinceNumber", "eventsUntilNumber", "content"})
        since = _number(asked, "eventsSinceNumber") or 0
        until = _number(asked, "eventsUntilNumber")
        wish = next(iter(_split(asked, "content")), "")
        if wish and wish not in CONTENTS:
            raise HttpError(400, "value", f"content is one of {', '.join(CONTENTS)}")
        (kept,) = await self._meant(caller, request, [])
        what = await asked_of(self.ports, kept)
        # no more than was subscribed to: the wish can only make it less
        most = what.content if what else "id-only"
        content = min(wish or most, most, key=CONTENTS.index)
        found = await tables.next_events(self.ports.db, kept.id, max(0, since - 1), _MOST_EVENTS)
        found = [each for each in found if until is None or each.number <= until]
        told = await tellable(self.ports, caller, kept, found)
        facts = about(self.ports, kept)
        body = bundle(facts, "query-event", self.ports.clock(), told, content)
        return Answer(200, body, _JSON)

    async def token(self, caller: Caller, request: OperationRequest) -> Answer:
        """A token with which a websocket binds to subscriptions, for ten minutes."""
        asked = _parameters(request, {"id"})
        found = [
            kept
            for kept in await self._meant(caller, request, _split(asked, "id"))
            if kept.channel == "websocket" and kept.state in tables.LIVE
        ]
        if not found:
            raise HttpError(404, "not-found", "there is no living websocket subscription")
        if len(found) > binding.MOST:
            text = f"a token is for at most {binding.MOST} subscriptions: name them by id"
            raise HttpError(400, "too-costly", text)
        ids = [kept.id for kept in found]
        token, until = binding.issue(self.binding_key, ids, self.ports.clock())
        parameters: list[dict[str, Any]] = [
            {"name": "token", "valueString": token},
            {"name": "expiration", "valueDateTime": moment(until)},
            *({"name": "subscription", "valueString": id_} for id_ in ids),
            {"name": "websocket-url", "valueUrl": self.websocket_url},
        ]
        body = {"resourceType": "Parameters", "parameter": parameters}
        return Answer(200, dumps(body), {**_JSON, "Cache-Control": "no-store"})

    async def _meant(
        self, caller: Caller, request: OperationRequest, ids: Sequence[str]
    ) -> list[Kept]:
        """The subscriptions asked about that the caller may see. Raises NotFound, Forbidden."""
        if request.id:
            if not is_id(request.id):
                raise HttpError(404, "not-found", "Subscription has no resource of this id")
            await self.ports.gate.read(caller, "Subscription", request.id)
            found = await tables.find(self.ports.db, [request.id])
            if not found:
                raise HttpError(404, "not-found", "this subscription is not followed")
            return found
        await self.ports.gate.require(caller, "search", "Subscription")
        everybody = self.ports.gate.decide(caller, "search", "Subscription").persons is None
        mine = Owner.of(caller)
        if not ids:
            return await tables.owned(self.ports.db, None if everybody else mine, _MOST_STATUS)
        if len(ids) > _MOST_STATUS:
            raise HttpError(400, "too-costly", f"at most {_MOST_STATUS} ids")
        return [
            kept
            for kept in await tables.find(self.ports.db, ids)
            if everybody or kept.owner.number == mine.number
        ]


def _parameters(request: OperationRequest, known: set[str]) -> list[tuple[str, str]]:
    """The parameters of the address and of a posted Parameters, as text."""
    found = list(request.parameters)
    body = request.resource
    if body is not None:
        listed = body.get("parameter")
        if body.get("resourceType") != "Parameters" or not isinstance(listed or [], list):
            raise HttpError(400, "invalid", "expected Parameters")
        for part in listed or ():
            if isinstance(part, dict):
                value = next((v for k, v in part.items() if k.startswith("value")), None)
                found.append((str(part.get("name")), str(value)))
    for name, _ in found:
        if name not in known:
            raise HttpError(400, "not-supported", f"this operation takes no {name[:64]}")
    return found


def _split(parameters: Sequence[tuple[str, str]], name: str) -> list[str]:
    return [
        text.strip().removeprefix("Subscription/")
        for given, value in parameters
        if given == name
        for text in value.split(",")
        if text.strip()
    ]


def _number(parameters: Sequence[tuple[str, str]], name: str) -> int | None:
    for given, value in parameters:
        if given == name:
            if not (value.isascii() and value.isdigit() and len(value) < 16):
                raise HttpError(400, "value", f"{name} is a whole number")
            return int(value)
    return None
