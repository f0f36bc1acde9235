"""Finds the files that a document carries: the author's original, attachments, binaries."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from pater.domains.exchange.view.bundle import BundleIndex, Json, items, obj, text
from pater.domains.exchange.view.model import Attachment
from pater.domains.exchange.view.values import Wording


def attachments(wording: Wording) -> tuple[Attachment, ...]:
    """All files of the document; the number of each is its place here."""
    found = []
    for index, (file, original, _) in enumerate(_files(wording.index)):
        body = _body(file)
        url = text(file.get("url"))
        kind = text(file.get("contentType"))
        title = text(file.get("title"))
        if not title:
            title = wording.w["original"] if original else wording.w["document"]
        linked = body is None and url.startswith(("https://", "http://"))
        found.append(
            Attachment(
                index,
                title,
                kind.split(";")[0].strip().lower() or "application/octet-stream",
                None if body is None else len(body),
                wording.date(file.get("creation")),
                url if linked else "",
                original,
            )
        )
    return tuple(found)


def attachment_bytes(bundle: Json, index: int) -> tuple[str, bytes] | None:
    """Content type and bytes of the file with that number; None when it is not inside."""
    if index < 0:
        return None
    for number, (file, _, _) in enumerate(_files(BundleIndex(bundle))):
        if number == index:
            body = _body(file)
            kind = text(file.get("contentType")).split(";")[0].strip().lower()
            return None if body is None else (kind or "application/octet-stream", body)
    return None


def _files(index: BundleIndex) -> Iterator[tuple[Json, bool, int]]:
    """(Attachment, is it the document itself, entry number) of every file, each once."""
    used: set[int] = set()
    seen: set[str] = set()
    for file, original, position in _attachments(index):
        target = index.resolve({"reference": text(file.get("url"))})
        if target.get("resourceType") == "Binary" and not file.get("data"):
            used.add(index.position(target))
            file = {**target, **file, "data": target.get("data")}
        data = file.get("data")
        mark = data if isinstance(data, str) else text(file.get("url"))
        if mark and mark not in seen:
            seen.add(mark)
            yield file, original, position
    for position, resource in enumerate(index.entries):
        data = resource.get("data")
        if resource.get("resourceType") != "Binary" or position in used:
            continue
        if isinstance(data, str) and data not in seen:
            seen.add(data)
            yield resource, False, position


def _attachments(index: BundleIndex) -> Iterator[tuple[Json, bool, int]]:
    composition = index.composition
    for extension in items(composition.get("extension")):
        if text(extension.get("url")).endswith("/presentedForm"):
            yield obj(extension.get("valueAttachment")), True, index.position(composition)
    for position, resource in enumerate(index.entries):
        kind = resource.get("resourceType")
        if kind == "DiagnosticReport":
            for file in items(resource.get("presentedForm")):
                yield file, True, position
        elif kind == "DocumentReference":
            for content in items(resource.get("content")):
                file = obj(content.get("attachment"))
                yield {"title": text(resource.get("description")), **file}, False, position
        elif kind in {"Media", "Consent"}:
            file = obj(resource.get("content") or resource.get("sourceAttachment"))
            if file:
                yield file, False, position


def _body(file: Json) -> bytes | None:
    data: Any = file.get("data")
    if not isinstance(data, str):
        return None
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
