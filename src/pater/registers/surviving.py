"""What is held to be true of a person, out of what several sources say. Pure.

A reference register wins, then the newest; what somebody disputes stands back. Former names,
addresses and numbers stay, with an end. Every part carries where it comes from (`SAID`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from pater.fhir.search.text import normalise
from pater.registers.identifiers import BIRTH_NUMBER, INSURED_NUMBER, RID
from pater.registers.patients import known_identifiers

Resource = dict[str, Any]

SAID: Final = "urn:pater:said"
"""The extension that says of a part of a master Patient: source, since, reference, state."""
PROVIDER: Final = "provider"
"""The source of what a provider said. Which one would tell everybody who sees the Patient where
somebody is treated; registrars see it in the sources themselves."""
SINGLE: Final[Mapping[str, tuple[str, ...]]] = {
    "birthDate": ("birthDate",),
    "gender": ("gender",),
    "deceased": ("deceasedBoolean", "deceasedDateTime"),
    "multipleBirth": ("multipleBirthBoolean", "multipleBirthInteger"),
    "maritalStatus": ("maritalStatus",),
}
LISTED: Final = ("identifier", "name", "telecom", "address")
WHOLE: Final = ("communication", "generalPractitioner", "contact")
"""Taken as one source says them: their parts mean nothing apart."""
ATTRIBUTES: Final = (*LISTED, *SINGLE, *WHOLE, "extension")
"""What may be disputed."""
REGISTERING: Final = "https://hl7.cz/fhir/core/StructureDefinition/registering-provider-cz"
"""The extension of HL7 Czech core by which a Patient names who registered them, and for what."""
_ONE_EACH: Final = frozenset({RID, BIRTH_NUMBER, INSURED_NUMBER})
"""Systems of which a person has one number at a time."""


@dataclass(frozen=True, slots=True)
class Source:
    """Who says something of a person, and the number under which.

    `name` is an organisation's IČO or the name of a basic register, `system` and `value` the
    source's own number of the person, `reference` whether others do not overrule it.
    """

    name: str
    system: str
    value: str
    reference: bool = False
    title: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What a source last said of a person. `disputed` names attributes said to be wrong."""

    source: Source
    patient: Resource
    received: datetime
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    disputed: frozenset[str] = frozenset()
    person: int = 0

    @property
    def since(self) -> datetime:
        """From when on it holds, as far as the source says."""
        return self.valid_from or self.received


def survive(base: Resource | None, said: Sequence[Said]) -> Resource:
    """The master Patient out of its sources and of what it was before (`base`).

    What no source speaks of stays as it was. `base` keeps its RID, its links and whatever does not
    come from a source; what a source said before and says no longer is former.
    """
    made: Resource = {"resourceType": "Patient", **(base or {})}
    said = _doubted(made, said)
    for attribute in LISTED:
        items = _list(attribute, made.get(attribute), said)
        if items:
            made[attribute] = items
    for attribute, elements in SINGLE.items():
        _single(made, attribute, elements, said)
    for attribute in WHOLE:
        best = next(
            (each for each in _ranked(said, attribute) if each.patient.get(attribute)), None
        )
        if best is not None:
            made[attribute] = best.patient[attribute]
    return _extended(made, list(_extensions(made.get("extension"), said)))


def joined(survivor: Resource, merged: Resource, at: datetime) -> Resource:
    """The survivor of a merge with what only the merged Patient had; the latter's is former."""
    made: Resource = {**survivor}
    for attribute in LISTED:
        items = list(made.get(attribute) or ())
        seen = {_KEYS[attribute](each) for each in items}
        for each in merged.get(attribute) or ():
            if _KEYS[attribute](each) not in seen:
                items.append(_former(attribute, each, at))
        if items:
            made[attribute] = items
    for elements in SINGLE.values():
        if not any(each in made for each in elements):
            for each in (*elements, *(f"_{element}" for element in elements)):
                if each in merged:
                    made[each] = merged[each]
    for attribute in WHOLE:
        if not made.get(attribute) and merged.get(attribute):
            made[attribute] = merged[attribute]
    there = list(made.get("extension") or ())
    keys = {_extension_key(each) for each in there}
    more = [each for each in merged.get("extension") or () if _extension_key(each) not in keys]
    return _extended(made, [*there, *more])


