"""A made-up world of trust for the tests of seals: authorities, keys, lists, stamps, a clock."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter

from pater.trust.seal.keys import LocalKey
from pater.trust.seal.model import Material, Rules, Tools
from pater.trust.tsa.authority import Authority, key_signer

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
YEAR = 365 * DAY
_SIGNS = ("digital_signature", "content_commitment")


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, much: timedelta) -> None:
        self.now += much


@dataclass
class Issued:
    """A certificate with its key, and who issued it (itself when a root)."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    issuer: Issued | None = None

    @property
    def der(self) -> bytes:
        return der(self.certificate)

    @property
    def chain(self) -> list[x509.Certificate]:
        """Those above it, with the root."""
        found, one = [], self.issuer
        while one is not None:
            found.append(one.certificate)
            one = one.issuer
        return found


def issue(
    name: str,
    issuer: Issued | None = None,
    *,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
    begins: datetime = START - DAY,
    lasts: timedelta = 2 * YEAR,
    ca: bool = False,
    usage: tuple[str, ...] | None = None,
    extended: Sequence[x509.ObjectIdentifier] = (),
    extended_critical: bool = False,
    path_length: int | None = None,
    digest: hashes.HashAlgorithm | None = None,
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Issued:
    """A certificate; without an issuer a root."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CZ"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    by = issuer.certificate.subject if issuer else subject
    usage = usage or (("key_cert_sign", "crl_sign") if ca else _SIGNS)
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement"
        " key_cert_sign crl_sign encipher_only decipher_only"
    ).split()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + lasts)
        .add_extension(x509.BasicConstraints(ca, path_length if ca else None), critical=True)
        .add_extension(x509.KeyUsage(**{one: one in usage for one in names}), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), extended_critical)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical)
    signing = issuer.key if issuer else key
    return Issued(builder.sign(signing, digest or hashes.SHA256()), key, issuer)


@dataclass
class Ground:
    """Roots, a seal, a time-stamp authority; lists are signed when they are asked for."""

    clock: Clock = field(default_factory=Clock)
    revoked: dict[int, datetime] = field(default_factory=dict)
    silent: set[bytes] = field(default_factory=set)  # issuers (DER) that give no list
    asked: int = 0

    def __post_init__(self) -> None:
        long = {"begins": START - YEAR, "lasts": 30 * YEAR}
        self.root = issue("Root", ca=True, **long)
        self.issuing = issue("Issuing", self.root, ca=True, path_length=0, **long)
        self.seal = self.leaf("Seal")
        self.stamp_root = issue("Stamps Root", ca=True, **long)
        self.authority = self.stamps_of(5 * YEAR)
        self.stranger = issue("Stranger", ca=True, **long)

    def leaf(self, name: str, issuer: Issued | None = None, **more: object) -> Issued:
        return issue(name, issuer or self.issuing, **more)  # type: ignore[arg-type]

    def key(self, leaf: Issued | None = None, *, pss: bool = False) -> LocalKey:
        leaf = leaf or self.seal
        return LocalKey.of(leaf.key, leaf.certificate, leaf.chain, pss=pss)

    def stamps_of(
        self, lasts: timedelta, root: Issued | None = None, begins: datetime | None = None
    ) -> Authority:
        """A time-stamp authority whose certificate lasts so long."""
        root = root or self.stamp_root
        made = issue(
            f"Stamps {lasts.days}", root, begins=begins or self.clock() - DAY, lasts=lasts,
            extended=[ExtendedKeyUsageOID.TIME_STAMPING], extended_critical=True,
        )  # fmt: skip
        signer = key_signer(made.key, made.certificate, made.chain)
        return Authority(signer, "1.2.3.4", self.clock)

    async def stamp(self, digest: bytes, algorithm: str) -> bytes:
        """The ground is a TimeStamper."""
        return self.authority.stamp(digest, algorithm)

    async def issuers(self, certificate: bytes) -> Sequence[bytes]:
        """The ground is an Evidence."""
        return ()

    async def revocation(self, certificate: bytes, issuer: bytes) -> Material:
        self.asked += 1
        known = [self.root, self.issuing, self.stamp_root, self.stranger]
        for one in known:
            if one.der == issuer and issuer not in self.silent:
                return Material(crls=(self.crl(one),))
        return Material()

    def crl(
        self, issuer: Issued, *, made: datetime | None = None, holds: timedelta = 4 * DAY
    ) -> bytes:
        made = made or self.clock()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.certificate.subject)
            .last_update(made)
            .next_update(made + holds)
        )
        for serial, when in self.revoked.items():
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def ocsp(
        self,
        leaf: Issued,
        *,
        responder: Issued | None = None,
        status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
        revoked: datetime | None = None,
        made: datetime | None = None,
        holds: timedelta = DAY,
    ) -> bytes:
        assert leaf.issuer is not None
        by = responder or leaf.issuer
        made = made or self.clock()
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                leaf.certificate, leaf.issuer.certificate, hashes.SHA1(), status,
                made, made + holds, revoked, None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, by.certificate)
            .certificates([by.certificate])
        )  # fmt: skip
        return builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def revoke(self, leaf: Issued, when: datetime | None = None) -> None:
        self.revoked[leaf.certificate.serial_number] = when or self.clock()

    def rules(self, **more: object) -> Rules:
        given: dict[str, object] = {
            "at": self.clock(), "anchors": (self.root.der,),
            "stamp_anchors": (self.stamp_root.der,), "evidence": self,
        }  # fmt: skip
        return Rules(**{**given, **more})  # type: ignore[arg-type]

    def tools(self, key: LocalKey | None = None, **more: object) -> Tools:
        return Tools(key or self.key(), self, self.rules(**more), self.clock)


def pdf(text: str = "a report", pages: int = 1) -> bytes:
    """A small PDF."""
    writer = PdfFileWriter()
    for _ in range(pages):
        stream = generic.StreamObject(stream_data=f"BT /F1 12 Tf 50 700 Td ({text}) Tj ET".encode())
        resources = generic.DictionaryObject(
            {
                generic.pdf_name("/Font"): generic.DictionaryObject(
                    {
                        generic.pdf_name("/F1"): generic.DictionaryObject(
                            {
                                generic.pdf_name("/Type"): generic.pdf_name("/Font"),
                                generic.pdf_name("/Subtype"): generic.pdf_name("/Type1"),
                                generic.pdf_name("/BaseFont"): generic.pdf_name("/Helvetica"),
                            }
                        )
                    }
                )
            }
        )
        page = PageObject(contents=writer.add_object(stream), media_box=(0, 0, 595, 842),
                          resources=resources)  # fmt: skip
        writer.insert_page(page)
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()
