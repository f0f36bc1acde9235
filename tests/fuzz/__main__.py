"""The long run: `python -m tests.fuzz --minutes N` fuzzes a server of its own, and the readers.

Ends with 1 and says what was found. `--coverage` gives a third of the time to atheris (where it
is installed), target by target.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.folders import scratch
from tests.fuzz.odd import spoiled_bytes
from tests.fuzz.schema import cases, described
from tests.fuzz.seeds import seeds
from tests.fuzz.server import Target, memory, requests
from tests.fuzz.targets import TARGETS
from tests.system.running import Running

BATCH = 200


def _batch(number: int, work: Callable[..., None], **strategies: st.SearchStrategy[object]) -> None:
    """Runs a batch of examples of this seed; a fault is kept by the work and never raised."""
    run = given(**strategies)(work)
    run = settings(
        max_examples=BATCH,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(run)
    seed(number)(run)()


def _server(target: Target, until: float, number: int) -> None:
    """Spoiled requests and requests of the OpenAPI description in turns."""

    def any_request(request: object, who: int) -> None:
        method, path, body, headers = request  # type: ignore[misc] # a tuple of the strategy
        target.send(method, path, body, headers, who=who)

    schema = described(target)

    def any_case(case: object, who: int) -> None:
        schema.send(target, case, who)

    who = st.sampled_from((0, 0, 0, 1))
    while time.monotonic() < until:
        _batch(number, any_request, request=requests(), who=who)
        _batch(number, any_case, case=cases(schema), who=who)
        number += 1


def _readers(until: float, number: int, faults: dict[str, str]) -> int:
    """The readers alone, without a server."""
    runs = 0
    while time.monotonic() < until:
        for name, read in TARGETS.items():

            def work(data: bytes, name: str = name, read: Callable[[bytes], None] = read) -> None:
                nonlocal runs
                runs += 1
                begun = time.process_time()
                try:
                    read(data)
                except Exception as error:
                    faults.setdefault(f"{name}: {type(error).__name__} {error!s:.80}", repr(data))
                if time.process_time() - begun > 2:
                    faults.setdefault(f"{name}: slow", repr(data))

            _batch(number, work, data=spoiled_bytes(seeds(name)))
        number += 1
    return runs


def _coverage(seconds: float) -> list[str]:
    """atheris over every target; the names of those that fell."""
    fallen = []
    with tempfile.TemporaryDirectory(prefix="pater-fuzz-") as folder:
        for name in TARGETS:
            words = ["-m", "tests.fuzz.atheris_targets", name,
                     f"-max_total_time={max(5, int(seconds / len(TARGETS)))}",
                     f"-artifact_prefix={folder}/"]  # fmt: skip
            done = subprocess.run([sys.executable, *words], capture_output=True, check=False)
            print(name, done.stderr.decode("utf-8", "replace").splitlines()[-1:])
            if done.returncode:
                fallen.append(name + "\n" + done.stdout.decode("utf-8", "replace")[-3000:]
                              + done.stderr.decode("utf-8", "replace")[-3000:])  # fmt: skip
    return fallen


def main() -> int:
    """1 when anything was found."""
    asked = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    asked.add_argument("--minutes", type=float, default=10)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--only", choices=("server", "readers", "coverage"))
    given_ = asked.parse_args()
    parts = [given_.only] if given_.only else ["server", "readers", "coverage"]
    share = given_.minutes * 60 / len(parts)
    faults: dict[str, str] = {}
    if "server" in parts:
        with scratch() as folder:
            running = Running(folder / "data", "--empty").start()
            clients = [running.client(name) for name in ("loader", "hospital-a")]
            target = Target(running, clients)
            target.prepare()
            assert running.process is not None
            before = memory(running.process.pid)
            _server(target, time.monotonic() + share, given_.seed)
            after = memory(running.process.pid, "VmHWM")
            print(f"server: {target.sent} requests, {dict(sorted(target.statuses.items()))}, "
                  f"memory {before >> 20} MB, at most {after >> 20} MB")  # fmt: skip
            faults |= target.faults
            if any(": status" in place for place in faults):
                print(running.said())
            running.stop()
    if "readers" in parts:
        print("readers:", _readers(time.monotonic() + share, given_.seed, faults), "inputs")
    if "coverage" in parts and find_spec("atheris") is not None:
        faults |= {f"atheris: {text.splitlines()[0]}": text for text in _coverage(share)}
    for place, text in faults.items():
        print(f"\n✗ {place}\n{text}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
