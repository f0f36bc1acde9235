"""A month of the journal as a file: its entries with their leaves, packed, and a signed statement.

The file is NDJSON in zstd: `{"journal-archive": 1, "month": …, "columns": […]}`, then a line for
each entry in the order of the log, `{"leaf": [hash, seq, time, salt], "entry": […]}`, with `told`
where another system told of it. What the statement says of it (how many entries, the root of the
tree of their leaves, SHA-256 of the file) is signed with the key that signs heads.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self

import orjson
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from pater.access.transparency.entries import COLUMNS, Entry
from pater.access.transparency.reading import Item, Leaf
from pater.store.journal_received import Original
from pater.trust.log_keys import LogKey, verified
from pater.trust.merkle import Frontier, leaf_hash

VERSION: Final = 1
_CONTEXT: Final = b"pater journal archive 1\n"
_LEVEL: Final = 9
_CHUNK: Final = 1 << 20
_LONGEST_LINE: Final = 4 << 20


class ArchiveError(Exception):
    """A month that cannot be archived, or an archive that cannot be believed; the text says why."""


@dataclass(frozen=True, slots=True)
class Archive:
    """What is known of an archived month for good. `first` and `last` are indexes of leaves."""

    month: date
    entries: int
    first: int
    last: int
    root: bytes
    file: str
    digest: str
    size: int
    time: datetime
    key: str

    def statement(self) -> str:
        """As it is signed."""
        said = {
            "journal-archive": VERSION,
            "month": f"{self.month:%Y-%m}",
            "entries": self.entries,
            "first": self.first,
            "last": self.last,
            "root": self.root.hex(),
            "file": self.file,
            "sha256": self.digest,
            "size": self.size,
            "time": self.time.astimezone(UTC).isoformat(timespec="seconds"),
            "key": self.key,
        }
        return orjson.dumps(said).decode()


@dataclass(frozen=True, slots=True)
class SignedArchive:
    """The statement and its signature, as they are kept and exported."""

    statement: str
    signature: bytes

    @classmethod
    def of(cls, archive: Archive, key: LogKey) -> Self:
        """Signs."""
        statement = archive.statement()
        return cls(statement, key.sign(_CONTEXT + statement.encode()))

    def archive(self) -> Archive:
        """What it says, believed or not. Raises ArchiveError."""
        try:
            said = orjson.loads(self.statement)
            return Archive(
                month=date.fromisoformat(f"{said['month']}-01"),
                entries=int(said["entries"]),
                first=int(said["first"]),
                last=int(said["last"]),
                root=bytes.fromhex(said["root"]),
                file=str(said["file"]),
                digest=str(said["sha256"]),
                size=int(said["size"]),
                time=datetime.fromisoformat(said["time"]),
                key=str(said["key"]),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise ArchiveError("the statement of an archive cannot be read") from error

    def verified(self, keys: Mapping[str, Ed25519PublicKey]) -> Archive:
        """What it says, when one of these keys has signed it. Raises ArchiveError."""
        archive = self.archive()
        key = keys.get(archive.key)
        if key is None or not verified(key, self.signature, _CONTEXT + self.statement.encode()):
            raise ArchiveError(f"nobody we know has signed the archive of {archive.month:%Y-%m}")
        return archive

    def as_json(self) -> dict[str, Any]:
        """As it is exported."""
        return {
            "statement": self.statement,
            "signature": base64.b64encode(self.signature).decode(),
        }


def archive_from_json(value: Any) -> SignedArchive:
    """The inverse of `as_json`. Raises ValueError, TypeError, KeyError."""
    signature = base64.b64decode(value["signature"], validate=True)
    return SignedArchive(str(value["statement"]), signature)


class Writing:
    """A file while it is written: under another name until it is whole."""

    def __init__(self, path: Path, month: date) -> None:
        self.path, self._draft = path, path.with_name(f".{path.name}.part")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._target = self._draft.open("wb")
        self._draft.chmod(0o600)
        self._packer = zstandard.ZstdCompressor(level=_LEVEL).compressobj()
        self._digest = sha256()
        self._tree = Frontier()
        head = {"journal-archive": VERSION, "month": f"{month:%Y-%m}", "columns": COLUMNS}
        self._put(self._packer.compress(orjson.dumps(head) + b"\n"))

    def add(self, leaf: Leaf, entry: Entry, told: Original | None) -> None:
        """One entry. Raises ArchiveError when it is not what was logged."""
        if leaf_hash(entry.line(leaf.salt)) != leaf.hash:
            raise ArchiveError(
                f"entry {entry.seq} is not what was logged: see `pater audit verify`"
            )
        self._tree.append([leaf.hash])
        line: dict[str, Any] = {
            "leaf": [leaf.hash.hex(), leaf.seq, leaf.time, leaf.salt.hex()],
            "entry": entry.values,
        }
        if told is not None:
            line["told"] = {
                "sender": told.sender,
                "persons": {str(n): person for n, person in told.persons.items()},
                "body": told.body.decode(),
            }
        self._put(self._packer.compress(orjson.dumps(line, option=orjson.OPT_UTC_Z) + b"\n"))

    def finish(self, sync: Any) -> tuple[int, bytes, str, int]:
        """Makes it whole and safe from a power cut; entries, root, SHA-256, size."""
        self._put(self._packer.flush())
        size = self._target.tell()
        sync(self._target)
        self._target.close()
        self._draft.replace(self.path)
        return self._tree.size, self._tree.root(), self._digest.hexdigest(), size

    def abandon(self) -> None:
        """Leaves nothing behind."""
        self._target.close()
        self._draft.unlink(missing_ok=True)

    def _put(self, data: bytes) -> None:
        self._digest.update(data)
        self._target.write(data)


def read(path: Path) -> Iterator[tuple[Item, Original | None]]:
    """The entries of a file with their leaves, one by one. Raises ArchiveError."""
    try:
        for line in _lines(path):
            if "journal-archive" in line:
                if line["journal-archive"] != VERSION or line["columns"] != list(COLUMNS):
                    raise ArchiveError(f"{path.name} is no archive that this program can read")
                continue
            hash, seq, time, salt = line["leaf"]
            leaf = Leaf(int(seq), int(time), bytes.fromhex(hash), bytes.fromhex(salt))
            told = line.get("told")
            original = None
            if told is not None:
                persons = {int(n): int(person) for n, person in told["persons"].items()}
                original = Original(told["sender"], persons, told["body"].encode())
            yield Item(leaf, Entry(tuple(line["entry"]))), original
    except (ValueError, TypeError, KeyError, zstandard.ZstdError) as error:
        raise ArchiveError(f"{path.name} is damaged") from error
    except OSError as error:
        raise ArchiveError(f"{path.name} cannot be read: {error.strerror}") from error


def check(path: Path, archive: Archive) -> None:
    """Holds a file to what its statement tells of it, entry by entry. Raises ArchiveError."""
    digest = sha256()
    try:
        with path.open("rb") as source:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise ArchiveError(f"{path.name} cannot be read: {error.strerror}") from error
    tree = Frontier()
    for item, _ in read(path):
        if item.leaf is None or item.entry is None:
            continue
        if leaf_hash(item.entry.line(item.leaf.salt)) != item.leaf.hash:
            raise ArchiveError(f"entry {item.entry.seq} in {path.name} is not what was logged")
        tree.append([item.leaf.hash])
    if (tree.size, tree.root()) != (archive.entries, archive.root):
        raise ArchiveError(f"{path.name} does not hold the entries that were archived")
    if digest.hexdigest() != archive.digest:
        raise ArchiveError(f"{path.name} was changed since it was written")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    unpacker = zstandard.ZstdDecompressor()
    with path.open("rb") as source, unpacker.stream_reader(source) as stream:
        rest = b""
        while chunk := stream.read(_CHUNK):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield orjson.loads(line)
            if len(rest) > _LONGEST_LINE:
                raise ValueError("a line too long")
        if rest:
            yield orjson.loads(rest)
