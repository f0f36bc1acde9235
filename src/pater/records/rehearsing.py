"""Asking whether a change would be written: planned as a commit is, and left at that."""

from __future__ import annotations

from dataclasses import replace

from pater.access.caller import Caller
from pater.fhir.issues import Issue
from pater.records.changes import Change
from pater.records.ports import DONE, Ports
from pater.records.writing import judge, plan_of
from pater.store.read import claim_holder


async def rehearse(ports: Ports, caller: Caller, change: Change) -> list[Issue]:
    """What would keep a change from being written, without writing it.

    Raises as `commit`; gives what only the commit itself finds: business keys that another holds.
    """
    (reason,) = await judge(ports, caller, [change], "validate")
    if change.id is None:
        change = replace(change, id=ports.new_id())
    (plan,) = await plan_of(ports, caller, [change], [reason], "validate")
    claims_of, resource = plan.change.claims_of, plan.change.resource
    issues: list[Issue] = []
    for claim in claims_of(resource, plan.person, plan.id) if claims_of and resource else ():
        if await claim_holder(ports.db, claim.key) not in ("", claim.target):
            text = f"another {change.type} holds an identifier of this one"
            issues.append(Issue("error", "duplicate", f"{change.type}.identifier", text))
    if change.method == "delete" and plan.put is None:
        text = f"{change.type}/{plan.id} does not exist: there is nothing to delete"
        issues.append(Issue("warning", "not-found", "", text))
    known = plan.person if change.type != "Patient" or plan.action != "create" else 0
    await ports.record(
        [
            ports.entry(
                caller, "validate", DONE, reason, person=known,
                patient=await ports.patient_of(known), type=change.type,
                id=plan.id if plan.action != "create" else "", query=f"mode={change.method}",
                interaction="operation",
            )
        ]
    )  # fmt: skip
    return issues
