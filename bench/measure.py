"""The whole measurement: documents beside COPY, reads beside a static body, as plain data."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any, Final
from urllib.request import Request, urlopen

import orjson

from bench import load
from bench.copying import copy_floor, made
from bench.documents import BLOCK, Subject, about_twice
from bench.http import encode
from bench.load import Job, Outcome
from bench.server import Server
from bench.static_app import static_server
from bench.table import percentile
from bench.workloads import FHIR_JSON, READS, Sender, document_requests, read_requests

Result = dict[str, Any]
Wanted = Callable[[str], bool]
DOCUMENTS: Final = ("documents", "documents-pdf")


class BenchError(Exception):
    """The measurement would mean nothing: the server answered wrongly."""


@dataclass(frozen=True, slots=True)
class Options:
    """How much is done; seconds are those of one timed section."""

    seconds: float = 12.0  # of documents
    read_seconds: float = 3.0
    rounds: int = 3  # of reads
    documents: int = 1280  # at most so many are sent of each kind
    connections: int = 8


def say(text: str) -> None:
    """Progress, for people."""
    print(text, file=sys.stderr, flush=True)


def figures(outcome: Outcome) -> Result:
    """Rate, latencies and CPU of one timed section."""
    ordered = sorted(outcome.latencies)
    done = max(1, outcome.done)
    return {
        "requests": outcome.done,
        "errors": outcome.errors,
        "seconds": round(outcome.seconds, 3),
        "per_second": round(outcome.done / outcome.seconds, 3),
        "p50_ms": round(percentile(ordered, 50), 3),
        "p95_ms": round(percentile(ordered, 95), 3),
        "p99_ms": round(percentile(ordered, 99), 3),
        "program_cpu_ms": round(outcome.program_cpu * 1000 / done, 4),
        "database_cpu_ms": round(outcome.database_cpu * 1000 / done, 4),
        "client_cpu_us": round(outcome.client_cpu * 1e6 / done, 2),
        "others_cpu": round(outcome.others, 4),
    }


def middle(rounds: Sequence[Mapping[str, Any]]) -> Result:
    """The median of every number over some rounds; errors are added up."""
    out: Result = {}
    for key in rounds[0]:
        values = [one[key] for one in rounds]
        if key == "errors":
            kinds = sorted({kind for one in values for kind in one})
            out[key] = {kind: sum(one.get(kind, 0) for one in values) for kind in kinds}
        else:
            out[key] = sum(values) if key == "requests" else median(values)
    out["rounds_per_second"] = [one["per_second"] for one in rounds]
    return out


def run(options: Options, wanted: Wanted) -> Result:
    """Documents and reads of them, those wanted by name, on a server of their own.

    Reads need documents: then both kinds are sent. Raises BenchError, ServerError.
    """
    reads = [name for name in READS if wanted(name)]
    sent = [name for name in DOCUMENTS if wanted(name) or reads]
    result: Result = {}
    if not sent:
        return result
    with Server() as server:
        say("▸ documents")
        last, numbers = datetime.fromtimestamp(0, UTC), []
        sender = Sender.of(server, "hospital-a")
        for name in sent:
            result[name], last, accepted = _documents(
                server, sender, options, last, name == "documents-pdf"
            )
            numbers += accepted
        if not reads:
            return result
        subjects = about_twice(numbers)
        say("▸ reads of documents, each beside its floor")
        reader = Sender.of(server, "hospital-b")
        with static_server() as (port, pid):
            for name in reads:
                result[name] = _reads(server, reader, options, name, subjects, port, pid)
    return result


def _documents(
    server: Server, sender: Sender, options: Options, last: datetime, with_original: bool
) -> tuple[Result, datetime, list[int]]:
    blocks = -(-options.documents // (2 * BLOCK))
    first = 2 * BLOCK * blocks if with_original else 0
    requests = document_requests(
        sender, options.documents, with_original=with_original, first=first
    )
    outcome = load.run(
        Job(
            server.port,
            requests,
            options.seconds,
            warmup=min(2.0, options.seconds),
            connections=options.connections,
            cycle=False,
            good=frozenset({201}),
            server=server.pid,
            keep_heads=True,
        )
    )
    require(outcome)
    _same_bytes(server, outcome, requests)
    found = asyncio.run(made(server.dsn, last))
    sent = outcome.done + outcome.warmed
    if len(found.documents) != sent:
        raise BenchError(f"{sent} documents were accepted, {len(found.documents)} are stored")
    say("▸ their floor: the same rows by COPY")
    copied = asyncio.run(copy_floor(server.dsn, found, server.pid, connections=options.connections))
    rows = found.rows / len(found.documents)
    one = figures(outcome)
    one |= {
        "document_bytes": round(sum(map(_body_size, requests)) / len(requests)),
        "rows_per_document": round(rows, 2),
        "json_bytes_per_document": round(found.size / len(found.documents)),
        "resources_per_second": round(one["per_second"] * rows, 1),
        "floor": {
            "copy_rows_per_second": round(copied.rows_at_once, 1),
            "copy_documents_per_second": round(copied.documents_at_once, 2),
            "copy_each_documents_per_second": round(copied.documents_each, 2),
            "copy_cpu_ms": round(copied.cpu_at_once_ms, 4),
        },
        "ratio": round(one["per_second"] / copied.documents_at_once, 4),
        "ratio_each": round(one["per_second"] / copied.documents_each, 4),
    }
    return one, found.last, [first + number for number, _ in outcome.heads]


def _body_size(request: bytes) -> int:
    return len(request) - request.index(b"\r\n\r\n") - 4


def require(outcome: Outcome) -> None:
    """Raises BenchError when an answer was not good, or none came."""
    if outcome.errors or not outcome.done:
        raise BenchError(f"wrong answers: {outcome.errors} {outcome.first_error}")


def _same_bytes(server: Server, outcome: Outcome, requests: Sequence[bytes]) -> None:
    """A document that was accepted comes back as it was sent; a rate of anything else is none."""
    number, head = outcome.heads[-1]
    line = next(one for one in head.split(b"\r\n") if one.lower().startswith(b"location:"))
    address = line.split(b"/fhir/", 1)[1].split(b"/_history")[0].decode()
    token = Sender.of(server, "hospital-b").token
    answer = urlopen(
        Request(
            f"http://127.0.0.1:{server.port}/fhir/{address}",
            headers={"Authorization": f"Bearer {token}", "Accept": FHIR_JSON},
        ),
        timeout=30,
    )
    with answer:
        if answer.read() != requests[number].split(b"\r\n\r\n", 1)[1]:
            raise BenchError(f"{address} does not come back as it was sent")


def _reads(
    server: Server,
    reader: Sender,
    options: Options,
    name: str,
    subjects: Sequence[Subject],
    port: int,
    pid: int,
) -> Result:
    requests = asyncio.run(read_requests(reader, server.dsn, name, subjects))
    if not requests:
        raise BenchError(f"there is nothing to {name}: too few documents were sent")
    ours, floors = [], []
    size = _checked_size(server, requests, name)
    static = [encode("GET", f"/{size}", {"Accept": FHIR_JSON})]
    for _ in range(options.rounds):
        floor = load.run(_read_job(options, port, static, pid))
        outcome = load.run(_read_job(options, server.port, requests, server.pid))
        for one in (floor, outcome):
            require(one)
        floors.append(figures(floor))
        ours.append(figures(outcome))
    out, floor_out = middle(ours), middle(floors)
    out["body_bytes"] = size
    out["floor"] = floor_out
    out["ratio"] = round(out["per_second"] / floor_out["per_second"], 4)
    return out


def _read_job(options: Options, port: int, requests: Sequence[bytes], pid: int) -> Job:
    return Job(
        port,
        requests,
        options.read_seconds,
        warmup=min(1.0, options.read_seconds),
        connections=options.connections,
        server=pid,
    )


def _checked_size(server: Server, requests: Sequence[bytes], name: str) -> int:
    """The mean size of some answers, which are looked at first. Raises BenchError."""
    sizes = []
    for request in requests[:20]:
        path = request.split(b" ", 2)[1].decode()
        token = request.split(b"Authorization: ", 1)[1].split(b"\r\n", 1)[0].decode()
        url = f"http://127.0.0.1:{server.port}{path}"
        wanted = Request(url, headers={"Authorization": token, "Accept": FHIR_JSON})
        with urlopen(wanted, timeout=30) as answer:
            body = answer.read()
        sizes.append(len(body))
        if name == "search" and not orjson.loads(body).get("entry"):
            raise BenchError("a search for a person's documents found none")
    return sum(sizes) // len(sizes)
