"""Pages, documents and questions of rights tell of what is withheld as little as the API does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import httpx
import pytest

from pater.access.caller import Caller
from pater.app import workers
from pater.fhir.definitions import RESOURCE_TYPES
from pater.fhir.search.query import parse_search
from pater.fhir.search.request import SearchError
from pater.records.errors import NotFound, RecordsError
from pater.records.gate import Page
from pater.registers.identifiers import rid_from
from pater.store.embedded import EmbeddedPostgres
from pater.store.read import Stored
from tests.conftest import Clock, fresh_database
from tests.leaks.questions import Question, further, questions
from tests.leaks.served import BASE, KINDS, Served, hidden, number, served
from tests.leaks.twins import THIRD, Item, normalised
from tests.rest.world import CLINICIAN, HOSPITAL, LOADER, patient_caller
from tests.waiting import until

MOMENT = datetime(2026, 5, 15, 9, tzinfo=UTC)
_HEADERS = ("content-type", "content-disposition", "etag", "last-modified", "location",
            "content-length", "cache-control")  # fmt: skip
_ONCE = re.compile(r'(name="(?:csrf|key)" value="|nonce-|nonce=")[^"\']*')


@dataclass
class Houses:
    """The house, and its twins: without what is held back, and without records at all."""

    full: Served
    veiled: Served
    empty: Served


@pytest.fixture(scope="module")
async def houses(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Houses]:
    """Three houses, written in the same order at the same time."""
    kinds: list[tuple[Callable[[str, Item], bool], bool]] = [
        (lambda who, item: True, True),
        (lambda who, item: not hidden(who, item), False),
        (lambda who, item: False, False),
    ]
    async with AsyncExitStack() as stack:
        made = []
        for kept, declared in kinds:
            db = await stack.enter_async_context(fresh_database(postgres, template))
            folder: Path = tmp_path_factory.mktemp("house")
            house = served(db, Clock(MOMENT), folder, kept, declared=declared)
            made.append(await stack.enter_async_context(house))
        yield Houses(*made)


Told = tuple[int, dict[str, str], str, int]


async def told(house: Served, ask: Callable[[Served], object]) -> Told:
    """An answer as it can be compared, with the number of statements that it took."""
    begun = len(house.statements)
    answer = await ask(house)  # type: ignore[misc] # a coroutine
    assert isinstance(answer, httpx.Response)
    await asyncio.sleep(0)
    took = len(house.statements) - begun
    headers = {k: normalised(v) for k, v in answer.headers.items() if k in _HEADERS}
    headers["names"] = " ".join(sorted(answer.headers))
    if answer.headers.get("content-type") == "application/pdf":
        text = re.sub(rb"/ID\s*\[[^\]]*\]|/(?:Creation|Mod)Date\s*\([^)]*\)", b"", answer.content)
        return answer.status_code, headers, str(hash(text)), took
    return answer.status_code, headers, normalised(_ONCE.sub(r"\1", answer.text)), took


async def alike(one: Served, other: Served, asks: dict[str, Callable[[Served], object]]) -> None:
    """Asks both houses the same, and tells what is answered differently."""
    different = []
    for name, ask in asks.items():
        for _ in range(3):  # a connection that is new asks for itself
            first, second = await told(one, ask), await told(other, ask)
            if first == second or first[:3] != second[:3]:
                break
        assert first[0] < 500, (name, first)
        if first != second:
            at = next((i for i, (a, b) in enumerate(zip(first[2], second[2], strict=False))
                       if a != b), 0)  # fmt: skip
            near = slice(max(0, at - 80), at + 120)
            if first[1] != second[1]:
                different.append(f"{name}: {first[1]}\n   {second[1]}")
            elif first[2] != second[2]:
                different.append(f"{name}: …{first[2][near]}\n   …{second[2][near]}")
            else:
                different.append(f"{name}: {first[0]} {second[0]}, {first[3]} {second[3]}")
    if different:
        pytest.fail(f"{len(different)}\n" + "\n".join(different[:9]), pytrace=False)


def shown(login: str, path: str, method: str = "") -> Callable[[Served], object]:
    return lambda house: house.page(login, path, method=method)


def sent(login: str, path: str, **form: str) -> Callable[[Served], object]:
    return lambda house: house.page(login, path, form)


def documents(login: str, portal: str, who: str) -> dict[str, Callable[[Served], object]]:
    """All that can be asked of each document of a person on pages."""
    asks = {}
    for place, name in enumerate(KINDS):
        here = f"/{portal}/documents/{name}-{who}"
        ways = ["", "/json", "/original/0"] + (["/pdf"] if place % 3 == 0 else [])
        asks |= {f"{here}{way}": shown(login, here + way) for way in ways}
        asks[f"HEAD {here}"] = shown(login, here, "HEAD")
    return asks


def found(login: str, who: str, purpose: str) -> dict[str, Callable[[Served], object]]:
    """The way of a professional to a person's record."""
    by = {"by": "name", "family": f"Tichá{who}", "born": "1980-02-01", "given": "", "kind": "rid",
          "value": "", "purpose": purpose}  # fmt: skip
    return {
        "find": sent(login, "/professional", **by),
        "find nobody": sent(login, "/professional", **by | {"family": "Nikdová"}),
        "open": sent(login, "/professional/open", patient=who, purpose=purpose),
        "patient": shown(login, "/professional/patient"),
        "arrivals": shown(login, "/professional/arrivals"),
    }


