"""What somebody did, as a journal entry and as an AuditEvent in the shape of IHE BALP."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pater.access.caller import Caller
from pater.fhir.definitions import TYPE_NUMBER
from pater.store.journal import JournalEntry, JournalRow

# Stands in the name of the one who acted between the person and the app that acted for them.
APP_MARK = " · "
# Between somebody who acts for another person and the name of that person.
FOR_MARK = " → "

OK = "0"
MINOR_FAILURE = "4"

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_EVENT_TYPE = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_INTERACTION = "http://hl7.org/fhir/restful-interaction"
_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_RECIPIENT = ("IRCP", "information recipient")
_PURPOSE = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ENTITY_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
_SOURCE_TYPE = "http://terminology.hl7.org/CodeSystem/security-source-type"
ICO = "https://ncez.mzcr.cz/fhir/sid/ico"
_BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
_REQUEST_ID = _BALP.rsplit("/", 2)[0] + "/CodeSystem/BasicAuditEntityType"

# Own codes for what is no interaction of the REST API.
_OWN_KINDS = "urn:pater:interaction"
OWN_IDS = "urn:pater:agent"
_OWN_ROLES = "urn:pater:role"
_OWN_POLICY = "urn:pater:policy:"

# Events of people and systems coming and going are of another type (DICOM PS3.16).
_AUTHENTICATION = {
    "login": ("110122", "Login"),
    "logout": ("110123", "Logout"),
    "token": ("110122", "Login"),
}

# A change in how somebody logs in (DICOM PS3.16, type Security Alert).
_SECURITY = ("110137", "User security Attributes Changed")

REST_INTERACTIONS = frozenset(
    {
        "batch", "capabilities", "create", "delete", "history", "history-instance",
        "history-system", "history-type", "operation", "patch", "read", "search",
        "search-system", "search-type", "transaction", "update", "vread",
    }
)  # fmt: skip

# The BALP profile by action, and the interactions it speaks of.
_PROFILES = {
    "C": ("PatientCreate", frozenset({"create"})),
    "R": ("PatientRead", frozenset({"read", "vread"})),
    "U": ("PatientUpdate", frozenset({"update", "patch"})),
    "E": ("PatientQuery", frozenset({"search", "search-system", "search-type"})),
}

# Where data come from and where they go (DICOM PS3.16). A query flows from client to server.
_SENDER = ("110153", "Source Role ID")
_RECEIVER = ("110152", "Destination Role ID")
_APPLICATION = ("110150", "Application")


def entry(
    caller: Caller,
    action: str,
    interaction: str,
    outcome: str,
    *,
    clock: Callable[[], datetime],
    reason: str = "",
    person: int = 0,
    patient: str = "",
    entity_type: str = "",
    entity_id: str = "",
    entity_version: int = 0,
    query: str = "",
) -> JournalEntry:
    """A journal entry about the caller's doing.

    `action` is C, R, U, D or E and `outcome` 0, 4 or 8 (AuditEvent.action, AuditEvent.outcome);
    `interaction` a code of restful-interaction or login, logout, token, security; `reason` a key of
    `policy_texts`. `query` must carry no identifying values.
    """
    return JournalEntry(
        at=clock(),
        person=person,
        patient=patient,
        action=action,
        interaction=interaction,
        outcome=outcome,
        reason=reason,
        agent_kind=caller.kind,
        agent=caller.id,
        agent_name=_name(caller),
        role=caller.role,
        organization=caller.organization,
        organization_name=caller.organization_name,
        purpose=caller.purpose,
        entity_type=entity_type,
        entity_id=entity_id,
        entity_version=entity_version,
        query=query,
        request_id=caller.request_id,
        source=caller.source,
    )


def _name(caller: Caller) -> str:
    """Who acted, with the app by which or the person for whom."""
    if caller.acting:
        return f"{caller.name}{FOR_MARK}{caller.acting_for}"
    return f"{caller.name}{APP_MARK}{caller.app_name}" if caller.app else caller.name


def to_fhir(row: JournalRow, base_url: str) -> dict[str, Any]:
    """The AuditEvent of a journal row: valid R4, in the shape of IHE BALP 1.1.

    `base_url` is the address of the FHIR API; it names the source of the event.
    """
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": str(row.id),
        "meta": _meta(row),
        "type": _type(row),
        "subtype": _subtypes(row),
        "action": row.action,
        "recorded": _instant(row.at),
        "outcome": row.outcome,
    }
    if row.reason:
        event["outcomeDesc"] = row.reason
    if row.purpose:
        event["purposeOfEvent"] = [_concept(_PURPOSE, row.purpose)]
    event["agent"] = _agents(row, base_url)
    event["source"] = {
        "observer": {"display": "Páteř", **({"identifier": _url(base_url)} if base_url else {})},
        "type": [_coding(_SOURCE_TYPE, "4", "Application Server")],
    }
    entities = [*_patient(row), *_data(row), *_query(row), *_request(row)]
    if entities:
        event["entity"] = entities
    return event


def _meta(row: JournalRow) -> dict[str, Any]:
    meta: dict[str, Any] = {"versionId": "1", "lastUpdated": _instant(row.at)}
    profile, interactions = _PROFILES.get(row.action, ("", frozenset[str]()))
    of_what = row.query if row.action == "E" else row.entity_id
    # failures have no profile, and one wants the network address of the client
    complete = row.outcome == OK and row.patient and row.source and of_what
    if complete and row.interaction in interactions:
        meta["profile"] = [_BALP + profile]
    return meta


def _type(row: JournalRow) -> dict[str, Any]:
    if row.interaction in _AUTHENTICATION:
        return _coding(_DCM, "110114", "User Authentication")
    if row.interaction == "security":
        return _coding(_DCM, "110113", "Security Alert")
    return _coding(_EVENT_TYPE, "rest", "RESTful Operation")


def _subtypes(row: JournalRow) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if row.interaction in _AUTHENTICATION:
        code, display = _AUTHENTICATION[row.interaction]
        found.append(_coding(_DCM, code, display))
        if row.interaction == "token":
            found.append(_coding(_OWN_KINDS, "token"))
        return found
    if row.interaction == "security":
        return [_coding(_DCM, *_SECURITY)]
    known = row.interaction in REST_INTERACTIONS
    return [_coding(_INTERACTION if known else _OWN_KINDS, row.interaction or "operation")]


def _agents(row: JournalRow, base_url: str) -> list[dict[str, Any]]:
    """The client, the person before it if there is one, their organisation and this server."""
    reading = row.action == "R"
    coming = row.interaction in _AUTHENTICATION or row.interaction == "security"
    client, server = (_RECEIVER, _SENDER) if reading else (_SENDER, _RECEIVER)
    network = {"network": {"address": row.source, "type": "2"}} if row.source else {}
    agents: list[dict[str, Any]] = []
    kind = _concept(_DCM, *(_APPLICATION if coming else client))
    if row.agent_kind == "system":
        agents.append({"type": kind, **_actor(row), **network})
    else:
        browser = {"who": {"display": "Páteř, web"}, "requestor": False}
        agents.append({"type": kind, **browser, **network})
        code = ("AUT", "author (originator)") if row.action in "CUD" else _RECIPIENT
        agents.append({"type": _concept(_PARTICIPATION, *code), **_actor(row)})
    agents += _organization(row)
    if base_url and not coming:
        agents.append(
            {
                "type": _concept(_DCM, *server),
                "who": {"identifier": _url(base_url), "display": "Páteř"},
                "requestor": False,
                "network": {"address": base_url, "type": "5"},
            }
        )
    return agents


def _actor(row: JournalRow) -> dict[str, Any]:
    """Who asked, as what, under which rule and for what purpose."""
    who: dict[str, Any] = {}
    if row.agent:
        who["identifier"] = {"system": OWN_IDS, "value": row.agent}
    if row.agent_name:
        who["display"] = row.agent_name
    # an attempt by somebody unknown is an attempt as well
    actor: dict[str, Any] = {"who": who or {"display": "unknown"}, "requestor": True}
    if row.role:
        actor["role"] = [_concept(_OWN_ROLES, row.role)]
    if row.agent_name:
        actor["name"] = row.agent_name
    if row.reason:
        actor["policy"] = [_OWN_POLICY + row.reason]
    if row.purpose:
        actor["purposeOfUse"] = [_concept(_PURPOSE, row.purpose)]
    return actor


def _organization(row: JournalRow) -> list[dict[str, Any]]:
    """For whom the agent acted."""
    who: dict[str, Any] = {}
    if row.organization:
        who["identifier"] = {"system": ICO, "value": row.organization}
    if row.organization_name:
        who["display"] = row.organization_name
    if not who:
        return []
    kind = _concept(
        "http://terminology.hl7.org/CodeSystem/v3-RoleClass", "PROV", "healthcare provider"
    )
    return [{"type": kind, "who": who, "requestor": False}]


def _patient(row: JournalRow) -> list[dict[str, Any]]:
    if not row.patient:
        return []
    return [
        {
            "what": {"reference": f"Patient/{row.patient}"},
            "type": _coding(_ENTITY_TYPE, "1", "Person"),
            "role": _coding(_ENTITY_ROLE, "1", "Patient"),
        }
    ]


def _data(row: JournalRow) -> list[dict[str, Any]]:
    if row.entity_type not in TYPE_NUMBER or not row.entity_id:
        return []
    reference = f"{row.entity_type}/{row.entity_id}"
    if row.entity_version:
        reference += f"/_history/{row.entity_version}"
    return [
        {
            "what": {"reference": reference},
            "type": _coding(_ENTITY_TYPE, "2", "System Object"),
            "role": _coding(_ENTITY_ROLE, "4", "Domain Resource"),
        }
    ]


def _query(row: JournalRow) -> list[dict[str, Any]]:
    if not row.query:
        return []
    text = f"{row.entity_type}?{row.query}" if row.entity_type else row.query
    return [
        {
            "type": _coding(_ENTITY_TYPE, "2", "System Object"),
            "role": _coding(_ENTITY_ROLE, "24", "Query"),
            "query": base64.b64encode(text.encode()).decode("ascii"),
        }
    ]


def _request(row: JournalRow) -> list[dict[str, Any]]:
    """The request's id, which ties the event to logs (BALP, entity "transaction")."""
    if not row.request_id:
        return []
    return [
        {
            "what": {"identifier": {"value": row.request_id}},
            "type": _coding(_REQUEST_ID, "XrequestId"),
        }
    ]


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _url(url: str) -> dict[str, str]:
    return {"system": "urn:ietf:rfc:3986", "value": url}


def _coding(system: str, code: str, display: str = "") -> dict[str, str]:
    coding = {"system": system, "code": code}
    if display:
        coding["display"] = display
    return coding


def _concept(system: str, code: str, display: str = "") -> dict[str, Any]:
    return {"coding": [_coding(system, code, display)]}
