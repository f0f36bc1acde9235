"""Whether reads and searches stay as quick when there is much: the same questions at two sizes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Final

import httpx
import zstandard

from bench.bulk import Token
from bench.machine import describe
from bench.measure import BenchError, say
from bench.population import PER_PATIENT, population
from bench.server import Server
from bench.table import percentile

Result = dict[str, Any]
_BLOCK: Final = 250_000
"""Resources of one file: made, imported, removed, so that the disk holds little beside the rows."""
_SPARE: Final = 5_000_000_000
"""Bytes of the disk below which nothing more is imported."""

# `{n}` is a patient whom both sizes have, `{code}`, `{day}` and `{family}` values that many have.
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
    "day": "/Encounter?date={day}&_count=20",
}


@dataclass(frozen=True, slots=True)
class Size:
    """Two numbers of resources, and how often each question is asked at both."""

    small: int = 100_000
    large: int = 5_000_000
    asked: int = 300


def size(options: Size) -> Result:
    """Imports up to each size and measures there. Raises BenchError, ServerError."""
    with Server() as server, TemporaryDirectory(prefix="pater-size-") as folder:
        token = Token(server)
        result: Result = {"machine": describe(), "sizes": {}}
        loaded = 0
        patients = options.small // PER_PATIENT
        for upto in (options.small, options.large):
            begun = time.perf_counter()
            loaded = _load(server, Path(folder), loaded, upto)
            spent = time.perf_counter() - begun
            say(f"{loaded} resources are there; measuring")
            with httpx.Client(base_url=f"http://127.0.0.1:{server.port}/fhir", timeout=60) as http:
                found = {
                    name: _ask(http, token, query, patients, options.asked)
                    for name, query in CLASSES.items()
                }
            result["sizes"][str(upto)] = {
                "import_seconds": round(spent, 1),
                "disk_megabytes": round(_used(server.folder) / 1e6),
                "classes": found,
            }
        return result


def _load(server: Server, folder: Path, loaded: int, upto: int) -> int:
    """Imports from `loaded` up to `upto` resources by `pater import`, a file at a time."""
    while loaded < upto:
        if shutil.disk_usage(folder).free < _SPARE:
            raise BenchError("the disk is nearly full: nothing more is imported")
        count = min(_BLOCK, upto - loaded)
        path = folder / f"population-{loaded}.ndjson.zst"
        with path.open("wb") as raw, zstandard.ZstdCompressor(1).stream_writer(raw) as file:
            _fill(file, count, loaded // PER_PATIENT)
        done = subprocess.run(
            [str(Path(sys.executable).with_name("pater")), "import", "--trust", str(path)],
            env=server.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        path.unlink()
        if done.returncode:
            raise BenchError(f"pater import: {done.stdout}{done.stderr}")
        loaded += count
        say(f"  {loaded} of {upto}")
    return loaded


def _fill(file: BinaryIO, count: int, first: int) -> None:
    for line in population(count, first=first):
        file.write(line)


def _ask(http: httpx.Client, token: Token, query: str, patients: int, times: int) -> Result:
    """Median and p95 in ms of one question, asked one after the other with changing values."""
    random = Random(query)
    taken: list[int] = []
    hits = 0
    for number in range(times + 20):
        n = random.randrange(patients)
        url = query.format(
            n=n,
            number=10_000_000 + n,
            code=random.choice(("8867-4", "718-7", "2160-0")),
            day=f"{random.randrange(2016, 2025)}-{random.randrange(1, 13):02}-1{n % 10}",
            family=f"novak{n % 997}",
        )
        headers = token.headers()
        begun = time.perf_counter_ns()
        answer = http.get(url, headers=headers)
        spent = time.perf_counter_ns() - begun
        if answer.status_code != 200:
            raise BenchError(f"{url}: {answer.status_code} {answer.text[:300]}")
        if number >= 20:  # the first ones plan their statements
            taken.append(spent)
            hits += len(answer.json().get("entry", (1,)))
    taken.sort()
    return {
        "p50_ms": round(percentile(taken, 50), 3),
        "p95_ms": round(percentile(taken, 95), 3),
        "hits": round(hits / times, 1),
    }


def _used(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def told(result: Result) -> str:
    """The result for people: each class at both sizes, and how they compare."""
    (small, one), (large, two) = result["sizes"].items()
    out = [f"{'p95, ms':22}{small:>12}{large:>12}   ratio   hits"]
    for name, each in one["classes"].items():
        other = two["classes"][name]
        ratio = other["p95_ms"] / each["p95_ms"]
        out.append(
            f"{name:22}{each['p95_ms']:>12}{other['p95_ms']:>12}{ratio:>8.2f}"
            f"   {each['hits']} / {other['hits']}"
        )
    out += [f"{n} resources: {s['disk_megabytes']} MB, imported in {s['import_seconds']} s"
            for n, s in result["sizes"].items()]  # fmt: skip
    return "\n".join(out)
