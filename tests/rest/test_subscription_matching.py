"""The index of watches finds what comparing with every one of them would find, and no more."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pater.rest.subscriptions import networks
from pater.rest.subscriptions.criteria import CriteriaError, conditions_of
from pater.rest.subscriptions.definition import Watch, read_subscription
from pater.rest.subscriptions.endpoints import Rules
from pater.rest.subscriptions.matching import Index, Version, Write
from pater.rest.subscriptions.topics import Trigger, is_topic, read_topic

WRITTEN = frozenset({"create", "update"})
CODES = ["a", "b", "c"]
SYSTEMS = ["", "http://s1", "http://s2"]
PATIENTS = ["1", "2", "3"]


def token() -> st.SearchStrategy[str]:
    return st.one_of(
        st.sampled_from(CODES),
        st.builds("{}|{}".format, st.sampled_from(SYSTEMS), st.sampled_from(CODES)),
        st.builds("{}|".format, st.sampled_from(SYSTEMS[1:])),
    )


def parameter() -> st.SearchStrategy[str]:
    tokens = st.lists(token(), min_size=1, max_size=2).map(",".join)
    patients = st.lists(st.sampled_from(PATIENTS), min_size=1, max_size=2)
    return st.one_of(
        tokens.map("code={}".format),
        tokens.map("combo-code={}".format),
        tokens.map("code:not={}".format),
        patients.map(lambda ids: "patient=" + ",".join(f"Patient/{i}" for i in ids)),
        st.sampled_from(PATIENTS).map("subject={}".format),
        st.sampled_from(
            ["status=final", "status:missing=true", "date=ge2020", "_id=o1", "_id=o2,o3"]
        ),
    )


queries = st.lists(parameter(), min_size=0, max_size=3).map("&".join)


@st.composite
def observations(draw: st.DrawFn) -> dict[str, Any]:
    coding = st.builds(
        lambda s, c: {"code": c} | ({"system": s} if s else {}),
        st.sampled_from(SYSTEMS),
        st.sampled_from(CODES),
    )
    found: dict[str, Any] = {
        "resourceType": "Observation",
        "id": draw(st.sampled_from(["o1", "o2", "o4"])),
        "code": {"coding": draw(st.lists(coding, min_size=1, max_size=2))},
    }
    if draw(st.booleans()):
        found["status"] = draw(st.sampled_from(["final", "amended"]))
    if draw(st.booleans()):
        found["subject"] = {"reference": f"Patient/{draw(st.sampled_from(PATIENTS))}"}
    if draw(st.booleans()):
        found["effectiveDateTime"] = draw(st.sampled_from(["2019-01-01", "2021-05"]))
    return found


@settings(max_examples=150, deadline=None)
@given(
    st.lists(queries, min_size=1, max_size=25),
    st.lists(observations(), min_size=1, max_size=4),
    st.data(),
)
def test_the_index_finds_exactly_what_matches(
    asked: list[str], resources: list[dict[str, Any]], data: st.DataObject
) -> None:
    watches = {
        f"s{number}": Watch(Trigger("Observation", WRITTEN), conditions_of("Observation", query))
        for number, query in enumerate(asked)
    }
    index = Index()
    for name, watch in watches.items():
        index.add(name, [watch])
    gone = data.draw(st.sets(st.sampled_from(sorted(watches))))
    for name in gone:
        index.remove(name)
    for resource in resources:
        alone = []
        for name, watch in watches.items():
            single = Index()
            single.add(name, [Watch(watch.trigger, ()), watch])  # one of them has no key
            write = Write("update", None, Version.of(resource))
            one = Index()
            one.add(name, [watch])
            assert single.events("Observation", write) == [name]
            if name not in gone and _brute(watch, resource):
                alone.append(name)
        found = index.events("Observation", Write("create", None, Version.of(resource)))
        assert sorted(found) == sorted(alone)
    for name in list(watches):
        index.remove(name)
    assert not index.follows("Observation")
    assert not index._keyed
    assert not index._loose


def _brute(watch: Watch, resource: dict[str, Any]) -> bool:
    from pater.fhir.search.query import matches

    version = Version.of(resource)
    return all(matches(each, version.resource, version.index) for each in watch.filters)


def test_only_few_watches_are_looked_at() -> None:
    """Ten thousand subscribers with a patient each: a write is compared with those of its own."""
    index = Index()
    for number in range(10_000):
        query = f"patient=Patient/p{number}&status=final"
        index.add(f"s{number}", [Watch(Trigger("Observation", WRITTEN),
                                       conditions_of("Observation", query))])  # fmt: skip
    version = Version.of(
        {"resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/p7"}}
    )
    assert len(list(index._candidates("Observation", version))) == 1
    assert index.events("Observation", Write("create", None, version)) == ["s7"]


def test_both_tests_of_a_topic_or_one() -> None:
    def index(**parts: Any) -> Index:
        made = Index()
        made.add("s", [Watch(Trigger("Observation", **parts), ())])
        return made

    def version(status: str) -> Version:
        return Version.of({"resourceType": "Observation", "status": status})

    def told(index: Index, before: str, now: str) -> bool:
        kind = "create" if not before else "update" if now else "delete"
        write = Write(kind, version(before) if before else None, version(now) if now else None)
        return bool(index.events("Observation", write))

    both = index(previous="status=a", current="status=b", both=True, passes_create=False)
    assert told(both, "a", "b")
    assert not told(both, "b", "b")
    assert not told(both, "", "b")
    either = index(previous="status=a", current="status=b", passes_delete=False)
    assert told(either, "a", "c")
    assert told(either, "c", "b")
    assert not told(either, "c", "c")
    assert not told(either, "c", "")
    path = index(fhirpath="%previous.status != %current.status")
    assert told(path, "a", "b")
    assert not told(path, "a", "a")
    assert not told(index(interactions=frozenset({"delete"})), "", "a")


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["type", "endpoint", "payload", "header", "extension", "url", "valueString",
                 "valueCode", "criteria", "channel", "_payload", "_criteria", "end", "meta",
                 "profile", "status"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["criteria", "channel", "end", "meta", "_criteria"]),
                       json_values))  # fmt: skip
def test_whatever_is_sent_is_read_or_refused(resource: dict[str, Any]) -> None:
    asked, issues = read_subscription(resource, None, Rules(networks("127.0.0.1")))
    assert (asked is None) is bool(issues)
    basic = {"resourceType": "Basic", **resource}
    if is_topic(basic):
        read_topic(basic)


@given(st.text(max_size=60))
def test_whatever_the_query_is_it_is_read_or_refused(query: str) -> None:
    try:
        conditions_of("Observation", query)
    except CriteriaError:
        pass
