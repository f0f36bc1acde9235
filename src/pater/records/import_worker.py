"""A process that makes lines of an import ready: reads work on its input, writes what it made."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import struct
import sys
from typing import IO, Any, Final

from pater.records.import_lines import make

_SIZE: Final = struct.Struct("!Q")


def send(pipe: IO[bytes], value: Any) -> None:
    """Writes one value, its length before it. Raises OSError."""
    data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(_SIZE.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """Reads one value of `send`. Raises EOFError when the other side has ended."""
    head = pipe.read(_SIZE.size)
    if len(head) < _SIZE.size:
        raise EOFError
    (size,) = _SIZE.unpack(head)
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)  # noqa: S301 between a process of ours and its own child


def main() -> None:
    """Works until the input ends, which it does with the parent, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    gc.freeze()
    # as in the server: resources have no cycles that would have to be looked for all the time
    gc.set_threshold(50_000, 20, 100)
    work, made = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what is printed by mistake must not come between
    while True:
        try:
            asked = receive(work)
        except EOFError:
            return
        try:
            answer: Any = make(*asked)
        except Exception as error:  # the parent's to judge; the kind only: a text may hold data
            answer = type(error).__name__
        send(made, answer)


if __name__ == "__main__":
    main()
