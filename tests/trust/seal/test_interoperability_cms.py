"""Our CMS and PDF seals and the tools of others: openssl and pyHanko's own validator."""

from __future__ import annotations

import hashlib
import io
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from asn1crypto import cms
from asn1crypto import x509 as asn1
from asn1crypto.crl import CertificateList
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.ades.report import AdESPassed
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko.sign.validation.ades import ades_lta_validation
from pyhanko.sign.validation.policy_decl import (
    LocalKnowledge,
    PdfSignatureValidationSpec,
    RevinfoOnlineFetchingRule,
    RevocationInfoGatheringSpec,
    SignatureValidationSpec,
)
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.context import CertValidationPolicySpec
from pyhanko_certvalidator.ltv.types import ValidationTimingInfo
from pyhanko_certvalidator.policy_decl import (
    CertRevTrustPolicy,
    RevocationCheckingPolicy,
    RevocationCheckingRule,
)
from pyhanko_certvalidator.registry import SimpleTrustManager
from pyhanko_certvalidator.revinfo.archival import CRLContainer

from pater.trust.seal import families
from pater.trust.seal.cms_parts import ARCHIVE_STAMP, SIGNATURE_STAMP, tokens
from pater.trust.seal.model import Content, Format, Level, Order, Packaging
from tests.trust.seal.ground import Ground, Issued, pdf

REPORT = b"a report\nof two lines\n"
ORDER = Order(Format.CADES, Level.LTA, Packaging.ATTACHED, (Content(REPORT),))


def openssl(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *words], cwd=folder, capture_output=True, check=False)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """A ground whose authorities and key lie in files, for tools."""
    ground = Ground()

    def pem(*found: Issued) -> bytes:
        return b"".join(one.certificate.public_bytes(Encoding.PEM) for one in found)

    (tmp_path / "root.pem").write_bytes(pem(ground.root))
    (tmp_path / "chain.pem").write_bytes(pem(ground.issuing))
    (tmp_path / "seal.pem").write_bytes(pem(ground.seal))
    (tmp_path / "stamps.pem").write_bytes(pem(ground.stamp_root))
    key = ground.seal.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "report.txt").write_bytes(REPORT)
    return ground


