"""Which modules read rows of resources, and why each needs to ask for veils or does not."""

from __future__ import annotations

import re
from pathlib import Path

import pater

ROOT = Path(pater.__file__).parent
READS = re.compile(r"\b(?:from|join)\s+(?:resource|history|\{table\}|\{_TABLES)\b")

WITH_VEILS = {
    "store/search/__init__.py": "Where.text",
    "store/search/where.py": "Where.text; Patients by id are never held back",
    "store/search/lookup.py": "Where.text; Patients by id are never held back",
    "store/search/classed.py": "is not asked when there are veils",
    "store/search/include.py": "Where.text and `whose`",
    "store/search/contained.py": "`whose`",
    "store/search/joined.py": "its own condition",
    "store/search/moved.py": "the WHERE of its search; past versions by `hidden`",
    "store/search/newest.py": "Where.text",
    "store/search/sql.py": "side tables, tied to rows of a search",
    "store/search/order.py": "side tables, tied to rows of a search",
    "store/history.py": "`shown_sql` and `past_sql`",
    "store/record.py": "`shown_sql`",
    "store/walk.py": "`shown_sql`; large bodies of rows that were shown",
    "store/veils.py": "is what says it",
    "store/read.py": "by address: Stored.held_back, by the gate",
    "store/versions.py": "by address: Stored.held_back, by who follows the feed",
}
WITHOUT = {
    "store/write_batch.py": "writes",
    "store/copying.py": "writes: which addresses are taken",
    "store/expunge.py": "takes out, for who keeps the house",
    "store/relabel.py": "works labels out",
    "store/reindex.py": "makes the index",
    "store/text_index.py": "makes the index",
    "store/codes.py": "makes the index",
    "store/search/families.py": "ids of Patients who are one; Patients are never held back",
    "store/parameters.py": "which types there are at all",
    "store/dictionaries.py": "trains compression",
    "store/canonicals.py": "nobody's definitions",
    "store/hierarchy.py": "places and organisations that a search then asks for by itself",
    "store/patients.py": "Patients, never held back",
    "records/patient_names.py": "Patients, never held back",
    "records/import_targets.py": "for the loader, who sees everything",
    "access/standing.py": "what a caller is to persons, before anything is shown",
    "access/territories.py": "where persons live, before anything is shown",
    "access/person_tables.py": "relations of care, when persons are merged or parted",
    "registers/moving.py": "moves records, shows nothing",
    "registers/finding.py": "Patients, never held back; the gate was asked",
    "registers/keeping.py": "writes the row of the person of a Patient",
    "registers/providers/rebuilding.py": "places and organisations, nobody's",
    "registers/overview.py": "how many there are of a person who is to be merged",
    "registers/matching/index.py": "writes the entry of a Patient, never held back",
    "registers/matching/reindexing.py": "writes the entries of Patients, never held back",
    "registers/registration.py": "Patients, never held back; shows none",
    "registers/basic/checks.py": "places and organisations, nobody's",
    "registers/basic/identities.py": "Patients, never held back; shows none",
    "registers/patients.py": "Patients, never held back; shows none",
    "registers/splitting.py": "moves records, shows nothing",
    "registers/disputes.py": "Patients, never held back",
    "registers/as_of.py": "Patients, never held back; the gate was asked",
    "access/relations.py": "relations of care, made when resources are written",
    "records/standing_kept.py": "relations of care, made when resources are written",
    "terminology/stored.py": "nobody's definitions",
    "cli/basic.py": "whose a Patient is, for the operator",
    "maintenance.py": "how many there are of a type",
}


def test_who_reads_resources_is_known() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if READS.search(path.read_text("utf-8"))
    }
    known = set(WITH_VEILS) | set(WITHOUT)
    assert found - known == set(), "say in this list how they leave out what is held back"
