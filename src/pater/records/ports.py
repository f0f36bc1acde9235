"""What the gate stands on, and the one way in which it writes into the journal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pater.access import audit
from pater.access.caller import Caller
from pater.access.facts import Standing
from pater.access.policy import Action, Policy
from pater.access.probing import Probing
from pater.fhir.definitions import TYPE_NUMBER
from pater.records.changes import Closed, Forget, Keeper
from pater.records.errors import TooMany
from pater.records.patient_names import PatientNames
from pater.records.sight import Sight
from pater.store.database import Database
from pater.store.journal import JournalEntry
from pater.store.write import Committer
from pater.terminology.service import Terminology

DONE = audit.OK
REFUSED = audit.MINOR_FAILURE

_LETTERS: dict[Action, str] = {
    "read": "R",
    "search": "E",  # AuditEvent.action of a query is Execute (R4 AuditEvent.action, BALP)
    "create": "C",
    "update": "U",
    "delete": "D",
    "history": "R",
    "validate": "E",
    "ask": "E",
}
INTERACTIONS: dict[Action, str] = {
    "read": "read",
    "search": "search-type",
    "create": "create",
    "update": "update",
    "delete": "delete",
    "history": "history-instance",
    "validate": "validate",
    "ask": "operation",
}
"""Codes of http://hl7.org/fhir/restful-interaction by what the policy calls the action."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The store, the clock and the generators behind one gate."""

    db: Database
    committer: Committer
    clock: Callable[[], datetime]
    cursor_key: bytes
    new_id: Callable[[], str]
    base_url: str
    terms: Terminology
    policy: Policy
    standing: Standing
    names: PatientNames = field(default_factory=PatientNames)
    keepers: dict[str, Keeper] = field(default_factory=dict)  # by resource type
    closed: dict[str, Closed] = field(default_factory=dict)  # by resource type
    forgets: dict[str, Forget] = field(default_factory=dict)  # by resource type
    probing: Probing | None = None

    async def sight(self, caller: Caller, persons: Collection[int]) -> Sight:
        """What the caller may see of these persons; more can be met later."""
        sight = Sight(self.policy, self.standing, caller)
        await sight.meet(persons)
        return sight

    async def patient_of(self, person: int) -> str:
        """The Patient id of a person, "" when there is none."""
        return await self.names.of(self.db, person) if person else ""

    def entry(
        self,
        caller: Caller,
        action: Action,
        outcome: str,
        reason: str,
        *,
        person: int = 0,
        patient: str = "",
        type: str = "",
        id: str = "",
        version: int = 0,
        query: str = "",
        interaction: str = "",
    ) -> JournalEntry:
        """One journal entry about the caller's action, at this moment."""
        return audit.entry(
            caller,
            _LETTERS[action],
            interaction or INTERACTIONS[action],
            outcome,
            clock=self.clock,
            reason=reason,
            person=person,
            patient=patient,
            entity_type=type,
            entity_id=id,
            entity_version=version,
            query=query,
        )

    def admit(self, caller: Caller) -> None:
        """Before people are looked for by what names them. Raises TooMany."""
        seconds = self.probing.wait(caller) if self.probing is not None else 0
        if seconds:
            raise TooMany(seconds)

    async def missed(self, caller: Caller, guesses: Sequence[str]) -> None:
        """Counts people who were named, and of whom the caller is shown nothing, by whatever
        named them: those who do not exist like those whose data are refused."""
        if self.probing is not None and guesses:
            await self.probing.missed(caller, guesses, self.db, self.committer.journal_only)

    async def record(self, entries: Iterable[JournalEntry]) -> None:
        """Writes entries durably."""
        await self.committer.journal_only(list(entries))

    async def refused(
        self,
        caller: Caller,
        action: Action,
        type: str,
        reason: str,
        *,
        person: int = 0,
        id: str = "",
        query: str = "",
        interaction: str = "",
    ) -> None:
        """Records an attempt that came to nothing, at the person whom it was about."""
        # always looked up: nobody there must not be told from somebody withheld
        patient = (await self.names.anew(self.db, [person])).get(person, "")
        await self.record(
            [
                self.entry(
                    caller,
                    action,
                    REFUSED,
                    reason,
                    person=person,
                    patient=patient,
                    type=type if type in TYPE_NUMBER else "",
                    id=id,
                    query=query,
                    interaction=interaction,
                )
            ]
        )
