"""Definitions that cases of the tx-ecosystem suite refer to and that are not beside the checkout.

They are written from what the cases themselves say of them, so that these cases can be run too.
"""

from __future__ import annotations

from typing import Any

T = "http://hl7.org/fhir/test/"
SD = "http://hl7.org/fhir/StructureDefinition/"
CP = "http://hl7.org/fhir/concept-properties#"
Json = dict[str, Any]


def value_set(name: str, version: str = "5.0.0", *, title: str = "", **compose: Any) -> Json:
    """A ValueSet as the suite's are: `name` is the end of its address."""
    camel, _, spaced = title.partition("|")
    named = {"name": camel} if camel else {}
    named |= {"title": spaced} if spaced else {}
    return {
        "resourceType": "ValueSet", "url": f"{T}ValueSet/{name}", "version": version, **named,
        "status": "active", "experimental": False, "date": "2023-04-01",
        "publisher": "FHIR Project", "compose": compose,
    }  # fmt: skip


def code_system(end: str, concepts: list[Json], version: str = "", **more: Any) -> Json:
    """A CodeSystem as the suite's are."""
    out = {
        "resourceType": "CodeSystem", "url": f"{T}CodeSystem/{end}", "status": "active",
        "experimental": False, "caseSensitive": True, "content": "complete",
    }  # fmt: skip
    if version:
        out["version"] = version
    return {**out, **more, "concept": concepts}


def concept(code: str, display: str = "", *children: Json, **more: Any) -> Json:
    """A concept with the ones below it."""
    out: Json = {"code": code, **({"display": display} if display else {}), **more}
    return {**out, "concept": list(children)} if children else out


def named(language: str, value: str, **more: Any) -> Json:
    """A designation."""
    return {"language": language, "value": value, **more}


def all_of(system: str, **more: Any) -> Json:
    """An include of a system of the suite."""
    return {"system": f"{T}CodeSystem/{system}", **more}


def fixed(name: str, value: str) -> Json:
    """The extension by which a value set fixes a parameter of its expansion."""
    return {
        "url": SD + "valueset-expansion-parameter",
        "extension": [{"url": "name", "valueCode": name}, {"url": "value", "valueCode": value}],
    }


def _levels(more: Any = lambda code: {}) -> list[Json]:
    return [
        concept("code1", "Display 1", **more("code1")),
        concept(
            "code2", "Display 2",
            concept(
                "code2a", "Display 2a",
                concept("code2aI", "Display 2aI", **more("code2aI")),
                concept("code2aII", "Display 2aII", **more("code2aII")),
                **more("code2a"),
            ),
            concept("code2b", "Display 2b", **more("code2b")),
            **more("code2"),
        ),
        concept("code3", "Display 3", **more("code3")),
    ]  # fmt: skip


_TRANSLATED: dict[str, list[Json]] = {
    "code1": [named("de", "Anzeige 1")],
    "code2": [named("de-CH", "Anzeige 2"), named("es", "Mostrar 2")],
    "code2a": [named("de", "Anzeige 2a"), named("es", "Mostrar 2a")],
    "code2aI": [named("es", "Mostrar 2aI")],
    "code2aII": [named("en", "Alternate Display 2aII")],
    "code2b": [named("de", "Anzeige 2b")],
    "code3": [named("de", "Anzeige 3")],
}


def _selectable(code: str, uri: bool, declared: bool = True) -> list[Json]:
    def held(value: bool) -> list[Json]:
        return [{"code": code, "valueBoolean": value}]

    assert uri or declared
    return [
        concept("codeU", "Unknown Selectable State"),
        concept("codeS", "Selectable Code", property=held(False)),
        concept("codeNS", "Not Selectable Code", property=held(True)),
    ]


def _selecting(name: str, op: str = "=", value: str = "") -> Json:
    system, _, wanted = name.partition("/")
    property = "not-selectable" if "reprop" in system else "notSelectable"
    more = {"filter": [{"property": property, "op": op, "value": value}]} if value else {}
    return value_set(
        f"{system}-{wanted}",
        title=_TITLES.get(name, ""),
        include=[all_of(system, **more)],
    )


