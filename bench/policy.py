"""What a decided search costs: under the shipped policy with many consents, beside none at all.

The same searches of the same records, asked in turn by a hospital that has the patient in care
(policy `cz`, the person's will compiled from so many consents) and by who sees everything and is
asked nothing. CPU time of both sides decides; what they find is the same number of resources.
"""

from __future__ import annotations

import asyncio
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from bench.machine import describe
from bench.table import number, render
from bench.transparency import Postgres, cpu
from pater.access.caller import Caller
from pater.access.policy import shipped
from pater.access.standing import DatabaseStanding
from pater.app import rooms
from pater.clock import now
from pater.fhir.labels import CATEGORIES, label
from pater.fhir.search.query import parse_search
from pater.records.gate import Change, Gate
from pater.records.standing_kept import StandingKept
from pater.store.database import Database
from pater.store.migrate import migrate
from pater.store.write import Committer

_ICO: Final = "https://ncez.mzcr.cz/fhir/sid/ico"
_OWN: Final = "12345679"
_LOADER: Final = Caller(kind="system", id="loader", name="Loader", role="loader", strength=3,
                        purpose="SYSADMIN", scopes=("system/*.cruds",))  # fmt: skip
_HOSPITAL: Final = Caller(kind="system", id="b", name="B", role="provider-system", strength=3,
                          organization=_OWN, purpose="TREAT", scopes=("system/*.rs",))  # fmt: skip
_SHOWN: Final = ("other", "ambulatory-report", "imaging-report", "vaccination")


@dataclass(frozen=True, slots=True)
class Deciding:
    """How much: searches of a round, rounds, patients, observations of each, consents of one."""

    searches: int = 300
    rounds: int = 9
    patients: int = 100
    observations: int = 60
    consents: int = 200


def policy(asked: Deciding) -> dict[str, Any]:
    """The figures, as plain data."""
    with Postgres("policy") as postgres:
        return asyncio.run(_measured(asked, postgres.dsn))


async def _measured(asked: Deciding, dsn: str) -> dict[str, Any]:
    db = await Database.open(dsn, max_size=4)
    committer = Committer(db, now)
    try:
        await migrate(db, rooms())
        await committer.start()
        gate = Gate(db, committer, now, b"k" * 32, lambda: str(uuid4()), policy=shipped("cz"),
                    standing=DatabaseStanding(db, now))  # fmt: skip
        for type_, keeper in StandingKept(db, now, "").keepers().items():
            gate.keep(type_, keeper)
        await _write(gate, asked)
        await db.execute("analyze")
        found = {}
        for name, (type_, parameters) in _searches().items():
            request = parse_search(type_, parameters)
            costs: list[tuple[float, float]] = []
            for turn in range(asked.rounds + 1):
                order = (_HOSPITAL, _LOADER) if turn % 2 else (_LOADER, _HOSPITAL)
                cost, seen = {}, set()
                for caller in order:
                    before = cpu()
                    for _ in range(asked.searches):
                        seen.add(len((await gate.search(caller, request)).matches))
                    cost[caller.role] = cpu() - before
                assert len(seen) == 1, (name, seen)
                if turn:  # the first warms up
                    costs.append((cost["provider-system"], cost["loader"]))
            found[name] = {
                "decided_us": statistics.median(c[0] for c in costs) / asked.searches * 1e6,
                "free_us": statistics.median(c[1] for c in costs) / asked.searches * 1e6,
                "ratio": statistics.median(c[0] / c[1] for c in costs),
            }
    finally:
        await committer.stop()
        await db.close()
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe(),
        "consents": asked.consents,
        "searches": found,
        "ratio": statistics.median(each["ratio"] for each in found.values()),
    }


def _searches() -> dict[str, tuple[str, list[tuple[str, str]]]]:
    who = "urn:bench|0"
    return {
        "Observation?patient": ("Observation", [("patient", "p0")]),
        "Observation?patient&code": ("Observation", [("patient", "p0"), ("code", "8867-4")]),
        "Observation?patient.identifier": ("Observation", [("patient.identifier", who)]),
        "Patient?identifier": ("Patient", [("identifier", who)]),
    }


async def _write(gate: Gate, asked: Deciding) -> None:
    for number_ in range(asked.patients):
        who = f"p{number_}"
        person = {"resourceType": "Patient", "id": who, "birthDate": "1980-01-01",
                  "identifier": [{"system": "urn:bench", "value": str(number_)}],
                  "name": [{"family": "Nováková"}]}  # fmt: skip
        await gate.commit(_LOADER, [Change("update", "Patient", who, person)])
        to = {"subject": {"reference": f"Patient/{who}"}}
        stay = {"resourceType": "Encounter", "status": "in-progress", "class": {"code": "AMB"},
                "serviceProvider": {"identifier": {"system": _ICO, "value": _OWN}},
                **to}  # fmt: skip
        made = [Change("create", "Encounter", None, stay)]
        for n in range(asked.observations):
            made.append(
                Change(
                    "create", "Observation", None,
                    {"resourceType": "Observation", "status": "final", **to,
                     "code": {"coding": [{"system": "http://loinc.org",
                                          "code": ("8867-4", "2339-0", "718-7")[n % 3]}]},
                     "effectiveDateTime": f"2026-01-{n % 28 + 1:02}T08:00:00Z"},
                    label=label(_SHOWN[n % len(_SHOWN)], provider="00000019"),
                )
            )  # fmt: skip
        await gate.commit(_LOADER, made)
    for n in range(asked.consents):
        await gate.commit(_LOADER, [Change("create", "Consent", None, _consent(n))])


def _consent(n: int) -> dict[str, Any]:
    """One of many declarations; none of them holds back what is searched for here."""
    held = [each for each in CATEGORIES[2:12] if each not in _SHOWN]
    actor = {"identifier": {"system": _ICO, "value": f"{n + 27:08}"}}
    recipient = {"coding": [{"code": "IRCP"}]}
    category = {"class": [{"system": "urn:pater:record-category", "code": held[n % len(held)]}]}
    provision = {"type": "deny", **category}
    if n % 3 == 1:
        provision = {"type": "deny", "actor": [{"role": recipient, "reference": actor}]}
    elif n % 3 == 2:
        provision["actor"] = [{"role": recipient, "reference": {
            "identifier": {"system": _ICO, "value": _OWN}}}]  # fmt: skip
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"code": "patient-privacy"}]},
        "category": [{"text": "x"}],
        "patient": {"reference": "Patient/p0"},
        "dateTime": f"2026-01-01T08:{n // 60:02}:{n % 60:02}Z",
        "provision": provision,
    }


def told(result: dict[str, Any]) -> str:
    """The figures for people."""
    rows = [
        [name, number(each["decided_us"]), number(each["free_us"]), f"{each['ratio']:.2f}"]
        for name, each in result["searches"].items()
    ]
    rows.append(["median", "", "", f"{result['ratio']:.2f}"])
    return render([f"{result['consents']} consents", "decided, µs CPU", "nobody asked", "ratio"],
                  rows)  # fmt: skip
