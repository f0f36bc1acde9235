"""Emergency access: who says why may read what a person holds back, for hours, and is reviewed.

Opening writes the access, the notice to the patient and the journal entry in one transaction; an
access that nobody hears of does not exist.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from pater.access.caller import Caller
from pater.access.facts import Facts
from pater.domain import Services, enqueue_statement
from pater.domains.consents import mailing, notices, tables
from pater.domains.consents.tables import Access
from pater.fhir.labels import label
from pater.records.errors import Forbidden
from pater.records.gate import Change, Statement
from pater.records.patient_names import PatientNames

PURPOSE: Final = "ETREAT"
SHORTEST: Final = 10
LONGEST: Final = 500
HOURS: Final = 8
MOST_HOURS: Final = 24
INTERACTION: Final = "emergency-access"
RESCUE: Final = "Výjezd záchranné služby / rescue service call"
"""The reason of the rescue service, whose every question is an emergency."""


OVERRIDE: Final = "override"
"""The relation of who has an emergency access open (`access.facts.Facts`)."""

# what was said of the access that is being opened, and whether its writing is under way
_SAID: Final = ContextVar("said of an emergency", default=(RESCUE, HOURS))
_WRITING: Final = ContextVar("an emergency is written", default=False)


@dataclass(frozen=True, slots=True)
class Desk:
    """Opens emergency accesses."""

    services: Services
    names: PatientNames = field(default_factory=PatientNames)

    async def open(self, caller: Caller, patient: str, reason: str, hours: int) -> Access:
        """Opens the record of a Patient (by id) for the caller; what is open already stays so.

        `reason` is a `readable` one and `hours` 1 to 24. Raises Forbidden for who may not read in
        an emergency at all, NotFound and Gone for the Patient.
        """
        gate = self.services.gate
        if caller.app or caller.purpose != PURPOSE:
            why = "no-scope" if caller.app else "no-purpose"
            await gate.refuse(caller, "read", "Patient", why, id=patient)
            raise Forbidden(why)
        said = _SAID.set((reason, hours))
        try:
            stored = await gate.read(caller, "Patient", patient)
        finally:
            _SAID.reset(said)
        found = await self.current(caller, stored.person)
        return found or await self._write(caller, stored.person, patient, reason, hours)

    async def hear(self, caller: Caller, person: int, facts: Facts) -> bool:
        """Opens a record for the rescue service when it first asks about the person."""
        if (
            caller.role != "rescue"
            or caller.purpose != PURPOSE
            or caller.app
            or OVERRIDE in facts.relations
            or _WRITING.get()
        ):
            return False
        patient = await self.names.of(self.services.db, person)
        if not patient:
            return False
        reason, hours = _SAID.get()
        await self._write(caller, person, patient, reason, hours)
        return True

    async def _write(
        self, caller: Caller, person: int, patient: str, reason: str, hours: int
    ) -> Access:
        gate, now = self.services.gate, self.services.clock()
        access = Access(
            id=gate.new_id(),
            person=person,
            agent_kind=caller.kind,
            agent=caller.id,
            agent_name=caller.name,
            organization=caller.organization,
            reason=reason,
            since=now,
            until=now + timedelta(hours=hours),
            ended=None,
            reviewed=None,
            reviewer=None,
            verdict=None,
            note=None,
        )
        notice = gate.new_id()
        told = notices.notice_of_emergency(
            id=notice,
            patient=patient,
            who=caller.name,
            organization=caller.organization_name,
            ico=caller.organization,
            reason=reason,
            now=now,
        )
        change = Change(
            "create",
            "Communication",
            notice,
            told,
            person=person,
            derived=True,
            label=label("notice"),
        )
        statements = [
            Statement(
                tables.INSERT_ACCESS,
                (
                    access.id, person, caller.kind, caller.id, caller.name, caller.organization,
                    reason, access.since, access.until,
                ),
            ),
            Statement(tables.INSERT_NOTICE, (notice, person, notices.EMERGENCY, access.id, now)),
        ]  # fmt: skip
        if self.services.letters is not None:
            job = {"patient": patient, "notice": notices.EMERGENCY}
            statements.append(enqueue_statement(mailing.KIND, job, id=gate.new_id()))
        writing = _WRITING.set(True)
        try:
            await gate.commit(
                caller,
                [change],
                statements=statements,
                interaction=INTERACTION,
                reason="emergency-opened",
            )
        finally:
            _WRITING.reset(writing)
        return access

    async def current(self, caller: Caller, person: int) -> Access | None:
        """What the caller has open of a person."""
        now = self.services.clock()
        return await tables.open_access(self.services.db, person, caller.kind, caller.id, now)


def plain_reason(text: str) -> str:
    """A reason as it is kept: one line, without what nobody sees."""
    seen = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(seen.split())[:LONGEST]


def readable(reason: str) -> bool:
    """Whether a reason says something: ten characters, some of them different letters."""
    letters = {char for char in reason.casefold() if char.isalpha()}
    return len(reason) >= SHORTEST and len(letters) >= 5
