"""Headless Chromium for the browser tests, and what axe says of a page."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    async_playwright,
    expect,
)

from tests.waiting import PATIENCE

FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
expect.set_options(timeout=PATIENCE * 1000)
UNPACKED = Path(__file__).resolve().parents[1] / ".tools" / "chromium-run"
RULES = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }
}


def executable() -> str | None:
    """Where Chromium is: named, installed, or unpacked by tools/browser.sh."""
    found = os.environ.get("PATER_CHROMIUM") or shutil.which("chromium")
    return found or (str(UNPACKED) if UNPACKED.exists() else None)


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The system's Chromium, headless; skips with a reason when there is none.

    Asynchronous: Playwright's synchronous interface would take the event loop from other tests.
    """
    path = executable()
    if path is None:
        pytest.skip("no Chromium: run tools/browser.sh, or name one in PATER_CHROMIUM")
    flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=path, args=flags)
        yield browser
        await browser.close()


async def faults(page: Page) -> list[str]:
    """What axe finds on the page, shortly."""
    found: dict[str, Any] = (await Axe().run(page, options=RULES)).response
    return [
        f"{fault['id']}: {node['target']} {node.get('failureSummary', '')}"
        for fault in found["violations"]
        for node in fault["nodes"]
    ]


class Complaints:
    """What the console complains about while a page is used."""

    def __init__(self, page: Page) -> None:
        self.texts = list[str]()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.texts.append(str(error)))

    def _note(self, message: ConsoleMessage) -> None:
        # Chromium reports our own 4xx and 5xx answers as failed loads; those are no complaint
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.texts.append(message.text)


async def press(page: Page, control: Locator) -> None:
    """Presses what leads to another page, and waits until that page is there.

    Without the wait, what follows may still be asked of the page that is being left.
    """
    async with page.expect_navigation():
        await control.click()


async def at(page: Page, path: str) -> None:
    """Waits for the page at an address whose whole path is `path` (a regular expression).

    A glob such as `**/account` would also be met by `/login?next=/account`.
    """
    await page.wait_for_url(lambda address: bool(re.fullmatch(path, urlsplit(address).path)))
