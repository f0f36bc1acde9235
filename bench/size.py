"""Whether reads and searches stay as quick when there is much: the same questions at two sizes."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Final

import httpx
import zstandard

from bench.bulk import Token
from bench.machine import describe, tree_time
from bench.measure import BenchError, say
from bench.population import PER_PATIENT, population
from bench.server import Server
from bench.table import number, percentile, render

Result = dict[str, Any]
_BLOCK: Final = 1_000_000
"""Resources of one file: made, imported, removed, so that the disk holds little beside the rows."""
_FIRST: Final = 20
"""Asks of a question that are not counted."""
_SPARE: Final = 5_000_000_000
"""Bytes of the disk below which nothing more is imported."""

_QUIET: Final = 0.5
"""Load (processes that want to run, over a minute) below which is measured."""
_PATIENCE: Final = 360
"""Steps of five seconds that a busy machine is waited for."""

# `{n}` is a patient whom both sizes have. What is asked over everybody has as many hits as its page
# holds at both sizes: an answer that grows with the population would be compared with another one.
CLASSES: Final = {
    "read": "/Observation/bp-{n}-e1-o3",
    "read patient": "/Patient/bp-{n}",
    "vread": "/Observation/bp-{n}-e1-o3/_history/1",
    "identifier": "/Patient?identifier=urn:bench:patient|{number}",
    "name and birth date": "/Patient?family={family}&birthdate=ge1950-01-01&_count=10",
    "patient's results": "/Observation?patient=bp-{n}&code=http://loinc.org|8867-4",
    "patient's latest": "/Observation?patient=bp-{n}&_sort=-date&_count=10",
    "patient and date": "/Encounter?patient=bp-{n}&date=ge2018-01-01",
    "code, newest first": "/Observation?code=http://loinc.org|{code}&_sort=-date&_count=20",
    "value": "/Observation?code=http://loinc.org|2339-0&value-quantity=gt219.5&_count=20",
    "chained": "/Observation?patient.identifier=urn:bench:patient|{number}&_count=10",
    "include": "/Condition?patient=bp-{n}&_include=Condition:encounter",
    "revinclude": "/Patient?_id=bp-{n}&_revinclude=Condition:subject",
    "has": "/Patient?_id=bp-{n}&_has:Condition:subject:code=I10",
    "everything": "/Patient/bp-{n}/$everything",
    "month": "/Encounter?date={month}&_count=20",
}


@dataclass(frozen=True, slots=True)
class Size:
    """Two numbers of resources, and how often each question is asked at both."""

    small: int = 100_000
    large: int = 5_000_000
    asked: int = 300


def size(options: Size) -> Result:
    """Fills a server of each size, then asks both, in turns. Raises BenchError, ServerError."""
    with Server() as one, Server() as two, TemporaryDirectory(prefix="pater-size-") as folder:
        servers = {options.large: two, options.small: one}
        imported = {upto: _load(each, Path(folder), upto) for upto, each in servers.items()}
        for each in servers.values():
            asyncio.run(each.settle())
        _wait_for_quiet()
        say("measuring")
        patients = options.small // PER_PATIENT
        asking = {upto: _Asking(each, options.asked) for upto, each in servers.items()}
        found: dict[int, Result] = {upto: {} for upto in servers}
        for name, query in CLASSES.items():
            for upto in servers:
                found[upto][name] = asking[upto].ask(query, patients)
        result: Result = {"machine": describe(), "load": os.getloadavg()[0], "sizes": {}}
        for upto in sorted(servers):
            result["sizes"][str(upto)] = {
                "imported": imported[upto] | {"resources": upto},
                "disk_megabytes": round(_used(servers[upto].folder) / 1e6),
                "classes": found[upto],
            }
        return result


def _wait_for_quiet() -> None:
    """Until the load of the machine is low, or half an hour has passed."""
    for _ in range(_PATIENCE):
        if os.getloadavg()[0] < _QUIET:
            return
        time.sleep(5)
    say("the machine is busy: the figures are noise")


def _load(server: Server, folder: Path, upto: int) -> Result:
    """Imports `upto` resources by `pater import`, a file at a time.

    Gives the seconds that the command took, and of the processors by it and by the database.
    """
    loaded, seconds, before = 0, 0.0, _used_time(server)
    while loaded < upto:
        if shutil.disk_usage(folder).free < _SPARE:
            raise BenchError("the disk is nearly full: nothing more is imported")
        count = min(_BLOCK, upto - loaded)
        path = folder / f"population-{loaded}.ndjson.zst"
        with path.open("wb") as raw, zstandard.ZstdCompressor(1).stream_writer(raw) as file:
            _fill(file, count, loaded // PER_PATIENT)
        begun = time.perf_counter()
        done = subprocess.run(
            [str(Path(sys.executable).with_name("pater")), "import", "--trust", str(path)],
            env=server.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds += time.perf_counter() - begun
        path.unlink()
        if done.returncode:
            raise BenchError(f"pater import: {done.stdout}{done.stderr}")
        loaded += count
        say(f"  {loaded} of {upto}")
    program, database = _used_time(server)
    return {
        "seconds": round(seconds, 1),
        "program_cpu_s": round(program - before[0], 1),
        "database_cpu_s": round(database - before[1], 1),
    }


def _used_time(server: Server) -> tuple[float, float]:
    """CPU seconds of the commands that have ended, and of the database."""
    commands = getrusage(RUSAGE_CHILDREN)
    return commands.ru_utime + commands.ru_stime, tree_time(server.pid).database


def _server_time(server: Server) -> float:
    used = tree_time(server.pid)
    return used.program + used.database


def _fill(file: BinaryIO, count: int, first: int) -> None:
    for line in population(count, first=first):
        file.write(line)


class _Asking:
    """Questions to one server, `times` each, over one connection."""

    def __init__(self, server: Server, times: int) -> None:
        self._server, self._times = server, times
        self._token = Token(server)
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{server.port}/fhir", timeout=60)

    def ask(self, query: str, patients: int) -> Result:
        """Median, p95 and CPU in ms of one question, asked one after the other with other values.

        CPU, of program and database together, tells a busy machine from a slow answer.
        """
        random = Random(query)
        taken: list[int] = []
        hits = 0
        before = 0.0
        for asked in range(self._times + _FIRST):
            if asked == _FIRST:
                before = _server_time(self._server)
            n = random.randrange(patients)
            url = query.format(
                n=n,
                number=10_000_000 + n,
                code=random.choice(("8867-4", "718-7", "2160-0")),
                month=f"{random.randrange(2016, 2025)}-{random.randrange(1, 13):02}",
                family=f"novak{1 + n % 9}",
            )
            headers = self._token.headers()
            begun = time.perf_counter_ns()
            answer = self._http.get(url, headers=headers)
            spent = time.perf_counter_ns() - begun
            if answer.status_code != 200:
                raise BenchError(f"{url}: {answer.status_code} {answer.text[:300]}")
            if asked >= _FIRST:  # the first ones plan their statements
                taken.append(spent)
                hits += len(answer.json().get("entry", (1,)))
        taken.sort()
        return {
            "p50_ms": round(percentile(taken, 50), 3),
            "p95_ms": round(percentile(taken, 95), 3),
            "cpu_ms": round((_server_time(self._server) - before) * 1000 / self._times, 3),
            "hits": round(hits / self._times, 1),
        }


def _used(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def told(result: Result) -> str:
    """The result for people: each class at both sizes, and how they compare."""
    (small, one), (large, two) = result["sizes"].items()
    head = ("", f"{small}: p95 ms", large, "ratio", "CPU ms", "", "ratio", "hits", "")
    rows = []
    for name, each in one["classes"].items():
        pairs = [(each[key], two["classes"][name][key]) for key in ("p95_ms", "cpu_ms")]
        cells = [
            cell
            for before, after in pairs
            for cell in (number(before), number(after), number(after / before if before else None))
        ]
        hits = (number(each["hits"]), number(two["classes"][name]["hits"]))
        rows.append([name, *cells, *hits])
    out = [render(head, rows)]
    for name, each in result["sizes"].items():
        done = each["imported"]
        busy = (done["program_cpu_s"] + done["database_cpu_s"]) / done["seconds"]
        out.append(
            f"{name} resources: {each['disk_megabytes']} MB; imported"
            f" in {done['seconds']} s, {done['resources'] / done['seconds']:.0f} a second,"
            f" {busy:.2f} processors busy"
        )
    return "\n".join(out)
