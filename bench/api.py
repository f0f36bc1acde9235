"""The FHIR API over an invented population: transactions, searches, whole records and pages.

Everything is a closed loop of some clients against a server of its own; the last answer to every
request is looked at afterwards, and one that is not what the population's facts say ends the run.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from bench.commits import Floor
from bench.copying import copy_floor, made
from bench.crud import CRUD, crud
from bench.load import Outcome
from bench.measure import BenchError, Result, Wanted, say
from bench.patients import KINDS, PER_PATIENT, person, transaction
from bench.questions import SEARCHES, Case, Truth, cases
from bench.section import Api, Bench, row
from bench.server import Server
from bench.static_app import static_server

TRANSACTION: Final = "load.transaction"
EVERYTHING: Final = "op.everything"
PAGES: Final = "op.pages"
IN_RESOURCES: Final = frozenset({TRANSACTION, EVERYTHING, PAGES, "bulk.import", "bulk.export"})
"""Whose rate is in resources a second; latencies and CPU are always of one operation."""
_PAGES: Final = 3
_PAGE: Final = 100


def api(options: Api, wanted: Wanted) -> Result:
    """Rows of the wanted workloads by name. Raises BenchError, ServerError."""
    names = [TRANSACTION, EVERYTHING, PAGES, *(f"search.{name}" for name in SEARCHES)]
    names += [f"crud.{name}.{clients}" for clients in options.clients for name in CRUD]
    if not any(map(wanted, names)):
        return {}
    rows: Result = {}
    with Server() as server, static_server() as floor:
        bench = Bench(server, floor, options)
        say("▸ patients by transaction")
        row, truth = _transactions(bench)
        if wanted(TRANSACTION):
            rows[TRANSACTION] = row
        say("▸ searches, whole records, pages")
        for name in SEARCHES:
            if wanted(f"search.{name}"):
                rows[f"search.{name}"] = _search(bench, name, truth)
        if wanted(EVERYTHING):
            rows[EVERYTHING] = _everything(bench, truth)
        if wanted(PAGES):
            rows[PAGES] = _pages(bench, truth)
        for clients in options.clients:
            if any(wanted(f"crud.{name}.{clients}") for name in CRUD):
                say(f"▸ single resources, {clients} clients")
                found = crud(bench, clients)
                rows |= {name: row for name, row in found.items() if wanted(name)}
    return rows


def _transactions(bench: Bench) -> tuple[Result, Truth]:
    people = [person(number) for number in range(bench.options.patients)]
    requests = [bench.sender.post("/fhir", transaction(one)) for one in people]
    first = 1 + len(people) // 20  # each can be sent once, so these are the warm-up
    ids = []
    for some in (requests[:first], requests[first:]):
        outcome = bench.send(some, seconds=600, warmup=0, cycle=False)
        if len(outcome.bodies) != len(some):
            raise BenchError(f"of {len(some)} transactions {len(outcome.bodies)} were answered")
        ids += [_patient_id(outcome.bodies[number]) for number in range(len(some))]
    found = asyncio.run(made(bench.server.dsn, datetime.fromtimestamp(0, UTC), by_person=True))
    if (len(found.documents), found.rows) != (len(people), PER_PATIENT * len(people)):
        raise BenchError(f"{found.rows} resources of {len(found.documents)} patients are stored")
    say("▸ their floor: the same rows by COPY")
    copied = asyncio.run(copy_floor(bench.server.dsn, found, bench.server.pid))
    floor = Floor(copied.documents_each, copied.cpu_each_ms)
    asyncio.run(bench.server.settle())
    return row(outcome, floor, "COPY each", times=PER_PATIENT), Truth(people, ids)


def _patient_id(answer: Sequence[bytes]) -> str:
    entries = orjson.loads(answer[0])["entry"]
    places = [entry["response"]["location"].split("/") for entry in entries]
    found = Counter(place[place.index("_history") - 2] for place in places)
    if found != KINDS:
        raise BenchError(f"a transaction made {dict(found)}")
    place = next(place for place in places if "Patient" in place)
    return str(place[place.index("Patient") + 1])


def _search(bench: Bench, name: str, truth: Truth) -> Result:
    asked = cases(name, truth, bench.options.cases)
    if name == "full text":
        _wait_for_words(bench, asked[0])
    outcome = bench.send([bench.sender.get(f"/fhir/{case.query}") for case in asked])
    check(outcome, asked)
    one = row(outcome, bench.static(outcome.body_bytes // outcome.done, 8), "static")
    one["hits"] = round(sum(case.matches for case in asked) / len(asked), 1)
    return one


def _wait_for_words(bench: Bench, case: Case) -> None:
    """Words are made from the feed: right after a large load the server says "ask later"."""
    for _ in range(300):
        if bench.status(f"/fhir/{case.query}") == 200:
            return
        time.sleep(0.2)
    raise BenchError("the words of what was loaded are not indexed after a minute")


def _everything(bench: Bench, truth: Truth) -> Result:
    paths = [f"/fhir/Patient/{truth.id(one)}/$everything?_count=200" for one in truth.people]
    outcome = bench.send([bench.sender.get(path) for path in paths])
    for pages in outcome.bodies.values():
        found = Counter(
            entry["resource"]["resourceType"] for entry in orjson.loads(pages[0])["entry"]
        )
        if found != KINDS:
            raise BenchError(f"$everything gave {dict(found)}")
    floor = bench.static(outcome.body_bytes // outcome.done, 8)
    return row(outcome, floor, "static", times=PER_PATIENT)


def _pages(bench: Bench, truth: Truth) -> Result:
    asked = cases("code over everybody, sorted", truth, bench.options.cases)
    paths = [f"/fhir/{case.query.replace('_count=50', f'_count={_PAGE}')}" for case in asked]
    outcome = bench.send([bench.sender.get(path) for path in paths], pages=_PAGES)
    seen = 0
    for number, pages in outcome.bodies.items():
        bundles = [orjson.loads(page) for page in pages]
        dates = [
            entry["resource"]["effectiveDateTime"]
            for bundle in bundles
            for entry in bundle["entry"]
        ]
        first = asked[number].dates or ()
        code = next(code for code in truth.by_code if code in asked[number].query)
        if tuple(dates) != truth.dates(code, _PAGES * _PAGE) or tuple(dates[:50]) != first:
            raise BenchError(f"{paths[number]}: the pages are not the newest ones in their order")
        seen += len(dates)
    times = seen // len(outcome.bodies)
    page = bench.static(outcome.body_bytes // outcome.done // _PAGES, 8)
    floor = Floor(page.per_second / _PAGES, page.cpu_ms * _PAGES)
    return row(outcome, floor, "static", times=times)


def check(outcome: Outcome, asked: Sequence[Case]) -> None:
    """Raises BenchError when an answer is not what its case says."""
    for number, pages in outcome.bodies.items():
        bundle: Mapping[str, Any] = orjson.loads(pages[0])
        wrong = asked[number].wrong(bundle)
        if wrong:
            raise BenchError(wrong)
