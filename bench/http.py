"""The bytes of HTTP/1.1: requests encoded ahead of time, responses taken apart as they arrive."""

from __future__ import annotations

from dataclasses import dataclass

_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
_CHUNKED = b"\r\ntransfer-encoding:"
_CLOSE = b"\r\nconnection: close"
_BODILESS = frozenset({204, 304})
LONGEST_HEAD = 64 * 1024


class HttpError(Exception):
    """What came is not an HTTP/1.1 response."""


@dataclass(frozen=True, slots=True)
class Response:
    """One response; `head` is the status line and the header fields as sent."""

    status: int
    head: bytes
    body: bytes
    keep_alive: bool

    def header(self, name: str) -> str:
        """The value of a header field, or ""."""
        wanted = name.lower().encode() + b":"
        for line in self.head.split(b"\r\n")[1:]:
            if line[: len(wanted)].lower() == wanted:
                return line[len(wanted) :].strip().decode("latin-1")
        return ""


def encode(
    method: str, path: str, headers: dict[str, str], body: bytes = b"", host: str = "127.0.0.1"
) -> bytes:
    """A whole request as bytes; `path` is already percent-encoded."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class ResponseParser:
    """Takes one connection's bytes in any pieces and gives back its responses one by one."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._size = 0  # of what is held
        self._enough = 0  # before so many bytes it makes no sense to look

    def feed(self, data: bytes) -> Response | None:
        """The next response when it is complete. `feed(b"")` looks at what is left over."""
        if self._held or self._size + len(data) < self._enough:
            self._held.append(data)
            self._size += len(data)
            if self._size < self._enough:
                return None
            data = b"".join(self._held)
        response, used, self._enough = _take(data)
        rest = data[used:]
        self._held = [rest] if rest else []
        self._size = len(rest)
        return response

    def eof(self) -> Response | None:
        """The response that only the end of the connection ends (no length, not chunked)."""
        data = b"".join(self._held)
        self._held, self._size, self._enough = [], 0, 0
        head, end, body = data.partition(_END)
        if not end or _LENGTH in head.lower() or _CHUNKED in head.lower():
            return None
        return Response(_status(head), head, body, False)


def _take(data: bytes) -> tuple[Response | None, int, int]:
    """(response, bytes used, bytes needed before it makes sense to look again)."""
    used = 0
    while True:
        end = data.find(_END, used)
        if end < 0:
            if len(data) - used > LONGEST_HEAD:
                raise HttpError("the head of the response is too long")
            if data[used:] and not b"HTTP/1.".startswith(data[used : used + 7]):
                raise HttpError(f"not a status line: {data[used : used + 40]!r}")
            return None, used, 0
        head = data[used:end]
        status = _status(head)
        if status >= 200:
            break
        used = end + 4  # 100 Continue and its kind
    low = head.lower()
    keep_alive = _CLOSE not in low
    start = end + 4
    if status in _BODILESS:
        return Response(status, head, b"", keep_alive), start, 0
    place = low.find(_LENGTH)
    if place >= 0:
        value = low[place + len(_LENGTH) :].split(b"\r\n", 1)[0].strip()
        if not value.isdigit():
            raise HttpError(f"not a length: {value!r}")
        total = start + int(value)
        if len(data) < total:
            return None, used, total - used
        return Response(status, head, data[start:total], keep_alive), total, 0
    if _CHUNKED in low:
        found = _chunks(data, start)
        if found is None:
            return None, used, 0
        return Response(status, head, found[0], keep_alive), found[1], 0
    return None, used, len(data) - used + 1  # until the connection ends


def _status(head: bytes) -> int:
    if head[:7] != b"HTTP/1." or not head[9:12].isdigit():
        raise HttpError(f"not a status line: {head[:40]!r}")
    return int(head[9:12])


def _chunks(data: bytes, at: int) -> tuple[bytes, int] | None:
    """The joined chunks and the place after the trailer, or None when some are still to come."""
    parts = []
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        try:
            size = int(data[at:end].split(b";", 1)[0], 16)
        except ValueError:
            raise HttpError(f"not a chunk: {data[at : at + 20]!r}") from None
        at = end + 2
        if size == 0:
            break
        if len(data) < at + size + 2:
            return None
        parts.append(data[at : at + size])
        at += size + 2
    while True:  # trailer fields, then an empty line
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        at, empty = end + 2, end == at
        if empty:
            return b"".join(parts), at
