"""Requests that are good, for every entrance of the API: the fuzzer spoils them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.fuzz.odd import named
from tests.fuzz.seeds import OWN, SCRIPTS
from tests.fuzz.targets import SUBJECT

Json = dict[str, Any]
PATIENT: Final[Json] = {
    "resourceType": "Patient",
    "id": "fuzz",
    "identifier": [{"system": "urn:a", "value": "1"}],
    "name": [{"family": "Nováková", "given": ["Eva"]}],
    "birthDate": "1980-02-01",
    "link": [{"other": {"reference": "Patient/fuzz2"}, "type": "seealso"}],
}
OBSERVATION: Final[Json] = {
    **SUBJECT, "id": "fuzz", "subject": {"reference": "Patient/fuzz", "display": "Eva"},
}  # fmt: skip
CODES: Final[Json] = {
    "resourceType": "CodeSystem", "id": "fuzz", "url": "http://e.example/cs", "status": "active",
    "content": "complete", "hierarchyMeaning": "is-a", "caseSensitive": True, "version": "1",
    "property": [{"code": "p", "type": "string"}],
    "concept": [
        {"code": "a", "display": "A", "concept": [{"code": "b", "display": "Béta"}],
         "property": [{"code": "p", "valueString": "x"}]},
        {"code": "c", "designation": [{"language": "cs", "value": "Cé"}]},
    ],
}  # fmt: skip
VALUES: Final[Json] = {
    "resourceType": "ValueSet", "id": "fuzz", "url": "http://e.example/vs", "status": "active",
    "compose": {
        "include": [
            {"system": "http://e.example/cs",
             "filter": [{"property": "concept", "op": "is-a", "value": "a"}]},
            {"system": "http://e.example/cs", "version": "1", "concept": [{"code": "c"}]},
            {"valueSet": ["http://hl7.org/fhir/ValueSet/observation-status"]},
        ],
        "exclude": [{"system": "http://e.example/cs",
                     "filter": [{"property": "p", "op": "regex", "value": "x+"}]}],
    },
}  # fmt: skip
MAP: Final[Json] = {
    "resourceType": "ConceptMap", "id": "fuzz", "url": "http://e.example/cm", "status": "active",
    "sourceUri": "http://e.example/vs", "targetUri": "http://e.example/vs2",
    "group": [
        {"source": "http://e.example/cs", "target": "http://e.example/cs2",
         "element": [{"code": "a", "target": [{"code": "z", "equivalence": "equivalent"}]}],
         "unmapped": {"mode": "fixed", "code": "u"}}
    ],
}  # fmt: skip
PROFILE: Final[Json] = {
    "resourceType": "StructureDefinition", "id": "fuzz", "url": "http://e.example/sd",
    "name": "P", "status": "active", "kind": "resource", "abstract": False, "type": "Observation",
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Observation",
    "derivation": "constraint",
    "differential": {
        "element": [
            {"id": "Observation", "path": "Observation",
             "constraint": [{"key": "x-1", "severity": "error", "human": "h",
                             "expression": "note.count() < 9"}]},
            {"id": "Observation.component", "path": "Observation.component", "min": 1,
             "slicing": {"discriminator": [{"type": "value", "path": "code.text"}],
                         "rules": "open"}},
            {"id": "Observation.component:x", "path": "Observation.component", "sliceName": "x",
             "max": "1"},
            {"id": "Observation.component:x.code", "path": "Observation.component.code",
             "patternCodeableConcept": {"text": "x"}},
            {"id": "Observation.value[x]", "path": "Observation.value[x]",
             "type": [{"code": "Quantity"}], "minValueQuantity": {"value": 1, "unit": "/min"}},
        ]
    },
}  # fmt: skip
PARAMETER: Final[Json] = {
    "resourceType": "SearchParameter", "id": "fuzz", "url": "http://e.example/sp", "name": "s",
    "status": "active", "description": "d", "code": "odd-note", "base": ["Observation"],
    "type": "string", "expression": "Observation.note.text",
}  # fmt: skip
HOOK: Final[Json] = {
    "resourceType": "Subscription", "id": "fuzz", "status": "requested", "reason": "r",
    "criteria": "Observation?code=http://loinc.org|8867-4&patient=Patient/fuzz",
    "channel": {"type": "rest-hook", "endpoint": "https://hook.invalid/h",
                "payload": "application/fhir+json", "header": ["X-A: b"]},
}  # fmt: skip
TOPIC_HOOK: Final[Json] = {
    **HOOK,
    "meta": {"profile": ["http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
                         "backport-subscription"]},
    "criteria": "http://e.example/topic", "end": "2040-01-01T00:00:00Z",
    "channel": {**HOOK["channel"], "_payload": {"extension": [
        {"url": "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
                "backport-payload-content", "valueCode": "id-only"}]}},
    "_criteria": {"extension": [
        {"url": "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
                "backport-filter-criteria", "valueString": "Observation?patient=Patient/fuzz"}]},
}  # fmt: skip
TOPIC: Final[Json] = {
    "resourceType": "Basic", "id": "fuzz", "code": {"coding": [{
        "system": "http://hl7.org/fhir/fhir-types", "code": "SubscriptionTopic"}]},
    "extension": [
        {"url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.url",
         "valueUri": "http://e.example/topic"},
        {"url": "http://hl7.org/fhir/4.3/StructureDefinition/extension-SubscriptionTopic."
                "resourceTrigger",
         "extension": [{"url": "resource", "valueUri": "Observation"},
                       {"url": "fhirPathCriteria", "valueString": "%current.status = 'final'"}]},
        {"url": "http://hl7.org/fhir/4.3/StructureDefinition/extension-SubscriptionTopic."
                "canFilterBy",
         "extension": [{"url": "resource", "valueUri": "Observation"},
                       {"url": "filterParameter", "valueString": "patient"}]},
    ],
}  # fmt: skip
COMPOSITION: Final[Json] = {
    "resourceType": "Composition", "id": "fuzz", "status": "final", "date": "2026-01-01",
    "type": {"text": "t"}, "title": "T", "subject": {"reference": "Patient/fuzz"},
    "author": [{"reference": "Patient/fuzz"}],
    "section": [{"title": "s", "entry": [{"reference": "Observation/fuzz"}]}],
}  # fmt: skip
GROUP: Final[Json] = {
    "resourceType": "Group", "id": "fuzz", "type": "person", "actual": True,
    "member": [{"entity": {"reference": "Patient/fuzz"}}],
}  # fmt: skip
KNOWN: Final[Json] = {
    "resourceType": "Patient",
    "id": "fuzz3",
    "identifier": [{"system": "https://ncez.mzcr.cz/fhir/sid/rid", "value": "2066425387"}],
    "name": [{"family": "Známá", "given": ["Iva"]}],
    "birthDate": "1971-11-26",
}
"""Of whom the questions by RID speak."""
TOLD: Final[Json] = {
    "resourceType": "Patient",
    "name": [{"family": "Vymyšlená", "given": ["Ada"]}],
    "birthDate": "1983-03-03",
}
"""Of whom a hospital tells under its own number."""
NUMBERS: Final[Json] = {
    "resourceType": "NamingSystem", "id": "fuzz", "name": "Fuzz", "status": "active",
    "kind": "identifier", "date": "2026-01-01",
    "uniqueId": [{"type": "uri", "value": "urn:fuzz:mrn"}],
}  # fmt: skip
SETUP: Final[tuple[Json, ...]] = (PATIENT, {**PATIENT, "id": "fuzz2"}, KNOWN, OBSERVATION, CODES,
                                  VALUES, MAP, COMPOSITION, GROUP, TOPIC, PROFILE,
                                  NUMBERS)  # fmt: skip


def _entry(method: str, url: str, resource: Any = None, **more: str) -> Json:
    entry: Json = {"request": {"method": method, "url": url, **more}}
    if resource is not None:
        entry |= {"resource": resource}
    return entry


_NEW: Final[Json] = {k: v for k, v in OBSERVATION.items() if k != "id"}
TRANSACTION: Final[Json] = {
    "resourceType": "Bundle", "type": "transaction",
    "entry": [
        {"fullUrl": "urn:uuid:8d2f0d9c-5b5e-4bb6-8c0c-6e2a5cf1b0e1",
         **_entry("POST", "Patient", PATIENT, ifNoneExist="identifier=urn:a|1")},
        _entry("POST", "Observation", {**_NEW, "subject": {
            "reference": "urn:uuid:8d2f0d9c-5b5e-4bb6-8c0c-6e2a5cf1b0e1"}}),
        _entry("PUT", "Observation/fuzz", OBSERVATION, ifMatch='W/"1"'),
        _entry("PUT", "Observation?identifier=urn:b|1", _NEW),
        _entry("GET", "Observation?patient=Patient/fuzz&_count=2"),
        _entry("GET", "metadata?_elements=fhirVersion", ifModifiedSince="2026-01-01T00:00:00Z"),
        _entry("PATCH", "Patient/fuzz", {
            "resourceType": "Binary", "contentType": "application/json-patch+json",
            "data": "W3sib3AiOiJhZGQiLCJwYXRoIjoiL2FjdGl2ZSIsInZhbHVlIjp0cnVlfV0="}),
        _entry("DELETE", "Observation?identifier=urn:none|1"),
        _entry("POST", "Observation/$validate", _NEW),
    ],
}  # fmt: skip
DOCUMENT: Final[Json] = {
    "resourceType": "Bundle", "type": "document", "timestamp": "2026-01-01T00:00:00Z",
    "identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:1"},
    "entry": [
        {"fullUrl": f"http://e.example/{each['resourceType']}/{each['id']}", "resource": each}
        for each in (COMPOSITION, {k: v for k, v in PATIENT.items() if k != "link"}, OBSERVATION)
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """A good request: `pairs` of the query, `body` a tree, or `raw` for what is no FHIR JSON."""

    method: str
    path: str
    pairs: tuple[tuple[str, str], ...] = ()
    body: Json | None = None
    raw: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def _get(path: str, **pairs: str) -> Recipe:
    return Recipe("GET", path, tuple((k.replace("__", ":"), v) for k, v in pairs.items()))


def _post(path: str, body: Json, **pairs: str) -> Recipe:
    return Recipe("POST", path, tuple(pairs.items()), body)


_CS: Final = {"url:valueUri": "http://e.example/cs", "code:valueCode": "a"}
_PATCH: Final = {"content-type": "application/json-patch+json"}
RECIPES: Final[tuple[Recipe, ...]] = (
    *(_post(f"/{r['resourceType']}", r) for r in (
        PATIENT, OBSERVATION, CODES, VALUES, MAP, PROFILE, PARAMETER, HOOK, TOPIC_HOOK, TOPIC,
        COMPOSITION, GROUP, DOCUMENT)),
    *(Recipe("PUT", f"/{r['resourceType']}/{r['id']}", (), r) for r in (
        PATIENT, OBSERVATION, CODES, VALUES, MAP, PROFILE, PARAMETER, HOOK, TOPIC_HOOK, TOPIC)),
    _post("/", {**TRANSACTION, "entry": TRANSACTION["entry"][:-1]}),
    _post("/", {**TRANSACTION, "type": "batch"}),
    *(Recipe("POST", path, (), None, OWN["xml"][0], {"content-type": "application/fhir+xml"})
      for path in ("/Patient", "/Observation")),
    Recipe("PUT", "/Observation", (("identifier", "urn:b|1"),), _NEW),
    Recipe("POST", "/Observation", (), _NEW, b"",
           {"if-none-exist": "identifier=urn:b|1&status=final"}),
    Recipe("DELETE", "/Observation", (("identifier", "urn:none|1"),)),
    Recipe("PATCH", "/Observation/fuzz", (), None, OWN["json-patch"][0], _PATCH),
    *(Recipe("PATCH", "/Observation/fuzz", (), json.loads(each))
      for each in OWN["fhirpath-patch"][1:]),
    _post("/Observation/$validate", OBSERVATION, profile="http://e.example/sd", mode="create"),
    _post("/Observation/$validate", {"resourceType": "Parameters", "parameter": [
        {"name": "resource", "resource": OBSERVATION}, {"name": "mode", "valueCode": "update"},
        {"name": "profile", "valueUri": "http://e.example/sd"}]}),
    *(_post(f"/{r['resourceType']}/$validate", r)
      for r in (DOCUMENT, PROFILE, CODES, VALUES, MAP, HOOK)),
    _post("/TestScript/$validate", json.loads((SCRIPTS / "create.json").read_bytes())),
    _get("/Observation", code="http://loinc.org|8867-4", date="ge2026-01-01", _sort="-date,_id",
         _count="5", _include="Observation:subject", _total="accurate", _elements="code,status"),
    _get("/Observation", patient__Patient="fuzz", _summary="count"),
    _get("/Observation", **{"value-quantity": "gt5|http://unitsofmeasure.org|/min",
         "component-code-value-quantity": "x$gt1", "subject:Patient.name": "eva",
         "_has:Provenance:target:agent": "a"}),
    _get("/Observation", _filter='code eq 8867-4 and (date gt 2020-01-01 or value-string pr true)',
         _text="heart OR -b", _content="x"),
    _get("/Observation", **{"code:in": "http://e.example/vs", "code:below": "http://e.example/cs|a",
         "category:not-in": "http://e.example/vs", "code:text": "x", "_list": "fuzz"}),
    _get("/Patient", **{"_has:Observation:patient:code": "8867-4", "name:contains": "ov",
         "identifier:of-type": "a|b|c", "_revinclude": "Observation:subject",
         "_revinclude:iterate": "*", "birthdate": "ap1980", "_lastUpdated": "gt2020"}),
    _get("/", _type="Patient,Observation", _lastUpdated="gt2020", _count="2"),
    _get("/Patient/fuzz/Observation", code="8867-4"), _get("/Patient/fuzz/*", _type="Observation"),
    _get("/Patient/fuzz/$everything", _since="2020-01-01T00:00:00Z", _type="Observation",
         _count="1", start="2020", end="2030"),
    _get("/Observation/fuzz/_history", _count="1", _since="2020-01-01T00:00:00Z"),
    _get("/Observation/_history", _at="2026"), _get("/_history", _count="3"),
    _get("/_history", _list="fuzz", _count="0", _sort="-_lastUpdated"), _get("/Group/$meta"),
    _post("/Observation/fuzz/$validate", named({"mode:valueCode": "delete"})),
    Recipe("POST", "/Observation/_search", (), None, b"code=8867-4", {
        "content-type": "application/x-www-form-urlencoded", "prefer": "respond-async"}),
    _get("/Observation/fuzz/_history/1", _format="xml"), _get("/metadata", mode="terminology"),
    _get("/Observation/$lastn", patient="Patient/fuzz", max="2", code="8867-4"),
    _get("/Composition/fuzz/$document", persist="true"), _get("/Bundle/fuzz/$seal"),
    _post("/Patient/$match", {"resourceType": "Parameters", "parameter": [
        {"name": "resource", "resource": PATIENT}, {"name": "count", "valueInteger": 3},
        {"name": "onlyCertainMatches", "valueBoolean": False}]}),
    _get("/Patient/$ihe-pix", sourceIdentifier="https://ncez.mzcr.cz/fhir/sid/rid|2066425387",
         targetSystem="https://ncez.mzcr.cz/fhir/sid/rcis"),
    _get("/Patient/fuzz/$register-check"),
    _post("/Organization/$mandates", named({"organization:valueString": "12345679",
          "agent:valueString": "2066425387", "service:valueString": "submit",
          "status:valueString": "executed", "_count:valueInteger": 2})),
    _post("/Patient/$krp-find", named({"family:valueString": "Známá",
          "given:valueString": "Iva", "birthDate:valueString": "1971-11-26",
          "rid:valueString": "2066425387", "purpose:valueString": "LECBA"})),
    *(_post(f"/Patient/$krp-{name}", named({"rid:valueString": "2066425387"}))
      for name in ("insurance", "registering")),
    _post("/Patient/$krp-insurance", named({"rid:valueString": "2066425387",
          "date:valueDate": "2026-01-01"})),
    *(_post(f"/Patient/$krp-{name}", {"resourceType": "Parameters", "parameter": [
        {"name": "identifier", "valueIdentifier": {"system": "urn:fuzz:mrn", "value": value}},
        {"name": "patient", "resource": TOLD}, {"name": "purpose", "valueCode": "LECBA"}]})
      for name, value in (("create", "1"), ("change", "1"), ("temporary", "2"))),
    _get("/Patient/$krp-identified", job="7d3a9f52-6f0e-4f3b-9a54-0c8a8d1d2f10"),
    _post("/Patient/$krp-identify", {"resourceType": "Parameters", "parameter": [
        {"name": "person", "part": [{"name": "id", "valueString": "1"},
                                    {"name": "rid", "valueString": "2066425387"}]},
        {"name": "person", "part": [{"name": "documentType", "valueCode": "P"},
                                    {"name": "documentNumber", "valueString": "39812345"}]}]}),
    _post("/Patient/$krp-find", named({"rid:valueString": "2066425387"})),
    _get("/OperationDefinition", url="http://e.example/od"),
    Recipe("POST", "/Patient", (), TOLD, b"", {"if-none-exist": "identifier=urn:fuzz:mrn|2"}),
    _post("/Patient/$krp-merge", named({"rid:valueString": "2066425387",
          "other:valueString": "1000000090", "reason:valueString": "one person"})),
    _post("/Patient/$krp-split", named({"rid:valueString": "2066425387",
          "reason:valueString": "two persons"})),
    _post("/Patient/$krp-dispute", named({"rid:valueString": "2066425387",
          "element:valueString": "name", "reason:valueString": "misspelt"})),
    _get("/HealthcareService/$nearby", near="49.2|16.6|20|km", service="x", text="y",
         open="2026-01-01T10:00:00Z"),
    _get("/Observation/fuzz/$diff", fromVersion="1", includeMeta="true"),
    _get("/$diff", **{"from": "Observation/fuzz/_history/1", "to": "Observation/fuzz"}),
    _get("/Observation/fuzz/$meta"), _get("/$versions"),
    *(_post(f"/Observation/fuzz/$meta-{way}", named({"meta:valueMeta": {
        "tag": [{"system": "s", "code": "t"}]}})) for way in ("add", "delete")),
    _post("/$convert", OBSERVATION),
    _post("/Observation/fuzz/$expunge", named({"limit:valueInteger": 1,
          "expungePreviousVersions:valueBoolean": True,
          "confirm:valueString": "Observation/fuzz"})),
    _get("/Patient/fuzz/$access-explain", client="hospital-b", purpose="TREAT", action="search",
         type="Observation", language="cs"),
    _post("/$may", named({"service:valueCode": "read", "document:valueCode": "11502-2",
          "grantorRole:valueCode": "Pacient", "grantor:valueString": "2066425387",
          "granteeRole:valueCode": "PZS", "grantee:valueString": "12345679"})),
    _post("/Patient/$isolation-ordered", named({
        "identifier:valueIdentifier": {"system": "https://ncez.mzcr.cz/fhir/sid/rid",
                                       "value": "2066425387"},
        "family:valueString": "Nováková", "given:valueString": "Eva"})),
    _post("/Patient/fuzz/$emergency-access", named({
        "reason:valueString": "unconscious, allergies needed", "hours:valueInteger": 4})),
    _get("/CodeSystem/$lookup", system="http://e.example/cs", code="a", property="p",
         displayLanguage="cs", version="1"),
    _post("/CodeSystem/$lookup", named({"coding:valueCoding": {"system": "http://e.example/cs",
          "code": "b"}, "property:valueCode": "p"})),
    _post("/CodeSystem/$validate-code", named({**_CS, "display:valueString": "A"})),
    _post("/CodeSystem/fuzz/$validate-code", named({"code:valueCode": "b"})),
    _get("/CodeSystem/$subsumes", system="http://e.example/cs", codeA="a", codeB="b"),
    _get("/ValueSet/$expand", url="http://e.example/vs", filter="b", count="2", offset="0",
         displayLanguage="cs,en;q=0.5", includeDesignations="true", property="p"),
    _get("/ValueSet/fuzz/$expand", activeOnly="true", excludeNested="false"),
    _get("/ValueSet/$expand", url="http://hl7.org/fhir/ValueSet/mimetypes", filter="x"),
    _get("/ValueSet/$expand", url="http://e.example/cs?fhir_vs=isa/a"),
    _post("/ValueSet/$expand", {"resourceType": "Parameters", "parameter": [
        {"name": "valueSet", "resource": VALUES}, {"name": "count", "valueInteger": 5},
        {"name": "tx-resource", "resource": CODES},
        {"name": "system-version", "valueUri": "http://e.example/cs|1"}]}),
    _post("/ValueSet/$validate-code", named({"url:valueUri": "http://e.example/vs",
          "codeableConcept:valueCodeableConcept": {"coding": [{"system": "http://e.example/cs",
          "code": "b", "display": "B"}]}, "lenient-display-validation:valueBoolean": True})),
    _post("/ValueSet/$batch-validate-code", {"resourceType": "Parameters", "parameter": [
        {"name": "validation", "resource": named({**_CS, "url:valueUri": "http://e.example/vs"})}]}),
    _get("/ConceptMap/$translate", url="http://e.example/cm", system="http://e.example/cs",
         code="a", reverse="false", target="http://e.example/vs2"),
    _post("/ConceptMap/$translate", named({"url:valueUri": "http://e.example/cm",
          "codeableConcept:valueCodeableConcept": {"coding": [{"system": "http://e.example/cs",
          "code": "q"}]}})),
    _post("/$closure", named({"name:valueString": "fuzz"})),
    _post("/$closure", named({"name:valueString": "fuzz",
          "concept:valueCoding": {"system": "http://e.example/cs", "code": "b"}})),
    _post("/$closure", named({"name:valueString": "fuzz", "version:valueString": "0"})),
    _post("/$graphql", {"query": OWN["graphql"][0].decode(), "variables": {"a": "Eva"}}),
    _get("/Patient/fuzz/$graphql", query="{id name{family given @first} "
         "ObservationList(_reference: subject){status}}"),
    _get("/$export", _type="Patient", _since="2020-01-01T00:00:00Z",
         _typeFilter="Patient?active=true"),
    _get("/Group/fuzz/$export", _elements="id"),
    _post("/Patient/$export", named({"_type:valueString": "Observation",
          "patient:valueReference": {"reference": "Patient/fuzz"}})),
    _post("/$import", {"resourceType": "Parameters", "parameter": [
        {"name": "inputFormat", "valueCode": "application/fhir+ndjson"},
        {"name": "input", "part": [{"name": "url", "valueUri": "https://e.invalid/a"}]}]}),
    _get("/Subscription/fuzz/$status"), _get("/Subscription/$status", id="fuzz"),
    _get("/Subscription/fuzz/$events", eventsSinceNumber="1", content="full-resource"),
    _get("/Subscription/$get-ws-binding-token", id="fuzz"),
    _get("/SearchParameter/$reindex-status", url="http://e.example/sp"),
    _get("/AuditEvent", date="ge2026", _count="2", patient="Patient/fuzz"),
    Recipe("GET", "/Observation", (("code", "8867-4"),), None, b"",
           {"prefer": "respond-async, handling=lenient", "accept": "application/fhir+xml;q=0.9"}),
    Recipe("POST", "/Observation/_search", (), None, b"code=8867-4&_count=1",
           {"content-type": "application/x-www-form-urlencoded"}),
)  # fmt: skip
