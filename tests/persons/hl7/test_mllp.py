"""Real connections: TLS with certificates, several messages, and who sends badly."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pater import ports
from pater.access import client_tls
from pater.access.client_tls import BY_FINGERPRINT
from pater.domains.persons.hl7 import mllp
from pater.domains.persons.hl7.codec import Message, parse
from pater.domains.persons.hl7.mllp import Conversations, Frames, framed
from pater.settings import Settings
from tests.access.test_client_tls import pem, self_signed
from tests.persons.hl7.hl7_world import Bench

HEAD = "MSH|^~\\&|TEST_HARNESS|TEST|CR1|MOH|20240101||ADT^A28|{0}|P|2.5"
PID = "PID|||AB-{0}^^^TEST||Říha^Pavel||1970030{0}|M"


@dataclass
class Line:
    """The sender's side of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, number: int) -> None:
        data = f"{HEAD.format(f'K{number}')}\r{PID.format(number)}".encode()
        self.writer.write(framed(data))

    async def answers(self, count: int) -> list[Message]:
        frames = Frames()
        found: list[Message] = []
        while len(found) < count:
            while (message := frames.take()) is not None:
                found.append(parse(message))
            if len(found) < count:
                data = await self.reader.read(65_536)
                assert data, "the connection ended"
                frames.feed(data)
        return found

    async def ended(self) -> bool:
        """Whether the other side has ended the connection without a word."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True


@asynccontextmanager
async def line(port: int, secure: ssl.SSLContext | None = None) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=secure)
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def plain(at: Bench, tmp_path: Path) -> AsyncIterator[int]:
    settings = Settings(data=tmp_path, demo=True)
    talk = Conversations(at.desk.take, trusting=True)
    async with ports.opened(settings, talk) as port:
        yield port


def _codes(messages: list[Message]) -> list[tuple[str, str]]:
    heads = [each.first("MSA") for each in messages]
    return [(each.text(1), each.text(2)) for each in heads if each is not None]


async def test_messages_of_a_connection_are_answered_in_their_order(
    at: Bench, tmp_path: Path
) -> None:
    async with plain(at, tmp_path) as port, line(port) as one, line(port) as other:
        for number in range(1, 6):
            one.send(number)
        other.send(6)
        assert _codes(await one.answers(5)) == [("AA", f"K{n}") for n in range(1, 6)]
        assert _codes(await other.answers(1)) == [("AA", "K6")]
    assert await at.count() == 6


async def test_who_sends_badly_is_cut_off_and_others_go_on(
    at: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mllp, "SLOWEST", 0.3)
    monkeypatch.setattr(mllp, "MOST_OF_ONE", 3)
    async with plain(at, tmp_path) as port:
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x0bMSH|", b"\x0bMSH\x1cX"):
            async with line(port) as bad:
                bad.writer.write(data)
                assert await bad.ended()
        async with line(port) as bad:
            bad.writer.write(b"\x0b" + b"a" * 300_000)
            assert await bad.ended()
        async with line(port), line(port), line(port) as good, line(port) as more:
            good.send(1)
            assert _codes(await good.answers(1)) == [("AA", "K1")]
            assert await more.ended()
        async with line(port) as good:
            good.send(2)
            assert _codes(await good.answers(1)) == [("AA", "K2")]


async def test_a_sender_is_who_its_certificate_says(at: Bench, tmp_path: Path) -> None:
    server_key, key, other_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    files = {
        "server": (self_signed(key=server_key), server_key),
        "client": (self_signed(key=key), key),
        "other": (self_signed(key=other_key), other_key),
    }
    for name, (certificate, its_key) in files.items():
        text = its_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / f"{name}.pem").write_bytes(pem(certificate) + text)
    await client_tls.register(
        at.api.db, "test_harness", pem(files["client"][0]), BY_FINGERPRINT, at.api.clock
    )
    settings = Settings(
        data=tmp_path, tls_certificate=str(tmp_path / "server.pem"),
        tls_clients=str(tmp_path / "client.pem"),
    )  # fmt: skip

    def showing(name: str) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=str(tmp_path / "server.pem"))
        made.check_hostname = False
        if name:
            made.load_cert_chain(tmp_path / f"{name}.pem")
        return made

    async with ports.opened(settings, Conversations(at.desk.take)) as port:
        async with line(port, showing("client")) as sender:
            sender.send(1)
            assert _codes(await sender.answers(1)) == [("AA", "K1")]
            stolen = f"{HEAD.format('K2')}\r{PID.format(2)}".replace("HARNESS", "HARNESS_A")
            sender.writer.write(framed(stolen.encode()))
            assert _codes(await sender.answers(1)) == [("AR", "K2")]
            # a name that nobody wrote down is the certificate's owner all the same
            unnamed = f"{HEAD.format('K3')}\r{PID.format(3)}".replace("HARNESS", "NEW")
            sender.writer.write(framed(unnamed.encode()))
            assert _codes(await sender.answers(1)) == [("AA", "K3")]
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            async with line(port, showing("")) as nobody:
                nobody.send(5)
                await nobody.answers(1)
    # a certificate that is believed, and is nobody's
    trusting = replace(settings, tls_clients=str(tmp_path / "other.pem"))
    async with (
        ports.opened(trusting, Conversations(at.desk.take)) as port,
        line(port, showing("other")) as stranger,
    ):
        stranger.send(4)
        assert _codes(await stranger.answers(1)) == [("AR", "K4")]
    assert await at.count() == 2


def test_without_tls_only_a_demonstration_listens_on_its_own_machine(tmp_path: Path) -> None:
    assert ports.context_of(Settings(data=tmp_path, demo=True)) is None
    for settings in (
        Settings(data=tmp_path), Settings(data=tmp_path, demo=True, host="0.0.0.0"),
        Settings(data=tmp_path, tls_certificate="server.pem"),
    ):  # fmt: skip
        with pytest.raises(ports.PortError):
            ports.context_of(settings)
