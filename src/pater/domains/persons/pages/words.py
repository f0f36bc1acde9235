"""The words of the registrars' pages, marked for translation where they are only data here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pater.registers.identifiers import (
    BIRTH_NUMBER,
    ID_CARD,
    ID_CARD_OLD,
    INSURED_NUMBER,
    PASSPORT,
    RID,
)
from pater.web.i18n import N_

YES: Final = N_("yes")
NO: Final = N_("no")
MAIDEN: Final = N_("name at birth")
RECEIVED: Final = N_("received records")
"""Where something comes from that no source told by registration."""
REGISTER: Final = N_("the register")
DISPUTED: Final = N_("disputed")
GENDERS: Final[Mapping[str, str]] = {
    "female": N_("woman"),
    "male": N_("man"),
    "other": N_("other sex"),
    "unknown": N_("not known"),
}
ATTRIBUTES: Final[Mapping[str, str]] = {
    "identifier": N_("Numbers"),
    "name": N_("Name"),
    "telecom": N_("Telephone, e-mail"),
    "address": N_("Address"),
    "birthDate": N_("Date of birth"),
    "gender": N_("Sex"),
    "deceased": N_("Death"),
    "multipleBirth": N_("Born as a twin"),
    "maritalStatus": N_("Marital status"),
    "communication": N_("Languages"),
    "generalPractitioner": N_("Registering provider"),
    "contact": N_("Contact person"),
    "extension": N_("Number of the mother"),
}
SYSTEMS: Final[Mapping[str, str]] = {
    RID: N_("Patient number (RID)"),
    BIRTH_NUMBER: N_("Birth number"),
    INSURED_NUMBER: N_("Insurance number"),
    PASSPORT: N_("Passport"),
    ID_CARD: N_("Identity card"),
    ID_CARD_OLD: N_("Identity card"),
}
SOURCES: Final[Mapping[str, str]] = {
    "provider": N_("A provider"),
    "registrar": N_("Registrar"),
    "ros": N_("Register of businesses"),
    "rob": N_("Register of inhabitants"),
    "ruian": N_("Register of addresses"),
}
FIELDS: Final[Mapping[str, str]] = {
    "700232004": N_("general practitioner"),
    "310061009": N_("gynaecologist"),
    "310060005": N_("gynaecologist"),
    "722176000": N_("dentist"),
}
"""Fields of registering providers, by the codes of the national profile (SNOMED CT)."""
STATES: Final[Mapping[str, tuple[str, str]]] = {
    "valid": (N_("registered"), "success"),
    "merged": (N_("merged"), "neutral"),
    "cancelled": (N_("cancelled"), "error"),
}
REASONS: Final[Mapping[str, str]] = {
    "possible": N_("Two persons are alike"),
    "numbers": N_("A number belongs to somebody else"),
    "disagree": N_("A number agrees, name or birth date does not"),
}
SCORES: Final[Mapping[str, str]] = {
    "certain": N_("would be decided by itself, but something contradicts"),
    "strong": N_("rather one person"),
    "weak": N_("perhaps one person"),
    "against": N_("rather two persons"),
}
"""How alike the two of a case are, by the thresholds of the comparison."""
TAKEN: Final[Mapping[str, str]] = {
    "free": N_("nobody is at them"),
    "mine": N_("those I took"),
    "others": N_("those others took"),
}
COMPARED: Final[Mapping[str, str]] = {
    "prior": N_("To begin with"),
    "family": N_("Family name"),
    "given": N_("Given name"),
    "born": N_("Date of birth"),
    "sex": N_("Sex"),
    "birth-number": N_("Birth number"),
    "insured-number": N_("Insurance number"),
    "rid": N_("Patient number (RID)"),
    "document": N_("Identity document"),
    "address": N_("Address"),
    "phone": N_("Telephone"),
    "email": N_("E-mail"),
    "mother": N_("Number of the mother"),
    "birth-order": N_("Order of birth"),
    "address-street": N_("Street"),
    "address-number": N_("House number"),
    "address-postcode": N_("Postcode"),
    "address-city": N_("Town"),
    "address-district": N_("Part of the town"),
    "address-state": N_("Region"),
}
LEVELS: Final[Mapping[str, str]] = {
    "": N_("two people met by chance are hardly ever one"),
    "same": N_("the same"),
    "different": N_("different"),
    "marks": N_("the same but for accents"),
    "spelling": N_("the same in another script or spelling"),
    "gender-form": N_("the same in the other gender's form"),
    "former": N_("one is the other's former name"),
    "swapped": N_("given and family name are swapped"),
    "part": N_("one part is the same"),
    "near": N_("differs by a slip of the pen"),
    "alike": N_("alike"),
    "second-name": N_("the same as a second name"),
    "familiar": N_("a familiar form of the other"),
    "initial": N_("the same initial"),
    "day-month-swapped": N_("day and month are swapped"),
    "one-digit": N_("one digit differs"),
    "two-digits": N_("two digits differ"),
    "digits-swapped": N_("two digits are swapped"),
    "partial": N_("agrees as far as it is known"),
    "two-parts": N_("two of day, month and year agree"),
    "street-alike": N_("the same house, the street is written otherwise"),
    "house-number": N_("the same house number and town"),
    "relatives": N_("the same, but families share it"),
    "street": N_("the same street"),
    "town": N_("the same town"),
    "one-letter": N_("one letter differs"),
}
CONTRADICTIONS: Final[Mapping[str, str]] = {
    "number": N_("The verified numbers differ: these may be two people."),
    "rid": N_("Both have a number of the register of their own."),
    "birth-order": N_("The order of birth differs: these may be twins."),
    "sex": N_("The sex differs."),
    "given": N_("The given names differ: these may be twins or relatives."),
    "born": N_("The dates of birth differ."),
}
SPEAKS: Final[tuple[tuple[float, str], ...]] = (
    (8.0, N_("speaks very strongly for")),
    (3.0, N_("speaks for")),
    (0.5, N_("speaks a little for")),
    (-0.5, N_("says nothing")),
    (-3.0, N_("speaks a little against")),
    (-8.0, N_("speaks against")),
)
SPEAKS_AGAINST: Final = N_("speaks very strongly against")
ACTS: Final[Mapping[str, str]] = {
    "merge": N_("Merged"),
    "link": N_("Linked"),
    "split": N_("Split"),
    "cancel": N_("Cancelled"),
}
DECISIONS: Final[Mapping[str, str]] = {
    "match": N_("one person"),
    "new": N_("two persons"),
}
AGES: Final[Mapping[str, str]] = {
    "day": N_("up to 1 day"),
    "week": N_("up to 7 days"),
    "month": N_("up to 30 days"),
    "older": N_("more than 30 days"),
}
DISPUTES: Final[Mapping[str, tuple[str, str]]] = {
    "open": (N_("waiting"), "warning"),
    "corrected": (N_("corrected"), "success"),
    "kept": (N_("kept as it is"), "neutral"),
}
REFUSALS: Final[tuple[str, ...]] = (
    N_("a Patient cannot be merged or linked with itself"),
    N_("somebody changed one of the two Patients: look at them again"),
    N_("somebody changed one of the Patients: look again"),
    N_("these are one person already"),
    N_("one of the two acts for the other: end that first"),
    N_("these two are linked already"),
    N_("this person has records: merge or split them first"),
    N_("this person has an account"),
    N_("this was undone already"),
    N_("a later act builds on this one: undo the later one first"),
    N_("the Patient was deleted meanwhile: write it again first"),
    N_("the Patient was expunged: this can no longer be undone"),
    N_("an earlier version was expunged: this can no longer be undone"),
    N_("one of the identifiers belongs to somebody else by now"),
    N_("nothing was chosen: say which sources or records belong to somebody else"),
    N_("one of the chosen sources says nothing of this person"),
    N_("this Patient was merged: name the one it leads to, or undo that first"),
    N_("this Patient was cancelled: undo that first"),
    N_("say why"),
    N_("this is disputed already and waits for a registrar"),
    N_("more than 20 disputes of one person do not wait at a time"),
    N_("say in up to 2000 characters what is wrong"),
    N_("answer in up to 2000 characters"),
    N_("one of the two is not in the register any more"),
    N_("another case about this person is open"),
)
"""What the register refuses, in its own words; the pages say it in the reader's language."""


def speaks(weight: float) -> str:
    """What a weight in bits means to a clerk, to be translated."""
    return next((text for least, text in SPEAKS if weight >= least), SPEAKS_AGAINST)
