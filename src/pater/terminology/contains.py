"""One code of an expansion: names, properties and extensions, in the shape that R4 has for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pater.terminology.compose import Item
from pater.terminology.languages import Wish, choose, shown_designations
from pater.terminology.model import CONCEPT_PROPERTIES, Concept, Designation, SystemInfo
from pater.terminology.resource_system import dicts, text

_SD: Final = "http://hl7.org/fhir/StructureDefinition/"
_R5: Final = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion."
_ECHOED: Final = frozenset(
    {
        _SD + "rendering-style",
        _SD + "rendering-xhtml",
        _SD + "valueset-concept-definition",
        _SD + "valueset-deprecated",
        _SD + "codesystem-alternate",
    }
)
# extension -> the property that shows it, the name behind concept-properties#
_AS_PROPERTY: Final[Mapping[str, tuple[str, str]]] = {
    _SD + "codesystem-conceptOrder": ("order", "order"),
    _SD + "valueset-conceptOrder": ("order", "order"),
    _SD + "codesystem-label": ("label", "label"),
    _SD + "valueset-label": ("label", "label"),
    _SD + "itemWeight": ("weight", "itemWeight"),
    _SD + "ordinalValue": ("weight", "itemWeight"),
}


class Renderer:
    """Makes the entries of one expansion and remembers which properties they have."""

    def __init__(
        self, wish: Wish, designations: bool, kinds: Sequence[str], properties: Sequence[str]
    ) -> None:
        self._wish = wish
        self._designations = designations
        self._kinds = kinds
        self._properties = properties
        self.declared: dict[str, str] = {}  # code -> uri

    def declarations(self) -> list[dict[str, Any]]:
        """`expansion.property` as R5 has it."""
        return [
            {"code": code, "uri": uri} if uri else {"code": code}
            for code, uri in self.declared.items()
        ]

    def entry(self, item: Item, *, with_version: bool = False) -> dict[str, Any]:
        """`expansion.contains` without what is below it."""
        concept, info = item.concept, item.system.info
        overlay = item.overlay or {}
        out: dict[str, Any] = {}
        extensions = _extensions(concept, overlay)
        if extensions:
            out["extension"] = extensions
        out["system"] = info.url
        if concept.abstract:
            out["abstract"] = True
        if concept.inactive:
            out["inactive"] = True
        if with_version and info.version:
            out["version"] = info.version
        out["code"] = concept.code
        chosen = choose(concept, info, self._wish)
        display = text(overlay, "display") or (chosen.value if chosen is not None else "")
        if display:
            out["display"] = display
        if self._designations:
            shown = shown_designations(_with(concept, overlay), info, chosen, self._kinds)
            if shown:
                out["designation"] = shown
        properties = self._shown_properties(concept, info, overlay)
        if properties:
            out["property"] = properties
        return out

    def _shown_properties(
        self, concept: Concept, info: SystemInfo, overlay: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        found: dict[str, list[dict[str, Any]]] = {}
        uris: dict[str, str] = {}
        for extension in (*concept.extensions, *dicts(overlay, "extension")):
            named = _AS_PROPERTY.get(str(extension.get("url")))
            if named is not None:
                code, uri = named
                value = next((v for k, v in extension.items() if k.startswith("value")), None)
                kind = "valueString" if code == "label" else "valueDecimal"
                found[code] = [{"code": code, kind: value}]
                uris[code] = CONCEPT_PROPERTIES + uri
        if concept.status not in ("", "active"):
            found["status"] = [{"code": "status", "valueCode": concept.status}]
            uris["status"] = CONCEPT_PROPERTIES + "status"
        every = "*" in self._properties
        if concept.definition and (every or "definition" in self._properties):
            found["definition"] = [{"code": "definition", "valueString": concept.definition}]
            uris["definition"] = CONCEPT_PROPERTIES + "definition"
        asked = {each.rpartition("#")[2] for each in self._properties}
        for held in concept.properties:
            if held.code == "status" or not (every or held.code in asked):
                continue
            found.setdefault(held.code, []).append({"code": held.code, held.kind: held.value})
            uris[held.code] = info.properties.get(held.code, ("", ""))[0]
        for code in found:
            self.declared.setdefault(code, uris[code])
        return [each for rows in found.values() for each in rows]


def _with(concept: Concept, overlay: Mapping[str, Any]) -> Concept:
    """The concept with the further names that a value set gives it."""
    more = tuple(
        Designation(
            text(each, "value"),
            text(each, "language"),
            each["use"] if isinstance(each.get("use"), dict) else None,
            extensions=tuple(dicts(each, "extension")),
        )
        for each in dicts(overlay, "designation")
    )
    if not more:
        return concept
    return Concept(concept.code, concept.display, designations=(*concept.designations, *more))


def _extensions(concept: Concept, overlay: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The extensions that are shown; a value set's stands before the code system's."""
    found: dict[str, dict[str, Any]] = {}
    for each in (*concept.extensions, *dicts(overlay, "extension")):
        if each.get("url") in _ECHOED:
            found[str(each["url"])] = dict(each)
    return list(found.values())


def in_r4(expansion: dict[str, Any]) -> dict[str, Any]:
    """An expansion with its properties as the extensions by which R4 carries them."""
    out = {key: value for key, value in expansion.items() if key != "property"}
    declared = expansion.get("property", ())
    if declared:
        out["extension"] = [
            *out.get("extension", ()),
            *(
                {
                    "url": _R5 + "property",
                    "extension": [
                        {"url": "code", "valueCode": each["code"]},
                        *([{"url": "uri", "valueUri": each["uri"]}] if "uri" in each else ()),
                    ],
                }
                for each in declared
            ),
        ]
    if "contains" in out:
        out["contains"] = [_entry_in_r4(each) for each in out["contains"]]
    return out


def _entry_in_r4(entry: dict[str, Any]) -> dict[str, Any]:
    out = {key: value for key, value in entry.items() if key not in ("property", "contains")}
    properties = entry.get("property", ())
    if properties:
        extensions = [
            *out.pop("extension", ()),
            *(
                {
                    "url": _R5 + "contains.property",
                    "extension": [
                        {"url": "code", "valueCode": each["code"]},
                        *({"url": "value", k: v} for k, v in each.items() if k != "code"),
                    ],
                }
                for each in properties
            ),
        ]
        out = {"extension": extensions, **out}
    if "contains" in entry:
        out["contains"] = [_entry_in_r4(each) for each in entry["contains"]]
    return out
