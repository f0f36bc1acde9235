"""What seals are spoken of in: formats, keys, evidence, and the report of a validation.

Certificates, lists and answers travel as DER everywhere, so that each format can use the library
that suits it. Texts are in both languages, because a report is for people too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, Final, NamedTuple, Protocol

LONGEST: Final = 64 * 1024 * 1024
"""Bytes of one sealed file, and of all files in one container when they are unpacked."""
MOST_SIGNATURES: Final = 16
MOST_FILES: Final = 200
MOST_CERTIFICATES: Final = 100
"""Bounds of what one sealed file may hold, so that strangers cannot keep us busy."""


class Format(StrEnum):
    """The formats of advanced seals in force in the Union."""

    CADES = "CAdES"  # EN 319 122-1
    PADES = "PAdES"  # EN 319 142-1
    XADES = "XAdES"  # EN 319 132-1
    JADES = "JAdES"  # TS 119 182-1
    ASIC_S = "ASiC-S"  # EN 319 162-1: one file in a container
    ASIC_E = "ASiC-E"  # EN 319 162-1: many files


class Level(IntEnum):
    """What a seal carries with it, each level all of those before."""

    B = 0  # the signature and who made it
    T = 1  # a time stamp over it
    LT = 2  # the certificates, lists and answers that show it was good
    LTA = 3  # a further time stamp over all of that


class Packaging(StrEnum):
    """Where the sealed content is."""

    ATTACHED = "attached"  # within the signature
    DETACHED = "detached"  # somewhere else; who validates brings it
    ENVELOPED = "enveloped"  # the content holds the signature (XML, PDF)


class Text(NamedTuple):
    """The same words in Czech and in English."""

    cs: str
    en: str


class SealError(ValueError):
    """What cannot be sealed, extended or read; `code` is for programs, `text` for people.

    Codes: `format` (cannot be read as what it should be), `too-large`, `unsupported`, `content`
    (what was sealed is missing or not what it should be), `key`, `stamp`, `evidence`, `level`.
    A seal that is wrong is no error: `validate` answers with a Report.
    """

    def __init__(self, code: str, text: Text) -> None:
        super().__init__(text.en)
        self.code, self.text = code, text


class Algorithm(StrEnum):
    """How bytes are signed. ECDSA values are DER (RFC 3279); `ecdsa_raw` gives the other form."""

    RSA_SHA256 = "rsa-sha256"  # PKCS #1 v1.5
    RSA_SHA384 = "rsa-sha384"
    RSA_SHA512 = "rsa-sha512"
    PSS_SHA256 = "pss-sha256"  # MGF1 with the same hash, salt as long as it
    PSS_SHA384 = "pss-sha384"
    PSS_SHA512 = "pss-sha512"
    ECDSA_SHA256 = "ecdsa-sha256"
    ECDSA_SHA384 = "ecdsa-sha384"
    ECDSA_SHA512 = "ecdsa-sha512"

    @property
    def hash(self) -> str:
        """The hash as hashlib names it."""
        return self.value.partition("-")[2]

    @property
    def kind(self) -> str:
        """`rsa`, `pss` or `ecdsa`."""
        return self.value.partition("-")[0]


class SealKey(Protocol):
    """A private key that seals, wherever it is kept, and its certificate. Errors: SealError."""

    @property
    def certificate(self) -> bytes:
        """The certificate of the key, DER."""
        ...

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The authorities above it, DER, nearest first; the root may be there or not."""
        ...

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm this key is best used with."""
        ...

    async def sign(self, data: bytes, algorithm: Algorithm) -> bytes:
        """The signature over the data (which is hashed here, not before)."""
        ...


class TimeStamper(Protocol):
    """A time-stamp authority (RFC 3161). Errors: SealError `stamp`."""

    async def stamp(self, digest: bytes, algorithm: str) -> bytes:
        """The token (DER) over a digest; `algorithm` as hashlib names it."""
        ...


@dataclass(frozen=True, slots=True)
class Material:
    """What shows that a certificate was good: DER certificates, CRLs, whole OCSP responses."""

    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    ocsps: tuple[bytes, ...] = ()

    def __add__(self, other: Material) -> Material:
        """Both together, each thing once, in order."""
        return Material(
            tuple(dict.fromkeys((*self.certificates, *other.certificates))),
            tuple(dict.fromkeys((*self.crls, *other.crls))),
            tuple(dict.fromkeys((*self.ocsps, *other.ocsps))),
        )


class Evidence(Protocol):
    """Where certificates and their revocation are asked for. Nothing found is no error."""

    async def issuers(self, certificate: bytes) -> Sequence[bytes]:
        """Certificates (DER) that may stand above this one."""
        ...

    async def revocation(self, certificate: bytes, issuer: bytes) -> Material:
        """Lists and answers that speak of this certificate, as fresh as there are."""
        ...


@dataclass(frozen=True, slots=True)
class Content:
    """One thing that is sealed: its bytes, or (hash-only) only its digests by hash name."""

    data: bytes | None = None
    name: str = ""  # file name in a container, URI of a detached JAdES
    mime: str = "application/octet-stream"
    digests: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """A seal that is wanted. `options` are those of one format (`serialization`: `compact`…)."""

    format: Format
    level: Level
    packaging: Packaging
    content: tuple[Content, ...]
    inner: Format = Format.CADES  # what signs within a container: CAdES or XAdES
    options: tuple[tuple[str, str], ...] = ()

    def option(self, name: str, default: str = "") -> str:
        """The value of an option."""
        return dict(self.options).get(name, default)


@dataclass(frozen=True, slots=True)
class Rules:
    """What is believed and asked for when a seal is validated or extended (validation policy)."""

    at: datetime  # the time of the validation
    anchors: tuple[bytes, ...]  # DER; every path of a seal ends at one of these
    stamp_anchors: tuple[bytes, ...] = ()  # those of time stamps; empty: the same
    evidence: Evidence | None = None  # None: only what the seal brings and `material` holds
    material: Material = Material()
    policies: frozenset[str] = frozenset()  # one of these OIDs in the certificate; none: any
    revocation_needed: bool = True  # a path of which nothing is known about revocation is refused
    unrevocable: frozenset[bytes] = frozenset()  # authorities (DER) that never revoke anything
    smallest_rsa: int = 2048
    hashes: frozenset[str] = frozenset({"sha256", "sha384", "sha512"})


@dataclass(frozen=True, slots=True)
class Tools:
    """What seals are made and extended with."""

    key: SealKey | None  # extending needs none
    stamper: TimeStamper | None  # level B needs none
    rules: Rules
    clock: Callable[[], datetime]


class Indication(StrEnum):
    """The answer of a validation (EN 319 102-1, 5.1.3)."""

    PASSED = "TOTAL-PASSED"
    FAILED = "TOTAL-FAILED"
    INDETERMINATE = "INDETERMINATE"


class Sub(StrEnum):
    """Why not (EN 319 102-1, table 6)."""

    FORMAT_FAILURE = "FORMAT_FAILURE"
    HASH_FAILURE = "HASH_FAILURE"
    SIG_CRYPTO_FAILURE = "SIG_CRYPTO_FAILURE"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"
    NOT_YET_VALID = "NOT_YET_VALID"
    SIG_CONSTRAINTS_FAILURE = "SIG_CONSTRAINTS_FAILURE"
    CHAIN_CONSTRAINTS_FAILURE = "CHAIN_CONSTRAINTS_FAILURE"
    CERTIFICATE_CHAIN_GENERAL_FAILURE = "CERTIFICATE_CHAIN_GENERAL_FAILURE"
    CRYPTO_CONSTRAINTS_FAILURE = "CRYPTO_CONSTRAINTS_FAILURE"
    CRYPTO_CONSTRAINTS_FAILURE_NO_POE = "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"
    TIMESTAMP_ORDER_FAILURE = "TIMESTAMP_ORDER_FAILURE"
    NO_SIGNING_CERTIFICATE_FOUND = "NO_SIGNING_CERTIFICATE_FOUND"
    NO_CERTIFICATE_CHAIN_FOUND = "NO_CERTIFICATE_CHAIN_FOUND"
    REVOKED_NO_POE = "REVOKED_NO_POE"
    REVOKED_CA_NO_POE = "REVOKED_CA_NO_POE"
    OUT_OF_BOUNDS_NO_POE = "OUT_OF_BOUNDS_NO_POE"
    NO_POE = "NO_POE"
    TRY_LATER = "TRY_LATER"
    SIGNED_DATA_NOT_FOUND = "SIGNED_DATA_NOT_FOUND"
    GENERIC = "GENERIC"


FAILURES: Final = frozenset(
    {
        Sub.FORMAT_FAILURE,
        Sub.HASH_FAILURE,
        Sub.SIG_CRYPTO_FAILURE,
        Sub.REVOKED,
        Sub.EXPIRED,
        Sub.NOT_YET_VALID,
    }
)
"""These mean TOTAL-FAILED; all other reasons leave the seal INDETERMINATE."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `code` is `structure`, `content`, `signature`, `certificate`,
    `path`, `revocation`, `algorithms`, `time-stamp`, `level`, or one of a format's own."""

    code: str
    passed: bool
    text: Text