def without(master: Resource, gone: Sequence[Said]) -> Resource:
    """A master Patient without the parts that these statements brought."""
    made: Resource = {**master}
    for attribute in LISTED:
        if attribute in made:
            key_of = _KEYS[attribute]
            said = {key_of(item) for each in gone for item in _usable(attribute, each.patient)}
            left = [
                each for each in made[attribute] if not origin(each) or key_of(each) not in said
            ]
            made[attribute] = left
            if not left:
                del made[attribute]
    for elements in SINGLE.values():
        for element in elements:
            place = f"_{element}" if element != "maritalStatus" else element
            beside = made.get(place)
            if not isinstance(beside, dict) or not origin(beside):
                continue
            if any(_same(made.get(element), each.patient.get(element)) for each in gone):
                made.pop(place, None)
                made.pop(element, None)
    told = {_extension_key(item) for each in gone for item in each.patient.get("extension") or ()}
    left = [
        each
        for each in made.get("extension") or ()
        if not origin(each) or _extension_key(each) not in told
    ]
    return _extended(made, left)


def shown(source: Source) -> str:
    """The name of a source for everybody who may see the Patient."""
    return PROVIDER if source.name.isdigit() else source.name


def _same(held: Any, said: Any) -> bool:
    """Whether a single value is the one that was said, whatever was noted of it."""
    if not isinstance(held, dict) or not isinstance(said, dict):
        return bool(held == said)
    notes = [each for each in held.get("extension") or () if each.get("url") != SAID]
    bare = {key: value for key, value in held.items() if key != "extension"}
    return bool((bare | ({"extension": notes} if notes else {})) == said)


def origin(element: Mapping[str, Any]) -> str:
    """The source that an element of a master Patient comes from, "" = of none."""
    for extension in element.get("extension") or ():
        if extension.get("url") == SAID:
            for each in extension.get("extension") or ():
                if each.get("url") == "source":
                    return str(each.get("valueString", ""))
    return ""


def disputed(master: Resource, attribute: str, *, open: bool) -> Resource:
    """The master with an attribute marked as disputed, or no longer."""
    made: Resource = {**master}
    if attribute in SINGLE:
        for element in SINGLE[attribute]:
            if element == "maritalStatus" and element in made:
                made[element] = _marked(made[element], open=open)
            elif element in made:
                beside = _marked(made.get(f"_{element}") or {}, open=open)
                if beside:
                    made[f"_{element}"] = beside
                else:
                    made.pop(f"_{element}", None)
    elif attribute in LISTED and attribute in made:
        made[attribute] = [
            each if each.get("use") == "old" else _marked(each, open=open)
            for each in made[attribute]
        ]
    return made


def text_of(master: Resource, attribute: str) -> str:
    """An attribute as it stands, on one line for people."""
    if attribute in SINGLE:
        found = [made for each in SINGLE[attribute] if (made := master.get(each)) is not None]
        return ", ".join(map(_flat, found))
    items = master.get(attribute) or ()
    return "; ".join(_flat(each) for each in items if each.get("use") != "old")


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(
            _flat(each) for key, each in value.items()
            if key not in ("extension", "use", "system", "period", "id", "type", "url")
        )  # fmt: skip
    if isinstance(value, list):
        return " ".join(map(_flat, value))
    return str(value)


def _marked(element: Mapping[str, Any], *, open: bool) -> Resource:
    """An element whose state is disputed, or not."""
    kept: list[Resource] = []
    said: list[Resource] = []
    for each in element.get("extension") or ():
        if each.get("url") == SAID:
            said += [part for part in each.get("extension") or () if part.get("url") != "state"]
        else:
            kept.append(each)
    if open:
        said.append({"url": "state", "valueCode": "disputed"})
    if said:
        kept.append({"url": SAID, "extension": said})
    made = {key: value for key, value in element.items() if key != "extension"}
    return {**made, "extension": kept} if kept else made


def _doubted(base: Resource, said: Sequence[Said]) -> Sequence[Said]:
    """The sources, marked where they say nothing else than what is disputed: until that is decided
    it stays so, whoever says it anew.
    """
    held = [each for each in (*LISTED, *SINGLE) if _disputed_of(base, each)]
    if not held:
        return said
    made = []
    for each in said:
        again = {attribute for attribute in held if _repeats(base, each.patient, attribute)}
        made.append(replace(each, disputed=each.disputed | again) if again else each)
    return made


