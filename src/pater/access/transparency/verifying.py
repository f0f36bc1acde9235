"""Finds what was tampered with, by public keys alone: heads, stamps, the tree, every row.

The heads are what is trusted, because they are signed and stamped. What is kept of the leaves has
to give their roots, and every row has to give its leaf; so a changed row is told by its number,
and when its leaf was changed along with it, the head that it no longer gives tells.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from pater.access.transparency.archive_file import Archive, ArchiveError, SignedArchive
from pater.access.transparency.entries import Entry, moment, month_of
from pater.access.transparency.heads import FIRST, Head, HeadError, SignedHead
from pater.access.transparency.reading import Away, Base, Event, Item, Leaf
from pater.trust.merkle import Frontier, leaf_hash
from pater.trust.tsa.verifying import StampError, verify

MOST: Final = 100
"""Problems of one kind that are told one by one."""
_CLOCKS: Final = timedelta(minutes=5)
"""How far the clock of the authority and ours may be apart."""
_STAMPS: Final = timedelta(hours=2)
_COMPARED: Final = 200
"""Rows that do not fit which are compared with one another, to tell reordering."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: its kind (row-changed, row-removed, …) and words for people."""

    kind: str
    text: str


@dataclass(slots=True)
class Report:
    """What a verification found."""

    problems: list[Problem] = field(default_factory=list)
    untold: int = 0  # problems beyond MOST of their kind
    warnings: list[str] = field(default_factory=list)
    heads: int = 0
    leaves: int = 0
    stamps: int = 0
    away: int = 0  # entries in archives
    last: Head | None = None
    stamped: datetime | None = None

    def add(self, kind: str, text: str) -> None:
        """One more problem."""
        if sum(one.kind == kind for one in self.problems) < MOST:
            self.problems.append(Problem(kind, text))
        else:
            self.untold += 1

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


async def check(
    events: AsyncIterator[Event],
    keys: Mapping[str, Ed25519PublicKey],
    authorities: Sequence[x509.Certificate],
    known: Sequence[SignedHead] = (),
) -> Report:
    """Reads the whole stream. `keys` sign heads, `authorities` are roots of time stamps;
    `known` are heads that somebody kept elsewhere.
    """
    run = _Run(keys, authorities, known)
    async for event in events:
        if isinstance(event, Base):
            run.begin(event)
        elif isinstance(event, Away):
            run.away(event)
        elif isinstance(event, SignedHead):
            run.head(event)
        else:
            run.items(event)
    return run.end()


