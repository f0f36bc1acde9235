"""`pater validate`: validates files against FHIR R4 and profiles, without a server."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from pater.cli.common import fail
from pater.fhir import xml
from pater.fhir.issues import Issue, has_errors, operation_outcome
from pater.fhir.json import JsonError, dumps, parse
from pater.fhir.packages import PackageError, resources
from pater.fhir.validation.local_terms import LocalTerms
from pater.fhir.validation.profiles import Profiles
from pater.fhir.validation.run import Settings
from pater.fhir.validation.whole import validate_whole
from pater.fhir.xml import XmlError

_KINDS = frozenset(
    ("StructureDefinition", "ValueSet", "CodeSystem", "Questionnaire", "Measure", "SearchParameter")
)
_BULK = frozenset(("snapshot", "text", "mapping", "contact"))


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--package",
    "packages",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="FHIR package (.tgz or folder), or a file with one definition; the first one counts.",
)
@click.option("--profile", "profiles", multiple=True, help="Canonical address to conform to.")
@click.option("--strict", is_flag=True, help="What is not known and wrong names are errors.")
@click.option("--trust", multiple=True, help="Beginning of addresses of extensions to let pass.")
@click.option("--must-support", is_flag=True, help="Also name absent supported elements.")
@click.option("--json", "as_json", is_flag=True, help="One OperationOutcome a line.")
def validate(
    files: tuple[Path, ...],
    packages: tuple[Path, ...],
    profiles: tuple[str, ...],
    strict: bool,
    trust: tuple[str, ...],
    must_support: bool,
    as_json: bool,
) -> None:
    """Validate resources (JSON or XML) against FHIR R4, their profiles and those of --profile.

    Ends with status 1 when one of them has an error.
    """
    known = _definitions(packages)

    def source(canonical: str) -> dict[str, Any] | None:
        body = known.get(canonical) or known.get(canonical.partition("|")[0])
        return None if body is None else parse(body, max_depth=256)

    registry, terms = Profiles(source), LocalTerms(source)
    settings = Settings(
        unknown_extensions="error" if strict else "information",
        trusted_extensions=trust,
        unknown_profiles="error" if strict else "warning",
        displays="error" if strict else "warning",
        must_support=must_support,
        clock=lambda: datetime.now(UTC),
    )
    wrong = False
    for path in files:
        issues = _read(path)
        if isinstance(issues, dict):
            issues = validate_whole(
                issues, registry, terms=terms, settings=settings, asked=profiles
            )
        wrong = wrong or has_errors(issues)
        if as_json:
            click.echo(dumps(operation_outcome(issues)))
            continue
        click.echo(f"{path}: {'has errors' if has_errors(issues) else 'conforms'}")
        for each in issues:
            click.echo(f"  {each.severity:<11} {each.path or '(whole)'}: {each.text}")
    sys.exit(wrong)


def _read(path: Path) -> dict[str, Any] | list[Issue]:
    """The resource in a file, or what is wrong with the file as such."""
    body = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    try:
        if body.lstrip()[:1] == b"<":
            return xml.parse(body)
        return parse(body)
    except JsonError as error:
        return [Issue("fatal", "structure", "", str(error))]
    except XmlError as error:
        return list(error.issues)


def _definitions(sources: tuple[Path, ...]) -> dict[str, bytes]:
    """Canonical address, with and without version → definition, without what is not read."""
    out: dict[str, bytes] = {}
    for path in sources:
        try:
            found = [_definition(path)] if path.suffix in (".json", ".xml") else resources(path)
            for each in found:
                if each.get("resourceType") not in _KINDS or not isinstance(each.get("url"), str):
                    continue
                bulk = _BULK if "differential" in each else frozenset(("text",))
                body = dumps({key: value for key, value in each.items() if key not in bulk})
                out.setdefault(each["url"], body)
                out.setdefault(f"{each['url']}|{each.get('version', '')}", body)
        except PackageError as error:
            fail(f"{path}: {error}.")
    return out


def _definition(path: Path) -> dict[str, Any]:
    found = _read(path)
    if isinstance(found, list):
        raise PackageError(found[0].text)
    return found
