"""The load client: a process of its own that keeps some connections busy and times every answer.

A closed loop: each connection sends its next request when its last answer is in. Requests are
encoded before the clock starts, and answers are hardly looked at while it runs. Talks to
127.0.0.1 only. Job and outcome go through standard input and output.
"""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import re
import resource
import subprocess
import sys
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from bench.http import HttpError, Response, ResponseParser
from bench.machine import busy_time, tree_time

_PATIENCE = 60.0  # seconds that the last answers may take
_MOST_FAILURES = 200
_NEXT = re.compile(rb'"relation":"next","url":"https?://[^/"]+([^"]+)"')
_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Job:
    """What to send: in order, again from the start when `cycle`, for `seconds` after a warm-up."""

    port: int
    requests: Sequence[bytes]
    seconds: float
    warmup: float = 1.0
    connections: int = 8
    cycle: bool = True
    good: frozenset[int] = frozenset({200})
    server: int = 0  # the process whose tree is charged
    keep_heads: bool = False
    keep_bodies: bool = False
    pages: int = 1  # of one operation: the following ones are at the "next" link of the last


@dataclass(slots=True)
class Outcome:
    """What one timed section gave; times in seconds, `latencies` in nanoseconds."""

    done: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    first_error: str = ""
    seconds: float = 0.0
    latencies: array[int] = field(default_factory=lambda: array("Q"))
    body_bytes: int = 0
    client_cpu: float = 0.0
    program_cpu: float = 0.0
    database_cpu: float = 0.0
    others: float = 0.0  # share of the machine that neither we nor the server used
    warmed: int = 0  # requests that were sent before the clock started
    heads: list[tuple[int, bytes]] = field(default_factory=list)  # of good answers, warm-up too
    bodies: dict[int, list[bytes]] = field(default_factory=dict)  # a request's last good answer


