"""Vectors that are read where they lie are those that Arrow reads."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import FakeRuntime
from gingham.errors import CatalogueError
from gingham.store import ids as many
from gingham.store import plain
from gingham.store.features import FeatureStore
from gingham.store.files import LocalFiles
from memory_files import MemoryFiles

CONFIG = FakeRuntime().config


def filled(folder: Path, count: int) -> tuple[FeatureStore, Path, list[bytes]]:
    store, rng = FeatureStore(LocalFiles(folder), CONFIG), np.random.default_rng(count)
    ids = [bytes([1, row % 256, row // 256]) * 10 + b"12" for row in range(count)]
    widths = CONFIG.widths.items()
    store.append(ids, [{x: rng.normal(size=w).astype("f4") for x, w in widths} for _ in ids])
    (path,) = folder.rglob("*.parquet")
    return store, path, ids


@settings(max_examples=20, deadline=None)
@given(count=st.integers(1, 300), data=st.data())
def test_rows_and_columns_are_those_that_arrow_reads(
    tmp_path_factory: pytest.TempPathFactory, count: int, data: st.DataObject
) -> None:
    _, path, _ = filled(tmp_path_factory.mktemp("f"), count)
    with pq.ParquetFile(path) as shard:
        columns = plain.columns(shard)
        expected = shard.read()
    assert columns.keys() == CONFIG.widths.keys()
    rows = data.draw(st.lists(st.integers(0, count - 1), max_size=5))
    file = os.open(path, os.O_RDONLY)
    try:
        for layer, column in columns.items():
            read = expected[layer].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            block = plain.read_column(file, column)
            assert block.flags.aligned
            assert block.flags.c_contiguous
            np.testing.assert_array_equal(block, read.reshape(count, column.width))
            for row in rows:
                out = np.zeros(column.width, np.float16)
                plain.read_row(file, column, row, out)
                np.testing.assert_array_equal(out, block[row])
            numbers = np.array([column.numbers])
            assert plain.from_numbers({layer: column.width}, numbers) == {layer: column}
    finally:
        os.close(file)


def test_one_image_is_read_without_the_others(tmp_path: Path) -> None:
    store, path, ids = filled(tmp_path, 40)
    before = store.get(ids[7:8])
    column = plain.columns(pq.ParquetFile(path))["head"]
    data = bytearray(path.read_bytes())
    data[column.first] ^= 0xFF  # of the first image
    path.write_bytes(data)
    for layer, block in store.get(ids[7:8]).items():
        np.testing.assert_array_equal(block, before[layer])
    with pytest.raises(CatalogueError, match=r"is damaged \(a checksum does not match\)"):
        list(store.blocks(["head"]))


def test_a_shard_that_was_cut_short_is_damaged(tmp_path: Path) -> None:
    store, path, ids = filled(tmp_path, 40)
    store.get(ids[:1])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CatalogueError, match=r"is damaged \(it was cut short\)"):
        store.get(ids[-1:])


def test_compressed_shards_are_read_all_the_same(tmp_path: Path) -> None:
    files, (store, path, ids) = MemoryFiles(), filled(tmp_path / "plain", 200)
    features = store.get(ids)
    rows = [{layer: block[row] for layer, block in features.items()} for row in range(len(ids))]
    compressed = FeatureStore(files, CONFIG)
    compressed.append(ids, rows)
    (name,) = files.list()
    path.write_bytes(files.open(name).read())
    assert plain.columns(pq.ParquetFile(path)) == {}
    store = FeatureStore(LocalFiles(tmp_path / "plain"), CONFIG)
    asked = [ids[row] for row in (3, 150, 3)]
    for one in (compressed, store):
        for layer, block in one.get(asked).items():
            np.testing.assert_array_equal(block, features[layer][[3, 150, 3]])
        assert sum(len(some) for some, _ in one.blocks(["stem"])) == 200
    assert store.compact(store.ids()).after == 1
    assert not path.exists()
    (path,) = (tmp_path / "plain").rglob("*.parquet")
    assert plain.columns(pq.ParquetFile(path)).keys() == CONFIG.widths.keys()
    for layer, block in store.get(asked).items():
        np.testing.assert_array_equal(block, features[layer][[3, 150, 3]])
    store.compact(store.ids())
    assert path.exists()


def test_features_of_those_that_are_there(tmp_path: Path) -> None:
    store, _, ids = filled(tmp_path, 30)
    asked = many.from_list([ids[3], b"x" * 32, ids[29], ids[3]])
    found, there = store.held(asked, ["head", "stem"])
    assert there.tolist() == [True, False, True, True]
    for layer, block in store.get([ids[3], ids[29], ids[3]], ["head", "stem"]).items():
        np.testing.assert_array_equal(found[layer][there], block)


def test_some_images_of_a_shard(tmp_path: Path) -> None:
    store, _, ids = filled(tmp_path, 100)
    features = store.get(ids, ["head"])["head"]
    for chosen in ([3], [3, 40, 41], list(range(0, 100, 2))):
        wanted = many.from_list([ids[row] for row in chosen])
        ((some, blocks),) = store.blocks(["head"], wanted)
        assert many.to_list(some) == [ids[row] for row in chosen]
        np.testing.assert_array_equal(blocks["head"], features[chosen])


def test_where_columns_are_is_kept(tmp_path: Path) -> None:
    store, path, ids = filled(tmp_path / "f", 40)
    names = [f"features/{path.name}"]
    noted = store._shards.columns(names)
    again = FeatureStore(LocalFiles(tmp_path / "f"), CONFIG)
    again._shards.note_columns(names, noted)
    for layer, block in store.get(ids[3:5]).items():
        np.testing.assert_array_equal(again.get(ids[3:5])[layer], block)