class _Run:
    def __init__(
        self,
        keys: Mapping[str, Ed25519PublicKey],
        authorities: Sequence[x509.Certificate],
        known: Sequence[SignedHead],
    ) -> None:
        self._keys, self._authorities = keys, authorities
        self._known: dict[int, SignedHead] = {}
        self.report = Report()
        self._previous: Head | None = None
        self._digest = FIRST
        self._begin = 0  # how many leaves come before the part that is read
        self._begun = 0  # the number of the head before the part that is read
        self._kept = Frontier()  # over the leaves as they are kept
        self._rows = Frontier()  # over the rows, where there are any
        self._torn = 0  # heads whose root the kept leaves do not give
        self._stray: list[Item] = []
        self._away: dict[date, tuple[Archive, Frontier]] = {}
        for one in known:
            try:
                self._known[one.verified(keys).number] = one
            except HeadError as error:
                self.report.add("known-head", f"A head from elsewhere cannot be used: {error}.")

    def begin(self, base: Base) -> None:
        """A part of the log begins after this head."""
        try:
            head = base.head.verified(self._keys)
            self._begin = head.size
            self._kept = Frontier(head.size, base.edge)
            self._rows = Frontier(head.size, base.edge)
            good = self._kept.root() == head.root
        except HeadError as error:
            self.report.add("head-forged", f"The head to begin after cannot be believed: {error}.")
            return
        except ValueError:
            good = False
        if not good:
            text = f"The kept tree does not give the root of head {head.number}, to begin after."
            self.report.add("tree", text)
        self._previous, self._digest, self._begun = head, base.head.digest.hex(), head.number

    def away(self, away: Away) -> None:
        """A month that is archived: its leaves need no rows, and have to be those that went."""
        try:
            archive = SignedArchive(away.statement, away.signature).verified(self._keys)
        except ArchiveError as error:
            self.report.add("archive", f"An archive cannot be believed: {error}.")
            return
        self._away[archive.month] = archive, Frontier()

    def _is_away(self, leaf: Leaf) -> bool:
        """Whether the entry of a leaf without a row has gone into an archive."""
        if not self._away:
            return False
        try:
            found = self._away.get(month_of(moment(leaf.time)))
        except OverflowError:
            return False
        if found is None:
            return False
        found[1].append([leaf.hash])
        self.report.away += 1
        return True

    def items(self, items: Sequence[Item]) -> None:
        """Leaves and rows that the next head covers."""
        kept: list[bytes] = []
        rows: list[bytes] = []
        for item in items:
            leaf, entry = item.leaf, item.entry
            if leaf is None:
                self._note(item)
                continue
            kept.append(leaf.hash)
            hash = leaf.hash if entry is None else leaf_hash(entry.line(leaf.salt))
            rows.append(hash)
            if entry is None and self._is_away(leaf):
                continue
            if entry is None or hash != leaf.hash:
                self._note(item)
        self._kept.append(kept)
        self._rows.append(rows)
        self.report.leaves += len(kept)

    def _note(self, item: Item) -> None:
        if len(self._stray) < _COMPARED:
            self._stray.append(item)
        else:
            self._tell(item)

    def head(self, signed: SignedHead) -> None:
        """The head behind the items that came."""
        report = self.report
        report.heads += 1
        expected = (self._previous.number if self._previous else self._begun) + 1
        try:
            head = signed.verified(self._keys)
        except HeadError as error:
            report.add("head-forged", f"Head {_number(signed, expected)} is forged: {error}.")
            self._digest = signed.digest.hex()
            try:  # what follows is compared with what it says, so that one fault is told once
                self._previous = signed.head()
            except HeadError:
                self._previous = None
                self._begun = expected
            return
        self._follow(head, signed, expected)
        self._check_root(head)
        self._check_stamp(head, signed)
        kept_elsewhere = self._known.pop(head.number, None)
        if kept_elsewhere is not None and kept_elsewhere.statement != signed.statement:
            text = f"Head {head.number} is not the one that was kept elsewhere: two stories."
            report.add("known-head", text)
        self._previous, self._digest = head, signed.digest.hex()
        report.last = head

    def _follow(self, head: Head, signed: SignedHead, expected: int) -> None:
        report, previous = self.report, self._previous
        if head.number != expected:
            missing = f"{expected} to {head.number - 1}"
            report.add("head-removed", f"Heads {missing} are missing before head {head.number}.")
        elif head.previous != self._digest:
            text = f"Head {head.number} does not follow the head before it: that one was replaced."
            report.add("head-forged", text)
        if previous is None:
            return
        if head.size < previous.size or head.through < previous.through:
            text = f"Head {head.number} is of a smaller tree than head {previous.number}."
            report.add("tree", text)
        if head.time < previous.time:
            report.add("time", f"Head {head.number} is older than head {previous.number}.")

    def _check_root(self, head: Head) -> None:
        if self._kept.size == head.size and self._kept.root() == head.root:
            return
        self._torn += 1
        if self._torn > 1:
            return
        since = self._previous.time.isoformat() if self._previous else "the beginning"
        first = self._previous.size if self._previous else 0
        span = f"of leaves {first} to {head.size - 1} (logged since {since})"
        if self._rows.size == head.size and self._rows.root() == head.root:
            text = f"The kept leaves were changed, among those {span}; the entries are right."
            self.report.add("tree", text)
        elif self._kept.size != head.size:
            count = self._kept.size - first
            text = f"There are {count} leaves where head {head.number} has {head.size - first}"
            self.report.add("tree", f"{text}: leaves were removed or added, {span}.")
        else:
            text = f"The leaves do not give the root of head {head.number}: entries {span}"
            self.report.add("tree", f"{text} were changed and their leaves along with them.")

    def _check_stamp(self, head: Head, signed: SignedHead) -> None:
        report = self.report
        if signed.stamp is None:
            return
        try:
            stamp = verify(signed.stamp, signed.digest, self._authorities)
        except StampError as error:
            report.add("stamp", f"The time stamp of head {head.number} is not good: {error}.")
            return
        report.stamps += 1
        if stamp.time < head.time - _CLOCKS:
            text = f"Head {head.number} says {head.time}, but was stamped at {stamp.time} already."
            report.add("time", text)
        if report.stamped is not None and head.time - report.stamped > _STAMPS:
            text = f"No head was time-stamped between {report.stamped} and {head.time}."
            report.warnings.append(text)
        report.stamped = stamp.time

    def end(self) -> Report:
        """Tells what was only noted so far."""
        report = self.report
        self._tell_strays()
        for archive, tree in self._away.values():
            if self._begin > archive.first:
                continue  # some of its leaves are before what was read
            if (tree.size, tree.root()) != (archive.entries, archive.root):
                text = f"What is missing of {archive.month:%Y-%m} is not what went into its archive"
                report.add("archive", f"{text}: {tree.size} entries, not {archive.entries}.")
        if self._torn > 1:
            text = f"{self._torn - 1} later heads cannot be compared because of the first."
            report.warnings.append(text)
        if report.last is None:
            report.add("head-removed", "There is no head that could be believed.")
        elif report.stamped is None:
            report.warnings.append("No head is time-stamped.")
        elif report.last.time - report.stamped > _STAMPS:
            report.warnings.append(f"No head was time-stamped after {report.stamped}.")
        for number in sorted(self._known):
            if number > self._begun:
                text = f"Head {number}, which was kept elsewhere, is not in the log: it was cut off"
                report.add("known-head", f"{text} or is another one.")
        return report

    def _tell_strays(self) -> None:
        """Says of each row that does not fit what became of it: moved, removed, changed, new."""
        leaves = {id(item): item.leaf for item in self._stray if item.leaf is not None}
        told: set[int] = set()
        for item in self._stray:
            if item.entry is None:
                continue
            for other in self._stray:
                leaf = leaves.get(id(other))
                if other is item or leaf is None or not _is(item.entry, leaf):
                    continue
                text = f"The entry logged as {leaf.seq} now stands as {item.entry.seq}: reordered."
                self.report.add("row-reordered", text)
                told.add(id(item))
                if other.entry is None:
                    told.add(id(other))
                break
        for item in self._stray:
            if id(item) not in told:
                self._tell(item)

    def _tell(self, item: Item) -> None:
        leaf, entry = item.leaf, item.entry
        if entry is None and leaf is not None:
            text = f"Entry {leaf.seq} of {_when(leaf)} was removed."
            self.report.add("row-removed", text)
        elif entry is not None and leaf is None:
            text = f"Entry {entry.seq} was inserted after its time was over."
            self.report.add("row-inserted", text)
        elif entry is not None and leaf is not None:
            if _is(entry, leaf):
                text = f"The time of entry {leaf.seq} was changed: it was {_when(leaf)}."
                self.report.add("row-time", text)
            else:
                text = f"Entry {leaf.seq} of {_when(leaf)} is not what was logged."
                self.report.add("row-changed", text)


def _is(entry: Entry, leaf: Leaf) -> bool:
    """Whether an entry is that of a leaf, but for its number and time."""
    try:
        time = moment(leaf.time)
    except OverflowError:
        return False
    return leaf_hash(entry.placed(leaf.seq, time).line(leaf.salt)) == leaf.hash


def _when(leaf: Leaf) -> str:
    """The time that is kept of a leaf, for people."""
    try:
        return f"{moment(leaf.time)}"
    except OverflowError:
        return "an impossible time"


def _number(signed: SignedHead, otherwise: int) -> int:
    try:
        return signed.head().number
    except HeadError:
        return otherwise
