"""Where the server's time goes: py-spy samples it while a load runs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Final

from bench import load
from bench.documents import BLOCK, about_twice
from bench.load import Job, Outcome
from bench.measure import BenchError, figures, say
from bench.server import Server
from bench.table import number, percent, render
from bench.workloads import Sender, document_requests, read_requests

WORKLOADS: Final = ("documents", "documents-pdf", "read", "read-document", "search")
_PY_SPY: Final = str(Path(sys.executable).with_name("py-spy"))
_OURS: Final = "pater/"
_RATE: Final = 400  # samples a second


@dataclass(frozen=True, slots=True)
class Profile:
    """Samples by function: at the top of the stack, anywhere in it; and by our innermost line."""

    samples: int
    own: Counter[str]
    within: Counter[str]
    lines: Counter[str]


def fold(stacks: Iterable[str]) -> Profile:
    """Adds up folded stacks: `outermost (file:line);…;innermost (file:line) count`."""
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    samples = 0
    for stack in stacks:
        text, _, count_text = stack.strip().rpartition(" ")
        if not text:
            continue
        count = int(count_text)
        frames = text.split(";")
        names = [frame.rpartition(":")[0] + ")" if ":" in frame else frame for frame in frames]
        samples += count
        own[names[-1]] += count
        # what a library does is charged to the line of ours that asked for it
        lines[next((frame for frame in reversed(frames) if _OURS in frame), frames[-1])] += count
        for name in set(names):
            within[name] += count
    return Profile(samples, own, within, lines)


def profile(workload: str, seconds: float, most: int) -> str:
    """Runs a load on a fresh server, samples it, and gives tables of functions and lines."""
    with Server() as server:
        job = _job(server, workload, seconds)
        outcomes: list[Outcome] = []
        sender = Thread(target=lambda: outcomes.append(load.run(job)))
        sender.start()
        folded = server.folder / "folded"
        command = [
            _PY_SPY, "record", "--pid", str(server.pid), "--rate", str(_RATE), "--format", "raw",
            "--duration", str(max(1, int(seconds))), "--output", str(folded),
        ]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=seconds + 60
        )
        sender.join(timeout=seconds + 240)
        if done.returncode:
            raise BenchError(f"py-spy could not sample the server:\n{done.stderr}")
        if not outcomes or outcomes[0].errors:
            raise BenchError(f"wrong answers: {outcomes and outcomes[0].errors}")
        found = fold(folded.read_text("utf-8").splitlines())
    return _tables(found, outcomes[0], most)


def _job(server: Server, workload: str, seconds: float) -> Job:
    sender = Sender.of(server, "hospital-a")
    if workload.startswith("documents"):
        requests = document_requests(
            sender,
            int(seconds * 100),
            with_original=workload.endswith("pdf"),
            first=0,
        )
        good = frozenset({201})
        return Job(server.port, requests, seconds, cycle=False, good=good, server=server.pid)
    say("▸ some documents to read")
    stored = document_requests(sender, 2 * BLOCK, with_original=True, first=0)
    good = frozenset({201})
    load.run(Job(server.port, stored, 60, warmup=0, cycle=False, good=good, server=server.pid))
    name = "read-observation" if workload == "read" else workload
    reader = Sender.of(server, "hospital-b")
    requests = asyncio.run(read_requests(reader, server.dsn, name, about_twice(range(2 * BLOCK))))
    return Job(server.port, requests, seconds, server=server.pid)


def _tables(found: Profile, outcome: Outcome, most: int) -> str:
    one = figures(outcome)
    program = one["program_cpu_ms"]
    head = f"{found.samples} samples; {number(one['per_second'])} a second while sampled;" + (
        f" server {number(program)} ms, database {number(one['database_cpu_ms'])} ms CPU each"
    )

    def table(title: str, counted: Counter[str]) -> str:
        total = max(1, found.samples)
        rows = [
            [_short(name), percent(count / total), number(program * count / total)]
            for name, count in counted.most_common(most)
        ]
        return render((title, "share", "ms each"), rows)

    # what every request is within (the command, the loop) says nothing
    ours = Counter(
        {
            name: count
            for name, count in found.within.items()
            if _OURS in name and count < found.samples
        }
    )
    return "\n\n".join(
        [
            head,
            table("within (ours)", ours),
            table("own", found.own),
            table("our lines, with the libraries below them", found.lines),
        ]
    )


def _short(name: str) -> str:
    for folder in ("site-packages/", "src/"):
        if folder in name:
            function, _, _ = name.partition(" (")
            return f"{function} ({name.split(folder, 1)[1]}"
    return name
