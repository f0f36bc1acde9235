"""PAdES seals: made in a PDF, raised, validated; what was changed afterwards is seen."""

from __future__ import annotations

import pytest

from pater.trust.seal import families
from pater.trust.seal.model import Content, Format, Level, Order, Packaging
from tests.trust.seal.ground import Ground, pdf


def order(level: Level, data: bytes) -> Order:
    return Order(Format.PADES, level, Packaging.ENVELOPED, (Content(data, "report.pdf"),))


@pytest.mark.parametrize("level", list(Level))
async def test_made_and_validated_at_every_level(level: Level) -> None:
    ground = Ground()
    made = await families.create(order(level, pdf()), ground.tools())
    report = await families.validate(made, ground.rules())
    assert report.passed, report.as_dict()
    assert report.signatures[0].level is level
