"""Writing: every change judged, tied to its person, and committed together with its journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pater.access.caller import Caller
from pater.access.policy import Action, group
from pater.fhir.issues import Issue
from pater.fhir.json import parse
from pater.records.changes import STANDING, Change
from pater.records.compartments import led_on, owner_reference, persons_for
from pater.records.errors import (
    AlreadyClaimed,
    Conflict,
    Forbidden,
    Merged,
    NotFound,
    PreconditionFailed,
    Unprocessable,
)
from pater.records.patient_names import is_merged
from pater.records.plans import Plan, creation, removal, replacement
from pater.records.ports import DONE, Ports
from pater.records.scope_filter import OUTSIDE, filter_of
from pater.records.sight import Sight
from pater.store.journal import JournalEntry
from pater.store.parameters import problems, refresh, registration
from pater.store.read import Stored, read_many
from pater.store.write import (
    Before,
    Claim,
    ClaimTaken,
    PersonMoved,
    Put,
    Statement,
    VersionConflict,
    WriteSet,
    Written,
)

ATTEMPTS = 3
"""How often a commit is tried when somebody wrote in between and the caller set no condition."""

_Key = tuple[str, str]


async def commit(
    ports: Ports,
    caller: Caller,
    changes: Sequence[Change],
    claims: Sequence[Claim],
    statements: Sequence[Statement],
    interaction: str,
    reason: str = "",
    also: Sequence[Put] = (),
    back: frozenset[int] = frozenset(),
    before: Before | None = None,
) -> list[Written]:
    """All or nothing; see `Gate.commit`."""
    changes = [c if c.id is not None else replace(c, id=ports.new_id()) for c in changes]
    reasons = await judge(ports, caller, changes, interaction, reason)
    _distinct(changes)
    for attempt in range(1, ATTEMPTS + 1):
        plans = await plan_of(ports, caller, changes, reasons, interaction)
        try:
            return await _write(
                ports, caller, plans, claims, statements, interaction, also, back, before
            )
        except VersionConflict as conflict:
            plan = next(
                (p for p in plans if (p.change.type, p.id) == (conflict.type, conflict.id)), None
            )
            if plan is not None and plan.conditional:
                raise PreconditionFailed(conflict.type, conflict.id, conflict.current) from conflict
            created = plan is None or plan.change.method == "create"
            if created or attempt == ATTEMPTS:
                raise Conflict(
                    f"{conflict.type}/{conflict.id} was written by somebody else",
                    conflict.current,
                ) from conflict
        except PersonMoved as moved:
            # who wrote for the person alone writes for the one they lead to
            if attempt == ATTEMPTS or any(change.person in moved.persons for change in changes):
                raise Merged from moved
        except ClaimTaken as taken:
            raise AlreadyClaimed(taken.key, taken.person, taken.target) from taken
    raise AssertionError("the last attempt returns or raises")


async def require(
    ports: Ports,
    caller: Caller,
    action: Action,
    type: str,
    *,
    id: str = "",
    interaction: str = "",
    whole: bool = False,
) -> str:
    """The policy's reason for an action on a type; a refusal is recorded and raised (Forbidden).

    With `whole` it is refused too when the caller's scopes leave out some resources of the type.
    """
    decision = ports.policy.decide(caller, action, type)
    refusal = "" if decision.allowed else decision.reason
    if whole and not refusal:
        outside = filter_of(caller, action)
        refusal = OUTSIDE if outside is not None and outside.touches(type) else ""
    if refusal:
        await ports.refused(caller, action, type, refusal, id=id, interaction=interaction)
        raise Forbidden(refusal)
    return decision.reason


async def judge(
    ports: Ports, caller: Caller, changes: Sequence[Change], interaction: str, reason: str = ""
) -> list[str]:
    """The policy's reason for each change; a derived one goes by the others', or by `reason`."""
    reasons: list[str] = []
    for change in changes:
        if change.derived:
            reasons.append("")
            continue
        if change.type == "AuditEvent":  # what others tell comes in by audit_intake
            await ports.refused(caller, change.method, change.type, "journal-only-grows")
            raise Forbidden("journal-only-grows")
        named = change.id or "" if change.method != "create" else ""
        reasons.append(
            await require(
                ports, caller, change.method, change.type, id=named, interaction=interaction
            )
        )
    main = next((each for each in reasons if each), reason or None)
    if changes and main is None:
        raise ValueError("a commit of derived changes only has nobody who answers for it")
    return [each or main or "" for each in reasons]


def _distinct(changes: Sequence[Change]) -> None:
    seen: set[_Key] = set()
    issues = []
    for change in changes:
        key = (change.type, change.id or "")
        if key in seen:
            issues.append(
                Issue("error", "duplicate", change.path, f"{key[0]}/{key[1]} is changed twice")
            )
        seen.add(key)
    if issues:
        raise Unprocessable(issues)


async def plan_of(
    ports: Ports,
    caller: Caller,
    changes: Sequence[Change],
    reasons: Sequence[str],
    interaction: str,
) -> list[Plan]:
    """What the changes come to, each with its id. Raises as `commit`; nothing is written."""
    keys = [(c.type, c.id or "") for c in changes if c.method != "create"]
    current = {(s.type, s.id): s for s in await read_many(ports.db, keys)} if keys else {}
    sight = Sight(ports.policy, ports.standing, caller)
    hidden = await _hidden(ports, sight, changes, current, interaction)
    for key in hidden:
        del current[key]
    changes = [await _edited(ports, caller, change, current, interaction, hidden)
               for change in changes]  # fmt: skip
    if any(change.type in ports.keepers for change in changes):
        changes = [await _kept(ports, caller, change, current) for change in changes]
    await _new_within(ports, caller, changes, current, interaction)
    patients = await _patients(ports, changes, current)
    found, led = await persons_for(ports.db, changes, patients, ports.base_url)
    if led:
        changes = [led_on(change, led, ports.base_url) for change in changes]
    plans: list[Plan] = []
    for change, person, reason in zip(changes, found, reasons, strict=True):
        stored = current.get((change.type, change.id or ""))
        whose = person if person is not None else patients.get(change.id or "", 0)
        if change.method == "delete":
            plans.append(removal(caller, change, stored, reason))
            continue
        if change.method == "create":
            plans.append(creation(caller, change, whose, reason))
        else:
            plan = replacement(caller, change, stored, whose, reason)
            if isinstance(plan, str):
                why, person = hidden.get((change.type, change.id or ""), (plan, 0))
                await ports.refused(
                    caller, "update", change.type, why, person=person, id=change.id or ""
                )
                raise Forbidden(plan, "an address of one's own choice is not open to the caller")
            plans.append(plan)
        if not change.derived:
            await _may_write(ports, sight, change, whose, interaction)
    return plans


async def _may_write(
    ports: Ports, sight: Sight, change: Change, person: int, interaction: str
) -> None:
    """Refuses what would be written into a record that is not open to the caller for it."""
    await sight.meet({person})
    decision = sight.decide(change.method, change.type, person)
    if not decision.allowed:
        named = change.id or "" if change.method != "create" else ""
        await ports.refused(
            sight.caller, change.method, change.type, decision.reason, person=person, id=named,
            interaction=interaction,
        )  # fmt: skip
        raise Forbidden(decision.reason)


async def _hidden(
    ports: Ports,
    sight: Sight,
    changes: Sequence[Change],
    current: dict[_Key, Stored],
    interaction: str,
) -> dict[_Key, tuple[str, int]]:
    """What stands there and does not exist for the caller: why, and whose it is.

    A change of it is answered as if there were nothing: what is held back, another person's
    record, and (for a deletion) what the scopes leave out.
    """
    found: dict[_Key, tuple[str, int]] = {}
    asked = [c for c in changes if c.method != "create" and not c.derived]
    there = [(c, current[k]) for c in asked if (k := (c.type, c.id or "")) in current]
    if asked:
        await sight.meet({stored.person for _, stored in there})
    for change, stored in there:
        refusal = sight.refusal(stored, change.method)
        if refusal:
            found[change.type, stored.id] = (refusal, stored.person)
            mine = group(change.type) == "owned"  # of accounts, whose ids nobody can guess
            if mine or change.method == "delete":
                await ports.refused(
                    sight.caller, change.method, change.type, refusal, person=stored.person,
                    id=stored.id, interaction=interaction,
                )  # fmt: skip
            if mine:
                raise NotFound(change.type, stored.id)
        elif await _outside(ports, sight.caller, change, stored, interaction):
            found[change.type, stored.id] = (OUTSIDE, stored.person)
    return found


async def _edited(
    ports: Ports,
    caller: Caller,
    change: Change,
    current: dict[_Key, Stored],
    interaction: str,
    hidden: Mapping[_Key, tuple[str, int]],
) -> Change:
    """A change by `edit` with the resource that comes out of it, bound to the version it read."""
    if change.edit is None:
        return change
    closed = ports.closed.get(change.type)
    if closed is not None and not change.derived:
        closed(caller, change)  # before the edit: what it says of the content is no answer to them
    stored = current.get((change.type, change.id or ""))
    if stored is None or stored.deleted:
        if not change.derived:
            nothing = ("deleted", stored.person) if stored else ("not-found", 0)
            reason, person = hidden.get((change.type, change.id or ""), nothing)
            await ports.refused(
                caller, "update", change.type, reason, person=person,
                id=change.id or "", interaction=interaction,
            )  # fmt: skip
        raise NotFound(change.type, change.id or "")
    if change.if_match not in (None, STANDING, stored.version):
        raise PreconditionFailed(change.type, stored.id, stored.version)
    before = parse(stored.body)
    resource = change.edit(before)
    edited = replace(change, resource=resource, if_match=stored.version, person=None)
    # whose it is follows from what it says, but only where the edit says it anew
    same = change.derived or owner_reference(edited, ports.base_url) == owner_reference(
        replace(edited, resource=before), ports.base_url
    )
    return replace(edited, person=stored.person) if same else edited


async def _kept(
    ports: Ports, caller: Caller, change: Change, current: dict[_Key, Stored]
) -> Change:
    """A change as the room that keeps its type wants it."""
    keeper = ports.keepers.get(change.type)
    if keeper is None:
        return change
    return await keeper(caller, change, current.get((change.type, change.id or "")))


async def _patients(
    ports: Ports, changes: Sequence[Change], current: dict[_Key, Stored]
) -> dict[str, int]:
    """Patient id -> person of the Patients among the changes; a new one gets a new person."""
    persons: dict[str, int] = {}
    for change in changes:
        if change.type != "Patient" or change.method == "delete" or change.id is None:
            continue
        stored = current.get((change.type, change.id))
        if change.person is not None:
            persons[change.id] = change.person
        elif stored is not None:
            persons[change.id] = stored.person
        else:
            persons[change.id] = await ports.committer.next_person()
    return persons


async def _outside(
    ports: Ports, caller: Caller, change: Change, stored: Stored, interaction: str
) -> bool:
    """Whether what stands there is outside the caller's scopes; NotFound unless to be deleted."""
    outside = filter_of(caller, change.method)
    if outside is None or stored.deleted or outside.shows(stored.type, stored.body):
        return False
    await ports.refused(
        caller, change.method, change.type, OUTSIDE, person=stored.person, id=stored.id,
        interaction=interaction,
    )  # fmt: skip
    if change.method == "delete":
        return True
    raise NotFound(change.type, stored.id)


