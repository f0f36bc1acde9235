"""ASiC containers whose seals are CAdES (EN 319 162-1, 4.3.3.2 and 4.4.3.2).

ASiC-S holds one file and a signature of it; it is archived by the archive stamp of CAdES.
In ASiC-E the signature is over a manifest; it is archived by a stamp over a manifest of all.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from asn1crypto import cms

from pater.trust.seal import asic_manifest, container, texts
from pater.trust.seal.archive_stamps import inside_of
from pater.trust.seal.asic_manifest import Manifest
from pater.trust.seal.cades import key_of, raise_level, refuse, sign
from pater.trust.seal.cades_reading import digests, everything, in_order, read
from pater.trust.seal.certificates import UNREADABLE
from pater.trust.seal.cms_parts import add_material, load, unreadable
from pater.trust.seal.container import META, Container
from pater.trust.seal.judging import Found, StampFound, judge, material_of_stamp, sha256, stamped
from pater.trust.seal.model import (
    MOST_FILES,
    MOST_SIGNATURES,
    Content,
    Format,
    Level,
    Order,
    Report,
    Rules,
    SealError,
    Sub,
    Text,
    Tools,
)
from pater.trust.seal.xml import XmlProblem

_SIGNATURE: Final = META + "signature.p7s"
_SIGNATURE_MIME: Final = "application/x-pkcs7-signature"
_TOKEN_MIME: Final = "application/vnd.etsi.timestamp-token"  # noqa: S105  a media type
_ARCHIVE: Final = META + "ASiCArchiveManifest.xml"
_HASH: Final = "sha256"
_MIMES: Final = {".xml": "text/xml", ".p7s": _SIGNATURE_MIME, ".tst": _TOKEN_MIME}


class AsicCades:
    """Makes, extends and reads containers with CAdES."""

    def makes(self, order: Order) -> bool:
        return order.format in container.MIMES and order.inner is Format.CADES

    def reads(self, data: bytes) -> bool:
        return container.looks_like(data) and any(map(_is_seal, container.names(data)))

    async def create(self, order: Order, tools: Tools) -> bytes:
        files = container.checked(order.content)
        if order.format is Format.ASIC_S:
            return await _simple(files, order, tools)
        mimes = {name: one.mime for name, one in zip(files, order.content, strict=True)}
        listed = [(name, mimes[name], data) for name, data in files.items()]
        seal, manifest = META + "signature001.p7s", META + "ASiCManifest001.xml"
        name = key_of(tools).algorithm.hash
        over = asic_manifest.write(seal, _SIGNATURE_MIME, listed, name=name)
        files[manifest] = over
        files[seal] = await _sealed(over, min(order.level, Level.LT), tools)
        if order.level is Level.LTA:
            await _archive(files, tools)
        return container.write(order.format, files.items())

    async def extend(
        self, data: bytes, level: Level, tools: Tools, content: Sequence[Content] = ()
    ) -> bytes:
        report = await self.validate(data, tools.rules)
        refuse(report, level)
        held = await asyncio.to_thread(container.read, data)
        files = {name: one for name, one in held.files.items() if name != container.MIMETYPE}
        archived = _ARCHIVE in files
        if not archived:
            inner = level if held.format is Format.ASIC_S else min(level, Level.LT)
            for name in _seals(held):
                info = load(files[name])
                over = digests(_over(held, name)[0])
                await raise_level(info["content"], inner, tools, over)
                files[name] = info.dump()
        if level is Level.LTA and held.format is Format.ASIC_E:
            await _archive(files, tools)
        return container.write(held.format, files.items())

    async def validate(self, data: bytes, rules: Rules, content: Sequence[Content] = ()) -> Report:
        try:
            held = await asyncio.to_thread(container.read, data)
            found = await asyncio.to_thread(_found, held)
        except (SealError, XmlProblem) as error:
            text = error.text if isinstance(error, SealError) else texts.OF[Sub.FORMAT_FAILURE]
            broken = Found(Format.ASIC_E, problem=Sub.FORMAT_FAILURE, text=text)
            return Report(rules.at, Format.ASIC_E, (await judge(broken, rules),))
        return Report(rules.at, held.format, tuple([await judge(one, rules) for one in found]))


def _is_seal(name: str) -> bool:
    inside = name.removeprefix(META)
    return inside != name and "signature" in inside and inside.endswith(".p7s")


def _is_manifest(name: str) -> bool:
    inside = name.removeprefix(META)
    return inside != name and inside.startswith("ASiCManifest") and inside.endswith(".xml")


def _is_archive(name: str) -> bool:
    inside = name.removeprefix(META)
    return inside != name and inside.startswith("ASiCArchiveManifest") and inside.endswith(".xml")


def _seals(held: Container) -> list[str]:
    """The files with signatures. Raises SealError when there is none, or when too many."""
    found = [name for name in held.meta if _is_seal(name)]
    alone = len(found) == 1 and len(held.content) == 1
    if not 0 < len(found) <= MOST_SIGNATURES or (held.format is Format.ASIC_S and not alone):
        raise SealError(
            "format",
            Text(
                "V kontejneru není tolik souborů a pečetí, kolik jich má mít.",
                "The container does not hold as many files and seals as it should.",
            ),
        )
    return found


async def _simple(files: Mapping[str, bytes], order: Order, tools: Tools) -> bytes:
    if len(files) != 1:
        raise SealError(
            "content",
            Text(
                "ASiC-S nese právě jeden soubor; pro více souborů je ASiC-E.",
                "ASiC-S holds exactly one file; ASiC-E is for many.",
            ),
        )
    (data,) = files.values()
    made = await _sealed(data, order.level, tools)
    return container.write(order.format, [*files.items(), (_SIGNATURE, made)])


async def _sealed(data: bytes, level: Level, tools: Tools) -> bytes:
    name = key_of(tools).algorithm.hash
    info = await sign(tools, hashlib.new(name, data).digest(), None)
    await raise_level(info["content"], level, tools, digests(data))
    made: bytes = info.dump()
    return made


async def _archive(files: dict[str, bytes], tools: Tools) -> None:
    """A stamp over a manifest of all there is (A.7); earlier ones get other names."""
    count = sum(1 for name in files if name.endswith(".tst"))
    token_name, root = f"{META}timestamp{count + 1:03}.tst", ""
    if _ARCHIVE in files:
        root = f"{META}ASiCArchiveManifest{count:03}.xml"
        files[root] = files.pop(_ARCHIVE)
        newest = asic_manifest.read(files[root]).over_it
        # the stamp until now gets what shows that it is good, before it is covered
        files[newest] = await _with_evidence(files[newest], tools.rules)
    listed = [(name, _mime(name), data) for name, data in files.items()]
    if len(listed) >= MOST_FILES - 3:
        raise SealError("too-large", Text("Kontejner je plný.", "The container is full."))
    over = asic_manifest.write(token_name, _TOKEN_MIME, listed, root=root, name=_HASH)
    files[_ARCHIVE] = over
    files[token_name] = await stamped(tools, hashlib.new(_HASH, over).digest(), _HASH)


def _mime(name: str) -> str:
    ending = name[name.rfind(".") :] if name.startswith(META) and "." in name else ""
    return _MIMES.get(ending, "application/octet-stream")


async def _with_evidence(token: bytes, rules: Rules) -> bytes:
    info = cms.ContentInfo.load(token)
    add_material(info["content"], await material_of_stamp(token, rules, rules.at))
    made: bytes = info.dump()
    return made


def _found(held: Container) -> list[Found]:
    """Every signature as it is judged. Raises SealError, XmlProblem."""
    seals = _seals(held)
    stamps = in_order(_archives(held))
    found: list[Found] = []
    for name in seals:
        data, manifest = _over(held, name)
        covers = tuple(manifest.digests) if manifest else tuple(held.content)
        signed = load(held.files[name])["content"]
        here = [one for one in stamps if sha256(held.files[name]) in one.proves]
        ones = read(signed, Content(data), Format.CADES, covers, here)
        wrong = _mismatch(held, manifest) if manifest else None
        if wrong is not None:
            ones = [_worse(one, *wrong) for one in ones]
        found += [_with_stamps(one, stamps) for one in ones]
    covered = {name for one in found for name in one.covers}
    left = next((name for name in held.content if name not in covered), None)
    if left is not None:
        text = Text(
            f"Soubor {left} v kontejneru není zapečetěn.",
            f"The file {left} in the container is not sealed.",
        )
        found = [_worse(one, Sub.SIG_CONSTRAINTS_FAILURE, text) for one in found]
    return found


def _with_stamps(one: Found, stamps: Sequence[StampFound]) -> Found:
    """A container whose archive does not agree is not good, whatever the signature is."""
    broken = [stamp for stamp in stamps if not stamp.proves]
    return replace(one, stamps=(*one.stamps, *broken)) if broken else one


def _worse(one: Found, sub: Sub, text: Text) -> Found:
    if one.problem is not None:
        return one
    return replace(one, problem=sub, text=text, code="content")


def _over(held: Container, seal: str) -> tuple[bytes, Manifest | None]:
    """What a signature is over: the one file, or the manifest that names the signature."""
    if held.format is Format.ASIC_S:
        return next(iter(held.content.values())), None
    found = []
    for name in held.meta:
        if _is_manifest(name):
            manifest = asic_manifest.read(held.files[name])
            if manifest.over_it == seal:
                found.append((held.files[name], manifest))
    if len(found) != 1:
        raise unreadable()
    return found[0]


def _mismatch(held: Container, manifest: Manifest) -> tuple[Sub, Text] | None:
    """What the manifest lists and is not so."""
    for name, (algorithm, digest) in manifest.digests.items():
        data = held.files.get(name)
        if data is None:
            return Sub.SIGNED_DATA_NOT_FOUND, Text(
                f"Soubor {name} v kontejneru chybí.", f"The file {name} is not in the container."
            )
        if not algorithm:
            sub = Sub.CRYPTO_CONSTRAINTS_FAILURE
            return sub, texts.OF[sub]
        if hashlib.new(algorithm, data).digest() != digest:
            return Sub.HASH_FAILURE, Text(
                f"Soubor {name} byl po zapečetění změněn.",
                f"The file {name} was changed after it was sealed.",
            )
    return None


def _archives(held: Container) -> list[StampFound]:
    """The archive stamps; one whose manifest does not agree with the files proves nothing."""
    return [_archived(held, name) for name in held.meta if _is_archive(name)]


def _archived(held: Container, name: str) -> StampFound:
    manifest = asic_manifest.read(held.files[name])
    token = held.files.get(manifest.over_it, b"")
    if _mismatch(held, manifest) is not None:
        return StampFound(token, lambda _: None, "archive")
    proves: set[bytes] = set()
    for file in manifest.digests:
        proves |= {sha256(held.files[file]), *_inside(file, held.files[file])}
    return StampFound(token, digests(held.files[name]), "archive", frozenset(proves))


def _inside(name: str, data: bytes) -> set[bytes]:
    try:
        if _is_seal(name):
            return set(everything(load(data)["content"]))
        return inside_of(data) if name.endswith(".tst") else set()
    except UNREADABLE:
        return set()
