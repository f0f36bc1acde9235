"""Reads what payloads of ACME hold: contacts, hosts, certification requests, certificates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any, Final

import orjson
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pater.trust.acme.errors import AcmeError, malformed, rejected
from pater.trust.acme.jose import account_key
from pater.trust.ca import CaError, Subject
from pater.trust.ca.authority import AUTOMATIC
from pater.trust.ca.profiles import checked, profile_of
from pater.trust.ca.requests import LONGEST, read_request

MOST_HOSTS: Final = 20
_MOST_CONTACTS: Final = 5
_MAIL: Final = re.compile(r"mailto:[A-Za-z0-9.!#$&'*+/=^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}")


def contacts_of(payload: Mapping[str, Any]) -> tuple[str, ...]:
    """The addresses of mail of an account (RFC 8555, section 7.3). Raises AcmeError."""
    given = payload.get("contact", [])
    if not isinstance(given, list) or len(given) > _MOST_CONTACTS:
        raise malformed(f"contact is a list of at most {_MOST_CONTACTS} addresses")
    for one in given:
        if not isinstance(one, str) or not one.startswith("mailto:"):
            raise AcmeError("unsupportedContact", "contacts are mailto: addresses")
        if not _MAIL.fullmatch(one):
            raise AcmeError("invalidContact", "this is no single plain mail address")
    return tuple(given)


def hosts_of(payload: Mapping[str, Any]) -> tuple[str, ...]:
    """The hosts of a new order, sorted (section 7.4). Raises AcmeError."""
    if "notBefore" in payload or "notAfter" in payload:
        raise malformed("how long a certificate lasts is not the client's to say")
    given = payload.get("identifiers")
    if not isinstance(given, list) or not 0 < len(given) <= MOST_HOSTS:
        raise malformed(f"an order names 1 to {MOST_HOSTS} identifiers")
    hosts: set[str] = set()
    wrong: list[tuple[str, str, str]] = []
    for one in given:
        kind, value = (one.get("type"), one.get("value")) if isinstance(one, dict) else (None, None)
        if not isinstance(kind, str) or not isinstance(value, str):
            raise malformed("an identifier has a type and a value")
        shown = value[:253]
        if kind != "dns":
            wrong.append(("unsupportedIdentifier", shown, "identifiers are of the type dns"))
        elif (host := _host(value)) is None:
            why = "expected one plain DNS name (xn--… for other letters), without wildcard"
            wrong.append(("rejectedIdentifier", shown, why))
        else:
            hosts.add(host)
    if wrong:
        raise rejected(wrong)
    return tuple(sorted(hosts))


def request_of(der: bytes, hosts: Sequence[str], jwk: str) -> bytes:
    """A certification request (PKCS #10, DER) that names exactly the hosts of its order.

    Its key must not be the account's (section 11.1). Raises AcmeError.
    """
    try:
        if len(der) > LONGEST:
            raise CaError("request-too-large", f"a request has at most {LONGEST} bytes")
        found = x509.load_der_x509_csr(der)
        spki = read_request(der).spki
        named = _named(found)
    except (CaError, ValueError, TypeError, x509.InvalidVersion, x509.DuplicateExtension) as error:
        text = str(error) if isinstance(error, CaError) else "this is no PKCS #10 request in DER"
        raise AcmeError("badCSR", text) from error
    if named != set(hosts):
        raise AcmeError("badCSR", "the request has to name the hosts of the order, and no others")
    if spki == account_key(orjson.loads(jwk)).spki:
        raise AcmeError("badCSR", "the key of the account is not for certificates: make another")
    return found.public_bytes(Encoding.DER)


def certificate_of(der: bytes) -> tuple[bytes, int]:
    """The bytes of a certificate and its serial number. Raises AcmeError."""
    try:
        if len(der) > LONGEST:
            raise ValueError("too long")
        found = x509.load_der_x509_certificate(der)
        return found.public_bytes(Encoding.DER), found.serial_number
    except (ValueError, TypeError, x509.InvalidVersion) as error:
        raise malformed("this is no certificate in DER") from error


def _host(value: str) -> str | None:
    """The DNS name in small letters, None when it is none."""
    try:
        ip_address(value)
        return None
    except ValueError:
        pass
    try:
        return checked(profile_of(AUTOMATIC), Subject(hosts=(value,))).hosts[0]
    except CaError:
        return None


def _named(request: x509.CertificateSigningRequest) -> set[str]:
    """All that a request names: its common name and its alternative names."""
    names = {
        str(one.value).lower()
        for one in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if one.value
    }
    try:
        found = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return names
    for one in found:
        if not isinstance(one, x509.DNSName):
            raise CaError("request-names", "the request names more than hosts")
        names.add(one.value.lower())
    return names
