"""A served house with its background tasks, and a receiver of rest-hooks, for subscriptions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from joserfc.jwk import ECKey

from pater.access import clients
from pater.access.caller import Caller
from pater.access.clients import Client
from pater.access.tokens import Tokens
from pater.app import House, build, now, open_house
from pater.rest import subscriptions
from pater.rest.subscriptions import Mail, Pace, Rules, networks
from pater.settings import Settings
from pater.store.database import Database
from tests.ports import free_port
from tests.rest.world import HOSPITAL, LOADER, observation
from tests.waiting import PATIENCE, until

__all__ = ["HOSPITAL", "LOADER", "Receiver", "Served", "observation", "served", "until"]

QUICK = Pace(
    look=0.02,
    first=timedelta(milliseconds=20),
    longest=timedelta(milliseconds=100),
    most=6,
    # a loop that had no processor for some seconds has lost nothing to somebody else
    patience=timedelta(minutes=1),
)
HOSPITAL_B = replace(HOSPITAL, scopes=("system/*.rs", "system/Subscription.cruds"))


@dataclass
class Call:
    """One request that a receiver got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]

    def parameter(self, name: str) -> Any:
        """A value of the status of a notification."""
        status = self.json["entry"][0]["resource"]
        for part in status["parameter"]:
            if part["name"] == name:
                return next(v for k, v in part.items() if k.startswith("value"))
        return None

    @property
    def numbers(self) -> list[int]:
        """The event numbers of a notification."""
        status = self.json["entry"][0]["resource"]
        return [
            int(each["valueString"])
            for part in status["parameter"]
            if part["name"] == "notification-event"
            for each in part["part"]
            if each["name"] == "event-number"
        ]

    @property
    def focuses(self) -> list[str]:
        status = self.json["entry"][0]["resource"]
        return [
            each["valueReference"]["reference"]
            for part in status["parameter"]
            if part["name"] == "notification-event"
            for each in part["part"]
            if each["name"] == "focus"
        ]


@dataclass
class Receiver:
    """A small HTTP server that keeps what it is sent. `answer` gives the status of each call.

    0 = close the connection without an answer.
    """

    answer: Callable[[Call], int | Awaitable[int]] = lambda _: 200
    calls: list[Call] = field(default_factory=list)
    port: int = 0

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Receiver]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                method, path, _ = line.decode().split(" ", 2)
                headers = {}
                while (text := (await reader.readline()).decode().strip()) != "":
                    name, _, value = text.partition(":")
                    headers[name.lower()] = value.strip()
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                call = Call(method, path, headers, body)
                status = self.answer(call)
                if isinstance(status, Awaitable):
                    status = await status
                self.calls.append(call)
                if status == 0:
                    break
                more = "Location: http://127.0.0.1:9/\r\n" if 300 <= status < 400 else ""
                writer.write(
                    f"HTTP/1.1 {status} Said\r\n{more}Content-Length: 2\r\n\r\nok".encode()
                )
                await writer.drain()
        writer.close()


