"""The shell over HTTP: login, CSRF, cookies, redirects, languages, errors, headers, files."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from tests.web.house import CODE, PASSWORD, House, house


def token_of(page: httpx.Response) -> str:
    """The CSRF field of a page's form."""
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found, page.text[:300]
    return found[1]


async def post(
    client: httpx.AsyncClient, path: str, page: httpx.Response, **fields: str
) -> httpx.Response:
    """Sends a form with the proof of the page it stands on."""
    return await client.post(path, data={"csrf": token_of(page), **fields})


async def enter(
    client: httpx.AsyncClient, login: str = "patient", target: str = ""
) -> httpx.Response:
    """Logs in through both steps; returns the answer of the second."""
    page = await client.get("/login", params={"next": target})
    first = await post(client, "/login", page, login=login, password=PASSWORD, next=target)
    assert first.status_code == 303 and first.headers["location"] == "/login/code"
    return await post(client, "/login/code", await client.get("/login/code"), code=CODE)


async def test_login_in_two_steps_leads_to_the_page_asked_for(client: httpx.AsyncClient) -> None:
    asked = await client.get("/patient?list=2")
    assert asked.status_code == 303
    assert asked.headers["location"] == "/login?next=%2Fpatient%3Flist%3D2"
    answer = await enter(client, target="/patient?list=2")
    assert answer.headers["location"] == "/patient?list=2"
    page = await client.get("/patient")
    assert page.status_code == 200 and "Jana Svobodová" in page.text


async def test_without_a_target_login_leads_to_the_portal_of_the_role(
    client: httpx.AsyncClient,
) -> None:
    answer = await enter(client, "clinician-b")
    assert answer.headers["location"] == "/professional"
    page = await client.get("/professional")
    assert "&lt;b&gt;Beneš&lt;/b&gt;" in page.text and "<b>Beneš" not in page.text
    assert (await client.get("/patient")).status_code == 403
    assert (await client.get("/login")).headers["location"] == "/professional"


@pytest.mark.parametrize(("login", "password"), [("patient", "hádanka"), ("nobody", PASSWORD)])
async def test_a_wrong_password_and_an_unknown_login_look_alike(
    client: httpx.AsyncClient, login: str, password: str
) -> None:
    page = await client.get("/login")
    answer = await post(client, "/login", page, login=login, password=password)
    assert answer.status_code == 422
    assert "není správné" in answer.text and password not in answer.text
    assert "pater_step" not in client.cookies


async def test_a_wrong_code_opens_no_session(client: httpx.AsyncClient, home: House) -> None:
    page = await client.get("/login")
    await post(client, "/login", page, login="patient", password=PASSWORD)
    for code in ("000000", "12345", "١٢٣٤٥٦"):
        answer = await post(client, "/login/code", await client.get("/login/code"), code=code)
        assert answer.status_code == 422
    assert not home.logins.sessions and "pater_session" not in client.cookies


async def test_the_second_step_expires_and_belongs_to_one_visit(
    client: httpx.AsyncClient, home: House
) -> None:
    assert (await client.get("/login/code")).headers["location"] == "/login"
    page = await client.get("/login")
    await post(client, "/login", page, login="patient", password=PASSWORD)
    step = client.cookies["pater_step"]
    transport = httpx.ASGITransport(home.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as other:
        other.cookies.set("pater_step", step)
        assert (await other.get("/login/code")).status_code == 303
    home.pass_time(timedelta(minutes=6))
    assert (await client.get("/login/code")).status_code == 303
    client.cookies.clear()
    client.cookies.set("pater_step", step[:-1] + ("0" if step[-1] != "0" else "1"))
    assert (await client.get("/login/code")).status_code == 303


async def test_logout_ends_the_session_everywhere(client: httpx.AsyncClient, home: House) -> None:
    await enter(client)
    token = client.cookies["pater_session"]
    answer = await post(client, "/logout", await client.get("/patient"))
    assert answer.status_code == 303 and not home.logins.sessions
    client.cookies.set("pater_session", token)
    assert (await client.get("/patient")).status_code == 303


async def test_a_form_without_its_proof_is_refused(client: httpx.AsyncClient) -> None:
    for path in ("/login", "/login/code", "/logout", "/note", "/"):
        assert (await client.post(path, data={"name": "x"})).status_code == 403
    await enter(client)
    page = await client.get("/patient")
    assert (await client.post("/note", data={"name": "x", "csrf": "0" * 64})).status_code == 403
    assert (await client.post("/note", data={"name": "x", "csrf": ""})).status_code == 403
    body = {"name": "x", "csrf": token_of(page)}
    elsewhere = {"sec-fetch-site": "cross-site"}
    assert (await client.post("/note", data=body, headers=elsewhere)).status_code == 403
    answer = await client.post("/note", data={**body, "name": "<i>š</i>"})
    assert answer.status_code == 200 and "&lt;i&gt;š&lt;/i&gt;" in answer.text


async def test_the_proof_of_one_visitor_is_none_for_another(home: House) -> None:
    transport = httpx.ASGITransport(home.app)
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as one,
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as two,
    ):
        proof = token_of(await one.get("/login"))
        await two.get("/login")
        fields = {"csrf": proof, "login": "patient", "password": PASSWORD}
        assert (await two.post("/login", data=fields)).status_code == 403
        assert (await one.post("/login", data=fields)).status_code == 303


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example",
        "/\t/evil.example", "javascript:alert(1)", "/a\nSet-Cookie: x", "evil", " /x", "/%0d\r\n",
    ],
)  # fmt: skip
async def test_redirects_stay_on_this_site(client: httpx.AsyncClient, target: str) -> None:
    answer = await client.get("/language", params={"lang": "en", "next": target})
    assert answer.headers["location"] == "/"
    answer = await enter(client, target=target)
    assert answer.headers["location"] == "/patient"


