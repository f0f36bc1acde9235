"""The websocket channel: connections bind to subscriptions and are sent what happens.

With `bind-with-token` (Subscriptions Backport guide) notifications are sent; with `bind <id>` (R4
itself, on a connection that was opened with an access token) a `ping <id>` for each event. A
connection goes on where the last one ended, so that nothing is missed in between: what was sent
counts as delivered when the client closes the connection properly, or when it is still there after
the time in which a lost connection is found out. Else it comes again, under its number.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from pater.access.caller import Caller, owner_number
from pater.access.tokens import TokenError
from pater.fhir.definitions import TYPE_NUMBER
from pater.rest.formats import xml_of
from pater.rest.subscriptions import binding, tables
from pater.rest.subscriptions.definition import XML, Asked
from pater.rest.subscriptions.delivering import StoppedError, about, subscriber, tellable, turn
from pater.rest.subscriptions.keeping import asked_of
from pater.rest.subscriptions.notifications import bundle
from pater.rest.subscriptions.ports import Ports
from pater.rest.subscriptions.tables import Kept

PATH: Final = "/fhir/websocket"
MOST_CONNECTIONS: Final = 2_000
_BIND_WITHIN: Final = 30.0
_SEND_WITHIN: Final = 30.0
_AHEAD: Final = 50
_LONGEST_MESSAGE: Final = 20_000
# Longer than the server takes to find out that a client does not answer its pings (uvicorn: a ping
# every 20 s, an answer within 20 s).
_SETTLED: Final = 60.0
_PROPERLY: Final = (1000, 1001)  # RFC 6455 7.4.1; 1005 may also be a connection that was lost
_POLICY: Final = 1008  # RFC 6455 7.4.1: policy violation
_log = structlog.get_logger("pater.subscriptions")

assert "websocket" not in TYPE_NUMBER  # the address is not one of the FHIR API's own


@dataclass(slots=True, eq=False)
class _Binding:
    """One subscription on one connection."""

    socket: WebSocket
    id: str
    plain: bool  # `ping` instead of notifications
    reached: int
    latest: Kept
    lock: asyncio.Lock  # of the connection: one message at a time
    sent: deque[tuple[float, int]] = field(default_factory=deque)  # when, up to which number
    news: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Hub:
    """The websocket connections of one process."""

    ports: Ports
    key: bytes
    verify: Callable[[str], Caller]  # an access token -> its caller; raises TokenError
    bindings: dict[str, set[_Binding]] = field(default_factory=dict)
    connections: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Looks for news of everything that is bound, in one query, until told to stop."""
        while not stop.is_set():
            if self.bindings:
                try:
                    await self._look()
                except Exception as error:
                    _log.error("subscriptions: websockets failed", kind=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self.ports.pace.look)

    async def _look(self) -> None:
        found = {kept.id: kept for kept in await tables.behind(self.ports.db, list(self.bindings))}
        for id_, bound in list(self.bindings.items()):
            for one in list(bound):
                kept = found.get(id_)
                one.latest = kept if kept is not None else _gone(one.latest)
                if (
                    one.latest.events > one.reached
                    or one.latest.state not in tables.LIVE
                    or one.latest.heartbeat
                ):
                    one.news.set()
                await self._settle(one, asyncio.get_running_loop().time() - _SETTLED)

    async def _settle(self, one: _Binding, before: float) -> None:
        """Records as delivered what was sent before a moment."""
        number = 0
        while one.sent and one.sent[0][0] <= before:
            number = one.sent.popleft()[1]
        if number:
            await tables.reached(self.ports.db, one.id, number, self.ports.clock())

    async def connect(self, socket: WebSocket) -> None:
        """One connection from its opening to its end."""
        if self.connections >= MOST_CONNECTIONS:
            await socket.close(1013)
            return
        caller = self._caller(socket)
        await socket.accept()
        self.connections += 1
        lock = asyncio.Lock()
        tasks: dict[str, asyncio.Task[None]] = {}
        bound: list[_Binding] = []
        try:
            while True:
                wait = None if tasks else _BIND_WITHIN
                text = await asyncio.wait_for(socket.receive_text(), wait)
                for one in await self._bound(socket, text, caller, lock, set(tasks)):
                    tasks[one.id] = asyncio.create_task(self._serve(one))
                    bound.append(one)
                if not tasks:
                    await socket.close(_POLICY, "nothing to bind to")
                    return
        except TimeoutError:
            await socket.close(_POLICY, "nothing was bound")
        except WebSocketDisconnect as ended:
            if ended.code in _PROPERLY:
                for one in bound:
                    await self._settle(one, inf)
        except (RuntimeError, KeyError):
            pass  # it was ended by us; or sent what is no text
        finally:
            self.connections -= 1
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    def _caller(self, socket: WebSocket) -> Caller | None:
        scheme, _, token = socket.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            return self.verify(token.strip())
        except TokenError:
            return None

    async def _bound(
        self, socket: WebSocket, text: str, caller: Caller | None, lock: asyncio.Lock,
        already: set[str],
    ) -> list[_Binding]:  # fmt: skip
        """The new bindings that a message makes; what it may not bind is left out."""
        word, _, rest = text.strip().partition(" ")
        plain = word == "bind"
        if len(text) > _LONGEST_MESSAGE or word not in ("bind", "bind-with-token"):
            return []
        said, now = rest.strip(), self.ports.clock()
        ids = [said] if plain else binding.verify(self.key, said, now)
        if len(already) + len(ids) > binding.MOST:
            return []
        found = []
        for kept in await tables.find(self.ports.db, ids):
            owned = caller is not None and _may_hear(self.ports, caller, kept)
            if kept.channel == "websocket" and kept.id not in already and (owned or not plain):
                found.append(_Binding(socket, kept.id, plain, kept.delivered, kept, lock))
        return found

    async def _serve(self, one: _Binding) -> None:
        self.bindings.setdefault(one.id, set()).add(one)
        try:
            await self._follow(one)
        except StoppedError as reason:
            await turn(self.ports, one.latest, "error", str(reason))
        except (WebSocketDisconnect, RuntimeError, TimeoutError):
            pass  # the connection is gone or does not take anything any more
        except Exception as error:
            _log.error("a websocket failed", id=one.id, kind=type(error).__name__)
        finally:
            left = self.bindings[one.id]
            left.discard(one)
            if not left:
                del self.bindings[one.id]

    async def _follow(self, one: _Binding) -> None:
        ports = self.ports
        asked = await asked_of(ports, one.latest)
        if asked is None:
            return
        await subscriber(ports, one.latest, asked)
        if one.plain:
            await _say(one, f"bound {one.id}")
        else:
            await self._tell(one, asked, "handshake")
        said = ports.clock()
        while True:
            await one.news.wait()
            one.news.clear()
            if one.latest.state not in tables.LIVE:
                if not one.plain:
                    await self._tell(one, asked, "query-status")
                return
            if one.latest.events > one.reached:
                await self._events(one, asked)
                said = ports.clock()
            elif asked.heartbeat and (ports.clock() - said).total_seconds() >= asked.heartbeat:
                if not one.plain:
                    await self._tell(one, asked, "heartbeat")
                said = ports.clock()

    async def _events(self, one: _Binding, asked: Asked) -> None:
        ports = self.ports
        while one.latest.events > one.reached:
            caller = await subscriber(ports, one.latest, asked)
            events = await tables.next_events(ports.db, one.id, one.reached, _AHEAD)
            if not events:
                one.reached = one.latest.events  # too old: they are kept no longer
                return
            if one.plain:
                for _ in events:
                    await _say(one, f"ping {one.id}")
            else:
                told = await tellable(ports, caller, one.latest, events)
                facts = about(ports, one.latest)
                for start in range(0, len(told), asked.most):
                    group = told[start : start + asked.most]
                    body = bundle(facts, "event-notification", ports.clock(), group, asked.content)
                    await _say(one, _encoded(body, asked))
            one.reached = events[-1].number
            one.sent.append((asyncio.get_running_loop().time(), one.reached))

    async def _tell(self, one: _Binding, asked: Asked, kind: str) -> None:
        body = bundle(about(self.ports, one.latest), kind, self.ports.clock())
        await _say(one, _encoded(body, asked))


async def _say(one: _Binding, text: str) -> None:
    async with one.lock, asyncio.timeout(_SEND_WITHIN):
        await one.socket.send_text(text)


def _encoded(body: bytes, asked: Asked) -> str:
    return (xml_of(body) if asked.mime == XML else body).decode()


def _may_hear(ports: Ports, caller: Caller, kept: Kept) -> bool:
    """Whether the caller owns a subscription, with a token that is good for reading it."""
    if (kept.owner.kind, kept.owner.id) != (caller.kind, caller.id):
        return False
    person = owner_number(caller.kind, caller.id)
    return ports.gate.decide(caller, "read", "Subscription", person=person).allowed


def _gone(kept: Kept) -> Kept:
    return replace(kept, state="off")
