"""Reads the seals and stamps of a PDF (EN 319 142-1, ISO 32000-2 12.8) for judgement.

pyHanko reads the file and says what was changed after a signature; the signature itself is CMS.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from asn1crypto import cms
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.rw_common import PdfHandler
from pyhanko.sign.diff_analysis import ModificationLevel, SuspiciousModification
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel

from pater.trust.seal.archive_stamps import inside_of
from pater.trust.seal.cades_reading import everything, read
from pater.trust.seal.certificates import UNREADABLE
from pater.trust.seal.cms_parts import content_of
from pater.trust.seal.judging import Found, StampFound, sha256
from pater.trust.seal.model import (
    MOST_SIGNATURES,
    Check,
    Content,
    Format,
    Material,
    SealError,
    Sub,
    Text,
)

# what pyHanko has been seen to raise over foreign PDF files
BROKEN: Final = (*UNREADABLE, PdfError, SignatureValidationError, AssertionError, OSError)
_HASHES: Final = ("sha256", "sha384", "sha512")
_MOST_STAMPS: Final = 50
_NOTHING: Final = Material()
_MOST_ITEMS: Final = 500
_SUBFILTERS: Final = frozenset({"/ETSI.CAdES.detached", "/adbe.pkcs7.detached"})

UNTOUCHED: Final = Check(
    "modifications",
    True,
    Text(
        "Od zapečetění nepřibylo nic než další pečeti, razítka a vyplněná pole formuláře.",
        "Since it was sealed nothing came but further seals, stamps and filled form fields.",
    ),
)
_CHANGED: Final = Text(
    "Dokument byl po zapečetění změněn připojenou úpravou.",
    "The document was changed by an update that was appended after it was sealed.",
)
_NOT_COVERED: Final = Text(
    "Pečeť nepokrývá celý dokument.", "The seal does not cover the whole document."
)


@dataclass(frozen=True, slots=True)
class Read:
    """The seals of a PDF as they are judged and as they are, and the tokens over the document
    (oldest first); what the document security store holds, and whether a token covers it."""

    found: tuple[Found, ...]
    signed: tuple[cms.SignedData, ...] = ()
    tokens: tuple[bytes, ...] = ()
    material: Material = _NOTHING
    archived: bool = False


def opened(data: bytes) -> PdfFileReader:
    """The PDF, read strictly: leniency is what shadow attacks live on. Raises SealError."""
    try:
        reader = PdfFileReader(io.BytesIO(data), strict=True)
        if reader.encrypted:
            raise SealError(
                "unsupported",
                Text("PDF je zašifrované.", "The PDF is encrypted."),
            )
        reader.root  # noqa: B018  reads it
    except BROKEN as error:
        if isinstance(error, SealError):
            raise
        raise bad(str(error)) from error
    return reader


def bad(why: str) -> SealError:
    """What is said of a file that cannot be read as PDF."""
    return SealError(
        "format",
        Text(f"PDF nelze přečíst: {why}.", f"The PDF cannot be read: {why}."),
    )


def read_pdf(data: bytes) -> Read:
    """All seals of the PDF. Raises SealError when there is none, or the file cannot be read."""
    reader = opened(data)
    try:
        seals = list(reader.embedded_regular_signatures)
        stamps = list(reader.embedded_timestamp_signatures)
    except BROKEN:
        broken = Found(Format.PADES, problem=Sub.FORMAT_FAILURE)
        return Read((broken,))
    if not seals:
        raise SealError("format", Text("V PDF není žádná pečeť.", "There is no seal in the PDF."))
    if len(seals) > MOST_SIGNATURES or len(stamps) > _MOST_STAMPS:
        raise bad("too many signatures")
    try:
        material = material_of(reader)
        over = [_stamp(reader, one, seals, stamps) for one in stamps]
    except BROKEN:
        broken = Found(Format.PADES, problem=Sub.FORMAT_FAILURE)
        return Read((broken,))
    found = tuple(_seal(one, over, material) for one in seals)
    return Read(
        found,
        tuple(one.signed_data for one in seals),
        tuple(one.token for _, one in over),
        material,
        any(one.over == "archive" for _, one in over),
    )


def _seal(
    one: EmbeddedPdfSignature, over: list[tuple[int, StampFound]], material: Material
) -> Found:
    try:
        if one.sig_object.get("/SubFilter") not in _SUBFILTERS:
            return Found(Format.PADES, problem=Sub.FORMAT_FAILURE)
        if len(one.signed_data["signer_infos"]) != 1 or content_of(one.signed_data) is not None:
            return Found(Format.PADES, problem=Sub.FORMAT_FAILURE)
        wrong = _changed(one)
        names = dict.fromkeys((one.md_algorithm, *_HASHES))
        digests = tuple((name, one.compute_digest(name)) for name in names)
        extra = [stamp for revision, stamp in over if revision >= one.signed_revision]
        covers = (one.field_name,)
        found = read(one.signed_data, Content(digests=digests), Format.PADES, covers, extra)[0]
        claimed = found.claimed or one.self_reported_timestamp
    except BROKEN:
        return Found(Format.PADES, problem=Sub.FORMAT_FAILURE)
    found = replace(
        found,
        claimed=claimed,
        others=tuple(dict.fromkeys((*found.others, *material.certificates))),
        material=found.material + material,
    )
    if found.problem is not None:
        return found
    if wrong is not None:
        sub, text = wrong
        return replace(found, problem=sub, text=text, code="modifications")
    return replace(found, checks=(*found.checks, UNTOUCHED))


def _changed(one: EmbeddedPdfSignature) -> tuple[Sub, Text] | None:
    """What speaks against the document being what was sealed (EN 319 102-1 leaves it to PDF)."""
    try:
        one.compute_integrity_info()  # type: ignore[no-untyped-call]  # theirs
    except SignatureValidationError:
        return Sub.FORMAT_FAILURE, _NOT_COVERED
    except BROKEN:
        return Sub.HASH_FAILURE, _CHANGED
    if one.coverage is None or one.coverage < SignatureCoverageLevel.ENTIRE_REVISION:
        return Sub.FORMAT_FAILURE, _NOT_COVERED
    if one.pkcs7_content[len(_token(one)) :].strip(b"\0"):
        return Sub.FORMAT_FAILURE, _NOT_COVERED  # something hides behind the signature
    result = one.diff_result
    if isinstance(result, SuspiciousModification):
        return Sub.HASH_FAILURE, _CHANGED
    if not one.summarise_integrity_info()["docmdp_ok"]:
        return Sub.HASH_FAILURE, _CHANGED
    if result is not None and result.modification_level > ModificationLevel.FORM_FILLING:
        return Sub.HASH_FAILURE, _CHANGED
    return None


def _stamp(
    reader: PdfFileReader,
    one: EmbeddedPdfSignature,
    seals: list[EmbeddedPdfSignature],
    stamps: list[EmbeddedPdfSignature],
) -> tuple[int, StampFound]:
    """A time stamp over the document, with what it covers: the revisions up to its own."""
    revision: int = one.signed_revision
    token = _token(one)
    if _changed(one) is not None:
        return revision, StampFound(token, _nothing, "document")
    material = material_of(reader.get_historical_resolver(revision))
    items = (*material.certificates, *material.crls, *material.ocsps)
    proves = {sha256(item) for item in items}
    for seal in seals:
        if seal.signed_revision < revision:
            proves |= everything(seal.signed_data)
    for other in stamps:
        if other.signed_revision < revision:
            inner = _token(other)
            proves |= {sha256(inner), *inside_of(inner)}
    over = "archive" if material.crls or material.ocsps else "document"
    return revision, StampFound(token, _digest_of(one), over, frozenset(proves))


def _nothing(_: str) -> bytes | None:
    return None


def _digest_of(one: EmbeddedPdfSignature) -> Callable[[str], bytes | None]:
    def digest_of(name: str) -> bytes | None:
        if name not in _HASHES:
            return None
        made: bytes = one.compute_digest(name)
        return made

    return digest_of


def _token(one: EmbeddedPdfSignature) -> bytes:
    """The signature or token without the zeros that fill its place."""
    made: bytes = cms.ContentInfo.load(one.pkcs7_content).dump()
    return made


def material_of(handler: PdfHandler) -> Material:
    """What the document security store holds (EN 319 142-1, 5.4.2)."""
    if "/DSS" not in handler.root:
        return Material()
    store = handler.root["/DSS"]

    def items(name: str) -> tuple[bytes, ...]:
        streams: list[Any] = list(store[name]) if name in store else []
        if len(streams) > _MOST_ITEMS:
            raise ValueError("too much in the document security store")
        return tuple(dict.fromkeys(one.get_object().data for one in streams))

    return Material(items("/Certs"), items("/CRLs"), items("/OCSPs"))
