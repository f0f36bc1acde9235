"""What leaves without a request: decided for the subscriber as a read is, and recorded."""

from __future__ import annotations

from collections.abc import Sequence

from pater.access.caller import Caller
from pater.access.policy import Action, Policy
from pater.records.ports import DONE, Ports
from pater.records.reading import visible as visible_now
from pater.store.read import Stored
from pater.store.versions import VersionKey, read_versions

INTERACTION = "notification"
# A notification tells both that there is such a resource, as a search does, and what it says.
_NEEDED: tuple[Action, ...] = ("search", "read")


def open_to(policy: Policy, caller: Caller, type: str) -> str:
    """The policy's reason why a type is closed to a subscriber; "" when it is open."""
    for action in _NEEDED:
        decision = policy.decide(caller, action, type)
        if not decision.allowed:
            return decision.reason
    return ""


async def visible(ports: Ports, caller: Caller, versions: Sequence[Stored]) -> list[Stored]:
    """Those versions that the caller may be told of now; nothing is recorded."""
    sight = await ports.sight(caller, {each.person for each in versions})
    return await visible_now(ports, sight, versions, *_NEEDED)


async def disclose(
    ports: Ports, caller: Caller, keys: Sequence[VersionKey], why: str
) -> dict[VersionKey, Stored]:
    """The versions that may leave, each in the journal before this returns.

    `why` stands in the journal as the query: the subscription on whose account it was.
    """
    there = await read_versions(ports.db, keys)
    sight = await ports.sight(caller, {each.person for each in there.values()})
    shown = await visible_now(ports, sight, list(there.values()), *_NEEDED)
    persons = {each.person for each in shown if each.person > 0}
    names = await ports.names.of_all(ports.db, persons) if persons else {}
    await ports.record(
        ports.entry(
            caller,
            "read",
            DONE,
            sight.decide("read", each.type, each.person).reason,
            person=each.person,
            patient=names.get(each.person, ""),
            type=each.type,
            id=each.id,
            version=each.version,
            query=why,
            interaction=INTERACTION,
        )
        for each in shown
    )
    return {(each.type, each.id, each.version): each for each in shown}
