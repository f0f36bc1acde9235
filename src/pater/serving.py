"""Runs one Páteř: the embedded database when none is named, the application, a clean end."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvicorn
import uvloop
from asyncpg import InterfaceError, PostgresError
from starlette.types import ASGIApp

from pater import log_lines, ports, tls
from pater.app import House, build, listeners, open_house, rooms, workers
from pater.maintenance import keep_up
from pater.processes import Processes
from pater.running import RUNNING, ServingError
from pater.settings import Settings
from pater.store import warming
from pater.store.database import Database
from pater.store.embedded import EmbeddedPostgres
from pater.store.embedded_host import EmbeddedError, check_reachable, server_user
from pater.store.migrate import migrate
from pater.tls import TlsProtocol
from pater.web.pages import DemoAccount


def make_data_folder(settings: Settings) -> None:
    """Creates the data folder; others (the database's user) may pass it, not list it.

    Raises ServingError.
    """
    try:
        settings.data.mkdir(mode=0o711, parents=True, exist_ok=True)
        probe = settings.data / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ServingError(
            f"The data folder {settings.data} cannot be used: {error.strerror}.",
            "Mend its rights, or choose another one: PATER_DATA=/path/to/folder",
        ) from error


def database_folder(settings: Settings) -> Path:
    """Where the embedded database lives: in the data folder.

    As root the server runs as another user. When that one may not enter the data folder (a
    checkout below /root), the database lives in /var/lib/pater under a name made of the folder's.
    """
    folder = settings.data / "postgres"
    try:
        check_reachable(server_user(), settings.data)
    except EmbeddedError:
        name = hashlib.sha256(str(settings.data).encode()).hexdigest()[:16]
        return Path("/var/lib/pater") / name
    return folder


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """The address of the database: the named one, or the embedded one for as long as we run."""
    if settings.database_url:
        yield settings.database_url
        return
    embedded = EmbeddedPostgres(database_folder(settings), memory=settings.database_memory)
    dsn = embedded.start()
    note = settings.data / RUNNING
    note.write_text(dsn, "utf-8")
    try:
        yield dsn
    finally:
        note.unlink(missing_ok=True)
        embedded.stop()


async def migrate_only(settings: Settings) -> None:
    """Brings the schema up to date, starting the embedded database when it does not run."""
    make_data_folder(settings)
    with database(settings) as dsn:
        db = await Database.open(dsn, min_size=1, max_size=2)
        try:
            await migrate(db, rooms())
        finally:
            await db.close()


@dataclass(frozen=True, slots=True)
class Extras:
    """What a demonstration adds: work before the port opens, words after, accounts to show."""

    prepare: Callable[[House], Awaitable[None]]
    ready: Callable[[House], Awaitable[None]]
    accounts: Callable[[House], Awaitable[Sequence[DemoAccount]]]


def run(settings: Settings, extras: Extras | None = None) -> None:
    """Serves until it is told to stop."""
    log_lines.configure(settings.log_level)
    make_data_folder(settings)
    with database(settings) as dsn:
        if settings.workers == 1:
            uvloop.run(_serve(settings, dsn, extras))
            return
        uvloop.run(_prepare(settings, dsn, extras))

        def serve(number: int, alive: int) -> None:
            uvloop.run(_serve(settings, dsn, extras, number, alive))

        if not Processes(settings.workers, serve).run():
            raise ServingError(
                "The server processes end again and again.", "What they said stands above."
            )


async def _require_database(settings: Settings, dsn: str) -> None:
    """Raises ServingError when the database does not let us in."""
    try:
        db = await Database.open(dsn, min_size=1, max_size=1)
    except (OSError, ValueError, PostgresError, InterfaceError) as error:
        raise ServingError(
            f"The database cannot be used: {(str(error) or type(error).__name__).splitlines()[0]}.",
            "Look at PATER_DATABASE_URL, and whether that server runs and lets this user in."
            if settings.database_url
            else "Restore the data folder from a backup; do not try to repair it by hand.",
        ) from error
    await db.close()


async def _prepare(settings: Settings, dsn: str, extras: Extras | None) -> None:
    """What comes before several processes serve: the schema, the demonstration's records."""
    await _require_database(settings, dsn)
    async with open_house(settings, dsn) as house:
        if extras is not None:
            await extras.prepare(house)


async def _serve(
    settings: Settings, dsn: str, extras: Extras | None, number: int = 0, alive: int | None = None
) -> None:
    """Serves until told to stop. Process number 0 also does what one alone has to do.

    `alive`: with several processes the pipe whose end is the end of their parent.
    """
    await _require_database(settings, dsn)
    async with open_house(settings, dsn) as house:
        accounts = None
        if extras is not None:
            if alive is None:
                await extras.prepare(house)
            accounts = partial(extras.accounts, house)
        server = _Server(_config(settings, build(house, accounts)))
        if extras is not None and number == 0:
            server.when_started = partial(extras.ready, house)
        if alive is not None:
            asyncio.get_running_loop().add_reader(alive, server.end)
        _calm_collector()
        stop = asyncio.Event()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(_mllp(settings, house))
            await stack.enter_async_context(listeners(house, chores=number == 0))
            await stack.enter_async_context(workers(house))
            group = await stack.enter_async_context(asyncio.TaskGroup())
            if number == 0:
                group.create_task(keep_up(house, stop))
                group.create_task(warming.after_start(house.db, stop))
                if house.services.log is not None:
                    group.create_task(house.services.log.keeper.keep_up(stop))
            await server.serve(None if alive is None else [_shared_port(settings)])
            stop.set()


@asynccontextmanager
async def _mllp(settings: Settings, house: House) -> AsyncIterator[None]:
    """The port of MLLP, where there is one. Raises ServingError."""
    talks = [parts.ports["mllp"] for parts in house.parts.values() if "mllp" in parts.ports]
    if not settings.mllp_port or not talks:
        yield
        return
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(ports.opened(settings, talks[0]))
        except ports.PortError as error:
            advice = "Set PATER_TLS_CERTIFICATE, PATER_TLS_KEY and PATER_TLS_CLIENTS."
            raise ServingError(f"{error}.", advice) from error
        except OSError as error:  # ssl.SSLError is one
            raise ServingError(
                f"The port {settings.mllp_port} of MLLP cannot be opened: {error.strerror}.",
                "Look at PATER_MLLP_PORT, and at the files of PATER_TLS_*.",
            ) from error
        yield


def _shared_port(settings: Settings) -> socket.socket:
    """A socket on our port that lets the other processes have one too; connections are spread."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    shared = socket.socket(family)
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    shared.bind((settings.host, settings.port))
    shared.set_inheritable(False)
    return shared


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        return tls.context(
            Path(settings.tls_certificate),
            Path(settings.tls_key or settings.tls_certificate),
            Path(settings.tls_clients) if settings.tls_clients else None,
        )
    except (OSError, ssl.SSLError) as error:
        raise ServingError(
            f"TLS cannot be used: {error.strerror or type(error).__name__}.",
            "Look at PATER_TLS_CERTIFICATE, PATER_TLS_KEY and PATER_TLS_CLIENTS: PEM files.",
        ) from error


def _config(settings: Settings, app: ASGIApp) -> uvicorn.Config:
    secure = _tls(settings) if settings.tls_certificate else None
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=TlsProtocol if secure else "httptools",
        ssl_context_factory=(lambda *_: secure) if secure else None,
        # `build` reads the headers of proxies, after it has seen who really connects
        proxy_headers=False,
        ws="websockets-sansio",
        ws_max_size=64 * 1024,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=64 * 1024,
    )


class _Server(uvicorn.Server):
    """A server that tells when it listens, and lets us close the database when it was stopped."""

    when_started: Callable[[], Awaitable[None]] | None = None

    def end(self) -> None:
        """Stops as a signal does."""
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stops on SIGINT and SIGTERM. Uvicorn's own raises them again once it has stopped, which
        would end the process before the embedded database is stopped.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Opens the port, then tells."""
        await super().startup(sockets)
        if self.started and self.when_started is not None:
            await self.when_started()


def _calm_collector() -> None:
    """Garbage collection seldom, and not over what lives as long as the process.

    The definitions alone are hundreds of thousands of objects: a full collection over them took
    76 ms, in which nobody is served. Measured in docs/performance.md.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
