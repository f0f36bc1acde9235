"""`pater jobs` and `pater worker`: what is under way, and further processes to do it."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime

import click

from pater import log_lines
from pater.cli.common import readable, settings_of
from pater.running import running_database, running_dsn
from pater.settings import Settings
from pater.store.jobs import JobRow, cancel, listing

_STATES = ("waiting", "running", "done", "failed", "cancelled")


@click.command()
@click.option("--state", type=click.Choice(_STATES), default=None, help="Only these.")
@click.option("--kind", default="", help="Only jobs of this kind.")
@click.option("--count", default=50, show_default=True, help="The newest so many.")
@click.option("--cancel", "stop", metavar="ID", help="End this job.")
@readable
def jobs(state: str | None, kind: str, count: int, stop: str | None) -> None:
    """List the jobs of a running Páteř, newest first, or end one."""
    asyncio.run(_jobs(settings_of(), state or "", kind, count, stop))


async def _jobs(settings: Settings, state: str, kind: str, count: int, stop: str | None) -> None:
    async with running_database(settings) as db:
        if stop is not None:
            click.echo("cancelled" if await cancel(db, stop) else "there is no such unfinished job")
            return
        rows = await listing(db, state=state, kind=kind, count=count)
        now = datetime.now(UTC)
        for row in rows:
            click.echo(line(row, now))
        if not rows:
            click.echo("no jobs")


def line(row: JobRow, now: datetime) -> str:
    """One job for people: id, kind, state, age, attempts, progress, last error."""
    age = int((now - row.created).total_seconds())
    progress = f"{row.done}/{row.total}" if row.total else str(row.done)
    parts = [row.id, f"{row.kind:12}", f"{row.state:9}", f"{age:>7} s", f"attempt {row.attempts}"]
    return "  ".join([*parts, progress, row.note, row.error]).rstrip()


@click.command()
@readable
def worker() -> None:
    """Do the jobs of a running Páteř in a process of their own, beside the serving one."""
    settings = settings_of()
    log_lines.configure(settings.log_level)
    asyncio.run(_work(settings, running_dsn(settings)))


async def _work(settings: Settings, dsn: str) -> None:
    from pater.app import open_house, workers

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with open_house(settings, dsn) as house, workers(house):
        await stop.wait()
