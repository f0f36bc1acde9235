"""Finding persons in a large register: latency, work and size at a number of invented persons.

The persons are those of `pater country`, loaded by the bulk path. Then `PersonIndex.match`,
`POST Patient/$match` and `Registration.register` are asked online, one after the other, about
records with mistakes, about persons who are new and about common names with a birth date only.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import asyncpg
import httpx
import orjson

from bench.country import loaded, sizes
from bench.machine import describe, random_reads
from bench.table import number, percentile, render
from bench.transparency import Postgres, cpu
from pater.access.caller import Caller
from pater.access.tokens import Tokens
from pater.app import api_of, open_house
from pater.clock import now
from pater.registers.identifiers import check
from pater.registers.matching import blocking_keys, features_of
from pater.registers.matching.index import EACH, FOUND, REACH, PersonIndex
from pater.registers.matching.index import MOST as MOST_COMPARED
from pater.registers.people import MOST, mistaken, patient_of, people
from pater.registers.surviving import Source
from pater.settings import Settings
from pater.store import warming
from pater.store.database import Database
from pater.store.embedded import EmbeddedPostgres

SEED: Final = 11
_A_SERIES: Final = 200_000  # new persons of one series of questions
_CALLER: Final = Caller(
    kind="system", id="bench", name="B", role="provider-system", strength=3, purpose="TREAT",
    organization="12345679", scopes=("system/*.rs", "system/Patient.cu"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Register:
    """How much: persons in the register, questions of each kind, registrations."""

    persons: int = 100_000
    questions: int = 400
    registrations: int = 200
    later: bool = False  # indexes when all is loaded
    kept: Path | None = None  # where the register stays, and is asked again without a load
    series: int = 0  # other persons are asked about with each
    memory: int = 0  # MB of the database; 0 = as it ships
    rest: int = 0  # seconds between that and the first question
    cold: bool = False  # nothing is read into memory before


def matching(asked: Register) -> dict[str, Any]:
    """The figures, as plain data."""
    if asked.kept is None:
        with Postgres("matching") as postgres:
            return asyncio.run(_measured(asked, postgres.dsn, postgres.folder))
    asked.kept.mkdir(parents=True, exist_ok=True)
    with EmbeddedPostgres(asked.kept / "data", memory=asked.memory) as server:
        return asyncio.run(_measured(asked, server.dsn, asked.kept))


async def _measured(asked: Register, dsn: str, folder: Path) -> dict[str, Any]:
    settings = Settings(data=folder / "house", database_url=dsn)
    load = await _loaded(asked, settings, dsn, folder)
    async with open_house(settings, dsn) as house:
        registers = house.services.registers
        assert registers is not None
        storage = await sizes(house.db, asked.persons)
        memory = await house.db.fetchval("show shared_buffers")
        warmed = {} if asked.cold else await _warmed(house.db, asked.rest)
        asking = list(_questions(asked))
        shown = await _reads(house.db, asking[:100])
        disk = {"before": random_reads(asked.kept)} if asked.kept else {}
        found = {"index.match": await _timed(asking, _match(registers.index))}
        found["POST Patient/$match"] = await _timed(
            # who asks for many who are not there is slowed down
            [each for turn, each in enumerate(asking) if turn % 4],
            _posted(house, Tokens(house.keys, settings.base_url, now)),
        )
        new = list(_told(asked))
        found["register()"] = await _timed(
            new,
            lambda patient: registers.registration.register(
                _CALLER, patient, Source(_CALLER.organization, "urn:bench", str(id(patient)))
            ),
        )
        if asked.kept:
            disk["after"] = random_reads(asked.kept)
        outcomes = await _outcomes(registers.index, asking)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe(),
        "persons": asked.persons,
        "series": asked.series,
        "load": load,
        "warmed": warmed,
        "random_reads": disk,
        "database_memory": memory,
        "bytes_a_person": storage,
        "questions": found,
        "buffers": shown,
        "outcomes": outcomes,
    }


async def _loaded(asked: Register, settings: Settings, dsn: str, folder: Path) -> dict[str, Any]:
    """Loads, or says what it took when that was done before."""
    done = folder / "load.json"
    if done.exists():
        said: dict[str, Any] = orjson.loads(done.read_bytes())
        return said
    load = await loaded(settings, dsn, folder / "files", SEED, asked.persons, later=asked.later)
    connection = await asyncpg.connect(dsn)
    await connection.execute("vacuum (analyze)", timeout=7200)
    await connection.execute("checkpoint", timeout=7200)
    await connection.close()
    done.write_bytes(orjson.dumps(load))
    return load


async def _warmed(db: Database, rest: float) -> dict[str, float]:
    """As a serving process does after its start, and what that took; then nothing for a while.

    A shared disk may give less for some minutes after so much was read from it.
    """
    begun = time.monotonic()
    await warming.available(db)
    done = 0
    async for progress in warming.warm(db):
        done = progress.done
    seconds = round(time.monotonic() - begun, 1)
    await asyncio.sleep(rest)
    return {"MB": round(done / 1e6), "seconds": seconds, "rest": rest}


def _questions(asked: Register) -> Iterator[dict[str, Any]]:
    """Half are known persons with mistakes, a quarter new ones, a quarter says name and date."""
    random = Random(SEED + 2 * asked.series)
    last = MOST - 1 - _A_SERIES * asked.series
    for turn in range(asked.questions):
        kind = turn % 4
        if kind == 0:
            [person] = people(SEED, 1, first=last - turn)
            yield patient_of(person, rid=False)
            continue
        [person] = people(SEED, 1, first=random.randrange(asked.persons))
        if kind == 1:
            patient = patient_of(person, rid=False)
            yield {key: patient[key] for key in ("resourceType", "name", "birthDate")}
        else:
            yield mistaken(person, random)[0]


def _told(asked: Register) -> Iterator[dict[str, Any]]:
    """Half are new, half are known to another hospital."""
    random = Random(SEED + 1 + 2 * asked.series)
    today = datetime.now(UTC).date()
    last = MOST - _A_SERIES // 2 - _A_SERIES * asked.series
    for turn in range(asked.registrations):
        if turn % 2:
            [person] = people(SEED, 1, first=last - turn)
            while person.born > today:  # the country's calendar may be ahead
                last -= asked.registrations
                [person] = people(SEED, 1, first=last - turn)
            yield patient_of(person, rid=False)
        else:
            yield _acceptable(asked, random, today.isoformat())


def _acceptable(asked: Register, random: Random, today: str) -> dict[str, Any]:
    """A record with mistakes, but with no number that is refused."""
    while True:
        [person] = people(SEED, 1, first=random.randrange(asked.persons))
        patient, _ = mistaken(person, random)
        numbers = patient.get("identifier", ())
        if patient.get("birthDate", "") <= today and all(
            check(each["system"], each["value"]).ok is not False for each in numbers
        ):
            return patient


def _match(index: PersonIndex) -> Callable[[dict[str, Any]], Awaitable[Any]]:
    return index.match


def _posted(house: Any, tokens: Tokens) -> Callable[[dict[str, Any]], Awaitable[Any]]:
    app = api_of(house)

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": "/fhir"}, receive, send)

    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=mounted))
    headers = {
        "authorization": f"Bearer {tokens.issue(replace(_CALLER))}",
        "content-type": "application/fhir+json",
    }

    async def ask(patient: dict[str, Any]) -> None:
        parameter = {"name": "resource", "resource": patient}
        body = orjson.dumps({"resourceType": "Parameters", "parameter": [parameter]})
        url = f"{house.settings.base_url}/fhir/Patient/$match"
        answer = await client.post(url, content=body, headers=headers)
        assert answer.status_code == 200, answer.text

    return ask


async def _timed(
    asking: list[dict[str, Any]], ask: Callable[[dict[str, Any]], Awaitable[Any]]
) -> dict[str, float]:
    """Milliseconds of each, one at a time; the first tenth warms up."""
    warm = len(asking) // 10
    for each in asking[:warm]:
        await ask(each)
    times = []
    before = cpu()
    for each in asking[warm:]:
        begun = time.perf_counter_ns()
        await ask(each)
        times.append(time.perf_counter_ns() - begun)
    spent = cpu() - before
    ordered = sorted(times)
    return {
        "p50_ms": round(percentile(ordered, 50), 3),
        "p95_ms": round(percentile(ordered, 95), 3),
        "p99_ms": round(percentile(ordered, 99), 3),
        "cpu_ms": round(spent * 1000 / len(times), 3),
    }


async def _reads(db: Database, asking: list[dict[str, Any]]) -> dict[str, float]:
    """Pages of the database that the look-up of one question touches, and persons it finds."""
    pages, rows = [], []
    for each in asking:
        keys = list(blocking_keys(features_of(each)))
        if not keys:
            continue
        row = await db.fetchval(
            f"explain (analyze, buffers, format json) {FOUND}", keys, EACH, REACH, [], MOST_COMPARED
        )
        plan = orjson.loads(row)[0]["Plan"]
        pages.append(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
        rows.append(plan["Actual Rows"])
    return {
        "pages_median": statistics.median(pages),
        "pages_most": max(pages),
        "rows_median": statistics.median(rows),
        "rows_most": max(rows),
    }


async def _outcomes(index: PersonIndex, asking: list[dict[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in asking:
        outcome = (await index.match(each)).outcome
        found[outcome] = found.get(outcome, 0) + 1
    return found


def told(result: dict[str, Any]) -> str:
    """The figures for people."""
    rows = [
        [name, *(f"{each[key]:.2f}" for key in ("p50_ms", "p95_ms", "p99_ms", "cpu_ms"))]
        for name, each in result["questions"].items()
    ]
    head = [f"{number(result['persons'])} persons", "p50 ms", "p95 ms", "p99 ms", "CPU ms"]
    stored = ", ".join(f"{name} {size:.0f}" for name, size in result["bytes_a_person"].items())
    load = ", ".join(f"{name} {value:.0f}" for name, value in result["load"].items())
    pages = ", ".join(f"{name} {value:.0f}" for name, value in result["buffers"].items())
    return "\n".join(
        (
            render(head, rows),
            f"bytes a person: {stored}",
            f"a look-up: {pages}; outcomes: {result['outcomes']}",
            f"load: {load}",
            f"memory of the database: {result['database_memory']};"
            f" random reads of the disk: {result['random_reads']};"
            f" read into it before: {result['warmed'] or 'nothing'}",
        )
    )
