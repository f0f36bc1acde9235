"""The register of providers at national size: what it takes to load, and how soon it answers.

A made-up country is imported by the bulk path, its index made, and then facilities near random
places are looked for: common and rare services, open now and whenever, by the function and by the
operation with its resources, decision and journal.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bench.machine import describe
from bench.table import number, percentile, render
from bench.transparency import Postgres
from pater.access.caller import Caller
from pater.app import House, open_house
from pater.cli.bulk import KIND as FILES
from pater.domain import OperationRequest
from pater.domains.directory.demo.country import PLACES, PROFESSIONALS, resources
from pater.domains.directory.towns import TOWNS
from pater.fhir.json import dumps
from pater.registers.providers.index import Index
from pater.registers.providers.nearby import Wish, find
from pater.rest.bulk.imports import Imports
from pater.rest.bulk.owners import caller_json
from pater.settings import Settings
from pater.store import jobs
from pater.store.feed import advance, read_feed
from pater.store.workers import Workers

_LOADER: Final = Caller(kind="system", id="loader", name="Loader", role="loader", strength=3,
                        purpose="SYSADMIN", scopes=("system/*.cruds",))  # fmt: skip
_HOSPITAL: Final = Caller(kind="system", id="b", name="B", role="provider-system", strength=3,
                          organization="12345679", purpose="TREAT",
                          scopes=("system/*.rs",))  # fmt: skip
_NIGHT: Final = datetime(2026, 11, 22, 2, 30, tzinfo=UTC)  # Sunday 3:30 in Prague
_DAY: Final = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)  # Monday 10:00
_QUESTIONS: Final = (
    ("pharmacy, open at night", "lekarenska-pece", _NIGHT, None),
    ("general practitioner, open by day", "vseobecne-prakticke-lekarstvi", _DAY, None),
    ("dentist, whenever", "zubni-lekarstvi", None, None),
    ("cardiology within 20 km, open by day", "kardiologie", _DAY, 20_000.0),
    ("rare (hyperbaric medicine), open by day", "hyperbaricka-a-letecka-medicina", _DAY, None),
    ("emergency medicine, open at night", "urgentni-medicina", _NIGHT, None),
    ("anything open at night", "", _NIGHT, None),
    ("rare, open at night: there is none", "hyperbaricka-a-letecka-medicina", _NIGHT, None),
)


@dataclass(frozen=True, slots=True)
class Country:
    """How large, and how many questions of each kind."""

    places: int = PLACES
    professionals: int = PROFESSIONALS
    questions: int = 200


def directory(asked: Country) -> dict[str, Any]:
    """The figures, as plain data."""
    with Postgres("directory") as postgres:
        return asyncio.run(_measured(asked, postgres.dsn, postgres.folder))


async def _measured(asked: Country, dsn: str, folder: Path) -> dict[str, Any]:
    file = folder / "country.ndjson"
    begun = time.perf_counter()
    made = await asyncio.to_thread(_write, file, asked)
    generated = time.perf_counter() - begun
    async with open_house(Settings(data=folder / "house"), dsn) as house:
        begun = time.perf_counter()
        await _load(house, file)
        loaded = time.perf_counter() - begun
        begun = time.perf_counter()
        await _follow(house)
        indexed = time.perf_counter() - begun
        await house.db.execute("analyze")
        found = {}
        for name, code, moment, within in _QUESTIONS:
            found[name] = await _ask(house, asked.questions, code, moment, within)
        size = await house.db.fetchval(
            "select sum(pg_total_relation_size(c))::bigint from unnest(array["
            "'provider_place'::regclass, 'provider_offer'::regclass, 'provider_role'::regclass,"
            " 'provider_organization'::regclass]) c"
        )
        whole = await house.db.fetchval("select pg_database_size(current_database())")
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe(),
        "places": asked.places,
        "professionals": asked.professionals,
        "resources": made,
        "generated_s": round(generated, 1),
        "loaded_s": round(loaded, 1),
        "indexed_s": round(indexed, 1),
        "index_mb": round(size / 1e6, 1),
        "database_mb": round(whole / 1e6, 1),
        "questions": found,
    }


def _write(file: Path, asked: Country) -> int:
    made = 0
    with file.open("wb") as out:
        for each in resources(1, asked.places, asked.professionals):
            out.write(dumps(each) + b"\n")
            made += 1
    return made


async def _load(house: House, file: Path) -> None:
    job = await jobs.enqueue(
        house.db,
        FILES,
        {
            "caller": caller_json(_LOADER),
            "mode": "trust",
            "paths": [str(file)],
            "asked_at": house.services.clock().isoformat(),
        },
    )
    stop = asyncio.Event()
    imports = Imports(house.services)
    working = asyncio.create_task(
        Workers(house.db, {FILES: imports.work_on_files}, pause=0.2).run(stop)
    )
    while True:
        row = await jobs.look(house.db, job)
        assert row is not None
        if not row.unfinished:
            break
        await asyncio.sleep(0.2)
    stop.set()
    await working
    assert row.state == "done" and row.result and not row.result["errors"], row


async def _follow(house: House) -> None:
    index = Index(house.db)
    while events := await read_feed(house.db, "bench", 100):
        for event in events:
            await index.handle(event)
        await advance(house.db, "bench", events[-1])


async def _ask(
    house: House, times: int, code: str, moment: datetime | None, within: float | None
) -> dict[str, float]:
    """Milliseconds of the function and of the operation, each from another place."""
    chance = random.Random(7)
    run = next(o.run for o in house.parts["directory"].operations if o.name == "nearby")
    some: dict[str, list[int]] = {"function": [], "operation": []}
    hits = 0
    for turn in range(times):
        _, lat, lon, _ = chance.choice(TOWNS)
        at = (lat + chance.gauss(0, 0.2), lon + chance.gauss(0, 0.3))
        later = moment + timedelta(minutes=chance.randrange(60)) if moment else None
        wish = Wish(at, within, code, "", later, (), 20)

        async def ask(wish: Wish = wish) -> int:
            return len(await find(house.db, wish))

        parameters = [
            ("near", f"{at[0]:.6f}|{at[1]:.6f}" + (f"|{within / 1000}" if within else ""))
        ]
        if code:
            parameters.append(("service", code))
        if later:
            parameters.append(("open", later.isoformat()))
        request = OperationRequest("GET", "HealthcareService", "", parameters, None, b"")

        async def operate(request: OperationRequest = request) -> int:
            return len((await run(_HOSPITAL, request)).body)

        for name, act in (("function", ask), ("operation", operate)):
            taken, result = await _timed(act)
            if turn >= 5:  # the first warm up
                some[name].append(taken)
                hits += result if name == "function" else 0
    figures: dict[str, float] = {"found": hits / max(1, times - 5)}
    for name, values in some.items():
        ordered = sorted(values)
        figures |= {f"{name}_p50_ms": percentile(ordered, 50),
                    f"{name}_p95_ms": percentile(ordered, 95),
                    f"{name}_max_ms": percentile(ordered, 100)}  # fmt: skip
    return figures


async def _timed(act: Callable[[], Awaitable[int]]) -> tuple[int, int]:
    begun = time.perf_counter_ns()
    result = await act()
    return time.perf_counter_ns() - begun, result


def told(result: dict[str, Any]) -> str:
    """The figures for people."""
    head = ["the nearest 20", "found", "function p50 ms", "p95", "operation p50 ms", "p95", "max"]
    rows = [
        [name, number(each["found"]), number(each["function_p50_ms"]),
         number(each["function_p95_ms"]), number(each["operation_p50_ms"]),
         number(each["operation_p95_ms"]), number(each["operation_max_ms"])]
        for name, each in result["questions"].items()
    ]  # fmt: skip
    lines = [
        f"{result['places']} places, {result['professionals']} professionals,"
        f" {result['resources']} resources: made in {result['generated_s']} s, imported in"
        f" {result['loaded_s']} s, index in {result['indexed_s']} s ({result['index_mb']} MB of"
        f" {result['database_mb']} MB)"
    ]
    return "\n".join([*lines, "", render(head, rows)])