@pytest.mark.parametrize("packaging", [Packaging.ATTACHED, Packaging.DETACHED])
@pytest.mark.parametrize("level", [Level.B, Level.LTA])
async def test_openssl_verifies_ours(
    packaging: Packaging, level: Level, ground: Ground, tmp_path: Path
) -> None:
    made = await families.create(replace(ORDER, packaging=packaging, level=level), ground.tools())
    (tmp_path / "made.p7s").write_bytes(made)
    beside = ("-content", "report.txt") if packaging is Packaging.DETACHED else ()
    at = str(int(ground.clock().timestamp()))
    words = (
        "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", "made.p7s", *beside,
        "-CAfile", "root.pem", "-purpose", "any", "-attime", at,
    )  # fmt: skip
    done = openssl(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout == REPORT
    (tmp_path / "report.txt").write_bytes(b"another")
    (tmp_path / "made.p7s").write_bytes(made.replace(b"a report", b"a repork"))
    assert openssl(tmp_path, *words).returncode != 0


@pytest.mark.parametrize("cades", [("-cades",), ()])
@pytest.mark.parametrize("attached", [("-nodetach",), ()])
async def test_we_validate_those_of_openssl(
    cades: tuple[str, ...], attached: tuple[str, ...], ground: Ground, tmp_path: Path
) -> None:
    done = openssl(
        tmp_path, "cms", "-sign", "-binary", *cades, *attached, "-md", "sha256", "-in",
        "report.txt", "-signer", "seal.pem", "-inkey", "key.pem", "-certfile", "chain.pem",
        "-outform", "DER", "-out", "theirs.p7s",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    theirs = (tmp_path / "theirs.p7s").read_bytes()
    content = () if attached else (Content(REPORT),)
    report = await families.validate(theirs, ground.rules(), content)
    assert report.passed, report.as_dict()
    raised = await families.extend(theirs, Level.LTA, ground.tools(), content)
    report = await families.validate(raised, ground.rules(), content)
    assert (report.passed, report.signatures[0].level) == (True, Level.LTA)
    report = await families.validate(raised, ground.rules(), (Content(b"another"),))
    assert report.sub == "HASH_FAILURE"


async def test_openssl_verifies_the_stamps_within(ground: Ground, tmp_path: Path) -> None:
    made = await families.create(ORDER, ground.tools())
    signer = cms.ContentInfo.load(made)["content"]["signer_infos"][0]
    token = tokens(signer, SIGNATURE_STAMP)[0]
    (tmp_path / "token.der").write_bytes(token)
    digest = hashlib.sha256(signer["signature"].native).hexdigest()
    at = str(int(ground.clock().timestamp()))
    words = ("ts", "-verify", "-token_in", "-in", "token.der", "-CAfile", "stamps.pem")
    words = (*words, "-attime", at)
    done = openssl(tmp_path, *words, "-digest", digest)
    assert done.returncode == 0, done.stderr
    assert openssl(tmp_path, *words, "-digest", "00" * 32).returncode != 0
    assert len(tokens(signer, ARCHIVE_STAMP)) == 1


def context(ground: Ground, *roots: Issued) -> ValidationContext:
    lists = [ground.crl(one) for one in (ground.root, ground.issuing, ground.stamp_root)]
    return ValidationContext(
        trust_roots=[asn1.Certificate.load(one.der) for one in roots],
        moment=ground.clock(), crls=lists, ocsps=[], revocation_mode="require",
    )  # fmt: skip


@pytest.mark.parametrize("level", [Level.B, Level.T])
async def test_pyhanko_validates_our_pdf(level: Level, ground: Ground) -> None:
    order = Order(Format.PADES, level, Packaging.ENVELOPED, (Content(pdf()),))
    made = await families.create(order, ground.tools())
    (one,) = PdfFileReader(io.BytesIO(made)).embedded_signatures
    status = await async_validate_pdf_signature(
        one, context(ground, ground.root), ts_validation_context=context(ground, ground.stamp_root)
    )
    assert status.bottom_line, status.pretty_print_details()
    assert (status.timestamp_validity is not None) == (level is Level.T)


def policy(*roots: Issued) -> CertValidationPolicySpec:
    needed = RevocationCheckingRule.CRL_OR_OCSP_REQUIRED
    return CertValidationPolicySpec(
        SimpleTrustManager.build(trust_roots=[asn1.Certificate.load(one.der) for one in roots]),
        CertRevTrustPolicy(RevocationCheckingPolicy(needed, needed)),
    )


async def test_pyhanko_validates_our_archived_pdf(ground: Ground) -> None:
    """By its own way through EN 319 102-1, with nothing but what stands in the document."""
    order = Order(Format.PADES, Level.LTA, Packaging.ENVELOPED, (Content(pdf()),))
    made = await families.create(order, ground.tools())
    spec = PdfSignatureValidationSpec(
        SignatureValidationSpec(
            policy(ground.root),
            ts_cert_validation_policy=policy(ground.stamp_root),
            revinfo_gathering_policy=RevocationInfoGatheringSpec(
                RevinfoOnlineFetchingRule.LOCAL_ONLY
            ),
            local_knowledge=LocalKnowledge(
                known_crls=[CRLContainer(CertificateList.load(ground.crl(ground.stamp_root)))]
            ),
        )
    )
    one = PdfFileReader(io.BytesIO(made)).embedded_regular_signatures[0]
    now = ground.clock()
    result = await ades_lta_validation(one, spec, ValidationTimingInfo(now, now, True))
    assert result.ades_subindic is AdESPassed.OK, result.failure_msg
