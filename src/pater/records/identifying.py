"""Who somebody is, for who may ask: the Patients of persons that a register found, journalled."""

from __future__ import annotations

from collections.abc import Sequence

from pater.access.caller import Caller
from pater.records.errors import Forbidden
from pater.records.ports import DONE, Ports
from pater.store.read import Stored, read_many

TYPE = "Patient"


async def require(ports: Ports, caller: Caller, what: str) -> None:
    """Decides whether the caller may ask who somebody is. Raises Forbidden (recorded)."""
    decision = ports.policy.decide(caller, "ask", TYPE)
    if not decision.allowed:
        await ports.refused(caller, "ask", TYPE, decision.reason, query=what)
        raise Forbidden(decision.reason)


async def identify(
    ports: Ports, caller: Caller, persons: Sequence[int], what: str
) -> dict[int, Stored]:
    """The Patients of these persons, as far as the caller may be told who they are.

    Each one shown has an entry in the journal; when none is, that somebody asked has one. `what` is
    the question in a word, without what it named anybody by. Raises Forbidden.
    """
    await require(ports, caller, what)
    reason = ports.policy.decide(caller, "ask", TYPE).reason
    open_to = [
        person
        for person in dict.fromkeys(persons)
        if person > 0 and ports.policy.decide(caller, "ask", TYPE, person=person).allowed
    ]
    names = await ports.names.of_all(ports.db, open_to) if open_to else {}
    keys = {(TYPE, names[person]) for person in open_to if person in names}
    found = {s.person: s for s in await read_many(ports.db, keys) if not s.deleted}
    shown = {person: found[person] for person in open_to if person in found}
    entries = [
        ports.entry(
            caller, "ask", DONE, reason, person=person, patient=stored.id, type=TYPE,
            id=stored.id, version=stored.version, query=what,
        )
        for person, stored in shown.items()
    ] or [ports.entry(caller, "ask", DONE, reason, type=TYPE, query=what)]  # fmt: skip
    await ports.record(entries)
    return shown
