"""`pater seal`: seal files, look at seals, and give them a higher level."""

from __future__ import annotations

import asyncio
import mimetypes
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import click
import orjson

from pater.certifying import seal_service
from pater.cli.common import fail, readable, settings_of
from pater.clock import now
from pater.running import running_database
from pater.trust.seal import families
from pater.trust.seal.certificates import anchors_of
from pater.trust.seal.model import (
    LONGEST,
    Content,
    Format,
    Indication,
    Level,
    Order,
    Packaging,
    Report,
    Rules,
    SealError,
    SignatureReport,
)
from pater.trust.seal.service import Service

P = ParamSpec("P")
T = TypeVar("T")
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER: Final = click.Path(exists=True, file_okay=False, path_type=Path)
_LEVELS: Final = [level.name for level in Level]
_STATUS: Final = {Indication.PASSED: 0, Indication.FAILED: 1, Indication.INDETERMINATE: 2}
_ENDINGS: Final = {
    Format.CADES: ".p7m",
    Format.PADES: ".sealed.pdf",
    Format.XADES: ".sealed.xml",
    Format.JADES: ".jws",
    Format.ASIC_S: ".asics",
    Format.ASIC_E: ".asice",
}
_DETACHED: Final = {Format.CADES: ".p7s", Format.XADES: ".xades.xml", Format.JADES: ".jades.json"}


@click.group()
def seal() -> None:
    """Seal files, look at seals, and make seals last longer."""


def _told(function: Callable[P, None]) -> Callable[P, None]:
    """Turns what cannot be done into a message."""

    @wraps(function)
    @readable
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except SealError as error:
            fail(error.text.en)

    return wrapped


@asynccontextmanager
async def _service() -> AsyncIterator[Service]:
    settings = settings_of()
    async with running_database(settings) as db:
        yield seal_service(settings, db, now)


def _with(work: Callable[[Service], Awaitable[T]]) -> T:
    async def run() -> T:
        async with _service() as service:
            return await work(service)

    return asyncio.run(run())


@seal.command()
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option("--format", "kind", type=click.Choice([one.value for one in Format]))
@click.option("--level", type=click.Choice(_LEVELS), default=Level.T.name, show_default=True)
@click.option("--detached", is_flag=True, help="Write the seal alone, beside the file.")
@click.option("--with", "inner", type=click.Choice(["CAdES", "XAdES"]), default="CAdES",
              show_default=True, help="What signs within a container.")  # fmt: skip
@click.option("--option", "options", multiple=True, help="NAME=VALUE of a format; repeat it.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where to write.")
@_told
def create(
    files: tuple[Path, ...],
    kind: str | None,
    level: str,
    detached: bool,
    inner: str,
    options: tuple[str, ...],
    out: Path | None,
) -> None:
    """Seal FILES with the key of this installation; several go into a container.

    Without --format: PAdES for a PDF, ASiC-E for several files, else CAdES.
    """
    wanted = Format(kind) if kind else _format_of(files)
    packaging = Packaging.DETACHED if detached else _packaging(wanted)
    order = Order(
        wanted, Level[level], packaging, tuple(_content(file) for file in files), Format(inner),
        tuple(_option(one) for one in options),
    )  # fmt: skip
    made = _with(lambda service: service.create(order))
    endings = _DETACHED if detached else _ENDINGS
    target = out or files[0].with_name(files[0].name + endings.get(wanted, ".seal"))
    _write(target, made)


@seal.command()
@click.argument("file", type=_FILE)
@click.option("--content", "contents", multiple=True, type=_FILE,
              help="What was sealed, when the seal is apart from it; repeat it.")  # fmt: skip
@click.option("--roots", type=_FOLDER,
              help="Folder of PEM files: believe only these, ask nobody, no database.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@_told
def validate(file: Path, contents: tuple[Path, ...], roots: Path | None, as_json: bool) -> None:
    """Say what is to be thought of the seals of FILE (ETSI EN 319 102-1).

    Status 0: all passed. 1: one is wrong. 2: it cannot be told.
    """
    data, content = _read(file), tuple(_content(one) for one in contents)
    if roots is not None:
        rules = Rules(at=now(), anchors=anchors_of(roots))
        report = asyncio.run(families.validate(data, rules, content))
    else:
        report = _with(lambda service: service.validate(data, content))
    if as_json:
        click.echo(orjson.dumps(report.as_dict(), option=orjson.OPT_INDENT_2).decode())
    else:
        for line in told(report):
            click.echo(line)
    sys.exit(_STATUS[report.indication])


@seal.command()
@click.argument("file", type=_FILE)
@click.option("--level", type=click.Choice(_LEVELS[1:]), default=Level.LTA.name, show_default=True)
@click.option("--content", "contents", multiple=True, type=_FILE,
              help="What was sealed, when the seal is apart from it; repeat it.")  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path),
              help="Where to write; in place of FILE when not said.")  # fmt: skip
@_told
def extend(file: Path, level: str, contents: tuple[Path, ...], out: Path | None) -> None:
    """Give the seals of FILE a higher level; LTA again adds a further archive stamp."""
    data, content = _read(file), tuple(_content(one) for one in contents)
    made = _with(lambda service: service.extend(data, Level[level], content))
    _write(out or file, made)


def told(report: Report) -> list[str]:
    """A report for people."""
    lines = []
    for one in report.signatures:
        mark = {Indication.PASSED: "✓", Indication.FAILED: "✗"}.get(one.indication, "?")
        sub = f" {one.sub.value}" if one.sub else ""
        lines.append(f"{mark} {one.indication.value}{sub}  {one.format.value} {one.level.name}")
        lines += [f"    {line}" for line in _details(one)]
    return lines


def _details(one: SignatureReport) -> list[str]:
    said = {
        "sealed by": one.subject,
        "covers": ", ".join(one.covers),
        "says it was made": one.claimed and f"{one.claimed:%Y-%m-%d %H:%M:%S} UTC",
        "was there at": one.proved and f"{one.proved:%Y-%m-%d %H:%M:%S} UTC",
    }
    lines = [f"{name}: {value}" for name, value in said.items() if value]
    return lines + [f"{'✓' if check.passed else '✗'} {check.text.en}" for check in one.checks]


def _format_of(files: tuple[Path, ...]) -> Format:
    if len(files) > 1:
        return Format.ASIC_E
    return Format.PADES if files[0].suffix.lower() == ".pdf" else Format.CADES


def _packaging(kind: Format) -> Packaging:
    return Packaging.ENVELOPED if kind in (Format.PADES, Format.XADES) else Packaging.ATTACHED


def _option(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name or not value:
        fail(f"{text!r} is no option.", "Write NAME=VALUE.")
    return name, value


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_size > LONGEST:
            fail(f"{file} is larger than {LONGEST >> 20} MiB.")
        return file.read_bytes()
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")


def _content(file: Path) -> Content:
    mime = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return Content(_read(file), file.name, mime)


def _write(target: Path, data: bytes) -> None:
    """The file appears whole or not at all."""
    draft = target.with_name(f".{target.name}.part")
    try:
        draft.write_bytes(data)
        draft.replace(target)
    except OSError as error:
        fail(f"{target} cannot be written: {error.strerror}")
    finally:
        draft.unlink(missing_ok=True)
    click.echo(f"✓ {target}")
