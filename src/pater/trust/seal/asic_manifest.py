"""The manifests of ASiC-E with CAdES (EN 319 162-1, A.4): what is sealed, by name and digest."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import new as hashed
from typing import Final
from urllib.parse import quote, unquote

from lxml import etree

from pater.trust.seal.model import MOST_FILES
from pater.trust.seal.xml import ASIC, DS, XmlProblem, parse, q, written

HASHES: Final = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
_URIS: Final = {name: uri for uri, name in HASHES.items()}


@dataclass(frozen=True, slots=True)
class Manifest:
    """The name of the signature or stamp that is over the manifest, and the digests of files by
    name: name of the hash (empty when it is not one that is taken) and value."""

    over_it: str
    digests: Mapping[str, tuple[str, bytes]]


def write(
    over_it: str, mime: str, files: Sequence[tuple[str, str, bytes]], *, root: str = "", name: str
) -> bytes:
    """A manifest of files (name, type, bytes) with digests by this hash; `root` names the file
    among them where what came before is listed (A.7, attribute Rootfile)."""
    made = etree.Element(q(ASIC, "ASiCManifest"), nsmap={"asic": ASIC, "ds": DS})
    etree.SubElement(made, q(ASIC, "SigReference"), URI=quote(over_it), MimeType=mime)
    for file, kind, data in files:
        one = etree.SubElement(made, q(ASIC, "DataObjectReference"), URI=quote(file), MimeType=kind)
        if file == root:
            one.set("Rootfile", "true")
        etree.SubElement(one, q(DS, "DigestMethod"), Algorithm=_URIS[name])
        value = etree.SubElement(one, q(DS, "DigestValue"))
        value.text = base64.b64encode(hashed(name, data).digest()).decode()
    return written(made)


def read(data: bytes) -> Manifest:
    """A manifest. Raises XmlProblem for one that is not built as it should be."""
    root = parse(data)
    if root.tag != q(ASIC, "ASiCManifest"):
        raise XmlProblem("this is no manifest")
    over = root.findall(q(ASIC, "SigReference"))
    listed = root.findall(q(ASIC, "DataObjectReference"))
    if len(over) != 1 or not 0 < len(listed) <= MOST_FILES:
        raise XmlProblem("a manifest names one signature and some files")
    digests: dict[str, tuple[str, bytes]] = {}
    for one in listed:
        name = _name(one.get("URI"))
        method, value = one.find(q(DS, "DigestMethod")), one.find(q(DS, "DigestValue"))
        if name in digests or method is None or value is None:
            raise XmlProblem("a manifest names each file once, with its digest")
        try:
            digest = base64.b64decode("".join((value.text or "").split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise XmlProblem("a digest is written in Base64") from error
        digests[name] = HASHES.get(method.get("Algorithm", ""), ""), digest
    return Manifest(_name(over[0].get("URI")), digests)


def _name(uri: str | None) -> str:
    if not uri:
        raise XmlProblem("a reference names a file")
    return unquote(uri)
