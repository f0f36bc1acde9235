"""What a client must not get: every message is held to its nonce, key, address and account."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import httpx
import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.jwk import ECKey, OctKey

from pater.trust.acme import routes, service
from pater.trust.acme.jose import encoded
from pater.trust.ca import tables as ca
from tests.trust.acme.conftest import HOST, OTHER, Town
from tests.trust.acme.town import JOSE, Hand, bound, problem, public, rsa, signed, thumbprint
from tests.trust.ca.keys import ec_key, request


def csr(*names: str, key: Any = None, common: str = "") -> str:
    """A certification request for these hosts, as `finalize` takes it."""
    found = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    made = request(key, name=common or names[0], encoding=Encoding.DER, extension=found)
    return encoded(made)


async def ready(town: Town, hand: Hand, *names: str) -> dict[str, Any]:
    """An order whose hosts are proved."""
    wanted = [{"type": "dns", "value": name} for name in names or (HOST,)]
    order = await hand.post("/acme/order", {"identifiers": wanted})
    assert order.status_code == 201, order.text
    for url in order.json()["authorizations"]:
        challenge = (await hand.post(url)).json()["challenges"][0]
        said = f"{challenge['token']}.{thumbprint(hand.key)}"
        town.hosts.answers[challenge["token"]] = said.encode()
        done = await hand.post(challenge["url"], {})
        assert done.json()["status"] == "valid", done.text
    found = (await hand.post(order.headers["location"])).json()
    assert found["status"] == "ready"
    return {**found, "url": order.headers["location"]}


async def issued(town: Town, hand: Hand, *names: str) -> x509.Certificate:
    """A certificate, all the way."""
    order = await ready(town, hand, *names)
    done = await hand.post(order["finalize"], {"csr": csr(*(names or (HOST,)))})
    assert done.json()["status"] == "valid", done.text
    pem = await hand.post(done.json()["certificate"])
    assert pem.headers["content-type"] == "application/pem-certificate-chain"
    return x509.load_pem_x509_certificates(pem.content)[0]


def der(certificate: x509.Certificate) -> str:
    return encoded(certificate.public_bytes(Encoding.DER))


async def test_a_nonce_is_good_once_and_only_if_it_is_ours(town: Town) -> None:
    hand = await town.hand()
    nonce = await hand.nonce()
    assert (await hand.post(hand.kid, nonce=nonce)).status_code == 200
    again = await hand.post(hand.kid, nonce=nonce)
    problem(again, 400, "badNonce")
    # the refusal brings the nonce for the next try
    assert (await hand.post(hand.kid, nonce=again.headers["replay-nonce"])).status_code == 200
    spoiled = "A" + nonce[1:] if nonce[0] != "A" else "B" + nonce[1:]
    for wrong in (spoiled, nonce + "AAAA", "x", "", "ä", None, 5):
        problem(await hand.post(hand.kid, nonce=wrong), 400, "badNonce")
    # many at once: one gets through
    nonce = await hand.nonce()
    found = await asyncio.gather(*(hand.post(hand.kid, nonce=nonce) for _ in range(8)))
    assert sorted(one.status_code for one in found) == [200] + [400] * 7


async def test_a_message_recorded_elsewhere_is_worth_nothing(town: Town) -> None:
    hand = await town.hand()
    other = f"{town.url}/acme/order"
    problem(await hand.post(hand.kid, url=other), 403, "unauthorized")
    problem(await hand.post(hand.kid, url=None), 403, "unauthorized")
    # signed by another key than the account's
    thief = Hand(town.http, kid=hand.kid)
    problem(await thief.post(hand.kid), 400, "malformed")
    # a signature over something else
    message = signed(hand.key, {"nonce": await hand.nonce(), "url": hand.kid, "kid": hand.kid}, {})
    message["payload"] = encoded(b'{"status":"deactivated"}')
    answer = await town.http.post(hand.kid, content=orjson.dumps(message), headers=JOSE)
    problem(answer, 400, "malformed")
    assert (await hand.post(hand.kid)).json()["status"] == "valid"


async def test_forms_of_a_message_that_are_refused(town: Town) -> None:
    hand = await town.hand()
    good = signed(hand.key, {"nonce": await hand.nonce(), "url": hand.kid, "kid": hand.kid}, None)

    async def sent(body: object, kind: str = "application/jose+json") -> httpx.Response:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        return await town.http.post(hand.kid, content=data, headers={"content-type": kind})

    problem(await sent(good, "application/json"), 415, "malformed")
    problem(await sent(good, "text/plain"), 415, "malformed")
    for wrong in (
        b"", b"[]", b"{", b"\xff", b"null", {}, [good], {**good, "header": {}},
        {**good, "signatures": []}, {**good, "payload": None}, {**good, "protected": 5},
        {**good, "signature": good["signature"] + "="}, {**good, "signature": "A"},
        {**good, "protected": encoded(b"[]")}, {**good, "protected": encoded(b"{}")},
        {**good, "protected": good["protected"] + "\n"}, {**good, "signature": ""},
    ):  # fmt: skip
        problem(await sent(wrong), 400, "malformed")
    problem(await sent(b"x" * 70_000), 413, "malformed")
    assert (await sent(good)).status_code == 200  # nothing of that used its nonce
    both = {"jwk": public(hand.key)}
    problem(await hand.post(hand.kid, **both), 400, "malformed")
    problem(await hand.post(hand.kid, crit=["b64"], b64=False), 400, "malformed")
    for algorithm in ("none", "HS256", "PS256", "ES512", 5):
        head = {"alg": algorithm, "nonce": await hand.nonce(), "url": hand.kid, "kid": hand.kid}
        answer = await sent({**good, "protected": encoded(orjson.dumps(head))})
        problem(answer, 400, "badSignatureAlgorithm")
        assert answer.json()["algorithms"] == ["ES256", "RS256", "ES384"]


async def test_an_account_needs_the_key_of_the_operator(town: Town) -> None:
    given = await town.key()
    secret = town.binding.secret(given.id)
    url = f"{town.url}/acme/account"
    hand = Hand(town.http)

    async def tried(binding: object) -> httpx.Response:
        return await hand.post(url, {"externalAccountBinding": binding})

    problem(await hand.post(url, {}), 403, "externalAccountRequired")
    jwk = public(hand.key)
    problem(await tried(bound(given.id, b"x" * 32, jwk, url)), 403, "unauthorized")
    problem(await tried(bound("nobodys", secret, jwk, url)), 403, "unauthorized")
    problem(await tried(bound("\x00", secret, jwk, url)), 403, "unauthorized")
    problem(await tried(bound(given.id, secret, jwk, url + "x")), 400, "malformed")
    foreign = public(ECKey.generate_key("P-256"))
    problem(await tried(bound(given.id, secret, foreign, url)), 400, "malformed")
    problem(await tried(bound(given.id, secret, [], url)), 400, "malformed")
    for wrong in (5, {}, "x", [], True):
        problem(await tried(wrong), 400, "malformed")
    # the key of the account itself cannot stand for the operator's
    own = signed(hand.key, {"kid": given.id, "url": url}, jwk)
    problem(await tried(own), 400, "malformed")
    # one key opens one account, also for two at once
    first, second = Hand(town.http), Hand(town.http)
    done = await asyncio.gather(first.open(given.id, secret), second.open(given.id, secret))
    assert sorted(one.status_code for one in done) == [201, 403]
    one = first if done[0].status_code == 201 else second
    problem(await hand.open(given.id, secret), 403, "unauthorized")
    # who has the account finds it without the key; a stranger finds none
    found = await one.post(url, {"onlyReturnExisting": True}, bare=True)
    assert found.status_code == 200 and found.headers["location"] == one.kid
    nobody = await Hand(town.http).post(url, {"onlyReturnExisting": True})
    problem(nobody, 400, "accountDoesNotExist")


async def test_weak_and_secret_keys_open_no_account(town: Town) -> None:
    url = f"{town.url}/acme/account"
    short = Hand(town.http, key=rsa(1024), algorithm="RS256")
    problem(await short.post(url, {}), 400, "badPublicKey")
    hand = Hand(town.http)
    whole = hand.key.as_dict(private=True)
    problem(await hand.post(url, {}, jwk=whole), 400, "badPublicKey")
    shared = {"kty": "oct", "k": encoded(b"x" * 32)}
    mac = Hand(town.http, key=OctKey.import_key(b"x" * 32), algorithm="HS256")
    problem(await mac.post(url, {}, jwk=shared), 400, "badPublicKey")
    plain = public(hand.key)
    wrongs = (
        None, 5, [], {}, {"kty": "EC"}, {"kty": []}, {**plain, "x": "AA"}, {**plain, "y": 1},
        {**plain, "crv": "P-521"}, {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "n": "x" * 2000}, {"kty": "RSA", "n": "x" * 400, "e": 5},
    )  # fmt: skip
    for wrong in wrongs:
        answer = await hand.post(url, {}, jwk=wrong, kid=None)
        assert answer.status_code == 400
        assert answer.json()["type"].rpartition(":")[2] in ("badPublicKey", "malformed")


async def test_only_hosts_that_were_allowed(town: Town) -> None:
    hand = await town.hand(HOST)

    async def ordered(*names: object) -> httpx.Response:
        wanted = [{"type": "dns", "value": name} for name in names]
        return await hand.post("/acme/order", {"identifiers": wanted})

    refused = await ordered(HOST, OTHER, "localhost")
    problem(refused, 403, "rejectedIdentifier")
    below = [one["identifier"]["value"] for one in refused.json()["subproblems"]]
    assert below == ["localhost", OTHER]
    for wrong in ("*." + HOST, "127.0.0.1", "::1", "a..b", "", "x" * 300, "ž.cz", "a/b", "a\x00"):
        problem(await ordered(wrong), 403, "rejectedIdentifier")
    for odd in ([], [5], [{}], [{"type": "dns"}], [{"type": 1, "value": HOST}], "x", None,
                [{"type": "dns", "value": f"h{n}.test"} for n in range(21)]):  # fmt: skip
        problem(await hand.post("/acme/order", {"identifiers": odd}), 400, "malformed")
    address = {"identifiers": [{"type": "ip", "value": "127.0.0.1"}]}
    problem(await hand.post("/acme/order", address), 403, "unsupportedIdentifier")
    good = {"identifiers": [{"type": "dns", "value": HOST.upper()}] * 2}
    problem(await hand.post("/acme/order", {**good, "notAfter": "x"}), 400, "malformed")
    made = await hand.post("/acme/order", good)
    assert made.json()["identifiers"] == [{"type": "dns", "value": HOST}]
    assert town.hosts.asked == []


async def test_a_request_names_what_was_proved_and_nothing_else(town: Town) -> None:
    hand = await town.hand(HOST, OTHER)
    order = await ready(town, hand)
    account = x509.SubjectAlternativeName([x509.DNSName(HOST)])
    private = hand.key.private_key
    for wrong in (
        csr(OTHER), csr(HOST, OTHER), csr(HOST, common="somebody else"), encoded(b"x"), "", "=",
        None, 5, csr(HOST)[:-8], encoded(base64.b64decode(b"MIIB")), "A" * 30_000,
        encoded(request(private, name=HOST, encoding=Encoding.DER, extension=account)),
        encoded(request(None, name=HOST)),  # PEM
    ):  # fmt: skip
        answer = await hand.post(order["finalize"], {"csr": wrong})
        assert answer.status_code == 400, wrong
        assert answer.json()["type"].rpartition(":")[2] in ("badCSR", "malformed")
    # a key that is another provider's is refused by the authority, and the order goes on
    taken = ec_key()
    other = await town.hand("laborator.test", ico="12345679")
    theirs = await ready(town, other, "laborator.test")
    done = await other.post(theirs["finalize"], {"csr": csr("laborator.test", key=taken)})
    assert done.json()["status"] == "valid"
    problem(await hand.post(order["finalize"], {"csr": csr(HOST, key=taken)}), 400, "badCSR")
    good = csr(HOST)
    done = await hand.post(order["finalize"], {"csr": good})
    assert done.json()["status"] == "valid"
    problem(await hand.post(order["finalize"], {"csr": good}), 403, "orderNotReady")


async def test_an_order_is_certified_once_however_often_it_is_asked(town: Town) -> None:
    hand = await town.hand()
    order = await ready(town, hand)
    asked = [csr(HOST) for _ in range(3)] * 2
    found = await asyncio.gather(*(hand.post(order["finalize"], {"csr": one}) for one in asked))
    assert 200 in {one.status_code for one in found}
    assert {one.status_code for one in found} <= {200, 403}
    final = (await hand.post(order["url"])).json()
    assert final["status"] == "valid"
    pem = (await hand.post(final["certificate"])).content
    serial = x509.load_pem_x509_certificates(pem)[0].serial_number
    kept = await town.house.db.fetchval(
        "select count(*) from ca_certificate where ordered_by = $1",
        "acme:" + hand.kid.rpartition("/")[2],
    )
    assert kept == 1
    assert await ca.find(town.house.db, ca.serial_text(serial))


async def test_an_order_that_is_not_proved_is_not_certified(town: Town) -> None:
    hand = await town.hand()
    wanted = {"identifiers": [{"type": "dns", "value": HOST}]}
    order = (await hand.post("/acme/order", wanted)).json()
    problem(await hand.post(order["finalize"], {"csr": csr(HOST)}), 403, "orderNotReady")
    proof = order["authorizations"][0]
    challenge = (await hand.post(proof)).json()["challenges"][0]
    failed = (await hand.post(challenge["url"], {})).json()
    assert failed["status"] == "invalid"
    assert failed["error"]["type"].endswith(":unauthorized")
    # once failed it stays failed, whatever the host says later
    town.hosts.answers[challenge["token"]] = f"{challenge['token']}.{thumbprint(hand.key)}".encode()
    assert (await hand.post(challenge["url"], {})).json()["status"] == "invalid"
    problem(await hand.post(order["finalize"], {"csr": csr(HOST)}), 403, "orderNotReady")
    # a proof that was given up does not count either
    second = await ready(town, hand)
    given_up = await hand.post(second["authorizations"][0], {"status": "deactivated"})
    assert given_up.json()["status"] == "deactivated"
    assert (await hand.post(second["url"])).json()["status"] == "invalid"
    problem(await hand.post(second["finalize"], {"csr": csr(HOST)}), 403, "orderNotReady")


async def test_what_is_another_accounts_is_not_there(town: Town) -> None:
    mine, other = await town.hand(), await town.hand()
    order = await ready(town, mine)
    proof = order["authorizations"][0]
    challenge = (await mine.post(proof)).json()["challenges"][0]["url"]
    asked = len(town.hosts.asked)
    for path in (order["url"], proof):
        problem(await other.post(path), 404, "malformed")
    problem(await other.post(proof, {"status": "deactivated"}), 404, "malformed")
    problem(await other.post(challenge, {}), 404, "malformed")
    problem(await other.post(order["finalize"], {"csr": csr(HOST)}), 404, "malformed")
    problem(await other.post(mine.kid, {"status": "deactivated"}), 403, "unauthorized")
    problem(await other.post(mine.kid + "/orders"), 403, "unauthorized")
    assert len(town.hosts.asked) == asked
    done = await mine.post(order["finalize"], {"csr": csr(HOST)})
    problem(await other.post(done.json()["certificate"]), 404, "malformed")
    made = x509.load_pem_x509_certificates((await mine.post(done.json()["certificate"])).content)
    problem(await other.post("/acme/revoke", {"certificate": der(made[0])}), 403, "unauthorized")
    kept = await ca.find(town.house.db, ca.serial_text(made[0].serial_number))
    assert kept and kept.recorded == "Issued"


async def test_who_holds_the_key_of_a_certificate_revokes_it(town: Town) -> None:
    hand = await town.hand()
    order = await ready(town, hand)
    key = ec_key()
    done = await hand.post(order["finalize"], {"csr": csr(HOST, key=key)})
    pem = (await hand.post(done.json()["certificate"])).content
    made, issuing = x509.load_pem_x509_certificates(pem)
    thief = Hand(town.http)
    payload = {"certificate": der(made), "reason": 1}
    problem(await thief.post("/acme/revoke", payload), 403, "unauthorized")
    holder = Hand(town.http, key=ECKey.import_key(key))
    for reason in (2, 6, 7, -1, True, "x", None, 1.0, 10**30):
        answer = await holder.post("/acme/revoke", {**payload, "reason": reason})
        problem(answer, 400, "badRevocationReason")
    problem(await holder.post("/acme/revoke", {"certificate": "AAAA"}), 400, "malformed")
    problem(await holder.post("/acme/revoke", {"certificate": der(issuing)}), 403, "unauthorized")
    assert (await holder.post("/acme/revoke", payload)).status_code == 200
    problem(await holder.post("/acme/revoke", payload), 400, "alreadyRevoked")
    # a key that was given up as compromised is never certified again
    again = await ready(town, hand)
    problem(await hand.post(again["finalize"], {"csr": csr(HOST, key=key)}), 400, "badCSR")


async def test_an_account_changes_its_key(town: Town) -> None:
    hand, other = await town.hand(), await town.hand()
    url = f"{town.url}/acme/key-change"
    new = ECKey.generate_key("P-384")

    def inner(key: Any, algorithm: str = "ES384", **changed: Any) -> dict[str, str]:
        said = {"account": hand.kid, "oldKey": public(hand.key), **changed.pop("payload", {})}
        header = {"jwk": public(key), "url": url, **changed}
        return signed(key, header, said, algorithm)

    for wrong in (
        inner(new, url=url + "x"), inner(new, nonce="x"), inner(new, kid="x"),
        inner(new, payload={"account": other.kid}), inner(new, payload={"account": None}),
        inner(new, payload={"oldKey": public(new)}), {}, {"protected": 1},
        {**inner(new), "payload": encoded(b"{}")},
    ):  # fmt: skip
        problem(await hand.post(url, wrong), 400, "malformed")
    inner_foreign = inner(new, jwk=public(ECKey.generate_key("P-384")))
    problem(await hand.post(url, inner_foreign), 400, "malformed")
    # nobody's key but one's own, and of nobody else
    taken = await hand.post(url, inner(other.key, "ES256"))
    problem(taken, 409, "malformed")
    assert taken.headers["location"] == other.kid
    problem(await other.post(url, inner(new)), 400, "malformed")
    assert (await hand.post(url, inner(new))).status_code == 200
    problem(await hand.post(hand.kid), 400, "malformed")
    moved = Hand(town.http, key=new, kid=hand.kid, algorithm="ES384")
    assert (await moved.post(hand.kid)).json()["status"] == "valid"
    assert await issued(town, moved)


async def test_accounts_keep_their_contacts_and_orders(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = await town.hand()
    good = ["mailto:spravce@nemocnice.cz"]
    assert (await hand.post(hand.kid, {"contact": good})).json()["contact"] == good
    for wrong in (["tel:1"], [5], ["http://x"]):
        problem(await hand.post(hand.kid, {"contact": wrong}), 400, "unsupportedContact")
    for wrong in (["mailto:x"], ["mailto:a@b,c@d"], ["mailto:a@b?cc=x"], ["mailto:\x00@b"]):
        problem(await hand.post(hand.kid, {"contact": wrong}), 400, "invalidContact")
    problem(await hand.post(hand.kid, {"contact": "x"}), 400, "malformed")
    problem(await hand.post(hand.kid, {"status": "revoked"}), 400, "malformed")
    assert (await hand.post(hand.kid)).json()["contact"] == good
    monkeypatch.setitem(routes.__globals__, "_PAGE", 2)
    monkeypatch.setattr(service, "MOST_A_DAY", 5)
    wanted = {"identifiers": [{"type": "dns", "value": HOST}]}
    made = [(await hand.post("/acme/order", wanted)).headers["location"] for _ in range(5)]
    problem(await hand.post("/acme/order", wanted), 429, "rateLimited")
    seen: list[str] = []
    page: str | None = hand.kid + "/orders"
    while page:
        answer = await hand.post(page)
        seen += answer.json()["orders"]
        page = answer.links.get("next", {}).get("url")
    assert seen == made[::-1]
    for odd in ("x", "1.", "1.a/b", "-1.a", "9" * 30 + ".a", "1"):
        problem(await hand.post(f"{hand.kid}/orders?before={odd}"), 400, "malformed")


async def test_what_does_not_exist(town: Town) -> None:
    hand = await town.hand()
    for path in ("/acme/order/x", "/acme/order/a.b", "/acme/proof/x", "/acme/certificate/x",
                 "/acme/proof/x/http-01", "/acme/order/" + "a" * 200):  # fmt: skip
        problem(await hand.post(path), 404, "malformed")
    for kid in (hand.kid + "x", "x", town.url, "", hand.kid.replace("/account/", "/order/")):
        problem(await hand.post(hand.kid, kid=kid), 400, "accountDoesNotExist")
    assert (await town.http.get("/acme/order/x")).status_code == 404
    assert (await town.http.get("/acme/nonce")).status_code == 204
