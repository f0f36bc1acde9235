"""Stamps of our authority are believed under the root of our certification authority."""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from starlette.applications import Starlette

from pater.trust.ca import Operator, Stamps
from pater.trust.tsa import self_made
from pater.trust.tsa.client import QUERY
from pater.trust.tsa.http import routes
from pater.trust.tsa.verifying import verify
from tests.trust.ca.conftest import Pki

DIGEST = bytes(range(32))


def openssl(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True)


@pytest.fixture
def stamps(pki: Pki) -> Stamps:
    return Stamps(pki.authority, self_made.read(self_made.new(pki.clock()), pki.clock), pki.clock)


async def test_openssl_verifies_a_stamp_with_the_chain_of_the_ca(pki: Pki, stamps: Stamps) -> None:
    await pki.authority.begin(Operator("cli:eva", "eva"))
    data = pki.file("data", b"a document")
    query, reply = pki.files / "query", pki.files / "reply"
    made = openssl("ts", "-query", "-data", data, "-sha256", "-cert", "-out", query)
    assert made.returncode == 0, made.stderr
    app = Starlette(routes=routes(stamps))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://tsa.test") as http:
        kind = {"content-type": QUERY}
        answer = await http.post("/tsa", content=query.read_bytes(), headers=kind)
        roots = (await http.get("/tsa/certificate")).content
    reply.write_bytes(answer.content)
    issuing, root = await pki.chain_files()
    how = ["-untrusted", issuing, "-attime", str(int(pki.clock().timestamp()))]
    good = openssl("ts", "-verify", "-queryfile", query, "-in", reply, "-CAfile", root, *how)
    assert good.returncode == 0, good.stderr
    # what the service hands out is enough by itself: the chain stands in the stamp
    served = pki.file("roots.pem", roots)
    alone = openssl("ts", "-verify", "-queryfile", query, "-in", reply, "-CAfile", served, *how[2:])
    assert alone.returncode == 0, alone.stderr
    pki.file("data", b"another")
    assert openssl("ts", "-verify", "-data", data, "-in", reply, "-CAfile", root).returncode != 0


async def test_without_a_ca_it_stamps_alone_and_stamps_of_before_stay_good(
    pki: Pki, stamps: Stamps
) -> None:
    old = (await stamps.authority()).stamp(DIGEST)
    assert await pki.authority.chain() == ()
    await pki.authority.begin(Operator("cli:eva", "eva"))
    pki.clock.move(minutes=11)
    new = (await stamps.authority()).stamp(DIGEST)
    roots = x509.load_pem_x509_certificates(await stamps.roots())
    assert len(roots) == 2
    for token in (old, new):
        assert verify(token, DIGEST, roots)
