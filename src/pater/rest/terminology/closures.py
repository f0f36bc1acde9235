"""$closure over HTTP: a new table, more codes for one, or what was told since a version."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pater.rest.errors import HttpError
from pater.rest.terminology.parameters import Given
from pater.store.database import Database
from pater.terminology.closure import Pair, add, restart, since
from pater.terminology.resource_system import text
from pater.terminology.service import Terminology


async def run(
    db: Database, terms: Terminology, owner: str, given: Given, now: datetime
) -> dict[str, Any]:
    """The ConceptMap that answers (R4 4.9.21). Raises HttpError 400, TxError."""
    name = given.text("name")
    if not name or len(name) > 200:
        raise HttpError(400, "required", "name the closure table: name", path="name")
    version = given.text("version")
    codings = given.objects("concept")
    if version:
        if codings:
            raise HttpError(400, "invalid", "send a version or codes, not both", path="version")
        if not (version.isascii() and version.isdigit() and len(version) < 10):
            raise HttpError(400, "value", "a version is a whole number", path="version")
        return _map(name, *await since(db, owner, name, int(version)), now)
    if not codings:
        return _map(name, await restart(db, owner, name), [], now)
    pairs = []
    for place, each in enumerate(codings):
        system, code = text(each, "system"), text(each, "code")
        if not system or not code:
            path = f"concept[{place}]"
            raise HttpError(400, "required", "a concept has a system and a code", path=path)
        pairs.append((system, code))
    return _map(name, *await add(db, terms.session(), owner, name, pairs), now)


def _map(name: str, version: int, pairs: Sequence[Pair], now: datetime) -> dict[str, Any]:
    groups: dict[str, dict[str, list[str]]] = {}
    for each in pairs:
        groups.setdefault(each.system, {}).setdefault(each.below, []).append(each.above)
    out: dict[str, Any] = {
        "resourceType": "ConceptMap",
        "version": str(version),
        "name": name,
        "status": "active",
        "experimental": True,
        "date": now.isoformat(timespec="seconds"),
    }
    if groups:
        out["group"] = [
            {
                "source": system,
                "target": system,
                "element": [
                    {
                        "code": below,
                        "target": [{"code": each, "equivalence": "subsumes"} for each in above],
                    }
                    for below, above in elements.items()
                ],
            }
            for system, elements in groups.items()
        ]
    return out
