"""Evidence from the addresses that certificates name: asked of allowed origins only, in bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import AuthorityInformationAccessOID as Access

from pater.trust.seal import families
from pater.trust.seal.certificates import anchors_of
from pater.trust.seal.evidence import Fetched
from pater.trust.seal.keys import LocalKey
from pater.trust.seal.model import Content, Format, Level, Order, Packaging, SealError, Sub
from pater.trust.seal.origins import origins_of
from tests.trust.seal.ground import Ground, Issued

ORDER = Order(Format.CADES, Level.B, Packaging.ATTACHED, (Content(b"a report"),))
ORIGIN = "http://pki.test"


def uri(path: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(path if "//" in path else f"{ORIGIN}/{path}")


def points(*paths: str) -> tuple[x509.ExtensionType, bool]:
    names = [x509.DistributionPoint([uri(one)], None, None, None) for one in paths]
    return x509.CRLDistributionPoints(names), False


def access(ocsp: str, issuer: str) -> tuple[x509.ExtensionType, bool]:
    return x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(Access.OCSP, uri(ocsp)),
            x509.AccessDescription(Access.CA_ISSUERS, uri(issuer)),
        ]
    ), False


class Web:
    """The addresses of an authority, and what was asked there."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self.asked = ground, []
        self.pages: dict[str, Callable[[httpx.Request], httpx.Response]] = {}

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url}")
        page = self.pages.get(request.url.path)
        return page(request) if page else httpx.Response(404)

    def evidence(self, origins: str = ORIGIN) -> Fetched:
        transport = httpx.MockTransport(self.answer)
        return Fetched(
            origins_of(origins), lambda: httpx.AsyncClient(transport=transport), self.ground.clock
        )


@pytest.fixture
def web() -> Web:
    return Web(Ground())


def leaf_of(web: Web, *crls: str) -> Issued:
    leaf = web.ground.leaf("Named", extra=[points(*crls), access("ocsp", "issuing.cer")])
    web.pages["/issuing.crl"] = lambda _: httpx.Response(
        200, content=web.ground.crl(web.ground.issuing)
    )
    web.pages["/issuing.cer"] = lambda _: httpx.Response(200, content=web.ground.issuing.der)
    web.pages["/ocsp"] = lambda _: httpx.Response(200, content=web.ground.ocsp(leaf))
    return leaf


async def reason(
    web: Web, leaf: Issued, *, chain: bool = True, origins: str = ORIGIN
) -> Sub | None:
    """What is thought of a seal with evidence from the web; that of the root is at hand."""
    ground = web.ground
    key = LocalKey.of(leaf.key, leaf.certificate, leaf.chain if chain else ())
    made = await families.create(ORDER, replace(ground.tools(), key=key))
    root = ground.rules().material + await ground.revocation(b"", ground.root.der)
    rules = ground.rules(evidence=web.evidence(origins), material=root)
    return (await families.validate(made, rules)).sub


async def test_lists_and_answers_are_fetched(web: Web) -> None:
    leaf = leaf_of(web, "issuing.crl")
    assert await reason(web, leaf) is None
    assert web.asked == [f"POST {ORIGIN}/ocsp", f"GET {ORIGIN}/issuing.crl"]
    del web.pages["/ocsp"]
    assert await reason(web, leaf) is None
    web.ground.revoke(leaf)
    assert await reason(web, leaf) is Sub.REVOKED_NO_POE


async def test_authorities_that_the_seal_does_not_bring_are_fetched(web: Web) -> None:
    leaf = leaf_of(web, "issuing.crl")
    assert await reason(web, leaf, chain=False) is None
    bag = pkcs7.serialize_certificates([web.ground.issuing.certificate], Encoding.DER)
    web.pages["/issuing.cer"] = lambda _: httpx.Response(200, content=bag)
    assert await reason(web, leaf, chain=False) is None
    web.pages["/issuing.cer"] = lambda _: httpx.Response(200, content=web.ground.stranger.der)
    assert await reason(web, leaf, chain=False) is Sub.NO_CERTIFICATE_CHAIN_FOUND


@pytest.mark.parametrize(
    "origins", ["", "https://pki.test", "http://pki.test:8080", "http://pki.test.evil.test"]
)
async def test_other_origins_are_not_asked(web: Web, origins: str) -> None:
    leaf = leaf_of(web, "issuing.crl", "http://169.254.169.254/latest", "ldap://pki.test/x")
    assert await reason(web, leaf, origins=origins) is Sub.TRY_LATER
    assert web.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(302, headers={"Location": "http://169.254.169.254/"}),
        httpx.Response(500),
        httpx.Response(200, content=b"no list"),
        httpx.Response(200, content=b"\x30" * (17 << 20)),
    ],
)
async def test_what_is_no_answer_shows_nothing(web: Web, answer: httpx.Response) -> None:
    leaf = leaf_of(web, "issuing.crl")
    web.pages["/issuing.crl"] = web.pages["/ocsp"] = lambda _: answer
    assert await reason(web, leaf) is Sub.TRY_LATER
    assert all("169.254" not in one for one in web.asked)


async def test_the_same_is_asked_once_in_some_minutes(web: Web) -> None:
    leaf, evidence = leaf_of(web, "issuing.crl"), web.evidence()
    for _ in range(3):
        found = await evidence.revocation(leaf.der, web.ground.issuing.der)
        assert (len(found.crls), len(found.ocsps)) == (1, 1)
    assert len(web.asked) == 2
    web.ground.clock.forward(timedelta(minutes=11))
    await evidence.revocation(leaf.der, web.ground.issuing.der)
    assert len(web.asked) == 4


@pytest.mark.parametrize("text", ["ftp://pki.test", "pki.test", "http://pki.test/path", "http://"])
def test_what_is_no_origin(text: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        origins_of(text)


def test_a_folder_of_authorities(tmp_path: Path) -> None:
    folder, ground = tmp_path, Ground()
    (folder / "a.pem").write_bytes(ground.root.certificate.public_bytes(Encoding.PEM))
    (folder / "b.cer").write_bytes(ground.stamp_root.der)
    (folder / "notes.txt").write_text("nothing")
    assert anchors_of(folder) == (ground.root.der, ground.stamp_root.der)
    (folder / "c.pem").write_bytes(b"broken")
    with pytest.raises(SealError):
        anchors_of(folder)
