"""Notification bundles of the Subscriptions Backport guide (1.1) for R4: plain data, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import orjson

from pater.fhir.json import dumps
from pater.rest.subscriptions.definition import BACKPORT
from pater.rest.subscriptions.tables import Event
from pater.store.read import Stored

_STATUS: Final = BACKPORT + "backport-subscription-status-r4"
_NOTIFICATION: Final = BACKPORT + "backport-subscription-notification-r4"
_ERRORS: Final = "http://terminology.hl7.org/CodeSystem/subscription-error"
_RESPONSES: Final = {"POST": "201", "PUT": "200", "PATCH": "200", "DELETE": "204"}


@dataclass(frozen=True, slots=True)
class About:
    """What every notification says of its subscription."""

    base_url: str
    id: str
    topic: str
    state: str
    events: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """An event and the resource that may be told with it; None = neither it nor its id."""

    event: Event
    stored: Stored | None


def moment(at: datetime) -> str:
    """A FHIR instant."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def status(about: About, kind: str, told: Sequence[Told] = (), content: str = "empty") -> Any:
    """SubscriptionStatus as Parameters (backport-subscription-status-r4)."""
    url = f"{about.base_url}/Subscription/{about.id}"
    parameters: list[dict[str, Any]] = [
        {"name": "subscription", "valueReference": {"reference": url}},
    ]
    if about.topic and (content != "empty" or kind != "event-notification"):
        parameters.append({"name": "topic", "valueCanonical": about.topic})
    parameters += [
        {"name": "status", "valueCode": about.state},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(about.events)},
    ]
    for each in told:
        part: list[dict[str, Any]] = [
            {"name": "event-number", "valueString": str(each.event.number)},
            {"name": "timestamp", "valueInstant": moment(each.event.at)},
        ]
        if each.stored is not None and content != "empty":
            focus = f"{about.base_url}/{each.event.type}/{each.event.id}"
            part.append({"name": "focus", "valueReference": {"reference": focus}})
        parameters.append({"name": "notification-event", "part": part})
    if about.error:
        error = {
            "coding": [{"system": _ERRORS, "code": "no-response"}],
            "text": about.error,
        }
        parameters.append({"name": "error", "valueCodeableConcept": error})
    return {
        "resourceType": "Parameters",
        "id": str(uuid5(NAMESPACE_URL, f"{url}#{kind}")),
        "meta": {"profile": [_STATUS]},
        "parameter": parameters,
    }


def bundle(
    about: About, kind: str, at: datetime, told: Sequence[Told] = (), content: str = "empty"
) -> bytes:
    """A notification: a history Bundle whose first entry is the status.

    `kind` is handshake, heartbeat, event-notification or query-event; `content` how much of the
    resources it holds.
    """
    first = status(about, kind, told, content)
    entries: list[dict[str, Any]] = [
        {
            "fullUrl": f"urn:uuid:{first['id']}",
            "resource": first,
            "request": {
                "method": "GET", "url": f"{about.base_url}/Subscription/{about.id}/$status",
            },
            "response": {"status": "200"},
        }
    ]  # fmt: skip
    if content == "full-resource":
        entries += [_entry(about, each) for each in _last_of_each(told)]
    return dumps(
        {
            "resourceType": "Bundle",
            "meta": {"profile": [_NOTIFICATION]},
            "type": "history",
            "timestamp": moment(at),
            "entry": entries,
        }
    )


def _last_of_each(told: Sequence[Told]) -> list[Told]:
    """Each resource once (R4 bdl-7 wants full addresses to differ), as it was last."""
    return list(
        {
            (each.event.type, each.event.id): each for each in told if each.stored is not None
        }.values()
    )


def _entry(about: About, told: Told) -> dict[str, Any]:
    event = told.event
    entry: dict[str, Any] = {"fullUrl": f"{about.base_url}/{event.type}/{event.id}"}
    if told.stored is not None and not told.stored.deleted:
        entry["resource"] = orjson.Fragment(told.stored.body)
    method = "PUT" if event.method == "PATCH" else event.method
    address = event.type if method == "POST" else f"{event.type}/{event.id}"
    version = {"etag": f'W/"{event.version}"'}
    entry["request"] = {"method": method, "url": address}
    entry["response"] = {
        "status": _RESPONSES.get(event.method, "200"), **version, "lastModified": moment(event.at),
    }  # fmt: skip
    return entry
