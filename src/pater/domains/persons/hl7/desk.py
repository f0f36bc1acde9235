"""One message in, its answers out: who sends it, whether it was done before, what comes of it.

What is done is remembered with its answer, so a message that comes again is answered again and
changes nothing. What cannot be done waits in quarantine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog

from pater.access import clients
from pater.access.caller import Caller
from pater.access.client_tls import Presented, authenticate, read
from pater.access.clients import client_caller
from pater.access.rates import Clients
from pater.access.smart import OAuthError
from pater.domains.persons.hl7 import tables
from pater.domains.persons.hl7.codec import Hl7Error, Message, head_of, parse
from pater.domains.persons.hl7.feeding import EVENTS, Feeding, Refused
from pater.domains.persons.hl7.numbers import Fault
from pater.domains.persons.hl7.queries import Found, Queries
from pater.domains.persons.hl7.reading import place_of
from pater.domains.persons.hl7.replies import Writer, location
from pater.records.errors import (
    Conflict,
    Forbidden,
    NotFound,
    PreconditionFailed,
    TooMany,
    Unprocessable,
)

QUERIES: Final = {"Q22": ("K22", "RSP_K21"), "Q23": ("K23", "RSP_K23")}
"""The questions, with the trigger event and the structure of their answers."""
_HEAVY: Final = 5.0
_log = structlog.get_logger("pater.hl7")


@dataclass(frozen=True, slots=True)
class Peer:
    """The other side of a connection. `trusted`: it may send without a certificate."""

    address: str
    certificate: bytes | None = None
    trusted: bool = False


class Unknown(Exception):  # noqa: N818 (named as what it means)
    """The sender is nobody whom the register knows."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Takes HL7 v2 messages."""

    db: tables.Database
    feeding: Feeding
    queries: Queries
    writer: Writer
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    rates: Clients | None = None
    demo: bool = False

    async def take(self, data: bytes, peer: Peer) -> list[bytes]:
        """The answers to a message, in order. Never raises for what a sender did."""
        try:
            message = parse(data)
        except Hl7Error as error:
            return [self.writer.acknowledged(head_of(data), "AR", [_fault(error)])]
        try:
            caller, default = await self._caller(message, peer)
        except Unknown as error:
            _log.warning("a sender was refused", source=peer.address, reason=str(error))
            return self._refusal(message, Fault(207, str(error), ("MSH", 1, 3, 0, 0)))
        fault = self._unsupported(message) or self._too_often(caller, message)
        if fault is not None:
            return self._refusal(message, fault)
        if message.type == "QBP":
            _, answer = await self._asked(caller, message)
            return self._replies(message, answer, failed=False)
        return await self._told(caller, message, data, default)

    async def retry(self, failed: tables.Failed) -> str:
        """Does a message of the quarantine again, as its sender; "" = done, else why not."""
        client = await clients.find(self.db, failed.client)
        if client is None or not client.active:
            return "its sender is not registered any more"
        message = parse(failed.body)
        sender = await tables.sender(self.db, message.head.text(3), message.head.text(4))
        default = sender.system if sender is not None and sender.client == client.id else ""
        caller = _caller_of(client, self.new_id(), "")
        if await self.feeding.said_since(caller, message, default, failed.at):
            return "the sender has said more of this person since: drop this message"
        _, _, faults = await self._done(caller, message, failed.body, default)
        return "; ".join(each.text for each in faults if each.severity == "E")

    async def _caller(self, message: Message, peer: Peer) -> tuple[Caller, str]:
        """Who sends a message, and the system of their numbers. Raises Unknown."""
        application, facility = message.head.text(3), message.head.text(4)
        sender = await tables.sender(self.db, application, facility)
        if peer.certificate is not None:
            presented = Presented.of(peer.certificate)
            certificate = read(peer.certificate)
            subject = certificate.subject.rfc4514_string() if certificate is not None else ""
            named = [each for each in (presented.thumbprint, subject) if each]
            client_id = await tables.client_by_certificate(self.db, named)
            try:
                client = await authenticate(self.db, client_id, presented, self.clock)
            except OAuthError as error:
                raise Unknown("the certificate is not one of a registered system") from error
            if sender is not None and sender.client != client.id:
                raise Unknown("MSH-3 and MSH-4 name another system than the certificate")
        elif peer.trusted and sender is not None:
            found = await clients.find(self.db, sender.client)
            if found is None or not found.active:
                raise Unknown("the sender is not registered")
            client = found
        else:
            raise Unknown("the sender (MSH-3, MSH-4) is not registered")
        default = sender.system if sender is not None else ""
        return _caller_of(client, self.new_id(), peer.address), default

    def _unsupported(self, message: Message) -> Fault | None:
        """What of the head of a message is not done here."""
        if not message.control or len(message.control) > 199:
            return Fault(101, "MSH-10 has 1 to 199 characters", ("MSH", 1, 10, 0, 0))
        if not message.version.startswith("2."):
            return Fault(203, "the version is 2.x", ("MSH", 1, 12, 0, 0))
        if message.head.text(11) not in ("P", "") and not self.demo:
            return Fault(202, "only production messages are taken", ("MSH", 1, 11, 0, 0))
        events = {"ADT": EVENTS, "QBP": frozenset(QUERIES)}.get(message.type)
        if events is None:
            return Fault(200, "messages are ADT and QBP", ("MSH", 1, 9, 1, 1))
        if message.event not in events:
            text = f"events are {', '.join(sorted(events))}"
            return Fault(201, text, ("MSH", 1, 9, 1, 2))
        return None

    def _too_often(self, caller: Caller, message: Message) -> Fault | None:
        seconds = self.rates.wait(caller, _HEAVY) if self.rates is not None else 0
        if not seconds:
            return None
        return Fault(207, f"too many messages: try again in {seconds} s", ("MSH", 1, 0, 0, 0))

    def _refusal(self, message: Message, fault: Fault) -> list[bytes]:
        code = "CR" if _is_enhanced(message) else "AR"
        return [self.writer.acknowledged(message, code, [fault])]

    async def _told(
        self, caller: Caller, message: Message, data: bytes, default: str
    ) -> list[bytes]:
        digest = hashlib.sha256(data).digest()
        answer = await tables.taken(self.db, caller.id, message.control, digest)
        code = "AA"
        if answer is None:
            code, answer, faults = await self._done(caller, message, data, default)
            errors = [each for each in faults if each.severity == "E"]
            if errors:
                failed = tables.Failed(
                    self.new_id(), caller.id, message.control, self.clock(), errors[0].code,
                    "; ".join(each.text for each in errors), location(errors[0].where), 1, data,
                )  # fmt: skip
                await tables.keep_failed(self.db, failed, digest)
        return self._replies(message, answer, failed=code != "AA")

    def _replies(self, message: Message, answer: bytes, *, failed: bool) -> list[bytes]:
        """What is sent back of an answer, as the mode of the message wants it."""
        if not _is_enhanced(message):
            return [answer]
        accept, application = message.head.text(15).upper(), message.head.text(16).upper()
        made = []
        if accept in ("AL", "SU"):
            made.append(self.writer.acknowledged(message, "CA"))
        wanted = {"AL": True, "NE": False, "ER": failed, "SU": not failed}.get(application, True)
        if wanted or message.type == "QBP":
            made.append(answer)
        return made

    async def _done(
        self, caller: Caller, message: Message, data: bytes, default: str
    ) -> tuple[str, bytes, list[Fault]]:
        """MSA-1 and the answer to an ADT message that was not done before, and what is wrong."""
        code = "AA"
        try:
            faults = await self.feeding.take(caller, message, default)
        except Exception as error:
            code, faults = _refused(error)
        answer = self.writer.acknowledged(message, code, faults)
        if code == "AA":
            digest = hashlib.sha256(data).digest()
            await tables.take(self.db, caller.id, message.control, digest, self.clock(), answer)
        return code, answer, faults

    async def _asked(self, caller: Caller, message: Message) -> tuple[str, bytes]:
        qpd = message.first("QPD")
        try:
            found, _ = await self.queries.answer(caller, message)
        except Exception as error:
            code, faults = _refused(error)
            found = Found(code, "AE" if code == "AE" else "AR", [], tuple(faults))
        event, structure = QUERIES[message.event]
        segments = self.writer.outcome(message, found.code, found.faults)
        tag = qpd.text(2) if qpd is not None else ""
        query = tuple(qpd.text(1, each) for each in (1, 2, 3)) if qpd is not None else ("",)
        counts = {4: str(found.count)} if found.status in ("OK", "NF") else {}
        segments.append(("QAK", {1: tag, 2: found.status, 3: query, **counts}))
        answer = self.writer.message(
            message, ("RSP", event, structure), [*segments, *found.segments], echo=qpd
        )
        return found.code, answer


