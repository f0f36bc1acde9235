"""What a person or a provider says is wrong in the register: marked, queued, decided, answered.

While it waits, the attribute carries the state `disputed` and stands back where sources disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

import asyncpg

from pater.access.caller import Caller
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.issues import Issue
from pater.records.changes import Change
from pater.records.errors import Conflict, Forbidden, NotFound, Unprocessable
from pater.records.gate import Gate
from pater.registers import sources
from pater.registers.acts import ROLES, Desk, again, changed, refused
from pater.registers.identifiers import ICO
from pater.registers.surviving import ATTRIBUTES, disputed, survive, text_of
from pater.store.database import Database, Record
from pater.store.write import Statement

Resource = dict[str, Any]
State = Literal["open", "corrected", "kept"]

INTERACTION: Final = "dispute"
NOTICES: Final = "urn:pater:notice"
KIND: Final = "dispute-decided"
"""The kind of the notice that says what was decided."""
PAGE: Final = 50
LONGEST: Final = 2_000
"""Characters of a reason or an answer."""
MOST_OPEN: Final = 20
"""What waits of one person at a time."""
_LANGUAGE: Final = "http://hl7.org/fhir/StructureDefinition/language"
_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/communication-category"
_PATIENT: Final = TYPE_NUMBER["Patient"]
_KINDS: Final = {"patient": "patient", "loader": "register"}
_WORDS: Final = {
    "corrected": ("opraveno", "corrected"),
    "kept": ("ponecháno", "kept"),
}
_COLUMNS: Final = (
    "id, person, attribute, said, text, by_kind, by, by_name, organization, created, version,"
    " state, answer, decided, decider"
)
_OPENED: Final = """
insert into dispute (id, person, attribute, said, text, by_kind, by, by_name, organization, created)
values ($1::text::uuid, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
_DECIDED: Final = """
update dispute set state = $2, answer = $3, decided = $4, decider = $5, version = version + 1
where id = $1::text::uuid
"""
_QUEUE: Final = f"""
select {_COLUMNS} from dispute
where state = 'open' and ($1::timestamptz is null or (created, id) > ($1, $2::text::uuid))
order by created, id limit $3
"""  # noqa: S608 constants
_OF: Final = f"""
select {_COLUMNS} from dispute where person = $1 order by created desc limit $2
"""  # noqa: S608 constants
_ONE: Final = f"select {_COLUMNS} from dispute where id = $1::text::uuid"  # noqa: S608 constants


@dataclass(frozen=True, slots=True)
class Dispute:
    """One attribute that is said to be wrong; `said` is how it stood, `text` why it is wrong."""

    id: str
    person: int
    attribute: str
    said: str
    text: str
    by_kind: str
    by: str
    by_name: str
    organization: str
    created: datetime
    version: int
    state: State
    answer: str
    decided: datetime | None
    decider: str


class AlreadyDisputed(Unprocessable):
    """The same attribute waits for its decision."""

    def __init__(self) -> None:
        text = "this is disputed already and waits for a registrar"
        super().__init__([Issue("error", "duplicate", "", text)])


class Disputes:
    """Opening and deciding them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._gate: Gate = desk.gate
        self._db: Database = desk.db

    async def open(self, caller: Caller, patient: str, attribute: str, text: str) -> Dispute:
        """Says that an attribute of a Patient is wrong: a person of themselves, a provider, or
        (the loader) a basic register.

        Raises NotFound (as a read of the Patient does), Forbidden, Unprocessable.
        """
        await self._gate.read(caller, "Patient", patient)
        if caller.role not in ("patient", "provider-system", "clinician", "loader", *ROLES):
            await self._gate.refuse(caller, "update", "Patient", "no-role", id=patient)
            raise Forbidden("no-role")
        if attribute not in ATTRIBUTES:
            raise refused(f"what can be disputed: {', '.join(ATTRIBUTES)}")
        text = text.strip()
        if not text or len(text) > LONGEST:
            raise refused(f"say in up to {LONGEST} characters what is wrong")

        async def act() -> Dispute:
            one = await self._desk.master(patient)
            waiting = [e for e in await self.of(one.person) if e.state == "open"]
            if any(each.attribute == attribute for each in waiting):
                raise AlreadyDisputed
            if len(waiting) >= MOST_OPEN:
                raise refused(f"more than {MOST_OPEN} disputes of one person do not wait at a time")
            made = Dispute(
                self._gate.new_id(), one.person, attribute, text_of(one.resource, attribute), text,
                _KINDS.get(caller.role, "provider"), caller.id, caller.name,
                caller.organization, self._gate.now(), 1, "open", "", None, "",
            )  # fmt: skip
            opened = Statement(
                _OPENED,
                (
                    made.id, made.person, attribute, made.said, text, made.by_kind, made.by,
                    made.by_name, made.organization, made.created,
                ),
            )  # fmt: skip
            marked = sources.dispute(one.person, attribute, open=True)
            changes = [changed(one, disputed(one.resource, attribute, open=True))]
            await self._commit(caller, changes, [opened, marked])
            return made

        return await again(act)

    async def decide(
        self, caller: Caller, dispute: str, version: int, state: State, answer: str
    ) -> Dispute:
        """A registrar's decision: `corrected` (the sources say something better by now) or `kept`.

        Who asked is told by a notice in the person's record. Raises Forbidden, NotFound,
        Unprocessable, Conflict (somebody else decided it meanwhile).
        """
        await self._desk.may(caller, answer)
        if state not in ("corrected", "kept"):
            raise refused("a dispute is corrected, or the value is kept")
        if len(answer) > LONGEST:
            raise refused(f"answer in up to {LONGEST} characters")

        async def act() -> None:
            patient = await self._patient((await self.one(dispute)).person)
            one = await self._desk.master(patient)
            found = await self.one(dispute)  # after the Patient, whose version the commit holds to
            if found.state != "open" or found.version != version:
                raise Conflict("somebody else decided this: look again")
            said = await sources.of(self._db, one.person)
            now_said = [replace(e, disputed=e.disputed - {found.attribute}) for e in said]
            master = disputed(one.resource, found.attribute, open=False)
            if now_said != said:
                master = survive(master, now_said)
            now = self._gate.now()
            statements = [
                sources.dispute(one.person, found.attribute, open=False),
                Statement(_DECIDED, (found.id, state, answer, now, caller.id)),
            ]
            notice = Change(
                "create", "Communication", self._gate.new_id(),
                _notice(found, patient, state, answer, now), person=one.person, derived=True,
            )  # fmt: skip
            # of two who decide at once the second finds another version of the Patient
            await self._commit(caller, [changed(one, master), notice], statements)

        await again(act)
        return await self.one(dispute)

    async def queue(
        self, caller: Caller, after: Dispute | None = None, count: int = PAGE
    ) -> list[Dispute]:
        """What waits for a registrar, oldest first. Raises Forbidden."""
        await self._desk.may(caller, "queue")
        beyond = (None, None) if after is None else (after.created, after.id)
        rows = await self._db.fetch(_QUEUE, *beyond, max(1, min(count, 500)))
        return [_of(row) for row in rows]

    async def of(self, person: int) -> list[Dispute]:
        """What was disputed of a person, the newest first: for whom the gate showed the Patient."""
        return [_of(row) for row in await self._db.fetch(_OF, person, PAGE)]

    async def one(self, dispute: str) -> Dispute:
        """One dispute. Raises NotFound."""
        try:
            row = await self._db.fetchrow(_ONE, dispute)
        except asyncpg.DataError:
            row = None
        if row is None:
            raise NotFound("Dispute", dispute)
        return _of(row)

    async def _patient(self, person: int) -> str:
        found = await self._db.fetchval(
            "select r.id from resource r where r.person = $1 and r.type = $2 and not r.deleted"
            " and survivor_of(r.id) is null order by r.id limit 1",
            person,
            _PATIENT,
        )
        if found is None:
            raise NotFound("Patient", "")
        return str(found)

    async def _commit(
        self, caller: Caller, changes: Sequence[Change], statements: Sequence[Statement]
    ) -> None:
        reason = self._gate.decide(caller, "read", "Patient").reason
        await self._gate.commit(
            caller, changes, statements=statements, interaction=INTERACTION, reason=reason
        )


def _of(row: Record) -> Dispute:
    values = dict(row)
    values["id"] = str(values["id"])
    return Dispute(**values)


def _notice(dispute: Dispute, patient: str, state: State, answer: str, now: datetime) -> Resource:
    """What is told of a decision, in the person's record."""
    czech, english = _WORDS[state]
    texts = {
        "cs": f"Zpochybněný údaj v registru pacientů byl posouzen: {czech}. {answer}",
        "en": f"A disputed entry of the register of patients was decided: {english}. {answer}",
    }
    whose = {"reference": f"Patient/{patient}"}
    told: Resource = whose
    if dispute.by_kind == "provider" and dispute.organization:
        number = {"system": ICO, "value": dispute.organization}
        told = {"type": "Organization", "identifier": number}
    return {
        "resourceType": "Communication",
        "status": "completed",
        "category": [{"coding": [{"system": _CATEGORY, "code": "notification"}]}],
        "subject": whose,
        "sent": now.isoformat(timespec="seconds"),
        "recipient": [told],
        "reasonCode": [{"coding": [{"system": NOTICES, "code": KIND}]}],
        "payload": [
            {
                "contentString": text,
                "_contentString": {"extension": [{"url": _LANGUAGE, "valueCode": lang}]},
            }
            for lang, text in texts.items()
        ],
    }
