"""XAdES (EN 319 132-1): XML signatures that say when, by whom, and keep their evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from pater.trust.seal import xades_making as making
from pater.trust.seal import xades_reading as reading
from pater.trust.seal.broken import CODES, Broken, as_error
from pater.trust.seal.judging import Found, StampFound, good, judge, sha256
from pater.trust.seal.lasting import already, needed
from pater.trust.seal.model import (
    Content,
    Format,
    Level,
    Material,
    Order,
    Packaging,
    Report,
    Rules,
    SignatureReport,
    Sub,
    Tools,
)
from pater.trust.seal.xml import EXCLUSIVE, Element, XmlProblem, parse, written

log = structlog.get_logger("pater.seal")
_PARTS: Final = ("structure", "certificate", "content", "signature")


class Xades:
    """Makes, extends and reads seals of XML documents and of anything detached."""

    def makes(self, order: Order) -> bool:
        return order.format is Format.XADES

    def reads(self, data: bytes) -> bool:
        head = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
        return head.startswith(b"<") and b"http://www.w3.org/2000/09/xmldsig#" in data

    async def create(self, order: Order, tools: Tools) -> bytes:
        if order.packaging is Packaging.ENVELOPED:
            root = await making.enveloped(order, tools)
            signature = root[-1]
        elif order.packaging is Packaging.ATTACHED:
            root = signature = await making.enveloping(order, tools)
        else:
            root = signature = await making.detached(order, tools)
        if order.level > Level.B:
            # as it will be read: what was put together here may have other namespaces about it
            root = parse(written(root))
            signature = reading.signatures_of(root)[-1]
            await raised(root, signature, order.level, tools, order.content)
        return written(root)

    async def extend(
        self, data: bytes, level: Level, tools: Tools, content: Sequence[Content] = ()
    ) -> bytes:
        try:
            root = parse(data)
            for signature in reading.signatures_of(root):
                await raised(root, signature, level, tools, content)
        except XmlProblem as problem:
            raise as_error(Broken(Sub.FORMAT_FAILURE, str(problem))) from problem
        return written(root)

    async def validate(self, data: bytes, rules: Rules, content: Sequence[Content] = ()) -> Report:
        return Report(
            rules.at, Format.XADES, tuple(await reports(data, rules, content, Format.XADES))
        )


async def reports(
    data: bytes, rules: Rules, content: Sequence[Content], kind: Format
) -> list[SignatureReport]:
    """The reports of all signatures of a document; one that says so when it cannot be read."""
    try:
        root = parse(data)
        signatures = reading.signatures_of(root)
    except XmlProblem as problem:
        log.info("seal.unreadable", format=kind.value, detail=str(problem))
        return [await judge(Found(kind, problem=Sub.FORMAT_FAILURE), rules)]
    found = [found_of(root, one, content, kind) for one in signatures]
    return [await judge(one, rules) for one in found]


def found_of(root: Element, signature: Element, content: Sequence[Content], kind: Format) -> Found:
    """The signature as it was read, with whatever is wrong in it."""
    found = Found(kind)
    try:
        taken = reading.taken_apart(root, signature, content)
        material = reading.material_in(signature)
        found = Found(
            kind,
            checks=good(*_PARTS),
            certificate=taken.certificate,
            others=tuple(taken.certificates),
            material=material,
            hashes=tuple(sorted(taken.hashes)),
            claimed=taken.claimed,
            covers=tuple(taken.covers),
            stamps=_stamps(taken),
        )
    except (Broken, XmlProblem) as problem:
        sub = problem.sub if isinstance(problem, Broken) else Sub.FORMAT_FAILURE
        log.info("seal.broken", format=kind.value, reason=sub.value, detail=str(problem))
        found = replace(found, problem=sub, code=CODES.get(sub, "structure"))
    return found


def _stamps(taken: reading.Read) -> tuple[StampFound, ...]:
    found: list[StampFound] = []
    before = Material()
    tokens: list[bytes] = []
    for prop in reading.unsigned_properties(taken.signature):
        held = reading.stamp_tokens(prop) if prop.tag in reading.STAMPS else []
        for token in held:
            if prop.tag == reading.SIGNATURE:
                imprint = partial(_digest, reading.stamped_value(taken, prop))
                found.append(StampFound(token, imprint, "signature"))
            else:
                proves = {sha256(one) for one in (*before.crls, *before.ocsps, *tokens)}
                over = partial(_archived, taken, prop)
                found.append(StampFound(token, over, "archive", frozenset(proves)))
        tokens += held
        before += reading.material_of(prop)
    return tuple(found)


def _digest(data: bytes, name: str) -> bytes | None:
    return hashlib.new(name, data).digest()


def _archived(taken: reading.Read, prop: Element, name: str) -> bytes | None:
    """The digest an archive stamp should be over; None when it cannot be worked out."""
    try:
        return _digest(reading.archive_input(taken, prop, reading.way_of(prop)), name)
    except XmlProblem:
        return None


async def raised(
    root: Element, signature: Element, level: Level, tools: Tools, content: Sequence[Content]
) -> None:
    """Gives a signature the level that is wanted. Raises SealError, XmlProblem."""
    try:
        taken = reading.taken_apart(root, signature, content)
    except Broken as problem:
        raise as_error(problem) from problem
    brought = reading.material_in(signature)
    stamps = [p for p in reading.unsigned_properties(signature) if p.tag in reading.STAMPS]
    archived = any(one.tag == reading.ARCHIVE for one in stamps)
    if level < Level.LTA and (level is Level.B or archived or (level is Level.T and stamps)):
        raise already()
    if not stamps:
        await making.stamped(signature, tools)
    if level >= Level.LT:
        tokens = [
            token
            for prop in reading.unsigned_properties(signature)
            if prop.tag in reading.STAMPS
            for token in reading.stamp_tokens(prop)
        ]
        more = await needed(
            taken.certificate, taken.certificates, tokens, brought, tools.rules, archived=archived
        )
        there = bool(more.certificates or more.crls or more.ocsps)
        if level is Level.LT and not there:
            raise already()
        if there:
            making.add_material(signature, more, of_stamps=archived)
    if level is Level.LTA:
        over = reading.archive_input(taken, None, (EXCLUSIVE, ""))
        await making.archived(signature, over, tools)
