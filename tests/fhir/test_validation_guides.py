"""The published Czech and European examples conform to the profiles they declare, but for errors
that are truly in them."""

from __future__ import annotations

import io
import tarfile
from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache

import pytest

from pater.fhir.issues import Issue
from pater.fhir.json import JsonError, parse
from pater.fhir.validation.local_terms import LocalTerms
from pater.fhir.validation.profiles import Profiles
from pater.fhir.validation.run import Settings
from pater.fhir.validation.whole import validate_whole
from tests.fhir.definitions_at_hand import source_of
from tests.shared_data import documents, shared

# guide → (examples, how many have errors); guides without errors are left out
WITH_ERRORS = {
    "cz-amb": (6, 2), "cz-ems": (25, 2), "cz-hdr": (156, 6), "cz-hie": (7, 7),
    "cz-k-order": (11, 2), "cz-lab": (23, 1), "cz-szz": (34, 2), "eu-extensions": (3, 1),
    "eu-imaging-r4": (34, 3), "eu-laboratory": (20, 2), "ihe-pcf": (31, 1), "sdc": (35, 4),
    "who-ddcc": (28, 2),
}  # fmt: skip
DOCUMENTS_WITH_ERRORS = {
    "cz-amb": (2, 2), "cz-hdr": (4, 4), "cz-k-order": (2, 2), "cz-lab": (6, 1),
    "eu-eps": (2, 1), "eu-hdr": (3, 2), "synderai-hdr": (3, 3), "synderai-lab": (3, 3),
}  # fmt: skip
# part of the message → what is truly wrong in the example
KINDS = {
    "cz-rid-identifier": "a patient has a second RID, without a value",
    "Patient.identifier:RID: at most 1": "the same",
    "may refer to": "a consequence: what is referred to has one of the other errors",
    "conforms to none of the profiles": "the same, for an entry of a document",
    "cz-patient-animal": "the same: the other profile that a subject may have",
    "Bundle.entry:composition: at least 1": "a consequence of an error within the Composition",
    "Bundle.entry:patient: at least 1": "a consequence of an error within the Patient",
    "Bundle.entry:encounter: at least 1": "a consequence of an error within the Encounter",
    "object-role has no code 26": "26 is a code of another version of the code system",
    "consentcategorycodes has no code jpp": "no such code was ever published",
    "ext-1:": "an extension with neither value nor extensions, or with both",
    "ele-1:": "an element with nothing in it",
    "bdl-5:": "entries that are empty",
    "sdc-2:": "the profile asks for versionAlgorithm, an extension of R5",
    "ppc-1:": "a policy with neither authority nor rule",
    "vs-2:": "a vital sign without a value",
    "heartrate": "a heart rate without the LOINC code that R4 asks of it",
    "not base64": "the data are a placeholder",
    "is not a reference": "the text of a reference is a placeholder",
    "dlp-lecivepripravky": "the code is not in the value set",
    "ingredient.item[x] is missing": "missing though mandatory",
    "may not be used on": "the extension stands where its definition does not allow it",
    "is no UCUM unit": "a word where a UCUM code is expected",
    "An empty string": "an empty text",
    "targetConstraint": "a part of the extension has no value",
    "medicalTestResult-eu-core": "observations without the mandatory category",
    "A UUID is": "a UUID with letters beyond f",
    "An entry of a document has a fullUrl": "missing though mandatory",
    "The document has no entry": "a reference in the Composition leads nowhere",
    "ValueSet/encounter-status": "a code of R5",
    "encounter-status-eu-hdr": "the same",
    "Composition.encounter: at least 1": "missing though mandatory",
    "Composition.section.text: at least 1": "missing though mandatory",
}


@lru_cache(maxsize=1)
def _validator() -> tuple[Profiles, LocalTerms]:
    source = source_of()
    return Profiles(source), LocalTerms(source)


def _errors(body: bytes) -> list[Issue] | None:
    """The errors of an example; None when it is no FHIR resource in JSON at all."""
    try:
        resource = parse(body)
    except JsonError:
        return None
    if "resourceType" not in resource:
        return None
    profiles, terms = _validator()
    own = Settings(clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    issues = validate_whole(resource, profiles, terms=terms, settings=own)
    return [each for each in issues if each.severity in ("error", "fatal")]


def _examples() -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(shared("ig-examples.tgz").read_bytes())) as archive:
        out = {}
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".json") else None
            if file is not None:
                out[member.name.removeprefix("./")] = file.read()
        return out


def _documents() -> dict[str, bytes]:
    """All documents of the guides, and some of the many synthetic ones."""
    taken: Counter[str] = Counter()
    out = {}
    for name, body in documents().items():
        folder = name.partition("/")[0]
        taken[folder] += 1
        if not folder.startswith("synderai") or taken[folder] <= 3:
            out[name] = body
    return out


def _table(files: dict[str, bytes]) -> tuple[dict[str, tuple[int, int]], list[str]]:
    total: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    texts: list[str] = []
    for name, body in files.items():
        errors = _errors(body)
        if errors is None:
            continue
        guide = name.partition("/")[0]
        total[guide] += 1
        wrong[guide] += bool(errors)
        texts += [f"{name} {each.path}: {each.text}" for each in errors]
    return {guide: (count, wrong[guide]) for guide, count in total.items()}, texts


@pytest.mark.parametrize(
    ("files", "expected"), [(_examples, WITH_ERRORS), (_documents, DOCUMENTS_WITH_ERRORS)]
)
def test_published_examples_conform(files, expected) -> None:  # type: ignore[no-untyped-def]
    table, texts = _table(files())
    assert {guide: row for guide, row in table.items() if row[1]} == expected
    assert sum(count for count, _ in table.values()) > 40
    seen = {kind for kind in KINDS for text in texts if kind in text}
    assert len(seen) > 10
    unexplained = [text for text in texts if not any(kind in text for kind in KINDS)]
    assert unexplained == []
