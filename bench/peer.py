"""Runs a neutral FHIR load harness against an empty server, for numbers beside other servers'."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import orjson

from bench.hapi import Hapi
from bench.server import Server

# What this release does not do; a search that is refused the harness itself leaves out.
SKIPPED: Final[tuple[str, ...]] = ()


def peer(
    harness: Path,
    out: Path,
    settings: Sequence[str],
    skip: Sequence[str],
    *,
    hapi: Path | None = None,
    workers: int = 1,
) -> int:
    """Runs `peerbench` from the folder `harness`, writes its results to `out`, gives its status.

    `hapi` is the WAR of a HAPI FHIR server to be measured in the same run, one after the other.
    """
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        server = stack.enter_context(Server(workers=workers))
        target = {
            "name": "pater",
            "base_url": f"http://127.0.0.1:{server.port}/fhir",
            "auth": {"type": "bearer", "token": "${PATER_TOKEN}"},
            # Several embedded servers on one machine look alike here: measure on a quiet one.
            "procs": [f"pater demo .*--port {server.port}", "postgres: pater pater"],
            "skip": [*SKIPPED, *skip],
            "notes": f"pater demo --empty, {workers} process(es), embedded PostgreSQL",
        }
        others = [] if hapi is None else [stack.enter_context(Hapi(hapi)).target]
        targets = server.folder / "targets.json"
        targets.write_bytes(orjson.dumps({"targets": [target, *others]}))
        options = [word for one in settings for word in ("--set", one)]
        done = subprocess.run(
            [sys.executable, "-m", "peerbench", "run", str(targets), "--out", str(out), *options],
            env={
                **os.environ,
                "PATER_TOKEN": server.token("loader"),
                "PYTHONPATH": str(harness.resolve()),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            cwd=server.folder,
            check=False,
        )
    return done.returncode
