"""A provider says that the register is wrong, a registrar decides, the provider follows it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape
from typing import Any

import httpx
import pytest

from pater.access import accounts, sessions
from pater.access.accounts import Account
from pater.clock import now
from pater.domains.directory import tables
from tests.directory.conftest import ICO_A, ICO_B, KRZP, PEOPLE, PLACES, Desk, as_
from tests.rest.world import HOSPITAL

WHO: Sequence[tuple[str, str, str]] = (
    ("adam", "administrator", ICO_A),
    ("bara", "administrator", ICO_B),
    ("cyril", "administrator", "99999999"),
    ("eva", "registrar", ""),
    ("jan", "registrar", ""),
)
PLACE = "/directory/own/Location/place-1001"


@pytest.fixture
async def full(desk: Desk) -> Desk:
    await desk.take(PLACES)
    await desk.take(PEOPLE)
    for login, role, ico in WHO:
        if await accounts.find(desk.db, login) is None:
            await accounts.save(
                desk.db, desk.house.keys, Account(login, login, login.title(), role, ico, ico),
                "four words are better", accounts.totp_secret(), now,
            )  # fmt: skip
    return desk


async def _cookie(desk: Desk, login: str, lang: str) -> dict[str, str]:
    account = await accounts.find(desk.db, login)
    assert account is not None
    token = await sessions.open_session(desk.db, account, now, lang=lang)
    return {"Cookie": f"pater_session={token}; pater_lang={lang}"}


async def get(desk: Desk, login: str, path: str, status: int = 200, lang: str = "en") -> str:
    answer = await desk.http.get(path, headers=await _cookie(desk, login, lang))
    assert answer.status_code == status, answer.text
    return unescape(answer.text)


async def post(
    desk: Desk, login: str, path: str, status: int = 303, page: str = "", **fields: Any
) -> httpx.Response:
    headers = await _cookie(desk, login, "en")
    shown = await desk.http.get(page or path, headers=headers)
    proof = re.search(r'name="csrf" value="([^"]*)"', shown.text)
    assert proof, shown.text
    answer = await desk.http.post(path, data={"csrf": proof[1], **fields}, headers=headers)
    assert answer.status_code == status, answer.text
    return answer


async def test_an_administrator_disputes_and_follows_what_a_registrar_decides(full: Desk) -> None:
    own = await get(full, "adam", "/directory/own")
    for text in ("Nemocnice Podlesí a.s.", "Ambulance Horní Lhotka", "Alena Horáková"):
        assert text in own, text
    assert "Lékárna U Dubu" not in own and "What you said to be wrong" not in own
    wrong = await post(full, "adam", PLACE, 422)
    assert "Choose what is wrong." in wrong.text and "in 3 to 2000 characters" in wrong.text
    await post(full, "adam", PLACE, element="hours", claim="We open at six <b>now</b>.")
    again = await post(full, "adam", PLACE, 422, element="hours", claim="We open at six.")
    assert "waits for its answer" in again.text
    own = await get(full, "adam", "/directory/own?done=1")
    assert "Opening hours" in own and "waiting" in own
    assert "said to be wrong" in await get(full, "eva", "/directory/place/place-1001")
    assert "We open at six" not in await get(full, "bara", "/directory/own")

    queue = await get(full, "eva", "/registry/providers")
    found = re.search(r"/registry/providers/[0-9a-f-]{36}", queue)
    assert found and "Nemocnice Podlesí" in queue and f"IČO {ICO_A}" in queue
    shown = await get(full, "eva", found[0])
    assert "We open at six <b>now</b>." in shown  # as text: unescaped by the test
    assert "prvních" not in shown and "Hospital" in shown
    none = await post(full, "eva", found[0], 422, state="accepted")
    assert "Say why" in none.text
    answer: dict[str, Any] = {"state": "accepted", "answer": "The authority confirms it."}
    await post(full, "eva", found[0], **answer)
    late = await post(full, "jan", found[0], 409, page="/registry", state="refused", answer="No it")
    assert "Eva decided on" in unescape(late.text) and "was not saved" in late.text
    own = await get(full, "adam", "/directory/own")
    assert "The authority confirms it." in own and "will be corrected" in own
    assert "said to be wrong" not in await get(full, "eva", "/directory/place/place-1001")
    assert "Eva" in await get(full, "eva", "/registry/providers?view=decided")
    assert "Nothing waits" in await get(full, "eva", "/registry/providers")


async def test_only_its_own_provider_says_so_and_only_registrars_decide(full: Desk) -> None:
    await get(full, "bara", PLACE, 404)
    await get(full, "bara", f"/directory/own/Practitioner/krzp-{KRZP}", 404)
    await get(full, "adam", f"/directory/own/Practitioner/krzp-{KRZP}")
    await get(full, "adam", "/directory/own/Patient/place-1001", 404)
    await get(full, "adam", "/directory/own/Location/nobody", 404)
    assert "does not know your organisation" in await get(full, "cyril", "/directory/own")
    for path in ("/registry/providers", "/registry/providers/00000000-0000-0000-0000-000000000000"):
        await get(full, "adam", path, 403)
    await get(full, "eva", "/directory/own", 403)
    await get(full, "eva", "/registry/providers/x", 404)
    await get(full, "eva", "/registry/providers/00000000-0000-0000-0000-000000000000", 404)
    for odd in ("x", "2026-01-01~x", "2026-01-01T00:00:00~" + "0" * 32, "~"):
        await get(full, "eva", f"/registry/providers?after={odd}", 400)


async def test_what_systems_and_registers_say_stands_in_the_queue_page_by_page(
    full: Desk,
) -> None:
    for number in range(45):
        await tables.add_dispute(
            full.db,
            tables.Dispute(
                full.house.services.new_id(),  # type: ignore[arg-type]
                "Location", "place-1002", f"datum {number}", "…", "", now(),
            ),
            "ruian",
        )  # fmt: skip
    seen: list[str] = []
    path = "/registry/providers"
    while path:
        page = await get(full, "eva", path)
        seen += re.findall(r"datum \d+", page)
        assert "Register of addresses" in page
        link = re.search(r'rel="next" href="([^"]+)"', page)
        path = link[1] if link else ""
    assert len(seen) == len(set(seen)) == 45


async def test_the_register_speaks_english_to_readers_of_english(full: Desk) -> None:
    place = await get(full, "eva", "/directory/place/place-1001")
    for text in ("Hospital", "cardiology", "internal medicine", "magnetic resonance imaging",
                 "outpatient", "physician"):  # fmt: skip
        assert text in place, text
    assert '<span lang="cs">Interna</span>' in place  # what is in no list stays Czech
    listing = await get(full, "eva", "/directory")
    assert "pharmacy" in listing and ">cardiology</option>" in listing
    czech = await get(full, "eva", "/directory/place/place-1001", lang="cs")
    assert "kardiologie" in czech and "cardiology" not in czech and 'lang="cs">Int' not in czech
    doctor = await get(full, "eva", f"/directory/professional/krzp-{KRZP}")
    assert "cardiology" in doctor
    assert '<span lang="cs">všeobecné lékařství</span>' in doctor


async def test_a_system_does_not_say_the_same_twice(full: Desk) -> None:
    from uuid import uuid4

    path = "/krpzs/api/v2/Poskytovatel/reklamuj/udaj"
    for status in (200, 409):
        body = {
            "zadostInfo": {"datum": "2026-01-01", "ucel": "SPRAVA", "zadostId": str(uuid4())},
            "zadostData": {"typ": "Location", "zaznamId": "place-1001", "udaj": "a", "popis": "b"},
        }
        answer = await full.call("POST", path, as_(HOSPITAL, organization=ICO_A), json=body)
        assert answer.status_code == status, answer.text
    own = await get(full, "adam", "/directory/own")
    assert ">a<" in own.replace("\n", "")  # named as the system named it
