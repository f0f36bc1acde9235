"""The command: `python -m bench` measures, `… profile WHAT` says where the time goes, `… peer`."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

import orjson

from bench import linkage, size
from bench.bulk import Bulk, bulk, told
from bench.child import ServerError
from bench.consistency import check
from bench.consistency import told as consistency
from bench.directory import Country, directory
from bench.directory import told as directory_told
from bench.matching import Register, matching
from bench.matching import told as matching_told
from bench.measure import BenchError, Options
from bench.peer import peer
from bench.policy import Deciding, policy
from bench.policy import told as policy_told
from bench.profiling import WORKLOADS, profile
from bench.report import report
from bench.section import Api
from bench.suite import Suite, suite
from bench.terminology import Terminology, terminology
from bench.terminology import told as terminology_told
from bench.transparency import Following, transparency
from bench.transparency import told as transparency_told
from bench.validation import told as validation_told
from bench.validation import validation

_RESULTS = Path(__file__).resolve().parent / "results"


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", default="", metavar="REGEX", help="only what is called like this")
    parser.add_argument("--seconds", type=float, default=12, help="of sending documents")
    parser.add_argument("--read-seconds", type=float, default=2, help="of one round of reads")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of reads")
    parser.add_argument("--api-seconds", type=float, default=1.5, help="of a workload of the API")
    parser.add_argument("--patients", type=int, default=160, help="a hundred resources each")
    parser.add_argument("--bulk", type=int, default=20_000, help="resources imported, exported")
    parser.add_argument("--documents", type=int, default=1280, help="at most so many of each kind")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--out", type=Path, default=_RESULTS / "latest.json")
    commands = parser.add_subparsers(dest="command")
    one = commands.add_parser("profile", help="where the server's time goes")
    one.add_argument("workload", choices=WORKLOADS)
    one.add_argument("--seconds", dest="profile_seconds", type=float, default=10)
    one.add_argument("--lines", type=int, default=30, help="of each list")
    for name in ("import", "export"):
        three = commands.add_parser(name, help=f"bulk {name} of a made-up population")
        three.add_argument("--resources", type=int, default=100_000)
        three.add_argument("--trust", action="store_true", help="import without validation")
    four = commands.add_parser("size", help="reads and searches at two sizes")
    four.add_argument("--resources", dest="large", type=int, default=5_000_000)
    four.add_argument("--small", type=int, default=100_000)
    four.add_argument("--out", dest="size_out", type=Path, default=_RESULTS / "latest-size.json")
    commands.add_parser("validation", help="base R4, invariants and profiles beside jsonschema-rs")
    five = commands.add_parser("terminology", help="a code system of 350,000 concepts")
    five.add_argument("--concepts", type=int, default=350_000)
    six = commands.add_parser("transparency", help="the log of the journal, and what it costs")
    six.add_argument("--entries", type=int, default=20_000)
    six.add_argument("--log-rounds", type=int, default=5)
    seven = commands.add_parser("policy", help="searches decided by policy, beside none")
    seven.add_argument("--consents", type=int, default=200)
    seven.add_argument("--policy-rounds", type=int, default=9)
    eight = commands.add_parser("directory", help="facilities near a place that offer something")
    eight.add_argument("--places", type=int, default=35_000)
    eight.add_argument("--professionals", type=int, default=400_000)
    commands.add_parser("linkage", help="quality of matching beside Splink and recordlinkage")
    nine = commands.add_parser("matching", help="finding persons in a large register")
    nine.add_argument("--persons", type=int, default=100_000)
    nine.add_argument("--questions", type=int, default=400)
    nine.add_argument("--indexes-later", action="store_true", help="made when all is loaded")
    nine.add_argument("--memory", type=int, default=0, help="MB of the database of --keep")
    nine.add_argument("--rest", type=int, default=0, help="seconds of rest for the disk before")
    nine.add_argument("--cold", action="store_true", help="nothing is read into memory before")
    nine.add_argument("--keep", type=Path, help="where the register stays, to be asked again")
    nine.add_argument("--series", type=int, default=0, help="about which persons, of a kept one")
    four = commands.add_parser("consistency", help="clients, kills, and a checker of histories")
    four.add_argument("--minutes", type=float, default=10)
    four.add_argument("--seed", type=int, default=1)
    two = commands.add_parser("peer", help="run a peerbench harness against an empty server")
    two.add_argument("--harness", type=Path, required=True, help="folder with package peerbench")
    two.add_argument("--out", dest="peer_out", type=Path, default=_RESULTS / "latest-peer.json")
    two.add_argument("--set", action="append", default=[], metavar="OPTION=JSON")
    two.add_argument("--skip", action="append", default=[], metavar="REGEX")
    two.add_argument("--hapi", type=Path, help="WAR of a HAPI FHIR server for the same run")
    two.add_argument("--workers", type=int, default=1, help="server processes of ours")
    return parser


def _keep(result: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")


def main() -> int:
    """Runs what was asked for; 1 when the server did not come up or answered wrongly."""
    if sys.argv[1:2] == ["linkage"]:
        return linkage.run(sys.argv[2:])
    asked = _options().parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # servers end with us
    try:
        if asked.command == "profile":
            print(profile(asked.workload, asked.profile_seconds, asked.lines))
            return 0
        if asked.command in ("import", "export"):
            found = bulk(Bulk(asked.resources, asked.trust, asked.command == "export"))
            _keep(found, _RESULTS / f"latest-{asked.command}.json")
            print(told(found))
            return 0
        if asked.command == "size":
            found = size.size(size.Size(asked.small, asked.large))
            _keep(found, asked.size_out)
            print(size.told(found))
            return 0
        if asked.command == "validation":
            timed = validation()
            _keep(timed, _RESULTS / "latest-validation.json")
            print(validation_told(timed))
            return 0
        if asked.command == "terminology":
            found = terminology(Terminology(asked.concepts))
            _keep(found, _RESULTS / "latest-terminology.json")
            print(terminology_told(found))
            return 0
        if asked.command == "transparency":
            found = transparency(Following(asked.entries, asked.log_rounds))
            _keep(found, _RESULTS / "latest-transparency.json")
            print(transparency_told(found))
            return 0
        if asked.command == "policy":
            found = policy(Deciding(consents=asked.consents, rounds=asked.policy_rounds))
            _keep(found, _RESULTS / "latest-policy.json")
            print(policy_told(found))
            return 0
        if asked.command == "directory":
            found = directory(Country(asked.places, asked.professionals))
            _keep(found, _RESULTS / "latest-directory.json")
            print(directory_told(found))
            return 0
        if asked.command == "matching":
            found = matching(
                Register(
                    asked.persons,
                    asked.questions,
                    max(200, asked.questions // 4),
                    later=asked.indexes_later,
                    memory=asked.memory,
                    rest=asked.rest,
                    cold=asked.cold,
                    kept=asked.keep,
                    series=asked.series,
                )
            )
            _keep(found, _RESULTS / "latest-matching.json")
            print(matching_told(found))
            return 0
        if asked.command == "consistency":
            verdict = check(asked.minutes, asked.seed)
            print(consistency(verdict))
            return 1 if verdict.wrong else 0
        if asked.command == "peer":
            return peer(
                asked.harness,
                asked.peer_out,
                asked.set,
                asked.skip,
                hapi=asked.hapi,
                workers=asked.workers,
            )
        result = suite(
            Suite(
                Options(
                    seconds=asked.seconds,
                    read_seconds=asked.read_seconds,
                    rounds=asked.rounds,
                    documents=asked.documents,
                    connections=asked.connections,
                ),
                Api(patients=asked.patients, seconds=asked.api_seconds),
                asked.bulk,
                asked.only,
            )
        )
    except (BenchError, ServerError) as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    _keep(result, asked.out)
    print(report(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
