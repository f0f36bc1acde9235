"""An open house whose register of providers is filled from files that the tests write."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from pater.access.caller import Caller
from pater.access.tokens import Tokens
from pater.app import House, build, open_house
from pater.clock import now
from pater.domains.directory.importing import Report, Task, run
from pater.registers.providers.index import NAME, Index
from pater.settings import Settings
from pater.store.database import Database
from pater.store.feed import advance, read_feed
from tests.rest.world import CLINICIAN, HOSPITAL, LOADER

BASE = "http://127.0.0.1:8080"
ICO_A, ICO_B = "27520536", "00064203"
KRZP = "112345673"

PLACES: list[dict[str, str]] = [
    {
        "ZZ_ID": "1001", "poskytovatel_ICO": ICO_A, "poskytovatel_nazev": "Nemocnice Podlesí a.s.",
        "ZZ_nazev": "Nemocnice Podlesí", "ZZ_druh_kod": "102", "ZZ_druh_nazev": "Nemocnice",
        "ZZ_obec": "Javorné", "ZZ_PSC": "99901", "ZZ_ulice": "Lesní",
        "ZZ_cislo_domovni_orientacni": "1", "ZZ_RUIAN_kod": "41000001",
        "ZZ_GPS": "POINT(50.10 14.40)", "ZZ_datum_zahajeni_cinnosti": "2012-04-01",
        "ZZ_obor_pece": "kardiologie, vnitřní lékařství", "ZZ_forma_pece": "ambulantní, lůžková",
        "ZZ_druh_pece": "specializovaná", "poskytovatel_telefon": "+420 555 000 001",
        "opravneni_cislo": "KU/12/2012", "spravni_organ": "Krajský úřad Podlesí",
        "oteviraci_doba": "Po-Pá 7:00-15:00", "oddeleni": "Interna (42); JIP (8)",
        "pristroje": "CT; magnetická rezonance", "vymenna_sit": "https://a.example.cz/fhir",
    },
    {
        "ZZ_ID": "1002", "poskytovatel_ICO": ICO_A, "poskytovatel_nazev": "Nemocnice Podlesí a.s.",
        "ZZ_nazev": "Ambulance Horní Lhotka", "ZZ_druh_kod": "320",
        "ZZ_druh_nazev": "Samostatná ordinace", "ZZ_obec": "Horní Lhotka", "ZZ_PSC": "99927",
        "ZZ_GPS": "POINT(50.20 14.40)", "ZZ_obor_pece": "kardiologie",
        "oteviraci_doba": "Po-Ne 18:00-2:00",
    },
    {
        "ZZ_ID": "1003", "poskytovatel_ICO": ICO_B, "poskytovatel_nazev": "Lékárna U Dubu s.r.o.",
        "ZZ_nazev": "Lékárna U Dubu", "ZZ_druh_nazev": "Lékárna", "ZZ_obec": "Jílový Brod",
        "ZZ_PSC": "99922", "ZZ_GPS": "POINT(49.20 16.60)", "ZZ_obor_pece": "lékárenská péče",
        "oteviraci_doba": "nonstop",
    },
]  # fmt: skip
PEOPLE: list[dict[str, str]] = [
    {
        "krzp": KRZP, "titul_pred": "MUDr.", "jmeno": "Alena", "prijmeni": "Horáková",
        "pohlavi": "Z", "datum_narozeni": "1975-03-02",
        "odborna_zpusobilost": "všeobecné lékařství (1999)",
        "specializovana_zpusobilost": "kardiologie (2006)", "komora": "CLK",
        "komora_cislo": "1234567890", "povolani_kod": "L1", "povolani": "lékař",
        "obor": "kardiologie", "zamestnavatel_ico": ICO_A, "misto": "1001",
        "zamestnan_od": "2010-09-01",
    },
    {
        "krzp": "112345684", "jmeno": "Petr", "prijmeni": "Malý", "povolani": "sestra",
        "datum_narozeni": "1990-01-01", "zamestnavatel_ico": ICO_B,
    },
]  # fmt: skip


def columns(rows: Sequence[dict[str, str]]) -> list[str]:
    """All columns of the rows, in the order in which they come."""
    return list(dict.fromkeys(name for row in rows for name in row))


def write(
    path: Path,
    rows: Sequence[dict[str, str]],
    *,
    encoding: str = "utf-8",
    header: Sequence[str] | None = None,
    delimiter: str = ",",
) -> Path:
    """The rows as a CSV file."""
    names = list(header or columns(rows))
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, names, delimiter=delimiter, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


@dataclass
class Desk:
    """The house as importers, systems and visitors meet it."""

    house: House
    http: httpx.AsyncClient
    folder: Path

    @property
    def db(self) -> Database:
        return self.house.db

    async def take(self, rows: Sequence[dict[str, str]], **task: Any) -> Report:
        """Imports rows, and lets the index follow."""
        path = write(self.folder / "file.csv", rows)
        return await self.file(Task(path, **task))

    async def file(self, task: Task) -> Report:
        """Runs an import, and lets the index follow."""

        async def told(_: Report) -> None:
            return None

        report = await run(self.house.services, task, told)
        await self.follow()
        return report

    async def follow(self) -> None:
        """What the listener does meanwhile in a running house."""
        index = Index(self.db)
        while events := await read_feed(self.db, NAME, 100):
            for event in events:
                await index.handle(event)
                await advance(self.db, NAME, event)

    async def call(
        self, method: str, path: str, caller: Caller = HOSPITAL, **options: Any
    ) -> httpx.Response:
        """What an address answers to a caller."""
        token = Tokens(self.house.keys, BASE, now).issue(caller)
        return await self.http.request(
            method, path, headers={"Authorization": f"Bearer {token}"}, **options
        )

    async def get(self, path: str, caller: Caller = HOSPITAL) -> dict[str, Any]:
        """A resource or Bundle of the API."""
        answer = await self.call("GET", f"/fhir/{path}", caller)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def ids(self, path: str, caller: Caller = HOSPITAL) -> list[str]:
        """The ids of what a search finds, sorted."""
        found = await self.get(path, caller)
        return sorted(each["resource"]["id"] for each in found.get("entry", ()))


@pytest.fixture(scope="module")
async def house(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[House, httpx.AsyncClient]]:
    settings = Settings(data=tmp_path_factory.mktemp("directory"), demo=True)
    async with open_house(settings, module_database.dsn) as opened:
        transport = httpx.ASGITransport(build(opened))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
            yield opened, http


@pytest.fixture
async def desk(house: tuple[House, httpx.AsyncClient], tmp_path: Path) -> Desk:
    """The house with an empty register."""
    made = Desk(*house, tmp_path)
    for table in ("directory_entry", "directory_run", "directory_seen", "directory_change",
                  "directory_born", "directory_dispute", "provider_organization",
                  "provider_place", "provider_offer", "provider_role", "resource", "history",
                  "string_index", "date_index", "number_index", "code_index", "feed"):  # fmt: skip
        await made.db.execute(f"delete from {table}")
    return made


def as_(caller: Caller, **more: Any) -> Caller:
    """The caller with something else."""
    return replace(caller, **more)


__all__ = ["CLINICIAN", "HOSPITAL", "LOADER", "Desk"]
