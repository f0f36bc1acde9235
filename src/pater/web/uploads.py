"""Forms with files: read within bounds, into memory, for people who are logged in."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

MAX_BYTES: Final = 3 * 1024 * 1024
"""Of the whole form."""
_MAX_FIELDS: Final = 50
_MAX_FIELD: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it came: its name and type are what the browser says."""

    name: str
    type: str
    content: bytes


async def read_multipart(request: Request) -> tuple[Mapping[str, str], Mapping[str, Upload]]:
    """Fields and files (at most two) of a multipart/form-data body (RFC 7578).

    Raises HTTPException 400 (not such a form, a field twice) or 413 (over `MAX_BYTES`).
    """
    parser = MultiPartParser(
        request.headers,
        _bounded(request),
        max_files=2,
        max_fields=_MAX_FIELDS,
        max_part_size=_MAX_FIELD,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400) from error
    fields: dict[str, str] = {}
    files: dict[str, Upload] = {}
    try:
        for name, value in form.multi_items():
            if name in fields or name in files:
                raise HTTPException(400)
            if isinstance(value, UploadFile):
                if value.filename:
                    content = await value.read()
                    kind = value.content_type or ""
                    files[name] = Upload(value.filename[:200], kind[:100], content)
            elif "\x00" in value:
                raise HTTPException(400)
            else:
                fields[name] = value
    finally:
        await form.close()
    return MappingProxyType(fields), MappingProxyType(files)


async def _bounded(request: Request) -> AsyncGenerator[bytes]:
    seen = 0
    async for chunk in request.stream():
        seen += len(chunk)
        if seen > MAX_BYTES:
            raise HTTPException(413)
        yield chunk
