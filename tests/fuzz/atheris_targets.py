"""Coverage-guided fuzzing of one target: `python -m tests.fuzz.atheris_targets TARGET [options]`.

Options are libFuzzer's (`-max_total_time=60`, `-seed=1`, a corpus folder). Ends with a traceback
and a file `crash-…` when a target raises what it must not.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

# What is not looked into starts many times faster.
ROOMS = {"filter": "pater.fhir.search", "fhirpath": "pater.fhir.fhirpath"}

with atheris.instrument_imports(include=[ROOMS.get(sys.argv[1], "pater")]):
    from tests.fuzz.targets import TARGETS

from tests.fuzz.seeds import seeds  # noqa: E402 (after what is to be looked into)


def main() -> None:
    """Runs the target named first until libFuzzer's options end it."""
    name, *options = sys.argv[1:]
    target = TARGETS[name]
    with tempfile.TemporaryDirectory(prefix="pater-fuzz-") as folder:
        for number, seed in enumerate(seeds(name)):
            (Path(folder) / f"seed-{number}").write_bytes(seed)
        atheris.Setup(["fuzz", "-timeout=20", "-rss_limit_mb=2048", *options, folder], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