@pytest.mark.parametrize("who", ["optout", "category", "document", "provider", "restricted"])
async def test_a_professionals_pages_show_no_trace(houses: Houses, who: str) -> None:
    asks = found("clinician", who, "TREAT") | documents("clinician", "professional", who)
    await alike(houses.full, houses.veiled, asks)
    page = await houses.full.page("clinician", "/professional/patient")
    assert "Listina ours" in page.text
    assert ("Listina lab" in page.text) == (who in ("document", "restricted"))


async def test_who_has_no_relation_cannot_tell_whether_there_is_a_record(houses: Houses) -> None:
    asks = found("elsewhere", "optout", "TREAT")
    asks |= documents("elsewhere", "professional", "optout")
    await alike(houses.full, houses.empty, asks)


@pytest.mark.parametrize(("login", "who"), [("mother", "child"), ("friend", "kin")])
async def test_who_acts_for_somebody_sees_no_trace_of_the_rest(
    houses: Houses, login: str, who: str
) -> None:
    asks = documents(login, "patient", who)
    paths = ("/patient", "/patient/access", "/patient/will", "/patient/notices", "/apps",
             "/patient/proxies", "/patient/access/export?format=csv")  # fmt: skip
    asks |= {path: shown(login, path) for path in paths}
    await alike(houses.full, houses.veiled, asks)
    page = await houses.full.page(login, "/patient")
    assert "Listina ours" in page.text and "Listina lab" not in page.text
    assert ("Listina secret" in page.text) == (who == "kin")


@pytest.mark.parametrize("login", ["stranger", "administrator", "officer"])
async def test_others_pages_do_not_tell_whether_there_is_a_record(
    houses: Houses, login: str
) -> None:
    portal = "patient" if login == "stranger" else "professional"
    asks = documents(login, portal, "category")
    asks |= {path: shown(login, path) for path in (
        "/patient", "/professional/patient", "/patient/directives/will-category/paper",
        "/patient/access?provider=x")}  # fmt: skip
    await alike(houses.full, houses.empty, asks)


def asked(caller: Caller, path: str, **more: Any) -> Callable[[Served], object]:
    return lambda house: house.call(more.get("method", "GET"), path, caller, more.get("body"),
                                    **more.get("headers", {}))  # fmt: skip


def rights(caller: Caller, who: str) -> dict[str, Callable[[Served], object]]:
    """Whether a provider may do something with documents of a person, in both ways of asking."""
    asks = {}
    for kind in ("11502-2", "34105-7", "34108-1"):
        for grantor in (number(who), rid_from(9_990_000_000)):
            query = (
                f"/opravneni/over?idSluzbyEZ=read&idTypuDokumentace={kind}"
                f"&opravnujiciOsoba.role=Pacient&opravnujiciOsoba.hodnota={grantor}"
                f"&opravnenaOsoba.role=PZS&opravnenaOsoba.hodnota={caller.organization}"
            )
            asks[query] = asked(caller, query)
    given = {"service": "read", "document": "11502-2", "grantorRole": "Pacient",
             "grantor": number(who), "granteeRole": "PZS",
             "grantee": caller.organization}  # fmt: skip
    may = {"resourceType": "Parameters", "parameter": [
        {"name": name, "valueCode" if name in ("service", "document", "grantorRole", "granteeRole")
         else "valueString": value} for name, value in given.items()]}  # fmt: skip
    asks["$may"] = asked(caller, "/fhir/$may", method="POST", body=may)
    return asks


