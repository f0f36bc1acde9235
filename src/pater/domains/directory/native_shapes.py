"""The answers to the national registers' questions: each attribute with source and state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pater.domains.directory.lookups import Provider, extensions, id_in, text_of, value_of
from pater.domains.directory.tables import Dispute
from pater.fhir.json import parse
from pater.records.gate import Stored
from pater.registers.identifiers import PROFESSIONAL, PROVIDER
from pater.registers.providers import systems
from pater.registers.providers.nearby import Facility

Json = dict[str, Any]


def said(value: Any, *, source: str = "NRPZS", disputed: bool = False) -> Json | None:
    """An attribute; None when nothing is known."""
    if value in (None, "", []):
        return None
    state = "Zpochybneny" if disputed else "Spravny"
    return {"hodnota": value, "referencni": False, "stav": state, "zdroj": source}


def brief(organization: Json) -> Json:
    """A provider in a list."""
    return {
        "stavZaznamu": "Platny" if organization.get("active", True) else "Zruseny",
        "ico": said(value_of(organization, PROVIDER)),
        "poskytovatelNazev": said(organization.get("name")),
        "zaznamId": organization["id"],
    }


def provider(whole: Provider, disputes: Sequence[Dispute]) -> Json:
    """A provider with permits, places, services and facilities."""
    one = whole.organization
    telecom = {each.get("system"): each.get("value") for each in one.get("telecom", ())}
    wrong = {(each.target, each.element) for each in disputes}
    places = {each["id"]: each for each in whole.places}
    granted = []
    for permit in whole.permits:
        granted.append(
            {
                "cislo": value_of(permit, systems.PERMIT),
                "spravniOrgan": (permit.get("organization") or {}).get("display", ""),
                "platnost": _period(permit.get("period")),
                "mistaPoskytovani": [
                    _place(places.pop(id_), whole, wrong)
                    for id_ in map(id_in, permit.get("location", ()))
                    if id_ in places
                ],
            }
        )
    return {
        **brief(one),
        "adresaSidla": said(_address(one)),
        "kontaktniTelefon": said(telecom.get("phone")),
        "kontaktniEmail": said(telecom.get("email")),
        "kontaktniWeb": said(telecom.get("url")),
        "datovaSchranka": said(value_of(one, systems.DATA_BOX)),
        "opravneni": granted,
        # places of which the source names no permit
        "mistaPoskytovani": [_place(each, whole, wrong) for each in places.values()],
        "reklamace": [_dispute(each) for each in disputes],
    }


def _place(place: Json, whole: Provider, wrong: set[tuple[str, str]]) -> Json:
    here = f"Location/{place['id']}"
    services = [
        each for each in whole.services
        if any(r.get("reference") == here for r in each.get("location", ()))
    ]  # fmt: skip
    position = place.get("position")
    return {
        "zaznamId": place["id"],
        "stavZaznamu": "Platny" if place.get("status") == "active" else "Zruseny",
        "nazev": said(place.get("name"), disputed=(place["id"], "nazev") in wrong),
        "adresa": said(place.get("address", {}).get("text")),
        "poloha": said([position["latitude"], position["longitude"]]) if position else None,
        "sluzby": [
            {
                "zaznamId": each["id"],
                "oborPece": text_of(next(iter(each.get("type", ())), None)),
                "formaPece": [text_of(form) for form in each.get("category", ())],
                "druhPece": [text_of(kind) for kind in each.get("characteristic", ())],
                "ordinacniDoba": each.get("availableTime", []),
            }
            for each in services
        ],
        "zdravotnickeZarizeni": {
            "druh": [text_of(each) for each in place.get("type", ())][1:],
            "pristrojovaTechnika": extensions(place, systems.EQUIPMENT),
            "oddeleni": [
                {"nazev": each.get("name"), "luzka": next(iter(extensions(each, systems.BEDS)), 0)}
                for each in whole.departments
            ],
            "vymennaSit": [each.get("address") for each in whole.endpoints],
        },
    }


def place_found(found: Facility) -> Json:
    """A place in a list."""
    return {
        "zaznamId": found.place,
        "nazev": said(found.name),
        "poskytovatelNazev": said(found.provider),
        "adresa": said(found.address),
        "druh": said(found.kind),
        "oborPece": said(found.title),
    }


def professional(stored: Stored, roles: Sequence[Json], disputes: Sequence[Dispute]) -> Json:
    """A professional with qualifications, restrictions, memberships and employments."""
    one = parse(stored.body)
    name: Json = next(iter(one.get("name", ())), {})
    own = [each for each in roles if id_in(each.get("practitioner")) == one["id"]]
    members = [each for each in own if _is_member(each)]
    return {
        "zaznamId": one["id"],
        "stavZaznamu": "Platny" if one.get("active", True) else "Zruseny",
        "krzpid": said(value_of(one, PROFESSIONAL), source="KRZP"),
        "jmeno": said(" ".join(name.get("given", ())), source="KRZP"),
        "prijmeni": said(name.get("family"), source="KRZP"),
        "titulPred": said(" ".join(name.get("prefix", ())), source="KRZP"),
        "titulZa": said(" ".join(name.get("suffix", ())), source="KRZP"),
        "zpusobilost": [
            {"obor": text_of(each.get("code")), "platnost": _period(each.get("period"))}
            for each in one.get("qualification", ())
        ],
        "omezeniVykonuPovolani": extensions(one, systems.RESTRICTION),
        "clenstviVKomorach": [(each.get("organization") or {}).get("display") for each in members],
        "zamestnani": [
            {
                "poskytovatel": id_in(each.get("organization")).removeprefix("pzs-"),
                "misto": [id_in(place) for place in each.get("location", ())],
                "povolani": [text_of(code) for code in each.get("code", ())],
                "oborPece": [text_of(field) for field in each.get("specialty", ())],
                "platnost": _period(each.get("period")),
                "platne": each.get("active", True),
            }
            for each in own
            if each not in members
        ],
        "reklamace": [_dispute(each) for each in disputes if each.target == one["id"]],
    }


def _is_member(role: Json) -> bool:
    codings = [c for code in role.get("code", ()) for c in code.get("coding", ())]
    return any(each.get("system") == systems.ROLE for each in codings)


def _dispute(one: Dispute) -> Json:
    return {"reklamaceId": str(one.id), "udaj": one.element, "stav": "Zpochybneny"}


def _address(organization: Json) -> str:
    return str(next((a.get("text", "") for a in organization.get("address", ())), ""))


def _period(period: Json | None) -> Json:
    found = period or {}
    return {"od": found.get("start"), "do": found.get("end")}
