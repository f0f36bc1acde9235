"""Mail to people that something waits for them in the portal; never what it is about in words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from pater.access.caller import KEY, Caller
from pater.domain import Job, Services
from pater.fhir.json import parse
from pater.records.errors import Gone, NotFound

KIND: Final = "consents.letter"
# Páteř itself, which looks up where to write to; no token makes it.
POST: Final = Caller(
    kind="system",
    id="pater",
    name="Páteř",
    role="loader",
    purpose="SYSADMIN",
    strength=KEY,
    scopes=("system/Patient.r",),
)
_SUBJECT: Final = "Páteř: nové oznámení / new notice"
_TEXT: Final = (
    "V portálu pacienta na Vás čeká nové oznámení. Přečtete si je po přihlášení:\n{url}\n\n"
    "A new notice waits for you in the patient portal. Log in to read it:\n{url}\n"
)


def letter_job(services: Services) -> Callable[[Job], Awaitable[Mapping[str, Any]]]:
    """The job that writes to one person; tried again while the gateway does not take it."""

    async def work(job: Job) -> Mapping[str, Any]:
        if services.letters is None:
            return {"sent": False}
        try:
            stored = await services.gate.read(POST, "Patient", str(job.payload["patient"]))
        except (NotFound, Gone):
            return {"sent": False}
        address = address_of(parse(stored.body))
        if not address:
            return {"sent": False}
        url = services.base_url.removesuffix("/fhir") + "/patient/notices"
        await services.letters(address, _SUBJECT, _TEXT.format(url=url))
        return {"sent": True}

    return work


def address_of(patient: Mapping[str, Any]) -> str:
    """The first e-mail address of a Patient that is not an old one; "" when there is none."""
    for contact in patient.get("telecom") or ():
        value = str(contact.get("value") or "").strip()
        usable = contact.get("system") == "email" and contact.get("use") != "old"
        if usable and "@" in value and value.isprintable() and " " not in value:
            return value
    return ""
