"""CAdES that is wrong, each kind with its own reason (EN 319 102-1)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from asn1crypto import cms, core, x509
from cryptography import x509 as pyca
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pater.trust.seal import families
from pater.trust.seal.cades import sign
from pater.trust.seal.cms_parts import (
    ARCHIVE_STAMP,
    CONTENT_STAMP,
    SIGNATURE_STAMP,
    add_attribute,
)
from pater.trust.seal.model import (
    Content,
    Format,
    Indication,
    Level,
    Material,
    Order,
    Packaging,
    Report,
    Rules,
    SealError,
    Sub,
)
from tests.trust.seal.ground import DAY, YEAR, Ground, Issued, issue

TEXT = Content(b"a report", "report.txt")
ATTACHED = Order(Format.CADES, Level.B, Packaging.ATTACHED, (TEXT,))
DETACHED = replace(ATTACHED, packaging=Packaging.DETACHED)


async def made(ground: Ground, level: Level = Level.B, leaf: Issued | None = None) -> bytes:
    return await families.create(replace(ATTACHED, level=level), ground.tools(ground.key(leaf)))


def edited(data: bytes, edit: Callable[[cms.SignedData], None]) -> bytes:
    info = cms.ContentInfo.load(data)
    edit(info["content"])
    return info.dump()


async def reason(data: bytes, rules: Rules, *content: Content) -> Sub | None:
    report = await families.validate(data, rules, content)
    one = report.signatures[0]
    assert report.passed or one.reason is not None
    return report.sub


async def test_changed_content() -> None:
    ground = Ground()
    detached = await families.create(DETACHED, ground.tools())
    assert await reason(detached, ground.rules(), Content(b"a repork")) is Sub.HASH_FAILURE
    assert await reason(detached, ground.rules(), TEXT) is None
    attached = (await made(ground)).replace(b"a report", b"a repork")
    assert await reason(attached, ground.rules()) is Sub.HASH_FAILURE


async def test_content_that_is_not_there() -> None:
    ground = Ground()
    detached = await families.create(DETACHED, ground.tools())
    assert await reason(detached, ground.rules()) is Sub.SIGNED_DATA_NOT_FOUND


async def test_a_digest_alone_is_sealed_and_validated() -> None:
    ground = Ground()
    digest = Content(digests=(("sha256", hashlib.sha256(b"a report").digest()),))
    detached = await families.create(
        replace(DETACHED, content=(digest,), level=Level.LT), ground.tools()
    )
    assert await reason(detached, ground.rules(), TEXT) is None
    assert await reason(detached, ground.rules(), digest) is None


async def test_changed_signed_attribute() -> None:
    ground = Ground()

    def edit(signed: cms.SignedData) -> None:
        for one in signed["signer_infos"][0]["signed_attrs"]:
            if one["type"].native == "signing_time":
                one["values"] = [cms.Time({"utc_time": core.UTCTime(ground.clock() - DAY)})]

    assert await reason(edited(await made(ground), edit), ground.rules()) is Sub.SIG_CRYPTO_FAILURE


async def test_changed_signature_value() -> None:
    ground = Ground()

    def edit(signed: cms.SignedData) -> None:
        value = bytearray(signed["signer_infos"][0]["signature"].native)
        value[-1] ^= 1
        signed["signer_infos"][0]["signature"] = bytes(value)

    assert await reason(edited(await made(ground), edit), ground.rules()) is Sub.SIG_CRYPTO_FAILURE


async def test_another_certificate_for_the_same_key() -> None:
    """The certificate is signed too: one with more rights for the same key is not taken."""
    ground = Ground()
    other = ground.leaf("Seal", key=ground.seal.key)

    def edit(signed: cms.SignedData) -> None:
        signed["certificates"] = [
            cms.CertificateChoices("certificate", x509.Certificate.load(other.der))
        ]

    data = edited(await made(ground), edit)
    assert await reason(data, ground.rules()) is Sub.NO_SIGNING_CERTIFICATE_FOUND


async def test_authority_that_is_not_trusted() -> None:
    ground = Ground()
    data = await made(ground)
    rules = ground.rules(anchors=(ground.stranger.der,))
    assert await reason(data, rules) is Sub.NO_CERTIFICATE_CHAIN_FOUND
    assert (await families.validate(data, rules)).indication is Indication.INDETERMINATE


async def test_chain_that_is_missing_is_asked_for() -> None:
    ground = Ground()

    def edit(signed: cms.SignedData) -> None:
        signed["certificates"] = [
            one for one in signed["certificates"] if one.chosen.dump() == ground.seal.der
        ]

    data = edited(await made(ground), edit)
    assert await reason(data, ground.rules()) is Sub.NO_CERTIFICATE_CHAIN_FOUND
    rules = ground.rules(material=Material(certificates=(ground.issuing.der,)))
    assert await reason(data, rules) is None


async def test_expired_before_anything_showed_that_it_existed() -> None:
    ground = Ground()
    data = await made(ground)
    ground.clock.forward(3 * YEAR)
    assert await reason(data, ground.rules()) is Sub.OUT_OF_BOUNDS_NO_POE


async def test_not_yet_valid() -> None:
    ground = Ground()
    leaf = ground.leaf("Future", begins=ground.clock() + DAY)
    assert await reason(await made(ground, leaf=leaf), ground.rules()) is Sub.NOT_YET_VALID


async def test_sealed_after_it_expired_as_a_stamp_of_the_content_shows() -> None:
    ground = Ground()
    ended = ground.leaf("Ended", begins=ground.clock() - 10 * DAY, lasts=5 * DAY)
    data = await with_content_stamp(ground, ended)
    report = await families.validate(data, ground.rules())
    assert (report.indication, report.sub) == (Indication.FAILED, Sub.EXPIRED)


async def test_sealed_after_it_was_revoked_as_a_stamp_of_the_content_shows() -> None:
    ground = Ground()
    ground.revoke(ground.seal, ground.clock() - timedelta(hours=1))
    report = await families.validate(await with_content_stamp(ground, ground.seal), ground.rules())
    assert (report.indication, report.sub) == (Indication.FAILED, Sub.REVOKED)


async def with_content_stamp(ground: Ground, leaf: Issued) -> bytes:
    """A CAdES with a time stamp over its content among the signed attributes."""
    tools = ground.tools(ground.key(leaf))
    digest = hashlib.sha256(TEXT.data or b"").digest()
    info = await sign(tools, digest, TEXT.data)
    signer = info["content"]["signer_infos"][0]
    token = cms.ContentInfo.load(await ground.stamp(digest, "sha256"))
    stamp = cms.CMSAttribute({"type": cms.CMSAttributeType(CONTENT_STAMP), "values": [token]})
    attributes = cms.CMSAttributes([*signer["signed_attrs"], stamp])
    signer["signature"] = await ground.key(leaf).sign(attributes.dump(), tools.key.algorithm)  # type: ignore[union-attr]
    signer["signed_attrs"] = attributes
    return info.dump()


async def test_revoked_with_nothing_that_shows_it_was_made_before() -> None:
    ground = Ground()
    data = await made(ground)
    ground.revoke(ground.seal)
    assert await reason(data, ground.rules()) is Sub.REVOKED_NO_POE


async def test_revoked_after_the_stamp_and_before_it() -> None:
    ground = Ground()
    data = await made(ground, Level.T)
    ground.clock.forward(DAY)
    ground.revoke(ground.seal)
    assert await reason(data, ground.rules()) is None
    ground.revoke(ground.seal, ground.clock() - 2 * DAY)
    assert await reason(data, ground.rules()) is Sub.REVOKED_NO_POE


async def test_authority_revoked() -> None:
    ground = Ground()
    data = await made(ground)
    ground.revoke(ground.issuing)
    assert await reason(data, ground.rules()) is Sub.REVOKED_CA_NO_POE


async def test_nothing_known_of_revocation() -> None:
    ground = Ground()
    data = await made(ground)
    ground.silent = {ground.issuing.der}
    assert await reason(data, ground.rules()) is Sub.TRY_LATER
    assert await reason(data, ground.rules(revocation_needed=False)) is None
    with pytest.raises(SealError):
        await families.extend(data, Level.LT, ground.tools())


async def test_a_list_that_is_too_old_or_of_somebody_else_says_nothing() -> None:
    ground = Ground()
    data = await made(ground)
    ground.silent = {ground.issuing.der}
    old = ground.crl(ground.issuing, made=ground.clock() - 10 * DAY)
    forged = ground.crl(Issued(ground.issuing.certificate, ground.stranger.key))
    for one in (old, forged):
        rules = ground.rules(material=Material(crls=(one,)))
        assert await reason(data, rules) is Sub.TRY_LATER


async def test_answers_of_the_authority_and_of_its_responder_count() -> None:
    ground = Ground()
    data = await made(ground)
    ground.silent = {ground.issuing.der}
    no_check = (pyca.OCSPNoCheck(), False)
    signing = [ExtendedKeyUsageOID.OCSP_SIGNING]
    responder = ground.leaf("OCSP", extended=signing, extra=[no_check])
    plain = ground.leaf("No responder", extra=[no_check])
    stranger = issue("OCSP", ground.stranger, extended=signing, extra=[no_check])

    async def with_answer(answer: bytes) -> Sub | None:
        return await reason(data, ground.rules(material=Material(ocsps=(answer,))))

    assert await with_answer(ground.ocsp(ground.seal)) is None
    assert await with_answer(ground.ocsp(ground.seal, responder=responder)) is None
    assert await with_answer(ground.ocsp(ground.seal, responder=plain)) is Sub.TRY_LATER
    assert await with_answer(ground.ocsp(ground.seal, responder=stranger)) is Sub.TRY_LATER
    assert await with_answer(ground.ocsp(ground.leaf("Another"))) is Sub.TRY_LATER
    old = ground.ocsp(ground.seal, made=ground.clock() - 3 * DAY)
    assert await with_answer(old) is Sub.TRY_LATER
    revoked = ground.ocsp(
        ground.seal, status=ocsp.OCSPCertStatus.REVOKED, revoked=ground.clock() - DAY
    )
    assert await with_answer(revoked) is Sub.REVOKED_NO_POE


async def test_weak_hash_and_short_key() -> None:
    ground = Ground()
    data = await made(ground)
    only_long = ground.rules(hashes=frozenset({"sha512"}))
    assert await reason(data, only_long) is Sub.CRYPTO_CONSTRAINTS_FAILURE
    leaf = ground.leaf("Weak", digest=hashes.SHA224())
    sub = await reason(await made(ground, leaf=leaf), ground.rules())
    assert sub is Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
    short = ground.leaf("RSA", key=rsa.generate_private_key(65537, 2048))
    data = await made(ground, leaf=short)
    assert await reason(data, ground.rules()) is None
    sub = await reason(data, ground.rules(smallest_rsa=3072))
    assert sub is Sub.CRYPTO_CONSTRAINTS_FAILURE


async def test_rsa_with_pss() -> None:
    ground = Ground()
    leaf = ground.leaf("RSA", key=rsa.generate_private_key(65537, 2048))
    data = await families.create(ATTACHED, ground.tools(ground.key(leaf, pss=True)))
    assert await reason(data, ground.rules()) is None
    assert await reason(data.replace(b"a report", b"a repork"), ground.rules()) is Sub.HASH_FAILURE


async def test_certificate_for_something_else() -> None:
    ground = Ground()
    enciphers = ground.leaf("Enciphers", usage=("key_encipherment",))
    server = ground.leaf("Server", extended=[ExtendedKeyUsageOID.SERVER_AUTH])
    odd = (pyca.UnrecognizedExtension(ObjectIdentifier("1.2.3"), b"\x05\x00"), True)
    unknown = ground.leaf("Unknown", extra=[odd])
    for leaf in (enciphers, server, unknown):
        sub = await reason(await made(ground, leaf=leaf), ground.rules())
        assert sub is Sub.CHAIN_CONSTRAINTS_FAILURE


async def test_issued_by_one_that_is_no_authority_or_may_not_go_that_deep() -> None:
    ground = Ground()
    below_a_seal = issue("Below a seal", ground.seal)
    deep = issue("Deep", issue("Deeper", ground.issuing, ca=True))  # issuing has path length 0
    for leaf in (below_a_seal, deep):
        rules = ground.rules(revocation_needed=False)
        sub = await reason(await made(ground, leaf=leaf), rules)
        assert sub is Sub.CHAIN_CONSTRAINTS_FAILURE


async def test_policy_of_the_certificate() -> None:
    ground = Ground()
    data = await made(ground)
    rules = ground.rules(policies=frozenset({"1.2.3.4.5"}))
    assert await reason(data, rules) is Sub.CHAIN_CONSTRAINTS_FAILURE


async def test_stamp_of_something_else() -> None:
    ground = Ground()
    token = await ground.stamp(hashlib.sha256(b"something else").digest(), "sha256")

    def edit(signed: cms.SignedData) -> None:
        add_attribute(signed["signer_infos"][0], SIGNATURE_STAMP, [cms.ContentInfo.load(token)])

    data = edited(await made(ground), edit)
    report = await families.validate(data, ground.rules())
    assert report.sub is Sub.SIG_CONSTRAINTS_FAILURE
    assert "something else" in str(report.signatures[0].reason)


async def test_stamp_of_an_authority_that_is_not_trusted_proves_nothing() -> None:
    ground = Ground()
    ground.authority = ground.stamps_of(5 * YEAR, root=ground.stranger)
    data = await made(ground, Level.T)
    report = await families.validate(data, ground.rules())
    assert report.passed
    assert report.signatures[0].level is Level.B
    assert report.signatures[0].proved is None
    ground.clock.forward(3 * YEAR)
    assert await reason(data, ground.rules()) is Sub.OUT_OF_BOUNDS_NO_POE


async def test_archive_stamp_after_which_something_was_taken_away_or_changed() -> None:
    ground = Ground()
    data = await made(ground, Level.LTA)

    def without_lists(signed: cms.SignedData) -> None:
        signed["crls"] = list(signed["crls"])[1:]

    def without_stamp(signed: cms.SignedData) -> None:
        signer = signed["signer_infos"][0]
        kept = [one for one in signer["unsigned_attrs"] if one["type"].dotted == ARCHIVE_STAMP]
        signer["unsigned_attrs"] = kept

    for edit in (without_lists, without_stamp):
        sub = await reason(edited(data, edit), ground.rules())
        assert sub is Sub.SIG_CONSTRAINTS_FAILURE


async def test_two_signers_are_both_judged() -> None:
    ground = Ground()
    first = cms.ContentInfo.load(await made(ground))
    other = ground.leaf("Other")
    second = cms.ContentInfo.load(await made(ground, leaf=other))["content"]
    signed = first["content"]
    signed["certificates"] = [*signed["certificates"], *second["certificates"]]
    signed["signer_infos"] = [*signed["signer_infos"], *second["signer_infos"]]
    data = first.dump()
    report = await families.validate(data, ground.rules())
    assert (report.passed, len(report.signatures)) == (True, 2)
    raised = await families.extend(data, Level.LTA, ground.tools())
    report = await families.validate(raised, ground.rules())
    assert {one.level for one in report.signatures} == {Level.LTA}
    ground.revoke(other, ground.clock() - DAY)
    report = await families.validate(data, ground.rules())
    assert report.sub is Sub.REVOKED_NO_POE
    assert {one.indication for one in report.signatures} == {
        Indication.PASSED, Indication.INDETERMINATE,
    }  # fmt: skip


async def test_a_broken_seal_is_not_raised() -> None:
    ground = Ground()
    data = (await made(ground)).replace(b"a report", b"a repork")
    with pytest.raises(SealError) as refused:
        await families.extend(data, Level.LTA, ground.tools())
    assert refused.value.code == "content"


async def test_truncated_everywhere() -> None:
    ground = Ground()
    data = await made(ground, Level.T)
    for length in range(0, len(data), 97):
        with pytest.raises(SealError):
            await families.validate(data[:length], ground.rules())


GROUND = Ground()


@pytest.fixture(scope="session")
async def archived() -> bytes:
    return await families.create(replace(ATTACHED, level=Level.LTA), GROUND.tools())


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_no_changed_byte_passes_unless_it_says_the_same(
    archived: bytes, data: st.DataObject
) -> None:
    """Whatever byte is changed: a report that is not good, or nothing that is sealed changed."""
    place = data.draw(st.integers(0, len(archived) - 1))
    changed = bytearray(archived)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        report: Report = await families.validate(bytes(changed), GROUND.rules())
    except SealError:
        return
    one = report.signatures[0]
    if report.passed:
        signed = cms.ContentInfo.load(bytes(changed))["content"]
        assert bytes(signed["encap_content_info"]["content"]) == TEXT.data
        assert one.certificate == GROUND.seal.der
