"""Whom certificates name, and what an operator may not say."""

from __future__ import annotations

import pytest
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from pater.trust.ca.errors import CaError
from pater.trust.ca.profiles import PROFILES, Subject, checked, holder_of, name_of
from tests.trust.ca.conftest import PERSON, SYSTEM


def said(profile: str, subject: Subject) -> dict[str, str]:
    """The distinguished name by the names of its parts."""
    which = PROFILES[profile]
    name = name_of(which, checked(which, subject))
    return {one.rfc4514_attribute_name: str(one.value) for one in name}


def test_a_system_is_named_by_its_organisation() -> None:
    assert said("system", SYSTEM) == {
        "C": "CZ", "O": "Nemocnice Horní Lhota", "CN": "nis", "2.5.4.97": "27520536",
    }  # fmt: skip
    assert NameOID.ORGANIZATION_IDENTIFIER.dotted_string == "2.5.4.97"


def test_a_person_is_named_by_the_register_of_professionals() -> None:
    assert said("person", PERSON) == {
        "C": "CZ", "2.5.4.97": "112345673", "2.5.4.4": "Dvořáková", "2.5.4.42": "Jana",
        "CN": "Jana Dvořáková",
    }  # fmt: skip


def test_a_seal_names_its_organisation_as_the_european_norm_has_it() -> None:
    assert said("seal", SYSTEM)["2.5.4.97"] == "NTRCZ-27520536"


@pytest.mark.parametrize(
    ("profile", "subject"),
    [
        ("system", Subject(name="nis", organization="N")),
        ("system", Subject(name="nis", organization="N", ico="123")),
        ("system", Subject(name="nis", organization="N", ico="２７５２０５３６")),
        ("system", Subject(name="n" * 65, organization="N", ico="27520536")),
        ("system", Subject(name="nis\x00", organization="N", ico="27520536")),
        ("system", Subject(name="a\u202eb", organization="N", ico="27520536")),
        ("system", Subject(name="  ", organization="N", ico="27520536")),
        ("system", Subject(name="nis", organization="N", ico="27520536", krzp="112345673")),
        ("person", Subject(krzp="012345673", given="A", family="B")),
        ("person", Subject(krzp="112345673", given="A" * 40, family="B" * 40)),
        ("tls-server", Subject()),
        ("tls-server", Subject(hosts=("*.pater.test",))),
        ("tls-server", Subject(hosts=("-a.test",))),
        ("tls-server", Subject(hosts=("příklad.cz",))),
        ("tls-server", Subject(hosts=("a b",))),
        ("tls-server", Subject(hosts=tuple(f"h{n}.test" for n in range(21)))),
    ],
)
def test_what_is_missing_wrong_or_too_much_is_refused(profile: str, subject: Subject) -> None:
    with pytest.raises(CaError):
        checked(PROFILES[profile], subject)


def test_hosts_are_names_and_addresses_each_once() -> None:
    hosts = checked(
        PROFILES["tls-server"], Subject(hosts=("A.test", "a.test", "10.0.0.1", "2001:DB8:0::1"))
    ).hosts
    assert hosts == ("a.test", "10.0.0.1", "2001:db8::1")


def test_the_holder_is_found_under_one_name() -> None:
    assert holder_of(SYSTEM) == "ico:27520536"
    assert holder_of(PERSON) == "krzp:112345673"
    assert holder_of(Subject(hosts=("a.test", "b.test"))) == "dns:a.test"


_texts = st.text(max_size=70)


@settings(deadline=None)
@given(
    profile=st.sampled_from(sorted(PROFILES)),
    subject=st.builds(
        Subject,
        name=_texts,
        ico=st.just("27520536") | _texts,
        organization=_texts,
        krzp=st.just("112345673") | st.just(""),
        given=_texts,
        family=_texts,
        hosts=st.lists(st.from_regex(r"[a-z0-9.-]{1,30}", fullmatch=True) | _texts, max_size=3).map(
            tuple
        ),
    ),
)
def test_any_subject_is_refused_or_makes_a_name(profile: str, subject: Subject) -> None:
    which = PROFILES[profile]
    parts = {name: getattr(subject, name) for name in which.takes}
    try:
        clean = checked(which, Subject(**parts))
    except CaError:
        return
    assert checked(which, clean) == clean
    assert Subject.of(clean.as_dict()) == clean
    assert name_of(which, clean).public_bytes()
