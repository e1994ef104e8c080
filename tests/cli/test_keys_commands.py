"""`gingham keys`: a key is printed once, and its file is never readable by others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import FakeRuntime, draw
from gingham.catalogue import Catalogue

CLI = [sys.executable, "-m", "gingham"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    draw(folder / "photos" / "a.jpg", "red", 0)
    with Catalogue.create(folder / "shop", runtime=FakeRuntime()) as made:
        made.index([folder / "photos"])
    return folder / "shop"


def keys(*arguments: str | Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [*CLI, "keys", *map(str, arguments)], capture_output=True, text=True, timeout=60
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_a_key_is_printed_once_listed_and_removed(shop: Path) -> None:
    status, secret, said = keys("add", shop, "ann", "--role", "editor")
    assert status == 0
    assert secret.startswith("gingham_")
    assert "not shown again" in said
    assert keys("list", shop)[1].split()[-3:-1] == ["ann", "editor"]
    status, listed, _ = keys("list", shop, "--json")
    (one,) = json.loads(listed)["keys"]
    assert set(one) == {"name", "role", "made"}
    assert secret.strip() not in (shop / "keys.json").read_text()
    assert keys("remove", shop, "ann") == (0, "removed the key of ann\n", "")
    assert "no keys" in keys("list", shop)[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "SHOP", "two words", "--role", "reader"], "cannot be used"),
        (["add", "SHOP", "ann", "--role", "owner"], "reader"),
        (["add", "SHOP", "ann"], "--role is missing"),
        (["remove", "SHOP", "bob"], "there is no key named 'bob'"),
        (["list", "SHOP/photos"], "is not a catalogue"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    shop: Path, arguments: list[str], words: str
) -> None:
    status, out, error = keys(*(one.replace("SHOP", str(shop)) for one in arguments))
    assert (status, out) == (2, "")
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert words in error


def test_keys_are_made_while_the_catalogue_is_in_use(shop: Path) -> None:
    with Catalogue.open(shop, runtime=FakeRuntime()):
        assert keys("add", shop, "busy", "--role", "reader")[0] == 0
        assert keys("remove", shop, "busy")[0] == 0