def _disputed_of(base: Resource, attribute: str) -> list[Any]:
    """What of an attribute carries the state: the items of a list, or the names of elements."""
    if attribute in LISTED:
        return [each for each in base.get(attribute) or () if _is_disputed(each)]
    places = {each: each if each == "maritalStatus" else f"_{each}" for each in SINGLE[attribute]}
    return [each for each, place in places.items() if _is_disputed(base.get(place) or {})]


def _is_disputed(element: Mapping[str, Any]) -> bool:
    return any(
        part.get("url") == "state" and part.get("valueCode") == "disputed"
        for extension in element.get("extension") or ()
        if extension.get("url") == SAID
        for part in extension.get("extension") or ()
    )


def _repeats(base: Resource, patient: Resource, attribute: str) -> bool:
    """Whether a source says of an attribute what is disputed, and nothing else."""
    wrong = _disputed_of(base, attribute)
    if attribute in SINGLE:
        told = [each for each in SINGLE[attribute] if patient.get(each) is not None]
        return bool(told) and all(
            each in wrong and _same(base.get(each), patient[each]) for each in told
        )
    key_of = _KEYS[attribute]
    keys = {key_of(each) for each in _usable(attribute, patient) if each.get("use") != "old"}
    return bool(keys) and keys <= {key_of(each) for each in wrong}


def _ranked(said: Sequence[Said], attribute: str) -> list[Said]:
    """The sources, the one that is believed first; alike ones in an order that is always same."""

    def rank(each: Said) -> tuple[Any, ...]:
        source = each.source
        believed = attribute not in each.disputed
        return believed, source.reference, each.since, each.received, source.name, source.value

    return sorted(said, key=rank, reverse=True)


def _single(made: Resource, attribute: str, elements: Sequence[str], said: Sequence[Said]) -> None:
    for each in _ranked(said, attribute):
        for element in elements:
            value = each.patient.get(element)
            if value is None:
                continue
            for other in elements:
                made.pop(other, None)
                made.pop(f"_{other}", None)
            if isinstance(value, dict):
                made[element] = _noted(value, each, attribute)
            else:
                beside = each.patient.get(f"_{element}")
                made[element] = value
                made[f"_{element}"] = _noted(
                    beside if isinstance(beside, dict) else {}, each, attribute
                )
            return


def _extensions(base: Any, said: Sequence[Said]) -> Iterator[Resource]:
    """Each as the most believed source that knows it says it; a dentist says nothing of the general
    practitioner. Who registered somebody carries where it comes from, and goes with it.
    """
    owned: dict[tuple[str, str], Said] = {}
    for each in _ranked(said, "extension"):
        for item in each.patient.get("extension") or ():
            if owned.setdefault(_extension_key(item), each) is each:
                complex_ = item.get("url") == REGISTERING
                yield _noted(item, each, "extension") if complex_ else item
    for item in base or ():
        if _extension_key(item) not in owned and not (said and origin(item)):
            yield item


def _extension_key(item: Mapping[str, Any]) -> tuple[str, str]:
    """What an extension is about; one provider registers somebody for each field of care."""
    field = ""
    if item.get("url") == REGISTERING:
        for part in item.get("extension") or ():
            if part.get("url") == "category":
                concept = part.get("valueCodeableConcept") or {}
                codes = [str(each.get("code", "")) for each in concept.get("coding") or ()]
                field = next(filter(None, codes), str(concept.get("text", "")))
    return str(item.get("url", "")), field


def _extended(made: Resource, extensions: list[Resource]) -> Resource:
    if extensions:
        return {**made, "extension": extensions}
    made.pop("extension", None)
    return made


