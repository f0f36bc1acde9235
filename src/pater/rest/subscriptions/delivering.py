"""Delivery: at least once, in order for each subscription, tried again, and given up with a word.

A subscription with something to be done is leased; no other process touches it meanwhile. The lease
is short and renewed, so that it runs out soon when this process is killed. An event counts as
delivered when the receiver accepted it; what was accepted and not yet recorded is sent again under
the same number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import structlog
from asyncpg import DivisionByZeroError

from pater.access.caller import Caller
from pater.records.changes import Change
from pater.records.errors import NotFound
from pater.rest.formats import xml_of
from pater.rest.subscriptions import mail, tables
from pater.rest.subscriptions.definition import XML, Asked
from pater.rest.subscriptions.endpoints import mail_address
from pater.rest.subscriptions.keeping import asked_of, secret_headers
from pater.rest.subscriptions.notifications import About, Told, bundle
from pater.rest.subscriptions.ports import HOUSE, Ports
from pater.rest.subscriptions.rest_hook import DeliveryError, Hook
from pater.rest.subscriptions.rights import callers_of
from pater.rest.subscriptions.tables import Event, Kept

_AHEAD: Final = 50  # events that are read and decided about together
_RECORD_EVERY: Final = 10
_LONGEST_TURN: Final = 60.0  # seconds; then others get a turn
_log = structlog.get_logger("pater.subscriptions")

ENDED: Final = "the rights that this subscription was made with have ended"
CLOSED: Final = (
    "the account that this subscription belongs to is closed, or the employment has ended"
)
UNCLEAR: Final = "what this subscription asks for is no longer understood: its topic has changed"


class StoppedError(Exception):
    """The subscription ends here; the text is for its owner."""


async def subscriber(ports: Ports, kept: Kept, asked: Asked) -> Caller:
    """The owner with today's rights. Raises StoppedError when nothing is left of them."""
    caller = (await callers_of(ports.db, {kept.owner}, ports.employed))[kept.owner]
    if caller is None:
        raise StoppedError(CLOSED)
    types = {watch.trigger.type for watch in asked.watches}
    if all(ports.gate.open_to(caller, type_) for type_ in types):
        raise StoppedError(ENDED)
    return caller


async def tellable(ports: Ports, caller: Caller, kept: Kept, events: Sequence[Event]) -> list[Told]:
    """The events with what may be told of them now; recorded as told."""
    shown = await ports.gate.disclose(
        caller, [event.key for event in events], f"Subscription/{kept.id}"
    )
    return [Told(event, shown.get(event.key)) for event in events]


def about(ports: Ports, kept: Kept, state: str | None = None, error: str = "") -> About:
    """What notifications say of a subscription."""
    return About(ports.base_url, kept.id, kept.topic, state or kept.state, kept.events, error)


async def turn(ports: Ports, kept: Kept, state: str, error: str = "") -> None:
    """Changes the state of a subscription, resource and row together, unless it was written."""

    def edit(resource: dict[str, Any]) -> dict[str, Any]:
        changed = {name: value for name, value in resource.items() if name != "error"}
        return {**changed, "status": state, **({"error": error} if error else {})}

    change = Change("update", "Subscription", kept.id, edit=edit)
    try:
        await ports.gate.commit(
            HOUSE, [change], statements=tables.turned(kept, state, error), interaction="update"
        )
    except DivisionByZeroError:
        return  # its owner was quicker
    except NotFound:
        return
    _log.info("subscription turned", id=kept.id, state=state)


