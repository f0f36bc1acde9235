"""The list of commands tells the truth without importing what it lists."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import click
import pytest
from click.testing import CliRunner

from pater.cli import COMMANDS, main
from pater.cli.common import readable
from pater.store.migrate import MigrationError


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_is_there_under_its_name(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name
    assert command.help


def test_a_command_that_is_none_is_refused() -> None:
    done = CliRunner().invoke(main, ["nonsense"])
    assert done.exit_code == 2
    assert "No such command 'nonsense'" in done.output


def test_the_list_of_commands_loads_none_of_them() -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from pater.cli import main\n"
        "done = CliRunner().invoke(main, ['--help'])\n"
        "print(done.exit_code, 'Pretend to be a system' in done.output, 'pater.app' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "True", "False"]


# These speak with a room or a domain, and cost its import; the others do not.
LARGE = {"basic", "country", "directory", "hl7", "mailbox", "persons", "proxy", "simulate",
         "subscriptions"}  # fmt: skip


def loaded(modules: Sequence[str]) -> set[str]:
    """What a fresh interpreter has loaded after these modules of `pater.cli`."""
    code = "".join(f"import pater.cli.{each}\n" for each in modules)
    code += "import sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_no_command_loads_the_whole_program_before_it_serves() -> None:
    every = {place.partition(":")[0] for place, _ in COMMANDS.values()}
    assert not {"pater.app", "pater.serving", "pater.demo"} & loaded(sorted(every))


def test_a_small_command_loads_little() -> None:
    small = sorted({COMMANDS[each][0].partition(":")[0] for each in COMMANDS if each not in LARGE})
    rooms = {"pater.domain", "pater.domains", "pater.rest", "pater.web", "pater.records"}
    assert not rooms & loaded(small)
    assert sum(each.startswith("pater.") for each in loaded(["service"])) < 150


def test_a_database_of_another_release_is_told_in_a_line() -> None:
    @click.command()
    @readable
    def opening() -> None:
        raise MigrationError("store/0099_later is recorded but unknown: an older program?")

    done = CliRunner().invoke(opening)
    assert done.exit_code == 1
    assert "store/0099_later is recorded but unknown" in done.output
    assert "release that made it" in done.output
    assert "Traceback" not in done.output and isinstance(done.exception, SystemExit)
