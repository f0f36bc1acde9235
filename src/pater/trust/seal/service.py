"""The seals of one installation: its key, its stamps, whom it trusts, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pater.trust.seal import families
from pater.trust.seal.model import (
    Content,
    Evidence,
    Level,
    Order,
    Report,
    Rules,
    SealKey,
    TimeStamper,
    Tools,
)


@dataclass(frozen=True, slots=True)
class Service:
    """What seals, extends and validates here. `key` and `anchors` are asked anew each time,
    because a key is renewed and an authority begun while the program runs.
    """

    key: Callable[[], Awaitable[SealKey]]  # raises SealError `key`
    stamper: TimeStamper
    anchors: Callable[[], Awaitable[tuple[bytes, ...]]]
    stamp_anchors: tuple[bytes, ...]
    evidence: Evidence | None
    clock: Callable[[], datetime]
    unrevocable: frozenset[bytes] = frozenset()  # authorities that never revoke anything

    async def rules(self) -> Rules:
        """What is believed here, at this moment."""
        anchors = await self.anchors()
        return Rules(
            at=self.clock(),
            anchors=anchors,
            stamp_anchors=(*anchors, *self.stamp_anchors),
            evidence=self.evidence,
            unrevocable=self.unrevocable,
        )

    async def tools(self, *, sealing: bool = True) -> Tools:
        """What seals are made with; extending needs no key. Raises SealError."""
        key = await self.key() if sealing else None
        return Tools(key, self.stamper, await self.rules(), self.clock)

    async def create(self, order: Order, tools: Tools | None = None) -> bytes:
        """The sealed file, or the signature when detached; `tools` for many. Raises SealError."""
        return await families.create(order, tools or await self.tools())

    async def extend(self, data: bytes, level: Level, content: Sequence[Content] = ()) -> bytes:
        """The same seal with a higher level. Raises SealError."""
        return await families.extend(data, level, await self.tools(sealing=False), content)

    async def validate(self, data: bytes, content: Sequence[Content] = ()) -> Report:
        """What is to be thought of a seal. Raises SealError for what is none."""
        return await families.validate(data, await self.rules(), content)
