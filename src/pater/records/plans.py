"""One judged change as a plan: what is put where, under which condition. Nothing here reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pater.access.caller import Caller
from pater.access.policy import Action
from pater.fhir.issues import Issue
from pater.fhir.labelling import label_of
from pater.records.changes import STANDING, Change, Method
from pater.records.errors import PreconditionFailed, Unprocessable
from pater.store.read import Stored
from pater.store.write import Method as HttpMethod
from pater.store.write import Put

_HTTP: Final[dict[Method, HttpMethod]] = {"create": "POST", "update": "PUT", "delete": "DELETE"}


@dataclass(frozen=True, slots=True)
class Plan:
    """A change with all that is known before it is written; `put` None = nothing to do."""

    change: Change
    id: str
    person: int
    action: Action
    reason: str
    put: Put | None
    conditional: bool  # the caller, not we, demands the version


def creation(caller: Caller, change: Change, person: int, reason: str) -> Plan:
    """The plan of a create. Raises Unprocessable."""
    _storable(caller, change, person)
    put = _put(caller, change, person, 0)
    return Plan(change, put.id, person, "create", reason, put, conditional=False)


def replacement(
    caller: Caller, change: Change, stored: Stored | None, person: int, reason: str
) -> Plan | str:
    """The plan of an update, or the reason why the caller may not create at this address.

    Raises PreconditionFailed, Unprocessable.
    """
    _storable(caller, change, person)
    absent = stored is None
    if absent and not (change.derived or caller.role == "loader"):
        return "own-address"
    if stored is not None and stored.person != person and not change.derived:
        text = "a record cannot be moved to another patient: delete it and create a new one"
        raise Unprocessable([Issue("error", "business-rule", change.path or change.type, text)])
    expected = change.if_match
    if expected is not None:
        _match(change, stored)
        expected = _standing(change, stored)
    elif absent:
        expected = 0
    put = _put(caller, change, person, expected)
    action: Action = "create" if absent else "update"
    return Plan(
        change,
        put.id,
        person,
        action,
        reason,
        put,
        # an edit is bound to the version that we read: read again when it is no longer current
        conditional=change.if_match not in (None, STANDING) and change.edit is None,
    )


def removal(caller: Caller, change: Change, stored: Stored | None, reason: str) -> Plan:
    """The plan of a delete; without a put when there is nothing. Raises PreconditionFailed."""
    if change.if_match is not None:
        _match(change, stored)
    person = stored.person if stored is not None else 0
    put = None
    if stored is not None and not stored.deleted:
        put = _put(caller, change, person, _standing(change, stored))
    return Plan(
        change,
        change.id or "",
        person,
        "delete",
        reason,
        put,
        conditional=change.if_match not in (None, STANDING),
    )


def _standing(change: Change, stored: Stored | None) -> int | None:
    """The version to write over; when any may stand there, the one that we saw."""
    if change.if_match == STANDING and stored is not None:
        return stored.version
    return change.if_match


def _match(change: Change, stored: Stored | None) -> None:
    """Early answer to a version that is wrong already; the commit itself holds it under a lock."""
    version = stored.version if stored is not None else 0
    standing = version if stored is not None and not stored.deleted else 0
    good = standing > 0 if change.if_match == STANDING else change.if_match in (version, standing)
    if not good:
        raise PreconditionFailed(change.type, change.id or "", version or None)


def _put(caller: Caller, change: Change, person: int, expected: int | None) -> Put:
    return Put(
        type=change.type,
        id=change.id or "",
        person=person,
        resource=change.resource,
        raw=change.raw,
        expected=expected,
        method="PATCH" if change.edit and not change.derived else _HTTP[change.method],
        fresh=change.fresh,
        label=_label(caller, change),
    )


def _label(caller: Caller, change: Change) -> int | None:
    """The label of what is written, None = as its content tells: who wrote it is not in there."""
    if change.label is not None or change.resource is None or not caller.organization:
        return change.label
    return label_of(change.type, change.resource, provider=caller.organization)


def _storable(caller: Caller, change: Change, person: int) -> None:
    """A Bundle may hold anything about anybody: without a person only the loader may store it."""
    if change.type == "Bundle" and not person and caller.role != "loader":
        text = (
            "only document Bundles of one patient are stored; a transaction or batch goes to the"
            " base address of the API"
        )
        raise Unprocessable([Issue("error", "not-supported", change.path or "Bundle", text)])
