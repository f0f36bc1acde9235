"""No entrance without a recipe: what the application answers at is what the fuzzer tries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pytest
from starlette.routing import Route, WebSocketRoute

from pater.app import build, open_house
from pater.settings import Settings
from pater.store.database import Database
from tests.fuzz.entrances import ENTRANCES
from tests.fuzz.recipes import RECIPES

REASONS: Final[Mapping[str, str]] = {
    "/fhir": "the FHIR dispatcher: recipes.py and the OpenAPI description",
    "/health/live": "a fixed answer that reads nothing of the request",
    "/favicon.ico": "a fixed file",
    "/fhir/websocket": "spoken to frame by frame: FRAMES",
}
"""Routes that need no recipe of their own, and why."""
ELSEWHERE: Final[Mapping[str, str]] = {}
"""Operations that need no recipe of their own, and why."""


@pytest.fixture
async def entrances(
    database: Database, tmp_path: Path
) -> tuple[list[Route | WebSocketRoute], set[str]]:
    """All routes of the application as a demonstration serves it, and all operations."""
    made: list[Route | WebSocketRoute] = []

    def noted(kind: type) -> Any:
        begin = kind.__init__  # type: ignore[misc] # patched for a moment

        def init(self: Any, *words: Any, **more: Any) -> None:
            made.append(self)
            begin(self, *words, **more)

        return patch.object(kind, "__init__", init)

    with noted(Route), noted(WebSocketRoute):
        async with open_house(Settings(data=tmp_path, demo=True), database.dsn) as house:
            build(house)
            operations = {one.name for parts in house.parts.values() for one in parts.operations}
    return made, operations


async def test_every_route_and_operation_has_a_recipe(
    entrances: tuple[list[Route | WebSocketRoute], set[str]],
) -> None:
    routes, operations = entrances
    assert len(routes) > 100
    tried = [(each.method, each.path.partition("?")[0]) for each in ENTRANCES]
    missing = set()
    for route in routes:
        methods = getattr(route, "methods", None) or {"GET"}
        for method in methods - {"HEAD"}:
            if route.path in REASONS:
                continue
            if not any(m == method and route.path_regex.match(path) for m, path in tried):
                missing.add(f"{method} {route.path}")
    paths = " ".join(f"{recipe.path} " for recipe in RECIPES)
    missing |= {f"${name}" for name in operations - ELSEWHERE.keys() if f"/${name} " not in paths}
    assert not missing, (
        "an entrance needs a line in entrances.py (an operation one in recipes.py), or a reason"
        f" here: {sorted(missing)}"
    )


async def test_no_reason_outlives_its_route(
    entrances: tuple[list[Route | WebSocketRoute], set[str]],
) -> None:
    routes, operations = entrances
    assert REASONS.keys() <= {route.path for route in routes}
    assert ELSEWHERE.keys() <= operations
