"""docs/security.md claims nothing that no test shows: each test that it names is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
TEXT = (TESTS.parent / "docs" / "security.md").read_text("utf-8")


@cache
def _tests_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def test_each_test_that_is_named_exists() -> None:
    named = re.findall(r"`([a-z0-9_/]+\.py)::(\w+)`", TEXT)
    assert len(named) > 50
    missing = [
        f"{path}::{test}"
        for path, test in named
        if not (TESTS / path).is_file() or test not in _tests_of(TESTS / path)
    ]
    assert missing == []


def test_each_threat_names_a_test() -> None:
    threats = [line for line in TEXT.splitlines() if re.match(r"\| [STRIDE](, [STRIDE])* \|", line)]
    assert len(threats) > 50
    assert [line for line in threats if ".py::test_" not in line] == []
