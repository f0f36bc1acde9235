"""Senders of HL7 v2 messages for a demonstration: each hospital with a system for its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from pater.access.caller import Caller
from pater.domains.persons.authorities import ASSIGNER
from pater.domains.persons.hl7 import tables
from pater.domains.persons.hl7.tables import Sender
from pater.records.gate import Change, Gate
from pater.registers.identifiers import ICO

Hospital = tuple[str, str, str]
"""Client, IČO, name."""


async def fill(gate: Gate, db: tables.Database, caller: Caller, of: Sequence[Hospital]) -> None:
    """Writes them down, unless they are there."""
    for client, ico, title in of:
        name = client.upper().replace("-", "_")
        system = f"https://{client}.example/patients"
        if not await tables.named(db, [name]):
            resource = {
                "resourceType": "NamingSystem",
                "name": name,
                "status": "active",
                "kind": "identifier",
                "date": gate.now().date().isoformat(),
                "description": f"Numbers of patients of {title}",
                "uniqueId": [{"type": "uri", "value": system}],
                "extension": [{"url": ASSIGNER, "valueIdentifier": {"system": ICO, "value": ico}}],
            }
            await gate.commit(caller, [Change("create", "NamingSystem", None, resource)])
        await tables.keep_sender(db, Sender(name, "NIS", client, system), gate.now())
