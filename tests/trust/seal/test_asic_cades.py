"""ASiC containers with CAdES: made, raised, validated, and what does not agree is seen."""

from __future__ import annotations

import base64
import hashlib
import io
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.trust.seal import container, families
from pater.trust.seal.model import Content, Format, Level, Order, Packaging, SealError, Sub
from tests.trust.seal.ground import Ground

FILES = (
    Content(b"a report", "zpráva č. 1.txt", "text/plain"),
    Content(b"\x00\x01\x02", "obrazky/rtg.bin"),
)


def order(kind: Format, level: Level) -> Order:
    files = FILES if kind is Format.ASIC_E else FILES[:1]
    return Order(kind, level, Packaging.ATTACHED, files)


@pytest.mark.parametrize("kind", [Format.ASIC_S, Format.ASIC_E])
@pytest.mark.parametrize("level", list(Level))
async def test_made_and_validated_at_every_level(kind: Format, level: Level) -> None:
    ground = Ground()
    made = await families.create(order(kind, level), ground.tools())
    report = await families.validate(made, ground.rules())
    assert report.passed, report.as_dict()
    assert report.format is kind
    assert report.signatures[0].level is level
    assert set(report.signatures[0].covers) == {one.name for one in order(kind, level).content}


def rezipped(data: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """The container with its files changed."""
    held = container.read(data)
    files = {name: one for name, one in held.files.items() if name != container.MIMETYPE}
    change(files)
    return container.write(held.format, files.items())


async def reason(data: bytes, ground: Ground) -> Sub | None:
    return (await families.validate(data, ground.rules())).sub


@pytest.mark.parametrize("kind", [Format.ASIC_S, Format.ASIC_E])
@pytest.mark.parametrize("level", [Level.B, Level.LTA])
async def test_changed_missing_and_added_files(kind: Format, level: Level) -> None:
    ground = Ground()
    made = await families.create(order(kind, level), ground.tools())
    name = FILES[0].name

    def changed(files: dict[str, bytes]) -> None:
        files[name] = b"a repork"

    def missing(files: dict[str, bytes]) -> None:
        del files[name]

    def added(files: dict[str, bytes]) -> None:
        files["invoice.txt"] = b"pay"

    assert await reason(rezipped(made, changed), ground) is Sub.HASH_FAILURE
    without = Sub.SIGNED_DATA_NOT_FOUND if kind is Format.ASIC_E else Sub.FORMAT_FAILURE
    assert await reason(rezipped(made, missing), ground) is without
    more = Sub.SIG_CONSTRAINTS_FAILURE if kind is Format.ASIC_E else Sub.FORMAT_FAILURE
    assert await reason(rezipped(made, added), ground) is more


async def test_manifest_that_was_changed_or_is_not_there() -> None:
    ground = Ground()
    made = await families.create(order(Format.ASIC_E, Level.B), ground.tools())
    manifest = "META-INF/ASiCManifest001.xml"

    def with_other_digest(files: dict[str, bytes]) -> None:
        files[FILES[0].name] = b"a repork"
        digest = base64.b64encode(hashlib.sha256(b"a report").digest())
        other = base64.b64encode(hashlib.sha256(b"a repork").digest())
        files[manifest] = files[manifest].replace(digest, other)

    def without(files: dict[str, bytes]) -> None:
        del files[manifest]

    def with_entity(files: dict[str, bytes]) -> None:
        start = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
        files[manifest] = start + files[manifest].partition(b"?>")[2]

    assert await reason(rezipped(made, with_other_digest), ground) is Sub.HASH_FAILURE
    assert await reason(rezipped(made, without), ground) is Sub.FORMAT_FAILURE
    assert await reason(rezipped(made, with_entity), ground) is Sub.FORMAT_FAILURE


async def test_archive_that_does_not_agree() -> None:
    ground = Ground()
    made = await families.create(order(Format.ASIC_E, Level.LTA), ground.tools())
    archive = "META-INF/ASiCArchiveManifest.xml"

    def other_token(files: dict[str, bytes]) -> None:
        files[archive] = files[archive].replace(b"</asic:ASiCManifest>", b" </asic:ASiCManifest>")

    assert await reason(rezipped(made, other_token), ground) is Sub.SIG_CONSTRAINTS_FAILURE


def zipped(files: list[tuple[str, bytes]], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", how) as made:
        made.writestr("mimetype", container.MIMES[Format.ASIC_E], zipfile.ZIP_STORED)
        for name, data in files:
            made.writestr(name, data)
    return target.getvalue()


async def test_containers_that_are_not_read() -> None:
    """Bombs, paths that lead out, names that stand twice, and what says less than it is."""
    ground = Ground()
    seal = ("META-INF/signature001.p7s", b"0")
    bomb = zipped([seal, *((f"{place}.bin", bytes(30 << 20)) for place in range(3))])
    many = zipped([seal, *((f"{place}.txt", b"") for place in range(300))])
    lying = bomb.replace((30 << 20).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twice = zipped([seal, ("a.txt", b"1"), ("a.txt", b"2")])
    out = zipped([seal, ("../a.txt", b"1")])
    absolute = zipped([seal, ("/etc/passwd", b"1")])
    packed = zipped([seal, ("a.txt", b"1")], zipfile.ZIP_LZMA)
    for wrong in (bomb, many, lying, twice, out, absolute, packed):
        assert len(wrong) < 1 << 20
        report = await families.validate(wrong, ground.rules())
        assert report.sub is Sub.FORMAT_FAILURE
        with pytest.raises(SealError):
            container.read(wrong)


@pytest.mark.parametrize(
    "name", ["../a", "/a", "a//b", "mimetype", "META-INF/a", "a\\b", "a" * 300]
)
async def test_names_that_a_container_does_not_take(name: str) -> None:
    wanted = replace(order(Format.ASIC_E, Level.B), content=(Content(b"1", name),))
    with pytest.raises(SealError):
        await families.create(wanted, Ground().tools())


@given(data=st.binary(max_size=400))
def test_any_bytes_are_a_container_or_refused(data: bytes) -> None:
    for one in (data, zipped([])[:60] + data):
        try:
            container.read(one)
        except SealError:
            pass
