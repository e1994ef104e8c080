from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import FakeRuntime
from gingham.errors import CatalogueError
from gingham.store import ids as many
from gingham.store.features import FeatureStore
from gingham.store.files import Files, LocalFiles
from gingham.store.shards import Shards
from memory_files import MemoryFiles

CONFIG = FakeRuntime().config


def rows(count: int, seed: int = 0) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [
        {x.name: rng.normal(size=2 * x.channels).astype(np.float32) for x in CONFIG.layers}
        for _ in range(count)
    ]


def ids(count: int, start: int = 0) -> list[bytes]:
    return [bytes([i]) * 32 for i in range(start, start + count)]


def test_round_trip_over_shards(tmp_path: Path) -> None:
    written = rows(7)
    store = FeatureStore(LocalFiles(tmp_path), CONFIG)
    store.append(ids(3), written[:3])
    store.append(ids(4, 3), written[3:])
    store.append([], [])
    for reader in (store, FeatureStore(LocalFiles(tmp_path), CONFIG)):
        assert len(reader) == 7
        order = [5, 0, 3, 3]
        got = reader.get([ids(7)[i] for i in order], ["head", "stem"])
        assert list(got) == ["head", "stem"]
        for layer, block in got.items():
            expected = np.stack([written[i][layer] for i in order]).astype(np.float16)
            assert np.array_equal(block, expected)
        streamed = [(i, b["stage1"]) for batch, b in reader.batches(["stage1"]) for i in batch]
        assert [i for i, _ in streamed] == ids(7)
    assert store.verify() == []
    with pytest.raises(KeyError):
        store.get([b"x" * 32])


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 5), max_size=5), data=st.data())
def test_get_equals_a_plain_scan(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject
) -> None:
    store = FeatureStore(LocalFiles(tmp_path_factory.mktemp("f")), CONFIG)
    plain: dict[bytes, np.ndarray] = {}
    for size in sizes:
        fresh, new = ids(size, len(plain)), rows(size, len(plain))
        store.append(fresh, new)
        plain |= {i: row["stem"].astype(np.float16) for i, row in zip(fresh, new, strict=True)}
    asked = data.draw(st.lists(st.sampled_from(sorted(plain)))) if plain else []
    got = store.get(asked, ["stem"])["stem"]
    assert got.shape == (len(asked), 6)
    assert all(np.array_equal(row, plain[i]) for row, i in zip(got, asked, strict=True))
    both = store.get(asked, ["head", "stem"])
    side_by_side = np.concatenate(list(both.values()), axis=1)
    np.testing.assert_array_equal(store.joined(asked, ["head", "stem"]), side_by_side)


def test_other_settings_are_refused(tmp_path: Path) -> None:
    FeatureStore(LocalFiles(tmp_path), CONFIG).append(ids(1), rows(1))
    with pytest.raises(CatalogueError, match="other settings"):
        len(FeatureStore(LocalFiles(tmp_path), FakeRuntime("others").config))


def test_verify_finds_features_that_are_no_numbers(tmp_path: Path) -> None:
    bad = rows(2)
    bad[1]["head"][0] = np.inf
    store = FeatureStore(LocalFiles(tmp_path), CONFIG)
    store.append(ids(2), bad)
    assert store.verify() == [f"features of {ids(2)[1].hex()} are not finite"]


@pytest.mark.parametrize("make", [LocalFiles, lambda folder: MemoryFiles()])
def test_writers_at_once_need_not_know_of_each_other(
    make: Callable[[Path], Files], tmp_path: Path
) -> None:
    files = make(tmp_path)
    stores = [FeatureStore(files, CONFIG) for _ in range(4)]
    assert [len(store) for store in stores] == [0] * 4

    def write(number: int) -> None:
        for start in (0, 2 * number + 2):
            # The first two images are everyone's; each writer has its own features of them.
            stores[number].append(ids(2, start), rows(2, 10 * number + start))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    fresh = FeatureStore(files, CONFIG)
    assert len(fresh) == 10
    assert fresh.verify() == []
    streamed = [
        (image_id, row)
        for batch, blocks in fresh.batches(["stem"])
        for image_id, row in zip(batch, blocks["stem"], strict=True)
    ]
    assert sorted(i for i, _ in streamed) == ids(10)
    for store in stores:
        assert store.refresh()
        assert not store.refresh()
        for one in (store, fresh):
            got = one.get([i for i, _ in streamed], ["stem"])["stem"]
            assert np.array_equal(got, np.stack([row for _, row in streamed]))


