"""A registrar enters who acts for a child or a ward by law or by a decision, with the proof of it.

What the state's register of rights says comes by itself (`basic.authorisations`); this is for what
it does not know: a parent abroad, a judgment of today.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from typing import Any, Final, Literal

from pater.access import representation
from pater.access.caller import Caller
from pater.access.deciding import Ages
from pater.access.relations import EVER
from pater.access.representation import REGISTER, Representation
from pater.fhir.json import parse
from pater.records.changes import Change
from pater.records.errors import Forbidden, NotFound
from pater.records.gate import Gate
from pater.registers.acts import ROLES, refused
from pater.registers.related_persons import ended, name_of, related_person
from pater.store.database import Database
from pater.store.read import Stored, read

INTERACTION: Final = "representation"
KINDS: Final = ("parent", "guardian")
LONGEST: Final = 200
"""Characters of the proof."""
YOUNGEST: Final = 12
"""Years that a parent is older than the child at least; less is a mistake in a birth date."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Who acts for whom (Patient ids), as what, by which proof; days are within, None = open."""

    kind: Literal["parent", "guardian"]
    patient: str
    agent: str
    proof: str
    since: date | None = None
    until: date | None = None


class Representing:
    """Entering and ending; both stand in the journal of the represented."""

    def __init__(self, gate: Gate, db: Database, ages: Ages) -> None:
        self._gate, self._db, self._ages = gate, db, ages

    async def enter(self, caller: Caller, wish: Wish) -> Representation:
        """The representation and its RelatedPerson. Raises Forbidden, NotFound, Unprocessable."""
        await self._may(caller)
        proof = " ".join(wish.proof.split())
        if not proof or len(proof) > LONGEST or not proof.isprintable():
            raise refused("say by which document it is proved")
        if wish.kind not in KINDS:
            raise refused("a parent or a guardian")
        child, whose = await self._patient(caller, wish.patient)
        other, who = await self._patient(caller, wish.agent)
        if child.person == other.person:
            raise refused("nobody acts for themselves")
        if _deceased(whose) or _deceased(who):
            raise refused("one of them has died")
        now = self._gate.now()
        since = representation.first_moment(wish.since) if wish.since else now
        until = representation.moment_after(wish.until) if wish.until else EVER
        born: date | None = None
        if wish.kind == "parent":
            born = _born(whose)
            _compare_ages(born, _born(who))
            if born is None:
                raise refused("the birth date of the child is not known")
            until = min(until, representation.birthday(born, self._ages.until))
        if until <= max(since, now):
            raise refused("it would be over before it began")
        standing = await representation.representatives(self._db, child.person, now)
        if any((each.agent, each.kind) == (other.person, wish.kind) for each in standing):
            raise refused("this is entered already")
        one = Representation(
            id=self._gate.new_id(), person=child.person, patient=child.id,
            person_name=name_of(whose), agent=other.person, agent_name=name_of(who),
            kind=wish.kind, source=REGISTER, reference=proof, born=born, since=since, until=until,
            recorded=now,
        )  # fmt: skip
        made = related_person(one.id, one.kind, one.patient, one.agent_name, since, until, now)
        change = Change(
            "create", "RelatedPerson", one.id, made, person=one.person, derived=True, fresh=True
        )
        await self._gate.commit(
            caller, [change], statements=[representation.made(one)], interaction=INTERACTION,
            reason="representation-made",
        )  # fmt: skip
        return one

    async def end(self, caller: Caller, patient: str, id: str) -> None:
        """Ends what an official entered, from now on. Raises Forbidden, NotFound."""
        await self._may(caller)
        child, _ = await self._patient(caller, patient)
        one = await representation.find(self._db, id)
        if one is None or one.source != REGISTER or one.person != child.person:
            raise NotFound("RelatedPerson", id)
        if one.ended is not None:
            return
        now = self._gate.now()
        stored = await read(self._db, "RelatedPerson", id)
        change = Change("update", "RelatedPerson", id, person=one.person, derived=True)
        if stored is not None and not stored.deleted:
            change = replace(change, edit=partial(_over, now))
        else:  # it was entered when no RelatedPerson stood beside it
            made = related_person(
                id, one.kind, child.id, one.agent_name, min(one.since, now), now, now
            )
            change = replace(change, resource=made)
        await self._gate.commit(
            caller, [change], statements=[representation.end(id, now)], interaction=INTERACTION,
            reason="representation-ended",
        )  # fmt: skip

    async def _may(self, caller: Caller) -> None:
        await self._gate.require(caller, "update", "Patient")
        if caller.role not in ROLES:
            await self._gate.refuse(caller, "update", "RelatedPerson", "no-role")
            raise Forbidden("no-role")

    async def _patient(self, caller: Caller, id: str) -> tuple[Stored, dict[str, Any]]:
        stored = await self._gate.read(caller, "Patient", id)
        resource = parse(stored.body)
        if resource.get("active") is False:
            raise refused("this person was merged or cancelled")
        return stored, resource


def _over(now: datetime, resource: dict[str, Any]) -> dict[str, Any]:
    return ended(resource, now)


def _deceased(patient: dict[str, Any]) -> bool:
    return patient.get("deceasedBoolean") is True or "deceasedDateTime" in patient


def _born(patient: dict[str, Any]) -> date | None:
    try:
        return date.fromisoformat(str(patient.get("birthDate", "")))
    except ValueError:
        return None


def _compare_ages(child: date | None, parent: date | None) -> None:
    if child is not None and parent is not None and child.year - parent.year < YOUNGEST:
        raise refused("the parent is not old enough: look at the birth dates")
