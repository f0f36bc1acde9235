"""A provider's administrator looks after the certificates of its own systems and people only."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from cryptography import x509

from pater.access import accounts, sessions
from pater.access.accounts import Account
from pater.access.federation import identities
from pater.app import House, build, now, open_house
from pater.domain import Job, Services
from pater.domains.certificates import orders, warning
from pater.settings import Settings
from pater.store.database import Database
from pater.trust.ca import Operator, Subject
from tests.conftest import Clock
from tests.trust.ca.keys import request, rsa_key

BASE = "http://127.0.0.1:8080"
ICO_A, ICO_B = "27520536", "12345679"
KRZP = "112345673"
PEOPLE = {
    "admin-a": ("administrator", ICO_A, "Nemocnice A"),
    "admin-b": ("administrator", ICO_B, "Nemocnice B"),
    "nobodys": ("administrator", "", ""),
    "jana": ("clinician", ICO_A, "Nemocnice A"),
}


@dataclass
class Desk:
    """The house as browsers see it."""

    house: House
    http: httpx.AsyncClient
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def services(self) -> Services:
        return self.house.services

    async def cookie(self, login: str, lang: str = "en") -> dict[str, str]:
        if login not in self.cookies:
            account = await accounts.find(self.house.db, login)
            assert account is not None
            token = await sessions.open_session(self.house.db, account, now, lang=lang)
            self.cookies[login] = {"Cookie": f"pater_session={token}; pater_lang={lang}"}
        return self.cookies[login]

    async def get(self, login: str, path: str, status: int = 200) -> httpx.Response:
        page = await self.http.get(path, headers=await self.cookie(login))
        assert page.status_code == status, page.text
        return page

    async def post(
        self, login: str, path: str, status: int = 303, *, page: str = "", **fields: Any
    ) -> httpx.Response:
        """A form of a page (its own address, unless said), filled in."""
        files = fields.pop("files", None)
        shown = await self.get(login, page or path)
        proof = re.search(r'name="csrf" value="([^"]*)"', shown.text)
        assert proof
        form = {"csrf": unescape(proof[1]), **fields}
        answer = await self.http.post(
            path, data=form, files=files, headers=await self.cookie(login)
        )
        assert answer.status_code == status, answer.text
        return answer

    async def order(self, login: str = "admin-a", key: int = 11, **fields: Any) -> str:
        """The serial number of a new certificate of a system."""
        form = {"name": "nis", "request": request(rsa_key(2048, key)).decode(), **fields}
        done = await self.post(login, "/certificates/new/system", **form)
        return done.headers["location"].split("/")[2].partition("?")[0]

    async def acts(self, serial: str) -> list[dict[str, Any]]:
        """The entries of the journal about a certificate."""
        rows = await self.house.db.fetch(
            "select * from journal_entry where entity_id = $1 order by seq", serial
        )
        return [dict(row) for row in rows]


@pytest.fixture(scope="module")
async def house(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[House, httpx.AsyncClient]]:
    settings = Settings(data=tmp_path_factory.mktemp("certificates"), demo=True, mail_host="x")
    async with open_house(settings, module_database.dsn) as opened:
        transport = httpx.ASGITransport(build(opened))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
            for login, (role, ico, name) in PEOPLE.items():
                full = "MUDr. Jana Dvořáková, Ph.D." if login == "jana" else login.title()
                account = Account(login, login, full, role, ico, name)
                await accounts.save(
                    opened.db, opened.keys, account, "four words are better",
                    accounts.totp_secret(), now,
                )  # fmt: skip
            await identities.set_professional(opened.db, "jana", KRZP, now())
            yield opened, http


@pytest.fixture
async def desk(house: tuple[House, httpx.AsyncClient]) -> Desk:
    made = Desk(*house)
    for table in ("ca_certificate", "certificate_warning", "certificate_contact", "job"):
        await made.house.db.execute(f"delete from {table}")
    return made


async def test_a_system_gets_its_certificate_and_it_ends(desk: Desk) -> None:
    assert "No certificates yet" in (await desk.get("admin-a", "/certificates")).text
    serial = await desk.order(name="Nemocniční IS")
    shown = await desk.get("admin-a", f"/certificates/{serial}?done=issued")
    assert "Nemocniční IS" in shown.text and "in force" in shown.text
    file = await desk.get("admin-a", f"/certificates/{serial}/file")
    mine, issuing = x509.load_pem_x509_certificates(file.content)
    assert mine.verify_directly_issued_by(issuing) is None
    assert f"{mine.serial_number:040x}" == serial
    # the request may come as a file; the old one holds beside the new one
    again = await desk.post(
        "admin-a", f"/certificates/{serial}/renew",
        files={"file": ("new.csr", request(rsa_key(2048, 12)), "application/x-pem-file")},
    )  # fmt: skip
    newer = again.headers["location"].split("/")[2].partition("?")[0]
    assert f"/certificates/{newer}" in (await desk.get("admin-a", f"/certificates/{serial}")).text
    # a reason is needed; then it has ended for good
    path = f"/certificates/{serial}/revoke"
    assert "Choose the reason." in (await desk.post("admin-a", path, 422)).text
    assert "Choose the reason." in (await desk.post("admin-a", path, 422, reason="x")).text
    await desk.post("admin-a", path, reason="keyCompromise")
    ended = (await desk.get("admin-a", f"/certificates/{serial}")).text
    assert "Somebody else may have the key" in ended and "/renew" not in ended
    await desk.get("admin-a", path, 303)
    await desk.get("admin-a", f"/certificates/{serial}/renew", 409)
    acts = await desk.acts(serial)
    assert [act["interaction"] for act in acts] == [
        "certificate-order", "certificate-issue", "certificate-revoke",
    ]  # fmt: skip
    assert {(act["agent"], act["role"], act["organization"]) for act in acts} == {
        ("admin-a", "administrator", ICO_A)
    }


async def test_certificates_of_others_do_not_exist(desk: Desk) -> None:
    serial = await desk.order()
    authority = desk.services.certification
    assert authority is not None
    operator = Operator("cli:eva", "eva")
    subject = Subject(name="pečeť", ico=ICO_A, organization="Nemocnice A")
    seal = await authority.issue(operator, "seal", subject, request(rsa_key(2048, 13)))
    server = await authority.issue(
        operator, "tls-server", Subject(hosts=("a.example",)), request(rsa_key(2048, 14))
    )
    # what an operator made for an organisation is its own too; nobody's is nobody's
    mine = (await desk.get("admin-a", "/certificates")).text
    assert serial in mine and seal.serial in mine and server.serial not in mine
    assert serial not in (await desk.get("admin-b", "/certificates")).text
    for each in (serial, seal.serial, server.serial, "0" * 40, "x"):
        for rest in ("", "/file", "/renew", "/revoke"):
            await desk.get("admin-b", f"/certificates/{each}{rest}", 404)
    page = "/certificates/new/system"
    await desk.post(
        "admin-b", f"/certificates/{serial}/revoke", 404, page=page, reason="superseded"
    )
    assert [a["interaction"] for a in await desk.acts(serial)] == [
        "certificate-order", "certificate-issue",
    ]  # fmt: skip
    # whom a certificate names is not the form's to say
    named = await desk.order("admin-b", 15, ico=ICO_A, organization="Nemocnice A")
    kept = await authority.find(named)
    assert kept is not None and kept.holder == f"ico:{ICO_B}"
    # other kinds are renewed by an operator
    assert "/renew" not in (await desk.get("admin-a", f"/certificates/{seal.serial}")).text
    await desk.get("admin-a", f"/certificates/{seal.serial}/renew", 409)


async def test_a_person_is_one_of_the_own_people(desk: Desk) -> None:
    path = "/certificates/new/person"
    form = {
        "krzp": KRZP, "given": "Jana", "family": "Dvořáková",
        "request": request(rsa_key(2048, 16)).decode(),
    }  # fmt: skip
    for login, change in (
        ("admin-b", {}),
        ("admin-a", {"krzp": "212345673"}),
        ("admin-a", {"family": "Nováková"}),
        ("admin-a", {"given": "", "family": ""}),
    ):
        told = await desk.post(login, path, 422, **(form | change))
        assert "Nobody of this number and name" in told.text
    refused = await desk.house.db.fetch(
        "select * from journal_entry where reason = 'not-employed' and outcome = '4'"
    )
    assert len(refused) == 4
    done = await desk.post("admin-a", path, **form)
    serial = done.headers["location"].split("/")[2].partition("?")[0]
    assert "Jana Dvořáková" in (await desk.get("admin-a", f"/certificates/{serial}")).text
    await desk.get("admin-b", f"/certificates/{serial}", 404)
    # who has left gets no further one, and what there is can be revoked
    jana = await accounts.find(desk.house.db, "jana")
    assert jana is not None
    await desk.house.db.execute("update account set active = false where id = 'jana'")
    renewal = {"request": request(rsa_key(2048, 17)).decode()}
    told = await desk.post("admin-a", f"/certificates/{serial}/renew", 422, **renewal)
    assert "Nobody of this number and name" in told.text
    await desk.post("admin-a", f"/certificates/{serial}/revoke", reason="affiliationChanged")
    await desk.house.db.execute("update account set active = true where id = 'jana'")


async def test_two_employers_of_one_person_have_an_order_each(desk: Desk) -> None:
    authority = desk.services.certification
    assert authority is not None
    who, data = Subject(krzp=KRZP, given="Jana", family="Dvořáková"), request(rsa_key(2048, 18))
    operators = [
        Operator(ico, "x", role="administrator", organization=ico) for ico in (ICO_A, ICO_B)
    ]
    made = [await authority.issue(each, "person", who, data) for each in operators]
    assert [one.owner for one in made] == [ICO_A, ICO_B] and made[0].serial != made[1].serial
    again = await authority.issue(operators[0], "person", who, data)
    assert again.serial == made[0].serial


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "This is no certification request"),
        ("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----", "holds a private key"),
        ("x" * 20_000, "too large"),
    ],
)
async def test_what_is_wrong_with_a_request_is_said(desk: Desk, text: str, told: str) -> None:
    page = await desk.post("admin-a", "/certificates/new/system", 422, name="nis", request=text)
    assert told in page.text and 'href="#field-request"' in page.text
    assert "PRIVATE KEY-----" not in page.text
    good = request(rsa_key(2048, 11)).decode()
    page = await desk.post("admin-a", "/certificates/new/system", 422, name="", request=good)
    assert 'href="#field-name"' in page.text


async def test_only_administrators_with_a_fresh_second_factor(desk: Desk) -> None:
    serial = await desk.order()
    await desk.get("jana", "/certificates", 403)
    assert (await desk.http.get("/certificates")).status_code == 303
    assert "names no organisation" in (await desk.get("nobodys", "/certificates")).text
    assert "names no organisation" in (await desk.get("nobodys", "/certificates/new/system")).text
    await desk.house.db.execute(
        "update session set proved = $1 where account = 'admin-a'", now() - timedelta(minutes=11)
    )
    await desk.get("admin-a", f"/certificates/{serial}")
    for path in ("/certificates/new/system", f"/certificates/{serial}/revoke",
                 f"/certificates/{serial}/renew"):  # fmt: skip
        sent = await desk.get("admin-a", path, 303)
        assert sent.headers["location"].startswith("/login/again?next=")


async def test_the_list_has_pages_without_gaps(desk: Desk, monkeypatch: Any) -> None:
    monkeypatch.setattr("pater.domains.certificates.pages.PAGE", 2)
    made = {await desk.order(name=f"system {n}") for n in range(5)}
    path, seen = "/certificates", set[str]()
    for _ in range(3):
        text = (await desk.get("admin-a", path)).text
        seen |= set(re.findall(r"/certificates/([0-9a-f]{40})", text))
        older = re.search(r'rel="next" href="([^"]+)"', text)
        path = unescape(older[1]) if older else ""
    assert seen == made and not path
    for odd in ("x", "2026-01-01~a", "2026-01-01T00:00:00Z~", "0001-01-01T00:00:00+23:00~a"):
        await desk.get("admin-a", f"/certificates?before={odd}", 400)


async def test_each_warning_is_given_once_and_by_mail_where_wanted(desk: Desk) -> None:
    serial = await desk.order()
    await desk.order("admin-b", 15)
    page = "/certificates"
    bad = await desk.post("admin-a", f"{page}/contact", page=page, address="x")
    assert "no e-mail address" in (await desk.get("admin-a", bad.headers["location"])).text
    await desk.post("admin-a", f"{page}/contact", page=page, address="it@a.example")
    letters: list[tuple[str, str, str]] = []

    async def send(to: str, subject: str, text: str) -> None:
        letters.append((to, subject, text))

    authority = desk.services.certification
    assert authority is not None
    kept = await authority.find(serial)
    assert kept is not None
    for left, days in ((31, None), (29, 30), (20, None), (14, 14), (3, 7), (1, None)):
        clock = Clock(kept.not_after - timedelta(days=left))
        services = replace(desk.services, clock=clock, letters=send)
        told = await warning.warn_once(services)
        assert {(one.serial, one.days) for one in told if one.owner == ICO_A} == (
            {(serial, days)} if days else set()
        )
        assert await warning.warn_once(services) == []
    rows = await desk.house.db.fetch(
        "select id, payload::text from job where kind = $1", warning.KIND
    )
    assert len(rows) == 3  # the other hospital wants no letters
    for row in rows:
        payload = orjson.loads(row["payload"])
        job = Job(str(row["id"]), warning.KIND, "", payload, {}, 1, now(), desk.house.db, uuid4())
        await warning.letter_job(services)(job)
    assert {to for to, _, _ in letters} == {"it@a.example"}
    assert all(f"/certificates/{serial}" in text for _, _, text in letters)


def test_a_warning_is_due_in_its_time() -> None:
    said = [orders.due(timedelta(days=d)) for d in (0, 7, 7.1, 14, 15, 30, 31)]
    assert said == [7, 7, 14, 14, 30, 30, None]


async def test_servers_get_keys_for_the_own_hosts(desk: Desk) -> None:
    await desk.house.db.execute("delete from acme_key")
    assert "No keys yet" in (await desk.get("admin-a", "/certificates/servers")).text
    assert 'href="/certificates/servers"' in (await desk.get("admin-a", "/certificates")).text
    path = "/certificates/servers/new"
    for wrong in ("", "10.1.2.3", "*.a.test", "a b/c", "x" * 6000, "\n".join(map(str, range(30)))):
        assert (
            "Write one DNS name a line" in (await desk.post("admin-a", path, 422, hosts=wrong)).text
        )
    shown = await desk.post("admin-a", path, 200, hosts="nis.a.test\r\nPACS.a.test")
    assert shown.headers["cache-control"] == "no-store"
    binding = desk.services.acme
    assert binding is not None
    (given,) = await binding.listing(ICO_A)
    assert given.hosts == ("nis.a.test", "pacs.a.test") and given.organization == "Nemocnice A"
    assert given.id in shown.text and binding.shown(given.id) in shown.text
    listed = (await desk.get("admin-a", "/certificates/servers")).text
    assert given.id in listed and "not used yet" in listed and binding.shown(given.id) not in listed
    # another provider's administrator knows nothing of it
    assert given.id not in (await desk.get("admin-b", "/certificates/servers")).text
    end = f"/certificates/servers/{given.id}/end"
    await desk.get("admin-b", end, 404)
    await desk.post("admin-b", end, 404, page=path)
    await desk.get("admin-a", "/certificates/servers/x/end", 404)
    await desk.post("admin-a", end)
    assert "ended" in (await desk.get("admin-a", "/certificates/servers?ended=1")).text
    acts = await desk.house.db.fetch(
        "select interaction, organization from journal_entry where query like $1 order by seq",
        f"%key={given.id}%",
    )
    assert [tuple(act) for act in acts] == [("acme-key", ICO_A), ("acme-key-end", ICO_A)]


async def test_what_renews_itself_is_warned_of_later(desk: Desk) -> None:
    said = [orders.due(timedelta(days=d), timedelta(days=90)) for d in (7, 14, 15, 30)]
    assert said == [7, 14, None, None]
