"""CAdES seals: made, raised, validated, and what is refused and why."""

from __future__ import annotations

import pytest

from pater.trust.seal import families
from pater.trust.seal.model import Content, Format, Level, Order, Packaging
from tests.trust.seal.ground import Ground

TEXT = Content(b"a report", "report.txt")


def order(level: Level, packaging: Packaging = Packaging.ATTACHED) -> Order:
    return Order(Format.CADES, level, packaging, (TEXT,))


@pytest.mark.parametrize("packaging", [Packaging.ATTACHED, Packaging.DETACHED])
@pytest.mark.parametrize("level", list(Level))
async def test_made_and_validated_at_every_level(level: Level, packaging: Packaging) -> None:
    ground = Ground()
    made = await families.create(order(level, packaging), ground.tools())
    content = () if packaging is Packaging.ATTACHED else (TEXT,)
    report = await families.validate(made, ground.rules(), content)
    assert report.passed, report.as_dict()
    assert report.signatures[0].level is level