@dataclass(slots=True)
class Deliverer:
    """Delivers in one process, many subscriptions at a time."""

    ports: Ports
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    held: dict[str, int] = field(default_factory=dict)  # leases in hand
    renewed: float = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Delivers until told to stop; what is under way is cut off and repeated later."""
        pace = self.ports.pace
        failures = 0
        try:
            while not stop.is_set():
                pause = pace.look
                try:
                    free = pace.at_once - len(self.tasks)
                    taken = await tables.take(self.ports.db, free, pace.patience) if free else []
                    for kept in taken:
                        self.held[kept.id] = kept.lease
                        task = asyncio.create_task(self._work(kept))
                        self.tasks.add(task)
                        task.add_done_callback(self.tasks.discard)
                    await self._renew()
                    failures = 0
                    if taken and len(taken) == free:
                        pause = 0.0
                except Exception as error:
                    failures += 1
                    _log.error("subscriptions: looking failed", kind=type(error).__name__)
                    pause = min(2.0**failures, 60.0)
                await self._pause(stop, pause, full=len(self.tasks) >= pace.at_once)
        finally:
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _renew(self) -> None:
        """Keeps what takes longer, while this process lives."""
        now, patience = asyncio.get_running_loop().time(), self.ports.pace.patience
        if self.held and now - self.renewed > patience.total_seconds() / 4:
            await tables.renew(self.ports.db, self.held, patience)
            self.renewed = now

    async def _pause(self, stop: asyncio.Event, seconds: float, *, full: bool) -> None:
        if full:
            await asyncio.wait(self.tasks, timeout=1, return_when=asyncio.FIRST_COMPLETED)
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)

    async def _work(self, kept: Kept) -> None:
        try:
            try:
                await self._deliver(kept)
            except StoppedError as reason:
                await turn(self.ports, kept, "error", str(reason))
        except asyncio.CancelledError:
            with suppress(Exception):
                await asyncio.shield(tables.done(self.ports.db, kept))
            raise
        except Exception as error:
            # ours, not the receiver's: the lease runs out and it is tried again
            _log.error("subscription failed", id=kept.id, kind=type(error).__name__)
        finally:
            if self.held.get(kept.id) == kept.lease:
                del self.held[kept.id]

    async def _deliver(self, kept: Kept) -> None:
        ports = self.ports
        if kept.ends is not None and kept.ends <= ports.clock():
            await turn(ports, kept, "off")
            return
        asked = await asked_of(ports, kept)
        if asked is None:
            raise StoppedError(UNCLEAR)
        caller = await subscriber(ports, kept, asked)
        channel = _Channel(ports, kept, asked)
        try:
            if kept.state == "requested":
                await self._begin(kept, asked, channel)
            elif kept.channel == "websocket" or await self._send_all(kept, asked, caller, channel):
                await tables.done(ports.db, kept)
        finally:
            await channel.close()

    async def _begin(self, kept: Kept, asked: Asked, channel: _Channel) -> None:
        """Verifies the address of a topic subscription with a handshake, and turns it on."""
        if asked.topic and asked.channel != "websocket":
            try:
                await channel.tell("handshake", f"{kept.id}/handshake")
            except DeliveryError as error:
                raise StoppedError(f"the handshake failed: {error}") from None
        await turn(self.ports, kept, "active")

    async def _send_all(self, kept: Kept, asked: Asked, caller: Caller, channel: _Channel) -> bool:
        """Sends what there is, and a heartbeat when it is time. False when the lease is gone."""
        ports, pace = self.ports, self.ports.pace
        reached, recorded, sent = kept.delivered, kept.delivered, kept.sent
        clock = asyncio.get_running_loop().time
        until = clock() + _LONGEST_TURN
        # after a failure one at a time, so that no more is decided and recorded than is tried
        ahead = asked.most if kept.failures else max(asked.most, _AHEAD)
        error: DeliveryError | None = None
        count = 0
        while error is None and clock() < until:
            events = await tables.next_events(ports.db, kept.id, reached, ahead)
            if not events:
                break
            told = await tellable(ports, caller, kept, events)
            for start in range(0, len(told), asked.most):
                group = told[start : start + asked.most]
                try:
                    await channel.events(group)
                except DeliveryError as problem:
                    error = problem
                    break
                reached, sent, count = group[-1].event.number, ports.clock(), count + 1
                if count % _RECORD_EVERY == 0:
                    if not await tables.mark(ports.db, kept, reached, sent, pace.patience):
                        return False
                    recorded = reached
            if error is None:
                caller = await subscriber(ports, kept, asked)
        if error is None and not count and _silent(kept, asked, ports.clock()):
            try:
                await channel.tell("heartbeat", f"{kept.id}/heartbeat")
                sent = ports.clock()
            except DeliveryError as problem:
                error = problem
        if (reached > recorded or sent != kept.sent) and not await tables.mark(
            ports.db, kept, reached, sent, pace.patience
        ):
            return False
        if error is None:
            return True
        await self._failed(kept, error, since_last=bool(count))
        return False

    async def _failed(self, kept: Kept, error: DeliveryError, *, since_last: bool) -> None:
        pace = self.ports.pace
        failures = 1 if since_last else kept.failures + 1
        if failures >= pace.most or error.final:
            # still leased: nobody tries meanwhile
            raise StoppedError(f"given up after {failures} failed attempts: {error}")
        await tables.failed(self.ports.db, kept, str(error), failures, pace.pause(failures))


def _silent(kept: Kept, asked: Asked, now: datetime) -> bool:
    """Whether a heartbeat is due."""
    if not asked.heartbeat:
        return False
    return kept.sent is None or (now - kept.sent).total_seconds() >= asked.heartbeat


class _Channel:
    """How the notifications of one subscription leave."""

    def __init__(self, ports: Ports, kept: Kept, asked: Asked) -> None:
        self._ports, self._kept, self._asked = ports, kept, asked
        self._hook: Hook | None = None
        if asked.channel == "rest-hook":
            headers = secret_headers(ports, kept)
            self._hook = Hook(asked.endpoint, headers, asked.timeout, ports.rules)

    async def tell(self, kind: str, key: str, told: Sequence[Told] = ()) -> None:
        """Sends a notification of the guide. Raises DeliveryError."""
        last = told[-1].event.number if told else 0
        facts = about(self._ports, self._kept)
        facts = replace(facts, events=max(facts.events, last))
        asked = self._asked
        if self._hook is None:
            letter = mail.message(
                self._ports.mail, mail_address(asked.endpoint), facts, kind, key, told,
                asked.content,
            )  # fmt: skip
            await mail.send(self._ports.mail, letter, asked.timeout)
            return
        body = bundle(facts, kind, self._ports.clock(), told, asked.content)
        await self._hook.send(_encoded(body, asked), asked.mime, key)

    async def events(self, told: Sequence[Told]) -> None:
        """Sends events, in the way of the guide or of R4 itself. Raises DeliveryError."""
        key = f"{self._kept.id}/{told[-1].event.number}"
        if self._asked.topic or self._hook is None:
            await self.tell("event-notification", key, told)
            return
        for each in told:
            await self._plain(self._hook, each, key)

    async def _plain(self, hook: Hook, told: Told, key: str) -> None:
        """R4: a POST without a body; or with a payload the update of the resource at the address.

        What may not be told any more, or was deleted, is told by the POST.
        """
        asked, stored = self._asked, told.stored
        full = asked.mime and asked.content == "full-resource"
        if not full or stored is None or stored.deleted:
            await hook.send(b"", "", key)
            return
        below = f"/{told.event.type}/{told.event.id}"
        await hook.send(_encoded(stored.body, asked), asked.mime, key, method="PUT", below=below)

    async def close(self) -> None:
        """Ends the connection, if there is one."""
        if self._hook is not None:
            await self._hook.close()


def _encoded(body: bytes, asked: Asked) -> bytes:
    return xml_of(body) if asked.mime == XML else body
