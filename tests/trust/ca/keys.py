"""Keys and certification requests for the tests, as a provider would make them."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.waiting import PATIENCE

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@lru_cache(maxsize=32)
def rsa_key(bits: int = 2048, number: int = 0) -> rsa.RSAPrivateKey:
    """An RSA key, the same each time."""
    return rsa.generate_private_key(65537, bits)


def ec_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    """A new EC key."""
    return ec.generate_private_key(curve or ec.SECP256R1())


def request(
    key: Key | None = None,
    *,
    name: str = "somebody else",
    digest: hashes.HashAlgorithm | None = None,
    encoding: Encoding = Encoding.PEM,
    extension: x509.ExtensionType | None = None,
) -> bytes:
    """A certification request of the key, PEM unless said otherwise."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder(subject)
    if extension is not None:
        builder = builder.add_extension(extension, True)
    made = builder.sign(key or ec_key(), digest or hashes.SHA256())
    return made.public_bytes(encoding)


def openssl(*words: str | Path, given: bytes = b"", fails: bool = False) -> str:
    """What the `openssl` command prints on both outputs."""
    done = subprocess.run(
        ["openssl", *map(str, words)],
        input=given,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert (done.returncode != 0) == fails, said
    return said