@dataclass(frozen=True, slots=True)
class StampReport:
    """One time stamp of a seal: when, by whom, over what (`signature`, `archive`, `document`)."""

    time: datetime
    authority: str
    over: str
    good: bool


@dataclass(frozen=True, slots=True)
class SignatureReport:
    """What is known of one signature. Times are UTC."""

    indication: Indication
    sub: Sub | None
    checks: tuple[Check, ...]
    format: Format
    level: Level
    subject: str = ""  # of the signing certificate, RFC 4514
    certificate: bytes = field(default=b"", repr=False)  # DER
    claimed: datetime | None = None  # the signing time that the signer states
    proved: datetime | None = None  # the earliest time a good stamp shows it existed at
    stamps: tuple[StampReport, ...] = ()
    covers: tuple[str, ...] = ()  # names of what is sealed, where there are names

    @property
    def reason(self) -> Text | None:
        """The words of the first check that did not pass."""
        return next((one.text for one in self.checks if not one.passed), None)


@dataclass(frozen=True, slots=True)
class Report:
    """The answer of a validation (EN 319 102-1): of each signature, and of all together."""

    at: datetime
    format: Format
    signatures: tuple[SignatureReport, ...]

    @property
    def worst(self) -> SignatureReport:
        """The signature that stands worst: failed before indeterminate before passed."""
        order = (Indication.FAILED, Indication.INDETERMINATE, Indication.PASSED)
        return min(self.signatures, key=lambda one: order.index(one.indication))

    @property
    def indication(self) -> Indication:
        return self.worst.indication

    @property
    def sub(self) -> Sub | None:
        return self.worst.sub

    @property
    def passed(self) -> bool:
        return self.indication is Indication.PASSED

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return {
            "indication": self.indication.value,
            **({"subIndication": self.sub.value} if self.sub else {}),
            "validationTime": self.at.isoformat(),
            "format": self.format.value,
            "signatures": [_signature(one) for one in self.signatures],
        }


