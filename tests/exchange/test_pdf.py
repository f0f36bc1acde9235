"""The printed document says what the page says, on every page whose it is, and is archival."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pypdf import PdfReader

from pater.domains.exchange.demo import demo_region
from pater.domains.exchange.pdf import document_pdf
from pater.domains.exchange.view import document_view
from tests.shared_data import documents

NOW = datetime(2026, 11, 22, 13, 5, tzinfo=UTC)


def printed(document: dict[str, Any], lang: Any = "cs") -> PdfReader:
    return PdfReader(io.BytesIO(document_pdf(document_view(document, lang), lang, NOW)))


def text(reader: PdfReader) -> str:
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split())


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """The longest report of the demonstration."""
    found: dict[str, Any] = json.loads(max(demo_region().documents, key=len))
    return found


def test_sections_results_and_diacritics_are_there(report: dict[str, Any]) -> None:
    shown = text(printed(report))
    for section in document_view(report, "cs").sections:
        assert section.title in shown
    assert "Příliš" not in shown
    assert "Městská nemocnice Jílový Brod" in shown
    assert "svíravá bolest" in shown.casefold()
    assert "nad mezí" in shown.casefold()


def test_every_page_names_the_patient_the_document_and_its_number(report: dict[str, Any]) -> None:
    reader = printed(report)
    count = len(reader.pages)
    assert count > 1
    number = document_view(report, "cs").identifier
    for position, page in enumerate(reader.pages, start=1):
        shown = " ".join(page.extract_text().split())
        assert "Jana Svobodová" in shown
        assert number in shown
        assert f"Strana {position} z {count}" in shown
        assert "Vytištěno z Páteře 22. 11. 2026 14:05" in shown  # Czech time


def test_it_is_archival_tagged_and_titled(report: dict[str, Any]) -> None:
    reader = printed(report, "en")
    root = reader.trailer["/Root"]
    metadata = root["/Metadata"].get_object().get_data().decode()
    assert "pdfaid:part" in metadata and "pdfuaid:part" in metadata
    assert root["/MarkInfo"]["/Marked"]
    assert reader.metadata is not None
    assert reader.metadata.title == document_view(report, "en").title
    for page in reader.pages:
        for font in page["/Resources"]["/Font"].values():
            described = font.get_object()["/DescendantFonts"][0].get_object()["/FontDescriptor"]
            assert any(key.startswith("/FontFile") for key in described.get_object())


def test_the_same_document_gives_the_same_bytes(report: dict[str, Any]) -> None:
    view = document_view(report, "cs")
    assert document_pdf(view, "cs", NOW) == document_pdf(view, "cs", NOW)


def test_text_is_never_read_as_markup() -> None:
    evil = '#panic("x") $ ] ) *b* _i_ `c` \\ <label> @ref = h "q" #include "/etc/passwd"'
    document = {
        "entry": [
            {
                "resource": {
                    "resourceType": "Composition",
                    "title": evil,
                    "section": [
                        {"title": evil, "text": {"div": f"<div>{evil.replace('<', '&lt;')}</div>"}}
                    ],
                }
            }
        ]
    }
    assert text(printed(document)).count('#panic("x")') == 3


def test_an_empty_document_can_be_printed() -> None:
    assert "Dokument nemá žádné oddíly." in text(printed({"resourceType": "Bundle"}))


def test_published_documents_can_be_printed() -> None:
    for body in documents("cz-hdr", "eu-hdr", "cz-ps", "cz-lab", "cz-ems", "ips").values():
        assert len(printed(json.loads(body)).pages) > 0


def test_a_moment_without_a_zone_is_refused(report: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="time zone"):
        document_pdf(document_view(report, "cs"), "cs", datetime(2026, 1, 1))  # noqa: DTZ001
