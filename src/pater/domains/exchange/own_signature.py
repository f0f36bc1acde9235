"""A signature that a document carries itself (Bundle.signature), and what was found of it.

FHIR R4 (2.6.3, datatypes: Signature) signs JSON as a detached JWS over the canonical form of the
Bundle without its signature. It is noted, not asked for: who sent a document is known anyhow.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from pater.fhir.json import dumps
from pater.trust.seal.model import Content, SealError, Sub
from pater.trust.seal.service import Service

_FORMATS: Final = frozenset({"application/jose", "application/jose+json"})
_LONGEST: Final = 300


async def own_signature(service: Service, bundle: dict[str, Any]) -> str:
    """The indication, the reason and who signed, in one line; "" for a document without one."""
    signature = bundle.get("signature")
    if not isinstance(signature, dict):
        return ""
    if signature.get("sigFormat", "application/jose") not in _FORMATS:
        return "not looked at: only JSON signatures are"
    try:
        data = base64.b64decode(str(signature.get("data", "")), validate=True)
    except binascii.Error:
        return f"TOTAL-FAILED {Sub.FORMAT_FAILURE.value}"
    said = ""
    for payload in _canonical(bundle):
        try:
            report = await service.validate(data, (Content(payload),))
        except SealError:
            return f"TOTAL-FAILED {Sub.FORMAT_FAILURE.value}"
        who = report.signatures[0].subject
        words = (report.indication.value, report.sub.value if report.sub else "", who)
        said = " ".join(word for word in words if word)[:_LONGEST]
        if report.sub not in (Sub.SIG_CRYPTO_FAILURE, Sub.HASH_FAILURE):
            break
    return said


def _canonical(bundle: dict[str, Any]) -> list[bytes]:
    """The forms that are signed: without id and meta too (`json#document`), or with them."""
    whole = {name: value for name, value in bundle.items() if name != "signature"}
    document = {name: value for name, value in whole.items() if name not in ("id", "meta")}
    return [dumps(_sorted(form)) for form in (document, whole)]


def _sorted(value: Any) -> Any:
    """The same with the members of every object in the order of their names."""
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_sorted(one) for one in value]
    return value