_TITLES: dict[str, str] = {}


def _order(number: int) -> Json:
    return {"url": SD + "codesystem-conceptOrder", "valueInteger": number}


def _extended() -> list[Json]:
    sct = {"url": SD + "coding-sctdescid", "valueId": "234234"}
    gone = {"url": SD + "structuredefinition-standards-status", "valueCode": "withdrawn"}
    style = {"url": SD + "rendering-style",
             "valueString": "font-weight: bold; font-decoration: strikethrough"}  # fmt: skip
    shown = '<span style="color: maroon">This is a dumb way to do things</span>'
    xhtml = {"url": SD + "rendering-xhtml", "valueString": shown}
    deprecated = {"url": SD + "structuredefinition-standards-status", "valueCode": "deprecated"}
    return [
        concept("code1", "Display 1", definition="My first code", extension=[_order(6)],
                designation=[named("de", "Mein erster Code", extension=[sct])]),
        concept("code2", "Display 2", definition="My second code", extension=[_order(5)],
                designation=[named("de", "2nd Code", extension=[gone])]),
        concept("code3", "Display 3", definition="My third code",
                extension=[_order(4), style, xhtml]),
        concept("code4", "Display 4", definition="My fourth code", extension=[_order(3)]),
        concept("code5", "Display 5", definition="My fifth code",
                extension=[_order(2), deprecated]),
        concept("code6", "Display 6", definition="My sixth code", extension=[_order(1)]),
    ]  # fmt: skip


def _exchange() -> list[Json]:
    return [
        concept("individual", "Individual"),
        concept("subject-list", "Subject List"),
        concept("summary", "Summary"),
        concept("data-exchange", "Data Exchange",
                *(concept(f"data-exchange{n}", f"Data Exchange{n}") for n in (1, 2, 3))),
    ]  # fmt: skip


