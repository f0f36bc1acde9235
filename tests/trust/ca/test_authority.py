"""What an operator relies on: certificates that verify, once each, to the end of their lives."""

from __future__ import annotations

import asyncio
import stat
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from pater.access import audit
from pater.fhir.issues import has_errors
from pater.fhir.validation import validate
from pater.store.journal import read_journal
from pater.trust.ca import Authority, CaError, FileSigners, LocalSigner, Signer, Subject, tables
from pater.trust.ca.authority import CRL_HOLDS, ISSUING, ROOT
from pater.trust.keys import KeysError
from tests.trust.ca.conftest import BASE, OPERATOR, PERSON, SYSTEM, Pki, certificate
from tests.trust.ca.keys import openssl, request, rsa_key


async def refused(work: object) -> str:
    """The code of the refusal."""
    with pytest.raises(CaError) as error:
        await work  # type: ignore[misc]
    return error.value.code


async def verify(pki: Pki, name: str, *words: str, fails: bool = False) -> str:
    """`openssl verify` of a certificate file, with both revocation lists, at the test's time."""
    issuing, root = await pki.chain_files()
    lists = []
    for authority in (ISSUING, ROOT):
        crl = await tables.crl(pki.db, authority)
        assert crl is not None
        path = pki.file(f"{authority}.crl", crl.der)
        openssl("crl", "-inform", "DER", "-in", path, "-out", path.with_suffix(".crlpem"))
        lists += ["-CRLfile", str(path.with_suffix(".crlpem"))]
    at = str(int(pki.clock().timestamp()))
    return openssl(
        "verify", "-x509_strict", "-CAfile", root, "-untrusted", issuing, *lists,
        "-crl_check_all", "-attime", at, *words, pki.files / name, fails=fails,
    )  # fmt: skip


async def test_the_authority_makes_itself_at_the_first_certificate(pki: Pki) -> None:
    assert await pki.authority.chain() == ()
    await pki.authority.keep_up()
    assert not pki.folder.exists()  # nothing is made that nobody asked for
    await pki.system()
    issuing, root = await pki.authority.chain()
    assert issuing.issuer == root.subject == root.issuer
    assert stat.S_IMODE(pki.folder.stat().st_mode) == 0o700
    for name in ("root.key", "issuing.key"):
        assert stat.S_IMODE((pki.folder / name).stat().st_mode) == 0o600
    assert [one["reason"] for one in await pki.journal("certification-authority")] == ["operator"]


async def test_all_that_begin_at_once_get_one_authority(pki: Pki) -> None:
    found = await asyncio.gather(*(pki.again().begin(OPERATOR) for _ in range(5)))
    assert len({one[0].serial_number for one in found}) == 1


