"""`pater audit`: verify the log of the journal, export it, archive months, prove single entries."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import click
import orjson
from cryptography import x509

from pater.access.transparency import archive_file, archives, exporting, proving, reading
from pater.access.transparency.archive_file import ArchiveError
from pater.access.transparency.heads import HeadError, SignedHead, from_json
from pater.access.transparency.log import LogKeys, certificates
from pater.access.transparency.proving import NotThereError, Proof
from pater.access.transparency.verifying import Report, check
from pater.cli.common import fail, readable, settings_of
from pater.clock import now
from pater.running import running_database
from pater.settings import Settings
from pater.store.journal import place_of, read_entry
from pater.store.journal_received import Waiting, in_quarantine
from pater.trust import log_keys
from pater.trust.log_keys import public_keys
from pater.trust.tsa import self_made

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SINCE = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])
_MONTH = click.DateTime(["%Y-%m"])
_OWN = "Name public keys: --keys and --authorities (`pater audit keys` writes them)."


@click.group()
def audit() -> None:
    """The transparency log of the journal."""


@audit.command()
@click.argument("file", required=False, type=_FILE)
@click.option("--keys", type=_FILE, help="JWK Set of the keys that sign heads.")
@click.option("--authorities", type=_FILE, help="PEM of the roots of time stamps.")
@click.option("--known", type=_FILE, help="Heads kept elsewhere: one JSON a line, or one alone.")
@click.option("--since", type=_SINCE, help="Only what came after (UTC).")
@readable
def verify(
    file: Path | None,
    keys: Path | None,
    authorities: Path | None,
    known: Path | None,
    since: datetime | None,
) -> None:
    """Verify all heads, stamps and entries: of the running database, or of an exported FILE.

    Without --keys and --authorities those of this data folder are trusted, or of the FILE itself.
    """
    kept = _heads(known) if known else []
    try:
        if file is None:
            report = asyncio.run(_of_database(settings_of(), keys, authorities, kept, since))
        else:
            report = _of_file(file, keys, authorities, kept)
    except exporting.ExportError as error:
        fail(str(error), "Export the log anew: pater audit export-log FILE")
    for line in told(report):
        click.echo(line)
    if not report.good:
        sys.exit(1)


@audit.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--month", type=_MONTH, help="This month alone, whatever the settings say.")
@readable
def archive(dry_run: bool, month: datetime | None) -> None:
    """Move months of the journal into archive files, and remove those whose time is over.

    The service does it by itself. What is broken off is done again the next time.
    """
    try:
        lines = asyncio.run(_archive(settings_of(), dry_run, month.date() if month else None))
    except ArchiveError as error:
        fail(f"Not archived: {error}.", "The journal is as it was.")
    for line in lines or ["nothing is due"]:
        click.echo(f"✓ {line}")


@audit.command()
@click.argument("month", type=_MONTH)
@readable
def restore(month: datetime) -> None:
    """Bring the entries of an archived MONTH (2026-01) back into the journal.

    The service leaves them there; `pater audit archive --month` moves them out again.
    """
    try:
        count = asyncio.run(_restore(settings_of(), month.date()))
    except ArchiveError as error:
        fail(f"Not restored: {error}.", "See `pater audit archives`.")
    click.echo(f"✓ {count} entries of {month:%Y-%m} are back")


@audit.command(name="archives")
@readable
def archives_command() -> None:
    """List the months that are archived, restored or purged."""
    for one in asyncio.run(_archives(settings_of())):
        said = one.signed.archive()
        click.echo(f"{one.month:%Y-%m}  {one.state:9} {said.entries:>12} entries  {said.file}")


@audit.command()
@click.argument("entry")
@readable
def prove(entry: str) -> None:
    """Print the proof for an ENTRY (the id of an AuditEvent), also of an archived one, as JSON."""
    try:
        proof = asyncio.run(_prove(settings_of(), UUID(entry)))
    except ValueError:
        fail("That is no id of an AuditEvent.", "It looks like 0190c7f0-….")
    except (NotThereError, ArchiveError) as error:
        fail(f"There is no proof: {error}.", "See `pater audit archives`.")
    click.echo(orjson.dumps(proof.as_json()).decode())
    if not proof.verified:
        fail("The entry does not agree with the log.", "See `pater audit verify`.")


@audit.command()
@click.option("--count", default=50, show_default=True, type=click.IntRange(1, 1000))
@readable
def quarantine(count: int) -> None:
    """List events told by others about people whom nobody here knows."""
    for one in asyncio.run(_quarantine(settings_of(), count)):
        click.echo(f"{one.at:%Y-%m-%d %H:%M}  {one.entry}  {one.sender}  {one.reason}")


@audit.command(name="export-log")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--since", type=_SINCE, help="Only what came after (UTC).")
@readable
def export_log(file: Path, since: datetime | None) -> None:
    """Write entries, leaves and heads to FILE (NDJSON). It holds what the journal holds."""
    count = asyncio.run(_export(settings_of(), file, _utc(since)))
    click.echo(f"✓ {count} bytes in {file}")


@audit.command(name="keys")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@readable
def keys_command(folder: Path) -> None:
    """Write the public keys into FOLDER: log-keys.json, time-stamps.pem."""
    jwks, pem = _public(settings_of())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log-keys.json").write_bytes(orjson.dumps(jwks) + b"\n")
    (folder / "time-stamps.pem").write_text(pem, "ascii")
    click.echo(f"✓ {folder}/log-keys.json, {folder}/time-stamps.pem")


def told(report: Report) -> list[str]:
    """A report for people."""
    lines = [f"✗ {problem.text}" for problem in report.problems]
    if report.untold:
        lines.append(f"✗ and {report.untold} more")
    lines += [f"! {text}" for text in report.warnings]
    counts = f"{report.leaves} entries, {report.heads} heads, {report.stamps} time stamps"
    if report.away:
        counts += f"; {report.away} of the entries are archived"
    if report.last is not None:
        counts += f"; the last head is of {report.last.time:%Y-%m-%d %H:%M:%S} UTC"
    return [*lines, f"{'✓ nothing is wrong' if report.good else '✗ tampered with'}: {counts}"]


async def _of_database(
    settings: Settings,
    keys: Path | None,
    authorities: Path | None,
    known: Sequence[SignedHead],
    since: datetime | None,
) -> Report:
    jwks, pem = ({}, "") if keys and authorities else _public(settings)
    trusted = _keys(_json(keys) if keys else jwks)
    roots = certificates(authorities) if authorities else _roots(pem)
    async with (
        running_database(settings) as db,
        db.transaction(read_only_snapshot=True) as connection,
    ):
        report = await check(reading.stream(connection, _utc(since)), trusted, roots, known)
        waiting = await reading.uncovered(connection)
        kept = await archives.kept(connection)
    for one in kept:
        if one.state == "archived":
            _check_archive(report, one, settings.journal_folder, trusted)
    if waiting:
        click.echo(f"{waiting} newer entries wait for the next head.")
    return report


def _check_archive(
    report: Report, one: archives.Kept, folder: Path, keys: Mapping[str, Any]
) -> None:
    try:
        said = one.signed.verified(keys)
        archive_file.check(folder / said.file, said)
    except ArchiveError as error:
        report.add("archive", f"The archive of {one.month:%Y-%m} is not good: {error}.")


async def _archive(settings: Settings, dry_run: bool, month: date | None) -> list[str]:
    folder, moment = settings.journal_folder, now()
    months, years = settings.journal_months, settings.journal_years
    async with running_database(settings) as db:
        if dry_run:
            due = await archives.due(db, moment, months, years)
            wanted = (month,) if month else due.archive
            return [f"would archive {each:%Y-%m}" for each in wanted] + [
                f"would purge {each:%Y-%m}" for each in (() if month else due.purge)
            ]
        key = _log_keys(settings).head
        if month:
            done = await archives.archive_month(db, key, folder, month, moment)
            return [f"archived {month:%Y-%m}: {done.entries} entries, {done.size} bytes"]
        return await archives.keep_up(db, key, folder, moment, months, years)


async def _restore(settings: Settings, month: date) -> int:
    keys = public_keys(_log_keys(settings).head.jwks())
    async with running_database(settings) as db:
        return await archives.restore_month(db, keys, settings.journal_folder, month, now())


async def _archives(settings: Settings) -> list[archives.Kept]:
    async with running_database(settings) as db:
        return await archives.kept(db)


async def _prove(settings: Settings, id: UUID) -> Proof:
    place = place_of(id)
    if place is None:
        raise NotThereError("that is not an id of this journal")
    key = _log_keys(settings).head
    async with running_database(settings) as db:
        entry = None
        if await read_entry(db, id) is None:
            entry = await archives.find(db, key, settings.journal_folder, id, *place)
        return await proving.prove(db, key, *place, entry=entry)


async def _quarantine(settings: Settings, count: int) -> list[Waiting]:
    async with running_database(settings) as db:
        return await in_quarantine(db, count)


def _of_file(
    file: Path, keys: Path | None, authorities: Path | None, known: Sequence[SignedHead]
) -> Report:
    with file.open("rb") as source:
        jwks, pem = exporting.read_header(source.readline(exporting.LONGEST_LINE))
        if keys is None or authorities is None:
            click.echo("! Keys of the file itself are trusted: who forged it could forge them too.")
        trusted = _keys(_json(keys) if keys else jwks)
        roots = certificates(authorities) if authorities else _roots(pem)
        return asyncio.run(check(exporting.read(_lines(source)), trusted, roots, known))


def _lines(source: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file, none longer than one of an export is."""
    while line := source.readline(exporting.LONGEST_LINE):
        yield line


