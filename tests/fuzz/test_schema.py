"""Requests made of the OpenAPI description get answers that the description knows."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.schema import cases, described
from tests.fuzz.server import Target


def test_every_kind_of_operation(target: Target) -> None:
    schema = described(target, some=True)
    assert len(schema.operations) > 80

    @settings(
        max_examples=200,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases(schema), who=st.sampled_from((0, 0, 0, 1)))
    def run(case: Any, who: int) -> None:
        wrong = schema.send(target, case, who)
        assert wrong is None, (list(target.faults.values())[-1], target.running.said())

    run()
