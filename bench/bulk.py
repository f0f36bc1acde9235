"""Bulk import beside plain COPY of the very rows it wrote, and bulk export of all of them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import asyncpg
import httpx

from bench.machine import describe, tree_time
from bench.measure import BenchError, say
from bench.population import population
from bench.server import Server

Result = dict[str, Any]
_TABLES: Final = ("resource", "string_index", "date_index", "number_index", "code_index")


@dataclass(frozen=True, slots=True)
class Bulk:
    """How many resources, without validation (`trust`), and whether they are exported too."""

    resources: int = 100_000
    trust: bool = False
    export: bool = True


def bulk(options: Bulk) -> Result:
    """Imports, copies, exports on a fresh server. Raises BenchError, ServerError."""
    with Server() as server, TemporaryDirectory(prefix="pater-bulk-") as folder:
        path = Path(folder) / "population.ndjson"
        say(f"making {options.resources} resources")
        with path.open("wb") as file:
            file.writelines(population(options.resources))
        result: Result = {
            "machine": describe(),
            "resources": options.resources,
            "megabytes": round(path.stat().st_size / 1e6, 1),
        }
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=600) as http:
            token = Token(server)
            token.headers()
            say("importing")
            result["import"] = _timed(server, lambda: _import(token, http, path, options))
            if options.export:
                say("exporting")
                result["export"] = _timed(server, lambda: _export(token, http, options.resources))
            say("copying the same rows")
            result["copy"] = asyncio.run(_copied(server, Path(folder), options.resources))
        for name in ("import", "export") if options.export else ("import",):
            seconds = result[name]["seconds"]
            result[name]["per_second"] = round(options.resources / seconds)
        result["import"]["share_of_copy"] = round(
            result["import"]["per_second"] / result["copy"]["with_index"]["per_second"], 3
        )
        return result


def _timed(server: Server, work: Any) -> Result:
    before, begun = tree_time(server.pid), time.perf_counter()
    more = work()
    after = tree_time(server.pid)
    return {
        "seconds": round(time.perf_counter() - begun, 3),
        "program_cpu_s": round(after.program - before.program, 2),
        "database_cpu_s": round(after.database - before.database, 2),
        **more,
    }


@dataclass(slots=True)
class Token:
    """A token of the loader, made anew before it expires; making one is not what is measured."""

    server: Server
    value: str = ""
    made: float = 0.0

    def headers(self) -> dict[str, str]:
        """The authorization of a request."""
        if not self.value or time.monotonic() - self.made > 200:
            self.value, self.made = self.server.token("loader"), time.monotonic()
        return {"authorization": f"Bearer {self.value}"}


def _finished(token: Token, http: httpx.Client, begun: httpx.Response) -> Result:
    if begun.status_code != 202:
        raise BenchError(f"the server answered {begun.status_code}: {begun.text[:500]}")
    while True:
        answer = http.get(begun.headers["content-location"], headers=token.headers())
        if answer.status_code == 200:
            found: Result = answer.json()
            return found
        if answer.status_code != 202:
            raise BenchError(f"the job ended with {answer.status_code}: {answer.text[:500]}")
        time.sleep(0.05)


def _import(token: Token, http: httpx.Client, path: Path, options: Bulk) -> Result:
    mode = "trust" if options.trust else "validate"
    with path.open("rb") as file:
        begun = http.post(
            "/fhir/$import",
            params={"mode": mode},
            content=iter(lambda: file.read(1 << 20), b""),
            headers={**token.headers(), "content-type": "application/fhir+ndjson"},
        )
    manifest = _finished(token, http, begun)
    done = sum(each["created"] for each in manifest["output"])
    if manifest["error"] or done != options.resources:
        raise BenchError(f"of {options.resources} resources {done} were imported")
    return {"mode": mode}


def _export(token: Token, http: httpx.Client, expected: int) -> Result:
    manifest = _finished(token, http, http.get("/fhir/$export", headers=token.headers()))
    ours = ("Patient", "Encounter", "Condition", "MedicationRequest", "Observation")
    found = sum(each["count"] for each in manifest["output"] if each["type"] in ours)
    if found != expected:
        raise BenchError(f"of {expected} resources {found} were exported")
    begun, size = time.perf_counter(), 0
    for each in manifest["output"]:
        with http.stream(
            "GET", each["url"], headers={**token.headers(), "accept-encoding": "identity"}
        ) as answer:
            size += sum(len(block) for block in answer.iter_raw())
    spent = time.perf_counter() - begun
    return {"fetch_seconds": round(spent, 3), "megabytes": round(size / 1e6, 1)}


async def _copied(server: Server, folder: Path, resources: int) -> Result:
    """Seconds that COPY takes to write the rows of all tables again, with and without indexes; and
    to read those of the resources ("out").

    The rows lie ready in PostgreSQL's binary format; the tables are of the same shape, logged and
    committed as durably as the product's.
    """
    connection = await asyncpg.connect(server.dsn)
    found: Result = {}
    try:
        for table in _TABLES:
            begun, before = time.perf_counter(), tree_time(server.pid).database
            await connection.copy_from_query(
                f"select * from {table}", output=folder / table, format="binary"
            )
            if table == "resource":  # what an export has to read, compressed as it is stored
                found["out"] = _rate(server, resources, begun, before)
        for name, how in (("plain", ""), ("with_index", "including indexes")):
            for table in _TABLES:
                await connection.execute(
                    f"create table bench_{table} (like {table} including defaults"
                    f" including storage {how})"
                )
            begun, before = time.perf_counter(), tree_time(server.pid).database
            async with connection.transaction():
                for table in _TABLES:
                    await connection.copy_to_table(
                        f"bench_{table}", source=folder / table, format="binary", timeout=3600
                    )
            found[name] = _rate(server, resources, begun, before)
            for table in _TABLES:
                await connection.execute(f"drop table bench_{table}")
    finally:
        await connection.close()
    return found


def _rate(server: Server, resources: int, begun: float, before: float) -> Result:
    seconds = time.perf_counter() - begun
    return {
        "seconds": round(seconds, 3),
        "per_second": round(resources / seconds),
        "database_cpu_s": round(tree_time(server.pid).database - before, 2),
    }


def told(result: Result) -> str:
    """The result for people."""
    out = [f"{result['resources']} resources, {result['megabytes']} MB of NDJSON"]
    for name in [name for name in ("import", "export") if name in result]:
        each = result[name]
        out.append(
            f"{name:8} {each['per_second']:>8} resources/s  {each['seconds']:>8} s"
            f"  program {each['program_cpu_s']} s, database {each['database_cpu_s']} s of CPU"
        )
    for name, each in result["copy"].items():
        out.append(
            f"COPY {name:12} {each['per_second']:>8} resources/s  {each['seconds']:>8} s"
            f"  database {each['database_cpu_s']} s of CPU"
        )
    out.append(f"import : COPY with indexes = {result['import']['share_of_copy']:.0%}")
    return "\n".join(out)
