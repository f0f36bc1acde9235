"""The addresses of the transparency log, and the command that verifies it from outside."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import httpx
import pytest
from click.testing import CliRunner, Result
from starlette.applications import Starlette

from pater.access.transparency.heads import from_json
from pater.access.transparency.log import LogKeys, TransparencyLog
from pater.cli import main
from pater.domain import Services
from pater.rest.audit_log import parts
from pater.store.database import Database
from pater.store.files import Files
from pater.trust.log_keys import public_keys
from pater.trust.merkle import verify_consistency, verify_inclusion
from tests import completeness
from tests.conftest import Clock
from tests.rest.world import BASE, HOSPITAL, INSURER, LOADER, World, patient_caller, world

SITE = "http://api.test"


@pytest.fixture
async def api(database: Database, clock: Clock) -> AsyncIterator[World]:
    async with world(database, clock) as found:
        yield found


@pytest.fixture
def log(api: World, tmp_path: Path) -> TransparencyLog:
    (tmp_path / "keys").mkdir()
    keys = LogKeys.of_folder(tmp_path / "keys", api.clock)
    return TransparencyLog.of(api.db, keys, api.clock)


@pytest.fixture
async def site(
    api: World, log: TransparencyLog, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    services = Services(
        gate=api.gate,
        db=api.db,
        base_url=BASE,
        strict_identifiers=True,
        next_person=api.committer.next_person,
        clock=api.clock,
        random=Random(1),
        new_id=lambda: str(uuid4()),
        verify=api.tokens.verify,
        files=Files(tmp_path / "files"),
        log=log,
    )
    app = Starlette(routes=list(parts(services, log).routes))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=SITE) as http:
        yield http


async def looked(api: World) -> tuple[str, int, str]:
    """A patient, their number, and the AuditEvent of a hospital's look at their record."""
    patient = (await api.patient())["id"]
    person = await api.person_of(patient)
    answer = await api.call("GET", f"/Patient/{patient}", caller=HOSPITAL)
    assert answer.status_code == 200
    found = await api.call("GET", f"/AuditEvent?patient=Patient/{patient}&action=R")
    return patient, person, found.json()["entry"][0]["resource"]["id"]


async def test_somebody_who_trusts_only_the_key_checks_an_entry(
    api: World, log: TransparencyLog, site: httpx.AsyncClient
) -> None:
    patient, person, event = await looked(api)
    me = api.headers(patient_caller(person, patient))
    waiting = await site.get("/audit/log/proof", params={"entry": event}, headers=me)
    assert (waiting.status_code, waiting.headers["retry-after"]) == (404, "60")
    await log.keeper.advance()
    api.clock.move(minutes=1)
    first = (await site.get("/audit/log/head")).json()
    answer = await site.get("/audit/log/proof", params={"entry": event}, headers=me)
    assert answer.status_code == 200, answer.text
    proof = answer.json()
    keys = public_keys((await site.get("/audit/log/keys")).json())
    head = from_json(proof["head"]).verified(keys)
    leaf = sha256(b"\0" + proof["entry"].encode()).digest()
    path = [base64.b64decode(hash) for hash in proof["path"]]
    assert verify_inclusion(leaf, proof["leaf"], proof["size"], path, head.root)
    said = json.loads(proof["entry"])
    assert HOSPITAL.name in said
    assert patient in said
    # the reading of the proof is an entry as well, and later trees begin with the earlier
    await log.keeper.advance()
    last = (await site.get("/audit/log/head")).json()
    old, new = (from_json(one).verified(keys) for one in (first, last))
    assert new.size > old.size
    between = await site.get(f"/audit/log/consistency?first={old.size}&second={new.size}")
    steps = [base64.b64decode(hash) for hash in between.json()["path"]]
    assert verify_consistency(old.size, new.size, old.root, new.root, steps)
    heads = (await site.get("/audit/log/heads?after=1")).json()["heads"]
    assert heads == [last]
    assert (await site.get("/audit/log/head?number=1")).json() == first
    by_old = {"entry": event, "size": old.size}
    again = (await site.get("/audit/log/proof", params=by_old, headers=me)).json()
    assert again["size"] == old.size
    read = await api.journal(person=person, entity_type="AuditEvent", entity_id=event)
    assert len(read) == 3  # also the one that had no proof yet


