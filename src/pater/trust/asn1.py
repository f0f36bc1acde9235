"""Mends asn1crypto (1.5.1, its last release) where writing a value takes time beyond all bounds.

It never forgets that a value was changed, and so encodes each level several times over: twice
as long for every level. And it takes every header that ends in the byte 0x80 for one of
indefinite length, which makes all within be encoded anew: one value in 256 is a hundred times as
slow, and one made on purpose, nested, keeps a processor busy for minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from asn1crypto import core

_DUMPED: Final = (core.Asn1Value, core.Primitive, core.Sequence, core.SequenceOf)
_CHANGED: Final = (core.Sequence, core.SequenceOf, core.Set, core.SetOf)
_INDEFINITE: Final = b"\x80"


def mend() -> None:
    """Mends the library in this process; doing it again changes nothing."""
    for kind in _DUMPED:
        if not hasattr(kind.dump, "mended"):
            kind.dump = _dump(kind.dump)
    for kind in _CHANGED:
        if not hasattr(kind._set_contents, "mended"):
            kind._set_contents = _set_contents(kind._set_contents)


def _dump(theirs: Callable[..., bytes]) -> Callable[..., bytes]:
    def dump(self: Any, force: bool = False) -> bytes:
        header = self._header
        # what is really of indefinite length has a trailer
        if not force and header is not None and header[-1:] == _INDEFINITE and not self._trailer:
            contents = self.contents  # encodes what was changed, and then forgets the header
            if self._header is not None:
                return bytes(self._header + contents)
        return theirs(self, force)

    dump.mended = True  # type: ignore[attr-defined]  # a mark on the function
    return dump


def _set_contents(theirs: Callable[..., None]) -> Callable[..., None]:
    def set_contents(self: Any, force: bool = False) -> None:
        theirs(self, force)
        self._mutated = False  # what is encoded now is what it is, until it is changed again

    set_contents.mended = True  # type: ignore[attr-defined]  # a mark on the function
    return set_contents
