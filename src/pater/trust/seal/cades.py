"""CAdES seals (EN 319 122-1): made, raised to a higher level, validated; attached or detached."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from asn1crypto import algos, cms, pem
from asn1crypto import x509 as asn1
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes, Signer
from pyhanko_certvalidator.registry import SimpleCertificateStore

from pater.trust.seal import archive_stamps, texts
from pater.trust.seal.archive_stamps import DigestOf
from pater.trust.seal.cades_reading import digests, digests_of, read
from pater.trust.seal.cms_parts import (
    ARCHIVE_STAMP,
    SIGNATURE_STAMP,
    add_attribute,
    add_material,
    content_of,
    load,
    material_of,
    tokens,
)
from pater.trust.seal.judging import (
    judge,
    stamped,
)
from pater.trust.seal.lasting import already, needed
from pater.trust.seal.model import (
    Algorithm,
    Content,
    Format,
    Indication,
    Level,
    Order,
    Packaging,
    Report,
    Rules,
    SealError,
    SealKey,
    Sub,
    Text,
    Tools,
)

_STAMP_HASH: Final = "sha256"
_LONGEST_SIGNATURE: Final = 1024  # bytes; for estimates of size
_BEGINNING: Final = b"\x30"
_PEM: Final = b"-----BEGIN "


class KeySigner(Signer):
    """A SealKey in the shape in which pyHanko signs with it."""

    def __init__(self, key: SealKey) -> None:
        super().__init__(
            signing_cert=asn1.Certificate.load(key.certificate),
            cert_registry=SimpleCertificateStore.from_certs(  # type: ignore[no-untyped-call]  # theirs
                [asn1.Certificate.load(one) for one in key.chain]
            ),
            signature_mechanism=_mechanism(key.algorithm),
        )
        self._key = key

    async def async_sign_raw(
        self, data: bytes, digest_algorithm: str, dry_run: bool = False
    ) -> bytes:
        if dry_run:
            return bytes(_LONGEST_SIGNATURE)
        return await self._key.sign(data, self._key.algorithm)


def _mechanism(algorithm: Algorithm) -> algos.SignedDigestAlgorithm:
    if algorithm.kind == "pss":
        inner = {"algorithm": algorithm.hash}
        length = int(algorithm.hash.removeprefix("sha")) // 8
        parameters: dict[str, Any] = {
            "hash_algorithm": inner,
            "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": inner},
            "salt_length": length,
        }
        return algos.SignedDigestAlgorithm(
            {"algorithm": "rsassa_pss", "parameters": algos.RSASSAPSSParams(parameters)}
        )
    return algos.SignedDigestAlgorithm({"algorithm": f"{algorithm.hash}_{algorithm.kind}"})


def key_of(tools: Tools) -> SealKey:
    """The key that seals. Raises SealError."""
    if tools.key is None:
        raise SealError("key", Text("Není nastaven klíč pečeti.", "There is no key to seal with."))
    return tools.key


async def sign(tools: Tools, digest: bytes, content: bytes | None, *, pdf: bool = False) -> Any:
    """A CAdES signature of level B (ContentInfo) over a digest by the key's hash."""
    key = key_of(tools)
    settings = PdfCMSSignedAttributes(signing_time=tools.clock().replace(microsecond=0))
    inside = None if content is None else {"content_type": "data", "content": content}
    return await KeySigner(key).async_sign(
        digest, key.algorithm.hash, use_pades=True, is_pdf_sig=pdf,
        signed_attr_settings=settings, encap_content_info=inside,
    )  # fmt: skip


async def raise_level(
    signed: cms.SignedData, level: Level, tools: Tools, digest_of: DigestOf
) -> None:
    """Adds to each signature what it lacks to the level; an archive stamp each time at LTA."""
    signers = signed["signer_infos"]
    if level >= Level.T:
        for signer in signers:
            if not tokens(signer, SIGNATURE_STAMP):
                digest = digests(signer["signature"].native)(_STAMP_HASH) or b""
                token = await stamped(tools, digest, _STAMP_HASH)
                add_attribute(signer, SIGNATURE_STAMP, [cms.ContentInfo.load(token)])
    if level >= Level.LT:
        for signer in signers:
            await _add_evidence(signed, signer, tools.rules, digest_of)
    if level >= Level.LTA:
        for signer in signers:
            index = archive_stamps.index_of(signed, signer, _STAMP_HASH)
            over = archive_stamps.imprint_of(signed, signer, index, digest_of, _STAMP_HASH)
            if over is None:
                raise _content_missing()
            token = await stamped(tools, over, _STAMP_HASH)
            add_attribute(signer, ARCHIVE_STAMP, [archive_stamps.with_index(token, index)])


