"""What an administrator may order: certificates of the own organisation's systems and people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from pater.access.accounts import Account
from pater.access.caller import Caller
from pater.fhir.search.text import normalise
from pater.trust.ca import CaError, Kept, Operator, Subject
from pater.trust.ca.tables import ISSUED

SYSTEM: Final = "system"
PERSON: Final = "person"
KINDS: Final = (SYSTEM, PERSON)
WARNED: Final = (7, 14, 30)
"""Days before the end on which somebody is told."""


def operator_of(caller: Caller) -> Operator:
    """The administrator as the journal of the authority names them."""
    return Operator(
        caller.id,
        caller.name,
        role=caller.role,
        organization=caller.organization,
        organization_name=caller.organization_name,
        request_id=caller.request_id,
        source=caller.source,
    )


def subject_of(kind: str, form: Mapping[str, str], caller: Caller) -> Subject:
    """Whom a certificate shall name: of a system always the caller's own organisation."""
    if kind == SYSTEM:
        return Subject(
            name=form.get("name", ""),
            ico=caller.organization,
            organization=caller.organization_name,
        )
    return Subject(
        krzp=form.get("krzp", "").strip(),
        given=form.get("given", ""),
        family=form.get("family", ""),
    )


def check_employed(subject: Subject, found: Iterable[Account], organization: str) -> None:
    """Raises CaError unless one of a number's accounts is this person at this organisation.

    An administrator answers for the own people only; who they are an operator wrote down.
    """
    wanted = {*normalise(subject.given).split(), *normalise(subject.family).split()}
    for account in found:
        words = set(normalise(account.name.replace(",", " ")).split())
        if account.active and account.organization == organization and wanted and wanted <= words:
            return
    raise CaError(
        "not-employed", "nobody of this number and name has an active account at the organisation"
    )


def days_left(kept: Kept, now: datetime) -> int | None:
    """Whole days to the end of a certificate in force; None for any other."""
    return (kept.not_after - now).days if kept.state(now) == ISSUED else None


def due(left: timedelta, lasts: timedelta = timedelta(days=730)) -> int | None:
    """The warning that is due when so much is left: 7, 14 or 30; None when none is.

    What lasts for three months is renewed by machines, 30 days before its end: it is told later.
    """
    return next(
        (days for days in WARNED if left <= timedelta(days=days) and lasts > timedelta(4 * days)),
        None,
    )


def may_renew(kept: Kept, now: datetime) -> bool:
    """Whether its administrator renews it here; of other kinds an operator does."""
    return kept.profile in KINDS and kept.state(now) == ISSUED
