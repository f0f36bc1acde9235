"""Compares versions of code systems and value sets, and matches patterns such as `1.x`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_EARLY: Final = re.compile(r"[A-Za-z]")
_PARTS: Final = re.compile(r"\d+|[^\d.\-_+/]+")


def split_canonical(canonical: str) -> tuple[str, str]:
    """(url, version) of `url|version`; a `#fragment` stays with the url."""
    url, _, version = canonical.partition("|")
    return url, version


def joined(url: str, version: str) -> str:
    """`url|version`, or the url alone."""
    return f"{url}|{version}" if version else url


def sort_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Numbers compare as numbers, words come before them, and a longer version is later.

    But what has a word behind a hyphen (`2.0.0-beta`) comes before the version without it.
    """
    release, _, early = version[:200].partition("-")
    if not _EARLY.match(early):
        release, early = version[:200], ""
    return (*_key(release), *(((-1, 0, ""), *_key(early)) if early else ()), (0, 0, ""))


def _key(text: str) -> list[tuple[int, int, str]]:
    return [
        (1, int(part), "") if part.isdigit() else (0, 0, part.casefold())
        for part in _PARTS.findall(text)
    ]


def newest(versions: Iterable[str]) -> str | None:
    """The latest version, or None when there is none."""
    return max(versions, key=sort_key, default=None)


def is_pattern(version: str) -> bool:
    """Whether the version leaves parts open (`1.x`, `2.*`)."""
    return any(part in ("x", "X", "*") for part in version.split("."))


def matches(pattern: str, version: str) -> bool:
    """Whether a version is the one named, or one that the pattern allows.

    A wildcard stands for one part; one at the end also for all that follow.
    """
    if pattern == version:
        return True
    if not is_pattern(pattern):
        return False
    wanted, have = pattern.split("."), version.split(".")
    for place, part in enumerate(wanted):
        wild = part in ("x", "X", "*")
        if place >= len(have):
            return False
        if not wild and part != have[place]:
            return False
    return len(have) == len(wanted) or wanted[-1] in ("x", "X", "*")