async def test_an_access_certificate_is_what_the_gateway_expects(pki: Pki) -> None:
    key = rsa_key(4096)
    kept = await pki.system(request(key))
    made = certificate(kept)
    assert kept.state(pki.clock()) == "Issued"
    assert made.version is x509.Version.v3
    assert made.public_key().public_numbers() == key.public_key().public_numbers()
    assert "somebody else" not in made.subject.rfc4514_string()
    life = made.not_valid_after_utc - made.not_valid_before_utc
    assert life == timedelta(days=730)
    assert made.not_valid_before_utc < pki.clock() < made.not_valid_after_utc
    assert made.serial_number == int(kept.serial, 16)
    of = made.extensions.get_extension_for_class
    assert of(x509.KeyUsage).critical
    assert of(x509.KeyUsage).value.digital_signature
    assert not of(x509.KeyUsage).value.key_encipherment
    assert list(of(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    point = of(x509.CRLDistributionPoints).value[0].full_name
    assert point
    assert point[0].value == f"{BASE}/pki/issuing.crl"
    access = {one.access_method: one.access_location.value
              for one in of(x509.AuthorityInformationAccess).value}  # fmt: skip
    assert access == {
        AuthorityInformationAccessOID.OCSP: f"{BASE}/pki/ocsp",
        AuthorityInformationAccessOID.CA_ISSUERS: f"{BASE}/pki/issuing.cer",
    }
    text = openssl("x509", "-noout", "-subject", "-nameopt", "utf8", "-in", pki.pem("c", kept))
    assert "organizationIdentifier=27520536" in text


@pytest.mark.parametrize(
    ("profile", "subject", "purpose"),
    [
        ("system", SYSTEM, "sslclient"),
        ("person", PERSON, "sslclient"),
        ("tls-server", Subject(hosts=("pater.test", "10.0.0.1")), "sslserver"),
        ("timestamping", Subject(name="TSA", ico="27520536", organization="N"), "timestampsign"),
        ("seal", SYSTEM, "any"),
    ],
)
async def test_openssl_takes_each_kind_for_its_purpose(
    pki: Pki, profile: str, subject: Subject, purpose: str
) -> None:
    kept = await pki.authority.issue(OPERATOR, profile, subject, request(rsa_key()))
    pki.pem("one.pem", kept)
    hosts = ("-verify_hostname", "pater.test") if subject.hosts else ()
    assert "OK" in await verify(pki, "one.pem", "-purpose", purpose, *hosts)
    if purpose != "any":
        other = "sslserver" if purpose == "sslclient" else "sslclient"
        await verify(pki, "one.pem", "-purpose", other, fails=True)


async def test_a_request_that_asks_to_be_an_authority_becomes_none(pki: Pki) -> None:
    wish = x509.BasicConstraints(ca=True, path_length=None)
    made = certificate(await pki.system(request(extension=wish)))
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


async def test_the_same_order_gives_the_same_certificate(pki: Pki) -> None:
    csr = request()
    await pki.authority.begin(OPERATOR)
    found = await asyncio.gather(*(pki.again().issue(OPERATOR, "system", SYSTEM, csr)
                                   for _ in range(5)))  # fmt: skip
    assert len({one.der for one in found}) == 1
    assert len(await pki.journal("certificate-order")) == 1
    assert len(await pki.journal("certificate-issue")) == 1
    other = await pki.system(csr, name="lis")
    assert other.serial != found[0].serial


class Dying(LocalSigner):
    """A key holder that fails when it is asked to sign."""

    def sign(self, data: bytes) -> bytes:
        raise KeysError("the key holder does not answer", "Look at it.")


class Holder:
    """Keys of which one does not work."""

    def __init__(self, behind: FileSigners) -> None:
        self.behind = behind

    def signer(self, name: str, *, create: bool) -> Signer:
        found = self.behind.signer(name, create=create)
        assert isinstance(found, LocalSigner)
        return Dying(found.key)


async def test_an_order_that_was_interrupted_is_finished_under_its_number(pki: Pki) -> None:
    await pki.authority.begin(OPERATOR)
    broken = Authority(pki.db, Holder(FileSigners(pki.folder)), BASE, pki.clock)
    csr = request()
    with pytest.raises(KeysError):
        await broken.issue(OPERATOR, "system", SYSTEM, csr)
    (waiting,) = await tables.listing(pki.db, count=10)
    assert waiting.state(pki.clock()) == "InProgress"
    assert await refused(pki.authority.revoke(OPERATOR, waiting.serial, "superseded")) == (
        "not-issued"
    )
    assert (await pki.system(csr)).serial == waiting.serial


async def test_serial_numbers_are_long_and_never_twice(pki: Pki) -> None:
    numbers = iter([1, 2, 77, 77, 77, 78])
    poor = Authority(
        pki.db, FileSigners(pki.folder), BASE, pki.clock, random_serial=lambda: next(numbers)
    )
    first = await poor.issue(OPERATOR, "system", SYSTEM, request())
    second = await poor.issue(OPERATOR, "system", SYSTEM, request())
    assert (int(first.serial, 16), int(second.serial, 16)) == (77, 78)
    found = [int((await pki.system()).serial, 16) for _ in range(4)]
    assert len(set(found)) == 4
    assert all(number.bit_length() > 100 for number in found)


async def test_a_key_belongs_to_one_holder(pki: Pki) -> None:
    csr = request()
    await pki.system(csr)
    assert await refused(pki.system(csr, ico="00064203")) == "key-taken"
    kept = await pki.authority.issue(OPERATOR, "seal", SYSTEM, csr)
    assert kept.profile == "seal"


async def test_a_renewed_certificate_and_the_old_one_both_hold(pki: Pki) -> None:
    old = await pki.system()
    pki.clock.move(days=700)
    csr = request()
    new = await pki.authority.renew(OPERATOR, old.serial, csr)
    assert (await pki.authority.renew(OPERATOR, old.serial.upper(), csr)).serial == new.serial
    assert new.renews == old.serial
    assert certificate(new).subject == certificate(old).subject
    for name, kept in (("old", old), ("new", new)):
        await pki.authority.sign_crl(OPERATOR, ISSUING)
        await pki.authority.sign_crl(OPERATOR, ROOT)
        pki.pem(name, kept)
        assert "OK" in await verify(pki, name)
    pki.clock.move(days=40)
    assert (await pki.authority.find(old.serial)).state(pki.clock()) == "Expired"  # type: ignore[union-attr]
    assert await refused(pki.authority.renew(OPERATOR, old.serial, request())) == "not-valid"


async def test_a_revoked_certificate_is_on_the_list_at_once(pki: Pki) -> None:
    csr = request()
    kept, other = await pki.system(csr), await pki.system()
    colons = ":".join(kept.serial[n : n + 2] for n in range(0, 40, 2)).upper()
    gone = await pki.authority.revoke(OPERATOR, colons, "keyCompromise")
    assert (gone.state(pki.clock()), gone.reason) == ("Revoked", "keyCompromise")
    pki.pem("gone.pem", kept)
    pki.pem("other.pem", other)
    assert "certificate revoked" in await verify(pki, "gone.pem", fails=True)
    assert "OK" in await verify(pki, "other.pem")
    text = openssl("crl", "-noout", "-text", "-inform", "DER", "-in", pki.files / "issuing.crl")
    assert "Key Compromise" in text
    # the same again changes nothing
    lists = len(await pki.journal("certificate-revocation-list"))
    pki.clock.move(hours=1)
    again = await pki.authority.revoke(OPERATOR, kept.serial, "superseded")
    assert (again.revoked, again.reason) == (gone.revoked, "keyCompromise")
    assert len(await pki.journal("certificate-revocation-list")) == lists
    # nobody gets that key certified again, and what is revoked is not renewed
    assert await refused(pki.system(csr)) == "key-compromised"
    assert await refused(pki.authority.renew(OPERATOR, kept.serial, request())) == "not-valid"


async def test_after_a_harmless_revocation_the_same_order_gives_a_new_one(pki: Pki) -> None:
    csr = request()
    kept = await pki.system(csr)
    await pki.authority.revoke(OPERATOR, kept.serial, "superseded")
    assert (await pki.system(csr)).serial != kept.serial


async def test_revocations_at_once_are_all_on_the_last_list(pki: Pki) -> None:
    found = [await pki.system() for _ in range(4)]
    await asyncio.gather(
        *(pki.again().revoke(OPERATOR, one.serial, "unspecified") for one in found)
    )
    crl = await tables.crl(pki.db, ISSUING)
    assert crl is not None
    made = x509.load_der_x509_crl(crl.der)
    assert {one.serial_number for one in made} == {int(one.serial, 16) for one in found}
    number = made.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    assert number == crl.number == 5


async def test_lists_are_signed_anew_before_they_end(pki: Pki) -> None:
    await pki.authority.begin(OPERATOR)
    for days in range(5):
        for name in (ISSUING, ROOT):
            crl = await pki.authority.crl(name)
            assert crl is not None
            assert crl.made >= pki.clock() - timedelta(days=1)
            assert crl.number == 1 + days
            assert crl.until - crl.made == CRL_HOLDS[name]
        pki.clock.move(days=1)
        await pki.authority.keep_up()
        await pki.authority.keep_up()


async def test_what_has_expired_leaves_the_list(pki: Pki) -> None:
    kept = await pki.system()
    await pki.authority.revoke(OPERATOR, kept.serial, "superseded")
    for days, lines in ((725, 1), (6, 1), (10, 0)):
        pki.clock.move(days=days)
        crl = await pki.authority.crl(ISSUING)
        assert crl is not None
        assert len(x509.load_der_x509_crl(crl.der)) == lines


async def test_the_root_key_may_be_taken_away(pki: Pki) -> None:
    await pki.authority.begin(OPERATOR)
    (pki.folder / "root.key").unlink()
    assert (await pki.system()).der
    pki.clock.move(days=20)
    await pki.authority.keep_up()
    crl = await pki.authority.crl(ROOT)
    assert crl is not None
    assert crl.until > pki.clock()
    with pytest.raises(KeysError):
        await pki.authority.sign_crl(OPERATOR, ROOT)


async def test_another_key_in_the_place_of_the_authoritys_is_noticed(pki: Pki) -> None:
    await pki.authority.begin(OPERATOR)
    (pki.folder / "issuing.key").unlink()
    FileSigners(pki.folder).signer(ISSUING, create=True)
    with pytest.raises(KeysError, match="is not the one"):
        await pki.system()


async def test_a_key_that_others_can_read_is_refused(pki: Pki) -> None:
    await pki.authority.begin(OPERATOR)
    (pki.folder / "issuing.key").chmod(0o640)
    with pytest.raises(KeysError, match="other users"):
        await pki.system()


async def test_keys_of_rsa_sign_as_well(pki: Pki) -> None:
    class Rsa:
        def signer(self, name: str, *, create: bool) -> Signer:
            return LocalSigner(rsa_key(2048, {ROOT: 1, ISSUING: 2}.get(name, 3)))

    authority = Authority(pki.db, Rsa(), BASE, pki.clock)
    kept = await authority.issue(OPERATOR, "system", SYSTEM, request())
    await authority.revoke(OPERATOR, kept.serial, "superseded")
    pki.pem("one", kept)
    assert "certificate revoked" in await verify(pki, "one", fails=True)


async def test_nothing_outlives_its_authority(pki: Pki) -> None:
    issuing, _ = await pki.authority.begin(OPERATOR)
    pki.clock.move(days=3650 - 100)
    kept = await pki.system()
    assert kept.not_after == issuing.not_valid_after_utc
    pki.clock.move(days=101)
    assert await refused(pki.system()) == "authority-expired"


async def test_what_ends_soon_is_listed_until_it_is_renewed(pki: Pki) -> None:
    kept, other = await pki.system(), await pki.system(name="lis")
    await pki.authority.identity("ocsp")

    async def soon(days: int) -> list[str]:
        now = pki.clock()
        found = await tables.expiring(pki.db, now, now + timedelta(days=days), 100)
        return sorted(one.serial for one in found)

    assert await soon(30) == []
    pki.clock.move(days=705)
    assert await soon(30) == sorted([kept.serial, other.serial])
    assert await soon(7) == []
    await pki.authority.renew(OPERATOR, kept.serial, request())
    assert await soon(30) == [other.serial]
    await pki.authority.revoke(OPERATOR, other.serial, "cessationOfOperation")
    assert await soon(30) == []


async def test_lists_are_by_holder_and_page_without_gaps(pki: Pki) -> None:
    made = [(await pki.system(name=f"s{n}")).serial for n in range(5)]
    await pki.authority.issue(OPERATOR, "person", PERSON, request())
    seen: list[str] = []
    before = None
    while page := await tables.listing(pki.db, holder="ico:27520536", count=2, before=before):
        seen += [one.serial for one in page]
        before = (page[-1].ordered, page[-1].serial)
    assert sorted(seen) == sorted(made)
    assert len(await tables.listing(pki.db, count=100)) == 6


async def test_what_is_refused_is_in_the_journal_without_names(pki: Pki) -> None:
    assert await refused(pki.system(b"nonsense")) == "request-unreadable"
    assert await refused(pki.authority.revoke(OPERATOR, "77", "superseded")) == "unknown"
    assert await refused(pki.authority.issue(OPERATOR, "ocsp-signer", Subject(name="x"), b"")) == (
        "profile"
    )
    kept = await pki.system()
    rows = await pki.journal("certificate-issue", "certificate-revoke")
    assert [(row["outcome"], row["reason"]) for row in rows] == [
        ("4", "request-unreadable"), ("4", "unknown"), ("4", "profile"), ("0", "operator"),
    ]  # fmt: skip
    assert rows[-1]["query"] == f"serial={kept.serial}&profile=system"
    assert rows[-1]["agent"] == "cli:eva"
    assert "Nemocnice" not in str(rows)
    for entry in await read_journal(pki.db, None, None, None, None, 100):
        event = audit.to_fhir(entry, f"{BASE}/fhir")
        assert not has_errors(validate(event)), entry.interaction


async def test_a_service_of_paters_has_a_certificate_and_renews_it(pki: Pki) -> None:
    assert await pki.authority.identity("tsa") is None
    await pki.authority.begin(OPERATOR)
    first, same = await asyncio.gather(*(pki.again().identity("ocsp") for _ in range(2)))
    assert first is not None
    assert same is not None
    assert first.certificate == same.certificate
    assert isinstance(first.signer.public_key, ec.EllipticCurvePublicKey)
    pki.clock.move(days=21)
    renewed = await pki.authority.identity("ocsp")
    assert renewed is not None
    assert renewed.certificate.serial_number != first.certificate.serial_number
    stamping = await pki.authority.identity("tsa")
    assert stamping is not None
    pki.file("tsa.pem", stamping.certificate.public_bytes(Encoding.PEM))
    await pki.authority.keep_up()
    assert "OK" in await verify(pki, "tsa.pem", "-purpose", "timestampsign")
