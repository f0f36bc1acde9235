"""Values of ASN.1 are written as before, and in time that grows with their size only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asn1crypto import cms, core, x509
from hypothesis import given
from hypothesis import strategies as st

from pater.trust.asn1 import mend
from tests.trust.seal.ground import issue


class Nested(core.Sequence):
    pass


class Chain(core.SequenceOf):
    _child_spec = Nested


Nested._fields = [("text", core.OctetString), ("more", Chain, {"optional": True})]


def nested(depth: int, size: int) -> Nested:
    value: dict[str, Any] = {"text": bytes(size)}
    if depth:
        value["more"] = [nested(depth - 1, 0)]
    return Nested(value)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts how often a value is encoded."""
    count: list[int] = []

    def counting(theirs: Callable[..., None]) -> Callable[..., None]:
        def counted(self: Any, force: bool = False) -> None:
            count.append(1)
            theirs(self, force)

        return counted

    for kind in (core.Sequence, core.SequenceOf):
        monkeypatch.setattr(kind, "_set_contents", counting(kind._set_contents))
    return count


def test_each_level_is_encoded_once(encoded: list[int]) -> None:
    value = nested(20, 10)
    encoded.clear()
    data = value.dump()
    assert len(encoded) <= 50
    assert Nested.load(data).native == value.native


def test_a_length_that_ends_in_80_is_no_indefinite_one(encoded: list[int]) -> None:
    unlucky = next(
        value for value in (nested(12, size) for size in range(400))
        if len(value.dump()) > 0x100 and value._header[-1:] == b"\x80"
    )  # fmt: skip
    data = unlucky.dump()
    encoded.clear()
    loaded = Nested.load(data)
    assert loaded.native == unlucky.native
    assert loaded.dump() == data
    assert encoded == []


def test_what_is_changed_is_written_also_after_it_was_written_once() -> None:
    value = nested(3, 10)
    value.dump()
    deep = value["more"][0]["more"][0]
    deep["text"] = b"changed"
    assert Nested.load(value.dump())["more"][0]["more"][0]["text"].native == b"changed"
    value["more"].append(nested(0, 3))
    assert len(Nested.load(value.dump())["more"]) == 2


def test_indefinite_lengths_are_still_made_definite() -> None:
    indefinite = b"\x30\x80" + core.OctetString(b"abc").dump() + b"\x00\x00"
    loaded = Nested.load(indefinite)
    assert loaded.native["text"] == b"abc"
    assert loaded.dump(force=True) == Nested({"text": b"abc"}).dump()


@given(sizes=st.lists(st.integers(0, 600), min_size=1, max_size=4))
def test_what_is_read_is_written_alike(sizes: list[int]) -> None:
    certificates = [
        cms.CertificateChoices("certificate", x509.Certificate.load(CERTIFICATE)) for _ in sizes
    ]
    signed = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [{"algorithm": "sha256"}],
            "encap_content_info": {"content_type": "data", "content": bytes(sum(sizes))},
            "certificates": certificates,
            "signer_infos": [],
        }
    )
    data = cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump()
    loaded = cms.ContentInfo.load(data)
    assert loaded.dump() == data
    assert loaded["content"]["certificates"][0].chosen.dump() == CERTIFICATE
    assert loaded.dump(force=True) == data
    mend()  # again: nothing is mended twice
    assert cms.ContentInfo.load(data).dump() == data


CERTIFICATE = issue("Somebody").der