_RESOURCES = [
    code_system("en-multi", _levels(lambda code: {"designation": _TRANSLATED[code]}),
                language="en", name="TestCodeSystemMultiLangEN"),
    code_system("extensions", _extended(), language="en", name="ExtensionsTestCodeSystem"),
    code_system("lang-en", [concept("code1", "Code1"), concept("code2", "Code2")], language="en"),
    code_system("not-so-big", [concept(f"code{n}", f"Display {n}") for n in range(1, 100)]),
    code_system(
        "dual-filter",
        [concept("AA", "Root of AA",
                 concept("AA1", "AA1", property=[{"code": "status", "valueCode": "A"}]),
                 concept("AA2", "AA2", property=[{"code": "status", "valueCode": "R"}]))],
        property=[{"code": "status", "uri": CP + "status", "type": "code"}],
    ),
    code_system("deprecated", _levels(), "0.1.0", extension=[
        {"url": SD + "structuredefinition-standards-status", "valueCode": "deprecated"}]),
    code_system("notSelectable-reprop", _selectable("not-selectable", True), "0.1.0",
                property=[{"code": "not-selectable", "uri": CP + "notSelectable",
                           "type": "boolean"}]),
    code_system("notSelectable-unprop", _selectable("notSelectable", False), "0.1.0",
                property=[{"code": "notSelectable", "type": "boolean"}]),
    code_system("case-insensitive", [concept("code1", "Display 1")], "0.1.0",
                caseSensitive=False),
    code_system("case-sensitive",
                [concept("code1", "lowercase display"), concept("CODE1", "UPPERCASE DISPLAY")],
                "0.1.0"),
    code_system("source", [concept(f"code-{n}", f"Code {n}") for n in range(1, 6)], "0.1.0"),
    code_system("search", _exchange()),
    value_set("simple-active", title="SimpleValueSetActive|Simple ValueSet Active",
              inactive=False, include=[all_of("simple")]),
    value_set("simple-enumerated-bad",
              title="SimpleValueSetEnumeratedBad|Simple ValueSet Enumerated Bad",
              include=[all_of("simple", concept=[
                  {"code": c} for c in ("code1", "code2", "codeX", "code3", "code2a", "code2b")])]),
    value_set("simple-filter-isa",
              title="SimpleValueSetFilterIsA|Simple ValueSet Filter by Is-A",
              include=[all_of("simple", filter=[
                  {"property": "concept", "op": "is-a", "value": "code2"}])]),
    value_set("simple-filter-regex-prop",
              include=[all_of("simple", filter=[
                  {"property": "prop", "op": "regex", "value": "o[a-z]*"}])]),
    value_set("extensions-all-ns",
              title="ExtensionsValueSetAllNS|Extensions ValueSet All No Supp",
              include=[all_of("extensions")]),
    value_set("en-multi", title="LanguageValueSetENMulti|Language ValueSet EN Multi",
              include=[all_of("en-multi")]),
    value_set("de-multi", title="LanguageValueSetDEMulti|Language ValueSet DE Multi",
              include=[all_of("de-multi")]),
    value_set("en-en-multi", title="LanguageValueSetENMultiEN|Language ValueSet EN Multi for EN",
              extension=[fixed("displayLanguage", "en")], include=[all_of("en-multi")]),
    value_set("lang-ende-N", include=[all_of("lang-ende-N")]),
    value_set("lang-ende", include=[all_of("lang-ende")]),
    value_set("version-all", "1.2.0", title="VersionedValueSetAll|Versioned ValueSet All",
              include=[all_of("version", version="1.2.0")]),
    value_set("version-w", "1.0.0", title="VersionedValueSetAll|Versioned ValueSet All",
              include=[all_of("version", version="1.x")]),
    value_set("version-w-bad", "1.0.0", title="VersionedValueSetAll|Versioned ValueSet All",
              include=[all_of("version", version="1")]),
    value_set("overload-all-merged",
              title="OverloadValueSetAllMerged|Overload ValueSet All Merged",
              extension=[fixed("versionsMatch", "true")],
              include=[all_of("overload", version="1.0.0"), all_of("overload", version="2.0.0")]),
    value_set("overload-exclude", include=[all_of("overload", version="2.0.0")],
              exclude=[all_of("overload", version="1.0.0")]),
    value_set("overload-enum-good", include=[
        all_of("overload", version="1.0.0", concept=[{"code": "code3"}]),
        all_of("overload", version="2.0.0", concept=[{"code": "code2"}])]),
    value_set("fragment", include=[all_of("fragment")]),
    value_set("big", title="BigValueSetAll|Big ValueSet All", include=[all_of("big")]),
    value_set("experimental", include=[all_of("experimental")]),
    value_set("case-insensitive", include=[all_of("case-insensitive")]),
    value_set("exclude-filter", "6.0.0", include=[all_of("exclude", filter=[
        {"property": "code", "op": "is-a", "value": "data-exchange"}])],
        exclude=[all_of("exclude", concept=[{"code": "data-exchange"}])]),
    value_set("vs-version", "1.0.0", include=[all_of("vs-version", concept=[
        {"code": "code1"}, {"code": "code3"}])]),
    _selecting("notSelectable-prop/all"),
    _selecting("notSelectable-prop/trueUC", "=", "TRUE"),
    _selecting("notSelectable-prop/in", "in", "true"),
    _selecting("notSelectable-noprop/all"),
    _selecting("notSelectable-unprop/true", "=", "true"),
    {
        "resourceType": "ValueSet", "url": "http://hl7.org/fhir/tests/ValueSet/act-class",
        "version": "1", "status": "active", "experimental": False,
        "compose": {
            "include": [{"system": "http://hl7.org/fhir/tests/CodeSystem/act-class"}],
            "exclude": [{"system": "http://hl7.org/fhir/tests/CodeSystem/act-class", "filter": [
                {"property": "notSelectable", "op": "=", "value": "true"}]}],
        },
    },
]  # fmt: skip

STAND_INS: dict[tuple[str, str, str], Json] = {
    (each["resourceType"], each["url"], each.get("version", "")): each for each in _RESOURCES
}
PROFILES: dict[str, list[Json]] = {
    "version/parameters-fixed-version.json": [
        {"name": "force-system-version", "valueUri": f"{T}CodeSystem/version|1.0.x"}
    ]
}
