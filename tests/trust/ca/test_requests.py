"""What is certified of a certification request, and what is refused with which words."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from pater.trust.ca.errors import CaError
from pater.trust.ca.requests import LONGEST, check_key, read_request
from tests.fuzz.seeds import OWN
from tests.trust.ca.keys import ec_key, openssl, request, rsa_key

EC = ec_key()
GOOD = OWN["certification-request"][0]


def refused(data: bytes) -> str:
    """The code of the refusal."""
    with pytest.raises(CaError) as error:
        read_request(data)
    assert str(error.value)
    return error.value.code


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
@pytest.mark.parametrize("key", [EC, rsa_key(2048)], ids=["P-256", "RSA 2048"])
def test_keys_of_both_kinds_are_taken_in_both_forms(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, encoding: Encoding
) -> None:
    read = read_request(request(key, encoding=encoding))
    assert read.key.public_numbers() == key.public_key().public_numbers()


def test_a_request_of_openssl_is_taken() -> None:
    made = openssl(
        "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout", "/dev/null"
    )
    begin = made.index("-----BEGIN CERT")
    assert read_request(made[begin:].encode()).key.key_size == 2048


def test_what_came_with_the_request_as_comments_does_not_hurt() -> None:
    assert read_request(b"Certificate Request:\n  Data:\n" + request(EC)).key


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "request-unreadable"),
        (b"hello", "request-unreadable"),
        (b"0" * (LONGEST + 1), "request-too-large"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nnot base64\n", "request-unreadable"),
        (request(EC)[:-100], "request-unreadable"),
        (GOOD.replace(b"\x02\x01\x00", b"\x02\x01\x01", 1), "request-unreadable"),  # its version
        (request(EC) + request(EC), "request-several"),
        (b"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----", "request-kind"),
        (
            EC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "request-private-key",
        ),
        (request(rsa_key(1024)), "key-size"),
        (request(ec_key(ec.SECP384R1())), "key-curve"),
        (request(ec_key(ec.SECP256K1())), "key-curve"),
        (request(dsa.generate_private_key(2048)), "key-kind"),  # type: ignore[arg-type]
        (request(EC, digest=hashes.SHA224()), "request-digest"),
        (request(EC, digest=hashes.SHA3_256()), "request-digest"),
    ],
)
def test_what_cannot_be_certified_is_refused_by_name(data: bytes, code: str) -> None:
    assert refused(data) == code


def test_an_edwards_key_is_refused() -> None:
    with pytest.raises(CaError) as error:
        check_key(ed25519.Ed25519PrivateKey.generate().public_key())
    assert error.value.code == "key-kind"


def test_weak_rsa_numbers_are_refused() -> None:
    good = rsa_key(2048).public_key().public_numbers()
    factored = good.n - good.n % 14 + 7  # odd, and divisible by seven
    for numbers, code in (
        (rsa.RSAPublicNumbers(3, good.n), "key-exponent"),
        (rsa.RSAPublicNumbers(65537, factored), "key-weak"),
    ):
        with pytest.raises(CaError) as error:
            check_key(numbers.public_key())
        assert error.value.code == code


def test_a_request_for_somebody_elses_key_is_refused() -> None:
    # the other's public key in the place of the own, signed with the own
    own, others = ec_key(), ec_key()
    point = own.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    other = others.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    stolen = request(own, encoding=Encoding.DER).replace(point, other)
    assert refused(stolen) == "request-signature"


@settings(deadline=None)
@given(at=st.integers(0, len(GOOD) - 1), flip=st.integers(1, 255))
def test_one_changed_byte_never_passes(at: int, flip: int) -> None:
    changed = bytearray(GOOD)
    changed[at] ^= flip
    with pytest.raises(CaError):
        read_request(bytes(changed))


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for whole in (data, b"-----BEGIN CERTIFICATE REQUEST-----\n" + data, GOOD[:40] + data):
        with pytest.raises(CaError):
            read_request(whole)
