"""Does what was asked of the seal service, one thing after another, each with its own outcome."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any, Final

from pater.rest.sealing.shapes import Item
from pater.trust.seal.model import Format, Order, Packaging, SealError
from pater.trust.seal.service import Service

_TYPES: Final = {
    Format.CADES: "application/pkcs7-signature",
    Format.PADES: "application/pdf",
    Format.XADES: "application/xml",
    Format.JADES: "application/jose+json",
    Format.ASIC_S: "application/vnd.etsi.asic-s+zip",
    Format.ASIC_E: "application/vnd.etsi.asic-e+zip",
}


def media_type(order: Order) -> str:
    """What a sealed file is."""
    if order.format is Format.CADES and order.packaging is Packaging.ATTACHED:
        return "application/pkcs7-mime"
    if order.option("serialization") == "compact":
        return "application/jose"
    return _TYPES[order.format]


class Work:
    """The four things that are done."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def all(self, act: str, items: Sequence[Item]) -> list[dict[str, Any]]:
        """The results in order; what fails has an `error` instead and stops no other."""
        found: list[dict[str, Any]] = []
        for item in items:
            try:
                found.append(await self.one(act, item))
            except SealError as error:
                found.append({"error": {"code": error.code, **error.text._asdict()}})
        return found

    async def one(self, act: str, item: Item) -> dict[str, Any]:
        """One result as JSON. Raises SealError."""
        if act == "validate":
            return (await self.service.validate(item.seal, item.content)).as_dict()
        if act == "extend":
            return _sealed(await self.service.extend(item.seal, item.level, item.content))
        if act == "stamp":
            name, data = item.stamp
            if not name:
                name, data = "sha256", hashlib.sha256(data).digest()
            token = await self.service.stamper.stamp(data, name)
            return {"token": base64.b64encode(token).decode(), "hash": name}
        assert item.order is not None
        sealed = await self.service.create(item.order)
        return {**_sealed(sealed), "mime": media_type(item.order)}


def _sealed(data: bytes) -> dict[str, Any]:
    return {"seal": base64.b64encode(data).decode()}
