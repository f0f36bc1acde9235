"""Whatever is sent to any entrance of a running server, the answer is a reason and never a 500."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.recipes import RECIPES
from tests.fuzz.server import Target, path_of, requests


def test_the_recipes_are_good(target: Target) -> None:
    bad = {}
    for recipe in RECIPES:
        body = json.dumps(recipe.body).encode() if recipe.body is not None else recipe.raw or None
        headers = {"content-type": "application/fhir+json", **recipe.headers}
        path = path_of(recipe, recipe.pairs)
        for client in target.clients:  # the loader's, or what only a hospital may ask
            answer = client.request(recipe.method, path, content=body, headers=headers)
            if answer.status_code < 400:
                break
        else:
            bad[f"{recipe.method} {path}"] = answer.status_code, answer.text[:300]
    assert len(bad) <= len(RECIPES) // 8, "\n".join(f"{k}: {v}" for k, v in bad.items())


@given(request=requests(), who=st.sampled_from((0, 0, 0, 1)))
@settings(
    max_examples=300,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_any_request(target: Target, request: Any, who: int) -> None:
    method, path, body, headers = request
    assert target.send(method, path, body, headers, who=who) is None, target.running.said()
