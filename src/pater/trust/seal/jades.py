"""JAdES (TS 119 182-1): JSON Web Signatures that say when, by whom, and keep their evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from pater.trust.seal import jades_making as making
from pater.trust.seal import jades_reading as reading
from pater.trust.seal.broken import CODES, Broken, as_error
from pater.trust.seal.jose import JoseProblem, Jws, read, write_all
from pater.trust.seal.judging import Found, StampFound, good, judge, sha256
from pater.trust.seal.lasting import already, needed
from pater.trust.seal.model import (
    Content,
    Format,
    Level,
    Order,
    Packaging,
    Report,
    Rules,
    SignatureReport,
    Sub,
    Tools,
)

log = structlog.get_logger("pater.seal")
_PARTS: Final = ("structure", "content", "certificate", "signature")


class Jades:
    """Makes, extends and reads seals of JSON and of anything detached."""

    def makes(self, order: Order) -> bool:
        return order.format is Format.JADES and order.packaging is not Packaging.ENVELOPED

    def reads(self, data: bytes) -> bool:
        head = data[:4096].lstrip()
        if head.startswith(b"{"):
            return b'"protected"' in data and b'"signature"' in data
        return head.startswith(b"eyJ") and data.count(b".") == 2

    async def create(self, order: Order, tools: Tools) -> bytes:
        jws = await making.made(order, tools)
        if order.level is not Level.B:
            jws = await making.stamped(jws, tools)
        if order.level > Level.T:
            jws = await _raised(jws, order.level, tools, order.content)
        return write_all([jws])

    async def extend(
        self, data: bytes, level: Level, tools: Tools, content: Sequence[Content] = ()
    ) -> bytes:
        try:
            signatures = read(data)
            return write_all([await _raised(one, level, tools, content) for one in signatures])
        except JoseProblem as problem:
            raise as_error(Broken(Sub.FORMAT_FAILURE, str(problem))) from problem

    async def validate(self, data: bytes, rules: Rules, content: Sequence[Content] = ()) -> Report:
        try:
            signatures = read(data)
        except JoseProblem as problem:
            log.info("seal.unreadable", format="JAdES", detail=str(problem))
            unreadable = Found(Format.JADES, problem=Sub.FORMAT_FAILURE)
            return Report(rules.at, Format.JADES, (await judge(unreadable, rules),))
        return Report(
            rules.at,
            Format.JADES,
            tuple([await _validated(one, rules, content) for one in signatures]),
        )


async def _validated(jws: Jws, rules: Rules, content: Sequence[Content]) -> SignatureReport:
    return await judge(found_of(jws, content, rules), rules)


def found_of(jws: Jws, content: Sequence[Content], rules: Rules) -> Found:
    """The signature as it was read, with whatever is wrong in it."""
    taken = reading.Read(jws)
    found = Found(Format.JADES)
    try:
        material = reading.material_in(jws)
        found = replace(found, material=material)
        pool = (*material.certificates, *rules.material.certificates)
        reading.taken_apart(taken, content, pool)
        found = replace(found, stamps=_stamps(taken), checks=good(*_PARTS))
    except (Broken, JoseProblem) as problem:
        sub = problem.sub if isinstance(problem, Broken) else Sub.FORMAT_FAILURE
        log.info("seal.broken", format="JAdES", reason=sub.value, detail=str(problem))
        found = replace(found, problem=sub, code=CODES.get(sub, "structure"))
    hashes = {taken.algorithm.hash} if taken.algorithm else set()
    return replace(
        found,
        certificate=taken.certificate,
        others=tuple(taken.certificates),
        hashes=tuple(sorted(hashes)),
        claimed=taken.claimed,
        covers=tuple(taken.covers),
    )


def _stamps(taken: reading.Read) -> tuple[StampFound, ...]:
    found: list[StampFound] = []
    for place, over, token in reading.stamps_in(taken.jws):
        if over == "signature":
            imprint = partial(_digest, taken.jws.signature.encode())
            found.append(StampFound(token, imprint, over))
            continue
        before = reading.material_in(taken.jws, place)
        earlier = [one for at, _, one in reading.stamps_in(taken.jws) if at < place]
        proves = {sha256(one) for one in (*before.crls, *before.ocsps, *earlier)}
        found.append(StampFound(token, partial(_archived, taken, place), over, frozenset(proves)))
    return tuple(found)


def _digest(data: bytes, name: str) -> bytes | None:
    return hashlib.new(name, data).digest()


def _archived(taken: reading.Read, place: int, name: str) -> bytes | None:
    """The digest an archive stamp should be over; None when it cannot be worked out."""
    if taken.jws.payload is None and any(one.data is None for one in taken.contents):
        return None
    try:
        payload = making.archive_payload(taken.jws, taken.contents)
        return _digest(making.archive_input(taken.jws, payload, place), name)
    except JoseProblem:
        return None


async def _raised(jws: Jws, level: Level, tools: Tools, content: Sequence[Content]) -> Jws:
    """The seal with the level that is wanted. Raises SealError, JoseProblem."""
    if level is Level.B and not jws.unsigned:
        return jws
    taken = reading.Read(jws)
    try:
        brought = reading.material_in(jws)
        pool = (*brought.certificates, *tools.rules.material.certificates)
        reading.taken_apart(taken, content, pool)
    except Broken as problem:
        raise as_error(problem) from problem
    tokens = reading.stamps_in(jws)
    archived = any(over == "archive" for _, over, _ in tokens)
    if level < Level.LTA and (level is Level.B or archived or (level is Level.T and tokens)):
        raise already()
    if not tokens:
        jws = await making.stamped(jws, tools)
    if level >= Level.LT:
        held = [token for _, _, token in reading.stamps_in(jws)]
        more = await needed(
            taken.certificate, taken.certificates, held, brought, tools.rules, archived=archived
        )
        if level is Level.LT and not (more.certificates or more.crls or more.ocsps):
            raise already()
        jws = making.with_material(jws, more, of_stamps=archived)
    if level is Level.LTA:
        jws = await making.archived(jws, making.archive_payload(jws, taken.contents), tools)
    return jws
