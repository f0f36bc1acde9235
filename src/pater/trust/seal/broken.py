"""What JAdES and XAdES say of a seal that is wrong before any certificate is looked at."""

from __future__ import annotations

from typing import Final

from pater.trust.seal import texts
from pater.trust.seal.model import SealError, Sub

CODES: Final = {
    Sub.FORMAT_FAILURE: "structure",
    Sub.HASH_FAILURE: "content",
    Sub.SIGNED_DATA_NOT_FOUND: "content",
    Sub.SIG_CRYPTO_FAILURE: "signature",
    Sub.NO_SIGNING_CERTIFICATE_FOUND: "certificate",
    Sub.CRYPTO_CONSTRAINTS_FAILURE: "algorithms",
}
"""The check of a report that does not pass for a reason; `structure` for all others."""


class Broken(Exception):  # noqa: N818 it is told in a report
    """The reason, and an English detail for the log."""

    def __init__(self, sub: Sub, detail: str) -> None:
        super().__init__(detail)
        self.sub = sub


def as_error(problem: Broken) -> SealError:
    """The same for those who wanted to add to the seal."""
    code = "content" if CODES.get(problem.sub) == "content" else "format"
    return SealError(code, texts.OF[problem.sub])