@dataclass
class Served:
    """The house, and a client that speaks to it as whoever is named."""

    house: House
    http: httpx.AsyncClient
    url: str
    callers: Sequence[Caller] = ()

    async def clear(self) -> None:
        """Deletes all subscriptions and gives the callers their rights back, for the next test."""
        for row in await self.house.db.fetch("select id from subscription"):
            await self.call("DELETE", f"/Subscription/{row['id']}")
        for caller in self.callers:
            await clients.register(self.house.db, client_of(caller), now)

    def token(self, caller: Caller) -> str:
        return Tokens(self.house.keys, self.house.settings.base_url, now).issue(caller)

    async def call(
        self, method: str, path: str, body: Any = None, caller: Caller = LOADER, **headers: str
    ) -> httpx.Response:
        sent = {
            "Authorization": f"Bearer {self.token(caller)}",
            "content-type": "application/fhir+json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        content = json.dumps(body) if isinstance(body, dict | list) else body
        return await self.http.request(method, f"/fhir{path}", content=content, headers=sent)

    async def create(self, resource: dict[str, Any], caller: Caller = LOADER) -> dict[str, Any]:
        answer = await self.call("POST", f"/{resource['resourceType']}", resource, caller)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def patient(self) -> str:
        made = await self.create({"resourceType": "Patient", "name": [{"family": "Nováková"}]})
        return str(made["id"])

    async def state(self, id: str, caller: Caller = LOADER) -> str:
        answer = await self.call("GET", f"/Subscription/{id}", caller=caller)
        return str(answer.json().get("status"))

    async def becomes(self, id: str, state: str) -> dict[str, Any]:
        """Waits until a subscription has the state; gives the resource."""

        async def there() -> bool:
            return await self.state(id) == state

        await until(there)
        found: dict[str, Any] = (await self.call("GET", f"/Subscription/{id}")).json()
        return found


def client_of(caller: Caller) -> Client:
    key = ECKey.generate_key("P-256")
    return Client(
        id=caller.id,
        name=caller.name,
        role=caller.role,
        organization=caller.organization,
        organization_name=caller.organization_name,
        jwks={"keys": [key.as_dict(private=False)]},
        scopes=caller.scopes,
        purposes=(caller.purpose,),
    )


@asynccontextmanager
async def served(
    database: Database,
    folder: Path,
    *,
    pace: Pace = QUICK,
    rules: Rules | None = None,
    mail: Mail | None = None,
    callers: Sequence[Caller] = (LOADER, HOSPITAL_B),
    tasks: bool = True,
) -> AsyncIterator[Served]:
    """A house that is served on a port of its own; loopback hooks are allowed."""
    port = free_port()
    settings = Settings(data=folder, port=port, policy="declared")
    async with open_house(settings, database.dsn, ()) as house:
        house.parts["subscriptions"] = subscriptions.parts(
            house.services,
            house.keys,
            rules=rules or Rules(networks("127.0.0.0/8")),
            mail=mail,
            pace=pace,
        )
        for caller in callers:
            await clients.register(house.db, client_of(caller), now)
        server = uvicorn.Server(
            uvicorn.Config(
                build(house), port=port, lifespan="off", log_config=None,
                ws="websockets-sansio",
            )
        )  # fmt: skip
        server.capture_signals = _nothing  # type: ignore[assignment, method-assign]  # pytest has them
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve())
            if tasks:
                for task in house.parts["subscriptions"].tasks:
                    group.create_task(_run(task, stop))
            await until(lambda: server.started)
            url = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as http:
                try:
                    yield Served(house, http, url, callers)
                finally:
                    stop.set()
                    server.should_exit = True


async def _run(task: Callable[[asyncio.Event], Awaitable[None]], stop: asyncio.Event) -> None:
    await task(stop)


def _nothing() -> Any:
    return nullcontext()


PROFILE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"


def classic(criteria: str, url: str, **channel: Any) -> dict[str, Any]:
    """A Subscription of R4 itself."""
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "test",
        "criteria": criteria,
        "channel": {"type": "rest-hook", "endpoint": url, **channel},
    }


def topical(
    topic: str, url: str, *filters: str, content: str = "id-only", type: str = "rest-hook",
    mime: str = "application/fhir+json", **numbers: int,
) -> dict[str, Any]:  # fmt: skip
    """A Subscription of the Backport guide; numbers are heartbeat_period, timeout, max_count."""
    channel: dict[str, Any] = {
        "type": type,
        "payload": mime,
        "_payload": {
            "extension": [{"url": PROFILE + "backport-payload-content", "valueCode": content}]
        },
        "extension": [
            {
                "url": f"{PROFILE}backport-{name.replace('_', '-')}",
                ("valuePositiveInt" if name == "max_count" else "valueUnsignedInt"): value,
            }
            for name, value in numbers.items()
        ],
    }
    if url:
        channel["endpoint"] = url
    if not channel["extension"]:
        del channel["extension"]
    resource: dict[str, Any] = {
        "resourceType": "Subscription",
        "meta": {"profile": [PROFILE + "backport-subscription"]},
        "status": "requested",
        "reason": "test",
        "criteria": topic,
        "channel": channel,
    }
    if filters:
        resource["_criteria"] = {
            "extension": [
                {"url": PROFILE + "backport-filter-criteria", "valueString": text}
                for text in filters
            ]
        }
    return resource
