"""Many different documents made from the demonstration's few: own persons, identifiers, values.

What is varied is what the server looks at: every uuid, the identifiers of the document, the
person's identifiers, name and birth date, and the last digits of measured values.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from random import Random
from typing import Any, Final
from uuid import UUID

from pater.domains.exchange.demo import demo_region
from pater.fhir.json import dumps, parse
from pater.registers.identifiers import BIRTH_NUMBER, RID, birth_number_for, new_rid

BLOCK: Final = 64
_UUID: Final = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_VALUE: Final = re.compile(rb'("valueQuantity":\{"value":)([0-9.]+[1-9])')
_PRESENTED: Final = "presentedForm"
_FAMILIES: Final = {
    "female": ("Nováková", "Dvořáková", "Černá", "Procházková", "Kučerová", "Veselá", "Horáková"),
    "male": ("Novák", "Dvořák", "Černý", "Procházka", "Kučera", "Veselý", "Horák", "Němec"),
}
_GIVEN: Final = {
    "female": ("Jana", "Marie", "Eva", "Hana", "Anna", "Lenka", "Kateřina", "Věra"),
    "male": ("Jiří", "Jan", "Petr", "Josef", "Pavel", "Martin", "Tomáš", "Zdeněk"),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """An invented person: what a Patient of a document is given."""

    rid: str
    birth_number: str
    family: str
    given: str
    gender: str
    born: date


@dataclass(frozen=True, slots=True)
class Template:
    """A document of the demonstration as bytes, split around its Patient resource."""

    before: bytes
    patient: dict[str, Any]
    after: bytes
    numbers: tuple[bytes, ...]  # the identifiers that say which document it is


def people(count: int, seed: int = 1) -> list[Subject]:
    """So many different persons, always the same ones."""
    random = Random(seed)
    found: dict[str, Subject] = {}
    taken: set[str] = set()
    while len(found) < count:
        gender = random.choice(("female", "male"))
        born = date(1954, 1, 1) + timedelta(days=random.randrange(70 * 365))
        one = Subject(
            new_rid(random),
            birth_number_for(born, gender, random.randrange(1000)),
            random.choice(_FAMILIES[gender]),
            random.choice(_GIVEN[gender]),
            gender,
            born,
        )
        if one.birth_number not in taken and one.rid not in found:
            found[one.rid] = one
            taken.add(one.birth_number)
    return list(found.values())


@lru_cache(maxsize=2)
def templates(*, with_original: bool) -> tuple[Template, ...]:
    """The first hospital's first versions, all with the hospital's own PDF inside or all without.

    Documents about several persons (a delivery) are left out.
    """
    region = demo_region()
    found = []
    for raw, sender in zip(region.documents, region.senders, strict=True):
        bundle = parse(raw)
        composition = bundle["entry"][0]["resource"]
        kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
        if sender != "a" or kinds.count("Patient") != 1 or "relatesTo" in composition:
            continue
        extensions = composition.get("extension", [])
        presented = [one for one in extensions if one["url"].endswith(_PRESENTED)]
        if with_original and not presented:
            continue
        if not with_original:
            composition["extension"] = [one for one in extensions if one not in presented]
            if not composition["extension"]:
                del composition["extension"]
        found.append(_split(bundle, kinds.index("Patient")))
    assert found, "the demonstration has no document to start from"
    return tuple(found)


def _split(bundle: dict[str, Any], place: int) -> Template:
    patient = bundle["entry"][place]["resource"]
    before, found, after = dumps(bundle).partition(dumps(patient))
    assert found
    numbers = {bundle["identifier"]["value"]}
    numbers.add(bundle["entry"][0]["resource"].get("identifier", bundle["identifier"])["value"])
    plain = tuple(n.encode() for n in numbers if not n.startswith("urn:uuid:"))
    return Template(before, patient, after, plain)


def vary(template: Template, subject: Subject, number: int) -> bytes:
    """The template as document `number` about `subject`."""
    random = Random(number)
    patient = deepcopy(template.patient)
    patient["identifier"] = [
        {"use": "official", "system": RID, "value": subject.rid},
        {"use": "secondary", "system": BIRTH_NUMBER, "value": subject.birth_number},
    ]
    patient["name"] = [{"use": "official", "family": subject.family, "given": [subject.given]}]
    patient["gender"] = subject.gender
    patient["birthDate"] = subject.born.isoformat()
    raw = template.before + dumps(patient) + template.after
    fresh: dict[bytes, bytes] = {}

    def renamed(match: re.Match[bytes]) -> bytes:
        old = match[0]
        if old not in fresh:
            fresh[old] = str(UUID(int=random.getrandbits(128), version=4)).encode()
        return fresh[old]

    def measured(match: re.Match[bytes]) -> bytes:
        return match[1] + match[2][:-1] + b"%d" % random.randrange(1, 10)

    raw = _VALUE.sub(measured, _UUID.sub(renamed, raw))
    for one in template.numbers:
        raw = raw.replace(b'"' + one + b'"', b'"%s-%d"' % (one, number))
    return raw


def subject_number(number: int) -> int:
    """Whom document `number` is about: each person has two, BLOCK documents apart.

    So half of the documents are about somebody new however many are sent, and a person's two are
    never on their way at the same moment.
    """
    return number // (2 * BLOCK) * BLOCK + number % BLOCK


def documents(count: int, *, with_original: bool, first: int = 0) -> Iterator[bytes]:
    """So many documents; `first` (a multiple of 2 * BLOCK) keeps those of two calls apart."""
    choice = templates(with_original=with_original)
    subjects = people(subject_number(first + count) + BLOCK)
    for number in range(first, first + count):
        yield vary(choice[number % len(choice)], subjects[subject_number(number)], number)


def about_twice(numbers: Iterable[int]) -> list[Subject]:
    """The persons whom two of these documents are about."""
    counted = Counter(map(subject_number, numbers))
    subjects = people(max(counted, default=0) + 1)
    return [subjects[one] for one, count in counted.items() if count == 2]
