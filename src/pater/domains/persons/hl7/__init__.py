"""HL7 v2 over MLLP: systems of providers tell of their patients and ask for persons.

`codec` reads and writes messages, `reading` and `writing` are the person in them, `numbers` their
identifiers, `feeding` does ADT, `queries` QBP, `desk` is one message from its sender to its answer,
`mllp` the connection.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from pater.domain import Parts, Services
from pater.domains.persons.authorities import Authorities
from pater.domains.persons.forgetting import hourly
from pater.domains.persons.hl7 import tables
from pater.domains.persons.hl7.desk import Desk
from pater.domains.persons.hl7.feeding import Feeding
from pater.domains.persons.hl7.mllp import Conversations
from pater.domains.persons.hl7.numbers import Systems
from pater.domains.persons.hl7.queries import Queries
from pater.domains.persons.hl7.replies import Writer
from pater.domains.persons.looking import PatientSearch
from pater.domains.persons.pix import CrossReference
from pater.registers.renumbering import Renumbering
from pater.registers.room import Registers

DONE_KEPT: Final = timedelta(days=30)
"""How long a message that comes again is answered as before."""
FAILED_KEPT: Final = timedelta(days=180)
"""How long a message waits in quarantine."""


def desk_of(services: Services, registers: Registers) -> Desk:
    """The desk of a register."""
    gate, db, registration = services.gate, services.db, registers.registration
    authorities = Authorities(db)
    systems = Systems(db, authorities)
    renumbering = Renumbering(gate, db, registers.index, registers.merging)
    return Desk(
        db,
        Feeding(gate, db, registration, renumbering, systems),
        Queries(
            gate, db, systems,
            CrossReference(gate, db, services.base_url, registration, authorities),
            PatientSearch(db, registration, authorities, services.clock),
        ),
        Writer(services.clock, services.new_id),
        services.clock,
        services.new_id,
        services.clients,
        services.demo,
    )  # fmt: skip


def parts(services: Services, registers: Registers) -> Parts:
    """The conversation at the port `mllp`, and the task that forgets what is old."""

    async def forget(now: datetime) -> None:
        await tables.forget(services.db, now - DONE_KEPT, now - FAILED_KEPT)

    talk = Conversations(desk_of(services, registers).take, trusting=services.demo)
    return Parts(ports={"mllp": talk}, tasks=[hourly("hl7", forget, services.clock)])
