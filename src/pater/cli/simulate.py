"""`pater simulate`: systems of others, pretended, at ports of their own."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import click
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from pater.domains.simulators import domain, register_pages
from pater.domains.simulators.identity import PATH, Provider
from pater.domains.simulators.pages import pages, routes
from pater.domains.simulators.people import CLAIMS, CLIENT, SECRET
from pater.domains.simulators.registers import PATH as REGISTERS
from pater.domains.simulators.registers import filled
from pater.web.app import DomainFolders, WebConfig, web_app
from pater.web.session import WebSession


class _Nobody:
    """A house whose pages know no accounts."""

    async def password(
        self, login_name: str, password: str, source: str, request_id: str
    ) -> str | None:
        return None

    async def code(
        self, account: str, code: str, lang: str, source: str, request_id: str, agent: str = ""
    ) -> str | None:
        return None

    async def read(self, token: str) -> WebSession | None:
        return None

    async def end(self, token: str, source: str, request_id: str) -> None:
        """There are no sessions."""

    async def change(self, token: str, *, purpose: str, patient: str) -> None:
        """There are no sessions."""


@click.group()
def simulate() -> None:
    """Pretend to be a system of others, for tests on your own machine."""


@simulate.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8091, show_default=True)
@click.option(
    "--client", default=f"{CLIENT}:{SECRET}", show_default=True, help="ID:SECRET of who may ask."
)
@click.option(
    "--redirect", "redirects", multiple=True,
    default=("http://127.0.0.1", "http://localhost"), show_default=True,
    help="The beginning of addresses that people may be sent back to.",
)  # fmt: skip
def identity(host: str, port: int, client: str, redirects: tuple[str, ...]) -> None:
    """The state's provider of identities, with a handful of invented people."""
    base = f"http://{host}:{port}"
    name, _, secret = client.partition(":")
    app = application(base, {name: secret}, redirects)
    click.echo(f"A simulated provider of identities: {base}{PATH}")
    click.echo(f"  client {name}, secret {secret}")
    for what, claim in CLAIMS.items():
        click.echo(f"  claim {what}={claim}")
    uvicorn.run(app, host=host, port=port, log_level="warning", lifespan="off")


@simulate.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8092, show_default=True)
@click.option("--token", default="", help="The bearer token of who may ask; everybody when empty.")
@click.option("--count", default=60, show_default=True, help="Invented persons.")
def registers(host: str, port: int, token: str, count: int) -> None:
    """The basic registers of the state, with invented persons and failures on demand."""
    base = f"http://{host}:{port}"
    click.echo(f"Simulated basic registers: {base}{REGISTERS}")
    click.echo(f"  PATER_BASIC_REGISTERS={base}{REGISTERS}")
    app = basic_application(base, token, count)
    uvicorn.run(app, host=host, port=port, log_level="warning", lifespan="off")


def basic_application(base: str, token: str, count: int) -> Starlette:
    """The basic registers as an application of their own."""

    def clock() -> datetime:
        return datetime.now(UTC)

    held = filled(clock, count)
    shell = web_app(
        WebConfig(
            base_url=base,
            secret=secrets.token_bytes(32),
            logins=_Nobody(),
            clock=clock,
            domains={domain.name: DomainFolders(domain.templates, domain.locale)},
            pages=[lambda context: register_pages.pages(context, held)],
            demo=True,
        )
    )
    return Starlette(routes=[*register_pages.routes(held, token), Mount("/", shell)])


def application(base: str, clients: dict[str, str], redirects: tuple[str, ...]) -> Starlette:
    """The provider as an application of its own."""
    key = secrets.token_bytes(32)

    def clock() -> datetime:
        return datetime.now(UTC)

    provider = Provider(base, key, clock, clients=clients, redirects=redirects)
    shell = web_app(
        WebConfig(
            base_url=base,
            secret=key,
            logins=_Nobody(),
            clock=clock,
            domains={domain.name: DomainFolders(domain.templates, domain.locale)},
            pages=[lambda context: pages(context, provider)],
            demo=True,
        )
    )
    return Starlette(routes=[*routes(provider), Mount("/", shell)])
