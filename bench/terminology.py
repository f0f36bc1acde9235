"""The terminology service over a made-up system of 350,000 concepts, beside the bare statement.

Each question goes over HTTP to the real server, one after the other. The floor is PostgreSQL's
answer to the one statement that the question cannot do without, on a connection of its own.
"""

from __future__ import annotations

import asyncio
import http.client
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from bench.child import ServerError
from bench.machine import describe
from bench.server import Server
from bench.table import number, percentile, render
from pater.store.database import Database
from pater.terminology.loading import Row, System, arranged, load

URL: Final = "http://example.org/bench"
SET: Final = URL + "?fhir_vs"
_STEMS: Final = (
    "kardi", "gastr", "neur", "derm", "oste", "hem", "pulm", "nefr", "hepat", "artr", "encef",
    "oft", "rin", "psych", "tox", "imun", "vask", "onk", "cyst", "myel",
)  # fmt: skip
_ENDS: Final = (
    "itis", "óza", "om", "ální", "ektomie", "opatie", "ografie", "ický", "ace", "ózní", "ová",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Terminology:
    """How large and how long."""

    concepts: int = 350_000
    times: int = 200


def made_up(count: int) -> list[Row]:
    """Concepts with two names each, one to three parents, a property; the same every time."""
    chance = random.Random(350_000)
    words = [stem + end for stem in _STEMS for end in _ENDS]
    codes = [str(10_000_000 + place * 7) for place in range(count)]
    rows = []
    for place, code in enumerate(codes):
        name = " ".join(chance.choice(words) for _ in range(chance.randint(2, 6)))
        parents = [codes[(place - 1) // 8]] if place else []
        if place > 100 and chance.random() < 0.3:
            parents.append(codes[chance.randrange(place // 8)])
        kind = chance.choice("abcdefgh")
        rows.append(
            Row(code, name, parents=parents, names=[("en", "", f"{name} disorder")],
                properties=[("kind", "valueCode", kind)])
        )  # fmt: skip
    return rows


def terminology(asked: Terminology) -> dict[str, Any]:
    """Loads, asks, and gives milliseconds by question."""
    rows = made_up(asked.concepts)
    with Server() as server:
        began = time.perf_counter()
        floors = asyncio.run(_load_and_floor(server.dsn, rows, asked.times))
        loaded = time.perf_counter() - began - floors.pop("spent")
        token = server.token("loader")
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        found = {
            name: _timed(_asking(connection, token, address), asked.times)
            for name, address in _questions(rows).items()
        }
        connection.close()
    return {
        "machine": describe(),
        "concepts": asked.concepts,
        "load_seconds": loaded,
        "questions": {
            name: {"p50": p50, "p95": p95, "floor": floors.get(name)}
            for name, (p50, p95) in found.items()
        },
    }


def _questions(rows: list[Row]) -> dict[str, Callable[[random.Random], str]]:
    codes = [row.code for row in rows]

    def text(chance: random.Random) -> str:
        filter = chance.choice(_STEMS)[: chance.randint(3, 5)]
        if chance.random() < 0.5:
            filter += " " + chance.choice(_STEMS)
        return _query("ValueSet/$expand", url=SET, filter=filter, count=20)

    def anything(chance: random.Random) -> str:
        stem = chance.choice(_STEMS)
        filter = chance.choice(
            [stem[0], f"{stem[0]} {chance.choice(_STEMS)[0]}", f"{stem}óza", "zzz", f"{stem} zzz",
             f"{stem}itis {chance.choice(_STEMS)}óza disorder", chance.choice(codes)[:5]]
        )  # fmt: skip
        count = chance.choice([10, 100])
        return _query("ValueSet/$expand", url=SET, filter=filter, count=count)

    def below(chance: random.Random) -> str:
        root = codes[chance.randrange(1, 500)]
        url = f"{SET}=isa/{root}"
        return _query("ValueSet/$expand", url=url, filter=chance.choice(_STEMS), count=20)

    def lookup(chance: random.Random) -> str:
        return _query("CodeSystem/$lookup", system=URL, code=chance.choice(codes))

    def validate(chance: random.Random) -> str:
        root, code = codes[chance.randrange(1, 500)], chance.choice(codes)
        url = f"{SET}=isa/{root}"
        return _query("ValueSet/$validate-code", url=url, system=URL, code=code)

    def subsumes(chance: random.Random) -> str:
        first, second = codes[chance.randrange(1, 500)], chance.choice(codes)
        return _query("CodeSystem/$subsumes", system=URL, codeA=first, codeB=second)

    return {
        "$expand, text filter": text,
        "$expand, any text": anything,
        "$expand, is-a and text filter": below,
        "$lookup": lookup,
        "$validate-code, is-a": validate,
        "$subsumes": subsumes,
    }


def _query(path: str, **values: Any) -> str:
    return f"/fhir/{path}?{urlencode(values)}"


def _asking(
    connection: http.client.HTTPConnection, token: str, address: Callable[[random.Random], str]
) -> Callable[[random.Random], None]:
    headers = {"Authorization": f"Bearer {token}"}

    def ask(chance: random.Random) -> None:
        connection.request("GET", address(chance), headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise ServerError(f"status {answer.status}: {body[:500]!r}")

    return ask


def _timed(ask: Callable[[random.Random], None], times: int) -> tuple[float, float]:
    chance = random.Random(7)
    for _ in range(10):
        ask(chance)
    spent = []
    for _ in range(times):
        began = time.perf_counter_ns()
        ask(chance)
        spent.append(time.perf_counter_ns() - began)
    spent.sort()
    return percentile(spent, 50), percentile(spent, 95)


_FLOORS: Final[dict[str, tuple[str, Callable[[random.Random, list[str]], str]]]] = {
    "$expand, text filter": (
        "select code, display from term_concept where system = $1 and words @@ $2::text::tsquery"
        " order by nr limit 20",
        lambda chance, codes: f"'{chance.choice(_STEMS)}':* & '{chance.choice(_STEMS)}':*",
    ),
    "$lookup": (
        "select code, display from term_concept where system = $1 and code = $2",
        lambda chance, codes: chance.choice(codes),
    ),
    "$subsumes": (
        "select ancestors from term_concept where system = $1 and code = $2",
        lambda chance, codes: chance.choice(codes),
    ),
}


async def _load_and_floor(dsn: str, rows: list[Row], times: int) -> dict[str, float]:
    """Loads the system, then times the bare statements: medians in milliseconds."""
    db = await Database.open(dsn, min_size=1, max_size=2)
    system = System(URL, "1", "Bench", "Bench", "cs", properties=(("kind", "", "code"),))
    await load(db, system, arranged(rows), digest="bench", now=datetime.now(UTC))
    number_ = await db.fetchval("select id from term_system where url = $1", URL)
    codes = [row.code for row in rows]
    began = time.perf_counter()
    found: dict[str, float] = {}
    for name, (sql, argument) in _FLOORS.items():
        chance = random.Random(7)
        spent = []
        for _ in range(times):
            value = argument(chance, codes)
            start = time.perf_counter_ns()
            await db.fetch(sql, number_, value)
            spent.append(time.perf_counter_ns() - start)
        found[name] = percentile(sorted(spent), 50)
    await db.close()
    found["spent"] = time.perf_counter() - began
    return found


def told(result: dict[str, Any]) -> str:
    """The result for people."""
    rows = []
    for name, each in result["questions"].items():
        floor = each["floor"]
        ratio = each["p50"] / floor if floor else None
        rows.append([name, number(each["p50"]), number(each["p95"]), number(floor), number(ratio)])
    head = ["question", "p50 ms", "p95 ms", "bare statement ms", "ratio"]
    said = f"{result['concepts']} concepts, loaded in {number(result['load_seconds'])} s"
    return f"{said}\n\n{render(head, rows)}"