async def test_only_who_may_read_an_entry_gets_its_proof(
    api: World, log: TransparencyLog, site: httpx.AsyncClient
) -> None:
    _, _, event = await looked(api)
    other = (await api.patient())["id"]
    stranger = patient_caller(await api.person_of(other), other)
    await log.keeper.advance()
    url = f"/audit/log/proof?entry={event}"
    assert (await site.get(url)).status_code == 401
    assert (await site.get(url, headers=api.headers(stranger))).status_code == 404
    assert (await site.get(url, headers=api.headers(INSURER))).status_code == 403
    assert (await site.get(url, headers=api.headers(LOADER))).status_code == 200
    absent = f"/audit/log/proof?entry={uuid4()}"
    assert (await site.get(absent, headers=api.headers(LOADER))).status_code == 404


ODD = (
    ("head", 404),
    ("head?number=x", 400),
    ("head?number=99999999999999999999", 400),
    ("heads", 200),
    ("heads?after=-1", 400),
    ("consistency", 400),
    ("consistency?first=1&second=2", 404),
    ("consistency?first=0&second=٣", 400),
    ("proof?entry=x", 400),
    ("proof", 400),
    ("proof?entry=00000000-0000-0000-0000-000000000000&size=zzz", 400),
)


async def test_what_cannot_be_asked_is_answered_clearly(
    api: World, site: httpx.AsyncClient
) -> None:
    for path, status in ODD:
        answer = await site.get(f"/audit/log/{path}", headers=api.headers(LOADER))
        assert answer.status_code == status, (path, answer.text)
        if status >= 400:
            assert answer.json()["resourceType"] == "OperationOutcome"


async def command(db: Database, data: Path, *arguments: str | Path, **more: str) -> Result:
    """The command beside this database."""
    settings = {"PATER_DATABASE_URL": db.dsn, "PATER_DATA": str(data), **more}

    def run() -> Result:
        return CliRunner().invoke(main, ["audit", *map(str, arguments)], env=settings)

    return await asyncio.to_thread(run)


async def test_the_log_is_verified_from_outside(
    api: World, log: TransparencyLog, tmp_path: Path
) -> None:
    await looked(api)
    await log.keeper.advance()
    await log.keeper.stamp_hourly()
    api.clock.move(minutes=1)
    await looked(api)
    kept: Any = await log.keeper.advance()
    done = await command(api.db, tmp_path, "verify")
    assert done.exit_code == 0, done.output
    assert "nothing is wrong" in done.output
    assert "2 heads, 1 time stamps" in done.output
    out, outside = tmp_path / "log.ndjson", tmp_path / "outside"
    assert (await command(api.db, tmp_path, "keys", outside)).exit_code == 0
    assert (await command(api.db, tmp_path, "export-log", out)).exit_code == 0
    assert out.stat().st_mode & 0o777 == 0o600
    known = tmp_path / "known.json"
    known.write_text(json.dumps(kept.as_json()))
    trusted = [
        "--keys", outside / "log-keys.json",
        "--authorities", outside / "time-stamps.pem",
        "--known", known,
    ]  # fmt: skip
    nowhere = tmp_path / "nowhere"
    good = await command(api.db, nowhere, "verify", out, *trusted)
    assert good.exit_code == 0, good.output
    assert "of the file itself" not in good.output
    alone = await command(api.db, nowhere, "verify", out)
    assert alone.exit_code == 0
    assert "could forge them too" in alone.output
    text = out.read_text()
    out.write_text(text.replace("Hospital B", "Hospital C"))
    bad = await command(api.db, nowhere, "verify", out, *trusted)
    assert bad.exit_code == 1
    assert "is not what was logged" in bad.output
    assert "tampered with" in bad.output
    out.write_text(text.rsplit('{"head"', 1)[0])
    cut = await command(api.db, nowhere, "verify", out, *trusted)
    assert cut.exit_code == 1
    assert "cut off" in cut.output
    # against the database, also without the folder of its keys
    await api.db.execute("delete from journal where seq = (select min(seq) from journal)")
    completeness.forget(api.db.dsn)
    removed = await command(api.db, nowhere, "verify", *trusted)
    assert removed.exit_code == 1
    assert "was removed" in removed.output