@settings(max_examples=40, deadline=None)
@given(
    writes=st.lists(
        st.tuples(st.integers(0, 2), st.sets(st.integers(0, 5), min_size=1), st.booleans()),
        max_size=6,
    ),
    order=st.permutations(range(6)),
)
def test_the_shard_whose_name_comes_first_counts(
    writes: list[tuple[int, set[int], bool]], order: list[int]
) -> None:
    files = MemoryFiles()
    stores = [FeatureStore(files, CONFIG) for _ in range(3)]
    named: dict[str, dict[bytes, np.ndarray]] = {}
    with pytest.MonkeyPatch.context() as patch:
        for number, (writer, images, refresh) in enumerate(writes):
            # The clocks of the writers need not agree.
            patch.setattr(Shards, "_new_stem", lambda self, stem=str(order[number]): stem)
            fresh, new = [bytes([i]) * 32 for i in sorted(images)], rows(len(images), number)
            stores[writer].append(fresh, new)
            named[str(order[number])] = {
                i: row["stem"].astype(np.float16) for i, row in zip(fresh, new, strict=True)
            }
            if refresh:
                stores[0].refresh()
    plain: dict[bytes, np.ndarray] = {}
    for stem in sorted(named, reverse=True):
        plain |= named[stem]
    for store in (*stores, FeatureStore(files, CONFIG)):
        store.refresh()
        assert len(store) == len(plain)
        got = store.get(list(plain), ["stem"])["stem"]
        assert all(np.array_equal(a, b) for a, b in zip(got, plain.values(), strict=True))
        streamed = [
            (i, row)
            for b, x in store.batches(["stem"])
            for i, row in zip(b, x["stem"], strict=True)
        ]
        assert sorted(i for i, _ in streamed) == sorted(plain)
        assert all(np.array_equal(row, plain[i]) for i, row in streamed)


class CountingFiles(MemoryFiles):
    """Counts the bytes that are read."""

    read = 0

    def open(self, name: str) -> BinaryIO:
        counted = self

        class Counting(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                data = super().read(size)
                counted.read += len(data)
                return data

        return Counting(super().open(name).read())


def test_only_the_columns_asked_for_are_read() -> None:
    files = CountingFiles()
    FeatureStore(files, CONFIG).append([n.to_bytes(32) for n in range(2000)], rows(2000))

    def read(layers: list[str] | None) -> int:
        before = files.read
        assert sum(len(batch) for batch, _ in FeatureStore(files, CONFIG).batches(layers)) == 2000
        return files.read - before

    everything = read(None)
    size = files.open(*files.list()).seek(0, io.SEEK_END)
    # Parquet's footer is read with the last 64 KiB of the file: once for the ids, and once more.
    footer = 2 * 2**16
    assert 0.9 * size < everything < size + footer
    # Of 62 numbers per image, 6 are in this column, beside the id.
    assert read(["stem"]) < 0.4 * size + footer


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.sets(st.integers(0, 9), min_size=1)),
        st.tuples(st.sampled_from(["keep", "reopen", "damage"]), st.none()),
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(steps)
def test_what_is_kept_of_places_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, set[int] | None]],
) -> None:
    folder = tmp_path_factory.mktemp("f")
    kept = folder / "places" / "features.npz"
    with pytest.MonkeyPatch.context() as patch:
        # However little it saves.
        patch.setattr("gingham.store.features.lasting", lambda known, new: len(new) > 0)
        store = FeatureStore(LocalFiles(folder), CONFIG, kept=kept)
        for number, (step, images) in enumerate(steps):
            if images is not None:
                fresh = [bytes([i]) * 32 for i in sorted(images)]
                store.append(fresh, rows(len(fresh), number))
            elif step == "keep":
                store.keep()
            elif step == "damage" and kept.exists():
                kept.write_bytes(kept.read_bytes()[:-40])
            store = (
                store if step != "reopen" else FeatureStore(LocalFiles(folder), CONFIG, kept=kept)
            )
        store = FeatureStore(LocalFiles(folder), CONFIG, kept=kept)
    fresh_store = FeatureStore(LocalFiles(folder), CONFIG)
    everything = [bytes([i]) * 32 for i in range(10)]
    known = [i for i in everything if i in fresh_store]
    assert [i for i in everything if i in store] == known
    got, expected = (one.get(known, ["stem"])["stem"] for one in (store, fresh_store))
    assert np.array_equal(got, expected)
    for ids_, block in store.blocks(["stem"], many.from_list(known[::2])):
        assert set(many.to_list(ids_)) <= set(known[::2])
        assert np.array_equal(block["stem"], store.get(many.to_list(ids_), ["stem"])["stem"])


def test_places_are_kept_only_where_that_saves_time(tmp_path: Path) -> None:
    kept = tmp_path / "places.npz"
    store = FeatureStore(LocalFiles(tmp_path), CONFIG, kept=kept)
    for number in range(16):
        store.append(ids(1, number), rows(1, number))
    store.keep()
    assert not kept.exists()
    store.append(ids(1, 16), rows(1))
    store.keep()
    written = kept.stat().st_mtime_ns
    store.keep()
    assert kept.stat().st_mtime_ns == written
    # Only what is new is read.
    shard = min((tmp_path / "features").iterdir())
    shard.write_bytes(b"damaged")
    assert len(FeatureStore(LocalFiles(tmp_path), CONFIG, kept=kept)) == 17
    # A shard that is gone takes its images with it.
    shard.unlink()
    assert len(FeatureStore(LocalFiles(tmp_path), CONFIG, kept=kept)) == 16


def test_single_images_are_read_in_small_groups(tmp_path: Path) -> None:
    files = CountingFiles()
    fresh, written = [n.to_bytes(32) for n in range(2000)], rows(2000)
    FeatureStore(files, CONFIG).append(fresh, written)
    store = FeatureStore(files, CONFIG)
    assert len(store) == 2000
    before = files.read
    for number in (1999, 3, 4, 700):
        got = store.get([fresh[number]])
        for layer, values in written[number].items():
            assert np.array_equal(got[layer][0], values.astype(np.float16))
    size = files.open(*files.list()).seek(0, io.SEEK_END)
    assert files.read - before < 3 * (2**16 + size * 65 / 2000)
