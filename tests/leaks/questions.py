"""Every way to ask about one person, as requests whose answers are compared between twins."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.leaks.twins import record


@dataclass(frozen=True)
class Question:
    """One request; with `pages` the further pages are asked for too."""

    path: str
    method: str = "GET"
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    pages: bool = False

    @property
    def name(self) -> str:
        return f"{self.method} {self.path} {json.dumps(self.body)[:80] if self.body else ''}"


def questions(who: str) -> list[Question]:
    """All questions about a person, those that change something last."""
    get = Question
    found: list[Question] = []
    for each in record(who):
        here = f"/{each.type}/{each.id}"
        found += [get(here), get(f"{here}/_history/1"), get(f"{here}/_history")]
    lab = f"/Observation/lab-{who}"
    found += [
        get(f"/Consent/will-{who}"), get(f"/Observation/gone-{who}"),
        get(f"/Observation/gone-{who}/_history"), get(f"{lab}/_history/2"),
        get(f"{lab}/_history?_count=0"), get(f"{lab}/_history?_count=1", pages=True),
        get(lab, "HEAD"), get(f"{lab}?_elements=status"), get(f"{lab}?_summary=true"),
        get(lab, headers={"If_None_Match": 'W/"2"'}),
        get(lab, headers={"If_Modified_Since": "Sat, 01 Jan 2028 00:00:00 GMT"}),
        get(f"{lab}/$diff"), get(f"{lab}/$meta"), get(f"{lab}/$graphql?query={{status}}"),
        get(f"/Composition/letter-{who}/$document"),
        get(f"/Composition/own-letter-{who}/$document"),
        get(f"/Encounter/own-{who}/$everything"), get(f"/Encounter/other-{who}/$everything"),
        get(f"/Patient/{who}"), get(f"/Patient/{who}/_history"),
        get(f"/Patient/{who}/$everything"), get(f"/Patient/{who}/$everything?_count=2", pages=True),
        get(f"/Patient/{who}/$everything?_type=Observation"),
        get(f"/Patient/{who}/Observation"), get(f"/Patient/{who}/Observation?_summary=count"),
        get(f"/Patient/{who}/*"), get(f"/Encounter/other-{who}/Observation?patient={who}"),
        get(f"/Observation/$lastn?patient={who}"), get(f"/Observation/$lastn?patient={who}&max=3"),
    ]  # fmt: skip
    mine = f"patient={who}"
    for query in (
        "", "&_total=accurate", "&_total=estimate", "&_count=0", "&_summary=count",
        "&category=laboratory", "&code=2160-0", "&code=2160-0&_total=accurate", "&code:not=8867-4",
        "&value-quantity=gt5", "&date=ge2026-01-01&_total=accurate", "&_sort=-date",
        "&_sort=date", "&_content=tajemstv",
        "&_text=tajemstv", "&_filter=code eq 2160-0 or code eq 8867-4",
        f"&encounter=Encounter/other-{who}", f"&encounter.status=finished&_id=pulse2-{who}",
        "&encounter:missing=true", "&performer:Practitioner.family=S%C3%BDkora",
        "&_has:DiagnosticReport:result:status=final", "&_has:Composition:entry:status=final",
        "&_revinclude=DiagnosticReport:result", "&_include=Observation:encounter",
        "&_include=Observation:performer", "&_include=*", "&_revinclude=*",
        "&_include=Observation:encounter&_revinclude:iterate=Condition:encounter&_total=accurate",
        "&_lastUpdated=ge2020-01-01", f"&_list=list-{who}", "&_elements=status&_total=accurate",
        "&_contained=both", "&_contained=true&_total=accurate", "&combo-code=2160-0",
    ):  # fmt: skip
        found.append(get(f"/Observation?{mine}{query}"))
    for query in ("&_count=1", "&_count=2&_sort=-date", "&_count=2&_total=accurate&_sort=code"):
        if query.endswith("code"):
            query = "&_count=2&_total=accurate&_sort=_id"
        found.append(get(f"/Observation?{mine}{query}", pages=True))
    named = f"identifier=urn:test|{who}"
    found += [
        get(f"/Patient?{named}"), get(f"/Patient?{named}&_total=accurate"),
        get(f"/Patient?{named}&_revinclude=Observation:patient"),
        get(f"/Patient?{named}&_revinclude=Consent:patient&_revinclude=Condition:subject"),
        get(f"/Patient?{named}&_revinclude=*"),
        get(f"/Patient?{named}&_has:Observation:patient:code=2160-0"),
        get(f"/Patient?{named}&_has:Condition:patient:code=F10&_summary=count"),
        get(f"/Patient?{named}&_has:Consent:patient:status=active&_total=accurate"),
        get(f"/Patient?family=Tich%C3%A1{who}&birthdate=1980-02-01&_total=accurate"),
        get(f"/Observation?patient.identifier=urn:test|{who}&code=2160-0&_total=accurate"),
        get(f"/Observation?patient.identifier=urn:test|{who}&_summary=count"),
        get(f"/Observation?_id=lab-{who}"), get(f"/Observation?_id=lab-{who}&_summary=count"),
        get(f"/Observation?_id=lab-{who},pulse-{who},nothing&_total=accurate"),
        get(f"/Observation?subject=Patient/{who}&_total=accurate"),
        get(f"/DiagnosticReport?{mine}&result.code=2160-0&_total=accurate"),
        get(f"/DiagnosticReport?{mine}&_include=DiagnosticReport:result"),
        get(f"/Condition?{mine}&_total=accurate"), get(f"/Condition?{mine}&code=F10"),
        get(f"/Condition?{mine}&_security=R&_total=accurate"),
        get(f"/Encounter?{mine}&_total=accurate"),
        get(f"/Encounter?{mine}&_revinclude=Observation:encounter"),
        get(f"/Encounter?{mine}&_has:Observation:encounter:code=2160-0&_total=accurate"),
        get(f"/DocumentReference?{mine}&_total=accurate"), get(f"/Composition?{mine}"),
        get(f"/Composition?{mine}&entry:Observation.code=8310-5"),
        get(f"/List?{mine}&_include=List:item"), get(f"/List?{mine}&item:Observation.code=2160-0"),
        get(f"/Consent?{mine}&_total=accurate"), get(f"/Consent?{mine}&_summary=count"),
        get(f"/Communication?{mine}&_total=accurate"), get(f"/Provenance?{mine}"),
        get("/Practitioner?family=S%C3%BDkora&_total=accurate"),
        get("/Practitioner?_summary=count"),
        get(f"/Practitioner?_has:Observation:performer:patient={who}&_total=accurate"),
        get(f"/?_type=Observation,Condition&{mine}&_total=accurate"),
        get(f"/?_type=Observation,Condition,DiagnosticReport&{mine}&_sort=_lastUpdated&_count=2",
            pages=True),
        get("/Observation/_history"), get("/_history"), get("/Observation"), get("/Consent"),
        get("/Observation/_search", "POST", f"{mine}&code=2160-0&_total=accurate",
            {"content_type": "application/x-www-form-urlencoded"}),
        get("/$graphql", "POST", {"query": f'{{ObservationList(patient: "{who}")'
            "{id status} }"}, {"content_type": "application/json"}),
        get("/$graphql", "POST", {"query": f'{{Patient(id: "{who}"){{id '
            "ObservationList(_reference: patient){id code{text}} } }"},
            {"content_type": "application/json"}),
        get("/", "POST", {"resourceType": "Bundle", "type": "batch", "entry": [
            {"request": {"method": "GET", "url": url}} for url in (
                f"Observation/lab-{who}", f"Observation?{mine}&_total=accurate",
                f"Patient/{who}/$everything", f"Composition/letter-{who}")]}),
        # and what would change something: nobody learns of a resource by a refusal
        get(lab, "PUT", record(who)[4].resource), get(lab, "PUT", record(who)[4].resource,
                                                      {"If_Match": 'W/"2"'}),
        get(lab, "DELETE"), get(f"/Encounter/other-{who}", "PUT", record(who)[1].resource),
        get(f"/Encounter/other-{who}", "PUT", record(who)[1].resource, {"If_Match": 'W/"1"'}),
        get(f"/Encounter/other-{who}", "PATCH", [{"op": "test", "path": "/status",
            "value": "finished"}], {"content_type": "application/json-patch+json"}),
        get(f"/Encounter?{mine}&status=finished", "PUT", {
            k: v for k, v in record(who)[1].resource.items() if k != "id"}),
        get("/Encounter", "POST", {k: v for k, v in record(who)[0].resource.items() if k != "id"},
            {"If_None_Exist": f"{mine}&status=finished"}),
    ]  # fmt: skip
    return found


def further(who: str) -> list[Question]:
    """Rarer ways: places, forms of answers, texts of errors, reads and writes within Bundles."""
    get = Question
    mine, lab, stay = f"patient={who}", f"/Observation/lab-{who}", f"Encounter/other-{who}"
    letter = {k: v for k, v in record(who)[1].resource.items() if k != "id"}
    xml, plain = {"accept": "application/fhir+xml"}, {"accept": "text/plain"}
    json_patch = {"content_type": "application/json-patch+json"}
    ended = [{"op": "replace", "path": "/status", "value": "finished"}]
    return [
        get("/Location?near=49.2|16.6|20|km"),
        get("/Location?near=49.2|16.6|20|km&_total=accurate"),
        get(f"/Location?name=Sanatorium%20{who}&_summary=count"),
        get("/Location?_sort=name&_count=0"),
        get(f"/Binary/raw-{who}", headers=plain), get(f"/Binary/raw-{who}", "HEAD", headers=plain),
        get(f"/Binary/raw-{who}", headers={"accept": "image/png"}), get(f"/Binary/raw-{who}",
            headers={"range": "bytes=0-3"}), get(f"/Binary?_id=raw-{who}&_total=accurate"),
        get(lab, headers=xml), get(f"{lab}?_format=xml"), get(f"{lab}?_format=json&_pretty=true"),
        get(f"/Observation?{mine}&_format=xml&_total=accurate"),
        get(f"/Patient/{who}", headers=xml),
        get(f"{lab}?_summary=text"), get(f"{lab}?_summary=data"), get(f"{lab}?_summary=count"),
        get(f"/Observation?{mine}", "HEAD"), get(f"{lab}/_history", "HEAD"), get(lab, "OPTIONS"),
        get(f"/Observation/nothing-{who}"), get(lab, headers={"if_none_match": "*"}),
        get(f"/Patient/{who}", headers={"if_none_match": 'W/"1"'}),
        get(f"{lab}/_history/9"), get(f"{lab}/_history/x"), get(f"{lab}/_history?_at=2026-05"),
        get(f"{lab}/_history?_since=2020-01-01T00:00:00Z&_sort=_lastUpdated"),
        get(f"/Observation/_history?_list=list-{who}"), get(f"/_history?_list=list-{who}&_count=0"),
        get("/Observation/$meta"), get("/$meta"), get("/Condition/$meta"),
        get(f"{lab}/$validate?mode=delete"),
        get(f"{lab}/$validate", "POST", record(who)[4].resource),
        get(f"/$diff?from=Observation/lab-{who}&to=Observation/pulse-{who}"),
        get(f"/$diff?from=Observation/lab-{who}/_history/1&to=Observation/lab-{who}"),
        get(f"/MedicationRequest?{mine}&_contained=both&_containedType=contained"),
        get("/Medication?_contained=true&_containedType=container"),
        get(f"/MedicationRequest?{mine}&medication.code:text=Tajemn"),
        get(f"/MedicationRequest?{mine}&_total=accurate&_include=MedicationRequest:medication"),
        get(f"/List?item=Observation/lab-{who}&{mine}"), get(f"/Patient?_list=list-{who}"),
        get(f"/List?{mine}&item:Observation.performer:Practitioner.family=S%C3%BDkora"),
        get(f"/Observation?{mine}&_has:List:item:_id=list-{who}&_total=accurate"),
        get(f"/Observation?{mine}&subject:Patient._has:Condition:patient:code=F10&_total=accurate"),
        get(f"/Observation?{mine}&_sort=performer,-code&_count=3", pages=True),
        get(f"/Observation?{mine}&_sort=value-quantity&_count=1", pages=True),
        get(f"/Observation?{mine}&_filter=not(code eq 8867-4)&_total=accurate"),
        get(f"/Observation?{mine}&_tag:not=x&_summary=count"),
        get(f"/Observation?{mine}&_source=x"),
        get(f"/Condition?{mine}&_security:not=N&_total=accurate"), get(f"/Patient/{who}/Condition"),
        get(f"/Patient/{who}/$everything?_since=2020-01-01T00:00:00Z&start=2026-03-01"),
        get(f"/Patient/{who}/$everything?_type=Consent,Communication"),
        get(f"/Practitioner/doctor-{who}/Observation"), get(f"/Practitioner/doctor-{who}/*"),
        get(f"/Observation/$lastn?{mine}&category=laboratory&_total=accurate"),
        get(f"/Bundle?composition.patient={who}&_total=accurate"), get("/Bundle?type=document"),
        get(f"/Bundle/whole-{who}", headers=xml),
        get(f"/Composition/letter-{who}/$document", "HEAD"),
        get(f"/Composition/own-letter-{who}/$document?_format=xml"),
        get("/$graphql", "POST", {"query": f'{{ObservationConnection(patient: "{who}", _count: 2)'
            "{count edges{resource{id}} next}}"}, {"content_type": "application/json"}),
        get("/$graphql", "POST", {"query": f'{{Observation(id: "lab-{who}"){{id}} List(id: '
            f'"list-{who}"){{entry{{item{{reference resource{{...on Observation{{id}}}}}}}}}}}}'},
            {"content_type": "application/json"}),
        get(f"/List/list-{who}/$graphql?query="
            "{entry{item{resource(optional:true){...on Observation{id}}}}}"),
        get(f"/Patient/{who}/$access-explain?client=hospital-b&type=Observation"),
        get("/", "POST", {"resourceType": "Bundle", "type": "transaction", "entry": [
            {"request": {"method": "GET", "url": url}} for url in (
                f"Observation?{mine}&_total=accurate", f"Patient/{who}/$everything")]}),
        get("/", "POST", {"resourceType": "Bundle", "type": "transaction", "entry": [
            {"request": {"method": "GET", "url": f"Observation/lab-{who}"}}]}),
        # and what would change something: the texts of errors are the same
        get(lab, "PATCH", ended, json_patch), get(f"{lab}?_id=x", "PATCH", ended, json_patch),
        get(f"/Observation?{mine}&code=2160-0", "DELETE"), get(f"/Encounter?{mine}", "DELETE"),
        get(f"/Encounter?{mine}&status=finished", "PATCH", ended, json_patch),
        get(f"/{stay}", "PATCH", [{"op": "test", "path": "/status", "value": "x"}], json_patch),
        get(f"/{stay}", "PATCH", ended, {**json_patch, "if_match": 'W/"7"'}),
        get(f"/{stay}", "PUT", {**record(who)[1].resource, "id": "other"}),
        get(f"/{stay}", "PUT", {**record(who)[1].resource, "status": "never"}),
        get(f"/{stay}", "PUT", record(who)[1].resource, {"if_match": 'W/"7"'}),
        get(f"/{stay}", "PUT", record(who)[1].resource, {"if_none_match": "*"}),
        get(f"/{stay}/$meta-add", "POST", {"resourceType": "Parameters", "parameter": [
            {"name": "meta", "valueMeta": {"tag": [{"system": "urn:t", "code": "t"}]}}]}),
        get("/Encounter", "POST", {**letter, "partOf": {"reference": stay}},
            {"if_none_exist": f"_id=other-{who}"}),
        get(f"/Encounter?_id=other-{who}", "PUT", letter),
        get("/", "POST", {"resourceType": "Bundle", "type": "transaction", "entry": [
            {"resource": {**letter, "partOf": {"reference": f"Encounter?{mine}&status=finished"}},
             "request": {"method": "POST", "url": "Encounter"}}]}),
        get("/", "POST", {"resourceType": "Bundle", "type": "batch", "entry": [
            {"resource": record(who)[1].resource, "request": {"method": "PUT", "url": stay}},
            {"resource": letter, "request": {"method": "PUT",
                                             "url": f"Encounter?{mine}&status=finished"}},
            {"resource": letter, "request": {"method": "POST", "url": "Encounter",
                                             "ifNoneExist": f"{mine}&status=finished"}},
            {"request": {"method": "DELETE", "url": f"Observation/lab-{who}"}},
            {"request": {"method": "GET", "url": f"Observation/lab-{who}",
                         "ifNoneMatch": 'W/"2"'}}]}),
    ]  # fmt: skip