def _list(attribute: str, base: Any, said: Sequence[Said]) -> list[Resource]:
    """The items of a list: the believed source's first, what it left is former."""
    key_of = _KEYS[attribute]
    items: list[Resource] = []
    seen: set[tuple[Any, ...]] = set()
    first: dict[str, Said] = {}  # by kind of item: whose is current
    for each in _ranked(said, attribute):
        taken: set[str] = set()
        for item in _usable(attribute, each.patient):
            key, kind = key_of(item), _kind(attribute, item)
            if key in seen:
                continue
            seen.add(key)
            noted = _noted(item, each, attribute)
            winner = first.get(kind)
            if item.get("use") == "old" or winner is None or attribute == "telecom":
                items.append(noted)
                if item.get("use") != "old":
                    taken.add(kind)
            elif each.since <= winner.since or _alone(attribute, item):
                items.append(_former(attribute, noted, winner.since))
            else:
                items.append({**noted, "use": "usual"} if attribute == "name" else noted)
        for kind in taken:
            first.setdefault(kind, each)
    for item in base or ():
        if key_of(item) in seen:
            continue
        seen.add(key_of(item))
        winner = first.get(_kind(attribute, item))
        if attribute == "identifier" and item.get("system") == RID:
            # the register's own: the present one first
            items.insert(len(items) if item.get("use") == "old" else 0, item)
        elif origin(item) and winner is not None and attribute != "telecom":
            items.append(_former(attribute, item, winner.since))
        elif origin(item) and attribute == "telecom" and said:
            continue  # a number that nobody says any longer is nobody's to call
        elif winner is not None and attribute == "name" and item.get("use") != "old":
            items.append({**item, "use": "usual"})
        else:
            items.append(item)
    return items


def _usable(attribute: str, patient: Resource) -> Iterator[Resource]:
    """The items that others may see: a provider's own number tells where somebody is treated."""
    if attribute == "identifier":
        for known in known_identifiers(patient):
            if known.usable and known.system != RID:
                yield known.identifier
        return
    for item in patient.get(attribute) or ():
        if isinstance(item, dict):
            yield item


def _kind(attribute: str, item: Mapping[str, Any]) -> str:
    """Items of one kind take each other's place."""
    match attribute:
        case "identifier":
            return str(item.get("system", ""))
        case "address":
            use = item.get("use", "home")
            return f"{use}/{item.get('type', 'both')}"
        case "name":
            return "name"
    return ""


def _alone(attribute: str, item: Mapping[str, Any]) -> bool:
    return attribute == "identifier" and item.get("system") in _ONE_EACH


def _former(attribute: str, item: Mapping[str, Any], at: datetime) -> Resource:
    """An item that has ended."""
    if attribute == "telecom" or (attribute == "identifier" and not _ends(item)):
        return dict(item)
    period = dict(item.get("period") or {})
    period.setdefault("end", at.astimezone(UTC).date().isoformat())
    if str(period.get("start", ""))[:10] > str(period["end"])[:10]:
        period.pop("start")
    return {**item, "use": "old", "period": period}


def _ends(item: Mapping[str, Any]) -> bool:
    return item.get("system") in _ONE_EACH


def _noted(element: Mapping[str, Any], said: Said, attribute: str) -> Resource:
    """An element with where it comes from."""
    parts: list[Resource] = [
        {"url": "source", "valueString": shown(said.source)},
        {"url": "since", "valueDateTime": said.since.astimezone(UTC).isoformat()},
    ]
    if said.source.reference:
        parts.append({"url": "reference", "valueBoolean": True})
    if attribute in said.disputed:
        parts.append({"url": "state", "valueCode": "disputed"})
    others = [each for each in element.get("extension") or () if each.get("url") != SAID]
    return {**element, "extension": [*others, {"url": SAID, "extension": parts}]}


def _text(value: Any) -> str:
    return normalise(value) if isinstance(value, str) else ""


def _name_key(item: Mapping[str, Any]) -> tuple[Any, ...]:
    givens = tuple(_text(each) for each in item.get("given") or ())
    whole = () if item.get("family") or givens else (_text(item.get("text")),)
    return (_text(item.get("family")), *givens, *whole)


def _address_key(item: Mapping[str, Any]) -> tuple[Any, ...]:
    lines = tuple(_text(each) for each in item.get("line") or ())
    parts = ("city", "postalCode", "country", "state")
    whole = () if lines or item.get("city") else (_text(item.get("text")),)
    return (*lines, *(_text(item.get(each)) for each in parts), *whole)


def _telecom_key(item: Mapping[str, Any]) -> tuple[Any, ...]:
    value = str(item.get("value", ""))
    return (item.get("system"), "".join(value.split()).casefold())


def _identifier_key(item: Mapping[str, Any]) -> tuple[Any, ...]:
    return (item.get("system"), item.get("value"))


_KEYS: Final[Mapping[str, Callable[[Mapping[str, Any]], tuple[Any, ...]]]] = {
    "name": _name_key,
    "address": _address_key,
    "telecom": _telecom_key,
    "identifier": _identifier_key,
}
