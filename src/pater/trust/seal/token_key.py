"""Seal keys in a token or a hardware module: PKCS #11, named by a URI (RFC 7512)."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, unquote_to_bytes

import pkcs11
from asn1crypto import algos, core
from cryptography import x509
from pkcs11.exceptions import PKCS11Error, UserAlreadyLoggedIn
from pkcs11.util.ec import encode_ecdsa_signature

from pater.trust.seal.certificates import UNREADABLE
from pater.trust.seal.keys import best_algorithm
from pater.trust.seal.model import Algorithm, SealError, Text

SCHEME: Final = "pkcs11:"
_MOST_CERTIFICATES: Final = 20
_PSS: Final = {
    "sha256": (pkcs11.Mechanism.SHA256_RSA_PKCS_PSS, pkcs11.Mechanism.SHA256, pkcs11.MGF.SHA256),
    "sha384": (pkcs11.Mechanism.SHA384_RSA_PKCS_PSS, pkcs11.Mechanism.SHA384, pkcs11.MGF.SHA384),
    "sha512": (pkcs11.Mechanism.SHA512_RSA_PKCS_PSS, pkcs11.Mechanism.SHA512, pkcs11.MGF.SHA512),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key is: the module (a library), the token, the key in it, and how it opens."""

    module: str
    token: str = ""
    serial: bytes = b""
    label: str = ""
    id: bytes = b""
    pin_file: str = ""

    @classmethod
    def of(cls, uri: str) -> Place:
        """`pkcs11:token=…;object=…;id=…?module-path=…&pin-source=file:…`. Raises SealError.

        A PIN is never in the address itself: addresses are shown and logged.
        """
        path, _, query = uri.removeprefix(SCHEME).partition("?")
        named = dict(part.partition("=")[::2] for part in path.split(";") if part)
        asked = dict(parse_qsl(query))
        unknown = set(named) - {"token", "serial", "object", "id", "type"}
        unknown |= set(asked) - {"module-path", "pin-source"}
        if not uri.startswith(SCHEME) or unknown or "module-path" not in asked:
            raise SealError(
                "key",
                Text(
                    "Adresa klíče má být pkcs11:token=…;object=…?module-path=…",
                    "The address of the key is pkcs11:token=…;object=…?module-path=…",
                ),
            )
        return cls(
            asked["module-path"], unquote(named.get("token", "")),
            unquote_to_bytes(named.get("serial", "")), unquote(named.get("object", "")),
            unquote_to_bytes(named.get("id", "")),
            asked.get("pin-source", "").removeprefix("file:"),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key that stays in its token; `certificate` and `chain` (DER) are read from there too.

    One session is kept open and used by one thread at a time, as modules of every kind allow.
    """

    place: Place
    pin: str = field(repr=False)
    certificate: bytes = field(repr=False)
    chain: tuple[bytes, ...] = field(repr=False)
    algorithm: Algorithm
    _open: list[Any] = field(repr=False, default_factory=list)
    _lock: threading.Lock = field(repr=False, default_factory=threading.Lock)

    @classmethod
    def at(cls, place: Place, pin: str) -> TokenKey:
        """The key at a place. Raises SealError when it cannot be used."""
        try:
            session = _session(place, pin)
            try:
                certificate, chain = _certificates(session, place)
                _private(session, place)
            finally:
                session.close()
        except (PKCS11Error, OSError, *UNREADABLE) as error:
            if isinstance(error, SealError):
                raise
            raise _unusable(error) from error
        public = x509.load_der_x509_certificate(certificate).public_key()
        return cls(place, pin, certificate, chain, best_algorithm(public))

    async def sign(self, data: bytes, algorithm: Algorithm) -> bytes:
        return await asyncio.to_thread(self._sign, data, algorithm)

    def _sign(self, data: bytes, algorithm: Algorithm) -> bytes:
        with self._lock:
            try:
                return self._once(data, algorithm)
            except PKCS11Error:
                # a token that was taken out or restarted wants a new session
                self._close()
            try:
                return self._once(data, algorithm)
            except PKCS11Error as error:
                self._close()
                raise _unusable(error) from error

    def _once(self, data: bytes, algorithm: Algorithm) -> bytes:
        if not self._open:
            session = _session(self.place, self.pin)
            self._open.extend((session, _private(session, self.place)))
        return _signed(self._open[1], data, algorithm)

    def _close(self) -> None:
        for one in self._open[:1]:
            try:
                one.close()
            except PKCS11Error:
                pass  # it is gone already
        self._open.clear()


def _session(place: Place, pin: str) -> Any:
    module = pkcs11.lib(place.module)
    given: dict[str, Any] = {}
    if place.token:
        given["token_label"] = place.token
    if place.serial:
        given["token_serial"] = place.serial
    token = module.get_token(**given)
    try:
        return token.open(user_pin=pin)
    except UserAlreadyLoggedIn:
        return token.open()  # a login holds for all sessions of a process


def _private(session: Any, place: Place) -> Any:
    given: dict[str, Any] = {"object_class": pkcs11.ObjectClass.PRIVATE_KEY}
    if place.label:
        given["label"] = place.label
    if place.id:
        given["id"] = place.id
    return session.get_key(**given)


def _certificates(session: Any, place: Place) -> tuple[bytes, tuple[bytes, ...]]:
    """The certificate of the key (same label and id), and all others in the token as its chain."""
    wanted: dict[Any, Any] = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.CERTIFICATE}
    own: list[bytes] = []
    others: list[bytes] = []
    for one in session.get_objects(wanted):
        der = bytes(one[pkcs11.Attribute.VALUE])
        label, number = one[pkcs11.Attribute.LABEL], bytes(one[pkcs11.Attribute.ID])
        mine = (not place.label or label == place.label) and (not place.id or number == place.id)
        (own if mine else others).append(der)
        if len(own) + len(others) > _MOST_CERTIFICATES:
            break
    ends = [one for one in own if not _is_authority(one)] or own
    if not ends:
        raise SealError(
            "key",
            Text("V tokenu není certifikát klíče.", "The key's certificate is not in the token."),
        )
    keep = [one for one in (*own, *others) if one != ends[0]]
    return ends[0], tuple(keep)


def _is_authority(der: bytes) -> bool:
    try:
        found = x509.load_der_x509_certificate(der)
        return found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except UNREADABLE:
        return False


def _signed(key: Any, data: bytes, algorithm: Algorithm) -> bytes:
    """The data are hashed here: not every module hashes."""
    digest = hashlib.new(algorithm.hash, data).digest()
    if algorithm.kind == "ecdsa":
        plain = key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA)
        return bytes(encode_ecdsa_signature(plain))
    if algorithm.kind == "rsa":
        info = algos.DigestInfo(
            {
                "digest_algorithm": {"algorithm": algorithm.hash, "parameters": core.Null()},
                "digest": digest,
            }
        )
        return bytes(key.sign(info.dump(), mechanism=pkcs11.Mechanism.RSA_PKCS))
    mechanism, inner, mask = _PSS[algorithm.hash]
    parameters = (inner, mask, len(digest))
    return bytes(key.sign(data, mechanism=mechanism, mechanism_param=parameters))


def _unusable(error: Exception) -> SealError:
    what = type(error).__name__
    return SealError(
        "key",
        Text(
            f"Klíč v tokenu PKCS #11 nelze použít ({what}).",
            f"The key in the PKCS #11 token cannot be used ({what}).",
        ),
    )


def pin_of(place: Place, password: str) -> str:
    """The PIN: what the settings say, else the file that the address names. Raises SealError."""
    if password or not place.pin_file:
        return password
    try:
        return Path(place.pin_file).read_text("utf-8").strip()
    except OSError as error:
        raise _unusable(error) from error
