"""`pater ca`: the operator's hand on the certification authority of a running Páteř."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, Final, ParamSpec

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pater.certifying import certification
from pater.cli.common import fail, readable, settings_of
from pater.clock import now as clock
from pater.registers.identifiers import check_ico
from pater.running import running_database
from pater.settings import Settings
from pater.trust.ca import PROFILES, STATES, Authority, CaError, Kept, Operator, Subject, tables
from pater.trust.ca.authority import AUTHORITIES
from pater.trust.ca.certificates import REASONS, fingerprint
from pater.trust.ca.requests import LONGEST

P = ParamSpec("P")
WARN_DAYS: Final = 30
URGENT_DAYS: Final = 7
_BY_HAND: Final = [profile.name for profile in PROFILES.values() if profile.by_hand]


@click.group()
def ca() -> None:
    """Issue, renew and revoke certificates of Páteř's own certification authority."""


def operator() -> Operator:
    """Who sits at the command line, by the system's own name for them."""
    user = pwd.getpwuid(os.getuid()).pw_name
    return Operator(f"cli:{user}", f"{user} (pater ca)", kind="system")


def told(function: Callable[P, None]) -> Callable[P, None]:
    """Turns what the authority refuses into messages."""

    @wraps(function)
    @readable
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except CaError as error:
            fail(f"{error}.")

    return wrapped


def _with(work: Callable[[Authority], Awaitable[None]]) -> None:
    async def run(settings: Settings) -> None:
        async with running_database(settings) as db:
            await work(certification(settings, db, clock))

    asyncio.run(run(settings_of()))


def _pem(*found: x509.Certificate) -> str:
    return "".join(one.public_bytes(Encoding.PEM).decode("ascii") for one in found)


def _request(path: Path) -> bytes:
    """The file, unless it is larger than any request."""
    with path.open("rb") as file:
        return file.read(LONGEST + 1)


@ca.command()
@click.option("--name", default="Páteř", show_default=True, help="Stands in the names of both.")
@told
def init(name: str) -> None:
    """Make the root and the issuing authority (done by itself at the first certificate)."""

    async def work(authority: Authority) -> None:
        for one in await authority.begin(operator(), name):
            click.echo(one.subject.rfc4514_string())
            click.echo(f"  until   {one.not_valid_after_utc:%Y-%m-%d}")
            click.echo(f"  SHA-256 {fingerprint(one)}")

    _with(work)


@ca.command()
@told
def chain() -> None:
    """Print the issuing authority and the root, PEM."""

    async def work(authority: Authority) -> None:
        found = await authority.chain()
        if not found:
            fail("There is no certification authority yet.", "Make it: pater ca init")
        click.echo(_pem(*found), nl=False)

    _with(work)


