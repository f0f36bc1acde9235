"""One question, as plain data and checked: may X do S with documents of type T of patient P?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pater.access.policy import Action
from pater.fhir.labelling import category_of
from pater.fhir.labels import CATEGORIES
from pater.registers.identifiers import Verdict, check_ico, check_professional, check_rid
from pater.rest.errors import HttpError

ROLES: Final = (
    "Interni", "Pacient", "PZS", "ZdravotniPracovnik", "PravnickaOsoba", "Zastupce",
    "FyzickaOsoba",
)  # fmt: skip
"""Roles of the state's register of authorisations."""
ORGANISATIONS: Final = frozenset({"PZS", "PravnickaOsoba"})
"""Roles whose value is an IČO."""
PEOPLE: Final = frozenset({"Pacient", "Zastupce", "FyzickaOsoba"})
"""Roles whose value is a RID."""


@dataclass(frozen=True, slots=True)
class Service:
    """What a service does with documents: these actions on a type, for a purpose of use."""

    actions: tuple[Action, ...]
    type: str
    purpose: str


SERVICES: Final[Mapping[str, Service]] = MappingProxyType(
    {
        "read": Service(("search", "read"), "DocumentReference", "TREAT"),
        "emergency-read": Service(("search", "read"), "DocumentReference", "ETREAT"),
        "submit": Service(("create",), "Bundle", "TREAT"),
    }
)
_LOINC: Final = re.compile(r"[0-9]{1,7}-[0-9]", re.ASCII)
_CHECKS: Final[Mapping[str, Callable[[str], Verdict]]] = MappingProxyType(
    {
        **dict.fromkeys(PEOPLE, check_rid),
        "PZS": check_ico,
        "PravnickaOsoba": check_ico,
        "ZdravotniPracovnik": check_professional,
    }
)
_LONGEST: Final = 128


@dataclass(frozen=True, slots=True)
class Question:
    """May the grantee use the service with documents of a category, as far as the grantor says.

    `document` is what was asked for (a LOINC code, or a category), `category` what it is here.
    """

    service: str
    document: str
    category: str
    grantor_role: str
    grantor: str
    grantee_role: str
    grantee: str

    @property
    def names(self) -> frozenset[str]:
        """The RIDs of the people in it."""
        ends = ((self.grantor_role, self.grantor), (self.grantee_role, self.grantee))
        return frozenset(value for role, value in ends if role in PEOPLE)


def read_question(values: Mapping[str, str], places: Mapping[str, str]) -> Question:
    """The question of the fields `service`, `document`, `grantorRole`, `grantor`, `granteeRole`
    and `grantee`. `places` are what they are called where they came from. Raises HttpError 400.
    """
    for name, place in places.items():
        if not values.get(name):
            raise HttpError(400, "required", f"{place} is missing", path=place)
    service, document = values["service"], values["document"]
    if service not in SERVICES:
        raise _bad(places["service"], f"a service is one of {', '.join(SERVICES)}")
    if document in CATEGORIES:
        category = document
    elif _LOINC.fullmatch(document):
        coding = {"system": "http://loinc.org", "code": document}
        category = category_of("DocumentReference", {"type": {"coding": [coding]}})
    else:
        text = f"a type of document is a LOINC code, or one of {', '.join(CATEGORIES)}"
        raise _bad(places["document"], text)
    for end in ("grantor", "grantee"):
        _check(values[f"{end}Role"], values[end], places[f"{end}Role"], places[end])
    return Question(
        service, document, category,
        values["grantorRole"], values["grantor"], values["granteeRole"], values["grantee"],
    )  # fmt: skip


def _check(role: str, value: str, role_place: str, place: str) -> None:
    if role not in ROLES:
        raise _bad(role_place, f"a role is one of {', '.join(ROLES)}")
    if len(value) > _LONGEST or not value.isprintable():
        raise _bad(place, f"it is one line of at most {_LONGEST} characters")
    check = _CHECKS.get(role)
    verdict = check(value) if check else None
    if verdict is not None and verdict.ok is False:
        raise _bad(place, verdict.problem)


def _bad(place: str, text: str) -> HttpError:
    return HttpError(400, "value", f"{place}: {text}", path=place)
