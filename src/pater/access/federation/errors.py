"""Why a login by another provider came to nothing."""

from __future__ import annotations

from typing import Literal

FederationProblem = Literal[
    "unreachable", "refused", "untrusted", "assurance", "unknown", "disagrees", "closed", "late",
]  # fmt: skip


class FederationError(Exception):
    """The login is refused. `problem` decides what the person reads; `detail` is for the log.

    unreachable: the provider did not answer, or not as agreed; refused: it, or the person there,
    said no; untrusted: what it said does not hold; assurance: the person was not proved well
    enough; unknown: nobody here is meant; disagrees: name or birth date differ from the register;
    closed: the account is locked; late: too much time went by, or the answer belongs to another
    window.
    """

    def __init__(self, problem: FederationProblem, detail: str = "") -> None:
        super().__init__(f"{problem}: {detail}" if detail else problem)
        self.problem = problem
        self.detail = detail