@ca.command()
@click.argument("profile", type=click.Choice(_BY_HAND))
@click.argument("request", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", default="", help="Common name: of the system, the person, the service.")
@click.option("--ico", default="", help="IČO of the organisation.")
@click.option("--organization", default="", help="Its name.")
@click.option("--krzp", default="", help="KRZP number of a professional.")
@click.option("--given", default="")
@click.option("--family", default="")
@click.option("--host", "hosts", multiple=True, help="DNS name or address of a server; repeat it.")
@told
def issue(profile: str, request: Path, ico: str, hosts: tuple[str, ...], **said: str) -> None:
    """Issue a certificate for the key of a certification request (PKCS #10).

    Whom it names is said here; what the request says of itself does not count. Prints the
    certificate and the issuing authority, PEM. The same again prints the same.
    """
    if ico and settings_of().strict_identifiers and check_ico(ico).ok is False:
        fail(f"{check_ico(ico).problem}.")

    async def work(authority: Authority) -> None:
        subject = Subject(ico=ico, hosts=hosts, **said)
        _handed(await authority.issue(operator(), profile, subject, _request(request)))
        click.echo(_pem((await authority.chain())[0]), nl=False)

    _with(work)


@ca.command()
@click.argument("serial")
@click.argument("request", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@told
def renew(serial: str, request: Path) -> None:
    """Issue a further certificate like this one; the old one holds until its end."""

    async def work(authority: Authority) -> None:
        _handed(await authority.renew(operator(), serial, _request(request)))
        click.echo(_pem((await authority.chain())[0]), nl=False)

    _with(work)


def _handed(kept: Kept) -> None:
    click.echo(f"{kept.serial} until {kept.not_after:%Y-%m-%d}", err=True)
    if kept.der is not None:
        click.echo(_pem(x509.load_der_x509_certificate(kept.der)), nl=False)


@ca.command()
@click.argument("serial")
@click.option("--reason", type=click.Choice(list(REASONS)), required=True)
@told
def revoke(serial: str, reason: str) -> None:
    """End a certificate for good, and sign a new revocation list."""

    async def work(authority: Authority) -> None:
        kept = await authority.revoke(operator(), serial, reason)
        click.echo(f"{kept.serial} revoked {kept.revoked:%Y-%m-%d %H:%M:%S} UTC, {kept.reason}")

    _with(work)


@ca.command(name="list")
@click.option("--holder", default="", help="ico:12345679, krzp:123456789, dns:host or service:name")
@click.option("--state", type=click.Choice(STATES), default=None, help="Only these.")
@click.option("--count", default=50, show_default=True, help="Of the newest so many (to 1000).")
@told
def list_(holder: str, state: str | None, count: int) -> None:
    """List certificates, newest first."""

    async def work(authority: Authority) -> None:
        now = datetime.now(UTC)
        found = await tables.listing(authority.db, holder=holder, count=max(1, count))
        shown = [one for one in found if state in (None, one.state(now))]
        for one in shown:
            click.echo(line(one, now))
        if not shown:
            click.echo("no certificates")

    _with(work)


def line(kept: Kept, now: datetime) -> str:
    """One certificate for people."""
    parts = [kept.serial, f"{kept.state(now):10}", f"{kept.profile:12}"]
    parts += [f"until {kept.not_after:%Y-%m-%d}", kept.holder, kept.subject.name]
    return "  ".join(parts).rstrip()


@ca.command()
@click.argument("serial")
@told
def show(serial: str) -> None:
    """Print one certificate: its state and its PEM."""

    async def work(authority: Authority) -> None:
        kept = await authority.find(serial)
        if kept is None:
            fail("There is no certificate with this serial number.", "See: pater ca list")
        now = datetime.now(UTC)
        said: dict[str, Any] = {
            "serial": kept.serial,
            "state": kept.state(now),
            "profile": kept.profile,
            "holder": kept.holder,
            "ordered": f"{kept.ordered:%Y-%m-%d %H:%M:%S} UTC by {kept.ordered_by}",
            "valid": f"{kept.not_before:%Y-%m-%d} to {kept.not_after:%Y-%m-%d}",
            "renews": kept.renews,
            "revoked": kept.revoked and f"{kept.revoked:%Y-%m-%d %H:%M:%S} UTC, {kept.reason}",
        }
        for name, value in said.items():
            if value:
                click.echo(f"{name:8} {value}")
        if kept.der is not None:
            click.echo(_pem(x509.load_der_x509_certificate(kept.der)), nl=False)

    _with(work)


@ca.command()
@click.option("--days", default=WARN_DAYS, show_default=True, help="That end within so many days.")
@told
def expiring(days: int) -> None:
    """List certificates that end soon and were not renewed; status 1 when one ends in 7 days."""

    async def work(authority: Authority) -> None:
        now = datetime.now(UTC)
        until = now + timedelta(days=min(max(days, 1), 36_500))
        found = await tables.expiring(authority.db, now, until, tables.MOST_LISTED)
        for one in found:
            left = (one.not_after - now).days
            mark = "!" if left < URGENT_DAYS else " "
            click.echo(f"{mark} {left:4} days  {line(one, now)}")
        if not found:
            click.echo("none")
        if found and (found[0].not_after - now).days < URGENT_DAYS:
            raise SystemExit(1)

    _with(work)


@ca.command()
@click.argument("authority", type=click.Choice(AUTHORITIES), default="issuing")
@told
def crl(authority: str) -> None:
    """Sign a revocation list now (the service does it each half day and at each revocation)."""

    async def work(at_work: Authority) -> None:
        await at_work.sign_crl(operator(), authority)
        made = await tables.crl(at_work.db, authority)
        if made is not None:
            click.echo(f"list {made.number} holds until {made.until:%Y-%m-%d %H:%M:%S} UTC")

    _with(work)