async def test_bodies_of_forms_are_bounded_and_plain(client: httpx.AsyncClient) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    for body, status in (
        (b"csrf=" + b"a" * 70_000, 413),
        (b"csrf=%ff", 400),
        (b"csrf=\xc5\x99", 400),
        (b"csrf=a&csrf=b", 400),
        (b"csrf=a%00", 400),
        (b"&".join(b"f%d=1" % n for n in range(300)), 400),
    ):
        answer = await client.post("/login", content=body, headers=kind)
        assert answer.status_code == status, body[:40]
    assert (await client.post("/login", json={"csrf": "a"})).status_code == 400


async def test_language_is_cookie_then_browser_then_czech(client: httpx.AsyncClient) -> None:
    async def lang(header: str) -> str:
        page = await client.get("/login", headers={"accept-language": header})
        found = re.search(r'<html lang="(\w+)"', page.text)
        assert found
        return found[1]

    assert await lang("") == "cs"
    assert await lang("en-GB,en;q=0.9") == "en"
    assert await lang("de,en;q=0.1,cs;q=0.5") == "cs"
    assert await lang("sk") == "cs"
    assert await lang("q;;=,;q=x") == "cs"
    answer = await client.get("/language", params={"lang": "en", "next": "/login?next=/x"})
    assert answer.headers["location"] == "/login?next=/x"
    assert await lang("cs") == "en"
    await client.get("/language", params={"lang": "xx"})
    assert await lang("cs") == "en"


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/nowhere", 404, "Stránka neexistuje"),
        ("/static/../app.py", 404, "Stránka neexistuje"),
        ("/static/build/none.css", 404, "Stránka neexistuje"),
        ("/refused/missing", 404, "Stránka neexistuje"),
        ("/refused/forbidden", 403, "nemůžete otevřít"),
        ("/refused/conflict", 409, "změnil někdo jiný"),
        ("/logout", 405, "udělat nejde"),
    ],
)
async def test_errors_are_pages_in_plain_words(
    client: httpx.AsyncClient, path: str, status: int, words: str
) -> None:
    answer = await client.get(path)
    assert answer.status_code == status and words in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    if status == 405:
        assert answer.headers["allow"] == "POST"


async def test_an_unexpected_error_tells_nothing_but_a_number(
    client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    await enter(client)
    answer = await client.get("/broken", headers={"x-request-id": "abc-123"})
    assert answer.status_code == 500 and "abc-123" in answer.text
    assert answer.headers["x-request-id"] == "abc-123"
    assert answer.headers["x-content-type-options"] == "nosniff"
    logged = capsys.readouterr().out
    assert "RuntimeError" in logged and "abc-123" in logged
    for text in (answer.text, logged):
        assert "Traceback" not in text and "805203" not in text and "Svobodov" not in text


async def test_when_sessions_cannot_be_read_the_page_says_so(home: House) -> None:
    async def fail(token: str) -> None:
        raise ConnectionError("database is away")

    home.logins.read = fail  # type: ignore[method-assign]  # the database went away
    transport = httpx.ASGITransport(home.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        client.cookies.set("pater_session", "x")
        answer = await client.get("/", headers={"accept-language": "en"})
    assert answer.status_code == 500 and "Something went wrong on our side" in answer.text


async def test_cookies_are_guarded_and_over_https_bound_to_the_host() -> None:
    home = house(base_url="https://pater.example")
    transport = httpx.ASGITransport(home.app)
    async with httpx.AsyncClient(transport=transport, base_url="https://pater.example") as client:
        answer = await enter(client)
        page = await client.get("/patient")
    cookie = next(c for c in answer.headers.get_list("set-cookie") if "_session=" in c)
    assert cookie.startswith("__Host-pater_session=")
    for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert part in cookie
    assert "Domain" not in cookie
    assert page.headers["strict-transport-security"].startswith("max-age=")
    assert page.headers["cache-control"] == "no-store"


async def test_a_page_without_a_form_sets_no_cookie(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert "set-cookie" not in answer.headers
    assert "set-cookie" in (await client.get("/login")).headers


async def test_pages_hold_no_inline_script_or_style(client: httpx.AsyncClient) -> None:
    await enter(client)
    for path in ("/", "/patient", "/nowhere"):
        text = (await client.get(path)).text
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", text, re.I)
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', text)


async def test_static_files_are_cached_for_ever_by_their_hash(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    found = re.search(r'href="(/static/pater\.css\?v=\w+)"', page.text)
    assert found
    answer = await client.get(found[1], headers={"accept-encoding": "gzip"})
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip" and ".skip" in answer.text
    plain = await client.get("/static/pater.css", headers={"accept-encoding": "identity"})
    assert plain.headers["cache-control"] == "no-cache" and plain.text == answer.text
    again = await client.get(found[1], headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    sheet = (await client.get("/static/build/gov.css")).text
    for font in re.findall(r"url\('([^']+)'\)", sheet):
        file = await client.get("/static/build/" + font)
        assert file.headers["content-type"] == "font/woff2" and "immutable" in str(file.headers)


async def test_demonstration_accounts_show_only_in_a_demonstration() -> None:
    for demo in (True, False):
        transport = httpx.ASGITransport(house(demo=demo).app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            text = (await client.get("/")).text
        assert (PASSWORD in text) is demo and ("Smyšlení lidé" in text) is demo


async def test_other_protocols_pass_the_guard_untouched() -> None:
    from pater.web.guard import Guard

    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    guard = Guard(app, failure=None, secure=False)  # type: ignore[arg-type]  # not reached
    await guard({"type": "lifespan"}, None, None)  # type: ignore[arg-type]  # not used
    assert seen == ["lifespan"]
