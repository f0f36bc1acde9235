"""What a caller may see of single persons: the policy, asked with what is known of them now.

One request asks once how its caller stands to all persons it meets. Who sees everybody's data, or
nobody's, needs no such question and costs none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import lru_cache

from pater.access.caller import Caller
from pater.access.facts import NOTHING, Along, Facts, Standing
from pater.access.policy import Action, Decision, Policy
from pater.fhir.labels import Veil
from pater.store.beside import Given
from pater.store.database import Database
from pater.store.read import Stored, read, read_beside
from pater.store.wall import standing

WITHHELD = "withheld"
"""The reason in the journal when the person holds a resource back from the caller."""
NOBODY_KNOWN = 2**62
"""Asked about where nobody is found, so that nobody and somebody withheld cost the same."""


@lru_cache(maxsize=1024)
def _alike(
    policy: Policy,
    caller: Caller,
    facts: Facts | None,
    person: int | None,
    types: frozenset[str],
    actions: tuple[Action, ...],
) -> tuple[frozenset[str], Veil | None]:
    veils: dict[str, Veil | None] = {}
    for type_ in sorted(types):
        found = [policy.decide(caller, a, type_, person=person, facts=facts) for a in actions]
        if all(each.allowed for each in found) and len({each.veil for each in found}) == 1:
            veils[type_] = found[0].veil
    most = Counter(veil for type_, veil in veils.items() if type_ != "Patient").most_common(1)
    veil = most[0][0] if most else None
    kept = (type_ for type_, own in veils.items() if own == veil or type_ == "Patient")
    return frozenset(kept), veil


class Sight:
    """One caller's view of persons: what is known of each, looked up at most once."""

    __slots__ = ("_facts", "_standing", "asks", "caller", "policy")

    def __init__(self, policy: Policy, standing: Standing, caller: Caller) -> None:
        self.policy = policy
        self._standing = standing
        self._facts: dict[int, Facts] = {}
        self.caller = caller
        self.asks = policy.asks(caller)

    async def meet(self, persons: Collection[int]) -> None:
        """Looks up how the caller stands to those not met yet; for nobody it does as much.

        Who acts for somebody has met that person before anything is found: it asks all the same,
        or what is withheld of that record would take less than what is not there.
        """
        if not self.asks:
            return
        found = {each for each in persons if each > 0} or {NOBODY_KNOWN}
        missing = found - self._facts.keys()
        if self.caller.acting and self._facts:
            missing = missing or {NOBODY_KNOWN}
        if missing:
            self._facts.update(await self._standing.of(self.caller, sorted(missing)))

    async def read(self, db: Database, type: str, id: str) -> Stored | None:
        """The current version of a resource, not shown to its guard, and its person met with it.

        That takes one statement for whoever may see it. Everybody else is looked up once more by
        `meet`, so that what is withheld takes what it takes where nothing is.
        """
        open_ = self.policy.decide(self.caller, "read", type).allowed
        along = await self.along() if open_ else None
        if along is None:
            return await read(db, type, id, guarded=False)
        stored, row = await read_beside(db, type, id, along.beside)
        if stored is not None and not stored.deleted:
            facts = NOTHING if stored.person <= 0 else await along.facts(row)
            self._told(stored.person, facts, lambda: not self.refusal(stored, "read"))
        return stored

    async def along(self) -> Along | None:
        """How the facts of one person can come along with a look-up of that person's rows."""
        asks = self.asks and standing() is None
        return await self._standing.along(self.caller) if asks else None

    def told(self, person: int, facts: Facts | None, type: str) -> None:
        """Takes what came along with a look-up of the person for a search of a type, as far as the
        caller may search it: else the person is still to be met, as nobody would be.
        """
        self._told(person, facts, lambda: self.decide("search", type, person).allowed)

    async def believe(self, person: int, type: str) -> Given | None:
        """Takes what is remembered of a person as met, for a search of a type: the condition under
        which it holds. None when nothing is, or the caller might not search it.
        """
        known = self.asks and standing() is None
        belief = await self._standing.believed(self.caller, person) if known else None
        if belief is None:
            return None
        self.told(person, belief.facts, type)
        return belief.given if person in self._facts else None

    def doubt(self, person: int) -> None:
        """The person has to be met anew."""
        self._facts.pop(person, None)

    def remember(self, person: int) -> None:
        """What was found of a person who was met will be believed the next time."""
        facts = self._facts.get(person)
        if facts is not None:
            self._standing.remember(self.caller, person, facts)

    def _told(self, person: int, facts: Facts | None, good: Callable[[], bool]) -> None:
        known = person if person > 0 else NOBODY_KNOWN
        if facts is None or known in self._facts:
            return
        self._facts[known] = facts
        if not good():
            del self._facts[known]

    def _known(self, person: int | None) -> Facts | None:
        return self._facts.get(person, NOTHING) if self.asks and person is not None else None

    def decide(self, action: Action, type: str, person: int | None) -> Decision:
        """The decision about the data of a person who was met (0 = data of no person), or about
        the type in general."""
        facts = self._known(person)
        return self.policy.decide(self.caller, action, type, person=person, facts=facts)

    def refusal(self, version: Stored, *actions: Action) -> str:
        """Why the caller may not do all of this with a version of a person met; "" = may."""
        for action in actions:
            decision = self.decide(action, version.type, version.person)
            if not decision.allowed:
                return decision.reason
            if version.held_back(decision.veil):
                return WITHHELD
        return ""

    def alike(
        self, person: int | None, types: frozenset[str], *actions: Action
    ) -> tuple[frozenset[str], Veil | None]:
        """The types with which the caller may do all of this, and the one veil of all but Patient.

        Types of which something else is held back than of most are left out: a statement over
        rows of several types knows one veil of a person.
        """
        # the request and the address do not matter: without them the answer is shared
        who = replace(self.caller, request_id="", source="", name="", organization_name="")
        return _alike(self.policy, who, self._known(person), person, types, actions)

    async def shown(self, versions: Sequence[Stored], *actions: Action) -> list[Stored]:
        """Those versions with which the caller may do all of this, order kept."""
        await self.meet({each.person for each in versions})
        return [each for each in versions if not self.refusal(each, *actions)]
