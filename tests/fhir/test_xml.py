"""FHIR XML says what the JSON says, both ways, and no text whatever breaks the reader."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pater.fhir import json, xml
from pater.fhir.definitions import RESOURCE_TYPES, Element, element_table, type_kind
from pater.fhir.issues import Issue
from tests.shared_data import documents, r4_examples

FHIR = "http://hl7.org/fhir"
XHTML = "http://www.w3.org/1999/xhtml"


def read(inside: str, type_: str = "Patient") -> dict[str, Any]:
    """The tree of a resource with this content."""
    return xml.parse(f'<{type_} xmlns="{FHIR}">{inside}</{type_}>'.encode())


def wrong(data: bytes | str, **limits: int) -> list[Issue]:
    """The issues that a text is refused with."""
    with pytest.raises(xml.XmlError) as caught:
        xml.parse(data if isinstance(data, bytes) else data.encode(), **limits)
    assert all(issue.text for issue in caught.value.issues)
    return caught.value.issues


def wrong_inside(inside: str, type_: str = "Patient") -> list[tuple[str, str]]:
    """Path and code of the issues of a resource with this content."""
    found = wrong(f'<{type_} xmlns="{FHIR}">{inside}</{type_}>')
    return [(issue.path, issue.code) for issue in found]


def refused(tree: Any) -> Issue:
    """The issue that a tree is refused with."""
    with pytest.raises(xml.XmlError) as caught:
        xml.dumps(tree)
    return caught.value.issues[0]


def canonical(value: Any) -> Any:
    """The value with the keys of its objects sorted: their order means nothing in JSON."""
    if isinstance(value, dict):
        return {key: canonical(child) for key, child in sorted(value.items())}
    return [canonical(each) for each in value] if isinstance(value, list) else value


def same(one: Any, other: Any) -> bool:
    """Whether two trees write the same JSON, to the last digit."""
    return json.dumps(canonical(one)) == json.dumps(canonical(other))


PUBLISHED = {"examples of R4": r4_examples, "published documents": documents}


@pytest.mark.parametrize("source", PUBLISHED)
def test_published_resources_survive_both_ways(source: str) -> None:
    seen = 0
    for name, body in PUBLISHED[source]().items():
        tree = json.parse(body, max_depth=100)
        if "resourceType" not in tree:
            continue
        assert same(xml.parse(xml.dumps(tree), max_depth=100), tree), name
        seen += 1
    assert seen > 100


def test_every_kind_of_element() -> None:
    tree = {
        "resourceType": "Patient",
        "id": "p1",
        "_id": {"extension": [{"url": "http://x/e", "valueDecimal": Decimal("1.50")}]},
        "text": {
            "status": "generated",
            "div": f"<div xmlns=\"{XHTML}\"\r\n lang='cs'>A &amp; <b>b</b><!-- c --><br/></div>",
        },
        "contained": [{"resourceType": "Organization", "id": "o", "name": 'a <"b"> & \n\t\r c'}],
        "active": True,
        "name": [
            {
                "id": "n",
                "given": ["Eva", None, "Marie"],
                "_given": [None, {"id": "g", "extension": [{"url": "u", "valueCode": "x"}]}, None],
            }
        ],
        "photo": [{"data": base64.b64encode(b"photo").decode(), "size": 5}],
        "multipleBirthInteger": -2,
    }
    written = xml.dumps(tree)
    assert same(xml.parse(written), tree)
    text = written.decode()
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?><Patient xmlns="' + FHIR + '">')
    assert '<id value="p1"><extension url="http://x/e"><valueDecimal value="1.50"/>' in text
    assert tree["text"]["div"] in text  # type: ignore[index]
    assert '<contained><Organization><id value="o"/>' in text
    assert '<name id="n"><given value="Eva"/><given id="g"><extension url="u">' in text
    assert 'value="a &lt;&quot;b&quot;> &amp; &#10;&#9;&#13; c"' in text


def test_elements_are_written_in_the_order_of_the_definition() -> None:
    tree = {"birthDate": "2020", "gender": "male", "resourceType": "Patient", "id": "1"}
    assert xml.dumps(tree).endswith(
        b'<id value="1"/><gender value="male"/><birthDate value="2020"/></Patient>'
    )


@pytest.mark.parametrize(
    "literal", ["1.0", "0.010", "1e3", "1.50E-7", "-0.0", "100000000000000000000.10", "7", "1E+2"]
)
def test_decimals_keep_every_digit(literal: str) -> None:
    body = f'<Observation xmlns="{FHIR}"><valueQuantity><value value="{literal}"/></valueQuantity>'
    written = json.dumps(xml.parse(f"{body}</Observation>".encode()))
    assert written == (
        b'{"resourceType":"Observation","valueQuantity":{"value":%s}}' % literal.encode()
    )
    assert f'<value value="{literal}"/>'.encode() in xml.dumps(json.parse(written))


def test_what_may_be_skipped_is_skipped() -> None:
    data = (
        "\ufeff<?xml version='1.0' encoding='utf-8' standalone='yes'?><!-- a --><?b c?>"
        f'<f:Patient xmlns:f="{FHIR}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        f' xsi:schemaLocation="{FHIR} patient.xsd">\n <!-- d --> <?e?> <f:active value="true"/>\n'
        "</f:Patient><!-- f -->"
    )
    assert xml.parse(data.encode()) == {"resourceType": "Patient", "active": True}


def test_a_narrative_comes_out_as_it_stands() -> None:
    for div in (
        f'<div xmlns="{XHTML}"/>',
        f'<div  xmlns="{XHTML}" title="a>b" ><p>č &#10; &lt;</p ><![CDATA[<x>]]></div >',
        f'<h:div xmlns:h="{XHTML}"><h:p>1</h:p></h:div>',
        f"<div xmlns=\"{XHTML}\" title='>'/>",
    ):
        found = read(f'<text><status value="empty"/>{div}</text><active value="true"/>')
        assert found["text"]["div"] == div
        assert found["active"] is True
        assert same(xml.parse(xml.dumps(found)), found)


def test_a_narrative_that_leans_on_its_document_is_made_to_stand_alone() -> None:
    data = (
        f'<a:Patient xmlns:a="{FHIR}" xmlns:b="{XHTML}"><a:text><a:status value="generated"/>'
        '<b:div xml:lang="cs" title="&lt;&quot;&#10;"><b:p>1 &amp; 2</b:p><b:br/></b:div>'
        "</a:text></a:Patient>"
    )
    div = xml.parse(data.encode())["text"]["div"]
    assert div == (
        f'<div xmlns="{XHTML}" xml:lang="cs" title=\'&lt;"&#10;\'><p>1 &amp; 2</p><br></br></div>'
    )
    strange = data.replace("<b:br/>", "<a:br/>")
    assert [issue.path for issue in wrong(strange)] == ["Patient.text.div"]


@pytest.mark.parametrize(
    ("inside", "path"),
    [
        ('<colour value="blue"/>', "Patient.colour"),
        ('<name><colour value="x"><deep><er/></deep></colour></name>', "Patient.name[0].colour"),
        ('<name/><name><given value="a" colour="b"/></name>', "Patient.name[1].given[0]"),
        ('<gender value="male"/><active value="true"/>', "Patient.active"),
        ('<active value="true"/><active value="true"/>', "Patient.active"),
        ('<active value="yes"/>', "Patient.active"),
        ('<multipleBirthInteger value="1.0"/>', "Patient.multipleBirthInteger"),
        ("<active/>", "Patient.active"),
        ('<active value="true">true</active>', "Patient.active"),
        ('<name><id value="x"/></name>', "Patient.name[0].id"),
        ('<active value="true" xmlns="http://example.org"/>', "Patient.active"),
        ("<contained/>", "Patient.contained[0]"),
        ("<contained><Planet/></contained>", "Patient.contained[0]"),
        (
            "<contained><Group/></contained><contained><Group><y/></Group></contained>",
            "Patient.contained[1].y",
        ),
        ("<contained><Group/><Group/></contained>", "Patient.contained[0]"),
        ("<text><div>no namespace of its own</div></text>", "Patient.text.div"),
    ],
)
def test_what_r4_does_not_define_is_named_with_its_path(inside: str, path: str) -> None:
    assert [place for place, _ in wrong_inside(inside)] == [path]


def test_all_problems_are_told_up_to_a_limit() -> None:
    assert [p for p, _ in wrong_inside("<a/><b/>")] == ["Patient.a", "Patient.b"]
    many = wrong_inside("<a/>" * 5000)
    assert len(many) == 51
    assert many[-1] == ("", "too-costly")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"{}",
        b"<Patient/>",
        b'<Planet xmlns="http://hl7.org/fhir"/>',
        b'<Patient xmlns="http://hl7.org/fhir">',
        b'<Patient xmlns="http://hl7.org/fhir"/><a/>',
        b'<Patient xmlns="http://hl7.org/fhir"><active value="&yes;"/></Patient>',
        b'<!DOCTYPE Patient><Patient xmlns="http://hl7.org/fhir"/>',
        b'<!DOCTYPE a [<!ENTITY b "c">]><Patient xmlns="http://hl7.org/fhir" id="&b;"/>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><Patient xmlns="http://hl7.org/fhir"/>',
        b'<?xml version="1.0" encoding="iso-8859-2"?><Patient xmlns="http://hl7.org/fhir"/>',
        '<Patient xmlns="http://hl7.org/fhir"/>'.encode("utf-16"),
        b'<Patient xmlns="http://hl7.org/fhir"><id value="\xed\xa0\x80"/></Patient>',
        b'<Patient xmlns="http://hl7.org/fhir"><id value="\x01"/></Patient>',
    ],
)
def test_what_is_no_fhir_xml_is_refused(data: bytes) -> None:
    assert len(wrong(data)) == 1


def test_depth_size_and_namespaces_are_bounded() -> None:
    inside = "<extension url='u'>" * 5000 + "</extension>" * 5000
    assert wrong_inside(inside)[-1][1] == "too-costly"
    for within in (f"<text><div xmlns='{XHTML}'>", "<unknown>"):
        assert wrong_inside(within + "<b>" * 10_000)[-1][1] == "too-costly"
    div = f"<div xmlns='{XHTML}'>" + "<b>" * 300 + "</b>" * 300 + "</div>"
    assert refused({"resourceType": "Patient", "text": {"div": div}}).path == "Patient.text.div"
    assert wrong(b"<a>" + b"b" * 100, max_bytes=100)[0].code == "too-long"
    declared = "".join(f' xmlns:n{n}="u"' for n in range(1000))
    assert wrong(f'<Patient xmlns="{FHIR}"{declared}/>')[0].code == "too-costly"
    # the same limit as JSON has, counted in the same way
    deep: dict[str, Any] = {"url": "u", "valueBoolean": True}
    for _ in range(40):
        deep = {"url": "u", "extension": [deep]}
    tree = {"resourceType": "Patient", "extension": [deep]}
    assert wrong(xml.dumps(tree))[0].code == "too-costly"
    assert same(xml.parse(xml.dumps(tree), max_depth=83), tree)


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"colour": "blue"}, "Patient"),
        ({"active": "true"}, "Patient.active"),
        ({"multipleBirthInteger": 1.5}, "Patient.multipleBirthInteger"),
        ({"multipleBirthInteger": 10**5000}, "Patient.multipleBirthInteger"),
        ({"gender": 1}, "Patient.gender"),
        ({"name": {"family": "x"}}, "Patient.name"),
        ({"name": []}, "Patient.name"),
        ({"name": [{"family": "x"}, None]}, "Patient.name[1]"),
        ({"name": [{"given": ["a"], "_given": []}]}, "Patient.name[0].given"),
        ({"name": [{"family": "\x01"}]}, "Patient.name[0].family"),
        ({"name": [{"family": "\ud800"}]}, "Patient.name[0].family"),
        ({"name": [{"id": 1}]}, "Patient.name[0].id"),
        ({"_active": {}}, "Patient.active"),
        ({"contained": [{"resourceType": "Planet"}]}, "Patient.contained[0]"),
        ({"text": {"div": "<div>"}}, "Patient.text.div"),
        ({"text": {"div": "<div/>"}}, "Patient.text.div"),
        ({"text": {"div": f'<div xmlns="{XHTML}"/><active/>'}}, "Patient.text.div"),
        ({"text": {"div": f'<div xmlns="{XHTML}"></div></text><x/><text>'}}, "Patient.text.div"),
        ({"text": {"div": f'<?xml version="1.0"?><div xmlns="{XHTML}"/>'}}, "Patient.text.div"),
        ({"text": {"div": f'<!DOCTYPE div><div xmlns="{XHTML}"/>'}}, "Patient.text.div"),
        ({"text": {"div": f'<div xmlns="{XHTML}"/><!-- -->'}}, "Patient.text.div"),
    ],
)
def test_what_xml_cannot_say_is_an_error_with_its_place(members: Any, path: str) -> None:
    assert refused({"resourceType": "Patient", **members}).path == path


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace")))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for each in (data, b'<Patient xmlns="http://hl7.org/fhir">' + data + b"</Patient>"):
        try:
            xml.parse(each)
        except xml.XmlError as error:
            assert error.issues


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_a_damaged_resource_is_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(xml.dumps(json.parse(GOOD)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(whole) - 1))
        piece = data.draw(st.sampled_from([b"", b"<", b">", b'"', b"&", b"/", b"<a/>", b"\xff"]))
        whole[place : place + data.draw(st.integers(0, 3))] = piece
    try:
        tree = xml.parse(bytes(whole))
    except xml.XmlError as error:
        assert error.issues
    else:
        assert tree["resourceType"] == "Patient"


GOOD = (
    b'{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\\"'
    + XHTML.encode()
    + b'\\"><p>a</p></div>"},"contained":[{"resourceType":"Group","id":"g"}],"active":true,'
    b'"name":[{"given":["a","b"],"_given":[null,{"id":"c"}]}],"multipleBirthInteger":2}'
)

TEXTS = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\r\n<>&\"'"),
    max_size=12,
)
DECIMALS = r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?"
LITERALS = {
    "boolean": st.booleans(),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "unsignedInt": st.integers(0, 2**31 - 1),
    "positiveInt": st.integers(1, 2**31 - 1),
    "decimal": st.from_regex(DECIMALS, fullmatch=True).map(
        lambda text: json.parse(b'{"n":%s}' % text.encode())["n"]
    ),
    "xhtml": st.just(f'<div xmlns="{XHTML}"><p>č\r\n</p></div>'),
}


@st.composite
def objects(draw: st.DrawFn, type_: str, path: str, depth: int) -> dict[str, Any]:
    """An object with some of the elements below `path`, at least one."""
    table = element_table(type_)
    found = [each for each in table if each.path.rpartition(".")[0] == path]
    if depth <= 0:  # ends where there is always something to say
        return {"id": draw(TEXTS)}
    out: dict[str, Any] = {}
    for each in draw(st.lists(st.sampled_from(found), min_size=1, max_size=4, unique=True)):
        members(draw, out, type_, each, depth - 1)
    return out


def members(draw: st.DrawFn, out: dict[str, Any], type_: str, each: Element, depth: int) -> None:
    name = each.path.rpartition(".")[2]
    kind = "" if each.content else draw(st.sampled_from(each.types))
    name = name.replace("[x]", kind[:1].upper() + kind[1:])
    attribute = each.path == "Extension.url" or (name == "id" and type_kind(type_) != "resource")
    inner = each.content or each.path
    if any(row.path.startswith(inner + ".") for row in element_table(type_)):
        value = objects(type_, inner, depth)
    elif type_kind(kind) == "resource":
        value = resources(depth)
    elif type_kind(kind) == "complex":
        value = objects(kind, kind, depth)
    else:
        value = LITERALS.get(kind, TEXTS)
        nested = name == "id" and "." in each.path.removesuffix(".id")
        if not attribute and not nested and kind != "xhtml" and draw(st.booleans()):
            extras = st.fixed_dictionaries({"id": TEXTS})
            count = draw(st.integers(1, 3))
            if each.maximum == 1:
                out["_" + name] = draw(extras)
            else:
                values = [draw(value), *(draw(st.none() | value) for _ in range(count))]
                out[name] = values
                out["_" + name] = [
                    draw(st.none() | extras if v is not None else extras) for v in values
                ]
                if not any(out["_" + name]):
                    del out["_" + name]
                return
    if each.maximum == 1:
        out[name] = draw(value)
    else:
        out[name] = draw(st.lists(value, min_size=1, max_size=2))


@st.composite
def resources(draw: st.DrawFn, depth: int = 3) -> dict[str, Any]:
    """A resource of any type."""
    type_ = draw(st.sampled_from(RESOURCE_TYPES))
    return {"resourceType": type_, **draw(objects(type_, type_, depth))}


@settings(deadline=None, max_examples=150)
@given(resources())
def test_generated_resources_survive_both_ways(tree: dict[str, Any]) -> None:
    assert same(xml.parse(xml.dumps(tree)), tree)


@pytest.mark.parametrize("name", [True, 1, "Novák", {"family": "Novák"}, []])
def test_a_single_value_where_a_list_belongs_has_no_xml(name: object) -> None:
    with pytest.raises(xml.XmlError) as caught:
        xml.dumps({"resourceType": "Patient", "name": name})
    assert "Expected an array" in caught.value.issues[0].text
    with pytest.raises(xml.XmlError):
        xml.dumps({"resourceType": "Patient", "name": [{"_given": name}]})
