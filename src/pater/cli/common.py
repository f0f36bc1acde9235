"""What the commands share: settings, and failures that say what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar
from uuid import UUID

import click

from pater.running import ServingError
from pater.settings import Settings, SettingsError, load
from pater.store.embedded import EmbeddedError
from pater.store.migrate import MigrationError
from pater.trust.keys import KeysError

P = ParamSpec("P")
T = TypeVar("T")


def fail(message: str, advice: str = "") -> NoReturn:
    """Ends the command with what is wrong and what to do about it."""
    click.secho(f"✗ {message}", fg="red", err=True)
    if advice:
        click.echo(f"  {advice}", err=True)
    sys.exit(1)


def check_ids(what: str, listed_by: str, retry: str | None, *others: str | None) -> None:
    """Ends the command unless these are ids of what waits in a quarantine; `all` may be retried."""
    for text in (None if retry == "all" else retry, *others):
        if text is not None:
            try:
                UUID(text)
            except ValueError:
                fail(f"This is no id of a {what}.", f"Ids stand in: {listed_by}")


def settings_of(**overrides: Any) -> Settings:
    """The settings, or an end with a readable message."""
    try:
        return load(os.environ, **overrides)
    except SettingsError as error:
        fail(str(error), "See `pater config` and docs/operations.md for the settings.")


def readable(function: Callable[P, T]) -> Callable[P, T]:
    """Turns the failures an operator can mend into messages."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except EmbeddedError as error:
            fail(error.message, error.advice)
        except ServingError as error:
            fail(error.message, error.advice)
        except KeysError as error:
            fail(f"{error}.", error.advice)
        except MigrationError as error:
            fail(
                f"This database does not fit the program: {error}.",
                "Use the release that made it, or a later one.",
            )
        except BaseExceptionGroup as group:  # of the tasks that serve: one failure ends them all
            lost = group.subgroup(KeysError)
            if lost is None:
                raise
            fail(
                "A stored secret does not open with the keys of this data folder.",
                "Restore the folder `keys` that belongs to this database from the backup.",
            )

    return wrapped