async def _new_within(
    ports: Ports,
    caller: Caller,
    changes: Sequence[Change],
    current: dict[_Key, Stored],
    interaction: str,
) -> None:
    """Refuses to write what the caller's scopes with arguments leave out."""
    for change in changes:
        if change.derived or change.resource is None:
            continue
        absent = (change.type, change.id or "") not in current
        actions: tuple[Action, ...] = (
            ("update", "create") if absent and change.method == "update" else (change.method,)
        )
        outside = filter_of(caller, *actions)
        if outside is None or not outside.touches(change.type):
            continue
        if not outside.holds(change.type, {**change.resource, "id": change.id}):
            named = change.id or "" if change.method != "create" else ""
            await ports.refused(
                caller, change.method, change.type, OUTSIDE, id=named, interaction=interaction
            )
            raise Forbidden(OUTSIDE)


async def _write(
    ports: Ports,
    caller: Caller,
    plans: Sequence[Plan],
    claims: Sequence[Claim],
    statements: Sequence[Statement],
    interaction: str,
    also_put: Sequence[Put] = (),
    back: frozenset[int] = frozenset(),
    before: Before | None = None,
) -> list[Written]:
    puts = [*(plan.put for plan in plans if plan.put is not None), *also_put]
    held = [*claims]
    for plan in plans:
        if plan.change.claims_of is not None and plan.change.resource is not None:
            held += plan.change.claims_of(plan.change.resource, plan.person, plan.id)
    held = list({claim.key: claim for claim in held}.values())
    also = [*statements, *(each for plan in plans for each in plan.change.statements)]
    parameters = [put for put in puts if put.type == "SearchParameter"]
    for put in parameters:
        also += _registered(ports, put)
    journal = await _entries(ports, caller, plans, interaction)
    done: list[Written] = []
    ws = WriteSet(puts=puts, claims=held, statements=also, journal=journal, back=back)
    if before is not None:
        done = await ports.committer.commit_long(before, ws)
    elif puts or held or also:
        done = await ports.committer.commit(ws)
    elif journal:
        await ports.record(journal)
    for plan in plans:
        named = plan.change.type == "Patient" and plan.put is not None and plan.action != "delete"
        if named and not is_merged(plan.change.resource):
            ports.names.learn(plan.person, plan.id)
    if parameters:
        await refresh(ports.db)
    # the committer gives one answer a put, in the order of the puts
    answers = iter(done)
    now = ports.clock()
    return [
        next(answers)
        if plan.put is not None
        else Written(plan.change.type, plan.id, 0, now, False, b"")
        for plan in plans
    ]


