"""The time-stamp authority: a request in, a signed answer out (RFC 3161, RFC 5816)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import ClassVar, Final

from asn1crypto import cms, core, tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from pater.trust.tsa.token import Former, tst_info

LONGEST_REQUEST: Final = 8 * 1024
HASHES: Final = {"sha256": 32, "sha384": 48, "sha512": 64}
"""The hash algorithms that are stamped, with the length of their values in bytes."""
_LONGEST_NONCE_BITS: Final = 256

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Response(core.Sequence):  # type: ignore[misc]  # asn1crypto has no types
    """TimeStampResp, whose token is optional (RFC 3161, 2.4.2; asn1crypto demands it)."""

    _fields: ClassVar = [
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", cms.ContentInfo, {"optional": True}),
    ]


class RefusalError(Exception):
    """A request that gets no stamp; `failure` is a name of PKIFailureInfo (RFC 3161, 2.4.2)."""

    def __init__(self, failure: str, text: str) -> None:
        super().__init__(text)
        self.failure, self.text = failure, text


@dataclass(frozen=True, slots=True)
class Signer:
    """A certificate, what stands above it, and the function that signs bytes with its key.

    A signature is ECDSA or RSA PKCS #1 v1.5, each with SHA-256; `sign` may ask a token or a
    remote service.
    """

    certificate: x509.Certificate
    chain: Sequence[x509.Certificate]
    sign: Callable[[bytes], bytes]


def key_signer(
    key: PrivateKey, certificate: x509.Certificate, chain: Sequence[x509.Certificate] = ()
) -> Signer:
    """A signer whose key is at hand."""

    def sign(data: bytes) -> bytes:
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return key.sign(data, ec.ECDSA(hashes.SHA256()))

    return Signer(certificate, tuple(chain), sign)


@dataclass(frozen=True, slots=True)
class Authority:
    """A time-stamp authority: its signer, its policy (an object identifier), its clock.

    `accuracy` is how far its clock may be from UTC, in seconds.
    """

    signer: Signer
    policy: str
    clock: Callable[[], datetime]
    accuracy: int = 1

    @property
    def root(self) -> x509.Certificate:
        """The certificate under which its stamps are believed."""
        return (self.signer.certificate, *self.signer.chain)[-1]

    def answer(self, request: bytes) -> bytes:
        """A TimeStampResp for a TimeStampReq, both DER; what cannot be stamped is told why."""
        try:
            token = self._token(_read(request))
        except RefusalError as refusal:
            return _refused(refusal)
        granted = {
            "status": {"status": "granted"},
            "time_stamp_token": cms.ContentInfo.load(token),
        }
        return bytes(Response(granted).dump())

    def stamp(self, digest: bytes, algorithm: str = "sha256") -> bytes:
        """A token over a digest, for callers in this process. Raises RefusalError."""
        if HASHES.get(algorithm) != len(digest):
            raise RefusalError("bad_alg", f"stamped are values of {', '.join(HASHES)}")
        return self._made(algorithm, digest, None, with_certificates=True)

    def _token(self, request: tsp.TimeStampReq) -> bytes:
        policy = request["req_policy"].native
        if policy is not None and policy != self.policy:
            raise RefusalError("unaccepted_policy", f"this authority stamps under {self.policy}")
        imprint = request["message_imprint"]
        return self._made(
            imprint["hash_algorithm"]["algorithm"].native,
            imprint["hashed_message"].native,
            request["nonce"].native,
            with_certificates=bool(request["cert_req"].native),
        )

    def _made(
        self, algorithm: str, digest: bytes, nonce: int | None, *, with_certificates: bool
    ) -> bytes:
        serial, time = secrets.randbits(127) + 1, self.clock()
        content = tst_info(self.policy, algorithm, digest, serial, time, self.accuracy, nonce)
        former = _former(self.signer.certificate, tuple(self.signer.chain))
        attributes = former.attributes(content)
        signature = self.signer.sign(attributes)
        return former.token(content, attributes, signature, certificates=with_certificates)


def _read(data: bytes) -> tsp.TimeStampReq:
    """A request that can be stamped. Raises RefusalError."""
    if len(data) > LONGEST_REQUEST:
        raise RefusalError("bad_data_format", "the request is too long")
    try:
        request = tsp.TimeStampReq.load(data, strict=True)
        native = request.native  # reads all of it
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise RefusalError("bad_data_format", "this is no TimeStampReq") from error
    if native["version"] != "v1":
        raise RefusalError("bad_request", "the version of the request is not 1")
    if native["extensions"]:
        raise RefusalError("unaccepted_extensions", "no extension is accepted")
    imprint = native["message_imprint"]
    algorithm = imprint["hash_algorithm"]
    length = HASHES.get(algorithm["algorithm"])
    if length is None or algorithm["parameters"] is not None:
        raise RefusalError("bad_alg", f"stamped are {', '.join(HASHES)}")
    if len(imprint["hashed_message"]) != length:
        raise RefusalError("bad_data_format", "the hash is not as long as its algorithm makes it")
    nonce = native["nonce"]
    if nonce is not None and not 0 <= nonce < 1 << _LONGEST_NONCE_BITS:
        raise RefusalError("bad_request", "the nonce is negative or too long")
    return request


def _refused(refusal: RefusalError) -> bytes:
    status = {
        "status": "rejection",
        "status_string": [refusal.text],
        "fail_info": {refusal.failure},
    }
    return bytes(Response({"status": status}).dump())


@lru_cache(maxsize=4)
def _former(certificate: x509.Certificate, chain: tuple[x509.Certificate, ...]) -> Former:
    ders = [one.public_bytes(Encoding.DER) for one in (certificate, *chain)]
    return Former(ders[0], ders[1:])
