from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from conftest import FakeRuntime
from gingham.errors import CatalogueBusyError, CatalogueError
from gingham.store.features import FeatureStore
from gingham.store.files import LocalFiles
from gingham.store.shards import Log, Shards
from memory_files import MemoryFiles

SCHEMA = pa.schema([pa.field("n", pa.int64(), nullable=False)], metadata={"made": "here"})
both = pytest.mark.parametrize("kind", [Shards, Log])


def table(*numbers: int) -> pa.Table:
    return pa.table({"n": pa.array(numbers, pa.int64())})


def tables(shards: Shards) -> Iterator[pa.Table]:
    yield from map(shards.table, shards.names())


def numbers(shards: Shards) -> list[int]:
    return [n for one in tables(shards) for n in one["n"].to_pylist()]


@both
def test_shards_are_read_in_the_order_of_writing(kind: type[Shards]) -> None:
    files = MemoryFiles()
    shards = kind(files, "s/", SCHEMA)
    assert numbers(shards) == []
    for number in range(12):
        assert shards.append(table(number)) == shards.names()[-1]
    assert numbers(kind(files, "s/", SCHEMA)) == numbers(shards) == list(range(12))
    assert shards.verify() == []


def test_a_clock_that_is_set_back_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    files = MemoryFiles()
    years = iter((2030, 1970, 2026))

    class Clock:
        @staticmethod
        def now(zone: tzinfo) -> datetime:
            return datetime(next(years), 1, 1, tzinfo=zone)

    monkeypatch.setattr("gingham.store.shards.datetime", Clock)
    config = FakeRuntime().config
    rows = [
        {layer: np.full(width, n, np.float32) for layer, width in config.widths.items()}
        for n in range(4)
    ]
    ids = [bytes([n]) * 32 for n in range(4)]
    reader = FeatureStore(files, config)
    assert len(reader) == 0
    writer = FeatureStore(files, config)
    for n in range(3):
        writer.append(ids[n : n + 1], rows[n : n + 1])
        assert reader.refresh()
    for store in (writer, reader, FeatureStore(files, config)):
        assert store.get(ids[:3], ["stem"])["stem"][:, 0].tolist() == [0, 1, 2]
        assert sorted(i for batch, _ in store.batches() for i in batch) == ids[:3]
        assert store.verify() == []


@both
def test_only_shards_of_the_prefix_count(kind: type[Shards], tmp_path: Path) -> None:
    shards = kind(LocalFiles(tmp_path), "s/", SCHEMA)
    shards.append(table(1))
    name = Path(shards.names()[0]).name
    for other in ("s/notes.parquet", f"s/below/{name}", f"ss/{name}", "s/1.txt"):
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).write_bytes(b"x")
    assert kind(LocalFiles(tmp_path), "s/", SCHEMA).names() == [f"s/{name}"]


@both
def test_a_reader_notices_new_shards(kind: type[Shards]) -> None:
    files = MemoryFiles()
    writer, reader = kind(files, "", SCHEMA), kind(files, "", SCHEMA)
    writer.append(table(1))
    assert reader.refresh() == writer.names()
    under_way = tables(reader)
    writer.append(table(2))
    assert numbers(reader) == [1]
    assert reader.refresh() == writer.names()[1:]
    assert numbers(reader) == [1, 2]
    assert [one["n"].to_pylist() for one in under_way] in ([[1]], [[1], [2]])
    assert reader.refresh() == []


