"""The addresses of the register's own questions."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from pater.domain import Services
from pater.domains.persons.krp.envelope import Answering, endpoint
from pater.domains.persons.krp.questions import Questions

ROOT = "/krp/api/v2/pacient"


def routes(services: Services, questions: Questions) -> list[BaseRoute]:
    """All of them, by POST: what names people stays out of addresses."""
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
    }
    return [
        Route(f"{ROOT}/{path}", endpoint(services, answer), methods=["POST"])
        for path, answer in paths.items()
    ]
