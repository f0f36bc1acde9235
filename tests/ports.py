"""Ports for servers whose port must be known before they listen, or must stay over a restart."""

from __future__ import annotations

import socket
from random import SystemRandom

# Below those that a system hands out by itself: neither a connection somewhere else on the machine
# nor a server on "any port" takes one of these between our asking and our server's listening.
_OWN = range(12_000, 32_000)
_held: list[socket.socket] = []


def free_port() -> int:
    """A port of this machine that nobody uses, and that no other test of any process is given.

    It is kept for the life of the process: a name in the kernel stands for it, which goes with us.
    """
    for port in SystemRandom().sample(_OWN, 1000):
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0pater-tests-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            name.close()
            continue
        _held.append(name)
        return port
    raise AssertionError("no port of a thousand is free")
