"""The `pater` command: serve, demonstrate, hand out tokens, look after data and work under way."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final

import click

from pater import __version__

# A command costs the import of its own rooms only: name -> where it is, and what it says of itself.
COMMANDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "access": ("access:access", "Say who may what: the policy, and why something is allowed."),
        "account": ("account:account", "Look after the accounts of people in a running Páteř."),
        "acme": ("acme:acme", "Let servers of a provider get their certificates (ACME)."),
        "app": ("apps:app", "Register apps that people may allow to act for them."),
        "audit": ("audit:audit", "The transparency log of the journal."),
        "basic": ("basic:basic", "Look after the links to the basic registers of the state."),
        "ca": ("ca:ca", "Issue, renew and revoke certificates of our own authority."),
        "config": ("service:config", "Print the settings in force, secrets masked."),
        "country": ("country:country", "Load an invented country, or make its files."),
        "db": ("service:db", "Look after the database."),
        "demo": ("service:demo_command", "Serve a demonstration with a small region of its own."),
        "directory": (
            "directory:directory",
            "Import the register of providers and professionals, and look after it.",
        ),
        "gateway": (
            "gateway:gateway",
            "Look after certificates of systems of the national gateway.",
        ),
        "hl7": ("hl7:hl7", "Look after senders of HL7 v2 messages, and messages that failed."),
        "import": ("bulk:import_command", "Import NDJSON files beside a running Páteř."),
        "issuer": ("issuer:issuer", "Look after providers of identities (OpenID Connect)."),
        "jobs": ("jobs:jobs", "List the jobs of a running Páteř, or end one."),
        "load": (
            "terminology:load_command",
            "Load terminology from files that you have a licence for.",
        ),
        "mailbox": (
            "subscriptions:mailbox",
            "Run a simulated mail gateway that prints what it is sent.",
        ),
        "persons": (
            "persons:persons",
            "Import lists of persons of hospitals and insurers, and look after refused rows.",
        ),
        "proxy": ("proxy:proxy", "Enter who acts for whom: parents and guardians."),
        "reindex": ("reindex:reindex", "Show how far the search index is, or make it anew."),
        "seal": ("seal:seal", "Seal files, look at seals, and make seals last longer."),
        "serve": ("service:serve", "Serve with the settings of the environment."),
        "simulate": (
            "simulate:simulate",
            "Pretend to be a system of others, for tests on your own.",
        ),
        "subscriptions": (
            "subscriptions:subscriptions",
            "List the subscriptions of a running Páteř.",
        ),
        "testscript": ("testscript:testscript", "Run TestScript resources against a server."),
        "tls": ("tls:tls", "Look after systems that come with a certificate (RFC 8705)."),
        "token": ("service:token", "Print a bearer token of a demonstration client or person."),
        "totp": ("service:totp", "Print the current one-time code of a demonstration account."),
        "validate": ("validate:validate", "Validate resources against FHIR R4 and profiles."),
        "worker": ("jobs:worker", "Do the jobs of a running Páteř in a process of their own."),
    }
)


class _Commands(click.Group):
    """The commands, each imported when it is called, and not for the list of all."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        found = getattr(import_module(f"pater.cli.{module}"), attribute)
        assert isinstance(found, click.Command)  # the table above says so
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of all, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in sorted(COMMANDS)])


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="pater")
def main() -> None:
    """Páteř, a national eHealth backbone."""
