"""All formats of seals in one place: which family makes an order, which reads some bytes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from pater.trust.seal.model import (
    LONGEST,
    Content,
    Family,
    Level,
    Order,
    Report,
    Rules,
    SealError,
    Text,
    Tools,
)


@lru_cache(maxsize=1)
def families() -> tuple[Family, ...]:
    """All of them, imported when the first seal is made or looked at.

    The libraries of PDF and CMS take a second to load, which nobody else shall pay.
    """
    from pater.trust.seal.asic_cades import AsicCades
    from pater.trust.seal.asic_xades import AsicXades
    from pater.trust.seal.cades import Cades
    from pater.trust.seal.jades import Jades
    from pater.trust.seal.pades import Pades
    from pater.trust.seal.xades import Xades

    return Cades(), Pades(), AsicCades(), AsicXades(), Jades(), Xades()


async def create(order: Order, tools: Tools) -> bytes:
    """The sealed file, or the signature when detached. Raises SealError."""
    if sum(len(one.data or b"") for one in order.content) > LONGEST:
        raise _too_large()
    for family in families():
        if family.makes(order):
            return await family.create(order, tools)
    raise SealError(
        "unsupported",
        Text(
            f"Pečeť {order.format} se tak, jak je žádána, nevyrábí.",
            f"A {order.format} seal is not made the way it is asked for.",
        ),
    )


async def extend(data: bytes, level: Level, tools: Tools, content: Sequence[Content] = ()) -> bytes:
    """The same seal with a higher level; LTA again adds a further archive stamp.

    Raises SealError, also for a seal that is wrong.
    """
    return await _family(data).extend(data, level, tools, content)


async def validate(data: bytes, rules: Rules, content: Sequence[Content] = ()) -> Report:
    """What is to be thought of a seal. Raises SealError for what cannot be read as one at all."""
    return await _family(data).validate(data, rules, content)


def _family(data: bytes) -> Family:
    if len(data) > LONGEST:
        raise _too_large()
    for family in families():
        if family.reads(data):
            return family
    raise SealError(
        "format",
        Text("Toto není pečeť známého formátu.", "This is no seal of a format that is known here."),
    )


def _too_large() -> SealError:
    return SealError("too-large", Text("Soubor je příliš velký.", "The file is too large."))