def _caller_of(client: clients.Client, request: str, address: str) -> Caller:
    purpose = client.purposes[0] if client.purposes else ""
    caller = client_caller(client, scopes=client.scopes, purpose=purpose)
    return replace(caller, request_id=request, source=address)


def _is_enhanced(message: Message) -> bool:
    return bool(message.head.text(15) or message.head.text(16))


def _refused(error: Exception) -> tuple[str, list[Fault]]:
    """MSA-1 and faults for what was raised."""
    match error:
        case Refused():
            return "AE", list(error.faults)
        case Unprocessable():
            return "AE", [
                Fault(102, each.text, place_of(each.path))
                for each in error.issues if each.severity in ("error", "fatal")
            ]  # fmt: skip
        case Forbidden() if error.reason == "not-bound":
            text = "say more of the person: a number, or a name and the whole birth date"
            return "AE", [Fault(101, text, ("QPD", 1, 3, 0, 0))]
        case Forbidden():
            return "AR", [Fault(207, f"this is not allowed: {error}", ("MSH", 1, 3, 0, 0))]
        case TooMany():
            text = f"{error}: try again in {error.seconds} s"
            return "AR", [Fault(207, text, ("MSH", 1, 3, 0, 0))]
        case Conflict() | PreconditionFailed():
            return "AE", [Fault(206, "somebody wrote at the same time", ("MSH", 1, 0, 0, 0))]
        case NotFound():
            return "AE", [Fault(204, "this person is not known", ("PID", 1, 3, 0, 0))]
    # The kind alone: a text may hold data.
    _log.error("a message failed", error=type(error).__name__)
    return "AR", [Fault(207, "the register failed: try again", ("MSH", 1, 0, 0, 0))]


def _fault(error: Hl7Error) -> Fault:
    return Fault(error.code, error.text, error.where)
