"""PAdES seals (EN 319 142-1): made in a PDF, raised to a higher level, validated."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from asn1crypto import cms, crl, ocsp
from asn1crypto import x509 as asn1
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes
from pyhanko.sign.signers.pdf_signer import PdfSignatureMetadata, PdfSigner, PdfTimeStamper
from pyhanko.sign.timestamps.api import TimeStamper as TheirStamper
from pyhanko.sign.validation.dss import DocumentSecurityStore

from pater.trust.seal.cades import KeySigner, key_of, only, refuse
from pater.trust.seal.cms_parts import SIGNATURE_STAMP, tokens
from pater.trust.seal.judging import judge, stamped
from pater.trust.seal.lasting import needed
from pater.trust.seal.model import (
    Content,
    Format,
    Level,
    Material,
    Order,
    Packaging,
    Report,
    Rules,
    SealError,
    Text,
    Tools,
)
from pater.trust.seal.pades_reading import BROKEN, bad, opened, read_pdf

_STAMP_HASH: Final = "sha256"
_TOKEN_BYTES: Final = 16 * 1024  # left for a token: those of real authorities are about 6 kB
_NAME: Final = "Seal"


class _Stamper(TheirStamper):
    """Our time stamps in the shape in which pyHanko asks for them."""

    def __init__(self, tools: Tools) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # theirs
        self._tools = tools

    async def async_timestamp(self, message_digest: bytes, md_algorithm: str) -> cms.ContentInfo:
        token = await stamped(self._tools, message_digest, md_algorithm)
        if len(token) > _TOKEN_BYTES:
            raise SealError(
                "stamp",
                Text("Časové razítko je příliš dlouhé.", "The time stamp is too long."),
            )
        return cms.ContentInfo.load(token)


class Pades:
    """The family of PAdES."""

    def makes(self, order: Order) -> bool:
        return order.format is Format.PADES and order.packaging is Packaging.ENVELOPED

    def reads(self, data: bytes) -> bool:
        return b"%PDF-" in data[:1024]

    async def create(self, order: Order, tools: Tools) -> bytes:
        content = only(order.content)
        if content is None or content.data is None:
            raise SealError(
                "content", Text("Chybí PDF k zapečetění.", "There is no PDF to be sealed.")
            )
        made = await _sign(content.data, order.level, tools)
        return await _raised(made, order.level, tools)

    async def extend(
        self, data: bytes, level: Level, tools: Tools, content: Sequence[Content] = ()
    ) -> bytes:
        report = await self.validate(data, tools.rules)
        refuse(report, level)
        if level >= Level.T and any(one.proved is None for one in report.signatures):
            # a signature in a PDF cannot change any more: the stamp is one over the document
            data = await _stamp_document(data, tools)
        return await _raised(data, level, tools)

    async def validate(self, data: bytes, rules: Rules, content: Sequence[Content] = ()) -> Report:
        found = (await asyncio.to_thread(read_pdf, data)).found
        judged = [await judge(one, rules) for one in found]
        return Report(rules.at, Format.PADES, tuple(judged))


async def _sign(data: bytes, level: Level, tools: Tools) -> bytes:
    key = key_of(tools)
    reader = await asyncio.to_thread(opened, data)
    try:
        place = len(list(reader.embedded_signatures)) + 1
        writer = IncrementalPdfFileWriter.from_reader(reader)
        metadata = PdfSignatureMetadata(
            field_name=f"{_NAME}{place}", md_algorithm=key.algorithm.hash,
            subfilter=SigSeedSubFilter.PADES,
        )  # fmt: skip
        stamper = _Stamper(tools) if level >= Level.T else None
        signer = PdfSigner(metadata, signer=KeySigner(key), timestamper=stamper)
        session = signer.init_signing_session(writer)
        session.system_time = tools.clock().replace(microsecond=0)
        room = sum(map(len, (key.certificate, *key.chain))) + 8 * 1024
        room += _TOKEN_BYTES if stamper else 0
        prepared = session.prepare_tbs_document(validation_info=None, bytes_reserved=2 * room)
        output = io.BytesIO()
        digest, _ = prepared.digest_tbs_document(output=output)
        done = await prepared.perform_signature(
            digest.document_digest,
            PdfCMSSignedAttributes(signing_time=session.system_time),
        )
        await done.post_signature_processing(output)
    except SealError:
        raise
    except (*BROKEN, SigningError) as error:
        raise bad(str(error)) from error
    return output.getvalue()


async def _raised(data: bytes, level: Level, tools: Tools) -> bytes:
    if level >= Level.LT:
        data = await _with_evidence(data, tools.rules)
    if level >= Level.LTA:
        data = await _stamp_document(data, tools)
    return data


async def _with_evidence(data: bytes, rules: Rules) -> bytes:
    """Puts what shows that all signers and authorities were good into the document."""
    found = await asyncio.to_thread(read_pdf, data)
    new = Material()
    for one, signed in zip(found.found, found.signed, strict=True):
        own = tokens(signed["signer_infos"][0], SIGNATURE_STAMP)
        stamps = [*own, *found.tokens]
        # the store holds all of it, also what stands in the signature: others look only there
        known = Material(certificates=one.others) + one.material + rules.material
        new += await needed(
            one.certificate, (), stamps, found.material, replace(rules, material=known),
            archived=found.archived,
        )  # fmt: skip

    def write() -> bytes:
        output = io.BytesIO(data)
        DocumentSecurityStore.add_dss(
            output,
            None,
            certs=[asn1.Certificate.load(one) for one in new.certificates],
            crls=[crl.CertificateList.load(one) for one in new.crls],
            ocsps=[ocsp.OCSPResponse.load(one) for one in new.ocsps],
        )
        return output.getvalue()

    try:
        return await asyncio.to_thread(write)
    except BROKEN as error:
        raise bad(str(error)) from error


async def _stamp_document(data: bytes, tools: Tools) -> bytes:
    """A time stamp over the whole document (EN 319 142-1, 5.4.3)."""
    reader = await asyncio.to_thread(opened, data)
    try:
        place = len(list(reader.embedded_signatures)) + 1
        stamper = PdfTimeStamper(_Stamper(tools), field_name=f"Stamp{place}")
        output = await stamper.async_timestamp_pdf(
            IncrementalPdfFileWriter.from_reader(reader), _STAMP_HASH,
            bytes_reserved=2 * _TOKEN_BYTES,
        )  # fmt: skip
    except SealError:
        raise
    except (*BROKEN, SigningError) as error:
        raise bad(str(error)) from error
    made: bytes = output.getvalue()
    return made
