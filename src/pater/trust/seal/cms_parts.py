"""The parts of CMS SignedData (RFC 5652) that seals use: certificates, lists, attributes.

What is not touched keeps its bytes: values are added to parsed structures, never built anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from asn1crypto import cms, core, crl, ocsp
from asn1crypto import x509 as asn1

from pater.trust.seal import texts
from pater.trust.seal.certificates import UNREADABLE
from pater.trust.seal.model import (
    LONGEST,
    MOST_CERTIFICATES,
    MOST_SIGNATURES,
    Material,
    SealError,
    Sub,
)

SIGNATURE_STAMP: Final = "1.2.840.113549.1.9.16.2.14"
CONTENT_STAMP: Final = "1.2.840.113549.1.9.16.2.20"
ARCHIVE_STAMP: Final = "0.4.0.1733.2.4"  # version 3 (EN 319 122-1, 5.5.3)
HASH_INDEX: Final = "0.4.0.19122.1.5"  # version 3 (5.5.2)
_MOST_ITEMS: Final = 200  # lists and answers


def unreadable() -> SealError:
    """What is said when the bytes are no CMS signature at all."""
    return SealError("format", texts.OF[Sub.FORMAT_FAILURE])


def load(data: bytes) -> cms.ContentInfo:
    """A ContentInfo with SignedData, within bounds. Raises SealError."""
    if len(data) > LONGEST:
        raise SealError("too-large", texts.OF[Sub.FORMAT_FAILURE])
    try:
        info = cms.ContentInfo.load(data, strict=True)
        if info["content_type"].native != "signed_data":
            raise unreadable()
        signed = info["content"]
        if not 0 < len(signed["signer_infos"]) <= MOST_SIGNATURES:
            raise unreadable()
        list(signed["signer_infos"])  # reads them
        content_of(signed)
        material = material_of(signed)
    except UNREADABLE as error:
        if isinstance(error, SealError):
            raise
        raise unreadable() from error
    if len(material.certificates) > MOST_CERTIFICATES:
        raise unreadable()
    if len(material.crls) + len(material.ocsps) > _MOST_ITEMS:
        raise unreadable()
    return info


def material_of(signed: cms.SignedData) -> Material:
    """The certificates, lists and answers that stand in SignedData."""
    certificates, crls, ocsps = [], [], []
    if not isinstance(signed["certificates"], core.Void):
        for one in signed["certificates"]:
            if one.name == "certificate":
                certificates.append(one.chosen.dump())
    if not isinstance(signed["crls"], core.Void):
        for one in signed["crls"]:
            if one.name == "crl":
                crls.append(one.chosen.dump())
            elif one.chosen["other_rev_info_format"].native == "ocsp_response":
                ocsps.append(one.chosen["other_rev_info"].parsed.dump())
    return Material(tuple(certificates), tuple(crls), tuple(ocsps))


def add_material(signed: cms.SignedData, material: Material) -> None:
    """Adds what is not there yet (EN 319 122-1, 5.4.1 and 5.4.2: fields of SignedData)."""
    there = material_of(signed)
    new = [one for one in material.certificates if one not in there.certificates]
    if new:
        kept = [] if isinstance(signed["certificates"], core.Void) else list(signed["certificates"])
        kept += [cms.CertificateChoices("certificate", asn1.Certificate.load(one)) for one in new]
        signed["certificates"] = cms.CertificateSet(kept)
    lists = [one for one in material.crls if one not in there.crls]
    answers = [one for one in material.ocsps if one not in there.ocsps]
    if lists or answers:
        found = [] if isinstance(signed["crls"], core.Void) else list(signed["crls"])
        found += [cms.RevocationInfoChoice("crl", crl.CertificateList.load(one)) for one in lists]
        found += [cms.RevocationInfoChoice("other", _other(one)) for one in answers]
        signed["crls"] = cms.RevocationInfoChoices(found)
        if answers:
            signed["version"] = "v5"


def _other(answer: bytes) -> cms.OtherRevocationInfoFormat:
    return cms.OtherRevocationInfoFormat(
        {
            "other_rev_info_format": "ocsp_response",
            "other_rev_info": ocsp.OCSPResponse.load(answer),
        }
    )


def attributes(found: cms.CMSAttributes | core.Void, oid: str) -> list[core.Asn1Value]:
    """All values of an attribute, whether in one attribute or several."""
    if isinstance(found, core.Void):
        return []
    return [value for one in found if one["type"].dotted == oid for value in one["values"]]


def add_attribute(signer: cms.SignerInfo, oid: str, values: Iterable[core.Asn1Value]) -> None:
    """Adds an unsigned attribute."""
    there = signer["unsigned_attrs"]
    kept = [] if isinstance(there, core.Void) else list(there)
    kept.append(cms.CMSAttribute({"type": cms.CMSAttributeType(oid), "values": list(values)}))
    signer["unsigned_attrs"] = cms.CMSAttributes(kept)


def tokens(signer: cms.SignerInfo, oid: str) -> list[bytes]:
    """The time-stamp tokens (DER) that stand as unsigned attributes of a signature."""
    return [_der(one) for one in attributes(signer["unsigned_attrs"], oid)]


def signed_tokens(signer: cms.SignerInfo) -> list[bytes]:
    """The time-stamp tokens over the content, which are signed with it (5.2.8)."""
    return [_der(one) for one in attributes(signer["signed_attrs"], CONTENT_STAMP)]


def _der(value: core.Asn1Value) -> bytes:
    made: bytes = value.dump()
    return made


def content_of(signed: cms.SignedData) -> bytes | None:
    """The content within the signature; None when it is detached."""
    content = signed["encap_content_info"]["content"]
    if isinstance(content, core.Void) or content.contents is None:
        return None
    return bytes(content)