async def test_commands_say_what_is_missing(api: World, tmp_path: Path) -> None:
    keys = await command(api.db, tmp_path, "verify")
    assert (keys.exit_code, "no keys of a log" in keys.output) == (1, True)
    odd = tmp_path / "odd"
    odd.write_text("no log\n")
    for arguments in (("verify", odd), ("verify", "--known", odd), ("verify", "--keys", odd)):
        failed = await command(api.db, tmp_path, *arguments)
        assert failed.exit_code == 1
        assert "Traceback" not in failed.output
        assert not isinstance(failed.exception, ValueError)


async def test_months_are_archived_proven_and_brought_back(
    api: World, log: TransparencyLog, tmp_path: Path
) -> None:
    api.clock.move(days=-200)
    _, _, event = await looked(api)
    await log.keeper.advance()
    completeness.forget(api.db.dsn)  # its entries go into a file
    month = f"{api.clock():%Y-%m}"
    older = {"PATER_JOURNAL_MONTHS": "2", "PATER_JOURNAL_ARCHIVE": str(tmp_path / "away")}
    dry = await command(api.db, tmp_path, "archive", "--dry-run", **older)
    assert f"would archive {month}" in dry.output
    assert not (await asyncio.to_thread((tmp_path / "away").exists))
    done = await command(api.db, tmp_path, "archive", **older)
    assert done.exit_code == 0, done.output
    assert f"archived {month}: " in done.output
    assert "nothing is due" in (await command(api.db, tmp_path, "archive", **older)).output
    assert await api.db.fetchval("select count(*) from journal") == 0
    good = await command(api.db, tmp_path, "verify", **older)
    assert good.exit_code == 0, good.output
    assert "of the entries are archived" in good.output
    assert f"{month}  archived" in (await command(api.db, tmp_path, "archives", **older)).output
    proof = json.loads((await command(api.db, tmp_path, "prove", event, **older)).output)
    head = from_json(proof["head"]).verified(public_keys(log.keys.head.jwks()))
    leaf = sha256(b"\0" + proof["entry"].encode()).digest()
    path = [base64.b64decode(hash) for hash in proof["path"]]
    assert verify_inclusion(leaf, proof["leaf"], proof["size"], path, head.root)
    file = tmp_path / "away" / f"journal-{month}.ndjson.zst"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    bad = await command(api.db, tmp_path, "verify", **older)
    assert (bad.exit_code, f"The archive of {month} is not good" in bad.output) == (1, True)
    refused = await command(api.db, tmp_path, "restore", month, **older)
    assert (refused.exit_code, "Not restored" in refused.output) == (1, True)
    file.write_bytes(whole)
    back = await command(api.db, tmp_path, "restore", month, **older)
    assert back.exit_code == 0, back.output
    assert (await command(api.db, tmp_path, "verify")).exit_code == 0
    assert (await api.call("GET", f"/AuditEvent/{event}")).status_code == 200
    for words in (("prove", "x"), ("prove", str(uuid4())), ("restore", "2001-01")):
        assert (await command(api.db, tmp_path, *words, **older)).exit_code == 1