def _registered(ports: Ports, put: Put) -> list[Statement]:
    """What makes a SearchParameter one that can be searched by. Raises Unprocessable."""
    if put.resource is not None:
        issues = problems(put.resource, ports.db.parameters.custom)
        if issues:
            raise Unprocessable(issues)
    return registration(ports.db, put.id, put.resource)


async def _entries(
    ports: Ports, caller: Caller, plans: Sequence[Plan], interaction: str
) -> list[JournalEntry]:
    """One entry for each change that the caller asked for; derived ones follow from them.

    But whose record a derived change alone touched (the second patient of a document) is told too.
    """
    asked = [plan for plan in plans if not plan.change.derived]
    told = {plan.person for plan in asked}
    for plan in plans:
        if plan.person and plan.person not in told and plan.put is not None:
            told.add(plan.person)
            asked.append(plan)
    fresh = {plan.person: plan.id for plan in plans if plan.change.type == "Patient"}
    persons = {plan.person for plan in asked if plan.person} - fresh.keys()
    names = {**(await ports.names.of_all(ports.db, persons) if persons else {}), **fresh}
    return [
        ports.entry(
            caller,
            plan.action,
            DONE,
            plan.reason,
            person=plan.person,
            patient=names.get(plan.person, "") if plan.person else "",
            type=plan.change.type,
            id=plan.id,
            version=_version(plan.put),
            interaction=interaction,
        )
        for plan in asked
    ]


def _version(put: Put | None) -> int:
    """The version that a put will have, where that is certain beforehand; else 0."""
    if put is None or put.expected is None:
        return 0
    fresh = put.method == "POST" and put.expected == 0
    return 1 if fresh else put.expected + 1 if put.expected else 0
