"""Prints a document: the same view as on the page, set by Typst as an archival, tagged PDF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
import typst

from pater.domains.exchange.view import DocumentView, Section
from pater.domains.exchange.view.narrative import blocks
from pater.terminology.names import Language

_CZECH_TIME: Final = ZoneInfo("Europe/Prague")
_TEMPLATES: Final = Path(__file__).resolve().parent / "templates"


def document_pdf(view: DocumentView, lang: Language, generated_at: datetime) -> bytes:
    """The document as PDF/A-2a and PDF/UA-1 with page numbers, patient and document on each page.

    `lang` is the language of the fixed words (that of the view); `generated_at` must carry a
    zone and is printed in Czech time. The same input gives the same bytes.
    """
    if generated_at.tzinfo is None:
        raise ValueError("generated_at needs a time zone")
    data: dict[str, Any] = {field.name: getattr(view, field.name) for field in fields(view)}
    data["sections"] = [_section(section) for section in view.sections]
    data["printed_at"] = _moment(generated_at.astimezone(_CZECH_TIME), lang)
    data["words"] = dict(view.words)
    return compile_pdf("document.typ", data, generated_at)


def compile_pdf(template: str, data: Mapping[str, Any], generated_at: datetime) -> bytes:
    """Sets one of our Typst templates; the data go in as JSON and are never read as markup."""
    return typst.compile(
        _template(template),
        format="pdf",
        sys_inputs={"data": orjson.dumps(data).decode()},
        ignore_system_fonts=True,  # the same page on every machine
        # Archival with a tagged structure (ISO 19005-2, level A) and accessible (ISO 14289-1).
        pdf_standards=["a-2a", "ua-1"],
        timestamp=int(generated_at.timestamp()),
    )


@lru_cache(maxsize=4)
def _template(name: str) -> bytes:
    return (_TEMPLATES / name).read_bytes()


def _section(section: Section) -> dict[str, Any]:
    return {
        "level": section.level,
        "title": section.title,
        "original_title": section.original_title,
        "blocks": blocks(section.html),
        "empty_reason": section.empty_reason,
        "tables": section.tables,
        "sections": [_section(child) for child in section.sections],
    }


def _moment(at: datetime, lang: Language) -> str:
    if lang == "cs":
        return f"{at.day}. {at.month}. {at.year} {at:%H:%M}"
    return f"{at.day} {at:%B %Y, %H:%M}"
