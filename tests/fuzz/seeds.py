"""Good input to start from: a few texts of our own, and examples of the specification beside us."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

import pater.testscript
from tests.fuzz.targets import SUBJECT
from tests.fuzz.trust_targets import seal_seeds, time_stamp_seed
from tests.shared_data import FOLDER, r4_examples

SCRIPTS: Final = Path(pater.testscript.__file__).with_name("scripts")
_PATIENT: Final = (
    b'{"resourceType":"Patient","id":"a","active":true,"name":[{"family":"Nov\xc3\xa1k","given":'
    b'["Jan",null],"_given":[null,{"extension":[{"url":"http://e","valueCode":"x"}]}]}],'
    b'"birthDate":"1980-02","contained":[{"resourceType":"Organization","id":"o","name":"N"}],'
    b'"managingOrganization":{"reference":"#o"},"text":{"status":"generated","div":'
    b'"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">a &lt; b<br/></div>"}}'
)
_XML: Final = (
    b'<?xml version="1.0" encoding="UTF-8"?><Patient xmlns="http://hl7.org/fhir"><id value="a"/>'
    b'<text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">a &lt; b</div>'
    b'</text><contained><Organization><id value="o"/><name value="O"/>'
    b'</Organization></contained><name id="n">'
    b'<family value="Nov&#225;k"/><given value="J"><extension url="http://e"><valueDecimal '
    b'value="1.00"/></extension></given></name><birthDate value="1980-02-01"/>'
    b'<managingOrganization><reference value="#o"/></managingOrganization></Patient>'
)
OWN: Final[Mapping[str, tuple[bytes, ...]]] = {
    "json": (_PATIENT, json.dumps(SUBJECT).encode()),
    "xml": (_XML,),
    "search": tuple(
        b"\x00" + text
        for text in (
            b"code=http://loinc.org|8867-4,x&date=ge2026-01-01&_sort=-date,_id&_count=5",
            b"value-quantity=lt5.4|http://unitsofmeasure.org|mmol/L&_include=Observation:subject",
            b"patient.name:exact=x&subject:Patient.identifier=a|b&_has:Provenance:target:agent=1",
            b"code-value-quantity=8867-4$gt5&combo-code:missing=true&status:not=final",
            b"_filter=code%20eq%20%22x%22%20and%20not(date%20gt%202020)&_text=a%20OR%20-b",
            b"_lastUpdated=ap2026-01-01T00:00:00Z&_elements=code,status&_summary=count&_total=none",
            b"subject:identifier=a|b&code:in=http://v&code:of-type=s|c|v&_cursor=abc&_id=a,b",
        )
    ),
    "filter": (
        b'code eq "http://loinc.org|1" and (date gt 2020-01 or not(status pr true))',
        b'subject.name co "x" or _has:Provenance:target:agent eq 1',
        b"value-quantity ap 5.4|http://unitsofmeasure.org|mmol/L",
    ),
    "fhirpath": (
        b"Observation.component.where(code.text = 'x').value.ofType(string).matches('l.*')",
        b"(1 | 2).select($this * 2.5 'mg').aggregate($total + $this, 0) > 4 days",
        b"value.value ~ 72.0 and @2026-01-01T10:00 + 3 months < today() implies {}.empty()",
        b"repeat(descendants()).trace('t').iif($this is string, length(), toString()).take(3)",
        b"'a,b'.split(',').join('-').replaceMatches('(a)', '$1$1').encode('base64').toChars()",
        b"(1.1).power(3).round(2).sqrt().lowBoundary(4) div 0 & 'x' in ('x'|%resource.status)",
    ),
    "fhirpath-patch": (
        b"Observation.component.where(code.text='y')",
        b'{"resourceType":"Parameters","parameter":[{"name":"operation","part":['
        b'{"name":"type","valueCode":"move"},{"name":"path","valueString":"Observation.note"},'
        b'{"name":"source","valueInteger":0},{"name":"destination","valueInteger":1}]}]}',
        b'{"resourceType":"Parameters","parameter":[{"name":"operation","part":['
        b'{"name":"type","valueCode":"add"},{"name":"path","valueString":"Observation"},'
        b'{"name":"name","valueString":"component"},{"name":"value","part":['
        b'{"name":"code","valueCodeableConcept":{"text":"z"}}]}]}]}',
        b'{"resourceType":"Parameters","parameter":[{"name":"operation","part":['
        b'{"name":"type","valueCode":"insert"},{"name":"path","valueString":"Observation.note"},'
        b'{"name":"value","valueAnnotation":{"text":"z"}},{"name":"index","valueInteger":1}]}]}',
    ),
    "json-patch": (
        b'[{"op":"add","path":"/note/-","value":{"text":"c"}},{"op":"remove","path":"/subject"},'
        b'{"op":"move","from":"/note/0","path":"/note/1"},{"op":"test","path":"/status","value":"final"},'
        b'{"op":"copy","from":"/code","path":"/component/0/code"}]',
    ),
    "ucum": (b"mmol/L", b"10*9/L{cells}", b"kg.m2.s-2", b"Cel", b"[lb_av]/[in_i]2", b"m[H2O]",
             b"mg/(24.h)", b"dB[SPL]", b"%", b"10^-3"),
    "scope": (b"system/*.cruds", b"patient/Observation.rs?code=http://loinc.org|8867-4",
              b"user/Observation.r?category=a&date=ge2020 openid launch/patient",
              b"system/Patient.read"),
    "token": (b"eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJhIn0.AAAA",
              b"eyJhbGciOiJub25lIn0.e30."),
    "graphql": (b"query q($a: String = \"x\") { PatientList(name: $a, _count: 2) { id ... on "
                b"Patient { name @flatten { family @first } } } } fragment f on Patient { id }",),
    "import": (_PATIENT + b"\n" + json.dumps(SUBJECT).encode(),),
    "headers": (b"application/fhir+json;fhirVersion=4.0;q=0.5, */*;q=0.1", b'W/"1", "2", *',
                b"return=minimal; handling=lenient", b"a=1&b=%C3%A1&c", b"cs, en;q=0.8"),
    "certification-request": (b64decode(
        "MIHGMG4CAQAwDDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABKT/uKu20E7ISD9nrucartnl"
        "+RrKK8tLLWzIokimVtRWsUUcrcNAuMmUkROus+Jr7auGKsn/tSHLypFqabeMgmGgADAKBggqhkjOPQQDAgNIADBF"
        "AiBj0phIH5fSnTP6WIOZYOfIZHVrMhHiC6VNXXN8hc11jAIhAKXTSiupttkeMVZS9RgMPzoH3gGfqXNdj2wULVjg"
        "T2dZ"),),
    "acme": (
        b'{"protected":"eyJhbGciOiAiRVMyNTYiLCAibm9uY2UiOiAibiIsICJ1cmwiOiAiaHR0cDovL2EvYWNtZS'
        b'9hY2NvdW50IiwgImp3ayI6IHsia3R5IjogIkVDIiwgImNydiI6ICJQLTI1NiIsICJ4IjogIno2SVFyRXZkS2'
        b'5QYlh6TkxXVGVLb3huWlZRM2xSbHd4akpNdlFyQ1ZtaG8iLCAieSI6ICJYTGxvTW40b0V3ZVJyQXJfOXE5NF'
        b'Q4V2lpTGszSDl5Rk5mVXhZVEdEZ3kwIn19","payload":"eyJvbmx5UmV0dXJuRXhpc3RpbmciOiB0cnVlf'
        b'Q","signature":"kx3C_F2RBYNJ0fXeFfu7AABMovadNWbOKfdJWTbeet92eOoj7pDXmoPmUPgMDLNAMCgH'
        b'yS8HW0HFu8W-8fiEQA"}',
    ),
    "ocsp": (b64decode(
        "MGAwXjBCMEAwPjAJBgUrDgMCGgUABBRubm5ubm5ubm5ubm5ubm5ubm5ubgQUa2tra2tra2tra2tra2tra2tra2sC"
        "BRI0VniQohgwFjAUBgkrBgEFBQcwAQIEBwQFbm9uY2U="),),
    "time-stamp-request": (b64decode(
        "MEMCAQEwMTANBglghkgBZQMEAgEFAAQgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACCHd3d3d3d3d3"
        "AQH/"),),
    "told-event": (
        b'{"resourceType":"AuditEvent","type":{"code":"rest"},"recorded":"2026-11-23T00:00:00Z",'
        b'"agent":[{"who":{"identifier":{"value":"jn"}},"requestor":true}],"source":{"observer":'
        b'{"display":"HIS"}},"entity":[{"what":{"reference":"Patient/p1"}},{"what":{"reference":'
        b'"Patient/p2"},"role":{"code":"1"}},{"what":{"reference":"Observation/o/_history/2"}}]}',
        b'{"resourceType":"AuditEvent","type":{"code":"x"},"recorded":"2026-11-23T00:00:00+01:00",'
        b'"agent":[{"requestor":false}],"source":{"observer":{"display":"x"}}}',
    ),
    "hl7": (
        b"MSH|^~\\&|A|B|C|D|20240101||ADT^A28|1|P|2.5\rPID|||1^^^RC||Nov\xc3\xa1^Eva^^^Ing.^^L|"
        b"M^J|19850615|F|||K 1&K&1^^Brno^^60200^CZE^H||^PRN^PH^e@x.cz^420^603^1112|||S\rNK1|1|N^P",
        b"\x0bMSH|^~\\&|A\x1c\r\x0bMSH",
    ),
    "register-file": (
        "ZZ_ID,poskytovatel_ICO,ZZ_nazev,ZZ_obec,ZZ_GPS,ZZ_obor_pece,oteviraci_doba,oddeleni,"
        "ZZ_datum_zahajeni_cinnosti,opravneni_cislo,spravni_organ,pristroje,vymenna_sit\n"
        '7,27520536,"Nemocnice ""U Dubu""",Žďár,POINT(50.1 14.4),"a, b (c, d)",Po-Pá 7:00-15:00,'
        "Interna (4),1.2.2020,x,y,CT;MR,https://a.example/fhir\n".encode(),
        "krzp;prijmeni;jmeno;pohlavi;datum_narozeni;specializovana_zpusobilost;komora;"
        "zamestnavatel_ico;zamestnan_od\n112345673;Černá;Eva Ž.;Ž;1980-02-01;x (2010);CLK;"
        "27520536;2020-01-01\n".encode("cp1250"),
    ),
    "person-file": (
        "sep=;\nčíslo pacienta;příjmení;jméno;datum narození;rodné číslo;pohlaví;obec;PSČ;zp;"
        "číslo pojištěnce;titul;RUIAN;pas\n1;Žižková;Eva Marie;15.6.1985;855615/0001;Z;Brno;60200;"
        '111;8556150001;Ing.;41000001;AB123456\n2;"Šťastný ""ml.""";;1985;;M;"Nový\nJičín"'
        ";;;;;;\n".encode("cp1250"),
        b"mrn,family,given,born,rid,died,email\n1,Maly,Jan,1990-01-01,,2020-02-30,a@b.cz\n",
    ),
    "consent": (
        b'{"resourceType":"Consent","status":"active","dateTime":"2026-01-01","provision":{"type":'
        b'"deny","actor":[{"role":{"coding":[{"code":"IRCP"}]},"reference":{"identifier":{"system":'
        b'"https://ncez.mzcr.cz/fhir/sid/ico","value":"12345679"}}}],"class":[{"system":'
        b'"urn:pater:record-category","code":"medication"}],"provision":[{"type":"permit",'
        b'"period":{"start":"2026","end":"2027-01-01"},"purpose":[{"code":"TREAT"}]}]}}',
        b'{"resourceType":"Encounter","status":"finished","period":{"start":"2026-11-01"},'
        b'"serviceProvider":{"identifier":{"system":"https://ncez.mzcr.cz/fhir/sid/ico","value":'
        b'"12345679"}}}',
    ),
    "archive-statement": (
        b'{"journal-archive":1,"month":"2026-01","entries":1,"first":0,"last":0,"root":"00",'
        b'"file":"x","sha256":"","size":1,"time":"2026-01-01T00:00:00+00:00","key":"k"}',
    ),
    "log-line": (b'{"leaf": ["%s", 1, 2, "%s"], "entry": []}\n{"head": {"statement": "{}", '
                 b'"signature": "AAAA"}}' % (b"0" * 64, b"0" * 32),),
    "pattern": (b"^a.*(b|c)+$", b"[a-z]{2,5}\\d"),
}  # fmt: skip


@lru_cache(maxsize=1)
def _examples() -> tuple[bytes, ...]:
    if not (FOLDER / "r4-examples.tgz").exists():
        return ()
    return tuple(body for body in r4_examples().values() if len(body) < 6_000)[:400]


@lru_cache(maxsize=32)
def seeds(target: str) -> tuple[bytes, ...]:
    """Good input of a target."""
    own = OWN.get(target, ())
    if target == "testscript":
        return tuple(each.read_bytes() for each in sorted(SCRIPTS.glob("*.json")))
    if target == "seal":
        return seal_seeds()
    if target == "time-stamp":
        return (time_stamp_seed(),)
    if target in ("json", "import"):
        return own + tuple(json.dumps(json.loads(each)).encode() for each in _examples())
    if target == "xml":
        from pater.fhir import json as fhir_json
        from pater.fhir import xml

        return own + tuple(xml.dumps(fhir_json.parse(each)) for each in _examples()[::4])
    return own
