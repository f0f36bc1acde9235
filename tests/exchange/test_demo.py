"""The demonstration region holds together: valid identifiers, valid documents, a whole story."""

import io
import json
from typing import Any

from pypdf import PdfReader

from pater.domains.exchange.demo import demo_region, reports
from pater.domains.exchange.demo.builder import build
from pater.domains.exchange.document import (
    entries_of,
    identifier_issues,
    reference_issues,
    replaced_identifiers,
    structure_issues,
)
from pater.domains.exchange.view import attachment_bytes, document_view
from pater.fhir.issues import has_errors
from pater.fhir.validation import validate
from pater.registers.identifiers import check, check_rid

RID = "https://ncez.mzcr.cz/fhir/sid/rid"


def bundles() -> list[dict[str, Any]]:
    return [json.loads(body) for body in demo_region().documents]


def rid_of(document: dict[str, Any]) -> str:
    subject = document["entry"][0]["resource"]["subject"]["reference"]
    person = next(e["resource"] for e in document["entry"] if e["fullUrl"] == subject)
    return next(str(i["value"]) for i in person["identifier"] if i["system"] == RID)


def test_every_document_is_valid_fhir() -> None:
    for document in bundles():
        found = [issue for issue in validate(document) if has_errors([issue])]
        assert found == []


def test_every_document_passes_the_strict_rules_of_the_intake() -> None:
    for document in bundles():
        entries = entries_of(document)
        assert structure_issues(document) == []
        assert reference_issues(entries) == []
        assert not has_errors(identifier_issues(entries, strict=True))


def test_every_reference_is_to_an_entry() -> None:
    for body in demo_region().documents:
        document = json.loads(body)
        names = {entry["fullUrl"] for entry in document["entry"]}
        assert len(names) == len(document["entry"])
        for part in body.decode().split('"reference":"')[1:]:
            assert part.split('"')[0] in names


def test_identifiers_pass_their_checks() -> None:
    region = demo_region()
    people = [*region.patients, *region.practitioners, *region.hospitals]
    for identifier in (i for one in people for i in one.resource()["identifier"]):
        assert check(identifier["system"], identifier["value"]).ok is not False
    for doctor in region.practitioners:
        assert doctor.krzp[0] == "1" and len(doctor.krzp) == 9 and int(doctor.krzp) % 11 == 0
    rids = [one.rid for one in region.patients]
    assert len(set(rids)) == len(rids) == 12
    assert all(check_rid(rid).ok for rid in rids)


def test_birth_numbers_agree_with_birth_dates() -> None:
    for person in demo_region().patients:
        if person.birth_number:
            month = person.born.month + (50 if person.gender == "female" else 0)
            stem = f"{person.born.year % 100:02d}{month:02d}{person.born.day:02d}"
            assert person.birth_number.startswith(stem)


def test_the_two_who_sign_in_have_their_reports() -> None:
    region = demo_region()
    by_key = {one.key: one for one in region.patients}
    assert by_key["patient"].name == "Jana Svobodová"
    assert by_key["patient-2"].name == "Petr Dvořák"
    hers = [
        sender
        for body, sender in zip(bundles(), region.senders, strict=True)
        if rid_of(body) == by_key["patient"].rid
    ]
    assert sorted(hers) == ["a", "a", "b", "b"]
    his = [one for one in bundles() if rid_of(one) == by_key["patient-2"].rid]
    assert len(his) == 2


def test_documents_come_in_the_order_of_issue_under_unique_identifiers() -> None:
    found = bundles()
    stamps = [one["timestamp"][:16] for one in found]
    assert stamps == sorted(stamps)
    assert len({one["identifier"]["value"] for one in found}) == len(found)


def test_one_report_replaces_another_of_the_same_person_and_hospital() -> None:
    heads = [one["entry"][0]["resource"] for one in bundles()]
    (position,) = [n for n, head in enumerate(heads) if "relatesTo" in head]
    (replaced,) = replaced_identifiers(heads[position])
    older = next(
        n
        for n, head in enumerate(heads)
        if (head["identifier"]["system"], head["identifier"]["value"]) == replaced
    )
    assert older < position
    assert rid_of(bundles()[older]) == rid_of(bundles()[position])
    assert demo_region().senders[older] == demo_region().senders[position]


def test_originals_are_the_hospitals_own_letters() -> None:
    found = 0
    for document in bundles():
        for file in document_view(document, "cs").attachments:
            content = attachment_bytes(document, file.index)
            assert content is not None
            shown = " ".join(PdfReader(io.BytesIO(content[1])).pages[0].extract_text().split())
            assert "PROPOUŠTĚCÍ ZPRÁVA" in shown
            assert document["entry"][0]["resource"]["identifier"]["value"] in shown
            found += 1
    assert found >= 5


def test_building_again_gives_the_same_bytes() -> None:
    written = reports()
    position = next(n for n, one in enumerate(written) if one.original)
    assert build(written[position], None) == demo_region().documents[position]


def test_the_newborn_has_a_temporary_identifier_and_a_mother() -> None:
    (newborn,) = [one for one in demo_region().patients if one.mother]
    assert newborn.rid.startswith("D")
    mother = next(one for one in demo_region().patients if one.key == newborn.mother)
    hers = next(one for one in bundles() if rid_of(one) == mother.rid)
    assert newborn.rid in json.dumps(hers)
