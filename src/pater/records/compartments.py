"""Whose record a resource is: finds the person of every change before it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pater.access.policy import is_personal
from pater.fhir.compartment import clinical_person_reference
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.issues import Issue
from pater.fhir.references import Ref, iter_references, parse_reference, rewrite
from pater.records.changes import Change
from pater.records.errors import Unprocessable
from pater.store.database import Database
from pater.store.read import leading, read_many
from pater.store.write import Statement

NOBODY = 0


async def persons_for(
    db: Database,
    changes: Sequence[Change],
    patients: Mapping[str, int],
    base_url: str,
) -> tuple[list[int | None], dict[str, str]]:
    """The person of each change: as given, else of the Patient it refers to, 0 = of nobody. And
    those of the Patients referred to that were merged, with the ones they lead to.

    `patients` are the Patients that the changes themselves write. None for a change without a
    resource (a deletion) and for a Patient itself. Raises Unprocessable with the paths of all
    references to a Patient that does not exist.
    """
    owners = [owner_reference(change, base_url) for change in changes]
    ids = {o.id for o in owners if o and o.type == "Patient" and o.id and o.id not in patients}
    there = await leading(db, ids)
    known = {**{id_: person for id_, (person, _) in there.items()}, **patients}
    led = {id_: survivor for id_, (_, survivor) in there.items() if survivor}
    others = {(o.type, o.id) for o in owners if o and o.type and o.type != "Patient" and o.id}
    held = {(s.type, s.id): s.person for s in await read_many(db, others)} if others else {}
    found: list[int | None] = []
    issues: list[Issue] = []
    for change, owner in zip(changes, owners, strict=True):
        if change.person is not None:
            found.append(change.person)
        elif change.resource is None or change.type == "Patient":
            found.append(None)
        elif owner is None:
            found.append(NOBODY)
        elif owner.type == "Patient" and owner.id in known:
            found.append(known[owner.id])
        elif owner.type not in (None, "Patient") and owner.id:
            found.append(held.get((owner.type, owner.id), NOBODY))
        else:
            found.append(NOBODY)
            issues.append(_unknown(change, owner))
    if issues:
        raise Unprocessable(issues)
    return found, led


def led_on(change: Change, led: Mapping[str, str], base_url: str) -> Change:
    """A change that speaks of merged Patients, as one of those they lead to.

    What was written so is noted: it goes back when a merge is undone.
    """
    resource = change.resource
    if not led or resource is None or change.raw is not None or change.person is not None:
        return change
    named = {f"Patient/{old}": old for old in led}
    named |= {f"{base_url}/Patient/{old}": old for old in led} if base_url else {}
    mapping = {text: text[: -len(old)] + led[old] for text, old in named.items()}
    changed = rewrite(resource, mapping)
    owner = owner_of(change.type, resource, base_url)
    if changed is resource or owner is None or owner.id not in led:
        return change if changed is resource else replace(change, resource=changed)
    note = Statement(_NOTE, (TYPE_NUMBER[change.type], change.id or "", owner.id))
    return replace(change, resource=changed, statements=(*change.statements, note))


_NOTE = (
    "insert into alias_written (type, id, patient) values ($1, $2, $3)"
    " on conflict (type, id) do update set patient = excluded.patient"
)


def owner_reference(change: Change, base_url: str) -> Ref | None:
    """The reference that says whose the resource is; a Patient, or what else stands for one."""
    if change.resource is None or change.person is not None:
        return None
    return owner_of(change.type, change.resource, base_url)


def owner_of(type: str, resource: dict[str, Any], base_url: str) -> Ref | None:
    """As `owner_reference`, of a resource that no person is given for."""
    if type == "Patient":
        return None
    if type == "Binary":
        # a Binary has the access rules of its security context (R4 Binary.securityContext)
        text = resource.get("securityContext", {}).get("reference")
        return here(parse_reference(text), base_url) if isinstance(text, str) else None
    if not is_personal(type):
        return None
    ref = clinical_person_reference(type, resource)
    if ref is None or ref.kind == "contained":
        return None
    return here(ref, base_url)


def here(ref: Ref, base_url: str) -> Ref:
    """An absolute reference to this server as a relative one."""
    if ref.kind == "absolute" and ref.url and base_url and ref.url.startswith(f"{base_url}/"):
        return parse_reference(ref.url.removeprefix(f"{base_url}/"))
    if ref.kind == "absolute" and ref.type == "Patient":
        return ref._replace(id=None)  # a Patient of another server is no Patient here
    return ref


def _unknown(change: Change, owner: Ref) -> Issue:
    resource: dict[str, Any] = change.resource or {}
    root = str(resource.get("resourceType", change.type))
    path = root
    for place, holder in iter_references(resource):
        text = holder["reference"]
        if (owner.url and text == owner.url) or (owner.id and parse_reference(text).id == owner.id):
            path = f"{place}.reference"
            break
    if change.path:
        path = change.path + path.removeprefix(root)
    return Issue("error", "not-found", path, "the patient of this record is not known here")
