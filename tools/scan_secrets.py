"""Looks for secrets in all files of the repository: keys, tokens, passwords. Needs no network.

Prints file, line and kind of each find (never the find itself) and ends with 1 when there is one.
A value that is meant to be public stands in a line with the words `not a secret`.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LARGEST: Final = 2_000_000
MARK: Final = "not a secret"
# Hashes of packages, files and names: long and random by their nature.
_HASHED: Final = ("requirements*.lock", "package-lock.json", "*.ndjson")

_MADE: Final = {".git", ".venv", ".tools", ".pater", "node_modules", "build", "__pycache__"}

_KINDS: Final = (
    (
        "private key",
        re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s*\\?n?\s*[A-Za-z0-9+/]{16}"),
    ),
    ("private JWK", re.compile(r'"d"\s*:\s*"[A-Za-z0-9_-]{32,}"')),
    ("JSON web token", re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{16,}")),
    ("AWS key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("GitHub token", re.compile(r"\b(?:gh[opsru]_[A-Za-z0-9]{36}|github_pat_\w{40,})")),
    ("GitLab token", re.compile(r"\bglpat-[\w-]{20,}")),
    ("Slack token", re.compile(r"\bxox[abprs]-[\w-]{10,}")),
    ("Google key", re.compile(r"\bAIza[\w-]{35}\b")),
    ("Stripe key", re.compile(r"\b[rs]k_live_\w{16,}")),
    ("npm or PyPI token", re.compile(r"\b(?:npm_[A-Za-z0-9]{36}|pypi-[\w-]{50,})")),
    ("password in an address", re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@{}<>\"'$%*]+:([^\s/@{}<>\"'$%*]{6,})@")),
)  # fmt: skip
_ASSIGNED: Final = re.compile(
    r"""(?ix) \b [\w.-]* (?: passw(?:or)?d | secret | token | api_?key | private_?key | credential )
    [\w-]* ["']? \s* (?: := | = | : ) \s* ["'] (?P<value> [^"'\s{}<>$()]{12,200} ) ["']"""
)
_BITS: Final = 3.4
"""Bits of entropy a character from which an assigned text looks random."""


def entropy(text: str) -> float:
    """Bits for each character, as the characters of the text are distributed."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def looks_random(text: str) -> bool:
    """Whether a text is rather a key than words: digits and letters mixed, of high entropy."""
    kinds = sum(bool(re.search(each, text)) for each in (r"[a-z]", r"[A-Z]", r"[0-9]"))
    return kinds >= 2 and entropy(text) > _BITS and not re.search(r"[/:]|\.\w+$|\w+-\w+-\w+", text)


def finds(text: str) -> Iterator[tuple[int, str]]:
    """Line number and kind of each secret in a text."""
    seen: set[tuple[int, str]] = set()
    for kind, pattern in _KINDS:
        seen |= {(text.count("\n", 0, found.start()) + 1, kind) for found in pattern.finditer(text)}
    for found in _ASSIGNED.finditer(text):
        if looks_random(found["value"]):
            seen.add((text.count("\n", 0, found.start()) + 1, "assigned secret"))
    lines = text.split("\n")
    for number, kind in sorted(seen):
        if MARK not in lines[number - 1]:
            yield number, kind


def files(root: Path) -> list[Path]:
    """Those that are in the repository, or would be with the next commit."""
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(asked, cwd=root, capture_output=True, check=False)
    if found.returncode:  # a copy without its history: all but what tools make
        return sorted(
            path
            for path in root.rglob("*")
            if path.is_file() and not _MADE & set(path.relative_to(root).parts)
        )
    names = sorted(set(found.stdout.decode().split("\0")) - {""})
    return [root / name for name in names if (root / name).is_file()]


def scan(root: Path) -> list[str]:
    """All finds below a folder, as `file:line: kind`."""
    told = []
    for path in files(root):
        if any(path.match(each) for each in _HASHED) or path.stat().st_size > LARGEST:
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # what is no text holds no text that somebody pasted
        told += [f"{path.relative_to(root)}:{line}: {kind}" for line, kind in finds(text)]
    return told


if __name__ == "__main__":
    told = scan(ROOT)
    print("\n".join(told) or "no secrets found")
    sys.exit(bool(told))
