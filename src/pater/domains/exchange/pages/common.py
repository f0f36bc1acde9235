"""What the pages of both portals do alike: find documents, open one, hand out its files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pater.access.caller import Caller
from pater.domain import Services
from pater.domains.exchange import tables
from pater.domains.exchange.document import Resource
from pater.domains.exchange.pages.listing import DocumentItem, document_items
from pater.domains.exchange.pdf import document_pdf
from pater.domains.exchange.view import attachment_bytes, document_view
from pater.fhir.json import parse
from pater.fhir.search.query import SearchError, parse_search
from pater.records.errors import Forbidden, Gone, NotFound
from pater.records.gate import Damaged
from pater.rest.requests import is_id
from pater.terminology.names import Language
from pater.web.context import PageContext

LISTED = 200  # documents of one person shown at once; older ones wait for the next page
_SHOWN = frozenset({"application/pdf", "image/png", "image/jpeg", "text/plain"})


@dataclass(frozen=True, slots=True)
class Opened:
    """A document that was read: its id, its bytes as received, and parsed.

    `sealed` is when it was sealed; it was compared with its seal before it was given here.
    """

    id: str
    raw: bytes
    bundle: Resource
    sealed: datetime | None = None


@asynccontextmanager
async def answers() -> AsyncIterator[None]:
    """Turns the gate's refusals into the statuses of pages; withheld looks like not there."""
    try:
        yield
    except (NotFound, Gone) as error:
        raise HTTPException(404) from error
    except SearchError as error:
        raise HTTPException(400) from error
    except Forbidden as error:
        raise HTTPException(403) from error
    except Damaged as error:  # the alarm is in the log
        raise HTTPException(500) from error


async def documents_of(
    services: Services, caller: Caller, patient: str, lang: Language
) -> list[DocumentItem]:
    """The current documents of a patient, newest first."""
    request = parse_search(
        "DocumentReference",
        [
            ("patient", f"Patient/{patient}"),
            ("status", "current"),
            ("_sort", "-date"),
            ("_include", "DocumentReference:custodian"),
        ],
    )
    page = await services.gate.search(caller, request, count=LISTED)
    organizations = {}
    for stored in page.included:
        resource = parse(stored.body)
        organizations[f"{stored.type}/{stored.id}"] = str(resource.get("name", ""))
    return document_items((parse(s.body) for s in page.matches), organizations, lang)


async def open_document(services: Services, caller: Caller, document: str) -> Opened:
    """Reads one document. Raises HTTPException 404 or 403."""
    if not is_id(document):
        raise HTTPException(404)
    async with answers():
        stored = await services.gate.read(caller, "Bundle", document)
    bundle = parse(stored.body)
    if bundle.get("type") != "document":
        raise HTTPException(404)
    kept = (await tables.seals_of(services.db, [document])).get(document)
    sealed = kept.sealed if kept and services.seals and stored.version == 1 else None
    return Opened(document, stored.body, bundle, sealed)


async def pdf_of(opened: Opened, lang: Language, services: Services) -> Response:
    """The document set as a PDF."""
    view = document_view(opened.bundle, lang)
    # setting a document takes a tenth of a second: not on the thread that serves everybody
    content = await asyncio.to_thread(document_pdf, view, lang, services.clock())
    return attachment(content, "application/pdf", f"{opened.id}.pdf")


def file_of(opened: Opened, index: int, lang: Language) -> Response:
    """A file carried inside the document, as its author attached it."""
    view = document_view(opened.bundle, lang)
    found = next((a for a in view.attachments if a.index == index), None)
    file = attachment_bytes(opened.bundle, index) if found else None
    if found is None or file is None:
        raise HTTPException(404)
    kind = file[0].partition(";")[0].strip().lower()
    suffix = {"application/pdf": ".pdf", "image/png": ".png", "image/jpeg": ".jpg"}.get(kind, "")
    return attachment(
        file[1],
        kind if kind in _SHOWN else "application/octet-stream",
        f"{found.title or 'file'}{'' if found.title.lower().endswith(suffix) else suffix}",
    )


def attachment(content: bytes, kind: str, name: str) -> Response:
    """A download. The browser is told to save it, never to run it inside our pages."""
    safe = quote(name.replace("/", "-")[:120])
    return Response(
        content,
        media_type=kind,
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{safe}"},
    )


def language_of(context: PageContext, request: Request) -> Language:
    """The reader's language, for rooms that know exactly two."""
    return "en" if context.lang(request) == "en" else "cs"


def number_of(request: Request, name: str) -> int:
    """A path parameter that is a small number; 404 for anything else."""
    text = str(request.path_params[name])
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise HTTPException(404)
    return int(text)
