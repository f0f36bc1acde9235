"""`pater testscript`: runs TestScript resources against a server."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import httpx

from pater.cli.common import fail
from pater.fhir.json import dumps
from pater.fhir.packages import PackageError, resources
from pater.testscript.messages import ScriptError
from pater.testscript.profiles import Validator
from pater.testscript.reporting import report, summary, totals
from pater.testscript.running import Outcome, Run, load

SCRIPTS = Path(__file__).resolve().parents[1] / "testscript" / "scripts"


@click.command()
@click.argument("scripts", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--base",
    "bases",
    required=True,
    multiple=True,
    help="Address of the FHIR API, as http://host/fhir; once for each destination.",
)
@click.option("--token", help="Bearer token of the requests.", envvar="PATER_TESTSCRIPT_TOKEN")
@click.option("--set", "values", multiple=True, metavar="NAME=VALUE", help="Value of a variable.")
@click.option(
    "--package",
    "packages",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="FHIR package (.tgz) with profiles that the scripts name.",
)
@click.option("--report", "folder", type=click.Path(path_type=Path), help="Folder of TestReports.")
@click.option("--verbose", is_flag=True, help="Show every step.")
def testscript(
    scripts: tuple[Path, ...],
    bases: tuple[str, ...],
    token: str | None,
    values: tuple[str, ...],
    packages: tuple[Path, ...],
    folder: Path | None,
    verbose: bool,
) -> None:
    """Run TestScript resources (files or folders; none = those that ship) against a server.

    Ends with status 1 when one of them fails.
    """
    given = dict(_value(each) for each in values)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    outcomes: list[Outcome] = []
    validator = _validator(packages)
    with httpx.Client(headers=headers, timeout=60) as client:
        for path in _files(scripts or (SCRIPTS,)):
            try:
                script = load(path)
            except ScriptError as error:
                fail(f"{error}.")
            if script.get("resourceType") != "TestScript":
                continue  # a fixture beside the scripts
            run = Run(script, path.parent, client, *bases, given=given, validator=validator)
            outcome = run.run()
            outcomes.append(outcome)
            for line in summary(outcome, verbose=verbose):
                click.echo(line)
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                found = report(outcome, bases[0], datetime.now(UTC))
                (folder / f"{path.stem}.report.json").write_bytes(dumps(found))
    if not outcomes:
        fail("There is no TestScript among these files.")
    click.echo(totals(outcomes))
    sys.exit(not all(outcome.passed for outcome in outcomes))


def _validator(packages: tuple[Path, ...]) -> Validator:
    validator = Validator()
    for package in packages:
        try:
            for resource in resources(package):
                validator.learn(resource)
        except PackageError as error:
            fail(f"{package}: {error}.")
    return validator


def _value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        fail(f"--set {text} is no NAME=VALUE.")
    return name, value


def _files(paths: tuple[Path, ...]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        kinds = (".json", ".xml")
        found += (
            sorted(each for each in path.iterdir() if each.suffix in kinds)
            if path.is_dir()
            else [path]
        )
    return found
