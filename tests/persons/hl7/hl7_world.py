"""A register with senders of HL7 v2 messages, as in the OpenHIE client registry's test harness."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

from joserfc.jwk import ECKey

from pater.access import clients
from pater.access.clients import Client
from pater.domain import Services
from pater.domains.persons import domain as persons
from pater.domains.persons import hl7
from pater.domains.persons.hl7 import tables
from pater.domains.persons.hl7.codec import Message, Segment, parse
from pater.domains.persons.hl7.desk import Desk, Peer
from pater.domains.persons.hl7.tables import Sender
from pater.registers.identifiers import ICO, ico_from
from pater.registers.room import Registers
from pater.store.database import Database
from pater.store.files import Files
from tests.conftest import Clock
from tests.registers.registering import registers_of
from tests.rest.world import BASE, World, world

HERE = Peer("127.0.0.1", trusted=True)
_OID = "2.16.840.1.113883.3.72.5.9."
DOMAINS = {  # name: last arc of its OID, who assigns, type
    "TEST": ("1", ico_from("0000001"), ""),
    "TEST_A": ("2", ico_from("0000002"), ""),
    "TEST_B": ("3", ico_from("0000003"), ""),
    "NID": ("9", "", "NI"),
}
SENDERS = {  # application: IČO, role
    "TEST_HARNESS": (ico_from("0000001"), "provider-system"),
    "TEST_HARNESS_A": (ico_from("0000002"), "provider-system"),
    "TEST_HARNESS_B": (ico_from("0000003"), "provider-system"),
    "TEST_OTHER": (ico_from("0000004"), "provider-system"),
    "NID_AUTH": (ico_from("0000005"), "provider-system"),
    "REGISTRY": ("", "registrar"),
}
_numbers = itertools.count(1)


@dataclass
class Answers:
    """What came back for one message, as a sender reads it."""

    messages: list[Message]

    @property
    def one(self) -> Message:
        assert len(self.messages) == 1
        return self.messages[0]

    @property
    def code(self) -> str:
        return self.text("MSA", 1)

    @property
    def status(self) -> str:
        return self.text("QAK", 2)

    def text(self, name: str, field_: int, component: int = 1) -> str:
        found = self.one.first(name)
        return found.text(field_, component) if found is not None else ""

    @property
    def errors(self) -> list[Segment]:
        return list(self.one.all("ERR"))

    @property
    def place(self) -> str:
        """ERR-2 of the first error."""
        return self.errors[0].raw(2)

    @property
    def people(self) -> list[Segment]:
        return list(self.one.all("PID"))

    def numbers(self, place: int = 0) -> list[str]:
        """PID-3 of a person: value^name."""
        return [f"{v[0][0]}^{v[3][0]}" for v in self.people[place].values(3)]


@dataclass
class Bench:
    """Senders and a register."""

    api: World
    registers: Registers
    desk: Desk
    peer: Peer = field(default=HERE)

    async def raw(self, data: bytes) -> Answers:
        return Answers([parse(each) for each in await self.desk.take(data, self.peer)])

    async def send(self, *lines: str, charset: str = "utf-8") -> Answers:
        return await self.raw("\r".join(lines).encode(charset))

    async def adt(
        self, pid: str, *more: str, by: str = "TEST_HARNESS", event: str = "A01",
        version: str = "2.3.1", control: str = "",
    ) -> Answers:  # fmt: skip
        head = f"MSH|^~\\&|{by}|TEST|CR1|MOH|20141104174451||ADT^{event}^ADT_{event}"
        head += f"|{control or f'C{next(_numbers)}'}|P|{version}"
        return await self.send(head, "EVN||20101020", f"PID|||{pid}", *more, "PV1||I")

    async def pix(self, number: str, domains: str = "", by: str = "TEST_HARNESS") -> Answers:
        head = f"MSH|^~\\&|{by}|TEST|CR1|MOH|20090223144546||QBP^Q23^QBP_Q21"
        return await self.send(
            f"{head}|Q{next(_numbers)}|P|2.5", f"QPD|IHE PIX Query|T1|{number}|{domains}", "RCP|I"
        )

    async def pdq(
        self,
        asked: str,
        domains: str = "",
        by: str = "REGISTRY",
        count: int = 10,
        pointer: str = "",
    ) -> Answers:
        head = f"MSH|^~\\&|{by}|TEST|CR1|MOH|20090226131520-0600||QBP^Q22^QBP_Q21"
        lines = [f"{head}|Q{next(_numbers)}|P|2.5"]
        lines.append(f"QPD|Q22^Find Candidates^HL7|T2|{asked}|||||{domains}")
        lines.append(f"RCP|I|{count}^RD")
        if pointer:
            lines.append(f"DSC|{pointer}|I")
        return await self.send(*lines)

    async def count(self) -> int:
        found = await self.api.db.fetchval("select count(*) from person")
        assert isinstance(found, int)
        return found


async def _fill(api: World, keys: dict[str, Any]) -> None:
    for name, (arc, ico, type_) in DOMAINS.items():
        body: dict[str, Any] = {
            "resourceType": "NamingSystem", "name": name, "status": "active", "kind": "identifier",
            "date": "2025-01-01",
            "uniqueId": [
                {"type": "uri", "value": f"https://harness.example/{name.lower()}"},
                {"type": "oid", "value": f"{_OID}{arc}"},
            ],
        }  # fmt: skip
        if ico:
            body["extension"] = [
                {"url": "urn:pater:assigner", "valueIdentifier": {"system": ICO, "value": ico}}
            ]
        if type_:
            body["type"] = {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": type_}
                ]
            }
        await api.create(body)
    for name, (ico, role) in SENDERS.items():
        client = Client(
            name.lower(), name, role, ico, name if ico else "", keys,
            ("system/*.rs", "system/Patient.cu"),
            ("TREAT",) if role == "provider-system" else ("HOPERAT",),
        )  # fmt: skip
        await clients.register(api.db, client, api.clock)
        await tables.keep_sender(api.db, Sender(name, "TEST", client.id, ""), api.clock())


@asynccontextmanager
async def bench(database: Database, clock: Clock, folder: Path) -> AsyncIterator[Bench]:
    """A bench over a fresh database."""
    async with world(database, clock) as api:
        registers = registers_of(api)
        services = Services(
            gate=api.gate, db=database, base_url=BASE, strict_identifiers=True,
            next_person=api.committer.next_person, clock=clock, random=Random(1),
            new_id=lambda: str(uuid4()), verify=api.tokens.verify, files=Files(folder),
            registers=registers,
        )  # fmt: skip
        persons.build(services)  # who keeps the systems of numbers
        key = ECKey.generate_key("P-256", parameters={"kid": "k"})
        await _fill(api, {"keys": [dict(key.as_dict(private=False))]})
        yield Bench(api, registers, hl7.desk_of(services, registers))
