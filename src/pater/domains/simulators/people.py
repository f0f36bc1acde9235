"""The invented people whom the simulated provider of identities knows, and its one client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

CLIENT: Final = "pater"
SECRET: Final = "simulated-secret"  # noqa: S105 (known to everybody)
LOW: Final = "http://eidas.europa.eu/LoA/low"
SUBSTANTIAL: Final = "http://eidas.europa.eu/LoA/substantial"
HIGH: Final = "http://eidas.europa.eu/LoA/high"
LEVELS: Final = (SUBSTANTIAL, HIGH, LOW)
CLAIMS: Final[Mapping[str, str]] = {
    "rid": "urn:pater:simulated:rid",
    "birth_number": "urn:pater:simulated:birth_number",
    "professional": "urn:pater:simulated:krzp",
}
"""Under which claims numbers are told; what else is told has the names of OpenID Connect."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """One invented person. `note` says what a login as them shows, by language."""

    key: str
    given: str
    family: str
    born: str
    note: Mapping[str, str]
    rid: str = ""
    birth_number: str = ""
    professional: str = ""

    @property
    def name(self) -> str:
        """Given name and family name."""
        return f"{self.given} {self.family}"

    def claims(self) -> dict[str, str]:
        """What the provider tells of the person, without what is empty."""
        said = {
            "name": self.name,
            "given_name": self.given,
            "family_name": self.family,
            "birthdate": self.born,
            CLAIMS["rid"]: self.rid,
            CLAIMS["birth_number"]: self.birth_number,
            CLAIMS["professional"]: self.professional,
        }
        return {name: value for name, value in said.items() if value}


PEOPLE: Final = (
    Simulated(
        "jana", "Jana", "Svobodová", "1957-03-14",
        {"cs": "pacientka, která tu už má účet", "en": "a patient who has an account here"},
        rid="3087110247",
    ),
    Simulated(
        "lucie", "Lucie", "Procházková", "1994-06-21",
        {"cs": "pacientka bez účtu: první přihlášení jej založí",
         "en": "a patient without an account: the first login opens one"},
        birth_number="9456211831",
    ),
    Simulated(
        "alena", "Alena", "Horáková", "1979-04-02",
        {"cs": "lékařka, podle čísla zdravotníka", "en": "a physician, by her professional number"},
        professional="112345690",
    ),
    Simulated(
        "frantisek", "František", "Novotný", "1948-08-07",
        {"cs": "pacient a zároveň lékař: vybere si, jak vstoupí",
         "en": "a patient and a physician: he chooses how to enter"},
        rid="4354168325", professional="112345707",
    ),
    Simulated(
        "bohumil", "Bohumil", "Neznámý", "1990-01-01",
        {"cs": "člověk, kterého registr nezná: bude odmítnut",
         "en": "somebody whom the register does not know: he is refused"},
        rid="3000000042",
    ),
)  # fmt: skip
