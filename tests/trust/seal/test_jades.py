"""JAdES seals: made, raised, validated; what is broken is refused with its own reason."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto import jwk, jws
from jwcrypto.common import JWSEHeaderParameter

from pater.trust.seal import families
from pater.trust.seal.jose import coded, decoded
from pater.trust.seal.model import (
    Algorithm,
    Content,
    Format,
    Indication,
    Level,
    Order,
    Packaging,
    Report,
    SealError,
    Sub,
)
from tests.trust.seal.ground import DAY, YEAR, Ground, issue

DATA = '{"resourceType":"Patient","name":[{"family":"Příkladová"}]}'.encode()
TEXT = Content(DATA, "urn:document:1", "application/fhir+json")
Edit = Callable[[dict[str, Any]], None]


def order(
    level: Level = Level.B,
    packaging: Packaging = Packaging.ATTACHED,
    *content: Content,
    **options: str,
) -> Order:
    return Order(Format.JADES, level, packaging, content or (TEXT,), options=tuple(options.items()))


async def check(ground: Ground, seal: bytes, *content: Content, **rules: object) -> Report:
    return await families.validate(seal, ground.rules(**rules), content)


@pytest.mark.parametrize("packaging", [Packaging.ATTACHED, Packaging.DETACHED])
@pytest.mark.parametrize("level", list(Level))
async def test_made_and_validated_at_every_level(level: Level, packaging: Packaging) -> None:
    ground = Ground()
    seal = await families.create(order(level, packaging), ground.tools())
    content = () if packaging is Packaging.ATTACHED else (TEXT,)
    report = await check(ground, seal, *content)
    assert report.passed, report.as_dict()
    [one] = report.signatures
    assert (one.level, one.format, one.claimed) == (level, Format.JADES, ground.clock())
    assert "Seal" in one.subject


@pytest.mark.parametrize("kind", ["P-256", "P-384", "P-521", "RSA", "PSS", "RSA-4096"])
async def test_each_kind_of_key_seals(kind: str) -> None:
    ground = Ground()
    curves = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if kind in curves:
        key = ec.generate_private_key(curves[kind])
    else:
        key = rsa.generate_private_key(65537, 4096 if kind == "RSA-4096" else 2048)
    tools = ground.tools(ground.key(ground.leaf("Seal", key=key), pss=kind == "PSS"))
    report = await check(ground, await families.create(order(), tools))
    assert report.passed, report.as_dict()


async def test_a_seal_outlives_its_certificate_and_its_lists() -> None:
    ground = Ground()
    seal = await families.create(order(Level.LTA, Packaging.DETACHED), ground.tools())
    ground.silent.add(ground.issuing.der)  # nobody can be asked about the seal any more
    ground.clock.forward(3 * YEAR)  # and its certificate has expired
    report = await check(ground, seal, TEXT)
    assert report.passed, report.as_dict()
    ground.authority = ground.stamps_of(5 * YEAR)
    again = await families.extend(seal, Level.LTA, ground.tools(), (TEXT,))
    ground.clock.forward(3 * YEAR)  # the first stamp's certificate has expired too
    report = await check(ground, again, TEXT)
    assert report.passed, report.as_dict()
    assert report.signatures[0].level is Level.LTA
    assert [stamp.over for stamp in report.signatures[0].stamps] == [
        "signature", "archive", "archive",
    ]  # fmt: skip


async def test_without_a_stamp_nothing_shows_that_an_old_seal_is_old() -> None:
    ground = Ground()
    seal = await families.create(order(Level.B), ground.tools())
    ground.clock.forward(3 * YEAR)
    report = await check(ground, seal)
    assert (report.indication, report.sub) == (Indication.INDETERMINATE, Sub.OUT_OF_BOUNDS_NO_POE)


async def test_revoked_after_the_stamp_is_good_and_before_it_is_not() -> None:
    ground = Ground()
    seal = await families.create(order(Level.T), ground.tools())
    plain = await families.create(order(Level.B), ground.tools())
    ground.clock.forward(DAY)
    ground.revoke(ground.seal)
    ground.clock.forward(DAY)
    assert (await check(ground, seal)).passed
    assert (await check(ground, plain)).sub is Sub.REVOKED_NO_POE
    late = await families.create(order(Level.T), ground.tools())
    assert (await check(ground, late)).sub is Sub.REVOKED_NO_POE


async def test_raised_step_by_step() -> None:
    ground = Ground()
    seal = await families.create(order(Level.B), ground.tools())
    for level in (Level.T, Level.LT, Level.LTA):
        seal = await families.extend(seal, level, ground.tools())
        assert (await check(ground, seal)).signatures[0].level is level
    with pytest.raises(SealError) as error:
        await families.extend(seal, Level.T, ground.tools())
    assert error.value.code == "level"


async def test_a_hash_is_enough_to_seal_and_to_validate() -> None:
    ground = Ground()
    digest = (("sha256", hashlib.sha256(DATA).digest()),)
    hashed = Content(None, "urn:document:1", "application/fhir+json", digest)
    seal = await families.create(order(Level.T, Packaging.DETACHED, hashed), ground.tools())
    assert (await check(ground, seal, TEXT)).passed
    assert (await check(ground, seal, hashed)).passed
    other = Content(None, "urn:document:1", "", (("sha256", hashlib.sha256(b"x").digest()),))
    assert (await check(ground, seal, other)).sub is Sub.HASH_FAILURE
    with pytest.raises(SealError) as error:  # an archive stamp is over the content itself
        await families.create(order(Level.LTA, Packaging.DETACHED, hashed), ground.tools())
    assert error.value.code == "content"


async def test_many_contents_under_one_seal() -> None:
    ground = Ground()
    contents = [Content(f"content {n}".encode(), f"urn:c:{n}") for n in range(5)]
    seal = await families.create(order(Level.LTA, Packaging.DETACHED, *contents), ground.tools())
    report = await check(ground, seal, *reversed(contents))
    assert report.passed, report.as_dict()
    assert report.signatures[0].covers == tuple(one.name for one in contents)
    assert (await check(ground, seal, *contents[1:])).sub is Sub.SIGNED_DATA_NOT_FOUND
    swapped = [Content(contents[1].data, contents[0].name), *contents[1:]]
    assert (await check(ground, seal, *swapped)).sub is Sub.HASH_FAILURE


def changed(seal: bytes, edit: Edit, *, header: bool = False) -> bytes:
    """A seal with something changed in it, or in its signed header."""
    whole = json.loads(seal)
    if header:
        inside = json.loads(decoded(whole["protected"]))
        edit(inside)
        whole["protected"] = coded(json.dumps(inside).encode())
    else:
        edit(whole)
    return json.dumps(whole).encode()


def _flip(text: str) -> str:
    data = bytearray(decoded(text))
    data[3] ^= 1
    return coded(bytes(data))


def _odd_version(header: dict[str, Any]) -> None:
    """The certificate with a version that there is not, named by its own hash."""
    first, *rest = header["x5c"]
    known, odd = b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09"
    certificate = base64.b64decode(first).replace(known, odd, 1)
    header["x5c"] = [base64.b64encode(certificate).decode(), *rest]
    header["x5t#S256"] = coded(hashlib.sha256(certificate).digest())


BROKEN: dict[str, tuple[Edit, bool, Sub]] = {
    "changed payload": (
        lambda s: s.update(payload=coded(b"other")), False, Sub.SIG_CRYPTO_FAILURE,
    ),
    "changed signature": (
        lambda s: s.update(signature=_flip(s["signature"])), False, Sub.SIG_CRYPTO_FAILURE,
    ),
    "truncated signature": (
        lambda s: s.update(signature=s["signature"][:40]), False, Sub.SIG_CRYPTO_FAILURE,
    ),
    "changed signed header": (lambda h: h.update(iat=1), True, Sub.SIG_CRYPTO_FAILURE),
    "alg none": (lambda h: h.update(alg="none"), True, Sub.FORMAT_FAILURE),
    "alg none, no signature": (
        lambda s: s.update(
            protected=coded(json.dumps({"alg": "none"}).encode()), signature=""
        ), False, Sub.FORMAT_FAILURE,
    ),
    "HMAC with the public key": (lambda h: h.update(alg="HS256"), True, Sub.FORMAT_FAILURE),
    "RSA instead of EC": (lambda h: h.update(alg="RS256"), True, Sub.SIG_CRYPTO_FAILURE),
    "another curve": (lambda h: h.update(alg="ES384"), True, Sub.SIG_CRYPTO_FAILURE),
    "a weak algorithm": (lambda h: h.update(alg="RS1"), True, Sub.CRYPTO_CONSTRAINTS_FAILURE),
    "an algorithm that is a list": (lambda h: h.update(alg=["ES256"]), True, Sub.FORMAT_FAILURE),
    "a bare key": (lambda h: h.update(jwk={"kty": "EC"}), True, Sub.FORMAT_FAILURE),
    "a key from an address": (lambda h: h.update(jku="https://a.example"), True,
                              Sub.FORMAT_FAILURE),
    "only an address of certificates": (
        lambda h: (h.pop("x5c"), h.pop("x5t#S256"), h.update(x5u="https://a.example/c.pem")),
        True, Sub.SIG_CONSTRAINTS_FAILURE,
    ),
    "only a key id": (
        lambda h: (h.pop("x5c"), h.pop("x5t#S256"), h.update(kid="1")), True,
        Sub.SIG_CONSTRAINTS_FAILURE,
    ),
    "no certificate": (lambda h: h.pop("x5c"), True, Sub.NO_SIGNING_CERTIFICATE_FOUND),
    "another certificate first": (
        lambda h: h["x5c"].reverse(), True, Sub.SIG_CONSTRAINTS_FAILURE,
    ),
    "a certificate that is none": (lambda h: h.update({"x5c": ["AAAA"], "x5t#S256": coded(
        hashlib.sha256(b"\0\0\0").digest())}), True, Sub.FORMAT_FAILURE),
    "a certificate of no version": (_odd_version, True, Sub.FORMAT_FAILURE),
    "unknown critical": (lambda h: h.update(crit=["exp"], exp=1), True, Sub.FORMAT_FAILURE),
    "critical but absent": (lambda h: h.update(crit=["sigD"]), True, Sub.FORMAT_FAILURE),
    "critical empty": (lambda h: h.update(crit=[]), True, Sub.FORMAT_FAILURE),
    "critical of lists": (lambda h: h.update(crit=[["b64"]]), True, Sub.FORMAT_FAILURE),
    "b64 not critical": (lambda h: h.update(b64=False), True, Sub.FORMAT_FAILURE),
    "an unsigned algorithm": (
        lambda s: s.update(header={"alg": "none"}), False, Sub.FORMAT_FAILURE,
    ),
    "an unsigned certificate": (
        lambda s: s.update(header={"x5c": []}), False, Sub.FORMAT_FAILURE,
    ),
    "etsiU no array": (lambda s: s.update(header={"etsiU": "x"}), False, Sub.FORMAT_FAILURE),
    "etsiU unreadable": (lambda s: s.update(header={"etsiU": ["e30"]}), False, Sub.FORMAT_FAILURE),
    "a further member": (lambda s: s.update(extra=1), False, Sub.FORMAT_FAILURE),
    "padding": (lambda s: s.update(protected=s["protected"] + "="), False, Sub.FORMAT_FAILURE),
    "signing time": (lambda h: h.update(iat="now"), True, Sub.FORMAT_FAILURE),
}  # fmt: skip


@pytest.mark.parametrize("name", list(BROKEN))
async def test_each_kind_of_broken_seal_is_refused_with_its_reason(name: str) -> None:
    ground = Ground()
    seal = await families.create(order(Level.B), ground.tools())
    edit, header, reason = BROKEN[name]
    report = await check(ground, changed(seal, edit, header=header))
    assert report.sub is reason, report.as_dict()
    assert not report.passed
    said = report.signatures[0].reason
    assert said is not None and said.cs and said.en


async def test_keys_that_stand_twice_are_refused() -> None:
    ground = Ground()
    seal = await families.create(order(Level.B), ground.tools())
    twice = seal[:-1] + b',"payload":"' + coded(b"other").encode() + b'"}'
    assert (await check(ground, twice)).sub is Sub.FORMAT_FAILURE


async def test_what_is_detached_is_compared() -> None:
    ground = Ground()
    seal = await families.create(order(Level.B, Packaging.DETACHED), ground.tools())
    assert (await check(ground, seal)).sub is Sub.SIGNED_DATA_NOT_FOUND
    other = Content(DATA + b" ", TEXT.name)
    assert (await check(ground, seal, other)).sub is Sub.HASH_FAILURE
    for edit, reason in (
        (lambda h: h["sigD"].update(mId="http://uri.etsi.org/19182/HttpHeaders"),
         Sub.SIGNED_DATA_NOT_FOUND),
        (lambda h: h["sigD"].update(hashM="S1"), Sub.CRYPTO_CONSTRAINTS_FAILURE),
        (lambda h: h["sigD"]["pars"].append("x"), Sub.FORMAT_FAILURE),
        (lambda h: h.update(crit=["b64"]), Sub.FORMAT_FAILURE),
        (lambda h: h["sigD"].update(hashV=[coded(hashlib.sha256(b"x").digest())]),
         Sub.HASH_FAILURE),
    ):  # fmt: skip
        report = await check(ground, changed(seal, edit, header=True), TEXT)
        assert report.sub is reason


async def test_a_stamp_of_something_else_is_refused() -> None:
    ground = Ground()
    one = json.loads(await families.create(order(Level.T), ground.tools()))
    two = json.loads(await families.create(order(Level.T), ground.tools()))
    one["header"] = two["header"]
    report = await check(ground, json.dumps(one).encode())
    assert report.sub is Sub.SIG_CONSTRAINTS_FAILURE
    archived = json.loads(await families.create(order(Level.LTA), ground.tools()))
    members = archived["header"]["etsiU"]
    del members[1]  # what the archive stamp covers is taken away
    report = await check(ground, json.dumps(archived).encode())
    assert report.sub is Sub.SIG_CONSTRAINTS_FAILURE


async def test_an_authority_that_is_not_trusted() -> None:
    ground = Ground()
    stranger = ground.key(ground.leaf("Seal", ground.stranger))
    seal = await families.create(order(Level.B), ground.tools(stranger))
    assert (await check(ground, seal)).sub is Sub.NO_CERTIFICATE_CHAIN_FOUND


async def test_two_signatures_over_one_payload() -> None:
    ground = Ground()
    one = json.loads(await families.create(order(Level.B), ground.tools()))
    second = ground.tools(ground.key(ground.leaf("Second")))
    two = json.loads(await families.create(order(Level.B), second))
    parts = [{k: v for k, v in each.items() if k != "payload"} for each in (one, two)]
    both = json.dumps({"payload": one["payload"], "signatures": parts}).encode()
    report = await check(ground, both)
    assert report.passed and len(report.signatures) == 2
    raised = await families.extend(both, Level.LTA, ground.tools())
    report = await check(ground, raised)
    assert [each.level for each in report.signatures] == [Level.LTA, Level.LTA]
    parts[1]["signature"] = _flip(parts[1]["signature"])
    half = json.dumps({"payload": one["payload"], "signatures": parts}).encode()
    assert (await check(ground, half)).sub is Sub.SIG_CRYPTO_FAILURE


async def test_compact_is_for_level_b() -> None:
    ground = Ground()
    seal = await families.create(order(serialization="compact"), ground.tools())
    assert seal.count(b".") == 2
    assert (await check(ground, seal)).passed
    with pytest.raises(SealError):
        await families.create(order(Level.T, serialization="compact"), ground.tools())
    raised = await families.extend(seal, Level.T, ground.tools())  # written as JSON then
    assert (await check(ground, raised)).signatures[0].level is Level.T


@settings(max_examples=60, deadline=None)
@given(st.data())
async def test_no_change_of_a_byte_passes_or_crashes(data: st.DataObject) -> None:
    ground, seal, whole = await _sealed()
    place = data.draw(st.integers(0, len(seal) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda v: v != seal[place]))
    other = seal[:place] + bytes([value]) + seal[place + 1 :]
    try:
        report = await check(ground, other)
    except SealError:
        return
    if report.passed:  # blanks between tokens of JSON say nothing
        assert json.loads(other) == whole


async def _sealed() -> tuple[Ground, bytes, Any]:
    if not _KEPT:
        ground = Ground()
        seal = await families.create(order(Level.B), ground.tools())
        _KEPT.append((ground, seal, json.loads(seal)))
    return _KEPT[0]


_KEPT: list[tuple[Ground, bytes, Any]] = []


# others' tools


def _public(ground: Ground) -> jwk.JWK:
    key = jwk.JWK()
    key.import_from_pyca(ground.seal.certificate.public_key())
    return key


async def test_jwcrypto_validates_ours() -> None:
    ground = Ground()
    for serialization in ("compact", "json"):
        seal = await families.create(order(serialization=serialization), ground.tools())
        token = jws.JWS()
        token.deserialize(seal.decode(), _public(ground))
        assert token.payload == DATA
    detached = json.loads(await families.create(order(Level.T, Packaging.DETACHED), ground.tools()))
    registry = {"sigD": JWSEHeaderParameter("detached content", True, True, None)}
    token = jws.JWS(header_registry=registry)
    token.deserialize(json.dumps({**detached, "payload": ""}), _public(ground))
    header = json.loads(decoded(detached["protected"]))
    wanted = coded(hashlib.sha256(DATA).digest())
    assert header["sigD"]["hashV"] == [wanted]


@pytest.mark.parametrize("when", ["iat", "sigT"])
async def test_theirs_are_validated_by_us(when: str) -> None:
    ground = Ground()
    key = jwk.JWK()
    key.import_from_pyca(ground.seal.key)
    times: dict[str, dict[str, Any]] = {
        "iat": {"iat": int(ground.clock().timestamp())},
        "sigT": {"sigT": "2026-03-02T08:00:00Z", "crit": ["sigT"]},
    }
    chain = [base64.b64encode(ground.seal.der).decode()]
    chain.append(base64.b64encode(ground.issuing.der).decode())
    header = {"alg": "ES256", "x5c": chain, **times[when]}
    registry = {"sigT": JWSEHeaderParameter("signing time", True, True, None)}
    token = jws.JWS(DATA, header_registry=registry)
    token.add_signature(key, None, json.dumps(header))
    for compact in (True, False):
        report = await check(ground, token.serialize(compact=compact).encode())
        assert report.passed, report.as_dict()
        assert report.signatures[0].claimed == ground.clock()


async def test_the_strength_of_hashes_is_a_rule() -> None:
    ground = Ground()
    seal = await families.create(order(), ground.tools())
    report = await check(ground, seal, hashes=frozenset({"sha512"}))
    assert report.sub is Sub.CRYPTO_CONSTRAINTS_FAILURE


async def test_a_key_must_fit_its_algorithm() -> None:
    ground = Ground()
    key = ground.key()
    object.__setattr__(key, "algorithm", Algorithm.ECDSA_SHA384)
    with pytest.raises(SealError) as error:
        await families.create(order(), ground.tools(key))
    assert error.value.code == "key"


async def test_not_yet_valid() -> None:
    ground = Ground()
    leaf = issue("Seal", ground.issuing, begins=ground.clock() + timedelta(days=30))
    seal = await families.create(order(Level.T), ground.tools(ground.key(leaf)))
    assert (await check(ground, seal)).sub is Sub.NOT_YET_VALID
