"""The installation's keys: made once, private, the same after every start."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from pater.trust.keys import CURSOR_FILE, SECRET_FILE, SIGNING_FILE, Keys, KeysError


def test_the_second_start_finds_the_keys_of_the_first(tmp_path: Path) -> None:
    first = Keys.load_or_create(tmp_path / "keys")
    second = Keys.load_or_create(tmp_path / "keys")
    assert (first.kid, first.cursor_key, first.secret_key) == (
        second.kid,
        second.cursor_key,
        second.secret_key,
    )
    assert first.cursor_key != first.secret_key
    assert first.secret_key != Keys.load_or_create(tmp_path / "other").secret_key


def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    Keys.load_or_create(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == sorted([CURSOR_FILE, SECRET_FILE, SIGNING_FILE])
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: Keys.load_or_create(tmp_path / "keys"), range(16)))
    assert len({(keys.kid, keys.cursor_key, keys.secret_key) for keys in found}) == 1


def test_a_key_open_to_others_is_refused_with_advice(tmp_path: Path) -> None:
    Keys.load_or_create(tmp_path)
    (tmp_path / SIGNING_FILE).chmod(0o644)
    with pytest.raises(KeysError) as caught:
        Keys.load_or_create(tmp_path)
    assert "chmod 600" in caught.value.advice


@pytest.mark.parametrize("name", [SIGNING_FILE, CURSOR_FILE, SECRET_FILE])
def test_a_damaged_file_is_not_replaced(tmp_path: Path, name: str) -> None:
    Keys.load_or_create(tmp_path)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(KeysError, match=name):
        Keys.load_or_create(tmp_path)
    assert (tmp_path / name).read_bytes() == b"x"


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("")
    with pytest.raises(KeysError):
        Keys.load_or_create(tmp_path / "keys")


def test_the_public_set_verifies_and_says_nothing_secret() -> None:
    keys = Keys.generate()
    (jwk,) = keys.jwks()["keys"]
    assert set(jwk) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    signed = jws.serialize_compact({"alg": "ES256"}, b"text", keys.signing, ["ES256"])
    again = ECKey.import_key(json.loads(json.dumps(jwk)))
    assert jws.deserialize_compact(signed, again, ["ES256"]).payload == b"text"


def test_keys_do_not_show_in_repr() -> None:
    keys = Keys.generate()
    assert keys.cursor_key.hex() not in repr(keys)
    assert repr(keys.secret_key) not in repr(keys)
    assert "bytes" not in repr(keys)


def test_a_secret_opens_only_with_its_key_and_context() -> None:
    keys = Keys.generate()
    sealed = keys.encrypt(b"JBSWY3DP", b"account-1")
    assert keys.decrypt(sealed, b"account-1") == b"JBSWY3DP"
    assert keys.encrypt(b"JBSWY3DP", b"account-1") != sealed
    for other, context, data in (
        (keys, b"account-2", sealed),
        (Keys.generate(), b"account-1", sealed),
        (keys, b"account-1", sealed[:-1] + bytes([sealed[-1] ^ 1])),
        (keys, b"account-1", b"short"),
    ):
        with pytest.raises(KeysError):
            other.decrypt(data, context)


def test_derived_keys_differ_by_purpose() -> None:
    keys = Keys.generate()
    assert keys.derived("csrf") == keys.derived("csrf")
    assert len({keys.derived("csrf"), keys.derived("journal"), keys.secret_key}) == 3
