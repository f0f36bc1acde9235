"""docs/security claims nothing that nothing shows: each test and file that it names is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
SECURITY = ROOT / "docs" / "security"
THREATS = (SECURITY / "README.md").read_text("utf-8")
ASVS = (SECURITY / "asvs.md").read_text("utf-8")
_ROW = re.compile(r"^\| (\d+)\.(\d+)\.(\d+) \| (\S+) \| (.+) \|$", re.MULTILINE)
# ASVS 4.0.3: the last requirement of each section, and those of it that are no longer there or are
# of level 3 only
_SECTIONS = {
    "1.1": (7, ()), "1.2": (4, ()), "1.4": (5, (2, 3)), "1.5": (4, ()), "1.6": (4, ()),
    "1.7": (2, ()), "1.8": (2, ()), "1.9": (2, ()), "1.10": (1, ()), "1.11": (2, ()),
    "1.12": (2, (1,)), "1.14": (6, ()), "2.1": (12, ()), "2.2": (3, ()), "2.3": (3, ()),
    "2.4": (5, ()), "2.5": (7, ()), "2.6": (3, ()), "2.7": (6, ()), "2.8": (7, ()),
    "2.9": (3, ()), "2.10": (4, ()), "3.1": (1, ()), "3.2": (4, ()), "3.3": (4, ()),
    "3.4": (5, ()), "3.5": (3, ()), "3.7": (1, ()), "4.1": (5, (4,)), "4.2": (2, ()),
    "4.3": (3, ()), "5.1": (5, ()), "5.2": (8, ()), "5.3": (10, ()), "5.4": (3, ()),
    "5.5": (4, ()), "6.1": (3, ()), "6.2": (6, ()), "6.3": (2, ()), "6.4": (2, ()),
    "7.1": (4, ()), "7.2": (2, ()), "7.3": (4, (2,)), "7.4": (3, ()), "8.1": (4, ()),
    "8.2": (3, ()), "8.3": (8, ()), "9.1": (3, ()), "9.2": (4, ()), "10.2": (2, ()),
    "10.3": (3, ()), "11.1": (8, ()), "12.1": (3, ()), "12.2": (1, ()), "12.3": (6, ()),
    "12.4": (2, ()), "12.5": (2, ()), "12.6": (1, ()), "13.1": (5, (2,)), "13.2": (6, (4,)),
    "13.3": (2, ()), "13.4": (2, ()), "14.1": (4, ()), "14.2": (6, ()), "14.3": (3, (1,)),
    "14.4": (7, ()), "14.5": (4, ()),
}  # fmt: skip


@cache
def _tests_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def test_each_test_that_is_named_exists() -> None:
    named = re.findall(r"`([a-z0-9_/]+\.py)::(\w+)`", THREATS + ASVS)
    assert len(named) > 150
    missing = [
        f"{path}::{test}"
        for path, test in named
        if not (TESTS / path).is_file() or test not in _tests_of(TESTS / path)
    ]
    assert missing == []


def test_each_threat_names_a_test() -> None:
    threats = [
        line for line in THREATS.splitlines() if re.match(r"\| [STRIDE](, [STRIDE])* \|", line)
    ]
    assert len(threats) > 50
    assert [line for line in threats if ".py::test_" not in line] == []


def test_the_checklist_has_every_requirement_once_with_its_state() -> None:
    expected = [
        f"{section}.{number}"
        for section, (last, gone) in _SECTIONS.items()
        for number in range(1, last + 1)
        if number not in gone
    ]
    rows = _ROW.findall(ASVS)
    assert [".".join(row[:3]) for row in rows] == expected and len(expected) == 259
    assert {row[3] for row in rows} == {"met", "partly", "not", "n/a"}
    assert [row for row in rows if row[3] != "n/a" and len(row[4]) < 8] == []


def test_the_files_that_are_named_exist() -> None:
    named = set(re.findall(r"`((?:src|docs|tools|fhir)/[\w./-]+|[\w-]+\.(?:md|lock|toml))`", ASVS))
    assert len(named) > 20
    missing = [each for each in named if not any((at / each).exists() for at in (ROOT, TESTS))]
    assert missing == []
