"""A code system in memory: a CodeSystem resource with its supplements, made ready for questions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from pater.terminology import filters
from pater.terminology.model import (
    CONCEPT_PROPERTIES,
    INACTIVE_STATUSES,
    Concept,
    Designation,
    Filter,
    Page,
    Property,
    Query,
    SystemInfo,
)
from pater.terminology.versions import joined
from pater.terminology.words import words

STANDARDS_STATUS: Final = (
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status"
)
Json = Mapping[str, Any]


def standards_status(holder: Json) -> str:
    """The standards status that an extension gives, "" when none does."""
    for extension in dicts(holder, "extension"):
        if extension.get("url") == STANDARDS_STATUS:
            return str(extension.get("valueCode", ""))
    return ""


def info_of(resource: Json, supplements: Sequence[Json] = ()) -> SystemInfo:
    """What a CodeSystem resource says of itself, with the properties its supplements add."""
    properties: dict[str, tuple[str, str]] = {}
    for source in (resource, *supplements):
        for each in dicts(source, "property"):
            properties.setdefault(text(each, "code"), (text(each, "uri"), text(each, "type")))
    concepts = dicts(resource, "concept")
    return SystemInfo(
        url=text(resource, "url"),
        version=text(resource, "version"),
        name=text(resource, "name"),
        title=text(resource, "title"),
        language=text(resource, "language"),
        content=text(resource, "content") or "complete",
        case_sensitive=resource.get("caseSensitive") is not False,
        hierarchical=any(each.get("concept") for each in concepts)
        or any(uri == CONCEPT_PROPERTIES + "parent" for uri, _ in properties.values()),
        status=standards_status(resource) or text(resource, "status"),
        experimental=resource.get("experimental") is True,
        version_needed=resource.get("versionNeeded") is True,
        properties=properties,
        supplements=tuple(joined(text(each, "url"), text(each, "version")) for each in supplements),
        resource=resource,
    )


def text(holder: object, name: str) -> str:
    """A string element, "" when it is absent or no string, or when the holder is no object."""
    value = holder.get(name) if isinstance(holder, Mapping) else None
    return value if isinstance(value, str) else ""


def dicts(holder: object, name: str) -> list[dict[str, Any]]:
    """The objects of a repeating element; what is no object is left out."""
    value = holder.get(name) if isinstance(holder, Mapping) else None
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


class ResourceSystem:
    """Implements `model.CodeSystem` over one resource."""

    def __init__(self, resource: Json, supplements: Sequence[Json] = ()) -> None:
        self.info = info_of(resource, supplements)
        added: dict[str, list[tuple[str, Json]]] = {}
        for supplement in supplements:
            source = joined(text(supplement, "url"), text(supplement, "version"))
            for each, _ in _walk(supplement):
                added.setdefault(text(each, "code"), []).append((source, each))
        self._concepts: dict[str, Concept] = {}
        for each, parent in _walk(resource):
            code = text(each, "code")
            if code:
                made = self._concept(each, parent, added.get(code, ()))
                self._concepts.setdefault(code, made)
        self._children: dict[str, list[str]] = {}
        for code, concept in self._concepts.items():
            for parent in concept.parents:
                self._children.setdefault(parent, []).append(code)
        self._words: dict[str, list[str]] = {}
        self._by_folded = (
            {} if self.info.case_sensitive else {code.casefold(): code for code in self._concepts}
        )

    def __len__(self) -> int:
        return len(self._concepts)

    def _role(self, code: str) -> str:
        """What a property means: the name behind `concept-properties#`, else its own code."""
        uri = self.info.properties.get(code, ("", ""))[0]
        return uri.removeprefix(CONCEPT_PROPERTIES) if uri.startswith(CONCEPT_PROPERTIES) else code

    def _concept(self, raw: Json, parent: str, added: Sequence[tuple[str, Json]]) -> Concept:
        designations = [_designation(each, "") for each in dicts(raw, "designation")]
        properties = [_property(each) for each in dicts(raw, "property")]
        extensions = dicts(raw, "extension")
        for source, each in added:
            if text(each, "display"):
                language = ""
                designations.append(Designation(text(each, "display"), language, source=source))
            designations += [_designation(d, source) for d in dicts(each, "designation")]
            properties += [_property(p) for p in dicts(each, "property")]
            extensions = extensions + dicts(each, "extension")
        parents = [parent] if parent else []
        abstract, inactive, status = False, False, ""
        for one in properties:
            match self._role(one.code):
                case "parent":
                    parents.append(one.text)
                case "notSelectable" | "abstract":
                    abstract = abstract or one.value is True
                case "inactive":
                    inactive = inactive or one.value is True
                case "status":
                    status = status or one.text
                case "deprecated" if one.value is not False:
                    status = status or "deprecated"
        status = status or standards_status({"extension": extensions})
        return Concept(
            code=text(raw, "code"),
            display=text(raw, "display"),
            definition=text(raw, "definition"),
            designations=tuple(each for each in designations if each.value),
            properties=tuple(properties),
            extensions=tuple(extensions),
            parents=tuple(dict.fromkeys(parents)),
            abstract=abstract,
            inactive=inactive or status in INACTIVE_STATUSES,
            status=status,
        )

    def concepts(self) -> Iterator[Concept]:
        """All of them, in the order of the resource."""
        return iter(self._concepts.values())

    def get(self, code: str) -> Concept | None:
        """A concept by its exact code."""
        return self._concepts.get(code)

    def children_of(self, code: str) -> Sequence[str]:
        """The codes directly below."""
        return self._children.get(code, ())

    def descendants_of(self, code: str) -> frozenset[str]:
        """All codes below; a circle of parents ends the walk."""
        return filters.closure(code, self.children_of)

    def ancestors_of(self, code: str) -> frozenset[str]:
        """All codes above."""

        def up(each: str) -> Sequence[str]:
            found = self._concepts.get(each)
            return found.parents if found else ()

        return filters.closure(code, up)

    async def locate(self, codes: Collection[str]) -> dict[str, Concept]:
        """See `model.CodeSystem`."""
        found = {}
        for code in codes:
            exact = self._concepts.get(code)
            if exact is None and not self.info.case_sensitive:
                exact = self._concepts.get(self._by_folded.get(code.casefold(), ""))
            if exact is not None:
                found[code] = exact
        return found

    async def page(self, query: Query) -> Page:
        """See `model.CodeSystem`."""
        tests = [filters.compiled(self, each) for each in query.filters]
        found = [
            concept
            for concept in self._concepts.values()
            if not (query.active_only and concept.inactive)
            and all(test(concept) for test in tests)
            and (not query.text or self._named(concept, query.text))
        ]
        return Page(found[query.offset : query.offset + query.limit], len(found))

    def _named(self, concept: Concept, wanted: tuple[str, ...]) -> bool:
        """Whether each word begins one of the concept's, which are split once and kept."""
        have = self._words.get(concept.code)
        if have is None:
            have = self._words[concept.code] = words(names(concept))
        return all(any(word.startswith(each) for word in have) for each in wanted)

    async def among(self, codes: Collection[str], wanted: tuple[Filter, ...]) -> frozenset[str]:
        """See `model.CodeSystem`."""
        tests = [filters.compiled(self, each) for each in wanted]
        have = [self._concepts[code] for code in codes if code in self._concepts]
        return frozenset(each.code for each in have if all(test(each) for test in tests))

    async def ancestors(self, code: str) -> frozenset[str]:
        """See `model.CodeSystem`."""
        return self.ancestors_of(code)

    async def children(self, code: str, limit: int) -> Sequence[Concept]:
        """See `model.CodeSystem`."""
        return [self._concepts[each] for each in self.children_of(code)[:limit]]


def names(concept: Concept) -> list[str]:
    """What a text filter looks at: code, display, designations."""
    return [concept.code, concept.display, *(each.value for each in concept.designations)]


def _walk(resource: Json) -> Iterator[tuple[dict[str, Any], str]]:
    """Every concept with the code of the one it stands in, parents first, order kept."""
    stack = [(each, "") for each in reversed(dicts(resource, "concept"))]
    while stack:
        concept, parent = stack.pop()
        yield concept, parent
        code = text(concept, "code")
        stack += [(each, code) for each in reversed(dicts(concept, "concept"))]


def _designation(raw: Json, source: str) -> Designation:
    use = raw.get("use")
    return Designation(
        value=text(raw, "value"),
        language=text(raw, "language"),
        use=use if isinstance(use, dict) else None,
        status=standards_status(raw),
        extensions=tuple(dicts(raw, "extension")),
        source=source,
    )


def _property(raw: Json) -> Property:
    kind = next((key for key in raw if key.startswith("value")), "valueString")
    return Property(text(raw, "code"), kind, raw.get(kind, ""))