def test_a_folder_that_has_not_changed_is_not_listed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[str] = []

    class Counting(LocalFiles):
        def list(self, prefix: str = "") -> Sequence[str]:
            listed.append(prefix)
            return super().list(prefix)

    writer, reader = (
        Shards(Counting(tmp_path), "s/", SCHEMA),
        Shards(Counting(tmp_path), "s/", SCHEMA),
    )
    writer.append(table(1))
    assert reader.refresh() == writer.names()
    # As fresh as it is another shard could come within the same tick.
    before = len(listed)
    assert reader.refresh() == []
    assert len(listed) > before
    monkeypatch.setattr("gingham.store.files._TICK", 0)
    reader.refresh()
    before = len(listed)
    for _ in range(3):
        assert reader.refresh() == []
        assert numbers(reader) == [1]
    assert len(listed) == before
    os.utime(tmp_path / "s", ns=(0, 10**9))
    writer.append(table(2))
    assert reader.refresh() == writer.names()[1:]
    (tmp_path / writer.names()[0]).unlink()
    os.utime(tmp_path / "s", ns=(0, 2 * 10**9))
    reader.refresh()
    assert numbers(reader) == [2]


def test_numbered_shards_of_old_catalogues_come_first() -> None:
    files = MemoryFiles()
    old = Log(files, "", SCHEMA)
    for number in range(3):
        old.append(table(number))
    new = Shards(files, "", SCHEMA)
    new.append(table(3))
    assert numbers(new) == numbers(Shards(files, "", SCHEMA)) == [0, 1, 2, 3]


def test_a_second_writer_of_a_log_is_refused() -> None:
    files = MemoryFiles()
    one, other = Log(files, "log/", SCHEMA), Log(files, "log/", SCHEMA)
    assert (one.names(), other.names()) == ([], [])
    one.append(table(1))
    with pytest.raises(CatalogueBusyError, match=r"memory/log/ .* another process .* open"):
        other.append(table(2))
    assert numbers(Log(files, "log/", SCHEMA)) == [1]
    other.refresh()
    other.append(table(2))
    assert numbers(Log(files, "log/", SCHEMA)) == [1, 2]


@pytest.mark.parametrize("position", [5, 60, 300])
def test_a_flipped_byte_is_found(tmp_path: Path, position: int) -> None:
    shards = Shards(LocalFiles(tmp_path), "s/", SCHEMA)
    path = tmp_path / shards.append(table(*range(100)))
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(data)
    (problem,) = shards.verify()
    assert problem.startswith(f"{path} is damaged")
    with pytest.raises(CatalogueError, match=path.name):
        list(tables(shards))


def test_a_shard_that_cannot_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    shards = Shards(LocalFiles(tmp_path), "s/", SCHEMA)
    path = tmp_path / shards.append(table(1))
    path.unlink()
    with pytest.raises(CatalogueError, match=r"cannot be found \(No such file"):
        list(tables(shards))


def test_a_missing_shard_is_found_and_its_number_is_not_used_again(tmp_path: Path) -> None:
    log = Log(LocalFiles(tmp_path), "", SCHEMA)
    for number in range(3):
        log.append(table(number))
    (tmp_path / log.names()[1]).unlink()
    assert log.verify() == [f"{tmp_path}/00000001.parquet is missing"]
    log.append(table(9))
    assert log.names()[-1] == "00000003.parquet"


def test_shards_of_other_settings_are_refused() -> None:
    files = MemoryFiles()
    Shards(files, "", SCHEMA).append(table(1))
    other = Shards(files, "", SCHEMA.with_metadata({"made": "there"}))
    with pytest.raises(CatalogueError, match="other settings"):
        list(tables(other))


def test_no_thread_of_arrows_holds_a_file_that_python_opened(tmp_path: Path) -> None:
    """Such a thread may let go of it while the interpreter shuts down, which aborts the process."""
    shards = Shards(LocalFiles(tmp_path), "s/", SCHEMA)
    shards.append(table(*range(1000)))
    code = """
import os, sys
from pathlib import Path
import pyarrow as pa, pyarrow.parquet
from gingham.store.files import LocalFiles
from gingham.store.shards import Shards
before = len(os.listdir("/proc/self/task"))
shards = Shards(LocalFiles(Path(sys.argv[1])), "s/", pa.schema(
    [pa.field("n", pa.int64(), nullable=False)], metadata={"made": "here"}))
assert sum(len(shards.table(name)) for name in shards.names()) == 1000
print(len(os.listdir("/proc/self/task")) - before)
"""
    run = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