@pytest.mark.parametrize("who", ["optout", "category", "provider", "exception", "restricted"])
async def test_a_question_of_rights_does_not_tell_the_will(houses: Houses, who: str) -> None:
    await alike(houses.full, houses.veiled, rights(HOSPITAL, who))
    # whoever has no relation learns neither whether there is a record nor whether anything is said
    await alike(houses.full, houses.empty, rights(replace(HOSPITAL, organization=THIRD), who))


@pytest.mark.parametrize("who", ["child", "kin"])
async def test_the_gate_shows_who_acts_for_somebody_no_trace_either(
    houses: Houses, who: str
) -> None:
    """Of pages there are few: what they are made of is asked all that can be asked."""
    login = "mother" if who == "child" else "friend"
    caller = await houses.full.caller(login)
    assert (caller.role, caller.person) == ("proxy", houses.full.persons[who])
    assert await houses.veiled.caller(login) == caller
    different, total = {}, 0
    for each in [*questions(who), *further(who)]:
        for _ in range(4):  # names and connections are ready later
            first = await of_the_gate(houses.full, caller, each)
            second = await of_the_gate(houses.veiled, caller, each)
            if first == second:
                break
        else:
            different[each.name] = first, second
        total += isinstance(first, tuple)
    assert total > 120
    assert not different, list(different.items())[:5]
    for id, seen in ((f"part-{who}", True), (f"lab-{who}", False)):
        try:
            await houses.full.gate.read(caller, "Observation", id)
        except NotFound:
            assert not seen
        else:
            assert seen


async def of_the_gate(house: Served, caller: Caller, question: Question) -> tuple[Any, ...] | None:
    """What the gate gives for a search or a reading: ids, a total, statements; or its refusal."""
    address = urlsplit(question.path)
    match address.path.strip("/").split("/"):
        case _ if question.method != "GET":
            return None
        case [type_] if type_ in RESOURCE_TYPES and "_cursor" not in address.query:
            pairs = [each for each in parse_qsl(address.query) if each[0] != "_format"]
            ask: Callable[[], Any] = lambda: house.gate.search(  # noqa: E731
                caller, parse_search(type_, pairs), count=50
            )
        case [type_, id]:
            ask = lambda: house.gate.read(caller, type_, id)  # noqa: E731
        case [type_, id, "_history"]:
            ask = lambda: house.gate.history(caller, type_, id, 10, None)  # noqa: E731
        case [type_, id, "_history", version] if version.isdigit():
            ask = lambda: house.gate.vread(caller, type_, id, int(version))  # noqa: E731
        case _:
            return None
    begun = len(house.statements)
    try:
        found = await ask()
    except (RecordsError, SearchError) as error:
        found = error
    took = len(house.statements) - begun
    if isinstance(found, Exception):
        return type(found).__name__, str(found), took
    if isinstance(found, Stored):
        return found.id, found.version, found.body, took
    if isinstance(found, Page):
        ids = [f"{each.type}/{each.id}" for each in (*found.matches, *found.included)]
        return ids, found.total, bool(found.next), took
    return [(each.id, each.version) for each in found.versions], found.total, took


async def test_seals_of_documents_are_told_only_with_the_documents(houses: Houses) -> None:
    ways = ("/$seal", "/_history/1", "/_history", "")
    for who in ("optout", "restricted"):
        asks = {f"{name}{way}": asked(HOSPITAL, f"/fhir/Bundle/{name}-{who}{way}")
                for name in KINDS for way in ways}  # fmt: skip
        await alike(houses.full, houses.veiled, asks)


async def test_others_journals_and_jobs_look_like_none(houses: Houses) -> None:
    """Ids that nobody can guess tell nothing when somebody has them all the same."""
    house = houses.full
    begun = await house.call("GET", "/fhir/$export", LOADER)
    assert begun.status_code == 202, begun.text
    job = begun.headers["content-location"].rsplit("/", 1)[1]
    await house.call("GET", "/fhir/Observation/lab-category", HOSPITAL)
    found = await house.call("GET", "/fhir/AuditEvent?patient=Patient/category&_count=1", LOADER)
    entry = str(found.json()["entry"][0]["resource"]["id"])
    other = replace(HOSPITAL, id="hospital-c", organization=THIRD, scopes=("system/*.cruds",))
    patient = patient_caller(house.persons["stranger"], "stranger")
    for ways, id in (
        ([asked(each, path.format("ID")) for each in (other, patient, replace(CLINICIAN))
          for path in ("/fhir/bulk/{}", "/fhir/bulk/{}/Patient.ndjson", "/fhir/async/{}")], job),
        ([asked(each, path.format("ID")) for each in (other, patient) for path in (
            "/fhir/AuditEvent/{}", "/audit/log/proof?entry={}", "/fhir/AuditEvent?_id={}")]
         + [shown("stranger", path.format("ID")) for path in (
             "/patient/access/{}", "/patient/access/{}/proof")]
         + [sent("stranger", "/patient/access/ID/dispute", text="Nebyla jsem tam.")], entry),
    ):  # fmt: skip
        for ask in ways:
            seen = []
            for name in (id, str(uuid4())):
                with renamed(house, name):
                    seen.append(await told(house, ask))
            first, second = seen
            assert first[0] in (403, 404) or '"entry":' not in first[2], first
            assert first[:3] == second[:3]


