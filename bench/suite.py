"""What `make bench` runs: documents, the API over a population, bulk data; all as plain data."""

from __future__ import annotations

import re
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.api import api
from bench.bulk import Bulk, bulk
from bench.machine import describe, flush_latency
from bench.measure import BenchError, Options, Result, run, say
from bench.section import Api

BULK = ("bulk.import", "bulk.export")


@dataclass(frozen=True, slots=True)
class Suite:
    """What is measured (names that `only` is found in) and how much of it."""

    documents: Options = field(default_factory=Options)
    api: Api = field(default_factory=Api)
    bulk: int = 20_000  # resources
    only: str = ""


def suite(options: Suite) -> Result:
    """Everything that is wanted. Raises BenchError, ServerError."""
    asked = re.compile(options.only)

    def wanted(name: str) -> bool:
        return asked.search(name) is not None

    result: Result = {"machine": describe(), "options": asdict(options)}
    with tempfile.TemporaryDirectory() as folder:
        result["disk"] = flush_latency(Path(folder))
    result |= run(options.documents, wanted)
    result["api"] = api(options.api, wanted)
    if any(map(wanted, BULK)):
        say("▸ bulk data")
        found = bulk(Bulk(options.bulk))
        result["api"] |= {name: row for name, row in _bulk(found).items() if wanted(name)}
    if len(result) == 4 and not result["api"]:
        raise BenchError(f"nothing is called like {options.only!r}")
    return result


def _bulk(found: Result) -> Result:
    """The rows of import and export; an operation is a resource, the floor COPY of the same."""
    count = found["resources"]
    rows = {}
    for name, copy, kind in (
        ("import", found["copy"]["with_index"], "COPY in"),
        ("export", found["copy"]["out"], "COPY out"),
    ):
        one = found[name]
        rows[f"bulk.{name}"] = {
            "rate": one["per_second"],
            "seconds": one["seconds"],
            "program_cpu_ms": round(one["program_cpu_s"] * 1000 / count, 4),
            "database_cpu_ms": round(one["database_cpu_s"] * 1000 / count, 4),
            "floor": {
                "kind": kind,
                "rate": copy["per_second"],
                "cpu_ms": round(copy["database_cpu_s"] * 1000 / count, 4),
            },
            "ratio": round(one["per_second"] / copy["per_second"], 4),
        }
    return rows
