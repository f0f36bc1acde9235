"""Audit events that other systems tell us of (IHE ITI-20): as an entry, and as AuditEvent again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from pater.access.audit import OK, REST_INTERACTIONS
from pater.access.caller import Caller
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.json import parse
from pater.fhir.references import parse_reference
from pater.store.journal import JournalEntry, JournalRow
from pater.store.journal_received import RECEIVED, Original

TOLD: Final = RECEIVED
"""The reason of entries that another system told us of."""
CLIENT: Final = "urn:pater:client:"
"""Before the id of the client that told it, in `meta.source`."""
_LONGEST: Final = 200
_TAG = {"system": "urn:pater:audit", "code": "received", "display": "told by another system"}
_PURPOSE = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_PEOPLE = frozenset({"Practitioner", "PractitionerRole", "Patient", "RelatedPerson"})
_USERS = frozenset({"IRCP", "AUT", "PPRF", "humanuser"})


@dataclass(frozen=True, slots=True)
class Named:
    """A patient whom an entity names: its index, an id of ours or identifiers (system, value)."""

    index: int
    id: str
    identifiers: tuple[tuple[str, str], ...]


def recorded(event: Mapping[str, Any]) -> datetime | None:
    """When the sender recorded it."""
    try:
        found = datetime.fromisoformat(str(event.get("recorded", "")))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def named(event: Mapping[str, Any], base_url: str) -> list[Named]:
    """The patients whom the entities of an event name, each entity that names one."""
    found = []
    for index, entity in enumerate(_list(event, "entity")):
        what = _dict(entity, "what")
        ref = parse_reference(str(what.get("reference", "")))
        own = ref.kind == "relative" or (ref.url or "").startswith(f"{base_url}/")
        is_patient = (
            ref.type == "Patient"
            or what.get("type") == "Patient"
            or _dict(entity, "role").get("code") == "1"
        )
        if not is_patient:
            continue
        identifier = _dict(what, "identifier")
        pair = (str(identifier.get("system", "")), str(identifier.get("value", "")))
        id = ref.id or "" if own and ref.type == "Patient" else ""
        found.append(Named(index, id, (pair,) if pair[1] else ()))
    return found


def entry_of(
    event: Mapping[str, Any], body: bytes, sender: Caller, at: datetime, person: int, patient: str
) -> JournalEntry:
    """The entry of an event. Its organization is the sender's, who answers for what it told."""
    agent = _asking(event)
    who = _dict(agent, "who")
    name = str(agent.get("name") or who.get("display") or "")
    identifier = str(_dict(who, "identifier").get("value") or who.get("reference") or "")
    kind, id, version = _data(event)
    return JournalEntry(
        at=at,
        person=person,
        patient=patient,
        action=str(event.get("action", "E")),
        interaction=_interaction(event),
        outcome=str(event.get("outcome", OK)),
        reason=RECEIVED,
        agent_kind="person" if _is_person(agent) else "system",
        agent=(identifier or name or sender.id)[:_LONGEST],
        agent_name=name[:_LONGEST],
        role=_role(agent)[:_LONGEST],
        organization=sender.organization,
        organization_name=sender.organization_name or sender.name,
        purpose=_purpose(event, agent)[:_LONGEST],
        entity_type=kind,
        entity_id=id,
        entity_version=version,
        query=f"sender={sender.id}&sha-256={sha256(body).hexdigest()}",
        request_id=sender.request_id,
        source=str(_dict(agent, "network").get("address", ""))[:_LONGEST],
    )


def told_to_fhir(row: JournalRow, original: Original) -> dict[str, Any]:
    """The event as it came, under its id here; of the patients only the one of the entry.

    Its `recorded` is the time of the entry. Where that is when it came, because the sender was
    late, the sender's time is the `period`.
    """
    event = parse(original.body)
    instant = row.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    meta = dict(event.get("meta", {}))
    tags = [tag for tag in meta.get("tag", []) if tag != _TAG]
    several = len(set(original.persons.values())) > 1
    # of several patients nobody can tell whom a text or a part is about
    left = {"resourceType", "id", "meta", *(("contained", "text") if several else ())}
    shown: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": str(row.id),
        "meta": {
            **meta,
            "versionId": "1",
            "lastUpdated": instant,
            "source": CLIENT + original.sender,
            "tag": [*tags, _TAG],
        },
        **{name: value for name, value in event.items() if name not in left},
    }
    shown.setdefault("action", row.action)
    shown.setdefault("outcome", row.outcome)
    said = recorded(event)
    if said is None or abs((said - row.at).total_seconds()) >= 1:
        shown.setdefault("period", {"start": event["recorded"], "end": event["recorded"]})
        shown["recorded"] = instant
    entities = []
    for index, entity in enumerate(_list(event, "entity")):
        person = original.persons.get(index)
        if person == row.person and row.person:
            reference = {"reference": f"Patient/{row.patient}"}
            entities.append({**entity, "what": {**_dict(entity, "what"), **reference}})
        elif person is None and not several:
            entities.append(entity)
    shown.pop("entity", None)
    if entities:
        shown["entity"] = entities
    return shown


def _asking(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The agent who asked, a person before a system."""
    agents = _list(event, "agent")
    asking = [agent for agent in agents if agent.get("requestor") is True] or agents
    return next((agent for agent in asking if _is_person(agent)), asking[0] if asking else {})


def _is_person(agent: Mapping[str, Any]) -> bool:
    who = _dict(agent, "who")
    kind = str(who.get("type") or parse_reference(str(who.get("reference", ""))).type or "")
    codes = {str(coding.get("code")) for coding in _list(_dict(agent, "type"), "coding")}
    return kind in _PEOPLE or bool(codes & _USERS)


def _role(agent: Mapping[str, Any]) -> str:
    for role in _list(agent, "role"):
        codings = _list(role, "coding") or [{}]
        text = role.get("text") or codings[0].get("display") or codings[0].get("code")
        if text:
            return str(text)
    return ""


def _purpose(event: Mapping[str, Any], agent: Mapping[str, Any]) -> str:
    for concept in (*_list(event, "purposeOfEvent"), *_list(agent, "purposeOfUse")):
        for coding in _list(concept, "coding"):
            if coding.get("code") and coding.get("system", _PURPOSE) == _PURPOSE:
                return str(coding["code"])
    return ""


def _interaction(event: Mapping[str, Any]) -> str:
    codes = [str(coding.get("code", "")) for coding in _list(event, "subtype")]
    return next((code for code in codes if code in REST_INTERACTIONS), RECEIVED)


def _data(event: Mapping[str, Any]) -> tuple[str, str, int]:
    """Type, id and version of what it was about, where it is said in our terms."""
    for entity in _list(event, "entity"):
        ref = parse_reference(str(_dict(entity, "what").get("reference", "")))
        if ref.kind == "relative" and ref.type in TYPE_NUMBER and ref.type != "Patient":
            version = ref.version or ""
            number = int(version) if version.isascii() and version.isdigit() else 0
            return str(ref.type), str(ref.id or ""), number if number < 2**31 else 0
    return "", "", 0


def _list(value: Mapping[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _dict(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}