@contextmanager
def renamed(house: Served, id: str) -> Iterator[None]:
    """Whatever is asked for as ID is asked for by this id."""
    ways = {name: getattr(house.http, name) for name in ("request", "post")}

    def of(name: str) -> Callable[..., Any]:
        def sent(*words: Any, **more: Any) -> Any:
            return ways[name](*(w.replace("ID", id) for w in words), **more)

        return sent

    with (
        patch.object(house.http, "request", of("request")),
        patch.object(house.http, "post", of("post")),
    ):
        yield


async def test_what_an_emergency_opened_is_closed_again_without_a_trace(houses: Houses) -> None:
    house, who = houses.full, "category"
    caller = replace(HOSPITAL, id="hospital-c", organization=THIRD, purpose="ETREAT",
                     scopes=("system/*.rs",))  # fmt: skip
    asks = [asked(caller, f"/fhir{each.path}") for each in questions(who)[:40:2]
            if each.method == "GET" and not each.headers]  # fmt: skip
    before = [await told(house, each) for each in asks]
    opened = await house.call("POST", f"/fhir/Patient/{who}/$emergency-access", caller, {
        "resourceType": "Parameters", "parameter": [
            {"name": "reason", "valueString": "unconscious, allergies needed"},
            {"name": "hours", "valueInteger": 1}]})  # fmt: skip
    assert opened.status_code == 200, opened.text
    try:
        during = [await told(house, each) for each in asks]
        assert [x[:3] for x in during] != [x[:3] for x in before]
        seen = await house.call("GET", f"/fhir/Observation/lab-{who}", caller)
        assert seen.status_code == 200
        # an override of one provider is none of another
        other = await house.call("GET", f"/fhir/Observation/lab-{who}", HOSPITAL)
        assert other.status_code == 404
        house.clock.move(hours=1)
        after = [await told(house, each) for each in asks]
    finally:
        house.clock.now = MOMENT
    assert [x[:3] for x in after] == [x[:3] for x in before]


async def answered(house: Served, place: str, caller: Caller) -> httpx.Response | None:
    """What lies at the address of an answer that comes later, when it is there."""
    said = await house.call("GET", place, caller)
    return None if said.status_code == 202 else said


@pytest.mark.parametrize("who", ["optout", "category", "restricted"])
async def test_answers_that_come_later_hold_nothing_that_is_held_back(
    houses: Houses, who: str
) -> None:
    caller = replace(HOSPITAL, scopes=("system/*.rs",))
    results = []
    for house in (houses.full, houses.veiled):
        kept = []
        async with workers(house.house):
            for path, more in (
                (f"/fhir/Observation?patient={who}&_total=accurate", {"prefer": "respond-async"}),
                (f"/fhir/Bundle?_id=lab-{who},ours-{who}", {"prefer": "respond-async"}),
                (f"/fhir/Patient/$export?patient=Patient/{who}", {"prefer": "respond-async"}),
            ):
                begun = await house.call("GET", path, caller, **more)
                if begun.status_code != 202:
                    kept.append(f"{begun.status_code} {normalised(begun.text)}")
                    continue
                place = begun.headers["content-location"].removeprefix(BASE)
                answer = await until(partial(answered, house, place, caller))
                kept.append(f"{answer.status_code} {normalised(answer.text)}")
                for each in answer.json().get("output", ()):
                    lines = await house.call("GET", each["url"].removeprefix(BASE), caller)
                    kept.append(normalised(lines.text))
        results.append(kept)
    assert results[0] == results[1]
    assert any("ours-" in each for each in results[0]), results[0]
