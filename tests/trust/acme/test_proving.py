"""Hosts are asked within bounds, and what is private is not asked unless an operator allows it."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network

import pytest

from pater.store.database import Database
from pater.trust.acme import Nonces, Prover
from pater.trust.acme.errors import AcmeError
from pater.trust.acme.tables import purge
from tests.conftest import Clock
from tests.trust.acme.town import hosts

HERE = (ip_network("127.0.0.0/8"),)


async def refusal(prover: Prover, host: str = "127.0.0.1", token: str = "t") -> str:
    with pytest.raises(AcmeError) as caught:
        await prover.answer(host, token)
    return f"{caught.value.kind}: {caught.value.text}"


async def test_private_addresses_are_not_asked() -> None:
    with hosts() as beside:
        beside.answers["t"] = b"said"
        assert await Prover(HERE, beside.port).answer("127.0.0.1", "t") == b"said"
        for host in ("127.0.0.1", "localhost", "10.1.2.3", "169.254.169.254", "192.168.1.1",
                     "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fe80::1"):  # fmt: skip
            assert "not called from here" in await refusal(Prover((), beside.port), host)
        other = Prover((ip_network("10.0.0.0/8"),), beside.port)
        assert "not called from here" in await refusal(other)
        assert len(beside.asked) == 1


async def test_a_name_that_also_points_inwards_is_refused_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def look_up(*_: object, **__: object) -> list[object]:
        return [(2, 1, 6, "", ("127.0.0.1", 80)), (2, 1, 6, "", ("10.1.2.3", 80))]

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    with hosts() as beside:
        assert "not called from here" in await refusal(Prover(HERE, beside.port), "x.test")
        assert beside.asked == []


async def test_nothing_is_followed_and_all_is_bounded() -> None:
    with hosts() as beside:
        prover = Prover(HERE, beside.port)
        beside.status, beside.location = 302, f"http://127.0.0.1:{beside.port}/elsewhere"
        assert "302" in await refusal(prover)
        assert [path for _, path in beside.asked] == ["/.well-known/acme-challenge/t"]
        beside.status, beside.location = 200, ""
        assert "404" in await refusal(prover)
        beside.answers["t"] = b"x" * 2000
        assert "too long" in await refusal(prover)
    assert "no connection" in await refusal(prover)
    assert "dns" in await refusal(prover, "name.invalid")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
    ],
)
async def test_a_host_that_speaks_no_http(said: bytes) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        assert "connection" in await refusal(Prover(HERE, port))
    finally:
        server.close()


async def test_a_host_that_says_nothing_is_left() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        assert "no answer in time" in await refusal(Prover(HERE, port, seconds=0.2))
    finally:
        server.close()


async def test_nonces_of_one_process_are_known_to_the_next_and_grow_old(
    database: Database, clock: Clock
) -> None:
    one, other = (Nonces(database, b"k" * 32, clock) for _ in range(2))
    nonce, late = one.made(), one.made()
    await other.take(nonce)
    for taken, by in ((nonce, one), (nonce, other)):
        with pytest.raises(AcmeError):
            await by.take(taken)
    with pytest.raises(AcmeError):
        await Nonces(database, b"K" * 32, clock).take(late)
    clock.move(minutes=61)
    with pytest.raises(AcmeError):
        await one.take(late)
    # the rows of used ones go when they could not come again
    assert await database.fetchval("select count(*) from acme_nonce") == 1
    await purge(database, clock())
    assert await database.fetchval("select count(*) from acme_nonce") == 0
