"""CMS, PDF and container seals over many years: stamped again in time, or not believed any more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pater.trust.seal import families
from pater.trust.seal.model import Content, Format, Level, Order, Packaging, SealError, Sub
from tests.trust.seal.ground import DAY, YEAR, Ground, pdf

REPORT = Content(b"a report", "report.txt")
ORDERS = {
    "CAdES": Order(Format.CADES, Level.LTA, Packaging.DETACHED, (REPORT,)),
    "PAdES": Order(Format.PADES, Level.LTA, Packaging.ENVELOPED, (Content(pdf()),)),
    "ASiC-S": Order(Format.ASIC_S, Level.LTA, Packaging.ATTACHED, (REPORT,)),
    "ASiC-E": Order(Format.ASIC_E, Level.LTA, Packaging.ATTACHED, (REPORT,)),
}


def beside(order: Order) -> tuple[Content, ...]:
    return order.content if order.packaging is Packaging.DETACHED else ()


@pytest.mark.parametrize("name", ORDERS)
async def test_stamped_again_it_lasts_beyond_every_certificate(name: str) -> None:
    ground, order = Ground(), ORDERS[name]
    made = await families.create(order, ground.tools())
    for _ in range(2):
        ground.clock.forward(4 * YEAR)  # the seal's certificate has ended, the stamps' not yet
        ground.silent = {ground.issuing.der, ground.root.der}  # nobody tells of it any more
        ground.authority = ground.stamps_of(5 * YEAR)
        made = await families.extend(made, Level.LTA, ground.tools(), beside(order))
    ground.clock.forward(4 * YEAR)
    report = await families.validate(made, ground.rules(), beside(order))
    assert report.passed, report.as_dict()
    assert report.signatures[0].level is Level.LTA
    assert sum(stamp.good for stamp in report.signatures[0].stamps) == 4


@pytest.mark.parametrize("name", ORDERS)
async def test_not_stamped_again_it_ends_with_the_last_stamp(name: str) -> None:
    ground, order = Ground(), ORDERS[name]
    made = await families.create(order, ground.tools())
    ground.clock.forward(6 * YEAR)
    report = await families.validate(made, ground.rules(), beside(order))
    assert report.sub is Sub.OUT_OF_BOUNDS_NO_POE
    with pytest.raises(SealError):
        await families.extend(made, Level.LTA, ground.tools(), beside(order))


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("first", [Level.B, Level.T, Level.LT])
async def test_raised_step_by_step(name: str, first: Level) -> None:
    ground, order = Ground(), ORDERS[name]
    made = await families.create(replace(order, level=first), ground.tools())
    for level in [one for one in Level if one > first]:
        ground.clock.forward(DAY)
        made = await families.extend(made, level, ground.tools(key=None), beside(order))
        report = await families.validate(made, ground.rules(), beside(order))
        assert report.passed, report.as_dict()
        assert report.signatures[0].level is level
    with pytest.raises(SealError, match="already"):
        await families.extend(made, Level.T, ground.tools(), beside(order))
