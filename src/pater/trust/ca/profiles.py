"""The kinds of certificates: whom each names and how, what its key may do, how long it lasts.

System and person certificates are the access certificates of the Czech eHealth gateway: X.509 v3,
two years, the IČO or the KRZP number under 2.5.4.97, digitalSignature and clientAuth.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from pater.trust.ca.errors import CaError

_DOCUMENT_SIGNING: Final = ObjectIdentifier("1.3.6.1.5.5.7.3.36")  # RFC 9336
_LONGEST: Final = 64  # RFC 5280, appendix A.1: upper bounds of names
_MOST_HOSTS: Final = 20
_HOST: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a certificate names, as an authorised operator says it.

    `name` is the common name (of a system, a person, a service), `hosts` DNS names and addresses.
    """

    name: str = ""
    ico: str = ""
    organization: str = ""
    krzp: str = ""
    given: str = ""
    family: str = ""
    hosts: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, str | list[str]]:
        """What is said, without what is left out."""
        said = asdict(self)
        said["hosts"] = list(self.hosts)
        return {name: value for name, value in said.items() if value}

    @classmethod
    def of(cls, said: Mapping[str, str | list[str]]) -> Subject:
        """What `as_dict` gave."""
        return cls(**{n: tuple(v) if isinstance(v, list) else v for n, v in said.items()})  # type: ignore[arg-type]  # one key, hosts, is a list


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of certificate. `days` is how long it lasts; `needs` and `takes` name a Subject's
    parts; `extended_critical` as RFC 3161 wants it of time stamps.
    """

    name: str
    title: Mapping[str, str]  # by language
    days: int
    needs: frozenset[str]
    takes: frozenset[str]
    extended: tuple[ObjectIdentifier, ...]
    extended_critical: bool = False
    commits: bool = False  # contentCommitment: what it signs is meant to bind
    organization_prefix: str = ""  # NTRCZ- where ETSI EN 319 412-1 has it
    ocsp_no_check: bool = False
    by_hand: bool = True  # an operator may order it


def _profile(
    name: str, cs: str, en: str, days: int, needs: str, takes: str, *extended: ObjectIdentifier
) -> Profile:
    needed = frozenset(needs.split())
    title = {"cs": cs, "en": en}
    return Profile(name, title, days, needed, needed | frozenset(takes.split()), extended)


def _profiles() -> dict[str, Profile]:
    oid = ExtendedKeyUsageOID
    found = [
        _profile(
            "system", "přístupový certifikát systému", "access certificate of a system",
            730, "name ico organization", "", oid.CLIENT_AUTH,
        ),
        _profile(
            "person", "přístupový certifikát osoby", "access certificate of a person",
            730, "krzp given family", "name", oid.CLIENT_AUTH,
        ),
        # browsers take no more than 398 days
        _profile(
            "tls-server", "certifikát serveru", "certificate of a TLS server",
            397, "hosts", "ico organization", oid.SERVER_AUTH,
        ),
        # what renews itself need not last
        replace(
            _profile(
                "acme-server", "certifikát serveru (ACME)", "certificate of a TLS server (ACME)",
                90, "hosts", "ico organization", oid.SERVER_AUTH,
            ),
            by_hand=False,
        ),
        replace(
            _profile(
                "seal", "certifikát pro pečeť", "certificate for seals",
                730, "name ico organization", "", _DOCUMENT_SIGNING,
            ),
            commits=True, organization_prefix="NTRCZ-",
        ),
        replace(
            _profile(
                "service-seal", "certifikát pro pečeť služby", "certificate for the service's seal",
                730, "name", "", _DOCUMENT_SIGNING,
            ),
            commits=True, by_hand=False,
        ),
        replace(
            _profile(
                "timestamping", "certifikát časových razítek", "certificate for time stamps",
                1825, "name", "ico organization", oid.TIME_STAMPING,
            ),
            extended_critical=True, organization_prefix="NTRCZ-",
        ),
        replace(
            _profile(
                "ocsp-signer", "certifikát odpovídače OCSP", "certificate of an OCSP responder",
                30, "name", "", oid.OCSP_SIGNING,
            ),
            ocsp_no_check=True, by_hand=False,
        ),
    ]  # fmt: skip
    return {profile.name: profile for profile in found}


PROFILES: Final[Mapping[str, Profile]] = _profiles()


def profile_of(name: str) -> Profile:
    """The profile of a name. Raises CaError."""
    if name not in PROFILES:
        raise CaError("profile", f"there is no profile {name!r}; there are: {', '.join(PROFILES)}")
    return PROFILES[name]


def checked(profile: Profile, subject: Subject) -> Subject:
    """The subject with its texts made plain, complete and within bounds. Raises CaError."""
    clean = Subject(
        **{
            field.name: _text(field.name, getattr(subject, field.name))
            for field in fields(Subject)
            if field.name != "hosts"
        },
        hosts=tuple(dict.fromkeys(_host(host) for host in subject.hosts[: _MOST_HOSTS + 1])),
    )
    for field in fields(Subject):
        value = getattr(clean, field.name)
        if field.name in profile.needs and not value:
            raise CaError("subject", f"a {profile.title['en']} needs: {field.name}")
        if value and field.name not in profile.takes:
            raise CaError("subject", f"a {profile.title['en']} has no: {field.name}")
    if clean.ico and not re.fullmatch(r"[0-9]{8}", clean.ico):
        raise CaError("subject", "an IČO has eight digits")
    if clean.krzp and not re.fullmatch(r"[1-9][0-9]{8}", clean.krzp):
        raise CaError("subject", "a KRZP number has nine digits and does not begin with 0")
    if len(subject.hosts) > _MOST_HOSTS:
        raise CaError("subject", f"a certificate names at most {_MOST_HOSTS} hosts")
    _common_name(clean)
    return clean


def _text(part: str, value: str) -> str:
    text = " ".join(unicodedata.normalize("NFC", value).split())
    # no controls, no directions of writing that make a name look like another
    if any(unicodedata.category(c)[0] == "C" for c in text):
        raise CaError("subject", f"{part} holds characters that cannot be seen")
    if len(text) > _LONGEST:
        raise CaError("subject", f"{part} has at most {_LONGEST} characters")
    return text


def _host(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        host = value.lower()
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise CaError("subject", "a host is a DNS name (xn--… for other letters) or an IP address")
    return host


def _common_name(subject: Subject) -> str:
    name = subject.name or " ".join(filter(None, (subject.given, subject.family)))
    # a longer host stands in subjectAltName alone, where it is looked for anyway
    name = name or next((host for host in subject.hosts if len(host) <= _LONGEST), "")
    if len(name) > _LONGEST:
        raise CaError("subject", f"the given and family name have at most {_LONGEST} characters")
    return name


def holder_of(subject: Subject) -> str:
    """Whose certificate it is, for lists: `krzp:…`, `ico:…`, `dns:…` or `service:…`."""
    if subject.krzp:
        return f"krzp:{subject.krzp}"
    if subject.ico:
        return f"ico:{subject.ico}"
    return f"dns:{subject.hosts[0]}" if subject.hosts else f"service:{subject.name}"


def name_of(profile: Profile, subject: Subject) -> x509.Name:
    """The distinguished name."""
    number = profile.organization_prefix + subject.ico if subject.ico else subject.krzp
    parts = (
        (NameOID.COUNTRY_NAME, "CZ"),
        (NameOID.ORGANIZATION_NAME, subject.organization),
        (NameOID.ORGANIZATION_IDENTIFIER, number),
        (NameOID.SURNAME, subject.family),
        (NameOID.GIVEN_NAME, subject.given),
        (NameOID.COMMON_NAME, _common_name(subject)),
    )
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts if value])


def alternatives(subject: Subject) -> list[x509.GeneralName]:
    """The hosts for subjectAltName."""
    found: list[x509.GeneralName] = []
    for host in subject.hosts:
        try:
            found.append(x509.IPAddress(ip_address(host)))
        except ValueError:
            found.append(x509.DNSName(host))
    return found
