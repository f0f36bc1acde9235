"""The documentation is true of what can be tried: links lead somewhere, commands and settings are
there and described."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

from pater.cli import main
from pater.settings import PREFIX, Settings

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
UNSAID = {"demo"}  # set by `pater demo`, not by an operator

_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CALL = re.compile(r"(?:^|\$\(|\|\s*|`)pater ([^|)#\n]*)", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as code hosts make them."""
    found = set()
    for title in re.findall(r"^#+ (.+)$", _FENCED.sub("", page.read_text("utf-8")), re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", title.replace("`", "").strip().lower())
        found.add(words.replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_to_something_in_the_repository(page: Path) -> None:
    text = _FENCED.sub("", page.read_text("utf-8"))
    lost = []
    for link in _LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue  # somewhere else
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []


def test_every_setting_is_described_for_operators() -> None:
    names = [PREFIX + each.name.upper() for each in fields(Settings) if each.name not in UNSAID]
    assert [name for name in names if f"`{name}`" not in OPERATIONS] == []


def test_no_setting_is_described_that_is_not_there() -> None:
    known = {PREFIX + each.name.upper() for each in fields(Settings)}
    known |= {"PATER_CONFIG", "PATER_CHROMIUM", "PATER_OSV"}
    told = {
        name for page in PAGES for name in re.findall(r"PATER_[A-Z_]+", page.read_text("utf-8"))
    }
    assert told - known == set()


def test_every_command_is_described() -> None:
    told = "\n".join(page.read_text("utf-8") for page in PAGES)
    context = click.Context(main)
    assert [
        name for name in main.list_commands(context) if not re.search(rf"pater {name}\b", told)
    ] == []


def calls(text: str) -> Iterator[str]:
    """What stands behind `pater` wherever a page calls it, in a code block or within a line."""
    joined = text.replace("\\\n", " ")
    blocks = [block.group(0) for block in _FENCED.finditer(joined)]
    spans = _SPAN.findall(_FENCED.sub("", joined))
    for code in (*blocks, *spans):
        yield from _CALL.findall(code)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_of_a_page_is_there_with_its_options(page: Path) -> None:
    wrong = []
    for call in calls(page.read_text("utf-8")):
        try:
            words = shlex.split(re.sub(r"[\[\]…]", " ", call).replace("<", " ").replace(">", " "))
        except ValueError:
            words = call.split()
        command: click.Command = main
        context = click.Context(main)
        while words and isinstance(command, click.Group):
            if not re.fullmatch(r"[a-z0-9-]+", words[0]):
                break  # any of its commands
            found = command.get_command(context, words.pop(0))
            if found is None:
                wrong.append(call)
                break
            command, context = found, click.Context(found, parent=context)
        options = {name for each in command.params for name in each.opts} | {"--help", "--version"}
        asked = {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)}
        if not isinstance(command, click.Group) and not asked <= options:
            wrong.append(f"{call}: {sorted(asked - options)}")
    assert wrong == []
