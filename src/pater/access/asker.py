"""Whether what was made for one token of an account may be fetched with another one."""

from __future__ import annotations

from pater.access.caller import Caller
from pater.access.scopes import at_least


def may_fetch(caller: Caller, asker: Caller) -> bool:
    """Whether a caller has at least the rights with which the asker, the same account, asked.

    What the policy looks at must not be less: a weaker login, another purpose of use or narrower
    scopes would be refused if they asked themselves. What one app asked for is not another's.
    """
    same = (
        (each.kind, each.id, each.role, each.purpose, each.organization, each.person, each.context,
         each.grant)
        for each in (caller, asker)
    )  # fmt: skip
    return (
        len(set(same)) == 1
        and caller.strength >= asker.strength
        and at_least(caller.scopes, asker.scopes)
    )
