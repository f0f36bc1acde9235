"""Audit events told by other systems (IHE ITI-20): tied to their patients, entered or set aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from pater.access.audit_told import Named, entry_of, named, recorded
from pater.access.caller import Caller
from pater.fhir.issues import Issue
from pater.fhir.json import JsonError, parse
from pater.fhir.search.query import Condition, SearchRequest, TokenTerm
from pater.records.errors import Conflict, Forbidden, Unprocessable
from pater.records.ports import DONE, Ports
from pater.store import search as store_search
from pater.store.journal_received import (
    Kept,
    Original,
    ToldOtherwiseError,
    Waiting,
    keep,
    known,
    tried,
    wait,
    waiting,
)
from pater.store.read import persons_of
from pater.store.search import Scope

TYPE: Final = "AuditEvent"
LARGEST: Final = 64 * 1024
"""Bytes of one event."""
MOST_PATIENTS: Final = 500
"""Patients whom one event may name."""
LATE: Final = timedelta(days=30)
"""An event that is older stands in the journal at the time when it came."""
_CLOCKS: Final = timedelta(minutes=5)
_AGAIN: Final = timedelta(hours=1)
_TRIES: Final = 200
UNKNOWN: Final = "unknown-patient"


async def receive(ports: Ports, caller: Caller, event: dict[str, Any], raw: bytes) -> Kept:
    """Enters a valid AuditEvent in the name of who told it; durable when it returns.

    The same event under the same `id` is entered once. An event of somebody who is not known here
    waits in quarantine, and its sender is told no difference. Raises Forbidden, Unprocessable,
    Conflict (the sender told another event under this id).
    """
    decision = ports.policy.decide(caller, "create", TYPE)
    if not decision.allowed:
        await ports.refused(caller, "create", TYPE, decision.reason)
        raise Forbidden(decision.reason)
    issues = _issues(ports, event, raw)
    if issues:
        raise Unprocessable(issues)
    own_id = event.get("id")
    key = sha256(own_id.encode()).digest() if isinstance(own_id, str) else None
    for _ in range(2):
        try:
            before = await known(ports.db, caller.id, key, raw) if key else None
            return before or await _enter(ports, caller, event, raw, key)
        except ToldOtherwiseError:
            continue  # told twice at once: the other one is there now
    raise Conflict("another event was told under this id, and entries of the journal stay")


async def retry_waiting(ports: Ports) -> int:
    """Tries events in quarantine again whose patients may be known by now; how many left it."""
    now = ports.clock()
    done = 0
    for one in await waiting(ports.db, now - _AGAIN, _TRIES):
        sender = Caller(**{**one.caller, "scopes": tuple(one.caller["scopes"])})
        if await _released(ports, sender, one):
            done += 1
        else:
            await tried(ports.db, one.entry, now)
    return done


async def _released(ports: Ports, sender: Caller, one: Waiting) -> bool:
    try:
        event = parse(one.body)
        kept = await _enter(ports, sender, event, one.body, None, waited=one.entry)
    except (ToldOtherwiseError, JsonError):
        return False
    return kept.entry != one.entry


def _issues(ports: Ports, event: dict[str, Any], raw: bytes) -> list[Issue]:
    issues = []
    at = recorded(event)
    if at is None:
        issues.append(Issue("error", "required", f"{TYPE}.recorded", "when was it recorded?"))
    elif at > ports.clock() + _CLOCKS:
        issues.append(Issue("error", "value", f"{TYPE}.recorded", "this lies in the future"))
    if len(raw) > LARGEST:
        text = f"an audit event has at most {LARGEST} bytes"
        issues.append(Issue("error", "too-long", TYPE, text))
    if len(event.get("entity", ())) > MOST_PATIENTS:
        text = f"an audit event has at most {MOST_PATIENTS} entities"
        issues.append(Issue("error", "too-costly", f"{TYPE}.entity", text))
    return issues


async def _enter(
    ports: Ports,
    caller: Caller,
    event: dict[str, Any],
    raw: bytes,
    key: bytes | None,
    *,
    waited: UUID | None = None,
) -> Kept:
    about = named(event, ports.base_url)
    persons = await _persons(ports, about)
    now = ports.clock()
    if None in persons.values():
        if waited is not None:
            return Kept(waited, False)
        return await _set_aside(ports, caller, raw, key)
    found = {index: person for index, person in persons.items() if person is not None}
    numbers = sorted(set(found.values()))
    names = await ports.names.of_all(ports.db, numbers) if numbers else {}
    patients = [(person, names.get(person, "")) for person in numbers] or [(0, "")]
    said = recorded(event)
    at = said if said is not None and said > now - LATE else now
    entry = entry_of(event, raw, caller, min(at, now), *patients[0])
    return await keep(
        ports.db, entry, patients[1:], Original(caller.id, found, raw), key, waited=waited
    )


async def _set_aside(ports: Ports, caller: Caller, raw: bytes, key: bytes | None) -> Kept:
    kept = await wait(ports.db, ports.clock(), UNKNOWN, caller.id, asdict(caller), raw, key)
    await ports.record(
        [ports.entry(caller, "create", DONE, UNKNOWN, type=TYPE, id=str(kept.entry))]
    )
    return kept


async def _persons(ports: Ports, about: Sequence[Named]) -> dict[int, int | None]:
    """The person of each entity that names a patient; None = nobody we know."""
    ids = {one.id for one in about if one.id}
    by_id = await persons_of(ports.db, ids) if ids else {}
    by_identifier: dict[tuple[str, str], int | None] = {}
    for pair in {pair for one in about if one.id not in by_id for pair in one.identifiers}:
        by_identifier[pair] = await _holder(ports, *pair)
    return {
        one.index: by_id.get(one.id)
        or next((by_identifier[p] for p in one.identifiers if by_identifier.get(p)), None)
        for one in about
    }


async def _holder(ports: Ports, system: str, value: str) -> int | None:
    """The one person whose Patient has an identifier."""
    if not system:
        return None
    term = TokenTerm(system, value)
    request = SearchRequest(
        type="Patient", conditions=(Condition("identifier", "token", None, (term,)),)
    )
    page = await store_search.search(
        ports.db, request, Scope(None), count=2, cursor_key=ports.cursor_key
    )
    found = {stored.person for stored in page.matches}
    return found.pop() if len(found) == 1 else None
