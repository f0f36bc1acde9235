"""The container of ASiC (EN 319 162-1, annex A): a ZIP file read within bounds, and written."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pater.trust.seal.model import LONGEST, MOST_FILES, Content, Format, SealError, Text

MIMETYPE: Final = "mimetype"
META: Final = "META-INF/"
MIMES: Final = {
    Format.ASIC_S: "application/vnd.etsi.asic-s+zip",
    Format.ASIC_E: "application/vnd.etsi.asic-e+zip",
}
_LONGEST_NAME: Final = 250
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # times in the directory say nothing


@dataclass(frozen=True, slots=True)
class Container:
    """The files of a container by name, in order; `format` as its mimetype says."""

    format: Format
    files: Mapping[str, bytes]

    @property
    def content(self) -> dict[str, bytes]:
        """The files that are not about seals."""
        return {
            name: data
            for name, data in self.files.items()
            if name != MIMETYPE and not name.startswith(META)
        }

    @property
    def meta(self) -> dict[str, bytes]:
        """The files in META-INF."""
        return {name: data for name, data in self.files.items() if name.startswith(META)}


def looks_like(data: bytes) -> bool:
    """Whether the data begin like a container does."""
    return data.startswith(b"PK\x03\x04") and b"application/vnd.etsi.asic-" in data[:120]


def names(data: bytes) -> list[str]:
    """The names of files, when it can be read at all (a quick look; see `read`)."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as source:
            return source.namelist()[: MOST_FILES + 1]
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, struct.error):
        return []


def read(data: bytes) -> Container:
    """A container. Raises SealError: `format`, or `too-large` for one that unpacks to too much."""
    if len(data) > LONGEST:
        raise _too_large()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as source:
            entries = source.infolist()
            if len(entries) > MOST_FILES or sum(one.file_size for one in entries) > LONGEST:
                raise _too_large()
            if len({one.filename for one in entries}) != len(entries):
                raise _bad("two files have the same name", "dva soubory mají stejné jméno")
            files: dict[str, bytes] = {}
            left = LONGEST
            for one in entries:
                if one.is_dir():
                    continue
                _check_name(one.filename)
                if one.flag_bits & 1 or one.compress_type not in (
                    zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED,
                ):  # fmt: skip
                    raise _bad("a file is encrypted", "soubor je zašifrován")
                with source.open(one) as file:
                    # what the directory says of sizes is not believed
                    files[one.filename] = file.read(left + 1)
                left -= len(files[one.filename])
                if left < 0:
                    raise _too_large()
    except (
        zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, NotImplementedError,
        RuntimeError, struct.error,
    ) as error:  # fmt: skip
        if isinstance(error, SealError):
            raise
        raise _bad("it is no ZIP file", "není to soubor ZIP") from error
    return Container(_format_of(files), files)


def _format_of(files: Mapping[str, bytes]) -> Format:
    said = files.get(MIMETYPE, b"").decode("ascii", "replace").strip()
    for kind, mime in MIMES.items():
        if said == mime:
            return kind
    raise _bad("it does not say that it is an ASiC", "neříká, že je ASiC")


def _check_name(name: str) -> None:
    parts = name.split("/")
    if (
        len(name) > _LONGEST_NAME
        or name.startswith("/")
        or "\\" in name
        or "\x00" in name
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise _bad("a file has a name that is not allowed", "soubor má nedovolené jméno")


def write(kind: Format, files: Iterable[tuple[str, bytes]]) -> bytes:
    """A container of these files; the mimetype comes first and is not compressed (A.1)."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        _put(made, MIMETYPE, MIMES[kind].encode(), zipfile.ZIP_STORED)
        for name, data in files:
            if name != MIMETYPE:
                _put(made, name, data, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def _put(made: zipfile.ZipFile, name: str, data: bytes, how: int) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = how
    entry.external_attr = 0o644 << 16
    made.writestr(entry, data)


def checked(contents: Iterable[Content]) -> dict[str, bytes]:
    """The files that are to be sealed, by name. Raises SealError."""
    found: dict[str, bytes] = {}
    for place, one in enumerate(contents):
        name = one.name or f"content-{place + 1}"
        _check_name(name)
        if one.data is None:
            raise SealError(
                "content",
                Text("Do kontejneru patří celé soubory.", "A container holds whole files."),
            )
        if name in found or name == MIMETYPE or name.upper().startswith(META):
            raise _bad("the name of a file is taken", "jméno souboru je obsazeno")
        found[name] = one.data
    if not found or len(found) > MOST_FILES - 20 or sum(map(len, found.values())) > LONGEST:
        raise _too_large()
    return found


def _bad(en: str, cs: str) -> SealError:
    return SealError(
        "format", Text(f"Kontejner nelze přečíst: {cs}.", f"The container cannot be read: {en}.")
    )


def _too_large() -> SealError:
    return SealError("too-large", Text("Kontejner je příliš velký.", "The container is too large."))
