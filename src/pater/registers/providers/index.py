"""Makes the rows of the register of providers from its resources, as the feed tells of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pater.fhir.json import parse
from pater.fhir.search.places import position_of
from pater.fhir.search.text import normalise
from pater.registers.identifiers import ICO, PROVIDER
from pater.registers.providers import tables
from pater.registers.providers.hours import closed_times, spans
from pater.registers.providers.plane import flat
from pater.registers.providers.systems import MCSD_TYPE, ROLE
from pater.registers.providers.tables import OfferRow, OrganizationRow, PlaceRow, RoleRow
from pater.store.database import Database
from pater.store.feed import FeedEvent
from pater.store.read import read_many

NAME: Final = "providers"
"""The listener's name."""
_TYPES: Final = ("Organization", "Location", "HealthcareService", "PractitionerRole")
_EVER: Final = (datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))
_MOST_WORDS: Final = 60
_MOST_CODES: Final = 40
_LONGEST_WORD: Final = 40

Json = Mapping[str, Any]


class Index:
    """Keeps the tables of `registers.providers` as the resources of nobody say."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def handle(self, event: FeedEvent) -> None:
        """Follows one commit; again the same does no harm."""
        await self.follow((c.type, c.id) for c in event.changes if c.person == 0)

    async def follow(self, changed: Iterable[tuple[str, str]]) -> None:
        """Makes the rows of these resources anew, from what stands now."""
        keys = [key for key in dict.fromkeys(changed) if key[0] in _TYPES]
        if not keys:
            return
        found: defaultdict[str, list[tuple[str, Json]]] = defaultdict(list)
        there = set()
        for stored in await read_many(self._db, keys):
            if not stored.deleted and stored.person == 0:
                there.add((stored.type, stored.id))
                found[stored.type].append((stored.id, parse(stored.body)))
        gone: defaultdict[str, list[str]] = defaultdict(list)
        for key in keys:
            if key not in there:
                gone[key[0]].append(key[1])
        # one order for all writers of these rows
        for rows in found.values():
            rows.sort(key=lambda each: each[0])
        async with self._db.transaction() as connection:
            for type_, ids in sorted(gone.items()):
                await tables.forget(connection, type_, sorted(ids))
            if found["Organization"]:
                await tables.write_organizations(
                    connection, [organization_row(*each) for each in found["Organization"]]
                )
            if found["Location"]:
                await tables.write_places(
                    connection, [place_row(*each) for each in found["Location"]]
                )
            if services := found["HealthcareService"]:
                await tables.write_offers(
                    connection,
                    [id_ for id_, _ in services],
                    [row for each in services for row in offer_rows(*each)],
                )
            if found["PractitionerRole"]:
                await tables.write_roles(
                    connection, [role_row(*each) for each in found["PractitionerRole"]]
                )


def organization_row(id: str, resource: Json) -> OrganizationRow:
    """The row of an Organization."""
    numbers = {each.get("system"): each.get("value") for each in resource.get("identifier", ())}
    ico = numbers.get(PROVIDER) or numbers.get(ICO) or ""
    return OrganizationRow(
        id, str(ico), str(resource.get("name", "")), resource.get("active") is not False,
        referred(resource.get("partOf"), "Organization"),
    )  # fmt: skip


def place_row(id: str, resource: Json) -> PlaceRow:
    """The row of a Location."""
    owner = resource.get("managingOrganization") or {}
    name, provider = str(resource.get("name", "")), str(owner.get("display", ""))
    address = resource.get("address") or {}
    shown = address.get("text") or ", ".join(
        filter(None, (*address.get("line", ()), address.get("postalCode"), address.get("city")))
    )
    kinds = map(_kind, resource.get("type", ()))
    kind = next(filter(None, kinds), "")
    at = position_of(dict(resource))
    said = (name, provider, kind, shown, str(address.get("district", "")),
            str(address.get("state", "")))  # fmt: skip
    return PlaceRow(
        id, referred(owner, "Organization"), name, provider, kind, shown,
        normalise(str(address.get("city", ""))),
        resource.get("status", "active") == "active",
        at[0] if at else None, at[1] if at else None, flat(*at) if at else None,
        words_of(" ".join(said))[:_MOST_WORDS],
    )  # fmt: skip


def _kind(concept: Json) -> str:
    """The name of a kind of facility; "" of what only says that it is a facility."""
    codings = concept.get("coding", ())
    if any(each.get("system") == MCSD_TYPE for each in codings):
        return ""
    return str(concept.get("text") or next((c["display"] for c in codings if "display" in c), ""))


def offer_rows(id: str, resource: Json) -> list[OfferRow]:
    """The rows of a HealthcareService: one for each place and each code; none of an ended one."""
    if resource.get("active") is False:
        return []
    title = str(resource.get("name", ""))
    available = resource.get("availableTime")
    hours = spans(available) if available else None
    closed = closed_times(resource.get("notAvailable", ()))
    codes: dict[tuple[str, str], None] = {}
    for element in ("type", "specialty", "category", "characteristic"):
        for concept in resource.get(element, ()):
            for coding in concept.get("coding", ()):
                if coding.get("code"):
                    codes[str(coding["code"]), str(coding.get("system", ""))] = None
    places = [
        place for each in resource.get("location", ()) if (place := referred(each, "Location"))
    ]
    return [
        OfferRow(code, system, id, place, title, hours, closed)
        for place in dict.fromkeys(places)
        for code, system in list(codes)[:_MOST_CODES] or [("", "")]
    ]


def role_row(id: str, resource: Json) -> RoleRow:
    """The row of a PractitionerRole."""
    period = resource.get("period") or {}
    bounds = closed_times([{"during": {"start": period.get("start", "1900-01-01"),
                                       "end": period.get("end", "9999-01-01")}}])  # fmt: skip
    since, until = bounds[0] if bounds else (_EVER[1], _EVER[1])
    codes = [c.get("system") for each in resource.get("code", ()) for c in each.get("coding", ())]
    return RoleRow(
        id,
        referred(resource.get("practitioner"), "Practitioner"),
        referred(resource.get("organization"), "Organization"),
        ROLE not in codes,
        resource.get("active") is not False,
        since,
        until,
    )


def referred(reference: Json | None, type: str) -> str:
    """The id that a Reference names, "" when it names none of the type."""
    text = str((reference or {}).get("reference", ""))
    parts = text.split("/")
    return parts[-1] if len(parts) > 1 and parts[-2] == type else ""


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, normalised, each once: letters and digits only."""
    plain = "".join(each if each.isalnum() else " " for each in normalise(text))
    return tuple(dict.fromkeys(word[:_LONGEST_WORD] for word in plain.split()))
