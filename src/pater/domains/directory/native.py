"""The questions of the national registers KRPZS and KRZP under their own addresses, as JSON.

Each request says who asks for what (`zadostInfo`: datum, ucel, zadostId) and what is asked
(`zadostData`). Attributes carry value, source and state. Errors are problem details (RFC 9457).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access.caller import Caller
from pater.domain import Services
from pater.domains.directory import native_shapes as shapes
from pater.domains.directory import tables
from pater.domains.directory.disputes import dispute
from pater.domains.directory.lookups import MOST, provider, resources
from pater.domains.directory.model import practitioner_id
from pater.domains.directory.tables import Dispute
from pater.fhir.search.text import normalise
from pater.registers.identifiers import PROVIDER, check_ico, check_professional
from pater.registers.providers import tables as register
from pater.registers.providers.index import words_of
from pater.registers.providers.nearby import Wish, find
from pater.rest.bulk.http import guarded
from pater.rest.errors import HttpError
from pater.rest.native import answered, problems, read_envelope, under
from pater.rest.notification_address import set_address

Json = dict[str, Any]
Answering = Callable[[Caller, Json], Awaitable[Json]]

_PURPOSES: Final = frozenset({"LECBA", "URGENT", "PERSONALISTIKA", "SPRAVA", "TREAT", "ETREAT",
                              "HOPERAT", "SYSADMIN"})  # fmt: skip
_FOUND: Final = 50
_MOST_BORN: Final = 2_000
_TEXT: Final = 200


def routes(services: Services) -> list[BaseRoute]:
    """The addresses of both registers."""
    asking = Asking(services)
    paths: dict[str, Answering] = {
        "/krpzs/api/v2/Poskytovatel/hledat/ico": asking.by_ico,
        "/krpzs/api/v2/Poskytovatel/hledat/nazev": asking.by_name,
        "/krpzs/api/v2/Poskytovatel/hledat/misto": asking.by_place,
        "/krpzs/api/v2/Poskytovatel/reklamuj/udaj": asking.dispute_provider,
        "/krzp/api/v2/pracovnik/hledat/krzpid": asking.by_krzp,
        "/krzp/api/v2/pracovnik/hledat/jmenoPrijmeniDatumNarozeni": asking.by_birth,
        "/krzp/api/v2/pracovnik/hledat/zamestnavatel": asking.by_employer,
        "/krzp/api/v2/pracovnik/reklamuj/udaj": asking.dispute_professional,
        "/krpzs/api/v2/Poskytovatel/nastavit/urlpronotifikace": asking.notify_of_providers,
        "/krzp/api/v2/pracovnik/nastavit/urlpronotifikace": asking.notify_of_professionals,
    }
    made = [
        Route(path, problems(guarded(services, _endpoint(services, answer))), methods=["POST"])
        for path, answer in paths.items()
    ]
    return [*under("/krpzs", made), *under("/krzp", made)]


class Asking:
    """What is answered to whom; every read goes through the gate."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def by_ico(self, caller: Caller, data: Json) -> Json:
        """A provider, whole."""
        ico = _text(data, "ico")
        _checked("ico", check_ico(ico).ok, check_ico(ico).problem)
        gate = self._services.gate
        found = await resources(
            gate, caller, "Organization", ("identifier", f"{PROVIDER}|{ico}"), count=1
        )
        if not found:
            raise HttpError(404, "not-found", "there is no such provider", path="zadostData.ico")
        whole = await provider(gate, caller, found[0])
        keys = [(each["resourceType"], each["id"])
                for each in (whole.organization, *whole.places, *whole.services)]  # fmt: skip
        return shapes.provider(whole, await self._disputed(keys))

    async def by_name(self, caller: Caller, data: Json) -> Json:
        """Providers whose name holds a text."""
        name = _text(data, "nazev")
        if len(normalise(name)) < 3:
            raise HttpError(400, "value", "three letters at least", path="zadostData.nazev")
        found = await resources(
            self._services.gate, caller, "Organization", ("name:contains", _escaped(name)),
            ("type", "prov"), ("_sort", "name"), count=_FOUND,
        )  # fmt: skip
        return {"poskytovatele": [shapes.brief(each) for each in found]}

    async def by_place(self, caller: Caller, data: Json) -> Json:
        """Places of a town, and where it is wished of a street."""
        for type_ in ("Location", "HealthcareService"):
            await self._services.gate.require(caller, "search", type_, whole=True)
        town = _text(data, "obec")
        words = words_of(f"{town} {_text(data, 'ulice', needed=False)}")[:8]
        if not words:
            raise HttpError(400, "value", "the town has no letters", path="zadostData.obec")
        field = _text(data, "oborPece", needed=False)
        wish = Wish(None, None, field, words=words, count=_FOUND)
        found = await find(self._services.db, wish)
        there = await self._services.gate.read_all(
            caller, [("Location", each.place) for each in found]
        )
        known = [each for each in found if ("Location", each.place) in there]
        return {"mista": [shapes.place_found(each) for each in known]}

    async def by_krzp(self, caller: Caller, data: Json) -> Json:
        """A professional, whole."""
        krzp = _text(data, "krzpid")
        verdict = check_professional(krzp)
        _checked("krzpid", verdict.ok, verdict.problem)
        found = await self._professionals(caller, [practitioner_id(krzp)])
        if not found:
            raise HttpError(404, "not-found", "there is no such professional",
                            path="zadostData.krzpid")  # fmt: skip
        return found[0]

    async def by_birth(self, caller: Caller, data: Json) -> Json:
        """Professionals of a name, born on a day; the day itself is told to nobody."""
        given, family = normalise(_text(data, "jmeno")), normalise(_text(data, "prijmeni"))
        try:
            born = date.fromisoformat(_text(data, "datumNarozeni"))
        except ValueError as error:
            raise HttpError(400, "value", "a date is YYYY-MM-DD",
                            path="zadostData.datumNarozeni") from error  # fmt: skip
        await self._services.gate.require(caller, "search", "Practitioner", whole=True)
        ids = await tables.born_on(self._services.db, born, _MOST_BORN)
        page = await resources(
            self._services.gate, caller, "Practitioner", ("family:exact", _text(data, "prijmeni")),
            ("_id", ",".join(ids) or "-"), count=_FOUND,
        )  # fmt: skip
        same = [
            each["id"]
            for each in page
            for name in each.get("name", ())
            if normalise(str(name.get("family", ""))) == family
            and normalise(" ".join(name.get("given", ()))) == given
        ]
        return {"pracovnici": await self._professionals(caller, same)}

    async def by_employer(self, caller: Caller, data: Json) -> Json:
        """Who works for a provider now."""
        ico = _text(data, "ico")
        _checked("ico", check_ico(ico).ok, check_ico(ico).problem)
        await self._services.gate.require(caller, "search", "PractitionerRole", whole=True)
        organizations = await register.organizations_of(self._services.db, ico)
        who = await register.employed_by(self._services.db, organizations, MOST)
        return {"pracovnici": await self._professionals(caller, who, whole=False)}

    async def dispute_provider(self, caller: Caller, data: Json) -> Json:
        """A datum of the register of providers is wrong."""
        return await self._dispute(caller, data, "Organization")

    async def dispute_professional(self, caller: Caller, data: Json) -> Json:
        """A datum of the register of professionals is wrong."""
        return await self._dispute(caller, data, "Practitioner")

    async def notify_of_providers(self, caller: Caller, data: Json) -> Json:
        """Where the caller is told of changes of the register of providers."""
        return await set_address(self._services, caller, "krpzs", data)

    async def notify_of_professionals(self, caller: Caller, data: Json) -> Json:
        """Where the caller is told of changes of the register of professionals."""
        return await set_address(self._services, caller, "krzp", data)

    async def _dispute(self, caller: Caller, data: Json, usual: str) -> Json:
        number = await dispute(
            self._services, caller, _text(data, "typ", needed=False) or usual,
            _text(data, "zaznamId"), _text(data, "udaj"), _text(data, "popis", longest=2_000),
        )  # fmt: skip
        return {"reklamaceId": str(number), "stav": "Přijata"}

    async def _professionals(
        self, caller: Caller, ids: list[str], *, whole: bool = True
    ) -> list[Json]:
        gate = self._services.gate
        there = await gate.read_all(caller, [("Practitioner", each) for each in ids])
        roles: list[Json] = []
        if whole and there:
            named = ",".join(f"Practitioner/{id_}" for _, id_ in there)
            roles = await resources(gate, caller, "PractitionerRole", ("practitioner", named))
        disputed = await self._disputed([*there])
        return [shapes.professional(each, roles, disputed) for each in there.values()]

    async def _disputed(self, keys: list[tuple[str, str]]) -> list[Dispute]:
        return await tables.disputes_of(self._services.db, keys)


def _endpoint(
    services: Services, answer: Answering
) -> Callable[[Request, Caller], Awaitable[Response]]:
    async def run(request: Request, caller: Caller) -> Response:
        asked = await read_envelope(request)
        if asked.info.get("ucel") not in _PURPOSES:
            text = f"the purpose is one of {', '.join(sorted(_PURPOSES))}"
            raise HttpError(400, "value", text, path="zadostInfo.ucel")
        return answered(asked.number, services.new_id(), await answer(caller, asked.data))

    return run


def _text(data: Mapping[str, Any], name: str, *, needed: bool = True, longest: int = _TEXT) -> str:
    value = data.get(name)
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or (needed and not value.strip()) or len(value) > longest:
        raise HttpError(400, "value", f"a text of up to {longest} characters",
                        path=f"zadostData.{name}")  # fmt: skip
    if "\0" in value:
        raise HttpError(400, "value", "no NUL", path=f"zadostData.{name}")
    return value.strip()


def _checked(name: str, ok: bool | None, problem: str) -> None:
    if ok is False:
        raise HttpError(400, "value", problem, path=f"zadostData.{name}")


def _escaped(text: str) -> str:
    """A text as the value of a search parameter."""
    return re.sub(r"([\\,$|])", r"\\\1", text)
