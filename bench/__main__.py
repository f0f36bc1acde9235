"""The command: `python -m bench` measures, `… profile WHAT` says where the time goes, `… peer`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import orjson

from bench.measure import BenchError, Options, run
from bench.peer import peer
from bench.profiling import WORKLOADS, profile
from bench.report import report
from bench.server import ServerError

_RESULTS = Path(__file__).resolve().parent / "results"


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=12, help="of sending documents")
    parser.add_argument("--read-seconds", type=float, default=3, help="of one round of reads")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of reads")
    parser.add_argument("--documents", type=int, default=1280, help="at most so many of each kind")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--out", type=Path, default=_RESULTS / "latest.json")
    commands = parser.add_subparsers(dest="command")
    one = commands.add_parser("profile", help="where the server's time goes")
    one.add_argument("workload", choices=WORKLOADS)
    one.add_argument("--seconds", dest="profile_seconds", type=float, default=10)
    one.add_argument("--lines", type=int, default=30, help="of each list")
    two = commands.add_parser("peer", help="run a peerbench harness against an empty server")
    two.add_argument("--harness", type=Path, required=True, help="folder with package peerbench")
    two.add_argument("--out", dest="peer_out", type=Path, default=_RESULTS / "latest-peer.json")
    two.add_argument("--set", action="append", default=[], metavar="OPTION=JSON")
    two.add_argument("--skip", action="append", default=[], metavar="REGEX")
    return parser


def main() -> int:
    """Runs what was asked for; 1 when the server did not come up or answered wrongly."""
    asked = _options().parse_args()
    try:
        if asked.command == "profile":
            print(profile(asked.workload, asked.profile_seconds, asked.lines))
            return 0
        if asked.command == "peer":
            return peer(asked.harness, asked.peer_out, asked.set, asked.skip)
        result = run(
            Options(
                seconds=asked.seconds,
                read_seconds=asked.read_seconds,
                rounds=asked.rounds,
                documents=asked.documents,
                connections=asked.connections,
            )
        )
    except (BenchError, ServerError) as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")
    print(report(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
