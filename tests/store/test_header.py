from __future__ import annotations

import json
import shutil
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow.parquet as pq
import pytest

from conftest import FakeRuntime
from gingham.catalogue import Catalogue
from gingham.errors import CatalogueError
from gingham.names import folder_name
from gingham.store import header
from gingham.store.attached import Attached, AttachedLog
from gingham.store.examples import Example, ExampleLog
from gingham.store.files import LocalFiles
from gingham.store.header import FORMAT, MIGRATIONS, NAME, Header, is_catalogue, migrate
from memory_files import MemoryFiles

OLD = Path(__file__).parent / "format1"
HEADER = Header(FakeRuntime().config, "/weights")


def state(files: MemoryFiles) -> dict[str, object]:
    with files.open(NAME) as file:
        return dict(json.load(file))


def put(files: MemoryFiles, name: str, content: bytes) -> None:
    files.put(name, lambda file: file.write(content))


def test_round_trip() -> None:
    files = MemoryFiles()
    assert not is_catalogue(files)
    HEADER.write(files)
    assert is_catalogue(files)
    assert Header.read(files) == HEADER
    with pytest.raises(CatalogueError, match="memory is already a catalogue"):
        HEADER.write(files)


def test_a_catalogue_of_format_1_opens_and_grows(
    tmp_path: Path, photos: Path, runtime: FakeRuntime
) -> None:
    shutil.copytree(OLD, tmp_path / "shop")
    old = pq.read_table(OLD / "features")
    with Catalogue.open(tmp_path / "shop") as shop:
        assert shop.verify() == []
        assert len(shop) == 11
        got = shop._truth.features.get(old["id"].to_pylist(), ["stage1"])["stage1"]
        assert np.array_equal(got, np.stack(old["stage1"].to_pylist()))
        assert shop.info().attributes["colour"].values == ("blue", "green", "red")
        assert shop.info().attributes["tone"].values == ("cold", "warm")
    runtime.config = Header.read(LocalFiles(tmp_path / "shop")).config
    with Catalogue.open(tmp_path / "shop", runtime=runtime) as shop:
        added = shop.index([photos]).added
        assert added > 0
    with Catalogue.open(tmp_path / "shop", runtime=runtime) as shop:
        assert len(shop) == 11 + added
        assert shop.verify() == []
        ids = [i for batch, _ in shop._truth.features.batches(["stem"]) for i in batch]
        assert ids[: len(old)] == old["id"].to_pylist()


def test_formats_that_are_not_known_are_refused_with_what_to_do() -> None:
    files = MemoryFiles()
    for found in (FORMAT + 1, 0, None, "1"):
        text = json.dumps({"format": found}).encode()
        files.put(NAME, lambda file: file.write(text))  # noqa: B023
        for read in (migrate, Header.read):
            with pytest.raises(CatalogueError, match=f"has format {found}.*install the version"):
                read(files)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", f'{{"format": {FORMAT}}}'])
def test_a_damaged_header_is_named(text: str) -> None:
    files = MemoryFiles()
    with pytest.raises(CatalogueError, match=r"catalogue\.json cannot be read \(No such file"):
        Header.read(files)
    files.put(NAME, lambda file: file.write(text.encode()))
    with pytest.raises(CatalogueError, match=r"memory"):
        Header.read(files)


def test_every_format_leads_to_this_one_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sorted(MIGRATIONS) == list(range(1, FORMAT))
    steps = []

    def step(files: object, state: dict[str, object]) -> dict[str, object]:
        steps.append(state["format"])
        if steps == [1, 2]:
            raise OSError("killed")
        assert files is stored
        return state | {f"step {state['format']}": True}

    files = stored = MemoryFiles()
    files.put(NAME, lambda file: file.write(b'{"format": 1, "config": {}}'))
    monkeypatch.setattr(header, "FORMAT", 4)
    monkeypatch.setattr(header, "MIGRATIONS", {1: step, 2: step, 3: step})
    with pytest.raises(OSError, match="killed"):
        migrate(files)
    assert state(files)["format"] == 2
    migrate(files)
    # A step that was killed runs again; one that was done does not.
    assert steps == [1, 2, 2, 3]
    assert state(files) == {
        "format": 4,
        "config": {},
        "step 1": True,
        "step 2": True,
        "step 3": True,
    }


@pytest.mark.parametrize("format", sorted(MIGRATIONS))
def test_opening_a_catalogue_of_an_older_format_brings_it_up_to_date(
    tmp_path: Path, format: int
) -> None:
    shutil.copytree(OLD, tmp_path / "shop")
    path = tmp_path / "shop" / NAME
    state = json.loads(path.read_text())
    path.write_text(json.dumps(state | {"format": format, "home": None}))
    with Catalogue.open(tmp_path / "shop") as shop:
        assert len(shop) == 11
        assert shop.verify() == []
        assert shop.info().attributes["colour"].values == ("blue", "green", "red")
        assert json.loads(path.read_text())["format"] == FORMAT


def test_folders_of_attributes_are_renamed_and_a_kill_in_between_does_no_harm() -> None:
    files = MemoryFiles()
    HEADER.write(files)
    log = ExampleLog(files)
    names = ["Sleeve Length", "a b", "caf\u00e9", "..", "x" * 300, "Red", "red"]
    for name in names:
        log.append(name, "single", "auto", [Example(bytes(32), "1.jpg", {"v": True}, "1")])
    AttachedLog(files).attach([Attached("Attached One", "single", ("v",), "/model", "0")])
    expected = {}
    for name in (*names, "Attached One"):
        for file in ("attribute.npz", "predictions.parquet"):
            old = f"attributes/{quote(name, safe=' ')}/{file}"
            if name != "..":  # no folder was ever called so
                put(files, old, f"{name} {file}".encode())
                expected[f"attributes/{folder_name(name)}/{file}"] = f"{name} {file}".encode()
    put(files, NAME, json.dumps(state(files) | {"format": 3}).encode())
    deleted = files.delete
    kills = iter([False, False, False, True])

    def killed(name: str) -> None:
        if next(kills, False):
            raise KeyboardInterrupt
        deleted(name)

    files.delete = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        migrate(files)
    migrate(files)
    assert state(files)["format"] == FORMAT
    assert {one: files.open(one).read() for one in files.list("attributes/")} == expected
