"""Whatever a client signs and sends: an answer or a problem document, and never a 500."""

from __future__ import annotations

import json
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pater.app import now
from pater.trust.acme import Nonces
from tests.fuzz.odd import spoil, spoiled_bytes
from tests.trust.acme.conftest import HOST, Town
from tests.trust.acme.test_refusals import csr, ready
from tests.trust.acme.town import JOSE, Hand, bound, public, signed

HOW = settings(
    max_examples=250, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


def fault(answer: httpx.Response) -> str | None:
    """What is wrong with an answer; None = nothing."""
    if answer.status_code >= 500:
        return f"{answer.status_code}: {answer.text}"
    if answer.status_code >= 400 and answer.status_code not in (404, 405, 429):
        said = answer.json()
        if not str(said["type"]).startswith("urn:ietf:params:acme:error:") or not said["detail"]:
            return f"a refusal without a reason: {answer.text}"
    return None


async def samples(town: Town, hand: Hand) -> list[tuple[str, Any]]:
    """A good payload for each address, none of which ends the account."""
    order = await ready(town, hand)
    proof = order["authorizations"][0]
    given = await town.key()
    url = f"{town.url}/acme/account"
    binding = bound(given.id, town.binding.secret(given.id), public(hand.key), url)
    inner = {"account": hand.kid, "oldKey": public(hand.key)}
    change = f"{town.url}/acme/key-change"
    return [
        (url, {"externalAccountBinding": binding, "contact": ["mailto:a@b.cz"]}),
        (hand.kid, {"contact": ["mailto:a@b.cz"]}),
        (hand.kid + "/orders?before=1790000000000000.abc", None),
        (f"{town.url}/acme/order", {"identifiers": [{"type": "dns", "value": HOST}]}),
        (order["url"], None),
        (proof, {"status": "pending"}),
        (proof + "/http-01", {}),
        (order["finalize"], {"csr": csr(HOST)}),
        (order["url"].replace("/order/", "/certificate/"), None),
        (f"{town.url}/acme/revoke", {"certificate": csr(HOST), "reason": 1}),
        (change, signed(hand.key, {"jwk": public(hand.key), "url": change}, inner)),
    ]


async def test_whatever_is_signed(town: Town) -> None:
    hand = await town.hand()
    found = await samples(town, hand)
    nonces = Nonces(town.house.db, town.house.keys.derived("nonces of acme"), now)

    # spoiled inside a signature that holds, outside of it, or both
    @HOW
    @given(st.data())
    def make(data: st.DataObject) -> None:
        url, payload = data.draw(st.sampled_from(found))
        bare = data.draw(st.booleans())
        who = {"jwk": public(hand.key)} if bare else {"kid": hand.kid}
        header = {"nonce": nonces.made(), "url": url, **who}
        if data.draw(st.booleans()):
            header = spoil(data.draw, header)
        if data.draw(st.booleans()):
            payload = spoil(data.draw, payload)
        if not isinstance(header, dict):
            header = {}
        message: Any = signed(hand.key, header, payload)
        if data.draw(st.booleans()):
            message = spoil(data.draw, message)
        body = json.dumps(message).encode("utf-8", "replace")
        if data.draw(st.integers(0, 4)) == 0:
            body = data.draw(spoiled_bytes([body]))
        sent.append((url, body))

    sent: list[tuple[str, bytes]] = []
    make()
    statuses = set()
    for url, body in sent:
        answer = await town.http.post(url, content=body, headers=JOSE)
        assert fault(answer) is None, (url, body)
        statuses.add(answer.status_code)
    assert {200, 400} <= statuses
    town.hosts.asked.clear()
