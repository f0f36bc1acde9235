"""ASiC containers whose seals are XAdES (EN 319 162-1, 4.3.3.2 and 4.4.3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from xml.sax.saxutils import quoteattr

from lxml import etree

from pater.trust.seal import container
from pater.trust.seal import xades_making as making
from pater.trust.seal import xades_reading as reading
from pater.trust.seal.broken import Broken, as_error
from pater.trust.seal.judging import Found, judge
from pater.trust.seal.model import (
    MOST_SIGNATURES,
    Check,
    Content,
    Format,
    Indication,
    Level,
    Order,
    Report,
    Rules,
    SealError,
    SignatureReport,
    Sub,
    Text,
    Tools,
)
from pater.trust.seal.xades import raised, reports
from pater.trust.seal.xml import ASIC, Element, XmlProblem, parse, q, written

_SIGNATURES: Final = container.META + "signatures.xml"
_MANIFEST: Final = container.META + "manifest.xml"
_OPEN_DOCUMENT: Final = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"


class AsicXades:
    """Makes, extends and reads containers with XAdES."""

    def makes(self, order: Order) -> bool:
        return order.format in container.MIMES and order.inner is Format.XADES

    def reads(self, data: bytes) -> bool:
        return container.looks_like(data) and any(map(_is_seal, container.names(data)))

    async def create(self, order: Order, tools: Tools) -> bytes:
        files = container.checked(order.content)
        if order.format is Format.ASIC_S and len(files) != 1:
            raise SealError(
                "content",
                Text(
                    "ASiC-S nese právě jeden soubor; pro více souborů je ASiC-E.",
                    "ASiC-S holds exactly one file; ASiC-E is for many.",
                ),
            )
        content = tuple(
            replace(one, name=name) for name, one in zip(files, order.content, strict=True)
        )
        root = etree.Element(q(ASIC, "XAdESSignatures"), nsmap={"asic": ASIC})
        root.append(await making.detached(replace(order, content=content), tools))
        if order.level > Level.B:
            root = parse(written(root))
            await raised(root, root[0], order.level, tools, content)
        named = [(one.name, one.data or b"") for one in content]
        if order.format is Format.ASIC_E:
            named.append((_MANIFEST, _manifest(content)))
        return container.write(order.format, [*named, (_SIGNATURES, written(root))])

    async def extend(
        self, data: bytes, level: Level, tools: Tools, content: Sequence[Content] = ()
    ) -> bytes:
        held = container.read(data)
        files = dict(held.files)
        inside = [Content(one, name) for name, one in held.content.items()]
        for name in _seals(held):
            try:
                root = parse(files[name])
                for signature in _signatures(root):
                    await raised(root, signature, level, tools, inside)
            except XmlProblem as problem:
                raise as_error(Broken(Sub.FORMAT_FAILURE, str(problem))) from problem
            files[name] = written(root)
        return container.write(held.format, files.items())

    async def validate(self, data: bytes, rules: Rules, content: Sequence[Content] = ()) -> Report:
        try:
            held = container.read(data)
            seals = _seals(held)
        except SealError as error:
            broken = Found(Format.ASIC_E, problem=Sub.FORMAT_FAILURE, text=error.text)
            return Report(rules.at, Format.ASIC_E, (await judge(broken, rules),))
        inside = [Content(one, name) for name, one in held.content.items()]
        found: list[SignatureReport] = []
        for name in seals:
            found += await reports(held.files[name], rules, inside, Format.XADES)
        covered = {name for one in found for name in one.covers}
        left = [name for name in held.content if name not in covered]
        if left:
            found = [_not_all(one, left[0]) for one in found]
        return Report(rules.at, held.format, tuple(found))


def _is_seal(name: str) -> bool:
    inside = name.removeprefix(container.META)
    return inside != name and "signatures" in inside and inside.endswith(".xml")


def _seals(held: container.Container) -> list[str]:
    """The files with seals. Raises SealError when there is none, or when they are too many."""
    found = [name for name in held.meta if _is_seal(name)]
    if not 0 < len(found) <= MOST_SIGNATURES:
        raise SealError(
            "format",
            Text(
                f"Kontejner má mít 1 až {MOST_SIGNATURES} souborů s pečetěmi.",
                f"A container has 1 to {MOST_SIGNATURES} files with seals.",
            ),
        )
    if held.format is Format.ASIC_S and (len(found) > 1 or len(held.content) != 1):
        raise SealError(
            "format",
            Text(
                "ASiC-S nese právě jeden soubor a jeho pečeť.",
                "ASiC-S holds exactly one file and its seal.",
            ),
        )
    return found


def _signatures(root: Element) -> list[Element]:
    if root.tag != q(ASIC, "XAdESSignatures"):
        raise XmlProblem("the file of seals is not one of a container")
    return reading.signatures_of(root)


def _not_all(one: SignatureReport, name: str) -> SignatureReport:
    """The report of a seal beside which a file lies that nobody sealed."""
    text = Text(
        f"Soubor {name} v kontejneru není zapečetěn.",
        f"The file {name} in the container is not sealed.",
    )
    checks = (*one.checks, Check("content", False, text))
    if one.indication is not Indication.PASSED:
        return replace(one, checks=checks)
    return replace(
        one,
        indication=Indication.INDETERMINATE,
        sub=Sub.SIG_CONSTRAINTS_FAILURE,
        checks=checks,
    )


def _manifest(content: Sequence[Content]) -> bytes:
    """The list of files with their types, as OpenDocument has it (annex A.4)."""
    entries = "".join(
        f"<manifest:file-entry manifest:full-path={quoteattr(name)}"
        f" manifest:media-type={quoteattr(mime)}/>"
        for name, mime in [
            ("/", container.MIMES[Format.ASIC_E]),
            *((one.name, one.mime) for one in content),
        ]
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<manifest:manifest xmlns:manifest="{_OPEN_DOCUMENT}" manifest:version="1.2">'
        f"{entries}</manifest:manifest>"
    ).encode()
