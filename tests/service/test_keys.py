"""Keys: made once, kept as their SHA-256, found in constant time, followed while a server runs."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gingham.errors import CatalogueError, InputError
from gingham.service.caller import LOCAL, NOBODY, ROLES, Caller
from gingham.service.keys import KeyFile, KeyRing


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


def test_a_key_is_found_by_its_secret_alone_which_is_kept_nowhere(keys: KeyFile) -> None:
    secrets = {name: keys.add(name, "editor") for name in ("ann", "bob")}
    text = keys.path.read_text()
    ring = KeyRing(keys, every=0)
    for name, secret in secrets.items():
        assert len(secret) == len("gingham_") + 43  # 256 bits
        assert secret not in text
        found = ring.find(secret)
        assert found is not None
        assert found.caller == Caller(name, "editor")
        assert ring.find(found.sha256) is None
    assert secrets["ann"] != secrets["bob"]


@given(st.text(alphabet=st.characters()))
def test_any_text_may_be_tried_and_is_not_found(tried: str) -> None:
    assert KeyRing(KeyFile(Path("there-is-none.json"))).find(tried) is None


def test_only_the_owner_may_read_the_file_whatever_the_umask(keys: KeyFile) -> None:
    before = os.umask(0)
    try:
        keys.add("ann", "admin")
        keys.add("bob", "reader")
        keys.remove("ann")
    finally:
        os.umask(before)
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert sorted(one.name for one in keys.path.parent.iterdir()) == ["keys.json", "keys.lock"]


@pytest.mark.parametrize(
    "name", ["", "local", "nobody", "two words", "a" * 65, "../x", "-x", "a\n"]
)
def test_a_name_that_would_not_be_read_back_is_refused(keys: KeyFile, name: str) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        keys.add(name, "reader")
    assert not keys.path.exists()


def test_a_name_has_one_key(keys: KeyFile) -> None:
    keys.add("ann@example.org", "reader")
    with pytest.raises(InputError, match="there is a key named"):
        keys.add("ann@example.org", "admin")
    with pytest.raises(InputError, match="no key named 'an'"):
        keys.remove("an")
    assert keys.remove("ann@example.org").role == "reader"
    assert keys.read() == ()


def test_keys_made_at_the_same_time_are_all_kept(keys: KeyFile) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: KeyFile(keys.path).add(f"n{n}", "reader"), range(12)))
    assert {key.name for key in keys.read()} == {f"n{n}" for n in range(12)}


def test_a_ring_follows_its_file_and_never_forgets_that_keys_were_needed(keys: KeyFile) -> None:
    ring = KeyRing(keys, every=0)
    assert not ring.needed
    secret = keys.add("ann", "admin")
    assert ring.find(secret) is not None
    keys.remove("ann")
    assert ring.find(secret) is None
    assert ring.needed
    keys.path.unlink()
    assert ring.current() == ()
    assert ring.needed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"keys": 1}',
        '{"keys": [1]}',
        '{"keys": [{"name": "a", "role": "reader", "made": ""}]}',
        '{"keys": [{"name": "a", "role": "owner", "made": "", "sha256": "' + "0" * 64 + '"}]}',
        '{"keys": [{"name": "a", "role": "reader", "made": "", "sha256": "0"}]}',
    ],
)
def test_a_damaged_file_lets_nobody_in(keys: KeyFile, text: str) -> None:
    secret = keys.add("ann", "admin")
    ring = KeyRing(keys, every=0)
    keys.path.write_text(text)
    for _ in range(2):
        with pytest.raises(CatalogueError, match="is damaged: restore it") as refused:
            ring.find(secret)
    assert refused.value.path == str(keys.path)


def test_a_role_may_do_what_the_roles_before_it_may() -> None:
    allowed = {role: [one for one in ROLES if Caller("x", role).may(one)] for role in ROLES}
    assert allowed == {
        "reader": ["reader"],
        "editor": ["reader", "editor"],
        "admin": ["reader", "editor", "admin"],
    }
    assert LOCAL.may("admin")
    assert not NOBODY.may("editor")
