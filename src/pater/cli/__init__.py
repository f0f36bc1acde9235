"""The `pater` command: serve, demonstrate, hand out tokens, look after data and work under way."""

from __future__ import annotations

from typing import Final

import click

from pater import __version__
from pater.cli import (
    account,
    apps,
    audit,
    bulk,
    ca,
    gateway,
    jobs,
    reindex,
    service,
    subscriptions,
    terminology,
    testscript,
    validate,
)

COMMANDS: Final = (
    service.demo_command,
    service.serve,
    service.token,
    service.totp,
    service.config,
    service.db,
    account.account,
    apps.app,
    audit.audit,
    bulk.import_command,
    ca.ca,
    gateway.gateway,
    jobs.jobs,
    jobs.worker,
    reindex.reindex,
    subscriptions.subscriptions,
    subscriptions.mailbox,
    terminology.load_command,
    testscript.testscript,
    validate.validate,
)


@click.group(commands=COMMANDS)
@click.version_option(__version__, prog_name="pater")
def main() -> None:
    """Páteř, a national eHealth backbone."""
