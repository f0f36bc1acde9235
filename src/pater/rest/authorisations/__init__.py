"""Questions about rights, answered yes or no: may X do S with T of P, and the police's one.

They ask the policy and the standing that every access asks; nothing of a record leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from pater.access.policy import Policy
from pater.access.standing import DatabaseStanding
from pater.domain import Parts, Services
from pater.rest.authorisations import mandates, native, police
from pater.rest.authorisations.answering import Desk
from pater.rest.authorisations.operation import operation


def parts(services: Services, policy: Policy, timer: Callable[[], float] = monotonic) -> Parts:
    """`GET /opravneni/over`, `$may` and `Patient/$isolation-ordered`, over the policy in force."""
    # asks about others than the caller, so nothing that follows callers may hear of it
    standing = DatabaseStanding(services.db, services.clock, policy.territories, policy.parents)
    desk = Desk(services, policy, standing)
    return Parts(
        operations=(
            operation(desk, policy),
            police.operation(services, timer),
            mandates.operation(services),
        ),
        routes=native.routes(services, desk),
    )
