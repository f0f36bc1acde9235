"""The API with the terminology operations over a fresh database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

from pater.domain import Services
from pater.records.gate import Gate
from pater.rest import terminology
from pater.store.database import Database
from pater.store.write import Committer
from pater.trust.keys import Keys
from tests.conftest import Clock
from tests.rest.world import BASE, World, world


@asynccontextmanager
async def terminology_world(db: Database, clock: Clock) -> AsyncIterator[World]:
    """A world whose operations write and read through a gate of their own."""
    committer = Committer(db, clock)
    await committer.start()
    gate = Gate(
        db, committer, clock, Keys.generate().cursor_key, lambda: str(uuid4()), base_url=BASE
    )
    services = SimpleNamespace(
        gate=gate, db=db, base_url=BASE, clock=clock, new_id=lambda: str(uuid4())
    )
    parts = terminology.parts(cast(Services, services))
    async with world(db, clock, domains=(parts,)) as made:
        yield made
    await committer.stop()


def parameters(**values: Any) -> dict[str, Any]:
    """A Parameters resource; the kind of value goes by its Python type, `_` stands for `-`."""
    rows = []
    for name, value in values.items():
        for each in value if isinstance(value, list) else [value]:
            row: dict[str, Any] = {"name": name.replace("_", "-")}
            if isinstance(each, bool):
                row["valueBoolean"] = each
            elif isinstance(each, int):
                row["valueInteger"] = each
            elif isinstance(each, dict) and "resourceType" in each:
                row["resource"] = each
            elif isinstance(each, dict):
                row["valueCodeableConcept" if "coding" in each else "valueCoding"] = each
            else:
                row["valueString"] = each
            rows.append(row)
    return {"resourceType": "Parameters", "parameter": rows}


def said(answer: Any) -> dict[str, Any]:
    """The parameters of an answer by name; of several the last."""
    body = answer.json()
    assert body["resourceType"] == "Parameters", body
    out = {}
    for row in body["parameter"]:
        kind = next(k for k in row if k.startswith("value") or k in ("resource", "part"))
        out[row["name"]] = row[kind]
    return out


def codes(answer: Any) -> list[str]:
    """The codes of an expansion, in order, nested ones after their parents."""
    found: list[str] = []

    def walk(entries: list[dict[str, Any]]) -> None:
        for each in entries:
            found.append(each["code"])
            walk(each.get("contains", []))

    body = answer.json()
    assert body["resourceType"] == "ValueSet", body
    walk(body["expansion"].get("contains", []))
    return found
