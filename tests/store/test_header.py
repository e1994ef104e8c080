from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from conftest import FakeRuntime
from gingham.catalogue import Catalogue
from gingham.errors import CatalogueError
from gingham.store import header
from gingham.store.files import LocalFiles
from gingham.store.header import FORMAT, MIGRATIONS, NAME, Header, is_catalogue, migrate
from memory_files import MemoryFiles

OLD = Path(__file__).parent / "format1"
HEADER = Header(FakeRuntime().config, "/weights")


def state(files: MemoryFiles) -> dict[str, object]:
    with files.open(NAME) as file:
        return dict(json.load(file))


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
        return state | {f"step {state['format']}": True}

    files = MemoryFiles()
    files.put(NAME, lambda file: file.write(b'{"format": 1, "config": {}}'))
    monkeypatch.setattr(header, "FORMAT", 4)
    monkeypatch.setattr(header, "MIGRATIONS", {1: step, 2: step, 3: step})
    with pytest.raises(CatalogueError, match="has the older format 1: run gingham info memory"):
        Header.read(files)
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