def _signature(one: SignatureReport) -> dict[str, Any]:
    found = {
        "indication": one.indication.value,
        "subIndication": one.sub.value if one.sub else None,
        "format": one.format.value,
        "level": one.level.name,
        "signedBy": one.subject,
        "claimedSigningTime": one.claimed.isoformat() if one.claimed else None,
        "bestSignatureTime": one.proved.isoformat() if one.proved else None,
        "covers": list(one.covers),
        "timeStamps": [
            {
                "time": stamp.time.isoformat(),
                "authority": stamp.authority,
                "over": stamp.over,
                "valid": stamp.good,
            }
            for stamp in one.stamps
        ],
        "checks": [
            {"code": check.code, "passed": check.passed, **check.text._asdict()}
            for check in one.checks
        ],
    }
    return {name: value for name, value in found.items() if value not in (None, "", [])}


class Family(Protocol):
    """The makers and readers of one group of formats; `families.py` lists them all."""

    def makes(self, order: Order) -> bool:
        """Whether it makes what is ordered."""
        ...

    def reads(self, data: bytes) -> bool:
        """Whether this looks like one of its own (a quick look; need not be right inside)."""
        ...

    async def create(self, order: Order, tools: Tools) -> bytes:
        """The sealed file, or the signature when detached. Raises SealError."""
        ...

    async def extend(
        self, data: bytes, level: Level, tools: Tools, content: Sequence[Content] = ()
    ) -> bytes:
        """The same with a higher level; LTA again adds a further archive stamp."""
        ...

    async def validate(self, data: bytes, rules: Rules, content: Sequence[Content] = ()) -> Report:
        """What is to be thought of it; `content` is what was sealed detached."""
        ...
