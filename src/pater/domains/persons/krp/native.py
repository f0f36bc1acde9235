"""The addresses of the register's own questions."""

from __future__ import annotations

from typing import Any

from starlette.routing import Route

from pater.access.caller import Caller
from pater.domain import Services
from pater.domains.persons.krp.envelope import Answering, Asked, endpoint
from pater.domains.persons.krp.questions import Questions
from pater.rest.notification_address import set_address

ROOT = "/krp/api/v2/pacient"


def routes(services: Services, questions: Questions) -> list[Route]:
    """All of them, by POST: what names people stays out of addresses."""

    async def notify(caller: Caller, asked: Asked) -> dict[str, Any]:
        """Where the caller is told of changes of the persons that it names."""
        return await set_address(services, caller, "krp", asked.data)

    paths: dict[str, Answering] = {
        "hledat/rid": questions.finding("rid"),
        "hledat/univerzalni": questions.finding("univerzalni"),
        "hledat/jmenoPrijmeniRodneCislo": questions.finding("jmeno-rc"),
        "hledat/jmenoPrijmeniDatumNarozeni": questions.finding("jmeno-datum"),
        "hledat/doklad": questions.finding("doklad"),
        "hledat/cizinecCisloPojistence": questions.finding("cizinec"),
        "historie/pojisteni": questions.insurance,
        "historie/registrujiciPoskytovatel": questions.registering,
        "zalozit": questions.create,
        "zmenit": questions.change,
        "docasnyRid": questions.temporary,
        "sloucit": questions.merge,
        "rozdelit": questions.split,
        "reklamuj/udaj": questions.dispute,
        "nastavit/urlpronotifikace": notify,
    }
    return [
        Route(f"{ROOT}/{path}", endpoint(services, answer), methods=["POST"])
        for path, answer in paths.items()
    ]
