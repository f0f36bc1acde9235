"""A source takes back a number under which it knew somebody, or says that two numbers are one.

What is nobody else's to say is done at once. Two persons of whom others know too are not made one
by a source: its number moves, and a registrar is asked about the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pater.access.caller import Caller
from pater.fhir.issues import Issue
from pater.records.errors import Conflict, Forbidden, Unprocessable
from pater.records.gate import Gate
from pater.registers import moving, sources
from pater.registers.cases import opening
from pater.registers.matching.index import PersonIndex
from pater.registers.merging import Merging
from pater.registers.surviving import Said, Source
from pater.store.database import Database
from pater.store.read import claim_holders
from pater.store.write import Claim, Statement

_REGISTER: Final = Caller(
    kind="system", id="register", name="register", role="loader", purpose="SYSADMIN", strength=3,
    scopes=("system/*.cruds",),
)  # fmt: skip
_FREED: Final = "delete from claim where key = $1 and person = $2"
_MOVED: Final = "update claim set person = $3, target = $4 where key = $1 and person = $2"
_ACCOUNT: Final = "select 1 from account where person = $1 limit 1"


@dataclass(frozen=True, slots=True)
class Renumbering:
    """The two acts of a source upon its own numbers."""

    gate: Gate
    db: Database
    index: PersonIndex
    merging: Merging

    async def end(self, caller: Caller, source: Source) -> bool:
        """Takes a number back; what the source said stays as past. False = it was not known.

        The person stays in the register: it is the number that is nobody's any longer. Raises
        Forbidden.
        """
        await self._may(caller, source, source)
        key = sources.key(source)
        holder = (await claim_holders(self.db, [key])).get(key)
        if holder is None:
            await self.gate.identify(caller, [], "number-ended")
            return False
        await self._write(caller, [sources.gone(source), Statement(_FREED, (key, holder[0]))])
        await self.gate.identify(caller, [holder[0]], "number-ended")
        return True

    async def replace(self, caller: Caller, gone: Source, by: Source) -> tuple[int, str]:
        """Notes that a source's number `gone` stands for the person of its number `by`: that person
        and their Patient. Raises Forbidden, Unprocessable, Conflict.
        """
        await self._may(caller, gone, by)
        if sources.key(gone) == sources.key(by):
            raise _refused("a number does not replace itself")
        held = await claim_holders(self.db, [sources.key(gone), sources.key(by)])
        kept = held.get(sources.key(by))
        if kept is None:
            raise _refused("the number that replaces this one is not known")
        person, patient = kept
        before = held.get(sources.key(gone))
        if before is None:
            await self._write(caller, [], [sources.claim(gone, person, patient)])
        elif before[0] == person:
            await self._write(caller, [sources.gone(gone)])
        else:
            await self._join(caller, gone, before, kept)
        await self.gate.identify(caller, [person], "number-replaced")
        return person, patient

    async def _join(
        self, caller: Caller, gone: Source, before: tuple[int, str], kept: tuple[int, str]
    ) -> None:
        known = await sources.of(self.db, before[0])
        mine = next((each for each in known if _same(each.source, gone)), None)
        body = mine.patient if mine is not None else {}
        ranked = await self.index.ranked(body, [kept[0]]) if body else []
        agreed = not any(score.contradictions for _, score in ranked)
        if agreed and await self._alone(known, before):
            reason = f"resolved as a duplicate by its source {gone.name}"
            await self.merging.merge(_REGISTER, kept[1], before[1], reason)
            await self._write(caller, [sources.gone(gone)])
            return
        now = self.gate.now()
        await self._write(
            caller,
            [
                sources.gone(gone),
                Statement(_MOVED, (sources.key(gone), before[0], *kept)),
                opening(before[0], ranked, "numbers", gone.name, now),
            ],
        )

    async def _alone(self, known: list[Said], before: tuple[int, str]) -> bool:
        """Whether nobody but this source knows the person, who has no record and no account."""
        if len(known) != 1 or await moving.more(self.db, *before, 0):
            return False
        return await self.db.fetchval(_ACCOUNT, before[0]) is None

    async def _may(self, caller: Caller, *own: Source) -> None:
        await self.gate.require(caller, "update", "Patient")
        if caller.role != "provider-system" or any(e.name != caller.organization for e in own):
            await self.gate.refuse(caller, "update", "Patient", "no-organization")
            raise Forbidden("no-organization", "a provider tells of its own numbers only")

    async def _write(
        self, caller: Caller, statements: list[Statement], claims: list[Claim] | None = None
    ) -> None:
        reason = self.gate.decide(caller, "update", "Patient").reason
        try:
            await self.gate.commit(
                caller, [], claims=claims or (), statements=statements, reason=reason
            )
        except Conflict as error:
            raise Conflict("somebody told of this number at the same time: try again") from error


def _same(one: Source, other: Source) -> bool:
    return (one.name, one.system, one.value) == (other.name, other.system, other.value)


def _refused(text: str) -> Unprocessable:
    return Unprocessable([Issue("error", "business-rule", "Patient.link", text)])
