"""Which cluster `--ray` means, wherever it stands on the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gingham.cli import main
from gingham.cluster import connection
from gingham.errors import InputError, ServerError

pytest.importorskip("ray", reason="ray is not installed")


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("NEW PHOTOS --ray", "any"),
        ("NEW PHOTOS --ray --json", "any"),
        ("--ray --wait 0 NEW PHOTOS", "any"),
        ("NEW --ray -- PHOTOS", "any"),
        ("NEW --ray -", "any"),
        ("NEW PHOTOS --ray auto", "auto"),
        ("--ray local NEW PHOTOS", "local"),
        ("NEW PHOTOS --ray=head:6379", "head:6379"),
        ("NEW --ray [::1]:6379 PHOTOS", "[::1]:6379"),
    ],
)
def test_a_bare_ray_may_stand_last_or_before_an_option(
    words: str,
    asked: str,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def find(address: str) -> str:
        raise ServerError(f"asked for {address}")

    monkeypatch.setattr(connection, "find_cluster", find)
    places = {"NEW": str(tmp_path / "new"), "PHOTOS": str(photos)}
    arguments = ["gingham", "index", *(places.get(word, word) for word in words.split())]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit, match="2"):
        main()
    printed = capsys.readouterr()
    assert f"asked for {asked}" in printed.out + printed.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("words", ["--ray NEW PHOTOS", "NEW --ray PHOTOS", "NEW PHOTOS --ray="])
def test_a_catalogue_or_source_in_the_place_of_an_address_is_refused(
    words: str,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"NEW": "new", "PHOTOS": str(photos)}
    arguments = ["gingham", "index", *(places.get(word, word) for word in words.split())]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit, match="2"):
        main()
    said = capsys.readouterr().err
    assert "a bare --ray comes last, after the sources" in said
    assert not (tmp_path / "new").exists()


def test_where_there_is_no_cluster_any_means_a_local_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private import services

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr(services, "find_gcs_addresses", set)
    monkeypatch.setattr(services, "find_bootstrap_address", lambda folder: None)
    assert connection.find_cluster("any") == "local"
    with pytest.raises(ServerError, match="no Ray cluster that this machine belongs to: start one"):
        connection.find_cluster("auto")
    # As a cluster leaves it that was killed: Ray would try for minutes.
    monkeypatch.setattr(services, "find_bootstrap_address", lambda folder: "127.0.0.1:1")
    for address in ("auto", "any", "127.0.0.1:1"):
        with pytest.raises(ServerError, match=r"no Ray cluster answers at 127\.0\.0\.1:1 "):
            connection.find_cluster(address)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:2")
    with pytest.raises(ServerError, match=r"no Ray cluster answers at 127\.0\.0\.1:2 "):
        connection.find_cluster("any")
    with pytest.raises(InputError, match=r"local .*, auto .* or HOST:PORT, got 'photos'"):
        connection.find_cluster("photos")


def test_a_cluster_that_cannot_be_joined_leaves_no_catalogue_behind(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def init(*_: object, **__: object) -> None:
        raise ConnectionError("this machine is no node of it")

    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", init)
    monkeypatch.setattr(connection, "find_cluster", lambda address: "head:6379")
    new = tmp_path / "new"
    monkeypatch.setattr(sys, "argv", ["gingham", "index", str(new), str(photos), "--ray"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "that this machine belongs to (this machine is no node of it)" in capsys.readouterr().err
    assert not new.exists()


def test_curate_asks_for_the_cluster_before_it_makes_anything(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table, out = tmp_path / "table.csv", tmp_path / "out"
    table.write_text(f"image,colour\n{photos / 'red0.jpg'},red\n")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    words = ["gingham", "curate", str(table), "--out", str(out), "--ray"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "no Ray cluster answers at 127.0.0.1:1 " in capsys.readouterr().err
    assert not out.exists()
