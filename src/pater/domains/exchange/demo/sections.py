"""The sections of a demonstration report: their Czech narrative and the entries behind it."""

from __future__ import annotations

from collections.abc import Sequence

from pater.domains.exchange.demo import entries
from pater.domains.exchange.demo.catalogue import ALLERGIES, DIAGNOSES, TESTS, VITALS
from pater.domains.exchange.demo.draft import Draft, moment
from pater.domains.exchange.demo.people import PERSONS, Json
from pater.domains.exchange.demo.report import Diagnosis, Medicine


def sections(b: Draft) -> list[Json]:
    """All sections in the order of a discharge report; adds their entries to the draft."""
    r = b.report
    out = [
        b.section("46239-0", [r.reason]),
        b.section("67851-6", [r.admission]),
        _allergies(b),
        _history(b),
        _course(b),
        b.section(
            "11535-2",
            [
                f"{'Hlavní' if not n else 'Další'}: {d.name} ({d.code})"
                for n, d in enumerate(r.diagnoses)
            ],
            [{"reference": b.urls[f"diagnosis-{n}"]} for n in range(len(r.diagnoses))],
        ),
    ]
    if r.done:
        out.append(_procedures(b))
    if r.implants:
        out.append(_implants(b))
    if r.given:
        out.append(_medicines(b, "87232-5", r.given, "given"))
    if r.labs or r.findings:
        out.append(_results(b))
    if r.vitals:
        out.append(_vitals(b))
    out.append(b.section("29545-1", [r.condition]))
    if r.discharge_medicines:
        out.append(_medicines(b, "75311-1", r.discharge_medicines, "discharge"))
    out.append(_plan(b))
    out.append(b.section("8653-8", r.instructions))
    out.append(_insurance(b))
    return out


def _allergies(b: Draft) -> Json:
    keys = b.person.allergies
    if not keys:
        none = b.add("allergy-none", entries.no_allergy(b.subject))
        return b.section("48765-2", ["Bez známých alergií."], [none])
    found = [b.add(f"allergy-{key}", entries.allergy(ALLERGIES[key], b.subject)) for key in keys]
    lines = [
        f"{one.substance} – {one.reaction[1].lower()} (od {one.since[:4]})"
        for one in (ALLERGIES[key] for key in keys)
    ]
    return b.section("48765-2", lines, found)


def _history(b: Draft) -> Json:
    # A chronic illness that is also a diagnosis of this stay is not told twice.
    told = {one.code[:3] for one in b.report.diagnoses}
    chronic = [
        one for one in b.person.chronic if one[0][:3] not in told and one[1] < b.report.start
    ]
    found = [
        b.add(
            f"problem-{code}",
            entries.condition(Diagnosis(code, DIAGNOSES[code], since), b.subject, None, ""),
        )
        for code, since in chronic
    ]
    lines = [f"{DIAGNOSES[code]} ({code}), od roku {since[:4]}" for code, since in chronic]
    children = [b.section("11450-4", lines, found)] if chronic else []
    return b.section("35090-0", [b.report.history], children=children)


def _course(b: Draft) -> Json:
    children = []
    if b.report.birth:
        story, findings = b.report.birth
        found = []
        for number, one in enumerate(findings):
            if one.about:
                b.add(f"person-{one.about}", PERSONS[one.about].resource())
            about = {"reference": b.urls[f"person-{one.about}"]} if one.about else b.subject
            found.append(b.add(f"birth-{number}", entries.finding(one, about, b.encounter, moment)))
        children = [b.section("57074-7", [story], found)]
    return b.section("8648-8", b.report.course, children=children)


def _procedures(b: Draft) -> Json:
    found = [
        b.add(
            f"procedure-{number}",
            entries.procedure(
                one, b.subject, b.encounter, b.doctor(one.doctor or b.report.author), moment
            ),
        )
        for number, one in enumerate(b.report.done)
    ]
    lines = [
        f"{_day(one.at)} {one.name}{f' – {one.note}' if one.note else ''}" for one in b.report.done
    ]
    return b.section("10185-7", lines, found)


def _implants(b: Draft) -> Json:
    found = []
    for number, one in enumerate(b.report.implants):
        device = b.add(f"device-{number}", entries.device(one, b.subject))
        found.append(
            b.add(f"device-use-{number}", entries.device_use(one, b.subject, device, moment))
        )
    return b.section(
        "57080-4", [f"{one.kind}: {one.make}, {one.site}" for one in b.report.implants], found
    )


def _medicines(b: Draft, code: str, lines: Sequence[Medicine], what: str) -> Json:
    found = [
        b.add(
            f"{what}-{number}",
            entries.medication(
                one, b.subject, b.encounter, b.report, moment, given=what == "given"
            ),
        )
        for number, one in enumerate(lines)
    ]
    rows = [[entries.drug_name(one), one.how, one.why] for one in lines]
    table = (["Lék", "Dávkování", "Důvod"], rows)
    return b.section(code, [], found, table=table)


def _results(b: Draft) -> Json:
    found: list[Json] = []
    rows: list[list[str]] = []
    for key, series in b.report.labs:
        test = TESTS[key]
        for number, (clock, value) in enumerate(series):
            found.append(
                b.add(
                    f"lab-{key}-{number}",
                    entries.laboratory(
                        test,
                        clock,
                        value,
                        b.subject,
                        b.encounter,
                        b.urls["hospital"],
                        moment,
                        female=b.person.gender == "female",
                    ),
                )
            )
        shown = ", ".join(f"{value.replace('.', ',')} ({_day(clock)})" for clock, value in series)
        rows.append([test.name, shown, test.unit])
    for number, one in enumerate(b.report.findings):
        found.append(
            b.add(f"finding-{number}", entries.finding(one, b.subject, b.encounter, moment))
        )
    texts = [
        f"{one.name}: {one.value.replace('.', ',')} {one.unit}".strip() for one in b.report.findings
    ]
    table = (["Vyšetření", "Hodnoty", "Jednotka"], rows) if rows else None
    return b.section("30954-2", texts, found, table=table)


def _vitals(b: Draft) -> Json:
    found, lines = [], []
    for number, (clock, values) in enumerate(b.report.vitals):
        said = []
        for key, value in values.items():
            name = f"vital-{number}-{key}"
            if key == "bp":
                resource = entries.blood_pressure(clock, value, b.subject, b.encounter, moment)
                said.append(f"TK {value} mmHg")
            else:
                code, label, display, unit, ucum = VITALS[key]
                resource = entries.vital(
                    (code, label, display, unit, ucum), clock, value, b.subject, b.encounter, moment
                )
                said.append(f"{label[0].lower()}{label[1:]} {value.replace('.', ',')} {unit}")
            found.append(b.add(name, resource))
        lines.append(f"{_day(clock)}: {', '.join(said)}")
    return b.section("8716-3", lines, found)


def _plan(b: Draft) -> Json:
    plan = b.add("plan", entries.care_plan(b.report, b.subject, b.encounter))
    return b.section(
        "18776-5",
        [f"{what}{f' – {_day(when)}' if when else ''}" for what, when in b.report.plan],
        [plan],
    )


def _insurance(b: Draft) -> Json:
    insurer = b.add("insurer", entries.insurer(b.person))
    coverage = b.add("coverage", entries.coverage(b.person, b.subject, insurer))
    return b.section("48768-6", [f"Zdravotní pojišťovna {b.person.insurer}"], [coverage])


def _day(clock: str) -> str:
    parts = clock[:10].split("-")
    return ". ".join([*(str(int(part)) for part in reversed(parts[1:])), parts[0]])