class _Load:
    """The state that the connections share."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.outcome = Outcome()
        self.errors: Counter[str] = Counter()
        self.position = 0
        self.end = 0.0
        self.active = 0
        self.quiet = asyncio.Event()
        self.connections: list[_Connection] = []

    def take(self) -> int | None:
        """The number of the next request, or None when it is time to stop."""
        number = self.position
        if time.perf_counter() >= self.end or sum(self.errors.values()) >= _MOST_FAILURES:
            return None
        if number >= len(self.job.requests):
            if not self.job.cycle:
                return None
            number = self.position = 0
        self.position += 1
        return number

    def came(
        self, number: int, response: Response, nanoseconds: int, before: Sequence[bytes] = ()
    ) -> None:
        """Notes an answer; `before` are the pages that came before it."""
        outcome = self.outcome
        outcome.latencies.append(nanoseconds)
        outcome.body_bytes += sum(map(len, before), len(response.body))
        if response.status not in self.job.good:
            self.failed(str(response.status), response.body[:500].decode("utf-8", "replace"))
            return
        if self.job.keep_heads:
            outcome.heads.append((number, response.head))
        if self.job.keep_bodies:
            outcome.bodies[number] = [*before, response.body]

    def failed(self, kind: str, text: str) -> None:
        """Notes a failure."""
        self.errors[kind] += 1
        self.outcome.first_error = self.outcome.first_error or text

    def rests(self) -> None:
        """Notes that a connection has nothing more to send."""
        self.active -= 1
        if self.active == 0:
            self.quiet.set()


class _Connection(asyncio.Protocol):
    """One connection that is always either waiting for one answer or resting."""

    def __init__(self, load: _Load, place: int) -> None:
        self._load = load
        self._place = place
        self._parser = ResponseParser()
        self._transport: Any = None
        self._number: int | None = None
        self._started = 0
        self._pages: list[bytes] = []
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self.open = transport, True

    def go(self) -> None:
        """Sends the next request, or rests."""
        self._number = number = self._load.take()
        if number is None:
            self._load.rests()
            return
        request = self._load.job.requests[number]
        self._started = time.perf_counter_ns()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        try:
            response = self._parser.feed(data)
        except HttpError as error:
            self._load.failed("protocol", str(error))
            self.open = False
            self._transport.abort()
            return
        if response is not None:
            self._answered(response)

    def _answered(self, response: Response) -> None:
        number = self._number
        if number is None:
            self._load.failed("protocol", "an answer that nobody asked for")
            self._transport.abort()
            return
        job = self._load.job
        if len(self._pages) + 1 < job.pages and response.status in job.good:
            following = _following(job.requests[number], response.body)
            if following is not None:
                self._pages.append(response.body)
                self._transport.write(following)
                return
        self._number = None
        pages, self._pages = self._pages, []
        self._load.came(number, response, time.perf_counter_ns() - self._started, pages)
        if response.keep_alive:
            self.go()
        else:
            self._transport.close()
            self.open = False
            _reconnect(self._load, self._place)

    def connection_lost(self, error: Exception | None) -> None:
        was, self.open = self.open, False
        if self._number is None:
            return
        response = self._parser.eof()
        if response is not None:
            self._load.came(self._number, response, time.perf_counter_ns() - self._started)
        elif was:
            self._load.failed("closed", str(error or "the server closed the connection"))
        self._number = None
        _reconnect(self._load, self._place)

    def close(self) -> None:
        """Ends the connection."""
        self.open = False
        self._transport.close()


def _following(request: bytes, body: bytes) -> bytes | None:
    """The request for the page after this one, or None when it is the last."""
    found = _NEXT.search(body)
    if found is None:
        return None
    method, _, rest = request.split(b" ", 2)
    return b" ".join((method, found[1], rest))


def _reconnect(load: _Load, place: int) -> None:
    """Opens another connection in the place of one that ended."""

    def opened(task: asyncio.Task[None]) -> None:
        if task.exception() is not None:
            load.failed("refused", str(task.exception()))
            load.rests()
        else:
            load.connections[place].go()

    asyncio.get_running_loop().create_task(_connect(load, place)).add_done_callback(opened)


async def _connect(load: _Load, place: int) -> None:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(
        lambda: _Connection(load, place), "127.0.0.1", load.job.port
    )
    load.connections[place:] = [connection, *load.connections[place + 1 :]]


async def _phase(load: _Load, seconds: float) -> None:
    """Keeps all connections busy for a time, then waits until all rest."""
    for place in range(load.job.connections):
        if place >= len(load.connections) or not load.connections[place].open:
            await _connect(load, place)
    load.quiet.clear()
    load.active = len(load.connections)
    load.end = time.perf_counter() + seconds
    for one in tuple(load.connections):
        one.go()
    async with asyncio.timeout(seconds + _PATIENCE):
        await load.quiet.wait()


def _own_time() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def send(job: Job) -> Outcome:
    """Warms up, then measures. Raises TimeoutError when answers stay out."""
    load = _Load(job)
    await _phase(load, job.warmup)
    warm = load.outcome
    load.outcome = outcome = Outcome(
        warmed=len(warm.latencies),
        heads=warm.heads,
        bodies=warm.bodies,
        first_error=warm.first_error,
    )
    failed = load.errors.copy()
    load.errors.clear()
    gc.collect()
    gc.disable()
    try:
        before, busy, own = tree_time(job.server), busy_time(), _own_time()
        started = time.perf_counter()
        await _phase(load, job.seconds)
        outcome.seconds = time.perf_counter() - started
        outcome.client_cpu = _own_time() - own
        after, busy = tree_time(job.server), busy_time() - busy
    finally:
        gc.enable()
    outcome.program_cpu = after.program - before.program
    outcome.database_cpu = after.database - before.database
    ours = outcome.client_cpu + outcome.program_cpu + outcome.database_cpu
    outcome.others = max(0.0, busy - ours) / (outcome.seconds * (os.cpu_count() or 1))
    outcome.errors = dict(load.errors + failed)  # one in the warm-up spoils the rest too
    outcome.done = len(outcome.latencies) - sum(
        count for kind, count in load.errors.items() if kind.isdigit()
    )
    for one in load.connections:
        one.close()
    return outcome


def run(job: Job) -> Outcome:
    """Sends a job from a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", "from bench.load import main; main()"],
        input=pickle.dumps(job),
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        timeout=job.warmup + job.seconds + 3 * _PATIENCE,
        check=True,
    )
    outcome = pickle.loads(done.stdout)
    assert isinstance(outcome, Outcome)
    return outcome


def main() -> None:
    """The process: a job on standard input, its outcome on standard output."""
    job = pickle.loads(sys.stdin.buffer.read())
    outcome = pickle.dumps(uvloop.run(send(job)))
    with open(sys.stdout.fileno(), "wb", closefd=False) as out:  # writes all, also if unbuffered
        out.write(outcome)