def _content_missing() -> SealError:
    return SealError("content", texts.OF[Sub.SIGNED_DATA_NOT_FOUND])


async def _add_evidence(
    signed: cms.SignedData,
    signer: cms.SignerInfo,
    rules: Rules,
    digest_of: DigestOf,
) -> None:
    """What shows that the signer and the authorities of the stamps were good."""
    found = read(signed, Content(digests=_all(digest_of)), Format.CADES)
    mine = next(
        (one for one, other in zip(found, signed["signer_infos"], strict=True) if other is signer),
        None,
    )
    if mine is None or not mine.certificate:
        raise SealError("content", texts.OF[Sub.NO_SIGNING_CERTIFICATE_FOUND])
    stamps = [one.token for one in mine.stamps]
    archived = bool(tokens(signer, ARCHIVE_STAMP))
    brought = material_of(signed) + mine.material
    add_material(
        signed,
        await needed(mine.certificate, mine.others, stamps, brought, rules, archived=archived),
    )


def _all(digest_of: DigestOf) -> tuple[tuple[str, bytes], ...]:
    found = ((name, digest_of(name)) for name in ("sha256", "sha384", "sha512", "sha224", "sha1"))
    return tuple((name, digest) for name, digest in found if digest is not None)


def refuse(report: Report, level: Level) -> None:
    """Nothing is added to a seal that is wrong or that has the level. Raises SealError."""
    if level < Level.LTA and all(one.level >= level for one in report.signatures):
        raise already()
    for one in report.signatures:
        if one.indication is Indication.FAILED or one.sub in _BEYOND:
            raise SealError("content", one.reason or texts.OF[Sub.GENERIC])


_BEYOND: Final = frozenset(
    {
        Sub.SIGNED_DATA_NOT_FOUND,
        Sub.NO_SIGNING_CERTIFICATE_FOUND,
        Sub.SIG_CONSTRAINTS_FAILURE,
        Sub.CRYPTO_CONSTRAINTS_FAILURE,
        Sub.TIMESTAMP_ORDER_FAILURE,
    }
)


def only(content: Sequence[Content]) -> Content | None:
    """The one thing that was sealed; None when it was not brought. Raises SealError."""
    if len(content) > 1:
        raise SealError(
            "content",
            Text("Tato pečeť patří k jednomu souboru.", "This seal belongs to one file."),
        )
    return content[0] if content else None


class Cades:
    """The family of CAdES."""

    def makes(self, order: Order) -> bool:
        return order.format is Format.CADES and order.packaging is not Packaging.ENVELOPED

    def reads(self, data: bytes) -> bool:
        if data[:64].lstrip().startswith(_PEM):
            return b"CMS-----" in data[:64] or b"PKCS7-----" in data[:64]
        return data.startswith(_BEGINNING) and b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02" in data[:40]

    async def create(self, order: Order, tools: Tools) -> bytes:
        content = only(order.content)
        if content is None:
            raise _content_missing()
        name = key_of(tools).algorithm.hash
        digest = digests_of(content)(name)
        if digest is None:
            raise _content_missing()
        inside = None
        if order.packaging is Packaging.ATTACHED:
            if content.data is None:
                raise _content_missing()
            inside = content.data
        info = await sign(tools, digest, inside)
        await raise_level(info["content"], order.level, tools, digests_of(content))
        return _dumped(info)

    async def extend(
        self, data: bytes, level: Level, tools: Tools, content: Sequence[Content] = ()
    ) -> bytes:
        refuse(await self.validate(data, tools.rules, content), level)
        info = await asyncio.to_thread(load, unarmoured(data))
        within = content_of(info["content"])
        brought = only(content)
        if within is not None:
            digest_of = digests(within)
        elif brought is not None:
            digest_of = digests_of(brought)
        else:
            raise _content_missing()
        await raise_level(info["content"], level, tools, digest_of)
        return _dumped(info)

    async def validate(self, data: bytes, rules: Rules, content: Sequence[Content] = ()) -> Report:
        info = await asyncio.to_thread(load, unarmoured(data))
        found = await asyncio.to_thread(read, info["content"], only(content), Format.CADES)
        judged = [await judge(one, rules) for one in found]
        return Report(rules.at, Format.CADES, tuple(judged))


def unarmoured(data: bytes) -> bytes:
    """DER of what may be PEM."""
    if not data[:64].lstrip().startswith(_PEM):
        return data
    try:
        _, _, der = pem.unarmor(data.strip())
    except ValueError as error:
        raise SealError("format", texts.OF[Sub.FORMAT_FAILURE]) from error
    made: bytes = der
    return made


def _dumped(info: cms.ContentInfo) -> bytes:
    made: bytes = info.dump()
    return made