async def _export(settings: Settings, file: Path, since: datetime | None) -> int:
    jwks, pem = _public(settings)
    written = 0
    async with (
        running_database(settings) as db,
        db.transaction(read_only_snapshot=True) as connection,
    ):
        with _written(file) as target:
            written += target.write(exporting.header(jwks, pem))
            async for part in exporting.lines(reading.stream(connection, since)):
                written += target.write(part)
    return written


@contextmanager
def _written(file: Path) -> Iterator[IO[bytes]]:
    """A file that only its owner may read and that is there when it is whole."""
    draft = file.with_name(f".{file.name}.part")
    try:
        with draft.open("wb") as target:
            draft.chmod(0o600)
            yield target
        draft.replace(file)
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}", "Name a file in another folder.")
    finally:
        draft.unlink(missing_ok=True)


def _public(settings: Settings) -> tuple[dict[str, Any], str]:
    """The public part of the keys of this data folder; it makes none."""
    return _log_keys(settings).public()


def _log_keys(settings: Settings) -> LogKeys:
    folder = settings.data / "keys"
    if not all((folder / name).exists() for name in (log_keys.FILE, self_made.FILE)):
        fail(f"There are no keys of a log in {folder}.", _OWN)
    return LogKeys.of_folder(folder, now, settings.stamp_roots)


def _keys(jwks: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return public_keys(jwks)
    except ValueError:
        fail("The keys are no JWK Set.", _OWN)


def _roots(pem: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, x509.InvalidVersion):
        fail("The file names no authority of time stamps that can be read.", _OWN)


def _json(path: Path) -> Any:
    try:
        return orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        fail(f"{path} is not JSON.", _OWN)


def _heads(path: Path) -> list[SignedHead]:
    try:
        lines = path.read_bytes().splitlines()
        return [from_json(orjson.loads(line)) for line in lines if line.strip()]
    except (OSError, ValueError, HeadError):
        fail(f"{path} holds no heads.", "Keep them from GET /audit/log/head, one a line.")


def _utc(since: datetime | None) -> datetime | None:
    return None if since is None else since.replace(tzinfo=UTC)
