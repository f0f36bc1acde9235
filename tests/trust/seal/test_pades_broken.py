"""PDF seals that are wrong, and what came into the document after it was sealed."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pypdf import PdfReader, PdfWriter

from pater.trust.seal import families
from pater.trust.seal.model import (
    Content,
    Format,
    Indication,
    Level,
    Order,
    Packaging,
    SealError,
    Sub,
)
from tests.trust.seal.ground import DAY, Ground, pdf

PLAIN = pdf()
ORDER = Order(Format.PADES, Level.T, Packaging.ENVELOPED, (Content(PLAIN),))


async def sealed(ground: Ground, level: Level = Level.T) -> bytes:
    return await families.create(replace(ORDER, level=level), ground.tools())


def updated(data: bytes, change: Callable[[IncrementalPdfFileWriter], None]) -> bytes:
    """The document with an update appended to it."""
    writer = IncrementalPdfFileWriter(io.BytesIO(data))
    change(writer)
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()


def other_text(writer: IncrementalPdfFileWriter) -> None:
    """A shadow attack: the content of the page is put in place of what was sealed."""
    page = writer.root["/Pages"]["/Kids"][0]
    stream = generic.StreamObject(stream_data=b"BT /F1 12 Tf 50 700 Td (another) Tj ET")
    page[pdf_name("/Contents")] = writer.add_object(stream)
    writer.update_container(page)


def other_page(writer: IncrementalPdfFileWriter) -> None:
    pages = writer.root["/Pages"]
    page = generic.DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/Page"),
            pdf_name("/MediaBox"): generic.ArrayObject(map(generic.NumberObject, (0, 0, 9, 9))),
            pdf_name("/Parent"): writer.root.raw_get("/Pages"),
        }
    )
    pages["/Kids"].append(writer.add_object(page))
    pages[pdf_name("/Count")] = generic.NumberObject(2)
    writer.update_container(pages)


def overlay(writer: IncrementalPdfFileWriter) -> None:
    """A shadow attack: an annotation that hides what was sealed."""
    page = writer.root["/Pages"]["/Kids"][0]
    note = generic.DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/Annot"),
            pdf_name("/Subtype"): pdf_name("/FreeText"),
            pdf_name("/Rect"): generic.ArrayObject(map(generic.NumberObject, (0, 0, 400, 800))),
            pdf_name("/Contents"): generic.TextStringObject("another"),
        }
    )
    there = page["/Annots"] if "/Annots" in page else generic.ArrayObject()
    page[pdf_name("/Annots")] = generic.ArrayObject([*there, writer.add_object(note)])
    writer.update_container(page)


def script(writer: IncrementalPdfFileWriter) -> None:
    writer.root[pdf_name("/OpenAction")] = generic.DictionaryObject(
        {
            pdf_name("/S"): pdf_name("/JavaScript"),
            pdf_name("/JS"): generic.TextStringObject("app.alert(1)"),
        }
    )
    writer.update_root()


@pytest.mark.parametrize("change", [other_text, other_page, overlay, script])
@pytest.mark.parametrize("level", [Level.B, Level.LTA])
async def test_an_update_after_sealing_is_seen(
    change: Callable[[IncrementalPdfFileWriter], None], level: Level
) -> None:
    ground = Ground()
    data = updated(await sealed(ground, level), change)
    report = await families.validate(data, ground.rules())
    assert (report.indication, report.sub) == (Indication.FAILED, Sub.HASH_FAILURE)
    assert "appended" in report.signatures[0].reason.en  # type: ignore[union-attr]
    with pytest.raises(SealError):
        await families.extend(data, Level.LTA, ground.tools())


async def test_bytes_changed_under_the_seal() -> None:
    ground = Ground()
    data = (await sealed(ground)).replace(b"(a report)", b"(b report)")
    report = await families.validate(data, ground.rules())
    assert (report.indication, report.sub) == (Indication.FAILED, Sub.HASH_FAILURE)


async def test_bytes_before_and_after_the_document() -> None:
    ground = Ground()
    data = await sealed(ground)
    for changed in (b"hello\n" + data, data + b"\n%%EOF hello"):
        try:
            report = await families.validate(changed, ground.rules())
        except SealError:
            continue
        assert not report.passed


async def test_the_range_of_bytes_leaves_something_out() -> None:
    """What is not covered could be anything (a universal forgery of signatures in PDF)."""
    ground = Ground()
    data = await sealed(ground)
    start = data.index(b"/ByteRange")
    end = data.index(b"]", start) + 1
    numbers = [int(one) for one in data[start:end].split(b"[")[1][:-1].split()]
    numbers[3] -= 40
    text = f"/ByteRange [{' '.join(map(str, numbers))}]".encode().ljust(end - start)
    report = await families.validate(data[:start] + text + data[end:], ground.rules())
    assert report.indication is Indication.FAILED


@pytest.mark.parametrize("level", [Level.B, Level.LTA])
async def test_nothing_hides_behind_a_signature(level: Level) -> None:
    ground = Ground()
    data = await sealed(ground, level)
    start, _, rest = data.rpartition(b"00000000>")
    report = await families.validate(start + b"0badcafe>" + rest, ground.rules())
    assert not report.passed


async def test_two_seals_and_one_revoked() -> None:
    ground = Ground()
    other = ground.leaf("Other")
    first = await sealed(ground)
    second = await families.create(
        replace(ORDER, content=(Content(first),)), ground.tools(ground.key(other))
    )
    report = await families.validate(second, ground.rules())
    assert (report.passed, len(report.signatures)) == (True, 2)
    ground.revoke(other, ground.clock() - DAY)
    report = await families.validate(second, ground.rules())
    assert report.sub is Sub.REVOKED_NO_POE


async def test_what_is_no_sealed_pdf() -> None:
    ground = Ground()
    data = await sealed(ground)
    locked = PdfWriter(PdfReader(io.BytesIO(PLAIN)))
    locked.encrypt("secret")
    encrypted = io.BytesIO()
    locked.write(encrypted)
    for wrong in (PLAIN, data[: len(data) // 2], b"%PDF-1.7\nnothing", encrypted.getvalue()):
        with pytest.raises(SealError):
            await families.validate(wrong, ground.rules())


async def test_what_cannot_be_sealed() -> None:
    ground = Ground()
    for wrong in (b"%PDF-1.7\nnothing", b"", b"plain text"):
        with pytest.raises(SealError):
            await families.create(replace(ORDER, content=(Content(wrong),)), ground.tools())


async def test_the_document_reads_as_before() -> None:
    made = await sealed(Ground(), Level.LTA)
    assert PdfReader(io.BytesIO(made)).pages[0].extract_text() == "a report"
