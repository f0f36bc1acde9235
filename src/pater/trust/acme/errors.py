"""What an ACME client is told when something is refused (RFC 8555, section 6.7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

PREFIX: Final = "urn:ietf:params:acme:error:"


class AcmeError(Exception):
    """A refusal: `kind` is the end of the problem's type, the text is for people."""

    def __init__(
        self,
        kind: str,
        text: str,
        status: int = 400,
        *,
        headers: Mapping[str, str] = MappingProxyType({}),
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        super().__init__(text)
        self.kind, self.text, self.status = kind, text, status
        self.headers, self._more = headers, more

    def problem(self) -> dict[str, Any]:
        """The problem document (RFC 7807)."""
        said = {"type": PREFIX + self.kind, "detail": self.text, "status": self.status}
        return {**said, **self._more}


def malformed(text: str) -> AcmeError:
    """The request is not what RFC 8555 says."""
    return AcmeError("malformed", text)


def rejected(hosts: Sequence[tuple[str, str, str]]) -> AcmeError:
    """No certificate for these: (kind, host, why) each, one problem below the whole."""
    below = [
        {
            "type": PREFIX + kind,
            "detail": why,
            "identifier": {"type": "dns", "value": host},
        }
        for kind, host, why in hosts
    ]
    kind, host, why = hosts[0]
    return AcmeError(kind, f"{host}: {why}", 403, more={"subproblems": below})
