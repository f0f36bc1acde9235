"""Subscriptions: R4's own and the topics of the Backport guide, delivered at least once.

A Subscription is kept in a row beside its resource (`keeping`). One process turns the feed into
numbered events (`following`, `matching`); all deliver them (`delivering`, `rest_hook`, `mail`,
`websocket`). What may be told is decided and recorded by the gate at every delivery.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final

from starlette.routing import WebSocketRoute

from pater.domain import Parts, Services
from pater.rest.subscriptions import tables
from pater.rest.subscriptions.definition import BACKPORT, PROFILE
from pater.rest.subscriptions.delivering import Deliverer
from pater.rest.subscriptions.endpoints import Rules
from pater.rest.subscriptions.following import Follower
from pater.rest.subscriptions.keeping import Keeping
from pater.rest.subscriptions.operations import Operations
from pater.rest.subscriptions.ports import Mail, Pace, Ports
from pater.rest.subscriptions.tables import LISTENER
from pater.rest.subscriptions.topics import SHIPPED
from pater.rest.subscriptions.websocket import PATH, Hub
from pater.store.database import Database
from pater.trust.keys import Keys
from pater.trust.network import networks

__all__ = ["LISTENER", "MIGRATIONS", "Mail", "Pace", "Rules", "networks", "parts", "purge_events"]

_WEBSOCKET: Final = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket"
MIGRATIONS: Final = Path(__file__).parent / "migrations"


def parts(
    services: Services,
    keys: Keys,
    *,
    rules: Rules | None = None,
    mail: Mail | None = None,
    pace: Pace | None = None,
) -> Parts:
    """What subscriptions add to the API; the gate shows this room every change of its types."""
    ports = Ports(
        db=services.db,
        gate=services.gate,
        keys=keys,
        clock=services.clock,
        new_id=services.new_id,
        base_url=services.base_url,
        rules=rules or Rules(),
        mail=mail or Mail(),
        pace=pace or Pace(),
        employed=services.employed,
    )
    keeping = Keeping(ports)
    services.gate.keep("Subscription", keeping.subscription)
    services.gate.keep("Basic", keeping.basic)
    key = keys.derived("websocket binding")
    root = services.base_url.removesuffix("/fhir")
    hub = Hub(ports, key, services.verify)
    address = "ws" + root.removeprefix("http") + PATH
    return Parts(
        operations=Operations(ports, key, address).all(),
        described=_described(address),
        routes=[WebSocketRoute(PATH, hub.connect)],
        tasks=[Follower(ports).run, Deliverer(ports).run, hub.run],
    )


def _described(websocket: str) -> dict[str, dict[str, Any]]:
    """What the CapabilityStatement says of subscriptions: topics, profile, websocket address."""
    canonical = BACKPORT + "capabilitystatement-subscriptiontopic-canonical"
    return {
        "Subscription": {
            "extension": [{"url": canonical, "valueCanonical": url} for url in SHIPPED],
            "supportedProfile": [PROFILE],
        },
        "": {"extension": [{"url": _WEBSOCKET, "valueUri": websocket}]},
    }


async def purge_events(db: Database, now: datetime) -> None:
    """Removes events that nobody waits for any more; to be done now and then."""
    await tables.purge(db, now - Pace().kept)
